// SPDX-License-Identifier: Apache-2.0
/* A session counts from its first good QUOTE on: before it, whoever knows a public key could have opened it. And of two
 * hosts with one key, the one that was here stays as long as it answers. */
#include "lib/verifier_bench.h"

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

/* A collector's view of its own session. */
struct side {
	uint8_t session[WIRE_SESSION_SIZE], nonce[WIRE_NONCE_SIZE], previous[WIRE_DIGEST_SIZE];
	uint64_t seq, next;
};

static struct side leave(void)
{
	struct side s = { .seq = b.seq, .next = b.next };

	bytes_copy(s.session, b.session, sizeof(s.session));
	bytes_copy(s.nonce, b.nonce, sizeof(s.nonce));
	bytes_copy(s.previous, b.previous, sizeof(s.previous));
	return s;
}

static void be(const struct side *s)
{
	bytes_copy(b.session, s->session, sizeof(s->session));
	bytes_copy(b.nonce, s->nonce, sizeof(s->nonce));
	bytes_copy(b.previous, s->previous, sizeof(s->previous));
	b.seq = s->seq;
	b.next = s->next;
}

static void prove_some(void)
{
	for (int i = 0; i < 3; i++)
		bench_measure(&b, "/usr/bin/x");
	bench_greet(&b);
	bench_prove(&b);
}

/* --- who has not shown the key ---- */

static void entries_of_a_stranger_change_nothing(void **state unused_)
{
	struct side host;

	prove_some();
	host = leave();
	bench_measure_as(&b, 10, "/tmp/never-there", false, false, false);
	bench_knock(&b);
	bench_entries(&b, 3, 1, 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.reason, REASON_SESSION_UNPROVEN);
	assert_int_equal(b.reply.resume.from, 3);
	assert_int_equal(bench_attester(&b)->boot->next, 3);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	b.n--;
	writer_free(&b.list[b.n].data);
	be(&host); /* its session goes on as if nothing had been */
	bench_measure(&b, "/usr/bin/y");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_events(&b, "finding", REASON_NONE), 0);
}

/* First thing of a host that was never here: nothing is stored of it either. */
static void entries_before_any_proof_change_nothing(void **state unused_)
{
	bench_measure(&b, "/usr/bin/x");
	bench_knock(&b);
	bench_entries(&b, 0, 1, 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.reason, REASON_SESSION_UNPROVEN);
	assert_null(bench_attester(&b)->boot);
	assert_null(bench_attester(&b)->claimed);
	assert_int_equal(bench_state(&b), WIRE_STATE_ENROLLING);
	bench_show_key(&b);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void a_bad_signature_of_a_stranger_blames_nobody(void **state unused_)
{
	EVP_PKEY *other = make_key(MADE_P256);
	struct side host;

	prove_some();
	host = leave();
	bench_knock(&b);
	bench_quote(&b, 3);
	bench_sign(&b, other);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_SIGNATURE);
	assert_int_equal(bench_findings(&b, REASON_QUOTE_SIGNATURE), 0);
	assert_int_equal(bench_events(&b, "rejected", REASON_QUOTE_SIGNATURE), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_attester(&b)->n_pending, 0);
	be(&host);
	bench_prove(&b);
	EVP_PKEY_free(other);
}

/* The same from the session in use is the host's own doing. */
static void a_bad_signature_of_the_host_is_a_finding(void **state unused_)
{
	EVP_PKEY *other = make_key(MADE_P256);

	prove_some();
	bench_quote(&b, 3);
	bench_sign(&b, other);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_SIGNATURE);
	assert_int_equal(bench_findings(&b, REASON_QUOTE_SIGNATURE), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	EVP_PKEY_free(other);
}

/* What the key signed speaks for the host, also in a session's first quote: else a clock that went back would cost it
 * nothing but a session. */
