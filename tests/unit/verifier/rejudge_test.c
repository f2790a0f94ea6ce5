// SPDX-License-Identifier: Apache-2.0
/* Other rules judge again, slice by slice; a policy that is rolled out overlaps with the one before. */
#include "lib/verifier_bench.h"

#include <stdio.h>

#include "base/text.h"

static struct bench b;

static struct policy *policy_of(const char *json)
{
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	assert_int_equal(policy_load_json(&p, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report), 0);
	policy_report_clear(&report);
	return p;
}

/* A policy that knows these paths with the digests that bench_measure() gives them. */
static struct policy *knows(const char *const *paths, size_t n, const char *denied)
{
	cleanup_writer_ struct writer json = WRITER(1u << 20);

	write_fmt(&json, "{\"digests\":{");
	for (size_t i = 0; i < n; i++) {
		uint8_t digest[32];

		hash_one(HASH_SHA256, paths[i], strlen(paths[i]), digest);
		write_fmt(&json, "%s\"%s\":[\"", i ? "," : "", paths[i]);
		for (size_t k = 0; k < 32; k++)
			write_fmt(&json, "%02x", digest[k]);
		write_fmt(&json, "\"]");
	}
	write_fmt(&json, "}");
	if (denied) {
		uint8_t digest[32];

		hash_one(HASH_SHA256, denied, strlen(denied), digest);
		write_fmt(&json, ",\"deny\":[\"");
		for (size_t k = 0; k < 32; k++)
			write_fmt(&json, "%02x", digest[k]);
		write_fmt(&json, "\"]");
	}
	write_fmt(&json, "}");
	return policy_of(writer_cstr(&json));
}

static const char *const old_paths[] = { "/usr/bin/a", "/usr/bin/old" }, *const new_paths[] = { "/usr/bin/a", "/usr/bin/new" };

static struct rules with(struct policy *policy)
{
	struct rules r = bench_rules;

	assert_int_equal(policies_add(&r.policies, POLICY_DEFAULT_NAME, &policy), 0);
	return r;
}

/* The new policy, and the one before for another `overlap`. */
static struct rules rolling(struct policy *policy, uint64_t overlap)
{
	struct rules r = with(policy);

	r.policies.list[0].before = knows(old_paths, 2, NULL);
	r.policies.list[0].before_until_mono = b.now.mono + overlap;
	r.policies.list[0].before_until_real = b.now.real + overlap;
	return r;
}

static void open_with(struct policy *policy)
{
	struct rules rules = with(policy);

	bench_open(&b, HASH_SHA256, "", &rules);
	bench_greet(&b);
}

static void settle(void)
{
	while (rejudge_pending(&b.pipeline->rejudge))
		assert_int_equal(pipeline_tick(b.pipeline, &b.now), 0);
}

static int end(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static void many(size_t n)
{
	char path[32];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/x/%zu", i % 3 == 0 ? i : 1);
		bench_measure(&b, path);
	}
}

/* --- slices ---- */

static void slices_are_bounded_and_in_order(void **state unused_)
{
	struct policy *all = policy_of("{\"digests\":{},\"excludes\":[\".*\"]}");
	const size_t n = 3 * REJUDGE_SLICE + 10;
	struct rules rules;
	unsigned int slices = 0;
	uint64_t last = 0;

	open_with(all);
	for (size_t i = 0; i < n; i++)
		bench_measure(&b, "/usr/bin/a");
	for (size_t i = 0; i < n; i += 1000)
		bench_entries(&b, i, MIN((size_t)1000, n - i), 0);
	b.next = n;
	rules = with(policy_of("{\"digests\":{\"/nothing\":[]}}"));
	assert_int_equal(pipeline_set_rules(b.pipeline, &rules, &b.now), 0);
	while (rejudge_pending(&b.pipeline->rejudge)) {
		assert_int_equal(pipeline_next_tick(b.pipeline), 1);
		assert_int_equal(pipeline_tick(b.pipeline, &b.now), 0);
		if (rejudge_pending(&b.pipeline->rejudge)) {
			assert_true(b.pipeline->rejudge.next > last || b.pipeline->rejudge.next == n);
			assert_true(b.pipeline->rejudge.next <= last + REJUDGE_SLICE + LIMIT_BLOCK_ENTRIES);
			last = b.pipeline->rejudge.next;
		}
		slices++;
		/* the first slice finds something: the alarm does not wait for the last one */
		assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	}
	assert_true(slices >= 3);
	assert_int_equal(bench_findings(&b, REASON_EXCLUDED), 0);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), LIMIT_FINDINGS);
}

