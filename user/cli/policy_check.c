// SPDX-License-Identifier: Apache-2.0
/* imastream policy check */
#include <getopt.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "policy/algo.h"
#include "policy/inspect.h"

/* One line of a report: "error: PLACE: TEXT". */
static void message_json(struct json *j, struct bytes line)
{
	struct reader r = reader_of(line), rest;
	struct bytes severity = read_until(&r, ':'), place;

	(void)read_bytes(&r, 1);
	place = read_until(&r, ':');
	(void)read_bytes(&r, 1);
	rest = r;
	jw_object(j, NULL);
	jw_bytes(j, "severity", severity);
	jw_bytes(j, "place", place);
	jw_bytes(j, "text", read_rest(&rest));
	jw_object_end(j);
}

/* ---- what to think about ---- */

#define CHECKED_MATCHES 20000000u /* path by rule; beyond, nobody wants to wait */

struct census {
	const struct policy *p;
	uint64_t by_alg[FILE_ALG_COUNT];
	uint64_t weak, keyrings, buffers;
	bool matched;
	uint64_t excluded; /* paths that are known and covered by a rule, when matched */
	struct bytes last; /* path */
};

static int count(void *user, const struct policy_item *item)
{
	struct census *c = user;
	uint8_t alg = item->alg ? file_alg_from_name(policy_text(item->alg)) : FILE_ALG_NONE;
	size_t rule;

	c->keyrings += item->section == POLICY_KEYRINGS && item->alg;
	c->buffers += item->section == POLICY_BUFFERS && item->alg;
	if (item->section != POLICY_DIGESTS || alg == FILE_ALG_NONE)
		return 0;
	c->by_alg[alg]++;
	c->weak += file_alg_weak(alg);
	if (c->last.p != item->name.p && c->matched)
		c->excluded += policy_excluded_by(c->p, item->name, &rule);
	c->last = item->name;
	return 0;
}

static struct census take_census(const struct policy *p)
{
	struct census c = { .p = p, .matched = (uint64_t)policy_path_count(p) * policy_exclude_count(p) <= CHECKED_MATCHES };

	(void)!policy_each(p, count, &c); /* a loaded policy is sound */
	return c;
}

/* A rule that is a name and no more: it covers each path that starts so, whatever comes behind. */
static bool is_open_name(struct bytes rule)
{
	struct reader r = reader_of(rule);
	uint8_t c = 0;

	while (reader_left(&r)) {
		c = read_u8(&r);
		if (strchr("\\[](){}*+?^$|", c) || c == 0)
			return false;
	}
	return rule.n && c != '/';
}

static void write_open_names(const struct policy *p, struct writer *w, void (*each)(void *user, const char *text), void *user)
{
	size_t n = 0, first = 0;
	const char *text;

	for (size_t i = policy_exclude_count(p); i > 0; i--) {
		if (!is_open_name(policy_exclude_rule(p, i - 1)))
			continue;
		n++;
		first = i - 1;
	}
	if (!n)
		return;
	writer_reset(w);
	write_fmt(w, "%zu exclude %s as a name without an end, and cover%s longer names, too: rule %zu, ", n,
		  n == 1 ? "rule is written" : "rules are written", n == 1 ? "s" : "", first + 1);
	write_quoted(w, policy_exclude_rule(p, first), 60);
	write_fmt(w, "; end it with $ or /");
	text = writer_cstr(w);
	each(user, text ? text : "");
}

/* One line each, without an end. */
static void write_warnings(const struct census *c, void (*each)(void *user, const char *text), void *user)
{
	cleanup_writer_ struct writer w = WRITER(1024);
	const char *text;
	size_t rule, same;

	if (!policy_digest_count(c->p) && !(policy_keyring(c->p) && keyring_count(policy_keyring(c->p))))
		each(user, "no file is known and no key: every file is refused, but where a verifier has keys");
	if (c->weak) {
		write_fmt(&w, "%llu of %zu digests are SHA-1 or MD5, which vouch for little", (unsigned long long)c->weak,
			  policy_digest_count(c->p));
		text = writer_cstr(&w);
		each(user, text ? text : "");
	}
	write_open_names(c->p, &w, each, user);
	if (policy_excluded_by(c->p, policy_text("/"), &rule) && policy_excluded_by(c->p, policy_text("/~ ~/~"), &same) &&
	    rule == same) {
		writer_reset(&w);
		write_fmt(&w, "exclude rule %zu covers every path: nothing is judged", rule + 1);
		text = writer_cstr(&w);
		each(user, text ? text : "");
	} else if (c->excluded) {
		writer_reset(&w);
		write_fmt(&w, "%llu of %zu paths are known and excluded: their digests are never looked at",
			  (unsigned long long)c->excluded, policy_path_count(c->p));
		text = writer_cstr(&w);
		each(user, text ? text : "");
	}
}

static void warning_json(void *user, const char *text)
{
	jw_string(user, NULL, text);
}

static void warning_text(void *user, const char *text)
{
	write_fmt(user, "%swarning: %s%s\n", style_on(STYLE_WARN), text, style_off());
}

