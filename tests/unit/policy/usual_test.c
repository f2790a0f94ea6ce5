// SPDX-License-Identifier: Apache-2.0
#include "policy_helper.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KNOWN "{\"digests\":{\"/a\":[\"" A32 "\"]}}"

static bool is_usual(const struct appraisal *a, const struct ima_entry *e, bool listed)
{
	struct appraisal hinted = *a;
	struct policy_hint hint;

	policy_look_ahead(a->policy, e, 1, &listed, &hint);
	hinted.hint = &hint;
	return appraise_is_usual(&hinted, e);
}

/* The short way: what it takes, and each thing that it leaves to the long one. */
static void usual_entries(void **state)
{
	cleanup_policy_ struct policy *p = policy_of(KNOWN);
	cleanup_policy_ struct policy *denies = policy_of("{\"digests\":{\"/a\":[\"" A32 "\"]},\"deny\":[\"" B32 "\"]}");
	cleanup_policy_ struct policy *excludes = policy_of("{\"digests\":{\"/a\":[\"" A32 "\"]},\"excludes\":[\"/a\"]}");
	cleanup_policy_ struct policy *aggregate = policy_of("{\"digests\":{\"boot_aggregate\":[\"" A32 "\"]}}");
	cleanup_made_ struct made known = make_entry("ima-ng", "sha256", A32, "/a"), other = make_entry("ima-ng", "sha256", B32, "/a"),
				  sig = make_entry("ima-sig", "sha256", A32, "/a"), ngv2 = make_entry("ima-ngv2", "sha256", A32, "/a"),
				  boot = make_entry("ima-ng", "sha256", A32, "boot_aggregate");
	struct appraisal_trace trace;
	struct appraisal a = { .policy = p };
	struct ima_entry e = known.entry;

	(void)state;
	made_field(&sig, "", 0);
	assert_true(is_usual(&a, &e, false));
	assert_true(is_usual(&a, &e, true)); /* as from a record of its reference set */
	assert_true(is_usual(&a, &sig.entry, false));
	assert_false(appraise_is_usual(&a, &e)); /* no hint */
	assert_false(is_usual(&a, &other.entry, false));
	assert_false(is_usual(&a, &ngv2.entry, false));
	e.violation = true;
	assert_false(is_usual(&a, &e, false));
	e.violation = false;
	e.name = sig.entry.name; /* a field is missing */
	assert_false(is_usual(&a, &e, true));
	e = sig.entry;
	e.name = known.entry.name; /* one too many */
	assert_false(is_usual(&a, &e, true));
	for (size_t n = 0; n < known.entry.data.n; n++) {
		e = known.entry;
		e.data.n = n;
		assert_false(is_usual(&a, &e, true));
	}
	a.trace = &trace;
	assert_false(is_usual(&a, &known.entry, false));
	a.trace = NULL;
	a.check_template_hash = true;
	e = known.entry;
	e.digest = (struct bytes){ (const uint8_t *)B32, 32 };
	assert_false(is_usual(&a, &e, false));
	a = (struct appraisal){ .policy = denies };
	assert_false(is_usual(&a, &known.entry, false));
	a.policy = excludes;
	assert_false(is_usual(&a, &known.entry, true));
	a.policy = aggregate;
	assert_false(is_usual(&a, &boot.entry, true));
	a.policy = NULL;
	assert_false(is_usual(&a, &known.entry, false));
}

/* A digest that came from the policy's own record is not looked up again, but only under that record's algorithm. */
static void listed_is_not_looked_up(void **state)
{
	cleanup_policy_ struct policy *p = policy_of(KNOWN);
	cleanup_made_ struct made m = make_entry("ima-ng", "sha256", B32, "/b"), v2 = make_entry("ima-ngv2", "ima:sha256", B32, "/b");
	const bool listed = true;
	struct policy_hint hint;
	struct appraisal a = { .policy = p, .hint = &hint };
	struct finding out[4];

	(void)state;
	policy_look_ahead(p, &m.entry, 1, &listed, &hint); /* which is not true: that shows what is asked */
	assert_int_equal(appraise_entry(&a, &m.entry, NULL, 7, out), 0);
	hint.digest.n--;
	assert_int_equal(appraise_entry(&a, &m.entry, NULL, 7, out), 1);
	policy_look_ahead(p, &v2.entry, 1, &listed, &hint);
	assert_int_equal(appraise_entry(&a, &v2.entry, NULL, 7, out), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_entries),
		cmocka_unit_test(listed_is_not_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