static void new_evidence_does_not_wait(void **state unused_)
{
	struct rules rules;

	open_with(knows(old_paths, 2, NULL));
	many(2 * REJUDGE_SLICE);
	bench_prove(&b);
	rules = with(policy_of("{\"digests\":{\"/y\":[]},\"excludes\":[\"/x/.*\"]}"));
	assert_int_equal(pipeline_set_rules(b.pipeline, &rules, &b.now), 0);
	assert_int_equal(pipeline_tick(b.pipeline, &b.now), 0);
	assert_true(rejudge_pending(&b.pipeline->rejudge));
	bench_measure(&b, "/x/again"); /* under the new rules: excluded */
	bench_measure(&b, "/z");
	bench_prove(&b);
	assert_true(rejudge_pending(&b.pipeline->rejudge));
	settle();
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 1);
	assert_int_equal(bench_attester(&b)->boot->fails, 1);
	assert_int_equal(bench_attester(&b)->boot->unproven_findings, 0);
}

/* The rules change once more before all were judged again. */
static void the_newest_rules_win(void **state unused_)
{
	struct rules rules;

	open_with(knows(old_paths, 2, NULL));
	many(2 * REJUDGE_SLICE);
	bench_prove(&b);
	rules = with(policy_of("{\"digests\":{\"/y\":[]}}"));
	assert_int_equal(pipeline_set_rules(b.pipeline, &rules, &b.now), 0);
	assert_int_equal(pipeline_tick(b.pipeline, &b.now), 0);
	rules = with(policy_of("{\"digests\":{},\"excludes\":[\".*\"]}"));
	bench_set_rules(&b, &rules);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
	assert_int_equal(bench_attester(&b)->boot->fails, 0);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 0);
}

static void an_ending_cuts_nothing_short(void **state unused_)
{
	struct rules rules;

	open_with(knows(old_paths, 2, NULL));
	many(3 * REJUDGE_SLICE);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	rules = with(policy_of("{\"digests\":{},\"excludes\":[\".*\"]}"));
	assert_int_equal(pipeline_set_rules(b.pipeline, &rules, &b.now), 0);
	assert_int_equal(pipeline_tick(b.pipeline, &b.now), 0);
	assert_true(rejudge_pending(&b.pipeline->rejudge));
	rules = with(policy_of("{\"digests\":{},\"excludes\":[\".*\"]}"));
	bench_restart(&b, &rules);
	assert_true(rejudge_pending(&b.pipeline->rejudge));
	settle();
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
	assert_int_equal(bench_attester(&b)->boot->fails, 0);
	rules = with(policy_of("{\"digests\":{},\"excludes\":[\".*\"]}"));
	bench_restart(&b, &rules); /* all is judged: nothing to do */
	assert_false(rejudge_pending(&b.pipeline->rejudge));
	/* the rules changed while nobody looked */
	rules = with(policy_of("{\"digests\":{\"/y\":[]}}"));
	bench_restart(&b, &rules);
	assert_true(rejudge_pending(&b.pipeline->rejudge));
	settle();
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

static void a_failing_store_delays_it(void **state unused_)
{
	struct rules rules;

	open_with(knows(old_paths, 2, NULL));
	many(2 * REJUDGE_SLICE);
	bench_prove(&b);
	rules = with(policy_of("{\"digests\":{},\"excludes\":[\".*\"]}"));
	assert_int_equal(pipeline_set_rules(b.pipeline, &rules, &b.now), 0);
	assert_int_equal(pipeline_tick(b.pipeline, &b.now), 0);
	b.fail_commit = ENOSPC;
	assert_int_equal(pipeline_tick(b.pipeline, &b.now), -ENOSPC);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	assert_true(rejudge_pending(&b.pipeline->rejudge));
	b.fail_commit = 0;
	settle();
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
	assert_int_equal(bench_attester(&b)->boot->fails, 0);
}

/* --- roll-out ---- */

static void no_alarm_before_the_overlap_ends(void **state unused_)
{
	struct rules rules;

	open_with(knows(old_paths, 2, NULL));
	bench_measure(&b, "/usr/bin/a");
	bench_measure(&b, "/usr/bin/old");
	bench_prove(&b);
	bench_wait(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	rules = rolling(knows(new_paths, 2, NULL), 30 * BENCH_SECOND);
	bench_set_rules(&b, &rules);
	assert_true(b.directed);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED); /* what came before */
	assert_int_equal(bench_attester(&b)->boot->by_before, 1);
	bench_measure(&b, "/usr/bin/old");
	bench_measure(&b, "/usr/bin/new");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED); /* and what comes now */
	assert_int_equal(bench_attester(&b)->boot->by_before, 2);
	bench_measure(&b, "/usr/bin/neither");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 1);
	assert_int_equal(pipeline_next_tick(b.pipeline), b.now.mono + 30 * BENCH_SECOND);
	bench_pass(&b, 29 * BENCH_SECOND);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 1);
	bench_pass(&b, 1 * BENCH_SECOND);
	settle();
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 3);
	assert_int_equal(bench_attester(&b)->boot->fails, 3);
	assert_int_equal(bench_attester(&b)->boot->by_before, 0);
	assert_int_equal(bench_events(&b, "policy-overlap-ended", REASON_NONE), 1);
	assert_int_equal(bench_attester(&b)->boot->unproven_findings, 0);
}

