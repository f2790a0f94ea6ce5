// SPDX-License-Identifier: Apache-2.0
/* imastream policy list, history, reload, rollback, overlap: what a running verifier has in force, and a change of it. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"

#define ASK_US 5000000u
#define CHANGE_US 120000000u /* a large policy is read by a thread; the answer comes when it is in force */

struct request {
	const char *url;
	const char *name, *generation;
	uint64_t overlap_us;
	bool has_overlap, as_json;
};

static void json_cleanup(json_t **j)
{
	json_decref(*j);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static long long number_of(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static void safe(struct writer *w, const char *s)
{
	write_safe(w, policy_text(s));
}

/* Options that these commands share. 0 go on, 1 help was shown, else the exit code negated. */
static int parse(const struct policy_command *c, int argc, char **argv, int most, struct request *q)
{
	static const struct option options[] = {
		{ "control", required_argument, NULL, 'c' }, { "overlap", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },	     { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int k;

	*q = (struct request){ .url = cli_control_url() };
	optind = 0;
	while ((k = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (k) {
		case 'c':
			q->url = optarg;
			break;
		case 'o':
			q->has_overlap = true;
			if (parse_duration_us(optarg, &q->overlap_us) == 0 && q->overlap_us <= 90ull * 86400 * 1000000)
				break;
			return -cli_fail(EXIT_CODE_USAGE, "policy", "%s: --overlap takes 0 to 2160h, not '%s'", c->name,
					 optarg);
		case 'j':
			q->as_json = true;
			break;
		case 'h':
			(void)policy_help(c);
			return 1;
		default:
			return -cli_fail(EXIT_CODE_USAGE, "policy", "%s: unknown option, or one without its value", c->name);
		}
	}
	if (argc - optind > most)
		return -cli_fail(EXIT_CODE_USAGE, "policy", "%s: too many arguments", c->name);
	q->name = optind < argc ? argv[optind] : NULL;
	q->generation = optind + 1 < argc ? argv[optind + 1] : NULL;
	return 0;
}

/* The answer as JSON in *doc; an exit code when there is none to show. */
static int ask(const struct request *q, const char *key, const char *value, uint64_t generation, uint64_t timeout_us,
	       struct writer *answer, json_t **doc)
{
	cleanup_writer_ struct writer question = WRITER(65536);
	const char *text;
	struct json j;
	int r;

	jw_begin(&j, &question, false);
	jw_object(&j, NULL);
	jw_string(&j, key, value);
	if (q->name)
		jw_string(&j, "name", q->name);
	if (generation)
		jw_u64(&j, "generation", generation);
	if (q->has_overlap)
		jw_u64(&j, "overlap_s", (q->overlap_us + 999999u) / 1000000u);
	jw_object_end(&j);
	text = writer_cstr(&question);
	r = text ? cli_ask(q->url, text, timeout_us, answer) : -ENOMEM;
	if (r < 0)
		return cli_not_asked("policy", q->url, r);
	*doc = json_loadb((const char *)answer->p, answer->n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(*doc))
		return cli_fail(EXIT_CODE_ERROR, "policy", "the verifier's answer is not JSON");
	if (*text_of(*doc, "error")) {
		cleanup_writer_ struct writer w = WRITER(65536);

		safe(&w, text_of(*doc, "error"));
		return cli_fail(EXIT_CODE_ERROR, "policy", "the verifier says: %s", writer_cstr(&w) ? (char *)w.p : "");
	}
	return EXIT_CODE_TRUSTED;
}

static int show(const struct request *q, struct writer *answer, struct writer *text)
{
	int r;

	if (q->as_json)
		write_u8(answer, '\n');
	r = cli_print(q->as_json ? answer : text);
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "policy", "cannot write the answer: %s", strerror(-r)) : EXIT_CODE_TRUSTED;
}

/* --- questions ---- */

static int list(int argc, char **argv)
{
	cleanup_writer_ struct writer answer = WRITER(64u << 20), w = WRITER(64u << 20);
	cleanup_(json_cleanup) json_t *doc = NULL;
	const json_t *policy;
	struct request q;
	size_t i;
	int r = parse(&policy_list_command, argc, argv, 0, &q);

	if (r != 0)
		return r > 0 ? EXIT_CODE_TRUSTED : -r;
	r = ask(&q, "get", "policies", 0, ASK_US, &answer, &doc);
	if (r != EXIT_CODE_TRUSTED)
		return r;
	write_fmt(&w, "%s%-20s  %-10s  %-20s  %-8s  %s%s\n", style_on(STYLE_HEAD), "POLICY", "GENERATION", "ID", "DIGESTS",
		  "SIGNED BY", style_off());
	json_array_foreach(json_object_get(doc, "policies"), i, policy) {
		const json_t *overlap = json_object_get(policy, "overlap");

		write_fmt(&w, "%-20s  %-10lld  %-20.20s  %-8lld  ", text_of(policy, "name"), number_of(policy, "generation"),
			  text_of(policy, "id"), number_of(policy, "digests"));
		safe(&w, *text_of(policy, "signer") ? text_of(policy, "signer") : "-");
		if (json_is_true(json_object_get(policy, "rolled_back")))
			write_fmt(&w, "\n    rolled back: its file is not taken again before it changes");
		if (json_is_object(overlap)) {
			write_fmt(&w, "\n    generation %lld is accepted until ", number_of(overlap, "generation"));
			safe(&w, text_of(overlap, "until"));
		}
		write_u8(&w, '\n');
	}
	if (number_of(doc, "rejudging"))
		write_fmt(&w, "%lld attesters are being judged again\n", number_of(doc, "rejudging"));
	return show(&q, &answer, &w);
}

static int history(int argc, char **argv)
{
	cleanup_writer_ struct writer answer = WRITER(64u << 20), w = WRITER(64u << 20);
	cleanup_(json_cleanup) json_t *doc = NULL;
	const json_t *row;
	struct request q;
	size_t i;
	int r = parse(&policy_history_command, argc, argv, 1, &q);

	if (r != 0)
		return r > 0 ? EXIT_CODE_TRUSTED : -r;
	r = ask(&q, "get", "policy-history", 0, ASK_US, &answer, &doc);
	if (r != EXIT_CODE_TRUSTED)
		return r;
	write_fmt(&w, "%s%-16s  %-10s  %-20s  %-24s  %-9s  %-24s  %-4s  %s%s\n", style_on(STYLE_HEAD), "POLICY",
		  "GENERATION", "ID", "SINCE", "BY", "ACCEPTED UNTIL", "KEPT", "SIGNED BY", style_off());
	json_array_foreach(json_object_get(doc, "history"), i, row) {
		write_fmt(&w, "%-16s  %-10lld  %-20.20s  %-24.24s  %-9s  %-24.24s  %-4s  ", text_of(row, "name"),
			  number_of(row, "generation"), text_of(row, "id"), text_of(row, "loaded"), text_of(row, "reason"),
			  *text_of(row, "until") ? text_of(row, "until") : "in force",
			  json_is_true(json_object_get(row, "kept")) ? "yes" : "no");
		safe(&w, *text_of(row, "signer") ? text_of(row, "signer") : "-");
		if (*text_of(row, "who")) {
			write_fmt(&w, "  asked by ");
			safe(&w, text_of(row, "who"));
		}
		write_u8(&w, '\n');
	}
	return show(&q, &answer, &w);
}

/* --- changes ---- */

static int change(const struct policy_command *c, int argc, char **argv, const char *what, int most)
{
	cleanup_writer_ struct writer answer = WRITER(64u << 20), w = WRITER(1u << 20);
	cleanup_(json_cleanup) json_t *doc = NULL;
	uint64_t generation = 0;
	struct request q;
	int r = parse(c, argc, argv, most, &q);

	if (r != 0)
		return r > 0 ? EXIT_CODE_TRUSTED : -r;
	if (most > 0 && !q.name)
		return cli_fail(EXIT_CODE_USAGE, "policy", "%s: of which policy? See imastream policy list", what);
	if (strcmp(what, "overlap") == 0) {
		if (!q.generation || parse_duration_us(q.generation, &q.overlap_us) < 0)
			return cli_fail(EXIT_CODE_USAGE, "policy", "overlap: give a policy and a duration; 0 ends it");
		q.has_overlap = true;
	} else if (q.generation && parse_u64(q.generation, 1, UINT32_MAX, &generation) < 0) {
		return cli_fail(EXIT_CODE_USAGE, "policy", "%s: a generation is a number: see imastream policy history", what);
	}
	r = ask(&q, "policy", what, generation, CHANGE_US, &answer, &doc);
	if (r != EXIT_CODE_TRUSTED)
		return r;
	safe(&w, text_of(doc, "text"));
	write_u8(&w, '\n');
	return show(&q, &answer, &w);
}

static int reload(int argc, char **argv)
{
	return change(&policy_reload_command, argc, argv, "reload", 0);
}

static int rollback(int argc, char **argv)
{
	return change(&policy_rollback_command, argc, argv, "rollback", 2);
}

static int overlap(int argc, char **argv)
{
	return change(&policy_overlap_command, argc, argv, "overlap", 2);
}

#define COMMON                                                                        \
	"  --control URL       the verifier's control socket (IMASTREAM_CONTROL)\n"   \
	"  --json              the verifier's answer as it is\n"
#define CODES "\nExit codes: 0 fine, 1 the verifier refused, 2 usage, 5 no verifier.\n"

const struct policy_command policy_list_command = {
	.name = "list",
	.summary = "what a running verifier judges by",
	.usage = "usage: imastream policy list [--control URL] [--json]\n\nShows the policies in force.\n\n" COMMON CODES,
	.run = list,
};

const struct policy_command policy_history_command = {
	.name = "history",
	.summary = "which policy was in force when, by what, and who signed it",
	.usage = "usage: imastream policy history [NAME] [--control URL] [--json]\n\n"
		 "Shows the generations of one policy, or of all. Those that are kept can be rolled back to.\n\n" COMMON CODES,
	.run = history,
};

const struct policy_command policy_reload_command = {
	.name = "reload",
	.summary = "have the policies read again",
	.usage = "usage: imastream policy reload [--overlap DURATION] [--control URL] [--json]\n\n"
		 "Has a verifier read its files again, as SIGHUP does, and waits until they are in force or refused.\n\n"
		 "  --overlap DURATION  what the ones before accept makes no alarm for this long (default --policy-overlap)\n"
		 COMMON CODES,
	.run = reload,
};

const struct policy_command policy_rollback_command = {
	.name = "rollback",
	.summary = "put an older policy in force",
	.usage = "usage: imastream policy rollback NAME [GENERATION] [--overlap DURATION] [--control URL] [--json]\n\n"
		 "Puts a kept generation in force, as a new one; without a number the newest that is another policy. The\n"
		 "signature it had must hold under the keys of today. The file is not taken again before it changes.\n\n"
		 "  --overlap DURATION  what the one of now accepts makes no alarm for this long (default 0)\n" COMMON CODES,
	.run = rollback,
};

const struct policy_command policy_overlap_command = {
	.name = "overlap",
	.summary = "how long the policy before is accepted too",
	.usage = "usage: imastream policy overlap NAME DURATION [--control URL] [--json]\n\n"
		 "What the generation before the newest accepts makes no alarm for this long, from now; 0 ends it at once.\n\n"
		 COMMON CODES,
	.run = overlap,
};
