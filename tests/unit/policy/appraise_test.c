// SPDX-License-Identifier: Apache-2.0
/* The order of judgement (docs/policy.md) and each deliberate difference from Keylime, by name. */
#include "policy_helper.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A20 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
/* The signed entries of keylime-ima/signatures.ascii */
#define DD "d33d5d13792292e202dbf69a6f1b07bc8a02f01424db8489ba7bb7d43c0290ef"

static struct keyring *keys, *no_keys;

/* Judges; asserts the findings, REASON_NONE ends the list. */
static void assert_findings(const struct appraisal *a, const struct ima_entry *e, uint64_t index, enum reason r0, enum reason r1,
			    enum reason r2)
{
	const enum reason want[] = { r0, r1, r2, REASON_NONE };
	struct finding out[4] = { 0 };
	struct policy_hint hint;
	struct ima_fields f;
	size_t n = appraise_entry(a, e, NULL, index, out);

	for (size_t i = 0; i < n; i++) {
		if (out[i].reason != want[i])
			print_message("finding %zu: %s, wanted %s\n", i, reason_name(out[i].reason), reason_name(want[i]));
		assert_int_equal(out[i].reason, want[i]);
		assert_int_equal(out[i].severity, reason_info(want[i])->severity);
		assert_int_equal(out[i].index, index);
	}
	assert_int_equal(want[n], REASON_NONE);
	/* the same with fields parsed by the caller, well or not */
	(void)!ima_fields_parse(e, &f);
	assert_int_equal(appraise_entry(a, e, &f, index, out), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(out[i].reason, want[i]);
	/* and with its look-up prepared; a hint for another path, or another policy, changes nothing */
	policy_look_ahead(a->policy, e, 1, NULL, &hint);
	policy_look_up_ahead(&hint, 1);
	for (int other = 0; other < 3; other++) {
		struct appraisal hinted = *a;

		hinted.hint = &hint;
		assert_true(n == 0 || !appraise_is_usual(&hinted, e)); /* the short way never says more than the long one */
		assert_int_equal(appraise_entry(&hinted, e, NULL, index, out), n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(out[i].reason, want[i]);
		if (other == 0)
			hint.policy = NULL;
		else
			hint.path.n++;
		hint.hash = ~hint.hash;
		hint.slot = ~hint.slot >> 1;
	}
}

static void assert_one(const struct appraisal *a, const struct ima_entry *e, enum reason reason)
{
	assert_findings(a, e, 7, reason, REASON_NONE, REASON_NONE);
}

static void judge(const char *policy, const char *alg, const char *hex, const char *path, enum reason reason)
{
	cleanup_policy_ struct policy *p = policy_of(policy);
	struct appraisal a = { .policy = p };
	cleanup_made_ struct made m = make_entry("ima-ng", alg, hex, path);

	assert_one(&a, &m.entry, reason);
}

#define KNOWN "{\"digests\":{\"/a\":[\"" A32 "\"]}}"

static void known_digest_is_fine(void **state)
{
	(void)state;
	judge(KNOWN, "sha256", A32, "/a", REASON_NONE);
}

static void unknown_path(void **state)
{
	(void)state;
	judge(KNOWN, "sha256", A32, "/b", REASON_DIGEST_UNKNOWN);
	judge("{}", "sha256", A32, "/a", REASON_DIGEST_UNKNOWN);
}

static void other_content(void **state)
{
	(void)state;
	judge(KNOWN, "sha256", B32, "/a", REASON_DIGEST_MISMATCH);
	judge("{\"digests\":{\"/a\":[]}}", "sha256", A32, "/a", REASON_DIGEST_MISMATCH);
}

/* Difference: Keylime compares the bytes only, a changed label passes there. */
static void algorithm_is_compared_too(void **state)
{
	(void)state;
	judge(KNOWN, "sm3", A32, "/a", REASON_DIGEST_ALGORITHM);	/* same length, another hash */
	judge(KNOWN, "foo", A32, "/a", REASON_DIGEST_ALGORITHM);	/* a hash nobody knows */
	judge(KNOWN, "foo", B32, "/a", REASON_DIGEST_MISMATCH);
	judge(KNOWN, "sha512", A32, "/a", REASON_TEMPLATE_MALFORMED);	/* a length the label does not have */
	judge("{\"digests\":{\"/a\":[\"" A20 "\"]}}", "rmd160", A20, "/a", REASON_DIGEST_ALGORITHM);
	judge("{\"ima\":{\"log_hash_alg\":\"sm3\"},\"digests\":{\"/a\":[\"" A32 "\"]}}", "sm3", A32, "/a", REASON_NONE);
	judge("{\"ima\":{\"log_hash_alg\":\"sm3\"},\"digests\":{\"/a\":[\"" A32 "\"]}}", "sha256", A32, "/a", REASON_DIGEST_ALGORITHM);
}

/* Difference: Keylime says nothing about an excluded entry. */
static void excluded_is_a_warning(void **state)
{
	(void)state;
	judge("{\"excludes\":[\"/tmp/\"]}", "sha256", A32, "/tmp/x", REASON_EXCLUDED);
	judge("{\"excludes\":[\"/tmp/\"]}", "sha256", A32, "/var/tmp/x", REASON_DIGEST_UNKNOWN);
	judge("{\"excludes\":[\"/a\"],\"digests\":{\"/a\":[\"" A32 "\"]}}", "sha256", A32, "/a", REASON_EXCLUDED);
}

/* Same as Keylime: anchored at the start only; the peer's trap "/x excludes /xylophone" is kept, and visible. */
static void excludes_are_not_anchored_at_the_end(void **state)
{
	(void)state;
	judge("{\"excludes\":[\"/x\"]}", "sha256", A32, "/xylophone", REASON_EXCLUDED);
	judge("{\"excludes\":[\"/x$\"]}", "sha256", A32, "/xylophone", REASON_DIGEST_UNKNOWN);
}

/* Difference: the entry is judged when a rule cannot be finished. */
static void limit_hit_is_not_excluded(void **state)
{
	(void)state;
	judge("{\"excludes\":[\"/(a*)*\\\\1c|/(a|a)*b\"]}", "sha256", A32, "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
	      REASON_DIGEST_UNKNOWN);
}

/* Difference: Keylime has no deny list. It wins over digests, excludes and signatures. */
static void deny_list_wins(void **state)
{
	cleanup_policy_ struct policy *p = policy_of("{\"deny\":[\"" DD "\"],\"excludes\":[\".*\"]}");
	struct appraisal a = { .policy = p, .keyring = keys };
	size_t n = 0;

	(void)state;
	judge("{\"deny\":[\"" A32 "\"],\"digests\":{\"/a\":[\"" A32 "\"]}}", "sha256", A32, "/a", REASON_DENIED);
	judge("{\"deny\":[\"" A32 "\"],\"digests\":{\"/a\":[\"" B32 "\"]}}", "sha256", B32, "/a", REASON_NONE);
	judge("{\"deny\":[\"" A32 "\"],\"excludes\":[\"/a\"]}", "sha256", A32, "/a", REASON_DENIED);
	judge("{\"deny\":[\"" A32 "\"]}", "sm3", A32, "/a", REASON_DENIED); /* whatever the label says */
	judge("{\"deny\":[\"" A20 "\"]}", "sha256", A32, "/a", REASON_DIGEST_UNKNOWN); /* no prefix */
	{
		cleanup_ima_list_ struct ima_list *list = NULL;
		cleanup_writer_ struct writer file = WRITER(0);
		struct ima_entry e;

		load_file("keylime-ima/signatures.ascii", &file);
		assert_int_equal(ima_list_new(&list, IMA_LIST_DETECT, 0), 0);
		assert_int_equal(ima_list_feed(list, file.p, file.n), 0);
		while (ima_list_next(list, &e) == IMA_LIST_ENTRY && n++ == 0)
			assert_one(&a, &e, REASON_DENIED); /* well signed by a known key */
	}
	assert_int_equal(n, 2);
}

/* Difference: Keylime's option is inverted. */
static void violations_follow_the_rule(void **state)
{
	static const enum reason want[] = { [VIOLATION_IGNORE] = REASON_NONE, [VIOLATION_WARN] = REASON_VIOLATION, [VIOLATION_FAIL] = REASON_VIOLATION_REFUSED };
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", "", "/a");

	(void)state;
	m.entry.violation = true;
	for (int rule = VIOLATION_IGNORE; rule <= VIOLATION_FAIL; rule++) {
		cleanup_policy_ struct policy *p = NULL;
		struct appraisal a = { .violations = (enum violation_rule)rule };
		char json[128];

		assert_one(&a, &m.entry, want[rule]);
		(void)snprintf(json, sizeof(json), "{\"violations\":\"%s\",\"excludes\":[\".*\"]}", violation_rule_name((enum violation_rule)rule));
		p = policy_of(json);
		a.policy = p;
		a.violations = VIOLATION_IGNORE; /* the policy's rule counts */
		assert_one(&a, &m.entry, want[rule]);
	}
	{
		cleanup_policy_ struct policy *p = policy_of("{}");
		struct appraisal a = { .policy = p };

		assert_one(&a, &m.entry, REASON_VIOLATION); /* warn is the default */
	}
}

static void boot_aggregate_first_entry_is_accepted(void **state)
{
	cleanup_policy_ struct policy *without = policy_of("{}");
	cleanup_policy_ struct policy *with = policy_of("{\"digests\":{\"boot_aggregate\":[\"" A32 "\"]}}");
	cleanup_made_ struct made right = make_entry("ima-ng", "sha256", A32, "boot_aggregate");
	cleanup_made_ struct made wrong = make_entry("ima-ng", "sha256", B32, "boot_aggregate");
	struct appraisal a = { .policy = without };
	struct appraisal signatures = { .keyring = no_keys };

	(void)state;
	assert_findings(&a, &right.entry, 0, REASON_NONE, REASON_NONE, REASON_NONE);
	assert_findings(&signatures, &right.entry, 0, REASON_NONE, REASON_NONE, REASON_NONE);
	a.policy = with;
	assert_findings(&a, &right.entry, 0, REASON_NONE, REASON_NONE, REASON_NONE);
	assert_findings(&a, &wrong.entry, 0, REASON_DIGEST_MISMATCH, REASON_NONE, REASON_NONE);
	assert_findings(&a, &right.entry, 9, REASON_NONE, REASON_NONE, REASON_NONE);
}

/* A file whose path is too long is measured under its last name, which its owner chooses. */
static void boot_aggregate_later_is_a_file(void **state)
{
	cleanup_policy_ struct policy *p = policy_of("{}");
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", A32, "boot_aggregate");
	cleanup_made_ struct made path = make_entry("ima-ng", "sha256", A32, "/boot_aggregate");
	struct appraisal a = { .policy = p }, signatures = { .keyring = no_keys };

	(void)state;
	assert_findings(&a, &m.entry, 1, REASON_DIGEST_UNKNOWN, REASON_NONE, REASON_NONE);
	assert_findings(&signatures, &m.entry, 1, REASON_SIGNATURE_MISSING, REASON_NONE, REASON_NONE);
	assert_findings(&a, &path.entry, 0, REASON_DIGEST_UNKNOWN, REASON_NONE, REASON_NONE);
}

static void weak_hashes_are_flagged(void **state)
{
	(void)state;
	judge("{\"digests\":{\"/a\":[\"" A20 "\"]}}", "sha1", A20, "/a", REASON_DIGEST_WEAK);
	judge("{\"digests\":{\"/a\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}}", "md5", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "/a", REASON_DIGEST_WEAK);
	judge("{}", "sha1", A20, "/a", REASON_DIGEST_UNKNOWN); /* nothing vouches: that is what counts */
}

static void nothing_given_nothing_judged(void **state)
{
	cleanup_made_ struct made m = make_entry("ima-ng", "sha1", A20, "/a");
	struct appraisal a = { .policy = NULL };

	(void)state;
	assert_one(&a, &m.entry, REASON_NONE);
}

static void assert_two(const struct appraisal *a, const struct ima_entry *e, enum reason first, enum reason second)
{
	struct finding out[4];

	assert_int_equal(appraise_entry(a, e, NULL, 7, out), 2);
	assert_int_equal(out[0].reason, first);
	assert_int_equal(out[1].reason, second);
}

/* The name is not hashed: giving a template another name must not keep its entries from being judged. */
static void renamed_templates_are_judged_by_their_form(void **state)
{
	static const char *const names[] = { "ima-future", "x", "buf|n-ng", "sig|n-ng", "n-ng|future", "a|b|c" };
	cleanup_policy_ struct policy *p = policy_of("{\"digests\":{\"/good\":[\"" A32 "\"]},\"deny\":[\"" B32 "\"]}");
	struct appraisal a = { .policy = p };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_made_ struct made good = make_entry(names[i], "sha256", A32, "/good");
		cleanup_made_ struct made bad = make_entry(names[i], "sha256", A32, "/bad");
		cleanup_made_ struct made denied = make_entry(names[i], "sha256", B32, "/good");
		cleanup_made_ struct made custom = make_entry(names[i], "sha256", A32, "/bad");
		struct finding out[4];

		made_field(&custom, "\0\1\2\3", 4); /* a field that no built-in template has there */
		made_field(&custom, "\0\1", 2);
		assert_int_equal(appraise_entry(&a, &bad.entry, NULL, 7, out) > 0, 1);
		assert_int_equal(out[0].severity, SEVERITY_FAIL);
		assert_int_equal(appraise_entry(&a, &custom.entry, NULL, 7, out) > 0, 1);
		assert_int_equal(out[0].severity, SEVERITY_FAIL);
		assert_int_equal(appraise_entry(&a, &denied.entry, NULL, 7, out) > 0, 1);
		assert_int_equal(out[0].severity, SEVERITY_FAIL);
		if (i < 2)
			assert_one(&a, &good.entry, REASON_TEMPLATE_UNKNOWN);
	}
}

static void unknown_templates_are_a_warning(void **state)
{
	cleanup_policy_ struct policy *p = policy_of("{\"deny\":[\"" B32 "\"],\"digests\":{\"/a\":[\"" A32 "\"]}}");
	cleanup_made_ struct made m = make_entry("ima-future", "sha256", A32, "/a");
	cleanup_made_ struct made denied = make_entry("d-ng|n-ng|future", "sha256", B32, "/a");
	cleanup_made_ struct made no_path = make_entry("d-ng|d-ng", "sha256", A32, "/a");
	struct appraisal a = { .policy = p }, none = { .policy = NULL };

	(void)state;
	assert_one(&a, &m.entry, REASON_TEMPLATE_UNKNOWN);
	assert_one(&none, &m.entry, REASON_TEMPLATE_UNKNOWN);
	made_field(&denied, "x", 1);
	assert_two(&a, &denied.entry, REASON_DENIED, REASON_TEMPLATE_UNKNOWN); /* what is readable is read */
	writer_reset(&no_path.data);
	made_field(&no_path, "/a", 3);
	no_path.entry.name = BYTES("n-ng");
	assert_one(&a, &no_path.entry, REASON_TEMPLATE_UNKNOWN); /* no digest anywhere */
	assert_one(&none, &no_path.entry, REASON_NONE);
}

static void malformed_entries_fail(void **state)
{
	cleanup_policy_ struct policy *p = policy_of(KNOWN);
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", A32, "/a");
	struct appraisal a = { .policy = p }, none = { .policy = NULL };

	(void)state;
	for (size_t n = 0; n < m.data.n; n++) {
		m.entry.data.n = n;
		assert_one(&a, &m.entry, REASON_TEMPLATE_MALFORMED);
		assert_one(&none, &m.entry, REASON_TEMPLATE_MALFORMED);
	}
}

/* Wrong template hash and what else is wrong: both, worst first. */
static void template_hash_is_one_of_several(void **state)
{
	static const uint8_t zeros[20];
	cleanup_policy_ struct policy *p = policy_of(KNOWN);
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", B32, "/a");
	cleanup_made_ struct made weak = make_entry("ima-ng", "sha1", A20, "/w");
	cleanup_policy_ struct policy *w = policy_of("{\"digests\":{\"/w\":[\"" A20 "\"]}}");
	struct appraisal a = { .policy = p, .check_template_hash = true };
	uint8_t good[HASH_MAX_SIZE];

	(void)state;
	m.entry.digest = (struct bytes){ zeros, 20 };
	assert_findings(&a, &m.entry, 3, REASON_TEMPLATE_HASH, REASON_DIGEST_MISMATCH, REASON_NONE);
	weak.entry.digest = m.entry.digest;
	a.policy = w;
	assert_findings(&a, &weak.entry, 3, REASON_TEMPLATE_HASH, REASON_DIGEST_WEAK, REASON_NONE);
	a.check_template_hash = false;
	assert_findings(&a, &weak.entry, 3, REASON_DIGEST_WEAK, REASON_NONE, REASON_NONE);
	a.check_template_hash = true;
	ima_template_digest(&weak.entry, HASH_SHA1, good);
	weak.entry.digest = (struct bytes){ good, 20 };
	assert_findings(&a, &weak.entry, 3, REASON_DIGEST_WEAK, REASON_NONE, REASON_NONE);
}

/* ---- signatures ---- */

/* /usr/bin/dd as measured and signed in keylime-ima/signatures.ascii; the fields are copied out. */
static void dd_signature(struct writer *sig)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	cleanup_writer_ struct writer file = WRITER(0);
	struct ima_entry e;
	struct ima_fields f;

