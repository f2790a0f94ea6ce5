// SPDX-License-Identifier: Apache-2.0
/* What options.c says to people: expectations, --help, --check-config. */
#include "base/options_private.h"

static const char *const origin_names[] = { "not set", "default", "file", "environment", "flag" };

/* The largest unit that leaves no remainder. */
static void write_duration(struct writer *w, uint64_t us)
{
	if (us % 1000000u == 0)
		write_fmt(w, "%llus", (unsigned long long)(us / 1000000u));
	else if (us % 1000u == 0)
		write_fmt(w, "%llums", (unsigned long long)(us / 1000u));
	else
		write_fmt(w, "%lluus", (unsigned long long)us);
}

static void write_number(struct writer *w, const struct option_row *row, uint64_t v)
{
	if (row->type == OPTION_DURATION)
		write_duration(w, v);
	else
		write_fmt(w, "%llu", (unsigned long long)v);
}

void options_write_expected(struct writer *w, const struct option_row *row)
{
	switch (row->type) {
	case OPTION_FLAG:
	case OPTION_SWITCH:
		write_fmt(w, "on or off");
		break;
	case OPTION_TEXT:
		write_fmt(w, "a text");
		break;
	case OPTION_LIST:
		write_fmt(w, "at most %u texts", OPTION_LIST_MAX);
		break;
	case OPTION_U64:
	case OPTION_DURATION:
	case OPTION_SIZE:
		write_fmt(w, row->type == OPTION_U64	    ? "a number" :
			     row->type == OPTION_DURATION ? "a duration such as 2ms or 1.5s" :
							    "a size such as 64K or 1M");
		write_fmt(w, ", at least ");
		write_number(w, row, row->min);
		if (row->max) {
			write_fmt(w, ", at most ");
			write_number(w, row, row->max);
		}
		break;
	case OPTION_CHOICE:
		for (const struct option_choice *c = row->choices; c->name; c++)
			write_fmt(w, "%s%s", c == row->choices ? "" : c[1].name ? ", " : " or ", c->name);
		break;
	case OPTION_CUSTOM:
		write_fmt(w, "%s", row->metavar);
		break;
	}
}

static void help_line(struct writer *w, char letter, const char *name, const char *metavar, const char *help,
		      const char *fallback)
{
	size_t start = w->n;

	if (letter)
		write_fmt(w, "  -%c, --%s%s%s", letter, name, metavar ? " " : "", metavar ? metavar : "");
	else
		write_fmt(w, "      --%s%s%s", name, metavar ? " " : "", metavar ? metavar : "");
	if (w->n - start >= 38)
		write_fmt(w, "\n%38s", "");
	else
		write_fmt(w, "%*s", (int)(38 - (w->n - start)), "");
	write_fmt(w, "%s", help);
	if (fallback)
		write_fmt(w, " (default: %s)", fallback);
	write_fmt(w, "\n");
}

void options_write_help(struct writer *w, const struct options_spec *spec)
{
	const char *group = "";

	write_fmt(w, "%s - %s\n\nusage: %s [OPTION]...\n", spec->program, spec->summary, spec->program);
	for (size_t i = 0; i < spec->n_rows; i++) {
		const struct option_row *row = &spec->rows[i];

		if (strcmp(group, row->group) != 0)
			write_fmt(w, "\n[%s]\n", row->group);
		group = row->group;
		help_line(w, row->letter, row->name, row->metavar, row->help, row->fallback);
	}
	write_fmt(w, "\n");
	help_line(w, 0, "config", "FILE", "INI file; sections and keys are named as above", NULL);
	help_line(w, 0, "check-config", NULL, "read everything, show what holds and why, and exit", NULL);
	help_line(w, 'h', "help", NULL, "this text", NULL);
	help_line(w, 0, "version", NULL, "version", NULL);
	write_fmt(w, "\nLater wins: defaults, the file, the environment (%s followed by the name in capitals with _\n"
		     "for -), flags.\n",
		  spec->env_prefix);
	if (spec->epilogue)
		write_fmt(w, "\n%s\n", spec->epilogue);
}

static void write_value(struct loading *l, size_t i)
{
	const struct option_row *row = &l->spec->rows[i];
	struct writer *w = l->text;
	void *dst = l->dst;

	switch (row->type) {
	case OPTION_FLAG:
	case OPTION_SWITCH:
		write_fmt(w, "%s", *MEMBER(row, dst, bool) ? "on" : "off");
		break;
	case OPTION_TEXT: {
		const char *text = *MEMBER(row, dst, char *);

		write_fmt(w, "%s", text ? text : "");
		break;
	}
	case OPTION_U64:
	case OPTION_DURATION:
	case OPTION_SIZE:
		write_number(w, row, *MEMBER(row, dst, uint64_t));
		break;
	case OPTION_CHOICE:
		for (const struct option_choice *c = row->choices; c->name; c++) {
			if (c->value == *MEMBER(row, dst, unsigned int)) {
				write_fmt(w, "%s", c->name);
				break;
			}
		}
		break;
	case OPTION_CUSTOM:
		write_fmt(w, "%s", l->said[i]);
		break;
	case OPTION_LIST:
		break;
	}
}

void options_write_effective(struct loading *l)
{
	const char *group = "";

	for (size_t i = 0; i < l->spec->n_rows; i++) {
		const struct option_row *row = &l->spec->rows[i];
		const char *origin = origin_names[l->origin[i]];

		if (strcmp(group, row->group) != 0)
			write_fmt(l->text, "%s[%s]\n", *group ? "\n" : "", row->group);
		group = row->group;
		if (row->type == OPTION_LIST) {
			const struct option_list *list = MEMBER(row, l->dst, struct option_list);

			write_fmt(l->text, "# %s: %s\n", row->name, origin);
			for (size_t k = 0; k < list->n; k++)
				write_fmt(l->text, "%s = %s\n", row->name, list->items[k]);
			continue;
		}
		write_fmt(l->text, "# %s: %s\n", row->name, origin);
		if (l->origin[i] == FROM_NOWHERE)
			continue;
		write_fmt(l->text, "%s = ", row->name);
		write_value(l, i);
		write_fmt(l->text, "\n");
	}
}
