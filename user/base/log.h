/* SPDX-License-Identifier: Apache-2.0 */
/* Logging for the programs (main.c, pipeline.c and what they own). Libraries do not log: they return.
 * Lines go to standard error, with a priority prefix <N> when it is the journal. Colour only on a terminal, never with NO_COLOR. */
#pragma once

#include "base/common.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_setup(const char *program, enum log_level level);
void log_at(enum log_level level, const char *fmt, ...) printf_(2, 3);
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Logs "<text>: <strerror>" at error level and returns err, which is a negative errno: return log_errno(r, "..."). */
int log_errno(int err, const char *fmt, ...) printf_(2, 3);

/* For everything a peer can trigger: true at most `burst` times per `interval_us`; the swallowed count is in `missed`. */
struct log_limit {
	uint64_t interval_us;
	unsigned int burst;
	uint64_t window_start_us;
	unsigned int in_window;
	uint64_t missed;
};
bool log_allowed(struct log_limit *l, uint64_t now_us);