	*sig = WRITER(4096);
	load_file("keylime-ima/signatures.ascii", &file);
	assert_int_equal(ima_list_new(&list, IMA_LIST_DETECT, 0), 0);
	assert_int_equal(ima_list_feed(list, file.p, file.n), 0);
	assert_int_equal(ima_list_next(list, &e), IMA_LIST_ENTRY);
	assert_true(ima_fields_parse(&e, &f));
	write_bytes(sig, f.sig.p, f.sig.n);
}

static void signatures_and_digests(void **state)
{
	cleanup_policy_ struct policy *empty = policy_of("{}");
	cleanup_policy_ struct policy *known = policy_of("{\"digests\":{\"/usr/bin/dd\":[\"" DD "\"]}}");
	cleanup_policy_ struct policy *excluding = policy_of("{\"excludes\":[\"/usr/bin/dd\"]}");
	cleanup_writer_ struct writer sig = WRITER(0), bad = WRITER(0);
	enum { UNSIGNED, GOOD, BAD, SHORT, EVM };
	static const struct {
		int sig;
		enum reason none, unknown_key, in_keyring; /* no policy: by keyring NULL, empty, with the key */
	} without_policy[] = {
		{ UNSIGNED, REASON_NONE, REASON_SIGNATURE_MISSING, REASON_SIGNATURE_MISSING },
		{ GOOD, REASON_NONE, REASON_SIGNATURE_KEY_UNKNOWN, REASON_NONE },
		{ BAD, REASON_NONE, REASON_SIGNATURE_KEY_UNKNOWN, REASON_SIGNATURE_INVALID },
		{ SHORT, REASON_NONE, REASON_SIGNATURE_MALFORMED, REASON_SIGNATURE_MALFORMED },
		{ EVM, REASON_NONE, REASON_SIGNATURE_MISSING, REASON_SIGNATURE_MISSING },
	};

	(void)state;
	dd_signature(&sig);
	for (size_t i = 0; i < ARRAY_SIZE(without_policy); i++) {
		cleanup_made_ struct made m = make_entry("ima-sig", "sha256", DD, "/usr/bin/dd");
		struct appraisal a = { .policy = NULL };
		enum reason with_key = without_policy[i].in_keyring, without = without_policy[i].unknown_key;

		writer_free(&bad);
		bad = WRITER(4096);
		write_bytes(&bad, sig.p, sig.n);
		if (without_policy[i].sig == BAD)
			bad.p[100] ^= 1;
		else if (without_policy[i].sig == SHORT)
			bad.n--;
		else if (without_policy[i].sig == EVM)
			bad.p[0] = 5;
		made_field(&m, bad.p, without_policy[i].sig == UNSIGNED ? 0 : bad.n);
		assert_one(&a, &m.entry, without_policy[i].none);
		a.keyring = no_keys;
		assert_one(&a, &m.entry, without);
		a.keyring = keys;
		assert_one(&a, &m.entry, with_key);

		/* a policy that does not know the file: the signature alone can vouch, both fail together */
		a.policy = empty;
		if (with_key == REASON_NONE)
			assert_one(&a, &m.entry, REASON_NONE);
		else
			assert_findings(&a, &m.entry, 5, REASON_DIGEST_UNKNOWN,
					with_key == REASON_SIGNATURE_MISSING ? REASON_NONE : with_key, REASON_NONE);
		a.keyring = NULL;
		assert_one(&a, &m.entry, REASON_DIGEST_UNKNOWN);
		/* a policy that does: nothing else is needed */
		a.policy = known;
		assert_one(&a, &m.entry, REASON_NONE);
		a.keyring = no_keys;
		assert_one(&a, &m.entry, REASON_NONE);
		a.keyring = keys;
		assert_one(&a, &m.entry, REASON_NONE);
		/* excluded before anything is verified */
		a.policy = excluding;
		assert_one(&a, &m.entry, REASON_EXCLUDED);
	}
}