static void census_json(struct json *j, const struct census *c)
{
	jw_u64(j, "keyring_digests", c->keyrings);
	jw_u64(j, "buffer_digests", c->buffers);
	jw_object(j, "algorithms");
	for (uint8_t a = 0; a < FILE_ALG_COUNT; a++)
		if (c->by_alg[a])
			jw_u64(j, file_alg_name(a), c->by_alg[a]);
	jw_object_end(j);
	if (c->matched)
		jw_u64(j, "excluded_paths", c->excluded);
	else
		jw_null(j, "excluded_paths");
	jw_array(j, "warnings");
	write_warnings(c, warning_json, j);
	jw_array_end(j);
}

static void census_text(struct writer *w, const struct census *c)
{
	const char *between = "";

	if (policy_digest_count(c->p))
		write_fmt(w, "      ");
	for (uint8_t a = 0; a < FILE_ALG_COUNT; a++) {
		if (!c->by_alg[a])
			continue;
		write_fmt(w, "%s%s %llu", between, file_alg_name(a), (unsigned long long)c->by_alg[a]);
		between = ", ";
	}
	if (c->keyrings || c->buffers)
		write_fmt(w, "; keys %llu, buffers %llu", (unsigned long long)c->keyrings, (unsigned long long)c->buffers);
	if (policy_digest_count(c->p))
		write_u8(w, '\n');
}

/* ---- output ---- */

static void check_json(struct writer *w, const struct policy *p, struct policy_report *report)
{
	struct reader r = reader_of(writer_view(&report->text));
	struct census census = { .p = NULL };
	struct json j;

	if (p)
		census = take_census(p);
	jw_begin(&j, w, true);
	jw_object(&j, NULL);
	jw_bool(&j, "ok", p != NULL);
	jw_string(&j, "id", p ? policy_id(p) : NULL);
	if (p) {
		jw_u64(&j, "paths", policy_path_count(p));
		jw_u64(&j, "digests", policy_digest_count(p));
		jw_u64(&j, "excludes", policy_exclude_count(p));
		jw_u64(&j, "deny", policy_deny_count(p));
		jw_u64(&j, "keys", policy_keyring(p) ? keyring_count(policy_keyring(p)) : 0);
		jw_string(&j, "violations", violation_rule_name(policy_violation_rule(p)));
		census_json(&j, &census);
	}
	jw_u64(&j, "errors", report->errors);
	jw_u64(&j, "notes", report->notes);
	jw_array(&j, "messages");
	while (reader_left(&r)) {
		struct bytes line = read_until(&r, '\n');

		if (!reader_ok(&r))
			break;
		message_json(&j, line);
	}
	jw_array_end(&j);
	jw_object_end(&j);
	write_u8(w, '\n');
}

static void check_human(struct writer *w, const struct policy *p, struct policy_report *report)
{
	struct reader r = reader_of(writer_view(&report->text));
	unsigned int shown = 0;
	struct census census;

	while (reader_left(&r)) {
		struct bytes line = read_until(&r, '\n');
		bool error = line.n && line.p[0] == 'e';

		if (!reader_ok(&r))
			break;
		write_fmt(w, "%s%.*s%s\n", style_on(error ? STYLE_BAD : STYLE_DIM), (int)line.n, (const char *)line.p, style_off());
		shown++;
	}
	if (shown < report->errors + report->notes)
		write_fmt(w, "... and %u more\n", report->errors + report->notes - shown);
	if (!p) {
		write_fmt(w, "%sbad%s   %u %s: a verifier does not load this policy\n", style_on(STYLE_BAD), style_off(),
			  report->errors, report->errors == 1 ? "error" : "errors");
		return;
	}
	census = take_census(p);
	write_warnings(&census, warning_text, w);
	write_fmt(w, "%sgood%s  %zu paths, %zu digests, %zu excludes, %zu denied, %zu keys; violations: %s\n",
		  style_on(STYLE_GOOD), style_off(), policy_path_count(p), policy_digest_count(p), policy_exclude_count(p),
		  policy_deny_count(p), policy_keyring(p) ? keyring_count(policy_keyring(p)) : 0,
		  violation_rule_name(policy_violation_rule(p)));
	census_text(w, &census);
	write_fmt(w, "      %s\n", policy_id(p));
}

static int check(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	cleanup_writer_ struct writer out = WRITER(1u << 20);
	cleanup_policy_ struct policy *p = NULL;
	struct policy_report report = { .errors = 0 };
	bool as_json = false;
	int c, r;

	optind = 0;
	while ((c = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (c == 'h')
			return policy_help(&policy_check_command);
		if (c != 'j')
			return cli_fail(EXIT_CODE_USAGE, "policy", "check: unknown option");
		as_json = true;
	}
	if (argc - optind != 1)
		return cli_fail(EXIT_CODE_USAGE, "policy", "check: give one policy file");
	r = policy_load_file(&p, argv[optind], &report);
	if (r < 0) {
		policy_report_clear(&report);
		return policy_cannot_read(argv[optind], -r);
	}
	if (as_json)
		check_json(&out, p, &report);
	else
		check_human(&out, p, &report);
	policy_report_clear(&report);
	if (cli_print(&out) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write to standard output");
	return p ? EXIT_CODE_TRUSTED : BAD_POLICY;
}

const struct policy_command policy_check_command = {
	.name = "check",
	.summary = "reads a policy as a verifier does and says what it found, with the place",
	.usage = "usage: imastream policy check POLICY [--json]\n\n"
		 "Reads a policy as a verifier does and says what it found, with the place.\n\n"
		 "  --json         one JSON document\n\n"
		 "Exit codes: 0 fine, 1 error, 2 usage, 3 the policy is bad.\n",
	.run = check,
};