static void what_is_denied_is_denied_at_once(void **state unused_)
{
	struct rules rules;

	open_with(knows(old_paths, 2, NULL));
	bench_measure(&b, "/usr/bin/old");
	bench_prove(&b);
	rules = rolling(knows(new_paths, 2, "/usr/bin/old"), 30 * BENCH_SECOND);
	bench_set_rules(&b, &rules);
	assert_int_equal(bench_findings(&b, REASON_DENIED), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

/* What no policy decides stays said. */
static void the_one_before_does_not_speak_for_the_quotes(void **state unused_)
{
	struct rules rules = rolling(knows(new_paths, 2, NULL), 30 * BENCH_SECOND);

	bench_open(&b, HASH_SHA256, "", &rules);
	bench_greet(&b);
	bench_measure_as(&b, 11, "/usr/bin/old", false, true, false);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 0);
	assert_int_equal(bench_findings(&b, REASON_PCR_UNCOVERED), 1);
	assert_int_equal(bench_attester(&b)->boot->by_before + bench_attester(&b)->boot->warnings, 2);
}

/* Who is judged by the same policy as before is left in peace. */
static void only_who_has_another_policy_is_told(void **state unused_)
{
	struct policy *other = knows(new_paths, 2, NULL);
	struct rules rules;

	open_with(knows(old_paths, 2, NULL));
	bench_measure(&b, "/usr/bin/a");
	bench_prove(&b);
	bench_wait(&b);
	rules = with(knows(old_paths, 2, NULL)); /* read again, and one more that judges nobody */
	assert_int_equal(policies_add(&rules.policies, "other", &other), 0);
	bench_set_rules(&b, &rules);
	assert_false(b.directed);
	rules = with(knows(new_paths, 2, NULL));
	bench_set_rules(&b, &rules);
	assert_true(b.directed);
	assert_int_equal(b.directive.directive.flags, WIRE_DIRECTIVE_POLICY);
	other = knows(new_paths, 2, NULL);
	assert_int_equal(b.directive.directive.policy.n, strlen(policy_id(other)));
	assert_true(bytes_equal(b.directive.directive.policy.p, policy_id(other), strlen(policy_id(other))));
	policy_unref(&other);
}

/* --- groups ---- */

static void no_policy_is_not_trusted_in_silence(void **state unused_)
{
	struct rules rules = bench_rules;
	struct policy *other = knows(old_paths, 2, NULL);

	assert_int_equal(policies_add(&rules.policies, "other", &other), 0);
	bench_open(&b, HASH_SHA256, "", &rules);
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/neither");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
	assert_int_equal(bench_findings(&b, REASON_POLICY_MISSING), 1);
	bench_measure(&b, "/usr/bin/more");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_POLICY_MISSING), 1); /* told once */
	rules = with(policy_of("{\"digests\":{},\"excludes\":[\".*\"]}"));
	bench_set_rules(&b, &rules);
	assert_int_equal(bench_findings(&b, REASON_POLICY_MISSING), 0);
	other = knows(old_paths, 2, NULL);
	rules = bench_rules;
	assert_int_equal(policies_add(&rules.policies, "other", &other), 0);
	bench_set_rules(&b, &rules);
	assert_int_equal(bench_findings(&b, REASON_POLICY_MISSING), 1);
	assert_int_equal(bench_findings(&b, REASON_EXCLUDED), 0);
}