/* A signature vouches for its digest, not for the path, and not for another digest. */
static void signature_is_over_the_digest(void **state)
{
	cleanup_writer_ struct writer sig = WRITER(0);
	cleanup_made_ struct made moved = make_entry("ima-sig", "sha256", DD, "/tmp/dd");
	cleanup_made_ struct made other = make_entry("ima-sig", "sha256", A32, "/usr/bin/dd");
	struct appraisal a = { .keyring = keys };

	(void)state;
	dd_signature(&sig);
	made_field(&moved, sig.p, sig.n);
	made_field(&other, sig.p, sig.n);
	assert_one(&a, &moved.entry, REASON_NONE);
	assert_one(&a, &other.entry, REASON_SIGNATURE_INVALID);
}

static void template_without_signature_is_unsigned(void **state)
{
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", DD, "/usr/bin/dd");
	struct appraisal a = { .keyring = keys };

	(void)state;
	assert_one(&a, &m.entry, REASON_SIGNATURE_MISSING);
}

static void keys_of_the_policy_count(void **state)
{
	cleanup_policy_ struct policy *p = load_policy("keylime-ima/policy-verification-keys.json");
	cleanup_writer_ struct writer sig = WRITER(0);
	cleanup_made_ struct made m = make_entry("ima-sig", "sha256", DD, "/usr/bin/dd");
	cleanup_made_ struct made bad = make_entry("ima-sig", "sha256", A32, "/usr/bin/dd");
	struct appraisal a = { .policy = p };

	(void)state;
	dd_signature(&sig);
	made_field(&m, sig.p, sig.n);
	made_field(&bad, sig.p, sig.n);
	assert_one(&a, &m.entry, REASON_NONE);
	assert_findings(&a, &bad.entry, 5, REASON_DIGEST_UNKNOWN, REASON_SIGNATURE_INVALID, REASON_NONE);
	a.keyring = no_keys;
	assert_one(&a, &m.entry, REASON_NONE);
	assert_findings(&a, &bad.entry, 5, REASON_DIGEST_UNKNOWN, REASON_SIGNATURE_INVALID, REASON_NONE);
}

