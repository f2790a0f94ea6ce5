// SPDX-License-Identifier: Apache-2.0
/* imastream policy explain */
#include <getopt.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_explain.h"
#include "ima/list.h"
#include "policy/algo.h"
#include "policy/learned.h"

#define TOLD_MAX 50u /* entries of a list */

struct question {
	const char *policy, *log;
	const char *keys[LIMIT_KEYS];
	size_t n_keys;
	uint64_t entries[64];
	size_t n_entries;
	const char *path;
	const char *alg; /* of the digest; NULL: none asked for */
	uint8_t digest[FILE_ALG_MAX_SIZE];
	size_t digest_size;
	bool json;
};

static int load_policy(const char *path, struct policy **out)
{
	cleanup_writer_ struct writer name = WRITER(2048);
	struct policy_report report = { .errors = 0 };
	int r = policy_load_file(out, path, &report);

	if (r > 0)
		fprintf(stderr, "%s", policy_report_text(&report));
	policy_report_clear(&report);
	if (r > 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s is not a good policy", policy_quoted(&name, path));
	return r < 0 ? policy_cannot_read(path, -r) : EXIT_CODE_TRUSTED;
}

static int load_keys(const struct question *q, struct keyring **out)
{
	cleanup_keyring_ struct keyring *k = NULL;
	cleanup_writer_ struct writer name = WRITER(2048);

	if (!q->n_keys)
		return EXIT_CODE_TRUSTED;
	if (keyring_new(&k) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	for (size_t i = 0; i < q->n_keys; i++) {
		cleanup_writer_ struct writer file = WRITER(LIMIT_PEM);
		const char *why = "";
		int r = read_file(q->keys[i], &file);

		if (r < 0)
			return policy_cannot_read(q->keys[i], -r);
		r = keyring_add(k, writer_view(&file), &why);
		if (r > 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "the key %s cannot be used: %s", policy_quoted(&name, q->keys[i]), why);
		if (r < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "explain: %s", strerror(-r));
	}
	*out = TAKE_PTR(k);
	return EXIT_CODE_TRUSTED;
}

/* ---- entries ---- */

static bool asked_for(const struct question *q, const struct ima_entry *e, uint64_t number)
{
	struct ima_fields f;

	for (size_t i = 0; i < q->n_entries; i++)
		if (q->entries[i] == number)
			return true;
	if (!ima_fields_parse(e, &f))
		return false;
	if (q->path && q->alg && !(f.digest.n == q->digest_size && bytes_equal(f.digest.p, q->digest, q->digest_size)))
		return false;
	if (q->path)
		return f.path.n == strlen(q->path) && bytes_equal(f.path.p, q->path, f.path.n);
	return q->alg && f.digest.n == q->digest_size && bytes_equal(f.digest.p, q->digest, q->digest_size);
}

/* Nothing asked for: what there is to say about the list. */
static bool has_findings(const struct explain *x, const struct ima_entry *e, uint64_t index)
{
	struct appraisal a = { .policy = x->policy, .keyring = x->keyring, .learned = x->learned, .check_template_hash = true };
	struct finding findings[4];

	return appraise_entry(&a, e, NULL, index, findings) > 0;
}

/* As log verify and a verifier do: keys that the policy allows vouch for what comes behind them. */
static int learn(struct explain *x, struct learned *keys, const struct ima_entry *e)
{
	struct ima_fields f;
	int r = 0;

	if (!e->violation && ima_fields_parse(e, &f) && learned_wants(x->policy, e, &f))
		r = learned_add(keys, &f);
	x->learned = learned_count(keys) ? learned_keyring(keys) : NULL;
	return r < 0 ? r : 0;
}

static int explain_log(const struct question *q, struct explain *x)
{
	cleanup_learned_ struct learned *keys = NULL;
	cleanup_writer_ struct writer file = WRITER((size_t)LIMIT_LIST_FILE), name = WRITER(2048);
	cleanup_ima_list_ struct ima_list *list = NULL;
	bool all = !q->path && !q->alg && !q->n_entries;
	enum ima_list_result result;
	struct ima_entry e;
	uint64_t index = 0;
	int r = read_file(q->log, &file);

	if (r < 0)
		return policy_cannot_read(q->log, -r);
	if (learned_new(&keys) < 0 || ima_list_new(&list, IMA_LIST_DETECT, 0) < 0 || ima_list_feed(list, file.p, file.n) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	ima_list_finish(list);
	while ((result = ima_list_next(list, &e)) == IMA_LIST_ENTRY) {
		if (x->judged < TOLD_MAX && (all ? has_findings(x, &e, index) : asked_for(q, &e, index + 1))) {
			if (!x->as_json && x->judged)
				write_u8(&x->out, '\n');
			explain_entry(x, &e, index, index + 1, true);
		}
		index++;
		if (learn(x, keys, &e) < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	}
	x->learned = NULL;
	if (result == IMA_LIST_BAD)
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s is not a measurement list to its end: %s", policy_quoted(&name, q->log),
				ima_list_error(list));
	if (!x->judged && !x->as_json)
		write_fmt(&x->out, all ? "%llu entries, nothing to say about any\n" : "%llu entries, none of them is this one\n",
			  (unsigned long long)index);
	if (x->judged == TOLD_MAX && !x->as_json)
		write_fmt(&x->out, "\nonly the first %u are told; ask for a path, a digest or --entry N\n", TOLD_MAX);
	return EXIT_CODE_TRUSTED;
}

/* A path and a digest: the entry that the kernel would write, without a signature. */
static int explain_made(const struct question *q, struct explain *x)
{
	cleanup_writer_ struct writer data = WRITER(LIMIT_ENTRY_DATA);
	struct ima_entry e = { .pcr = 10, .name = policy_text("ima-ng") };
	size_t alg = strlen(q->alg), path = strlen(q->path);

	write_u32le(&data, (uint32_t)(alg + 2 + q->digest_size));
	write_bytes(&data, q->alg, alg);
	write_bytes(&data, ":", 2); /* and its NUL */
	write_bytes(&data, q->digest, q->digest_size);
	write_u32le(&data, (uint32_t)path + 1);
	write_bytes(&data, q->path, path + 1);
	if (writer_status(&data) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "explain: %s", strerror(-writer_status(&data)));
	e.data = writer_view(&data);
	explain_entry(x, &e, strcmp(q->path, "boot_aggregate") == 0 ? 0 : 1, 0, false);
	return EXIT_CODE_TRUSTED;
}

static int answer(const struct question *q, struct explain *x)
{
	int code = EXIT_CODE_TRUSTED, r = 0;

	if (x->as_json) {
		jw_begin(&x->json, &x->out, true);
		jw_object(&x->json, NULL);
		jw_string(&x->json, "policy", policy_id(x->policy));
	}
	if (q->path && !q->log && (x->as_json || !q->alg))
		explain_name(x, policy_text(q->path));
	if (q->alg && !q->log && (x->as_json || !q->path))
		r = explain_digest(x, q->alg, (struct bytes){ q->digest, q->digest_size });
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "explain: %s", strerror(-r));
	if (x->as_json)
		jw_array(&x->json, "entries");
	if (q->log)
		code = explain_log(q, x);
	else if (q->path && q->alg)
		code = explain_made(q, x);
	if (x->as_json) {
		jw_array_end(&x->json);
		jw_object_end(&x->json);
		write_u8(&x->out, '\n');
	}
	if (code != EXIT_CODE_TRUSTED)
		return code;
	if (cli_print(&x->out) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write to standard output");
	return x->failed ? EXIT_CODE_UNTRUSTED : x->judged || (q->log && !q->path && !q->alg && !q->n_entries) ? EXIT_CODE_TRUSTED :
		EXIT_CODE_UNKNOWN;
}

/* ---- arguments ---- */

/* [ALGORITHM:]HEX of a size that a hash has; anything else is a path. */
static bool parse_digest(const char *arg, struct question *q)
{
	const char *colon = strchr(arg, ':'), *hex = colon ? colon + 1 : arg;
	uint8_t alg = colon ? file_alg_from_name((struct bytes){ (const uint8_t *)arg, (size_t)(colon - arg) }) :
			      file_alg_infer(strlen(hex) / 2, FILE_ALG_NONE);

	if (alg == FILE_ALG_NONE || hex_decode(policy_text(hex), q->digest, file_alg_size(alg)) < 0)
		return false;
	q->alg = file_alg_name(alg);
	q->digest_size = file_alg_size(alg);
	return true;
}

static int one_argument(struct question *q, const char *arg)
{
	if (!q->policy) {
		q->policy = arg;
		return EXIT_CODE_TRUSTED;
	}
	if (!q->alg && parse_digest(arg, q))
		return EXIT_CODE_TRUSTED;
	if (q->path)
		return cli_fail(EXIT_CODE_USAGE, "policy", "explain: one path and one digest at a time");
	q->path = arg;
	return EXIT_CODE_TRUSTED;
}

static int one_option(struct question *q, int option)
{
	switch (option) {
	case 'k':
		if (q->n_keys == LIMIT_KEYS)
			return cli_fail(EXIT_CODE_USAGE, "policy", "explain: more than %u keys", LIMIT_KEYS);
		q->keys[q->n_keys++] = optarg;
		return EXIT_CODE_TRUSTED;
	case 'l':
		q->log = optarg;
		return EXIT_CODE_TRUSTED;
	case 'e':
		if (q->n_entries == ARRAY_SIZE(q->entries) || parse_u64(optarg, 1, LIMIT_INDEX, &q->entries[q->n_entries]) < 0)
			return cli_fail(EXIT_CODE_USAGE, "policy", "explain: --entry is a number from 1, at most %zu times",
					ARRAY_SIZE(q->entries));
		q->n_entries++;
		return EXIT_CODE_TRUSTED;
	case 'j':
		q->json = true;
		return EXIT_CODE_TRUSTED;
	default:
		return cli_fail(EXIT_CODE_USAGE, "policy", "explain: unknown option, or one without its value");
	}
}

static int explain(int argc, char **argv)
{
	static const struct option options[] = { { "keyring", required_argument, NULL, 'k' }, { "log", required_argument, NULL, 'l' },
						 { "entry", required_argument, NULL, 'e' },   { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },	      { 0 } };
	cleanup_policy_ struct policy *policy = NULL;
	cleanup_keyring_ struct keyring *keyring = NULL;
	struct explain x = { .out = WRITER(64u << 20) };
	struct question q = { .policy = NULL };
	int code = EXIT_CODE_TRUSTED, o;

	optind = 0;
	while (code == EXIT_CODE_TRUSTED && (o = getopt_long(argc, argv, "k:l:e:jh", options, NULL)) != -1) {
		if (o == 'h')
			return policy_help(&policy_explain_command);
		code = one_option(&q, o);
	}
	for (; code == EXIT_CODE_TRUSTED && optind < argc; optind++)
		code = one_argument(&q, argv[optind]);
	if (code == EXIT_CODE_TRUSTED && (!q.policy || (!q.path && !q.alg && !q.log) || (q.n_entries && !q.log)))
		code = cli_fail(EXIT_CODE_USAGE, "policy", "explain: give a policy, and a path, a digest or --log LIST; --entry goes with --log");
	if (code == EXIT_CODE_TRUSTED)
		code = load_policy(q.policy, &policy);
	if (code == EXIT_CODE_TRUSTED)
		code = load_keys(&q, &keyring);
	if (code != EXIT_CODE_TRUSTED)
		return code;
	x.policy = policy;
	x.keyring = keyring;
	x.as_json = q.json;
	code = answer(&q, &x);
	writer_free(&x.out);
	return code;
}

const struct policy_command policy_explain_command = {
	.name = "explain",
	.summary = "why an entry passes or fails, step by step",
	.usage = "usage: imastream policy explain POLICY [PATH] [[ALG:]DIGEST] [OPTIONS]\n\n"
		 "With a path: what the policy says about it. With a digest: where the policy has it.\n"
		 "With both: how an entry of that path and digest is judged, step by step, as a\n"
		 "verifier does. The numbers are those of docs/policy.md, \"Order of judgement\".\n\n"
		 "  --log LIST     judge the entries of this measurement list that have the path, the\n"
		 "                 digest or the number; without any: those with findings\n"
		 "  --entry N      the N-th entry of the list, from 1; may be repeated\n"
		 "  --keyring KEY  public key or certificate that may sign files; may be repeated\n"
		 "  --json         one JSON document\n\n"
		 "Exit codes: 0 what was judged passes, 1 error, 2 usage, 3 something fails,\n"
		 "            4 nothing was judged.\n",
	.run = explain,
};
