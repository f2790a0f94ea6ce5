// SPDX-License-Identifier: Apache-2.0
/* What is said about a policy while it is read, and where in it. */
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "policy/load.h"

#define SHOWN_TOKEN 400u /* bytes of one name that a place shows */

/* One reference token; what could break a line or a terminal becomes \xNN. */
static void write_token(struct writer *line, struct bytes token)
{
	struct reader r = reader_of(token);

	for (size_t shown = 0; reader_left(&r); shown++) {
		uint8_t c = read_u8(&r);

		if (shown == SHOWN_TOKEN) {
			write_fmt(line, "...");
			return;
		}
		if (c == '~')
			write_fmt(line, "~0");
		else if (c == '/')
			write_fmt(line, "~1");
		else if (c > 0x20 && c < 0x7f && c != '\\')
			write_u8(line, c);
		else
			write_fmt(line, "\\x%02x", (unsigned int)c);
	}
}

static void write_step(struct writer *line, const struct load_step *step)
{
	cleanup_writer_ struct writer plain = WRITER(JP_TEXT_MAX);

	write_u8(line, '/');
	if (!step->name.p) {
		write_fmt(line, "%zu", step->index);
	} else if (!step->raw) {
		write_token(line, step->name);
	} else {
		jp_unescape(step->name, &plain);
		write_token(line, writer_view(&plain));
	}
}

/* "error: /digests/~1usr~1bin~1x/0: ": a JSON pointer (RFC 6901). */
static void start_line(struct writer *line, const struct loader *l, bool error)
{
	write_fmt(line, "%s: %s", error ? "error" : "note", l->depth ? "" : "/");
	for (size_t i = 0; i < l->depth; i++)
		write_step(line, &l->place[i]);
	write_fmt(line, ": ");
}

/* Counts always; keeps the line while there is room. */
static void end_line(struct loader *l, struct writer *line, bool error)
{
	write_u8(line, '\n');
	policy_report_line(l->report, error, line);
}

void load_say(struct loader *l, bool error, const char *fmt, ...)
{
	cleanup_writer_ struct writer line = WRITER(LIMIT_POLICY_REPORT);
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	start_line(&line, l, error);
	write_fmt(&line, "%s", text);
	end_line(l, &line, error);
}

/* As load_say(), with foreign bytes in quotes behind the text. */
void load_say_about(struct loader *l, bool error, const char *text, struct bytes what)
{
	cleanup_writer_ struct writer line = WRITER(LIMIT_POLICY_REPORT);

	start_line(&line, l, error);
	write_fmt(&line, "%s ", text ? text : "refused:");
	write_quoted(&line, what, 120);
	end_line(l, &line, error);
}

/* One step down; returns where to go back to. */
static size_t step(struct loader *l, struct load_step s)
{
	size_t before = l->depth;

	if (l->depth < ARRAY_SIZE(l->place))
		l->place[l->depth++] = s;
	return before;
}

size_t load_enter(struct loader *l, const char *name)
{
	return step(l, (struct load_step){ .name = text_bytes(name) });
}

size_t load_enter_raw(struct loader *l, struct bytes name)
{
	return step(l, (struct load_step){ .name = name, .raw = true });
}

size_t load_enter_index(struct loader *l, size_t i)
{
	return step(l, (struct load_step){ .index = i });
}

void load_leave(struct loader *l, size_t before)
{
	l->depth = before;
}

void load_wrong_type(struct loader *l, const char *wanted)
{
	static const char *const names[] = {
		[JP_OBJECT] = "an object", [JP_ARRAY] = "an array", [JP_STRING] = "a string", [JP_INTEGER] = "an integer",
		[JP_REAL] = "a number",	   [JP_TRUE] = "true",	    [JP_FALSE] = "false",     [JP_NULL] = "null",
	};
	const char *name = (size_t)l->json.type < ARRAY_SIZE(names) ? names[l->json.type] : NULL;

	load_say(l, true, "%s, expected %s", name ? name : "nothing", wanted);
}

/* "error: line 4 column 9: duplicate object key near '"/usr/bin/x"'". */
void load_say_syntax(struct loader *l)
{
	cleanup_writer_ struct writer out = WRITER(LIMIT_POLICY_REPORT);
	const struct jp *j = &l->json;
	size_t line, column;

	jp_locate((struct bytes){ j->text.base, j->text.size }, j->error_at, &line, &column);
	write_fmt(&out, "error: line %zu column %zu: %s", line, column, j->error);
	if (j->raw.n) {
		write_fmt(&out, " near ");
		write_quoted(&out, j->raw, 120);
	} else if (j->error_at == j->text.size) {
		write_fmt(&out, " near the end");
	}
	end_line(l, &out, true);
}