/* ---- buffers ---- */

static void buffers(void **state)
{
	static const struct {
		const char *policy;
		enum reason key, data;
	} cases[] = {
		{ "{}", REASON_BUFFER_UNKNOWN, REASON_BUFFER_UNKNOWN },
		{ "{\"digests\":{\".ima\":[\"" A32 "\"]}}", REASON_BUFFER_UNKNOWN, REASON_BUFFER_UNKNOWN },
		{ "{\"keyrings\":{\".ima\":[\"" A32 "\"]}}", REASON_NONE, REASON_NONE },
		{ "{\"ima-buf\":{\".ima\":[\"" A32 "\"]}}", REASON_NONE, REASON_NONE },
		{ "{\"keyrings\":{\".ima\":[\"" B32 "\"]}}", REASON_BUFFER_UNKNOWN, REASON_BUFFER_UNKNOWN },
		{ "{\"keyrings\":{\".evm\":[\"" A32 "\"]}}", REASON_BUFFER_UNKNOWN, REASON_BUFFER_UNKNOWN },
		{ "{\"excludes\":[\"\\\\.ima\"]}", REASON_EXCLUDED, REASON_EXCLUDED },
		{ "{\"deny\":[\"" A32 "\"],\"keyrings\":{\".ima\":[\"" A32 "\"]}}", REASON_DENIED, REASON_DENIED },
		/* only keys can be ignored */
		{ "{\"ima\":{\"ignored_keyrings\":[\".ima\"]}}", REASON_NONE, REASON_BUFFER_UNKNOWN },
		{ "{\"ima\":{\"ignored_keyrings\":[\"*\"]}}", REASON_NONE, REASON_BUFFER_UNKNOWN },
		{ "{\"ima\":{\"ignored_keyrings\":[\".evm\"]}}", REASON_BUFFER_UNKNOWN, REASON_BUFFER_UNKNOWN },
	};
	cleanup_writer_ struct writer cert = WRITER(0);
	cleanup_made_ struct made key = make_entry("ima-buf", "sha256", A32, ".ima");
	cleanup_made_ struct made data = make_entry("ima-buf", "sha256", A32, ".ima");
	struct appraisal a = { .policy = NULL, .keyring = no_keys };

	(void)state;
	load_file("kernel/6.1-ima-sig/cert.der", &cert);
	made_field(&key, cert.p, cert.n);
	made_field(&data, "6.1.0", 5);
	assert_one(&a, &key.entry, REASON_NONE); /* without a policy buffers are not judged */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_policy_ struct policy *p = policy_of(cases[i].policy);

		a.policy = p;
		assert_one(&a, &key.entry, cases[i].key);
		assert_one(&a, &data.entry, cases[i].data);
	}
}

