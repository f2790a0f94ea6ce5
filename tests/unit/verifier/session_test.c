// SPDX-License-Identifier: Apache-2.0
/* Who is let in; boots, reboots and claims of them; heartbeats, deadlines and silence; one session for each attester.
 */
#include <stdio.h>

#include "lib/verifier_bench.h"
#include "base/text.h"
#include "verifier/stages.h"

static struct bench b;

static int open_bench(void **state unused_)
{
	bench_open(&b, HASH_SHA256, "", &bench_rules);
	return 0;
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static void measure(int n)
{
	for (int i = 0; i < n; i++)
		bench_measure(&b, "/usr/bin/x");
}

static void greeting_is_refused(enum reason reason)
{
	struct wire_message m = { .type = WIRE_HELLO, .hello = b.hello };

	assert_int_equal(bench_send(&b, &m), 0);
	bench_expect_reject(&b, reason);
}

/* --- who is let in ---- */

static void with_list(const char *list, struct writer *why, int expect)
{
	struct rules rules = bench_rules;

	bench_close(&b);
	rules.trust_on_first_use = false;
	bench_open(&b, HASH_SHA256, "", &rules);
	assert_int_equal(ak_list_parse(&b.pipeline->rules.ak_list,
				       (struct bytes){ (const uint8_t *)list, strlen(list) }, "tag", why),
			 expect);
}

static void unknown_key_is_refused(void **state unused_)
{
	with_list("# nobody\n", NULL, 0);
	bench_hello(&b);
	greeting_is_refused(REASON_ATTESTER_UNKNOWN);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
	assert_int_equal(bench_events(&b, "rejected", REASON_ATTESTER_UNKNOWN), 1);
}

static void listed_key_is_taken(void **state unused_)
{
	struct writer why = WRITER(4096), text = WRITER(65536);
	uint8_t name[34];

	for (int kind = 0; kind < 4; kind++) {
		with_list("", &why, 0);
		writer_reset(&text);
		assert_int_equal(tpm_public_name(writer_view(&b.tpm.ak_public), name), QUOTE_OK);
		if (kind == 0) {
			write_fmt(&text, "# id and name\n");
			write_hex(&text, name + 2, 32);
			write_fmt(&text, " ");
			write_hex(&text, name, 34);
			write_fmt(&text, " web-7\n");
		} else if (kind == 1) {
			write_fmt(&text, "-\t");
			write_hex(&text, name, 34);
			write_fmt(&text, "\tweb-7");
		} else if (kind == 2) {
			write_fmt(&text, "- ");
			write_hex(&text, b.tpm.ak_public.p, b.tpm.ak_public.n);
			write_fmt(&text, "  web-7\r\n\n");
		} else {
			make_pem(&text, b.tpm.key);
		}
		assert_int_equal(ak_list_parse(&b.pipeline->rules.ak_list, writer_view(&text), "web-7", &why), 0);
		bench_greet(&b);
		assert_string_equal(bench_attester(&b)->label, "web-7");
		assert_int_equal(bench_events(&b, "enrolled", REASON_ENROLLED), 1);
	}
	writer_free(&why);
	writer_free(&text);
}

static void listed_for_another_id(void **state unused_)
{
	struct writer why = WRITER(4096), text = WRITER(65536);
	uint8_t name[34], other[32] = { 1 };

	with_list("", &why, 0);
	assert_int_equal(tpm_public_name(writer_view(&b.tpm.ak_public), name), QUOTE_OK);
	write_hex(&text, other, sizeof(other));
	write_fmt(&text, " ");
	write_hex(&text, name, sizeof(name));
	assert_int_equal(ak_list_parse(&b.pipeline->rules.ak_list, writer_view(&text), NULL, &why), 0);
	bench_hello(&b);
	greeting_is_refused(REASON_ATTESTER_UNKNOWN);
	writer_free(&why);
	writer_free(&text);
}

static void bad_lists_are_refused(void **state unused_)
{
	static const char *const bad[] = { "zz", "- 00", "- 000b00", "-", "0011 000b",
					   "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
					   "-----BEGIN PUBLIC KEY-----\nAAAA\n" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct writer why = WRITER(4096);

		with_list(bad[i], &why, 1);
		assert_true(why.n > 0);
		writer_free(&why);
	}
}

static void id_is_computed_not_believed(void **state unused_)
{
	bench_hello(&b);
	b.hello.attester[0] ^= 1;
	greeting_is_refused(REASON_PROTOCOL_ERROR);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
}

static void test_source_needs_permission(void **state unused_)
{
	struct rules rules = bench_rules;

	b.flags = WIRE_HELLO_TEST_SOURCE;
	bench_hello(&b);
	greeting_is_refused(REASON_TEST_SOURCE);
	rules.allow_test_sources = true;
	bench_restart(&b, &rules);
	bench_greet(&b);
}

static void hello_that_does_not_fit(void **state unused_)
{
	bench_hello(&b);
	b.hello.version = 2;
	greeting_is_refused(REASON_VERSION_UNSUPPORTED);
	bench_hello(&b);
	b.hello.n_boot_pcrs--;
	greeting_is_refused(REASON_PROTOCOL_ERROR);
	bench_hello(&b);
	b.hello.boot_pcrs[0].value.n = 20;
	greeting_is_refused(REASON_PROTOCOL_ERROR);
	bench_hello(&b);
	b.hello.bank = 0x0012; /* SM3 */
	greeting_is_refused(REASON_PROTOCOL_ERROR);
}

static void an_ek_may_not_attest(void **state unused_)
{
	struct writer public = WRITER(LIMIT_PUBLIC);
	struct made_public shape = MADE_AK(0x0018);

	shape.attributes &= ~(1u << 16); /* not restricted: it would sign anything */
	make_public(&public, b.tpm.key, &shape);
	bench_hello(&b);
	b.hello.ak_public = writer_view(&public);
	hash_one(HASH_SHA256, public.p, public.n, b.hello.attester);
	greeting_is_refused(REASON_QUOTE_UNSUPPORTED);
	writer_free(&public);
}

static void refusals_do_not_flood_the_outbox(void **state unused_)
{
	with_list("", NULL, 0);
	bench_hello(&b);
	for (int i = 0; i < 100; i++)
		greeting_is_refused(REASON_ATTESTER_UNKNOWN);
	assert_int_equal(bench_events(&b, "rejected", REASON_NONE), 60);
}

static void garbage_is_refused(void **state unused_)
{
	assert_int_equal(bench_send_bytes(&b, BYTES("")), 0);
	bench_expect_reject(&b, REASON_PROTOCOL_ERROR);
	assert_int_equal(bench_send_bytes(&b, BYTES("\xff\xff\xff")), 0);
	bench_expect_reject(&b, REASON_PROTOCOL_ERROR);
}

/* --- sessions ---- */

static void unknown_session(void **state unused_)
{
	measure(1);
	bench_hello(&b);
	bench_entries(&b, 0, 1, 0);
	bench_expect_reject(&b, REASON_SESSION_UNKNOWN);
	assert_true(b.reply.reject.retry_ms > 0);
}

static void same_greeting_twice_is_one_session(void **state unused_)
{
	uint8_t first[WIRE_SESSION_SIZE];

	bench_knock(&b);
	bytes_copy(first, b.session, sizeof(first));
	bench_knock(&b);
	assert_memory_equal(first, b.session, sizeof(first));
	assert_int_equal(b.pipeline->fleet.sessions, 1);
}

static void a_greeting_that_comes_late_replaces_nothing(void **state unused_)
{
	struct wire_message m = { .type = WIRE_HELLO };

	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	m.hello = b.hello;
	assert_int_equal(bench_send(&b, &m), 0);
	assert_int_equal(b.reply.type, WIRE_WELCOME);
	bench_measure(&b, "/usr/bin/y");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void newer_session_replaces_the_older(void **state unused_)
{
	uint8_t old[WIRE_SESSION_SIZE];

	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	bench_wait(&b);
	bytes_copy(old, b.session, sizeof(old));
	bench_measure(&b, "/usr/bin/y");
	b.hung_up = true; /* it was killed */
	bench_knock(&b);
	assert_int_equal(b.next, 3); /* goes on where it was */
	assert_true(b.held);
	bench_show_key(&b);
	bench_prove(&b);
	assert_false(b.held); /* told */
	assert_int_equal(b.directive.type, WIRE_REJECT);
	assert_int_equal(b.directive.reject.reason, REASON_SESSION_REPLACED);
	bytes_copy(b.session, old, sizeof(old));
	bench_entries(&b, 0, 1, 0);
	bench_expect_reject(&b, REASON_SESSION_REPLACED);
	assert_int_equal(b.pipeline->fleet.sessions, 1);
}

static void sessions_are_bounded(void **state unused_)
{
	size_t before = b.pipeline->fleet.sessions;

	b.pipeline->fleet.sessions = LIMIT_SESSIONS; /* one past it would be ours */
	bench_hello(&b);
	greeting_is_refused(REASON_BUSY);
	b.pipeline->fleet.sessions = LIMIT_SESSIONS - 1;
	bench_greet(&b);
	assert_int_equal(b.pipeline->fleet.sessions, LIMIT_SESSIONS);
	b.flags ^= WIRE_HELLO_POLL_MODE;
	bench_greet(&b); /* who has one may have another in its place */
	assert_int_equal(b.pipeline->fleet.sessions, LIMIT_SESSIONS);
	b.pipeline->fleet.sessions = before + 1;
}

/* --- boots ---- */

static void new_list_after_reboot(void)
{
	for (size_t i = 0; i < b.n; i++)
		writer_free(&b.list[i].data);
	b.n = 0;
}

static void reboot(void **state unused_)
{
	measure(10);
	bench_greet(&b);
	bench_prove(&b);
	fake_tpm_reset(&b.tpm);
	new_list_after_reboot();
	measure(15); /* more than before: Keylime would take it for tampering */
	bench_greet(&b);
	assert_int_equal(b.next, 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED); /* nobody said anything in the new session yet */
	bench_entries(&b, 0, 5, 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_REBOOTING);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_events(&b, "rebooted", REASON_REBOOTED), 1);
	assert_int_equal(bench_attester(&b)->boot->number, 2);
}

static void reboot_washes_untrusted_away_only_with_proof(void **state unused_)
{
	measure(5);
	bench_greet(&b);
	b.list[2].data.p[20] ^= 1;
	bench_report(&b);
	bench_quote(&b, 5);
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	fake_tpm_reset(&b.tpm);
	new_list_after_reboot();
	measure(5);
	bench_greet(&b);
	bench_report(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void false_claim_of_a_reboot(void **state unused_)
{
	measure(5);
	bench_greet(&b);
	bench_prove(&b);
	b.tpm.resets++; /* says so */
	bench_greet(&b);
	assert_int_equal(b.next, 0);
	bench_report(&b);
	bench_quote(&b, 5);
	b.attest.resets--; /* the TPM does not */
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_BOOT_CLAIM_FALSE);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	assert_int_equal(bench_findings(&b, REASON_BOOT_CLAIM_FALSE), 1);
	/* what was known of the true boot is still there */
	b.tpm.resets--;
	bench_greet(&b);
	assert_int_equal(b.next, 5);
	bench_measure(&b, "/usr/bin/y");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

static void bank_does_not_change_within_a_boot(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	bench_prove(&b);
	b.tpm.bank = HASH_SHA384;
	bench_hello(&b);
	greeting_is_refused(REASON_QUOTE_SELECTION);
}

static void a_shorter_list_than_stored(void **state unused_)
{
	measure(10);
	bench_greet(&b);
	bench_prove(&b);
	b.n = 8;
	bench_greet(&b);
	assert_int_equal(b.next, 10);
	bench_quote(&b, 8); /* the PCR did not forget: that decides */
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_ack(&b, 10, 10);
	b.n = 10;
}

/* --- time ---- */

static void heartbeat_challenges(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	bench_prove(&b);
	bench_wait(&b);
	bench_pass(&b, 50 * BENCH_SECOND);
	assert_true(b.held);
	bench_pass(&b, 11 * BENCH_SECOND);
	assert_true(b.directed);
	assert_int_equal(b.directive.type, WIRE_DIRECTIVE);
	assert_true(b.directive.directive.has_nonce);
	bytes_copy(b.nonce, b.directive.directive.nonce, sizeof(b.nonce));
	bench_wait(&b);
	bench_prove(&b);
	assert_int_equal(bench_attester(&b)->heartbeat_quotes, 1);
	bench_pass(&b, 50 * BENCH_SECOND);
	assert_true(b.held);
}

/* A host that slept in the middle of a quote, past a heartbeat: its WAIT is back before its QUOTE, and is answered at once. */
static void quote_behind_two_challenges(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	bench_prove(&b);
	bench_measure(&b, "/usr/bin/y");
	bench_report(&b);
	bench_quote(&b, 3);
	bench_sign(&b, NULL);
	bench_wait(&b);
	bench_pass(&b, 60 * BENCH_SECOND);
	assert_true(b.directed && b.directive.directive.has_nonce);
	bench_pass(&b, 60 * BENCH_SECOND);
	bench_wait(&b);
	bench_pass(&b, 1000);
	assert_true(b.directed);
	assert_int_equal(b.directive.directive.flags, WIRE_DIRECTIVE_QUOTE);
	bench_send_quote(&b);
	bench_expect_ack(&b, 3, 3);
	assert_true(b.reply.ack.quote_wanted); /* that nonce is old */
	assert_int_equal(bench_findings(&b, REASON_QUOTE_NONCE), 0);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_false(b.reply.ack.quote_wanted);
}

static void silence_is_stale_until_proof(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	bench_prove(&b);
	bench_pass(&b, 120 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	bench_pass(&b, 2 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
	assert_int_equal(bench_events(&b, "state", REASON_STALE), 1);
	bench_pass(&b, 500 * BENCH_SECOND);
	assert_int_equal(bench_events(&b, "state", REASON_STALE), 1);
	bench_measure(&b, "/usr/bin/y");
	bench_report(&b); /* talk is not proof */
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
	bench_prove(&b); /* nor is a quote over the nonce of then; its answer has one of now */
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_events(&b, "recovered", REASON_RECOVERED), 1);
}

/* A quote that was made long ago and kept back is only worth its nonce's age. */
static void proof_counts_from_its_nonce(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	bench_report(&b);
	bench_quote(&b, 2);
	bench_sign(&b, NULL);
	bench_pass(&b, 100 * BENCH_SECOND);
	bench_send_quote(&b);
	bench_expect_ack(&b, 2, 2);
	bench_pass(&b, 22 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

/* The wall clock is set while the verifier is down: not a reason to wait longer for a host that says nothing. */
static void clock_set_back_while_down(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	bench_prove(&b);
	b.now.real -= 86400u * BENCH_SECOND;
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	bench_pass(&b, 122 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

/* A batch that fails is read again from the store; the deadline in it is by a wall clock that has been set since. */
static void clock_set_before_a_batch_that_fails(void **state)
{
	const uint64_t day = 86400u * BENCH_SECOND;
	struct wire_message wait = { .type = WIRE_WAIT };

	for (int back = 0; back < 2; back++) {
		measure(2);
		bench_greet(&b);
		bench_prove(&b);
		b.now.real += back ? -day : day;
		b.fail_commit = ENOSPC;
		bytes_copy(wait.wait.session, b.session, sizeof(b.session));
		assert_int_equal(bench_send(&b, &wait), -ENOSPC);
		b.fail_commit = 0;
		bench_pass(&b, 120 * BENCH_SECOND);
		assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
		bench_pass(&b, 2 * BENCH_SECOND);
		assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
		close_bench(state);
		open_bench(state);
	}
}

static void never_proven_is_stale_too(void **state unused_)
{
	bench_greet(&b);
	bench_pass(&b, 122 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

/* Most hosts never drop any: then there are as many zeros as were told. */
static void drops_are_kept(void **state unused_)
{
	uint64_t told[WIRE_DROP_COUNT] = { 0 };
	struct session s = { 0 };

	assert_int_equal(session_keep_drops(&s, told, 3), 0);
	assert_null(s.drops);
	assert_int_equal(s.n_drops, 3);
	told[WIRE_DROP_COUNT - 1] = UINT64_MAX;
	assert_int_equal(session_keep_drops(&s, told, WIRE_DROP_COUNT), 0);
	assert_int_equal(s.n_drops, WIRE_DROP_COUNT);
	assert_memory_equal(s.drops, told, sizeof(told));
	told[WIRE_DROP_COUNT - 1] = 0;
	assert_int_equal(session_keep_drops(&s, told, WIRE_DROP_COUNT), 0);
	assert_memory_equal(s.drops, told, sizeof(told));
	free(s.drops);
}

static void goodbye(void **state unused_)
{
	bench_greet(&b);
	bench_wait(&b);
	pipeline_goodbye(b.pipeline);
	assert_true(b.directed);
	assert_int_equal(b.directive.directive.flags, WIRE_DIRECTIVE_GOODBYE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unknown_key_is_refused),
		TEST(listed_key_is_taken),
		TEST(listed_for_another_id),
		TEST(bad_lists_are_refused),
		TEST(id_is_computed_not_believed),
		TEST(test_source_needs_permission),
		TEST(hello_that_does_not_fit),
		TEST(an_ek_may_not_attest),
		TEST(refusals_do_not_flood_the_outbox),
		TEST(garbage_is_refused),
		TEST(unknown_session),
		TEST(same_greeting_twice_is_one_session),
		TEST(a_greeting_that_comes_late_replaces_nothing),
		TEST(newer_session_replaces_the_older),
		TEST(sessions_are_bounded),
		TEST(reboot),
		TEST(reboot_washes_untrusted_away_only_with_proof),
		TEST(false_claim_of_a_reboot),
		TEST(bank_does_not_change_within_a_boot),
		TEST(a_shorter_list_than_stored),
		TEST(heartbeat_challenges),
		TEST(quote_behind_two_challenges),
		TEST(silence_is_stale_until_proof),
		TEST(proof_counts_from_its_nonce),
		TEST(clock_set_back_while_down),
		TEST(clock_set_before_a_batch_that_fails),
		TEST(never_proven_is_stale_too),
		TEST(drops_are_kept),
		TEST(goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
