// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

static struct {
	const char *program;
	enum log_level level;
	bool colour, journal;
} log_state = { .program = "imastream", .level = LOG_LEVEL_INFO };

void log_setup(const char *program, enum log_level level)
{
	const char *no_color = getenv("NO_COLOR");

	log_state.program = program;
	log_state.level = level;
	log_state.journal = getenv("JOURNAL_STREAM") != NULL;
	log_state.colour = isatty(STDERR_FILENO) && !(no_color && *no_color) && !log_state.journal;
}

static void log_line(enum log_level level, const char *text)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	static const char *const colours[] = { "\033[31m", "\033[33m", "", "\033[2m" };
	static const int priorities[] = { 3, 4, 6, 7 };
	char hms[16];

	if (log_state.journal) {
		fprintf(stderr, "<%d>%s\n", priorities[level], text);
		return;
	}
	clock_format_hms(clock_real_us(), hms, sizeof(hms));
	if (level == LOG_LEVEL_INFO)
		fprintf(stderr, "%s %s: %s\n", hms, log_state.program, text);
	else
		fprintf(stderr, "%s %s: %s%s:%s %s\n", hms, log_state.program,
			log_state.colour ? colours[level] : "", names[level], log_state.colour ? "\033[0m" : "", text);
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (level > log_state.level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line(level, text);
}

int log_errno(int err, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s", strerror(-err));
	log_line(LOG_LEVEL_ERROR, text);
	return err;
}

bool log_allowed(struct log_limit *l, uint64_t now_us)
{
	if (now_us - l->window_start_us >= l->interval_us) {
		l->window_start_us = now_us;
		l->in_window = 0;
	}
	if (l->in_window < l->burst) {
		l->in_window++;
		return true;
	}
	l->missed++;
	return false;
}
