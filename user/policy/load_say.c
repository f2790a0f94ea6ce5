// SPDX-License-Identifier: Apache-2.0
/* What is said about a policy while it is read, and where in it. */
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "policy/load.h"

#define SHOWN_TOKEN 400u /* bytes of one name that a place shows */

/* One reference token; what could break a line or a terminal becomes \xNN. */
static void write_token(struct writer *line, const char *token)
{
	size_t shown = 0;

	for (const char *c = token; *c; c++) {
		if (shown++ == SHOWN_TOKEN) {
			write_fmt(line, "...");
			return;
		}
		if (*c == '~')
			write_fmt(line, "~0");
		else if (*c == '/')
			write_fmt(line, "~1");
		else if (*c > 0x20 && *c < 0x7f && *c != '\\')
			write_u8(line, (uint8_t)*c);
		else
			write_fmt(line, "\\x%02x", (unsigned int)(uint8_t)*c);
	}
}

/* "error: /digests/~1usr~1bin~1x/0: ": a JSON pointer (RFC 6901). */
static void start_line(struct writer *line, const struct loader *l, bool error)
{
	write_fmt(line, "%s: %s", error ? "error" : "note", l->depth ? "" : "/");
	for (size_t i = 0; i < l->depth; i++) {
		write_u8(line, '/');
		if (l->place[i].name)
			write_token(line, l->place[i].name);
		else
			write_fmt(line, "%zu", l->place[i].index);
	}
	write_fmt(line, ": ");
}

/* Counts always; keeps the line while there is room. */
static void end_line(struct loader *l, struct writer *line, bool error)
{
	struct writer *text = &l->report->text;

	write_u8(line, '\n');
	if (error)
		l->report->errors++;
	else
		l->report->notes++;
	if (!line->bad && !text->bad && line->n <= text->max - text->n)
		write_bytes(text, line->p, line->n);
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
static size_t step(struct loader *l, const char *name, size_t index)
{
	size_t before = l->depth;

	if (l->depth < ARRAY_SIZE(l->place))
		l->place[l->depth++] = (struct load_step){ name, index };
	return before;
}

size_t load_enter(struct loader *l, const char *name)
{
	return step(l, name, 0);
}

size_t load_enter_index(struct loader *l, size_t i)
{
	return step(l, NULL, i);
}

void load_leave(struct loader *l, size_t before)
{
	l->depth = before;
}

void load_wrong_type(struct loader *l, const json_t *v, const char *wanted)
{
	static const char *const names[] = { "an object", "an array", "a string", "an integer", "a number", "true", "false", "null" };

	load_say(l, true, "%s, expected %s", names[json_typeof(v)], wanted);
}

/* "error: line 4 column 9: duplicate object key near '"/usr/bin/x"'". */
void load_say_syntax(struct loader *l, const json_error_t *e)
{
	cleanup_writer_ struct writer line = WRITER(LIMIT_POLICY_REPORT);
	const char *near = strstr(e->text, " near ");
	size_t said = near ? (size_t)(near - e->text) : strlen(e->text);

	write_fmt(&line, "error: line %d column %d: %.*s", e->line, e->column, (int)said, e->text);
	if (near) {
		struct bytes what = text_bytes(near + strlen(" near "));
		struct reader r = reader_of(what);

		if (what.n >= 2 && what.p[0] == '\'' && what.p[what.n - 1] == '\'') { /* jansson's own quotes */
			(void)read_u8(&r);
			what = read_bytes(&r, what.n - 2);
		}
		write_fmt(&line, " near ");
		write_quoted(&line, what, 120);
	}
	end_line(l, &line, true);
}
