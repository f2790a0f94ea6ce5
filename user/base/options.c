// SPDX-License-Identifier: Apache-2.0
#include "base/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>

#include "base/options_private.h"
#include "base/text.h"
#include "imastream/limits.h"

enum { KEY_CONFIG = 0x1000, KEY_CHECK, KEY_HELP, KEY_VERSION, KEY_ROW };

/* --- one value ------------------------------------------------------------------------------------------------------ */

static int parse_switch(const char *text, bool *out)
{
	static const struct { const char *name; bool value; } names[] = {
		{ "on", true },	  { "yes", true }, { "true", true },   { "1", true },
		{ "off", false }, { "no", false }, { "false", false }, { "0", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i].name) == 0) {
			*out = names[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

static void list_clear(struct option_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct option_list){ 0 };
}

static int list_add(struct option_list *list, const char *text, size_t n)
{
	char **items, *copy;

	if (list->n == OPTION_LIST_MAX)
		return -ERANGE;
	items = realloc(list->items, (list->n + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	copy = strndup(text, n);
	if (!copy)
		return -ENOMEM;
	items[list->n++] = copy;
	return 0;
}

static int set_number(const struct option_row *row, const char *text, uint64_t *out)
{
	uint64_t max = row->max ? row->max : UINT64_MAX, v;
	int r;

	if (row->type == OPTION_U64)
		r = parse_u64(text, 0, UINT64_MAX, &v);
	else if (row->type == OPTION_DURATION)
		r = parse_duration_us(text, &v);
	else
		r = parse_size(text, &v);
	if (r < 0)
		return -EINVAL;
	if (v < row->min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

static int set_choice(const struct option_row *row, const char *text, unsigned int *out)
{
	for (const struct option_choice *c = row->choices; c->name; c++) {
		if (strcmp(c->name, text) == 0) {
			*out = c->value;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_text(const char *text, char **out)
{
	char *copy;

	if (!*text)
		return -EINVAL;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*out);
	*out = copy;
	return 0;
}

/* The environment gives a list as words. */
static int set_words(struct option_list *list, const char *text)
{
	while (*text) {
		size_t n;
		int r;

		text += strspn(text, " \t\n");
		n = strcspn(text, " \t\n");
		r = n ? list_add(list, text, n) : 0;
		if (r < 0)
			return r;
		text += n;
	}
	return 0;
}

static int set_value(const struct option_row *row, void *dst, const char *text, bool words, const char **why)
{
	switch (row->type) {
	case OPTION_FLAG:
	case OPTION_SWITCH:
		return parse_switch(text, MEMBER(row, dst, bool));
	case OPTION_TEXT:
		return set_text(text, MEMBER(row, dst, char *));
	case OPTION_LIST:
		if (words)
			return set_words(MEMBER(row, dst, struct option_list), text);
		return *text ? list_add(MEMBER(row, dst, struct option_list), text, strlen(text)) : -EINVAL;
	case OPTION_U64:
	case OPTION_DURATION:
	case OPTION_SIZE:
		return set_number(row, text, MEMBER(row, dst, uint64_t));
	case OPTION_CHOICE:
		return set_choice(row, text, MEMBER(row, dst, unsigned int));
	case OPTION_CUSTOM:
		return row->parse(text, MEMBER(row, dst, void), why);
	}
	return -EINVAL;
}

static void quote_text(struct writer *w, const char *text)
{
	write_quoted(w, (struct bytes){ (const uint8_t *)text, strlen(text) }, 200);
}

/* One setting from one origin. A stronger origin replaces what a weaker one said, lists included.
 * `where` starts the message when the value is wrong: "--duty", "FILE:3: duty", "IMASTREAM_DUTY". */
static int apply(struct loading *l, size_t i, enum origin from, const char *text, const char *where)
{
	const struct option_row *row = &l->spec->rows[i];
	const char *why = NULL;
	int r;

	if (from > l->origin[i]) {
		if (row->type == OPTION_LIST)
			list_clear(MEMBER(row, l->dst, struct option_list));
		l->origin[i] = from;
	}
	r = set_value(row, l->dst, text, from == FROM_ENVIRONMENT, &why);
	if (r == 0 && row->type == OPTION_CUSTOM)
		r = set_text(text, &l->said[i]);
	if (r == 0 || (r != -EINVAL && r != -ERANGE))
		return r;
	write_fmt(l->text, "%s: ", where);
	quote_text(l->text, text);
	write_fmt(l->text, " is not ");
	if (why)
		write_fmt(l->text, "%s", why);
	else
		options_write_expected(l->text, row);
	write_fmt(l->text, "\n");
	return OPTIONS_USAGE;
}

/* --- sources of settings -------------------------------------------------------------------------------------------- */

static int load_defaults(struct loading *l)
{
	for (size_t i = 0; i < l->spec->n_rows; i++) {
		int r;

		if (!l->spec->rows[i].fallback)
			continue;
		r = apply(l, i, FROM_DEFAULT, l->spec->rows[i].fallback, l->spec->rows[i].name);
		if (r != 0)
			return r;
	}
	return 0;
}

static void environment_name(const struct options_spec *spec, const char *name, char out[128])
{
	size_t n = 0;

	for (const char *p = spec->env_prefix; *p && n < 127; p++)
		out[n++] = *p;
	for (const char *p = name; *p && n < 127; p++)
		out[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	out[n] = '\0';
}

static int load_environment(struct loading *l)
{
	for (size_t i = 0; i < l->spec->n_rows; i++) {
		char name[128];
		const char *text;
		int r;

		environment_name(l->spec, l->spec->rows[i].name, name);
		text = getenv(name);
		if (!text || !*text)
			continue;
		r = apply(l, i, FROM_ENVIRONMENT, text, name);
		if (r != 0)
			return r;
	}
	return 0;
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	for (n = strlen(s); n > 0 && strchr(" \t\r", s[n - 1]); n--)
		;
	s[n] = '\0';
	return s;
}

static bool group_known(const struct options_spec *spec, const char *group)
{
	for (size_t i = 0; i < spec->n_rows; i++) {
		if (strcmp(spec->rows[i].group, group) == 0)
			return true;
	}
	return false;
}

static int file_line_wrong(struct loading *l, const char *where, const char *what, const char *text)
{
	write_fmt(l->text, "%s: %s ", where, what);
	quote_text(l->text, text);
	write_fmt(l->text, "\n");
	return OPTIONS_USAGE;
}

static int file_setting(struct loading *l, const char *where, const char *group, char *line)
{
	char *equals = strchr(line, '='), *key, *value;

	if (!equals)
		return file_line_wrong(l, where, "expected `key = value`, found", line);
	*equals = '\0';
	key = trim(line);
	value = trim(equals + 1);
	for (size_t i = 0; i < l->spec->n_rows; i++) {
		const struct option_row *row = &l->spec->rows[i];
		char at[320];
		int n;

		if (strcmp(row->name, key) != 0)
			continue;
		if (strcmp(row->group, group) != 0) {
			write_fmt(l->text, "%s: key %s belongs into section [%s]\n", where, row->name, row->group);
			return OPTIONS_USAGE;
		}
		n = snprintf(at, sizeof(at), "%s: %s", where, row->name);
		return apply(l, i, FROM_FILE, value, n > 0 ? at : where);
	}
	return file_line_wrong(l, where, "unknown key", key);
}

/* libinih would do, but Debian builds it with lines of at most 200 bytes. */
static int file_line(struct loading *l, const char *where, char group[64], char *line)
{
	size_t n;

	line = trim(line);
	if (!*line || *line == '#' || *line == ';')
		return 0;
	if (*line != '[')
		return file_setting(l, where, group, line);
	n = strlen(line);
	if (line[n - 1] != ']')
		return file_line_wrong(l, where, "expected `[section]`, found", line);
	line[n - 1] = '\0';
	line = trim(line + 1);
	if (strlen(line) >= 64 || !group_known(l->spec, line))
		return file_line_wrong(l, where, "unknown section", line);
	snprintf(group, 64, "%s", line);
	return 0;
}

static int load_file(struct loading *l, const char *path)
{
	cleanup_writer_ struct writer content = WRITER(LIMIT_CONFIG_FILE + 1);
	char group[64] = "";
	struct reader reader;
	int r = read_file(path, &content);

	if (r == 0 && content.n > LIMIT_CONFIG_FILE)
		r = -EMSGSIZE;
	if (r == 0) {
		write_u8(&content, '\n'); /* so that the last line ends */
		r = writer_status(&content);
	}
	if (r < 0) {
		write_fmt(l->text, "cannot read the configuration ");
		quote_text(l->text, path);
		write_fmt(l->text, ": %s\n", r == -EMSGSIZE ? "it is too large" : strerror(-r));
		return r == -ENOMEM ? r : OPTIONS_USAGE;
	}
	reader = reader_of(writer_view(&content));
	for (unsigned int number = 1; reader_left(&reader) > 0; number++) {
		struct bytes b = read_until(&reader, '\n');
		cleanup_free_ char *line = b.n ? strndup((const char *)b.p, b.n) : strdup("");
		char where[256];

		if (!line)
			return -ENOMEM;
		snprintf(where, sizeof(where), "%.200s:%u", path, number);
		if (b.n && memchr(b.p, '\0', b.n))
			return file_line_wrong(l, where, "a NUL byte in", line);
		r = file_line(l, where, group, line);
		if (r != 0)
			return r;
	}
	return 0;
}

/* --- flags ---------------------------------------------------------------------------------------------------------- */

struct flags {
	struct option longs[OPTION_ROWS_MAX + 5];
	char shorts[OPTION_ROWS_MAX * 2 + 4];
};

static int build_flags(const struct options_spec *spec, struct flags *f)
{
	size_t n = 0, s = 0;

	if (spec->n_rows > OPTION_ROWS_MAX)
		return -EINVAL;
	*f = (struct flags){ 0 };
	f->shorts[s++] = ':'; /* a missing argument is told apart from an unknown flag */
	for (; n < spec->n_rows; n++) {
		const struct option_row *row = &spec->rows[n];
		bool argument = row->type != OPTION_FLAG;

		f->longs[n] = (struct option){ row->name, argument ? required_argument : no_argument, NULL,
					       KEY_ROW + (int)n };
		if (row->letter) {
			f->shorts[s++] = row->letter;
			if (argument)
				f->shorts[s++] = ':';
		}
	}
	f->shorts[s++] = 'h';
	f->longs[n++] = (struct option){ "config", required_argument, NULL, KEY_CONFIG };
	f->longs[n++] = (struct option){ "check-config", no_argument, NULL, KEY_CHECK };
	f->longs[n++] = (struct option){ "help", no_argument, NULL, KEY_HELP };
	f->longs[n] = (struct option){ "version", no_argument, NULL, KEY_VERSION };
	return 0;
}

static int flag_wrong(struct loading *l, const char *what, const char *text)
{
	write_fmt(l->text, "%s ", what);
	quote_text(l->text, text ? text : "");
	write_fmt(l->text, "; see %s --help\n", l->spec->program);
	return OPTIONS_USAGE;
}

/* What stands in argv, without looking at the values: first round. */
struct asked {
	const char *config;
	bool check, help, version;
};

static int scan_flags(struct loading *l, const struct flags *f, int argc, char **argv, struct asked *asked, bool set)
{
	int key;

	optind = 0; /* start over: getopt(3), "Notes" */
	opterr = 0;
	while ((key = getopt_long(argc, argv, f->shorts, f->longs, NULL)) != -1) {
		size_t i = l->spec->n_rows;
		char where[128];
		int r;

		if (key == '?')
			return flag_wrong(l, "unknown option", argv[optind - 1]);
		if (key == ':')
			return flag_wrong(l, "an argument is missing behind", argv[optind - 1]);
		if (key == KEY_CONFIG)
			asked->config = optarg;
		else if (key == KEY_CHECK)
			asked->check = true;
		else if (key == KEY_HELP || key == 'h')
			asked->help = true;
		else if (key == KEY_VERSION)
			asked->version = true;
		else if (key >= KEY_ROW)
			i = (size_t)(key - KEY_ROW);
		for (size_t k = 0; key < KEY_CONFIG && k < l->spec->n_rows; k++) {
			if (l->spec->rows[k].letter == key)
				i = k;
		}
		if (!set || i == l->spec->n_rows)
			continue;
		snprintf(where, sizeof(where), "--%s", l->spec->rows[i].name);
		r = apply(l, i, FROM_FLAG, optarg ? optarg : "on", where);
		if (r != 0)
			return r;
	}
	if (optind < argc)
		return flag_wrong(l, "unexpected argument", argv[optind]);
	return 0;
}

static void loading_clear(struct loading *l)
{
	for (size_t i = 0; i < OPTION_ROWS_MAX; i++)
		free(l->said[i]);
}

/* --- together ------------------------------------------------------------------------------------------------------- */

static int load_all(struct loading *l, const struct flags *f, int argc, char **argv, struct asked *asked)
{
	char name[128];
	int r = load_defaults(l);

	if (r != 0)
		return r;
	environment_name(l->spec, "config", name);
	if (!asked->config)
		asked->config = getenv(name);
	if (asked->config && *asked->config)
		r = load_file(l, asked->config);
	if (r == 0)
		r = load_environment(l);
	if (r == 0)
		r = scan_flags(l, f, argc, argv, asked, true);
	return r;
}

int options_load(const struct options_spec *spec, int argc, char **argv, void *dst, struct writer *text)
{
	cleanup_(loading_clear) struct loading l = { .spec = spec, .dst = dst, .text = text };
	struct asked asked = { 0 };
	struct flags f;
	int r = build_flags(spec, &f);

	if (r == 0)
		r = scan_flags(&l, &f, argc, argv, &asked, false);
	if (r != 0)
		return r;
	if (asked.help || asked.version) {
		if (asked.help)
			options_write_help(text, spec);
		else
			write_fmt(text, "%s %s\n", spec->program, IMASTREAM_VERSION);
		return writer_status(text) < 0 ? writer_status(text) : OPTIONS_SHOWN;
	}
	r = load_all(&l, &f, argc, argv, &asked);
	if (r != 0)
		return r;
	if (!asked.check)
		return OPTIONS_RUN;
	options_write_effective(&l);
	return writer_status(text) < 0 ? writer_status(text) : OPTIONS_CHECK;
}

void options_clear(const struct options_spec *spec, void *dst)
{
	for (size_t i = 0; i < spec->n_rows; i++) {
		const struct option_row *row = &spec->rows[i];

		if (row->type == OPTION_TEXT) {
			free(*MEMBER(row, dst, char *));
			*MEMBER(row, dst, char *) = NULL;
		} else if (row->type == OPTION_LIST) {
			list_clear(MEMBER(row, dst, struct option_list));
		}
	}
}

static bool names_path(const struct option_row *row)
{
	static const char *const names[] = { "FILE", "PATH", "DIR", "[NAME=]FILE" };

	for (size_t i = 0; row->metavar && i < ARRAY_SIZE(names); i++)
		if (strcmp(row->metavar, names[i]) == 0)
			return true;
	return false;
}

int options_each_path(const struct options_spec *spec, const void *src, option_path_fn fn, void *user)
{
	for (size_t i = 0; i < spec->n_rows; i++) {
		const struct option_row *row = &spec->rows[i];
		const void *at = (const char *)src + row->offset;
		int r = 0;

		if (!names_path(row))
			continue;
		if (row->type == OPTION_TEXT && *(char *const *)at)
			r = fn(user, row, *(char *const *)at);
		for (size_t j = 0; row->type == OPTION_LIST && r == 0 && j < ((const struct option_list *)at)->n; j++)
			r = fn(user, row, ((const struct option_list *)at)->items[j]);
		if (r != 0)
			return r;
	}
	return 0;
}
