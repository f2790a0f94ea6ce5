// SPDX-License-Identifier: Apache-2.0
/* The trace names the step that decided, and changes no finding. */
#include "policy_helper.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C32 "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static const char policy_text[] =
	"{\"digests\":{\"/a\":[\"" A32 "\"]},\"excludes\":[\"/tmp/\",\"/var/\"],\"deny\":[\"" C32 "\"]}";

/* The deciding step, after checking that the same is found with and without the trace. */
static enum appraisal_step decided(const struct policy *p, const struct keyring *k, const struct ima_entry *e, uint64_t index)
{
	struct appraisal_trace trace = { .n = 7 };
	struct appraisal a = { .policy = p, .keyring = k, .violations = VIOLATION_WARN };
	struct finding with[4], without[4];
	size_t n = appraise_entry(&a, e, NULL, index, without);

	a.trace = &trace;
	assert_int_equal(appraise_entry(&a, e, NULL, index, with), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(with[i].reason, without[i].reason);
	assert_true(trace.n > 0);
	for (size_t i = 0; i < trace.n; i++) {
		assert_int_equal(trace.steps[i].answer, i + 1 == trace.n ? APPRAISAL_DECIDED : APPRAISAL_PASSED_ON);
		assert_true(i == 0 || trace.steps[i].step > trace.steps[i - 1].step);
	}
	return trace.steps[trace.n - 1].step;
}

static enum appraisal_step step_of(const struct policy *p, const struct keyring *k, const char *hex, const char *path, uint64_t index)
{
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", hex, path);

	return decided(p, k, &m.entry, index);
}

static void the_deciding_step_is_named(void **state)
{
	cleanup_policy_ struct policy *p = policy_of(policy_text);
	cleanup_keyring_ struct keyring *k = NULL;
	cleanup_made_ struct made violation = make_entry("ima-ng", "sha256", "", "/a");
	cleanup_made_ struct made torn = make_entry("ima-ng", "sha256", A32, "/a");
	cleanup_made_ struct made buffer = make_entry("ima-buf", "sha256", A32, "name");

	(void)state;
	assert_int_equal(keyring_new(&k), 0);
	violation.entry.violation = true;
	torn.entry.data.n--;
	made_field(&buffer, "x", 1);
	assert_int_equal(decided(p, NULL, &violation.entry, 1), APPRAISAL_VIOLATION);
	assert_int_equal(decided(p, NULL, &torn.entry, 1), APPRAISAL_FORM);
	assert_int_equal(decided(p, NULL, &buffer.entry, 1), APPRAISAL_BUFFER);
	assert_int_equal(step_of(p, NULL, C32, "/a", 1), APPRAISAL_DENY);
	assert_int_equal(step_of(NULL, NULL, A32, "/a", 1), APPRAISAL_NO_REFERENCE);
	assert_int_equal(step_of(p, NULL, B32, "boot_aggregate", 0), APPRAISAL_BOOT_AGGREGATE);
	assert_int_equal(step_of(p, NULL, B32, "boot_aggregate", 1), APPRAISAL_NOTHING_VOUCHED);
	assert_int_equal(step_of(p, NULL, B32, "/var/x", 1), APPRAISAL_EXCLUDES);
	assert_int_equal(step_of(p, NULL, A32, "/a", 1), APPRAISAL_DIGEST);
	assert_int_equal(step_of(p, k, B32, "/a", 1), APPRAISAL_NOTHING_VOUCHED);
}

static void signatures_are_told(void **state)
{
	cleanup_policy_ struct policy *p = policy_of(policy_text);
	cleanup_keyring_ struct keyring *k = NULL;
	cleanup_made_ struct made m = make_entry("ima-sig", "sha256", B32, "/a");
	struct appraisal_trace trace;
	struct appraisal a = { .policy = p, .trace = &trace };
	struct finding out[4];

	(void)state;
	made_field(&m, "\x03\x02\x04\x01\x02\x03\x04\x00\x01x", 10);
	assert_true(appraise_entry(&a, &m.entry, NULL, 1, out) > 0);
	assert_false(trace.signature_checked);
	assert_int_equal(keyring_new(&k), 0);
	a.keyring = k;
	assert_true(appraise_entry(&a, &m.entry, NULL, 1, out) > 0);
	assert_true(trace.signature_checked);
	assert_int_equal(trace.signature, IMASIG_KEY_UNKNOWN);
	assert_int_equal(trace.fields.digest.n, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_deciding_step_is_named),
		cmocka_unit_test(signatures_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
