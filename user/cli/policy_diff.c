// SPDX-License-Identifier: Apache-2.0
/* imastream policy diff */
#include <getopt.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "policy/merge.h"

#define SHOWN_VALUE 2000u

struct diff {
	struct writer out;
	struct json json;
	bool as_json;
	char *member; /* whose heading was written last */
	uint64_t n[3];
};

static const char *const kinds[] = { [DIFFERENCE_ADDED] = "added", [DIFFERENCE_REMOVED] = "removed", [DIFFERENCE_CHANGED] = "changed" };

static void one_json(struct diff *d, const struct policy_difference *f)
{
	jw_object(&d->json, NULL);
	jw_string(&d->json, "member", f->member);
	jw_string(&d->json, "name", *f->name ? f->name : NULL);
	jw_string(&d->json, "change", kinds[f->kind]);
	jw_array(&d->json, "added");
	for (size_t i = 0; i < f->n_added; i++)
		jw_string(&d->json, NULL, f->added[i]);
	jw_array_end(&d->json);
	jw_array(&d->json, "removed");
	for (size_t i = 0; i < f->n_removed; i++)
		jw_string(&d->json, NULL, f->removed[i]);
	jw_array_end(&d->json);
	jw_object_end(&d->json);
}

static void lines(struct writer *w, enum cli_style style, const char *mark, bool plain, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		write_fmt(w, "%s%s ", style_on(style), mark);
		if (plain) /* hexadecimal */
			write_fmt(w, "%s", texts[i]);
		else
			write_quoted(w, policy_text(texts[i]), SHOWN_VALUE);
		write_fmt(w, "%s\n", style_off());
	}
}

static void one_text(struct diff *d, const struct policy_difference *f)
{
	static const enum cli_style styles[] = { [DIFFERENCE_ADDED] = STYLE_GOOD, [DIFFERENCE_REMOVED] = STYLE_BAD,
						 [DIFFERENCE_CHANGED] = STYLE_WARN };
	static const char *const marks[] = { [DIFFERENCE_ADDED] = "+", [DIFFERENCE_REMOVED] = "-", [DIFFERENCE_CHANGED] = "~" };

	if (!d->member || strcmp(d->member, f->member) != 0) {
		write_fmt(&d->out, "%s%s", style_on(STYLE_HEAD), d->member ? "\n" : "");
		write_safe(&d->out, policy_text(f->member));
		write_fmt(&d->out, "%s\n", style_off());
		free(d->member);
		d->member = strdup(f->member);
	}
	if (*f->name) {
		write_fmt(&d->out, "%s%s ", style_on(styles[f->kind]), marks[f->kind]);
		write_quoted(&d->out, policy_text(f->name), SHOWN_VALUE);
		write_fmt(&d->out, "%s\n", style_off());
		lines(&d->out, STYLE_BAD, "    -", true, f->removed, f->n_removed);
		lines(&d->out, STYLE_GOOD, "    +", true, f->added, f->n_added);
	} else {
		lines(&d->out, STYLE_BAD, "-", false, f->removed, f->n_removed);
		lines(&d->out, STYLE_GOOD, "+", false, f->added, f->n_added);
	}
}

static int one(void *user, const struct policy_difference *f)
{
	struct diff *d = user;

	d->n[f->kind]++;
	if (d->as_json)
		one_json(d, f);
	else
		one_text(d, f);
	return writer_status(&d->out);
}

static void begin(struct diff *d)
{
	if (!d->as_json)
		return;
	jw_begin(&d->json, &d->out, true);
	jw_object(&d->json, NULL);
	jw_array(&d->json, "differences");
}

static void end(struct diff *d)
{
	unsigned long long added = d->n[DIFFERENCE_ADDED], removed = d->n[DIFFERENCE_REMOVED], changed = d->n[DIFFERENCE_CHANGED];

	if (d->as_json) {
		jw_array_end(&d->json);
		jw_bool(&d->json, "same", !(added + removed + changed));
		jw_u64(&d->json, "added", added);
		jw_u64(&d->json, "removed", removed);
		jw_u64(&d->json, "changed", changed);
		jw_object_end(&d->json);
		write_u8(&d->out, '\n');
	} else if (added + removed + changed) {
		write_fmt(&d->out, "\n%llu added, %llu removed, %llu changed\n", added, removed, changed);
	} else {
		write_fmt(&d->out, "%sthe same%s: no judgement differs\n", style_on(STYLE_GOOD), style_off());
	}
}

static int compare(const char *old, const char *new, bool as_json)
{
	cleanup_writer_ struct writer a = WRITER(LIMIT_POLICY_FILE), b = WRITER(LIMIT_POLICY_FILE), name = WRITER(2048);
	struct diff d = { .out = WRITER(2u * LIMIT_POLICY_FILE), .as_json = as_json };
	struct policy_report report = { .errors = 0 };
	int code = EXIT_CODE_TRUSTED, r = read_file(old, &a);

	if (r < 0)
		return policy_cannot_read(old, -r);
	r = read_file(new, &b);
	if (r < 0)
		return policy_cannot_read(new, -r);
	begin(&d);
	r = policy_diff(writer_view(&a), writer_view(&b), &report, one, &d);
	if (r > 0)
		fprintf(stderr, "%s", policy_report_text(&report));
	policy_report_clear(&report);
	end(&d);
	if (r > 0)
		code = cli_fail(EXIT_CODE_ERROR, "policy", "%s is not a good policy", policy_quoted(&name, r == 1 ? old : new));
	else if (r < 0)
		code = cli_fail(EXIT_CODE_ERROR, "policy", "diff: %s", strerror(-r));
	else if (cli_print(&d.out) < 0)
		code = cli_fail(EXIT_CODE_ERROR, "policy", "cannot write to standard output");
	else if (d.n[DIFFERENCE_ADDED] + d.n[DIFFERENCE_REMOVED] + d.n[DIFFERENCE_CHANGED])
		code = EXIT_CODE_UNTRUSTED;
	free(d.member);
	writer_free(&d.out);
	return code;
}

static int diff(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	bool as_json = false;
	int o;

	optind = 0;
	while ((o = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (o == 'h')
			return policy_help(&policy_diff_command);
		if (o != 'j')
			return cli_fail(EXIT_CODE_USAGE, "policy", "diff: unknown option");
		as_json = true;
	}
	if (argc - optind != 2)
		return cli_fail(EXIT_CODE_USAGE, "policy", "diff: give two policies, the old one first");
	return compare(argv[optind], argv[optind + 1], as_json);
}

const struct policy_command policy_diff_command = {
	.name = "diff",
	.summary = "what is different between two policies",
	.usage = "usage: imastream policy diff OLD NEW [--json]\n\n"
		 "Says what NEW has and OLD has not (+), the other way round (-), and what is known\n"
		 "under the same name with other digests (~). The order of rules, upper-case digits\n"
		 "and members that are missing and have their default are no difference.\n\n"
		 "  --json  one JSON document\n\n"
		 "Exit codes: 0 the same, 1 error (also: one is no good policy), 2 usage, 3 they differ.\n",
	.run = diff,
};