/* ---- sharing ---- */

struct shared {
	struct policy *p;
	const struct ima_entry *entries[3];
};

static void *judge_often(void *user)
{
	struct shared *s = user;
	struct appraisal a = { .policy = policy_ref(s->p), .keyring = keys };
	static const enum reason want[] = { REASON_NONE, REASON_EXCLUDED, REASON_DIGEST_UNKNOWN };
	struct policy *mine = s->p;
	struct finding out[4];
	void *wrong = NULL;

	for (int i = 0; i < 3000; i++) {
		size_t n = appraise_entry(&a, s->entries[i % 3], NULL, 1, out);

		if ((n ? out[0].reason : REASON_NONE) != want[i % 3])
			wrong = s;
	}
	policy_unref(&mine);
	return wrong;
}

/* Meant for the thread sanitizer. */
static void threads_share_a_policy(void **state)
{
	struct policy *p = policy_of("{\"excludes\":[\"/x/(a|b)+\"],\"digests\":{\"/a\":[\"" A32 "\"]}}");
	cleanup_made_ struct made known = make_entry("ima-ng", "sha256", A32, "/a");
	cleanup_made_ struct made excluded = make_entry("ima-ng", "sha256", A32, "/x/abab");
	cleanup_made_ struct made unknown = make_entry("ima-ng", "sha256", A32, "/c");
	struct shared s = { .p = p, .entries = { &known.entry, &excluded.entry, &unknown.entry } };
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, judge_often, &s), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *wrong = NULL;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	policy_unref(&p);
}

