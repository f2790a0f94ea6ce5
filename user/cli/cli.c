// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

static bool colour_on;

void cli_set_colour(enum colour_mode mode)
{
	const char *no_color = getenv("NO_COLOR"), *own = getenv("IMASTREAM_COLOR");

	if (mode == COLOUR_AUTO && own && !cli_colour_mode(own, &mode))
		mode = COLOUR_AUTO;
	if (mode == COLOUR_AUTO)
		colour_on = isatty(STDOUT_FILENO) && !(no_color && *no_color);
	else
		colour_on = mode == COLOUR_ALWAYS;
}

bool cli_colour_mode(const char *text, enum colour_mode *out)
{
	if (strcmp(text, "always") == 0)
		*out = COLOUR_ALWAYS;
	else if (strcmp(text, "never") == 0)
		*out = COLOUR_NEVER;
	else if (strcmp(text, "auto") == 0)
		*out = COLOUR_AUTO;
	else
		return false;
	return true;
}

const char *style_on(enum cli_style s)
{
	static const char *const on[] = {
		[STYLE_PLAIN] = "",	    [STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[1;31m",
		[STYLE_DIM] = "\033[2m",    [STYLE_BOLD] = "\033[1m",  [STYLE_HEAD] = "\033[36m",
	};

	return colour_on ? on[s] : "";
}

const char *style_off(void)
{
	return colour_on ? "\033[0m" : "";
}

enum cli_style style_of_severity(enum severity s)
{
	switch (s) {
	case SEVERITY_INFO:
		return STYLE_DIM;
	case SEVERITY_WARNING:
		return STYLE_WARN;
	case SEVERITY_FAIL:
		return STYLE_BAD;
	}
	return STYLE_BAD;
}

int cli_fail(enum exit_code code, const char *command, const char *fmt, ...)
{
	cleanup_writer_ struct writer w = WRITER(8192);
	const char *safe;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	write_safe(&w, (struct bytes){ (const uint8_t *)text, strlen(text) }); /* arguments and file names are in it */
	safe = writer_cstr(&w);
	fprintf(stderr, "imastream %s: %s\n", command, safe ? safe : "no memory");
	if (code == EXIT_CODE_USAGE)
		fprintf(stderr, "Try 'imastream %s --help'.\n", command);
	return (int)code;
}

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void cli_cell(struct writer *w, const char *s, size_t width, enum cli_style style)
{
	bool plain = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. /:+,()") == strlen(s);
	cleanup_writer_ struct writer text = WRITER(4096);
	const char *shown = s;
	size_t n;

	for (size_t keep = width; !plain && keep > 0; keep--) { /* what is escaped is longer than it was */
		writer_reset(&text);
		write_quoted(&text, (struct bytes){ (const uint8_t *)s, strlen(s) }, keep);
		shown = writer_cstr(&text);
		if (!shown || characters(shown) <= width)
			break;
	}
	if (plain && strlen(s) > width) {
		write_fmt(&text, "%.*s…", (int)width - 1, s);
		shown = writer_cstr(&text);
	}
	shown = shown ? shown : "?";
	n = characters(shown);
	write_fmt(w, "%s%s%s%*s  ", style_on(style), shown, style_off(), (int)(n < width ? width - n : 0), "");
}

int cli_print(struct writer *w)
{
	int r = writer_status(w);

	if (r < 0)
		return r;
	if (fwrite(w->p, 1, w->n, stdout) != w->n || fflush(stdout) != 0)
		return -EIO;
	return 0;
}
