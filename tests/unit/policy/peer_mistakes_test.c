// SPDX-License-Identifier: Apache-2.0
/* Mistakes of the established verifier, found by running it: each must be none of ours. Those about quotes and boots stand
 * in tests/unit/verifier/peer_mistakes_test.c. docs/keylime.md names these tests. */
#include "policy_helper.h"

#include <stdio.h>

#define HEX32 "b8ae0b8dd04a5935cd8165aa2260cd11b658bd71629bdb52256a675a1f73907b"

static size_t judge(const char *policy, const struct ima_entry *e, struct finding out[4])
{
	cleanup_policy_ struct policy *p = policy_of(policy);
	struct appraisal a = { .policy = p };

	return appraise_entry(&a, e, NULL, 3, out);
}

/* Its option that says "ignore" fails, and the other way round. */
static void violations_option_is_not_inverted(void **state unused_)
{
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", HEX32, "/x");
	struct finding out[4];

	m.entry.violation = true;
	assert_int_equal(judge("{\"violations\":\"ignore\"}", &m.entry, out), 0);
	assert_int_equal(judge("{\"violations\":\"warn\"}", &m.entry, out), 1);
	assert_int_equal(out[0].severity, SEVERITY_WARNING);
	assert_int_equal(judge("{\"violations\":\"fail\"}", &m.entry, out), 1);
	assert_int_equal(out[0].severity, SEVERITY_FAIL);
}

/* It drops all rules when one is broken, and says nothing. */
static void bad_exclude_is_an_error_with_its_place(void **state unused_)
{
	static const char json[] = "{\"digests\":{},\"excludes\":[\"/tmp/\",\"(foo\"]}";
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	assert_int_equal(policy_load_json(&p, (struct bytes){ (const uint8_t *)json, sizeof(json) - 1 }, &report), 1);
	assert_null(p);
	assert_non_null(strstr(writer_cstr(&report.text), "/excludes/1"));
	policy_report_clear(&report);
}

/* "/x" covers "/xylophone", as in Python: but it is never silent, and the digest can still be denied. */
static void exclude_that_covers_more_than_meant_is_told(void **state unused_)
{
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", HEX32, "/xylophone");
	struct finding out[4];

	assert_int_equal(judge("{\"excludes\":[\"/x\"]}", &m.entry, out), 1);
	assert_int_equal(out[0].reason, REASON_EXCLUDED);
	assert_int_equal(out[0].severity, SEVERITY_WARNING);
	assert_int_equal(judge("{\"excludes\":[\"/x$\",\"/x/\"]}", &m.entry, out), 1);
	assert_int_equal(out[0].reason, REASON_DIGEST_UNKNOWN);
	assert_int_equal(judge("{\"excludes\":[\"/x\"],\"deny\":[\"" HEX32 "\"]}", &m.entry, out), 1);
	assert_int_equal(out[0].reason, REASON_DENIED);
}

/* It compares bytes only: a SHA-256 value that is labelled sm3 passes there. */
static void algorithm_label_is_compared(void **state unused_)
{
	cleanup_made_ struct made good = make_entry("ima-ng", "sha256", HEX32, "/x"), bad = make_entry("ima-ng", "sm3", HEX32, "/x");
	struct finding out[4];

	assert_int_equal(judge("{\"digests\":{\"/x\":[\"" HEX32 "\"]}}", &good.entry, out), 0);
	assert_int_equal(judge("{\"digests\":{\"/x\":[\"" HEX32 "\"]}}", &bad.entry, out), 1);
	assert_int_equal(out[0].reason, REASON_DIGEST_ALGORITHM);
}

/* --- templates: it refuses the whole host ---- */

struct tally {
	struct appraisal a;
	size_t entries, judged, findings, malformed, hash;
};

static void judge_all(void *user, const struct ima_entry *e, uint64_t index)
{
	struct tally *t = user;
	struct finding out[4];
	struct ima_fields f;
	size_t n = appraise_entry(&t->a, e, NULL, index, out);

	t->entries++;
	t->findings += n;
	t->judged += ima_fields_parse(e, &f) && f.known && f.digest.n && f.path.n;
	for (size_t i = 0; i < n; i++) {
		t->malformed += out[i].reason == REASON_TEMPLATE_MALFORMED;
		t->hash += out[i].reason == REASON_TEMPLATE_HASH;
	}
}

static void later_templates_are_judged_like_any(void **state unused_)
{
	static const char *const lists[] = { "6.1-evm-sig", "6.1-ima-ngv2", "6.12-custom", "6.12-ima-sigv2", "7.2-custom",
					     "7.2-evm-sig", "7.2-ima-ngv2" };
	cleanup_policy_ struct policy *all = policy_of("{\"excludes\":[\"\"]}");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct tally t = { .a = { .policy = all } };
		char name[128];

		snprintf(name, sizeof(name), "kernel/%s/binary_runtime_measurements", lists[i]);
		(void)each_entry(name, judge_all, &t);
		assert_true(t.entries > 5);
		assert_int_equal(t.malformed, 0);
		assert_int_equal(t.judged, t.entries); /* every digest and path is seen */
	}
}

/* From 6.10 on each bank has a list of its own; the digest in front is of that bank's hash. */
static void template_digest_of_any_hash_is_read_as_such(void **state unused_)
{
	static const char *const columns[] = { "", "_sha1", "_sha256", "_sha384", "_sha512" };

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		struct tally t = { .a = { .check_template_hash = true, .violations = VIOLATION_IGNORE } };
		char name[128];

		snprintf(name, sizeof(name), "kernel/7.2-ima-sig-sha512/binary_runtime_measurements%s", columns[i]);
		(void)each_entry(name, judge_all, &t);
		assert_true(t.entries > 5);
		assert_int_equal(t.hash, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(violations_option_is_not_inverted),
		cmocka_unit_test(bad_exclude_is_an_error_with_its_place),
		cmocka_unit_test(exclude_that_covers_more_than_meant_is_told),
		cmocka_unit_test(algorithm_label_is_compared),
		cmocka_unit_test(later_templates_are_judged_like_any),
		cmocka_unit_test(template_digest_of_any_hash_is_read_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
