/* SPDX-License-Identifier: Apache-2.0 */
/* Between options.c and options_text.c only. */
#pragma once

#include "base/options.h"

/* Where a setting came from; a larger one wins. */
enum origin { FROM_NOWHERE, FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

#define MEMBER(row, dst, type) ((type *)(void *)((char *)(dst) + (row)->offset))

struct loading {
	const struct options_spec *spec;
	void *dst;
	struct writer *text;
	enum origin origin[OPTION_ROWS_MAX];
	char *said[OPTION_ROWS_MAX]; /* OPTION_CUSTOM: the text that holds; owned */
};

/* "a duration such as 2ms or 1.5s, at least 1ms" */
void options_write_expected(struct writer *w, const struct option_row *row);
void options_write_help(struct writer *w, const struct options_spec *spec);
/* All values as an INI file, each with its origin. */
void options_write_effective(struct loading *l);