/* A host calls itself what it likes: that chooses nothing. */
static void a_label_of_its_own_chooses_nothing(void **state unused_)
{
	static const char lines[] = "weak-* weak\n";
	struct policy *weak = policy_of("{\"digests\":{},\"excludes\":[\".*\"]}");
	cleanup_writer_ struct writer why = WRITER(4096);
	struct rules rules = with(knows(old_paths, 2, NULL));

	assert_int_equal(policies_add(&rules.policies, "weak", &weak), 0);
	assert_int_equal(policies_parse_groups(&rules.policies, (struct bytes){ (const uint8_t *)lines, strlen(lines) },
					       &why), 0);
	bench_open(&b, HASH_SHA256, "", &rules);
	b.label = "weak-1";
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/neither");
	bench_prove(&b);
	assert_string_equal(bench_attester(&b)->label, "weak-1");
	assert_string_equal(pipeline_policy(b.pipeline, bench_attester(&b))->name, POLICY_DEFAULT_NAME);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

/* The operator's label for a key does. */
static void a_label_that_was_given_chooses(void **state unused_)
{
	static const char lines[] = "lab-* weak\n";
	cleanup_writer_ struct writer why = WRITER(4096), list = WRITER(4096);
	struct rules rules = with(knows(old_paths, 2, NULL));
	struct policy *weak = policy_of("{\"digests\":{},\"excludes\":[\".*\"]}");

	assert_int_equal(policies_add(&rules.policies, "weak", &weak), 0);
	assert_int_equal(policies_parse_groups(&rules.policies, (struct bytes){ (const uint8_t *)lines, strlen(lines) },
					       &why), 0);
	rules.trust_on_first_use = false;
	bench_open(&b, HASH_SHA256, "", &rules);
	write_fmt(&list, "- ");
	write_hex(&list, b.tpm.ak_public.p, b.tpm.ak_public.n);
	write_fmt(&list, " lab-7\n");
	assert_int_equal(ak_list_parse(&b.pipeline->rules.ak_list, writer_view(&list), "", &why), 0);
	b.label = "prod-1";
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/neither");
	bench_prove(&b);
	assert_string_equal(bench_attester(&b)->label, "lab-7");
	assert_string_equal(pipeline_policy(b.pipeline, bench_attester(&b))->name, "weak");
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(slices_are_bounded_and_in_order, end),
		cmocka_unit_test_teardown(new_evidence_does_not_wait, end),
		cmocka_unit_test_teardown(the_newest_rules_win, end),
		cmocka_unit_test_teardown(an_ending_cuts_nothing_short, end),
		cmocka_unit_test_teardown(a_failing_store_delays_it, end),
		cmocka_unit_test_teardown(no_alarm_before_the_overlap_ends, end),
		cmocka_unit_test_teardown(what_is_denied_is_denied_at_once, end),
		cmocka_unit_test_teardown(the_one_before_does_not_speak_for_the_quotes, end),
		cmocka_unit_test_teardown(only_who_has_another_policy_is_told, end),
		cmocka_unit_test_teardown(no_policy_is_not_trusted_in_silence, end),
		cmocka_unit_test_teardown(a_label_of_its_own_chooses_nothing, end),
		cmocka_unit_test_teardown(a_label_that_was_given_chooses, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
