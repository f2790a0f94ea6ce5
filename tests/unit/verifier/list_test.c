// SPDX-License-Identifier: Apache-2.0
/* The list against its quote: changed, shortened, reordered; repeated and late blocks; the window; other PCRs and
 * banks. */
#include <stdio.h>

#include "lib/verifier_bench.h"

static struct bench b;

static void open_with(enum hash_alg bank, size_t entries)
{
	char path[48];

	bench_open(&b, bank, "", &bench_rules);
	bench_greet(&b);
	for (size_t i = 0; i < entries; i++) {
		snprintf(path, sizeof(path), "/usr/bin/tool-%zu", i);
		bench_measure(&b, path);
	}
}

static int open_bench(void **state unused_)
{
	open_with(HASH_SHA256, 20);
	return 0;
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

/* A quote as the collector would send it, over what it reported, whatever that was. */
static void quote_over(uint64_t surely)
{
	bench_quote(&b, surely);
	bench_sign(&b, NULL);
	bench_send_quote(&b);
}

static void untrusted_because(enum reason reason)
{
	assert_int_equal(bench_findings(&b, reason), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

static void one_byte_changed(void **state unused_)
{
	b.list[7].data.p[20] ^= 1;
	bench_report(&b);
	quote_over(b.n);
	bench_expect_ack(&b, b.n, 0);
	assert_true(b.reply.ack.quote_wanted);
	assert_int_equal(b.reply.ack.reason, REASON_LIST_TAMPERED);
	untrusted_because(REASON_LIST_TAMPERED);
	/* the stream goes on, one finding is enough, and no more quotes are asked for */
	bench_measure(&b, "/usr/bin/later");
	bench_report(&b);
	quote_over(b.n);
	bench_expect_ack(&b, b.n, 0);
	assert_false(b.reply.ack.quote_wanted);
	untrusted_because(REASON_LIST_TAMPERED);
}

static void changed_behind_what_is_proven(void **state unused_)
{
	bench_prove(&b);
	bench_measure(&b, "/usr/bin/a");
	bench_measure(&b, "/usr/bin/b");
	b.list[20].data.p[20] ^= 1;
	bench_report(&b);
	quote_over(b.n);
	bench_expect_ack(&b, 22, 20);
	untrusted_because(REASON_LIST_TAMPERED);
}

static void one_entry_removed(void **state unused_)
{
	struct bench_entry out = b.list[9];

	memmove(&b.list[9], &b.list[10], (b.n - 10) * sizeof(*b.list));
	writer_free(&out.data);
	b.n--;
	bench_report(&b);
	quote_over(b.n);
	bench_expect_ack(&b, b.n, 0);
	untrusted_because(REASON_LIST_TAMPERED);
}

static void one_entry_added(void **state unused_)
{
	bench_measure_as(&b, 10, "/usr/bin/made-up", false, false, false);
	bench_measure(&b, "/usr/bin/x");
	bench_report(&b);
	quote_over(b.n);
	/* an entry that was never extended: the same as an extend that the TPM refused */
	bench_expect_ack(&b, 22, 22);
	untrusted_because(REASON_EXTEND_FAILED);
}

static void two_swapped(void **state unused_)
{
	struct bench_entry first = b.list[4];

	b.list[4] = b.list[5];
	b.list[5] = first;
	bench_report(&b);
	quote_over(b.n);
	untrusted_because(REASON_LIST_REORDERED);
	assert_int_equal(bench_findings(&b, REASON_LIST_TAMPERED), 0);
}

static void two_swapped_further_apart(void **state unused_)
{
	struct bench_entry first = b.list[4];

	b.list[4] = b.list[9];
	b.list[9] = first;
	bench_report(&b);
	quote_over(b.n);
	untrusted_because(REASON_LIST_TAMPERED);
}

/* The quote covers 15 entries, and says 20. */
static void matches_only_below_surely(void **state unused_)
{
	struct made_attest early;
	uint8_t digest[HASH_MAX_SIZE], early_pcr[HASH_MAX_SIZE] = { 0 }, now[HASH_MAX_SIZE];

	for (size_t i = 0; i < 15; i++) {
		uint8_t d[HASH_MAX_SIZE];
		struct ima_entry e;

		bench_entry_of(&b, i, &e);
		ima_template_digest(&e, HASH_SHA256, d);
		hash_extend(HASH_SHA256, early_pcr, d);
	}
	bench_report(&b);
	bench_quote(&b, 20);
	bytes_copy(now, b.tpm.pcr[10], sizeof(now));
	bytes_copy(b.tpm.pcr[10], early_pcr, sizeof(now));
	early = fake_tpm_attest(&b.tpm, b.mask, b.attest.nonce, digest);
	bytes_copy(b.tpm.pcr[10], now, sizeof(now));
	b.attest = early;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_ack(&b, 20, 0);
	untrusted_because(REASON_LIST_TRUNCATED);
}

static void behind_the_match_stays_unproven(void **state unused_)
{
	struct wire_quote q;

	bench_report(&b);
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	q = b.quote;
	bench_measure(&b, "/usr/bin/during");
	bench_entries(&b, 20, 1, 0);
	b.quote = q;
	bench_send_quote(&b);
	bench_expect_ack(&b, 21, 20);
	bench_prove(&b);
}

static void tail_missing(void **state unused_)
{
	bench_entries(&b, 0, 15, 0);
	bench_quote(&b, 20);
	b.quote.first = 15;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.from, 15);
	assert_int_equal(b.reply.resume.reason, REASON_LIST_UNREACHED);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNPROVEN);
	bench_entries(&b, 15, 5, 0);
	bench_send_quote(&b); /* the same one, once more */
	bench_expect_ack(&b, 20, 20);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

/* The collector never delivers: nothing is proven, and silence is what is left. */
static void tail_withheld_goes_stale(void **state unused_)
{
	bench_prove(&b);
	bench_measure(&b, "/tmp/evil");
	quote_over(21);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	bench_pass(&b, 122 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

static void entries_behind_a_quote(void **state unused_)
{
	bench_entries(&b, 0, 10, 0);
	bench_entries(&b, 10, 10, 0); /* leaves this block in b.block */
	bench_measure(&b, "/usr/bin/z");
	bench_quote(&b, 21);
	b.quote.first = 10;
	b.quote.block = writer_view(&b.block);
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	assert_int_equal(b.reply.type, WIRE_RESUME); /* still owed: entry 20 */
	assert_int_equal(b.reply.resume.from, 20);
	bench_prove(&b);
}

static void a_promise_is_kept(void **state unused_)
{
	struct made_attest early;
	uint8_t digest[HASH_MAX_SIZE], now[HASH_MAX_SIZE];

	bench_report(&b);
	bytes_copy(now, b.tpm.pcr[10], sizeof(now));
	bench_measure(&b, "/usr/bin/x");
	bench_entries(&b, 20, 1, 21); /* every quote from now on covers 21 */
	bench_quote(&b, 0);
	bytes_copy(b.tpm.pcr[10], now, sizeof(now));
	early = fake_tpm_attest(&b.tpm, b.mask, b.attest.nonce, digest);
	b.attest = early;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_ack(&b, 21, 0);
	untrusted_because(REASON_LIST_TAMPERED);
}

static void floor_past_the_end(void **state unused_)
{
	bench_entries(&b, 0, 20, 1000000);
	bench_expect_ack(&b, 20, 0);
	bench_prove(&b);
}

static void repeated_and_overlapping_blocks(void **state unused_)
{
	bench_entries(&b, 0, 10, 0);
	bench_entries(&b, 0, 10, 0);
	bench_expect_ack(&b, 10, 0);
	bench_entries(&b, 5, 10, 0);
	bench_expect_ack(&b, 15, 0);
	bench_entries(&b, 2, 4, 0);
	bench_expect_ack(&b, 15, 0);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void gap(void **state unused_)
{
	bench_entries(&b, 5, 5, 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.from, 0);
}

static void blocks_out_of_order(void **state unused_)
{
	bench_entries(&b, 0, 5, 0);
	bench_entries(&b, 10, 5, 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.from, 5);
	b.next = 5;
	bench_prove(&b);
}

static void malformed_block_leaves_nothing(void **state unused_)
{
	struct wire_message m = { .type = WIRE_ENTRIES };
	uint64_t events;

	bench_entries(&b, 0, 10, 0);
	events = b.pipeline->journal.last;
	bytes_copy(m.entries.session, b.session, sizeof(b.session));
	m.entries.first = 10;
	m.entries.block = BYTES("this is not a block");
	assert_int_equal(bench_send(&b, &m), 0);
	bench_expect_reject(&b, REASON_PROTOCOL_ERROR);
	assert_int_equal(b.pipeline->journal.last, events);
	bench_greet(&b);
	assert_int_equal(b.next, 10);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void padded_sha1(void **state unused_)
{
	for (int i = 0; i < 3; i++)
		bench_measure_as(&b, 10, "/usr/bin/old-kernel", false, true, true);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_LIST_PADDED_SHA1), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
	/* the form holds for the boot: a native entry does not fit any more */
	bench_measure_as(&b, 10, "/usr/bin/a", false, true, true);
	bench_prove(&b);
	bench_measure_as(&b, 10, "/usr/bin/b", false, true, false);
	bench_report(&b);
	quote_over(b.n);
	untrusted_because(REASON_LIST_TAMPERED);
}

static int open_empty(void **state unused_)
{
	open_with(HASH_SHA256, 0);
	return 0;
}

static void extend_failed_once(void **state unused_)
{
	bench_prove(&b);
	bench_measure_as(&b, 10, "/usr/bin/unlucky", false, false, false);
	bench_measure(&b, "/usr/bin/a");
	bench_report(&b);
	quote_over(b.n);
	bench_expect_ack(&b, 22, 22);
	untrusted_because(REASON_EXTEND_FAILED);
	/* list and PCR agree again from here on, as far as we are concerned */
	bench_measure(&b, "/usr/bin/b");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_EXTEND_FAILED), 1);
}

static void two_failed_extends_in_one_quote_are_too_many(void **state unused_)
{
	bench_measure_as(&b, 10, "/usr/bin/1", false, false, false);
	bench_measure_as(&b, 10, "/usr/bin/2", false, false, false);
	bench_measure(&b, "/usr/bin/3");
	bench_report(&b);
	quote_over(b.n);
	untrusted_because(REASON_LIST_TAMPERED);
}

static void violations(void **state unused_)
{
	bench_measure_as(&b, 10, "/var/log/wtmp", true, true, false);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_VIOLATION), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
}

static void entries_of_another_pcr(void **state unused_)
{
	bench_measure_as(&b, 11, "/usr/bin/in-11", false, true, false);
	bench_measure_as(&b, 11, "/usr/bin/in-11-too", false, true, false);
	bench_measure(&b, "/usr/bin/x");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_PCR_UNCOVERED), 1); /* once, not for each */
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
}

