// SPDX-License-Identifier: Apache-2.0
/* Mistakes of the established verifier, found by running it: each must be none of ours. Those about single entries stand in
 * tests/unit/policy/peer_mistakes_test.c. docs/keylime.md names these tests. */
#include <stdio.h>

#include "lib/verifier_bench.h"

static struct bench b;

static void open_bench(void)
{
	static const char json[] = "{\"excludes\":[\"/usr/bin/good\"]}";
	struct policy_report report = { .errors = 0 };
	struct rules rules = bench_rules;
	struct policy *policy = NULL;

	assert_int_equal(policy_load_json(&policy, (struct bytes){ (const uint8_t *)json, sizeof(json) - 1 }, &report), 0);
	assert_int_equal(policies_add(&rules.policies, POLICY_DEFAULT_NAME, &policy), 0);
	policy_report_clear(&report);
	bench_open(&b, HASH_SHA256, "", &rules);
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static void good(size_t n)
{
	static unsigned int count;
	char path[48];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/usr/bin/good-%u", count++);
		bench_measure(&b, path);
	}
}

static void reboot(void)
{
	fake_tpm_reset(&b.tpm);
	for (size_t i = 0; i < b.n; i++)
		writer_free(&b.list[i].data);
	b.n = b.next = 0;
}

/* It keeps an offset into the list and notices a reboot by a shorter list only. */
static void reboot_with_a_longer_list_is_a_reboot(void **state unused_)
{
	open_bench();
	good(5);
	bench_greet(&b);
	bench_prove(&b);
	reboot();
	good(50);
	bench_greet(&b);
	assert_int_equal(b.next, 0);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING); /* excluded, nothing worse */
	assert_int_equal(bench_findings(&b, REASON_LIST_TAMPERED), 0);
	assert_int_equal(bench_events(&b, "rebooted", REASON_REBOOTED), 1);
}

/* There restartCount going back to 0 is a failure for ever. */
static void suspend_then_reboot_is_no_failure(void **state unused_)
{
	open_bench();
	good(2);
	bench_greet(&b);
	bench_prove(&b);
	b.tpm.restarts += 2;
	bench_greet(&b);
	bench_prove(&b);
	reboot();
	good(2);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(attester_boot(bench_attester(&b))->fails, 0);
	good(1);
	bench_prove(&b);
	assert_int_equal(attester_boot(bench_attester(&b))->fails, 0);
}

struct seen {
	unsigned int proven, reported;
};

static int count_bad(void *user, const struct finding_row *row)
{
	struct seen *s = user;

	if (row->reason == REASON_DIGEST_UNKNOWN)
		*(row->proven_real ? &s->proven : &s->reported) += 1;
	return 0;
}

/* There a bad entry behind the quoted point looks as one before it. */
static void entry_behind_the_quote_is_told_as_unproven(void **state unused_)
{
	struct seen s = { 0 };

	open_bench();
	bench_measure(&b, "/usr/bin/bad-and-quoted");
	bench_greet(&b);
	bench_prove(&b);
	bench_measure(&b, "/usr/bin/bad-and-not-quoted");
	bench_report(&b);
	assert_int_equal(b.store->ops->each_finding(b.store, NULL, count_bad, &s), 0);
	assert_int_equal(s.proven, 1);
	assert_int_equal(s.reported, 1);
	bench_prove(&b);
	s = (struct seen){ 0 };
	assert_int_equal(b.store->ops->each_finding(b.store, NULL, count_bad, &s), 0);
	assert_int_equal(s.proven, 2);
}

/* There the first finding stops everything, and the list starts from 0 again. */
static void stream_goes_on_after_a_finding(void **state unused_)
{
	open_bench();
	good(3);
	bench_greet(&b);
	bench_prove(&b);
	bench_measure(&b, "/usr/bin/bad-1");
	good(2);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	bench_measure(&b, "/usr/bin/bad-2");
	bench_greet(&b);
	assert_int_equal(b.next, 6); /* where it was */
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 2);
	assert_int_equal(bench_events(&b, "finding", REASON_DIGEST_UNKNOWN), 2); /* each once */
}

#define TEST(f) cmocka_unit_test_teardown(f, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reboot_with_a_longer_list_is_a_reboot),
		TEST(suspend_then_reboot_is_no_failure),
		TEST(entry_behind_the_quote_is_told_as_unproven),
		TEST(stream_goes_on_after_a_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