static void what_the_key_signed_is_blamed_at_once(void **state unused_)
{
	prove_some();
	b.hung_up = true;
	bench_knock(&b);
	bench_quote(&b, 3);
	b.attest.clock_ms = 1;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_CLOCK);
	assert_int_equal(bench_findings(&b, REASON_QUOTE_CLOCK), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

static void a_boot_that_a_stranger_announces_is_nobodys(void **state unused_)
{
	struct side host;

	prove_some();
	host = leave();
	for (int i = 0; i < 5; i++) {
		b.tpm.resets++;
		bench_knock(&b);
		assert_int_equal(b.next, 0);
		assert_null(bench_attester(&b)->claimed);
	}
	b.tpm.resets -= 5;
	assert_int_equal(bench_attester(&b)->boots, 1);
	be(&host);
	bench_measure(&b, "/usr/bin/y");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_events(&b, "rebooted", REASON_NONE), 0);
}

static void a_hello_does_not_end_silence(void **state unused_)
{
	prove_some();
	bench_pass(&b, 122 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
	bench_knock(&b);
	bench_wait(&b);
	bench_pass(&b, 61 * BENCH_SECOND); /* its WAIT is answered as any other */
	assert_true(b.directed);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

static void a_wait_of_a_session_that_goes_is_answered(void **state unused_)
{
	bench_knock(&b);
	bench_wait(&b);
	b.flags = WIRE_HELLO_POLL_MODE;
	bench_knock(&b);
	assert_false(b.held);
	assert_int_equal(b.directive.type, WIRE_REJECT);
	assert_int_equal(b.directive.reject.reason, REASON_SESSION_UNKNOWN);
}

/* --- two hosts ---- */

static void answer_the_challenge(struct side *host)
{
	assert_true(b.directed);
	assert_int_equal(b.directive.type, WIRE_DIRECTIVE);
	assert_true(b.directive.directive.flags & WIRE_DIRECTIVE_QUOTE);
	be(host);
	bytes_copy(b.nonce, b.directive.directive.nonce, sizeof(b.nonce));
	bench_prove(&b);
	bench_wait(&b);
	*host = leave();
}

static void a_second_host_with_the_key_is_refused(void **state unused_)
{
	struct side host, copy;

	prove_some();
	bench_wait(&b);
	host = leave();
	bench_knock(&b);
	copy = leave();
	answer_the_challenge(&host);
	be(&copy);
	bench_show_key(&b);
	bench_expect_reject(&b, REASON_IDENTITY_DUPLICATE);
	assert_int_equal(bench_findings(&b, REASON_IDENTITY_DUPLICATE), 1);
	assert_int_equal(bench_events(&b, "rejected", REASON_IDENTITY_DUPLICATE), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	/* again and again: one event, one finding */
	for (int i = 0; i < 5; i++) {
		bench_pass(&b, BENCH_SECOND);
		bench_knock(&b);
		bench_show_key(&b);
		bench_expect_reject(&b, REASON_IDENTITY_DUPLICATE);
	}
	assert_int_equal(bench_findings(&b, REASON_IDENTITY_DUPLICATE), 1);
	assert_int_equal(bench_events(&b, "rejected", REASON_IDENTITY_DUPLICATE), 1);
	be(&host); /* the one that was here is still in its session */
	bench_measure(&b, "/usr/bin/y");
	bench_prove(&b);
}

/* After a while the older one is asked again: it may have died without a word. */
static void the_older_one_is_asked_again_later(void **state unused_)
{
	struct side host;

	prove_some();
	bench_wait(&b);
	host = leave();
	bench_knock(&b);
	answer_the_challenge(&host);
	bench_pass(&b, 11 * BENCH_SECOND);
	b.directed = false;
	b.flags = WIRE_HELLO_POLL_MODE; /* else it is the same HELLO once more */
	bench_knock(&b);
	assert_true(b.directed);
	bench_show_key(&b);
	bench_expect_reject(&b, REASON_BUSY);
	bench_pass(&b, 4 * BENCH_SECOND);
	bench_knock(&b);
	bench_show_key(&b); /* it did not answer */
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(bench_findings(&b, REASON_IDENTITY_DUPLICATE), 0);
}

static void a_newcomer_waits_for_the_older_ones_answer(void **state unused_)
{
	prove_some();
	bench_wait(&b);
	bench_knock(&b);
	bench_show_key(&b);
	bench_expect_reject(&b, REASON_BUSY);
	assert_true(b.reply.reject.retry_ms > 0 && b.reply.reject.retry_ms <= 3000);
	bench_pass(&b, 3 * BENCH_SECOND);
	bench_knock(&b);
	bench_show_key(&b);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	bench_measure(&b, "/usr/bin/y");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void a_closed_connection_is_no_rival(void **state unused_)
{
	prove_some();
	bench_wait(&b);
	b.hung_up = true;
	bench_knock(&b);
	bench_show_key(&b);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

/* A collector that was asked, answered, and was killed: the next one of the same host is no second host. Soak, 2026-11-29. */
static void one_that_was_killed_after_its_answer_is_no_rival(void **state unused_)
{
	struct side host;

	prove_some();
	bench_wait(&b);
	host = leave();
	bench_knock(&b);
	answer_the_challenge(&host);
	bench_pass(&b, BENCH_SECOND); /* killed; the end of its connection was lost on the way */
	b.flags = WIRE_HELLO_POLL_MODE; /* else it is the same HELLO once more */
	b.directed = false;
	bench_knock(&b);
	bench_show_key(&b);
	bench_expect_reject(&b, REASON_BUSY);
	assert_true(b.directed); /* asked again */
	bench_pass(&b, 3 * BENCH_SECOND);
	bench_knock(&b);
	bench_show_key(&b);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(bench_findings(&b, REASON_IDENTITY_DUPLICATE), 0);
	assert_int_equal(bench_events(&b, "rejected", REASON_IDENTITY_DUPLICATE), 0);
}

/* A stranger without the key makes the host prove itself now and then, and nothing else. */
static void a_stranger_cannot_make_a_duplicate(void **state unused_)
{
	EVP_PKEY *other = make_key(MADE_P256);
	struct side host;
	unsigned int asked = 0;

	prove_some();
	bench_wait(&b);
	host = leave();
	for (int i = 0; i < 30; i++) {
		b.directed = false;
		bench_knock(&b);
		if (b.directed) {
			struct side stranger = leave();

			asked++;
			answer_the_challenge(&host);
			be(&stranger);
		}
		bench_quote(&b, 3);
		bench_sign(&b, other);
		bench_send_quote(&b);
		bench_expect_reject(&b, REASON_QUOTE_SIGNATURE);
		bench_pass(&b, BENCH_SECOND);
	}
	assert_in_range(asked, 3, 4);
	assert_int_equal(bench_findings(&b, REASON_IDENTITY_DUPLICATE), 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	EVP_PKEY_free(other);
}

/* --- many HELLOs ---- */

/* A connection has one pending session; whatever it does, another one's stays. */
static void a_flood_of_hellos_takes_nobodys_session(void **state unused_)
{
	struct side host;

	bench_measure(&b, "/usr/bin/x");
	b.peer = 1;
	bench_knock(&b);
	host = leave();
	for (int i = 0; i < 500; i++) {
		b.peer = 2 + (uint64_t)i % (LIMIT_PENDING_SESSIONS - 1);
		b.flags ^= WIRE_HELLO_POLL_MODE; /* else it is the same HELLO once more */
		bench_knock(&b);
	}
	assert_int_equal(bench_attester(&b)->n_pending, LIMIT_PENDING_SESSIONS);
	assert_int_equal(b.pipeline->fleet.sessions, LIMIT_PENDING_SESSIONS);
	assert_int_equal(b.pipeline->fleet.spare, LIMIT_PENDING_SESSIONS - 1);
	be(&host);
	bench_show_key(&b);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_attester(&b)->n_pending, LIMIT_PENDING_SESSIONS - 1);
}

static void one_connection_too_many_takes_the_oldest_place(void **state unused_)
{
	struct side first;

	b.peer = 1;
	bench_knock(&b);
	bench_wait(&b);
	first = leave();
	for (b.peer = 2; b.peer <= LIMIT_PENDING_SESSIONS; b.peer++)
		bench_knock(&b);
	assert_true(b.held);
	bench_knock(&b); /* the one beyond the last */
	assert_int_equal(bench_attester(&b)->n_pending, LIMIT_PENDING_SESSIONS);
	assert_false(b.held);
	assert_int_equal(b.directive.reject.reason, REASON_SESSION_UNKNOWN);
	be(&first);
	bench_show_key(&b);
	bench_expect_reject(&b, REASON_SESSION_UNKNOWN);
}

/* To push out others costs each connection its own budget. */
static void pushing_out_others_has_a_price(void **state unused_)
{
	struct wire_message m = { .type = WIRE_HELLO };
	unsigned int let = 0;

	for (int round = 0; round < 20; round++) {
		for (b.peer = 1; b.peer <= LIMIT_PENDING_SESSIONS + 1; b.peer++) {
			bench_hello(&b);
			m.hello = b.hello;
			m.hello.list_length = (uint64_t)round;
			assert_int_equal(bench_send(&b, &m), 0);
			let += b.reply.type == WIRE_WELCOME;
			if (b.reply.type != WIRE_WELCOME)
				bench_expect_reject(&b, REASON_BUSY);
		}
	}
	/* each its own place again and again, and 8 times that of another one at most */
	assert_true(bench_attester(&b)->n_pending == LIMIT_PENDING_SESSIONS);
	assert_in_range(let, LIMIT_PENDING_SESSIONS, 20 * (LIMIT_PENDING_SESSIONS + 1) - 1);
}

static void spare_sessions_are_bounded(void **state unused_)
{
	b.peer = 1;
	bench_knock(&b);
	b.pipeline->fleet.spare = LIMIT_PENDING_SPARE - 1;
	b.peer = 2;
	bench_knock(&b);
	assert_int_equal(bench_attester(&b)->n_pending, 2);
	b.peer = 3; /* in the oldest one's place */
	bench_knock(&b);
	assert_int_equal(bench_attester(&b)->n_pending, 2);
	assert_int_equal(bench_attester(&b)->pending[1]->peer, 3);
	assert_int_equal(b.pipeline->fleet.spare, LIMIT_PENDING_SPARE);
}

/* The collector goes by what comes first, the answer to its QUOTE or that to its WAIT. */
static void a_wait_tells_why_its_session_goes(void **state unused_)
{
	prove_some();
	bench_wait(&b);
	b.peer = 2;
	bench_knock(&b);
	assert_true(b.directed); /* the one that was here is asked */
	bench_wait(&b);
	bench_show_key(&b);
	bench_expect_reject(&b, REASON_BUSY);
	assert_false(b.held);
	assert_int_equal(b.directive.type, WIRE_REJECT);
	assert_int_equal(b.directive.reject.reason, REASON_BUSY);
	assert_true(b.directive.reject.retry_ms > 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(entries_of_a_stranger_change_nothing),
		TEST(entries_before_any_proof_change_nothing),
		TEST(a_bad_signature_of_a_stranger_blames_nobody),
		TEST(a_bad_signature_of_the_host_is_a_finding),
		TEST(what_the_key_signed_is_blamed_at_once),
		TEST(a_boot_that_a_stranger_announces_is_nobodys),
		TEST(a_hello_does_not_end_silence),
		TEST(a_wait_of_a_session_that_goes_is_answered),
		TEST(a_second_host_with_the_key_is_refused),
		TEST(the_older_one_is_asked_again_later),
		TEST(a_newcomer_waits_for_the_older_ones_answer),
		TEST(a_closed_connection_is_no_rival),
		TEST(one_that_was_killed_after_its_answer_is_no_rival),
		TEST(a_stranger_cannot_make_a_duplicate),
		TEST(a_flood_of_hellos_takes_nobodys_session),
		TEST(one_connection_too_many_takes_the_oldest_place),
		TEST(pushing_out_others_has_a_price),
		TEST(spare_sessions_are_bounded),
		TEST(a_wait_tells_why_its_session_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