static int setup(void **state)
{
	(void)state;
	if (keyring_new(&keys) < 0 || keyring_new(&no_keys) < 0)
		return -1;
	add_key_file(keys, "keylime-ima/keys/rsa2048pub.pem");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	keyring_free(&keys);
	keyring_free(&no_keys);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_digest_is_fine),
		cmocka_unit_test(unknown_path),
		cmocka_unit_test(other_content),
		cmocka_unit_test(algorithm_is_compared_too),
		cmocka_unit_test(excluded_is_a_warning),
		cmocka_unit_test(excludes_are_not_anchored_at_the_end),
		cmocka_unit_test(limit_hit_is_not_excluded),
		cmocka_unit_test(deny_list_wins),
		cmocka_unit_test(violations_follow_the_rule),
		cmocka_unit_test(boot_aggregate_first_entry_is_accepted),
		cmocka_unit_test(boot_aggregate_later_is_a_file),
		cmocka_unit_test(weak_hashes_are_flagged),
		cmocka_unit_test(nothing_given_nothing_judged),
		cmocka_unit_test(unknown_templates_are_a_warning),
		cmocka_unit_test(renamed_templates_are_judged_by_their_form),
		cmocka_unit_test(malformed_entries_fail),
		cmocka_unit_test(template_hash_is_one_of_several),
		cmocka_unit_test(signatures_and_digests),
		cmocka_unit_test(signature_is_over_the_digest),
		cmocka_unit_test(template_without_signature_is_unsigned),
		cmocka_unit_test(keys_of_the_policy_count),
		cmocka_unit_test(buffers),
		cmocka_unit_test(threads_share_a_policy),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