static void another_pcr_that_is_quoted(void **state unused_)
{
	bench_close(&b);
	bench_open(&b, HASH_SHA256, "", &bench_rules);
	b.mask = 0xfff;
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/x");
	bench_prove(&b);
	bench_measure_as(&b, 11, "/usr/bin/in-11", false, true, false);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	bench_measure_as(&b, 11, "/usr/bin/in-11-too", false, true, false);
	b.list[b.n - 1].data.p[20] ^= 1;
	bench_report(&b);
	quote_over(b.n);
	untrusted_because(REASON_LIST_TAMPERED);
}

static void all_banks(void **state unused_)
{
	for (int bank = 0; bank < HASH_COUNT; bank++) {
		bench_close(&b);
		open_with((enum hash_alg)bank, 10);
		bench_prove(&b);
		assert_int_equal(bench_state(&b), bank == HASH_SHA1 ? WIRE_STATE_WARNING : WIRE_STATE_TRUSTED);
	}
}

static void boot_pcr_of_hello_was_a_lie(void **state unused_)
{
	b.tpm.pcr[3][0] ^= 1;
	bench_report(&b);
	quote_over(b.n);
	untrusted_because(REASON_LIST_TAMPERED);
}

static void findings_are_reported_then_proven(void **state unused_)
{
	struct rules strict = bench_rules;

	bench_close(&b);
	strict.appraisal.violations = VIOLATION_FAIL;
	bench_open(&b, HASH_SHA256, "", &strict);
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/a");
	bench_measure_as(&b, 10, "/usr/bin/b", true, true, false);
	bench_report(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED); /* worse before it is proven */
	assert_int_equal(bench_events(&b, "finding", REASON_VIOLATION_REFUSED), 1);
	assert_int_equal(bench_events(&b, "finding-proven", REASON_VIOLATION_REFUSED), 0);
	bench_prove(&b);
	bench_prove(&b);
	assert_int_equal(bench_events(&b, "finding", REASON_VIOLATION_REFUSED), 1);
	assert_int_equal(bench_events(&b, "finding-proven", REASON_VIOLATION_REFUSED), 1);
	assert_int_equal(bench_attester(&b)->boot->unproven_findings, 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

/* Proved in rounds of LIMIT_FINDINGS_KEPT: the round that is full, and one past it. */
static void many_findings_wait_for_proof(void **state unused_)
{
	for (unsigned int i = 0; i < LIMIT_FINDINGS_KEPT + 1; i++)
		bench_measure_as(&b, 10, "/var/log/x", true, true, false);
	bench_report(&b);
	assert_int_equal(attester_boot(bench_attester(&b))->unproven_findings, LIMIT_FINDINGS_KEPT + 1);
	bench_prove(&b);
	assert_int_equal(bench_attester(&b)->boot->unproven_findings, 0);
	assert_int_equal(bench_events(&b, "finding", REASON_VIOLATION), LIMIT_FINDINGS_KEPT + 1);
	assert_int_equal(bench_events(&b, "finding-proven", REASON_VIOLATION), LIMIT_FINDINGS_KEPT + 1);
}

/* --- counts --- */

static void quote_that_counts(uint64_t measured)
{
	bench_quote(&b, b.next);
	b.quote.measured = measured;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	assert_int_equal(b.reply.type, WIRE_ACK);
}

/* The list may be ahead of what wakes the collector: one quote accuses nobody, the next one says whether they came. */
static void counted_and_sent(void **state unused_)
{
	bench_report(&b);
	quote_that_counts(b.n + 3);
	assert_int_equal(bench_attester(&b)->session->measured, b.n + 3);
	for (int i = 0; i < 3; i++)
		bench_measure(&b, "/usr/bin/on-its-way");
	bench_report(&b);
	quote_that_counts(b.n);
	assert_int_equal(bench_findings(&b, REASON_COUNT_MISMATCH), 0);
	quote_that_counts(0); /* an older collector does not tell */
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void counted_and_never_sent(void **state unused_)
{
	bench_report(&b);
	quote_that_counts(b.n + 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	quote_that_counts(b.n);
	untrusted_because(REASON_COUNT_MISMATCH);
	assert_int_equal(bench_events(&b, "finding", REASON_COUNT_MISMATCH), 1);
	quote_that_counts(b.n + 1);
	quote_that_counts(b.n + 1);
	assert_int_equal(bench_events(&b, "finding", REASON_COUNT_MISMATCH), 1);
}

/* What one session was told binds no other. */
static void counted_in_another_session(void **state unused_)
{
	bench_report(&b);
	quote_that_counts(b.n + 1);
	bench_greet(&b);
	quote_that_counts(b.n);
	assert_int_equal(bench_findings(&b, REASON_COUNT_MISMATCH), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)
#define TEST_EMPTY(f) cmocka_unit_test_setup_teardown(f, open_empty, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_byte_changed),
		TEST(changed_behind_what_is_proven),
		TEST(one_entry_removed),
		TEST(one_entry_added),
		TEST(two_swapped),
		TEST(two_swapped_further_apart),
		TEST(matches_only_below_surely),
		TEST(behind_the_match_stays_unproven),
		TEST(tail_missing),
		TEST(tail_withheld_goes_stale),
		TEST(entries_behind_a_quote),
		TEST(a_promise_is_kept),
		TEST(floor_past_the_end),
		TEST(repeated_and_overlapping_blocks),
		TEST(gap),
		TEST(blocks_out_of_order),
		TEST(malformed_block_leaves_nothing),
		TEST_EMPTY(padded_sha1),
		TEST(extend_failed_once),
		TEST(two_failed_extends_in_one_quote_are_too_many),
		TEST(violations),
		TEST(entries_of_another_pcr),
		TEST(another_pcr_that_is_quoted),
		TEST(all_banks),
		TEST(boot_pcr_of_hello_was_a_lie),
		TEST(findings_are_reported_then_proven),
		TEST(many_findings_wait_for_proof),
		TEST(counted_and_sent),
		TEST(counted_and_never_sent),
		TEST(counted_in_another_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
