/* SPDX-License-Identifier: Apache-2.0 */
/* One table of options drives the flags, --help, the keys of the INI file and the environment variables of a program.
 * Later wins: the table's defaults < INI file < environment < flags. Nothing is printed here: the text for people is
 * handed back. Not thread-safe (getopt_long).
 *
 *   INI:          [group]            `#` or `;` starts a comment line; a key of another group is an error
 *                 batch-age = 2ms    flags take on/off; OPTION_LIST keys may stand several times
 *   environment:  PREFIX_BATCH_AGE   lists are separated by white space; other variables with the prefix are ignored
 *   flag:         --batch-age 2ms
 *
 * Every program also gets --config FILE (and PREFIX_CONFIG), --check-config, --help and --version. */
#pragma once

#include "base/buf.h"

enum option_type {
	OPTION_FLAG,	 /* bool; the flag alone says true, INI and environment say on or off */
	OPTION_SWITCH,	 /* bool; always with a value: on or off */
	OPTION_TEXT,	 /* char *, owned by the struct; not empty */
	OPTION_LIST,	 /* struct option_list; repeatable */
	OPTION_U64,	 /* uint64_t in [min, max] */
	OPTION_DURATION, /* uint64_t, microseconds in [min, max]; text as for parse_duration_us() */
	OPTION_SIZE,	 /* uint64_t, bytes in [min, max]; text as for parse_size() */
	OPTION_CHOICE,	 /* unsigned int, one of `choices` */
	OPTION_CUSTOM,	 /* whatever parse() writes */
};

#define OPTION_LIST_MAX 64u /* items of one OPTION_LIST */
#define OPTION_ROWS_MAX 96u /* rows of one table */

struct option_list {
	char **items; /* owned */
	size_t n;
};

struct option_choice {
	const char *name;
	unsigned int value;
};

/* 0, or -EINVAL with *why (static text) saying what is expected; dst untouched then. */
typedef int (*option_parse_fn)(const char *text, void *dst, const char **why);

struct option_row {
	const char *name;    /* "batch-age": the flag without dashes, and the INI key */
	char letter;	     /* short flag, 0 = none */
	const char *metavar; /* "DUR"; NULL for OPTION_FLAG */
	const char *group;   /* INI section and heading in --help; rows of one group stand together */
	const char *help;    /* one sentence, no full stop */
	enum option_type type;
	size_t offset;	     /* in the program's struct */
	const char *fallback; /* default as text, parsed like any other; NULL: the zero of the type */
	uint64_t min, max;   /* OPTION_U64, _DURATION, _SIZE; max 0: no maximum */
	const struct option_choice *choices; /* OPTION_CHOICE: ends with a NULL name */
	option_parse_fn parse;		     /* OPTION_CUSTOM */
};

struct options_spec {
	const char *program;	/* "imastream-collector" */
	const char *summary;	/* one line for --help */
	const char *env_prefix; /* "IMASTREAM_" */
	const char *epilogue;	/* last paragraph of --help, or NULL */
	const struct option_row *rows;
	size_t n_rows;
};

enum options_outcome {
	OPTIONS_RUN = 0,    /* the struct is filled: go on */
	OPTIONS_CHECK = 1,  /* --check-config, all is well: `text` is the effective configuration. Exit 0 */
	OPTIONS_SHOWN = 2,  /* --help or --version: print `text` on standard output, exit 0 */
	OPTIONS_USAGE = 3,  /* wrong: print `text` on standard error, exit 2 */
};

/* Fills dst, a zeroed struct that the rows describe. Returns enum options_outcome or a negative errno (-ENOMEM).
 * dst may be partly filled whatever the result: call options_clear(). */
must_use_ int options_load(const struct options_spec *spec, int argc, char **argv, void *dst, struct writer *text);

/* Frees the texts and lists in dst and zeroes them. */
void options_clear(const struct options_spec *spec, void *dst);

/* Calls fn for each text of the rows whose metavar is FILE, PATH, DIR or [NAME=]FILE (then with the name); a path that is not set is left out. What fn
 * returns ends it when it is not 0. */
typedef int (*option_path_fn)(void *user, const struct option_row *row, const char *path);
must_use_ int options_each_path(const struct options_spec *spec, const void *src, option_path_fn fn, void *user);
