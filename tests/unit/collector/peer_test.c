// SPDX-License-Identifier: Apache-2.0
/* The session state machine against a scripted answerer. */
#include "unit/collector/peer_script.h"

static void from_hello_to_proof(void **state unused_)
{
	struct script s;

	start(&s);
	assert_false(peer_wants_wait(&s.p, s.now));
	assert_int_equal(wanted(&s, 100), 0); /* no session, no quote */
	open_session(&s, 1, 30);
	assert_int_equal(s.p.cursor, 30);
	assert_true(peer_wants_wait(&s.p, s.now));
	peer_sent(&s.p, PEER_WAIT, 0, s.now);
	assert_false(peer_wants_wait(&s.p, s.now));
	/* a new session wants a quote even when nothing is new */
	assert_true(wanted(&s, 0) != 0);
	assert_true(peer_quote_demanded(&s.p));
	/* the key first: no entries before a quote */
	assert_int_equal(peer_wants(&s.p, s.now), PEER_NOTHING);
	take_quote(&s, 30, 30, 30);
	send_expect(&s, PEER_QUOTE, 30);
	ack(&s, 30, 30, 8, false);
	/* from then on report first */
	send_expect(&s, PEER_ENTRIES, 100);
	take_quote(&s, 99, 100, 100);
	assert_int_equal(wanted(&s, 101), 0); /* one at a time */
	ack(&s, 100, 30, 0, false);
	assert_int_equal(s.p.cursor, 100);
	send_expect(&s, PEER_QUOTE, 100);
	assert_int_equal(s.p.quote_seq, 2);
	ack(&s, 100, 100, 9, false);
	assert_int_equal(s.p.proven, 100);
	assert_int_equal(s.p.verdict, WIRE_STATE_TRUSTED);
	assert_int_equal(s.p.nonce[0], 9);
	/* idle: nothing to send, nothing to quote, no timer */
	assert_int_equal(wanted(&s, 100), 0);
	assert_int_equal(peer_wake_at(&s.p), 0);
	/* an entry comes */
	assert_true(wanted(&s, 101) == s.now);
	assert_false(peer_quote_demanded(&s.p));
}

/* The chain of commitments: each names the one before it in this session, zeros at the start. */
static void commitments_chain(void **state unused_)
{
	struct wire_commitment_inputs in = { .seq = 1, .surely = 5 };
	uint8_t expected[32];
	struct script s;

	start(&s);
	open_session(&s, 1, 0);
	take_quote(&s, 5, 6, 6);
	bytes_copy(in.attester, attester, 32);
	memset(in.session, 1, sizeof(in.session));
	memset(in.nonce, 2, sizeof(in.nonce));
	wire_commitment(&in, expected);
	assert_memory_equal(s.p.quote.commitment, expected, 32);
	send_expect(&s, PEER_QUOTE, 6);
	ack(&s, 6, 6, 9, false);
	take_quote(&s, 7, 8, 8);
	in = (struct wire_commitment_inputs){ .seq = 2, .surely = 7 };
	bytes_copy(in.attester, attester, 32);
	memset(in.session, 1, sizeof(in.session));
	memset(in.nonce, 9, sizeof(in.nonce));
	bytes_copy(in.previous, expected, 32);
	wire_commitment(&in, expected);
	assert_memory_equal(s.p.quote.commitment, expected, 32);
	/* this one is never sent: the session is lost, and a new one starts from nothing */
	reject_slot(&s, true, REASON_BUSY, 0); /* not asked: ignored */
	assert_int_equal(s.p.state, PEER_STREAMING);
	peer_sent(&s.p, PEER_WAIT, 0, s.now);
	reject_slot(&s, true, REASON_SESSION_UNKNOWN, 0);
	assert_int_equal(s.p.state, PEER_GREETING);
	open_session(&s, 3, 0);
	take_quote(&s, 7, 8, 8);
	in = (struct wire_commitment_inputs){ .seq = 1, .surely = 7 };
	bytes_copy(in.attester, attester, 32);
	memset(in.session, 3, sizeof(in.session));
	memset(in.nonce, 4, sizeof(in.nonce));
	wire_commitment(&in, expected);
	assert_memory_equal(s.p.quote.commitment, expected, 32);
}

static void a_nonce_is_used_once(void **state unused_)
{
	struct script s;

	start(&s);
	open_session(&s, 1, 0);
	take_quote(&s, 0, 1, 1);
	send_expect(&s, PEER_QUOTE, 1);
	ack(&s, 1, 1, 0, false); /* no new nonce */
	assert_int_equal(wanted(&s, 2), 0);
	peer_sent(&s.p, PEER_WAIT, 0, s.now);
	directive(&s, WIRE_DIRECTIVE_QUOTE, 77);
	assert_true(wanted(&s, 1) != 0);
	assert_int_equal(s.p.nonce[0], 77);
	assert_true(peer_quote_demanded(&s.p));
	assert_int_equal(s.p.counters.directives, 1);
}

/* A nonce that arrives while the TPM works is kept for the next quote. */
static void a_nonce_arrives_while_quoting(void **state unused_)
{
	struct peer_quote taken = { .n_commitments = 1 };
	uint8_t commitment[32];
	struct script s;

	start(&s);
	open_session(&s, 1, 0);
	peer_sent(&s.p, PEER_WAIT, 0, s.now);
	peer_quote_begin(&s.p, attester, 0, 1, 1, 0, commitment);
	directive(&s, WIRE_DIRECTIVE_QUOTE, 88);
	peer_quote_taken(&s.p, &taken, 1);
	assert_int_equal(s.p.quote.nonce[0], 2); /* WELCOME's */
	assert_true(s.p.nonce_fresh);
	send_expect(&s, PEER_QUOTE, 1);
	ack(&s, 1, 1, 0, false);
	assert_true(wanted(&s, 1) != 0); /* the challenge is still to be answered */
}

static void resume_goes_back(void **state unused_)
{
	struct script s;
	uint64_t seq;

	start(&s);
	open_proven(&s, 1, 50);
	send_expect(&s, PEER_ENTRIES, 80);
	resume(&s, 20);
	assert_int_equal(s.p.cursor, 20);
	assert_int_equal(s.p.counters.resumes, 1);
	/* on a QUOTE: the same quote again, behind the entries */
	take_quote(&s, 80, 80, 80);
	seq = s.p.quote.seq;
	send_expect(&s, PEER_QUOTE, 80);
	resume(&s, 30);
	assert_int_equal(s.p.quote.stage, PEER_QUOTE_READY);
	assert_int_equal(s.p.quote.seq, seq);
	assert_int_equal(s.p.cursor, 30);
	send_expect(&s, PEER_QUOTE, 80);
	assert_int_equal(s.p.quote_seq, seq);
	ack(&s, 80, 80, 5, false);
	assert_int_equal(s.p.quote.stage, PEER_QUOTE_NONE);
	/* a verifier that never gets on is left */
	for (int i = 0; i < 20 && s.p.state == PEER_STREAMING; i++) {
		send_expect(&s, PEER_ENTRIES, 90);
		resume(&s, 80);
	}
	assert_int_equal(s.p.state, PEER_WAITING);
}

static void unknown_session_greets_at_once(void **state unused_)
{
	struct script s;

	start(&s);
	open_proven(&s, 1, 0);
	peer_sent(&s.p, PEER_WAIT, 0, s.now);
	send_expect(&s, PEER_ENTRIES, 10);
	reject(&s, REASON_SESSION_UNKNOWN, 0);
	assert_int_equal(s.p.state, PEER_GREETING);
	assert_true(s.p.drop_wait); /* the long poll belongs to the old session */
	assert_false(s.p.drop_evidence);
	open_session(&s, 2, 10);
	/* but not for ever: the third time in a row without an ACK it pauses */
	for (int i = 0; i < 3 && s.p.state != PEER_WAITING; i++) {
		take_quote(&s, 20, 20, 20);
		send_expect(&s, PEER_QUOTE, 20);
		reject(&s, REASON_SESSION_UNKNOWN, 0);
		if (s.p.state == PEER_GREETING)
			open_session(&s, 3, 10);
	}
	assert_int_equal(s.p.state, PEER_WAITING);
}

static void refusals_back_off(void **state unused_)
{
	uint64_t last = 0;
	struct script s;

	start(&s);
	send_expect(&s, PEER_HELLO, 0);
	reject(&s, REASON_BUSY, 2000);
	assert_int_equal(peer_wants(&s.p, s.now), PEER_NOTHING);
	assert_in_range(peer_wake_at(&s.p) - s.now, 1500 * MS, 2500 * MS);
	s.now = peer_wake_at(&s.p);
	/* no time given: only an operator can change it */
	send_expect(&s, PEER_HELLO, 0);
	reject(&s, REASON_ATTESTER_UNKNOWN, 0);
	assert_in_range(peer_wake_at(&s.p) - s.now, PEER_RETRY_MAX_US * 3 / 4, PEER_RETRY_MAX_US * 5 / 4);
	s.now = peer_wake_at(&s.p);
	/* an absurd time is cut */
	send_expect(&s, PEER_HELLO, 0);
	reject(&s, REASON_BUSY, UINT32_MAX);
	assert_in_range(peer_wake_at(&s.p) - s.now, 1, PEER_RETRY_MAX_US * 5 / 4);
	/* failures grow to the maximum, with jitter */
	start(&s);
	for (int i = 0; i < 12; i++) {
		send_expect(&s, PEER_HELLO, 0);
		reject(&s, REASON_BUSY, 1);
		last = peer_wake_at(&s.p) - s.now;
		s.now = peer_wake_at(&s.p);
	}
	assert_in_range(last, PEER_RETRY_MAX_US * 3 / 4, PEER_RETRY_MAX_US * 5 / 4);
	/* a success forgets them */
	open_proven(&s, 1, 0);
	send_expect(&s, PEER_ENTRIES, 1);
	ack(&s, 1, 0, 0, false);
	assert_int_equal(s.p.failures, 0);
	/* someone else with our identity: no ping-pong */
	send_expect(&s, PEER_ENTRIES, 2);
	reject(&s, REASON_SESSION_REPLACED, 0);
	assert_true(peer_wake_at(&s.p) - s.now >= 3 * S);
}

static void silence_and_lost_connections(void **state unused_)
{
	struct script s;

	start(&s);
	open_session(&s, 1, 0);
	peer_sent(&s.p, PEER_WAIT, 0, s.now);
	/* the verifier restarted: the same request again, at once */
	take_quote(&s, 5, 5, 5);
	send_expect(&s, PEER_QUOTE, 5);
	peer_failed(&s.p, false, -ECONNRESET, true, s.now);
	assert_int_equal(s.p.quote.stage, PEER_QUOTE_READY);
	send_expect(&s, PEER_QUOTE, 5);
	assert_int_equal(s.p.counters.quotes, 1);
	/* WAIT the same, after a breath */
	peer_failed(&s.p, true, -ECONNRESET, true, s.now);
	assert_false(peer_wants_wait(&s.p, s.now));
	assert_true(peer_wake_at(&s.p) > s.now);
	s.now = peer_wake_at(&s.p);
	assert_true(peer_wants_wait(&s.p, s.now));
	/* again and again: something is wrong over there */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(s.p.state, PEER_STREAMING);
		peer_failed(&s.p, false, -ECONNRESET, true, s.now);
		if (s.p.state == PEER_STREAMING)
			send_expect(&s, PEER_QUOTE, 5);
	}
	assert_int_equal(s.p.state, PEER_WAITING);
	assert_true(s.p.redial);
	/* connected, but silent: dial again, later */
	start(&s);
	open_proven(&s, 1, 0);
	send_expect(&s, PEER_ENTRIES, 5);
	peer_failed(&s.p, false, -ETIMEDOUT, true, s.now);
	assert_int_equal(s.p.state, PEER_WAITING);
	assert_true(s.p.redial);
	assert_false(s.p.next_url);
}

/* A connection that goes and does not come back: in a group the next one's turn comes, also when there is nothing to say;
 * alone, what is pending stays with the socket. One that comes back in time changes nothing. */
static void a_lost_connection(void **state unused_)
{
	for (int group = 0; group < 2; group++) {
		for (int back = 0; back < 2; back++) {
			struct script s;

			start(&s);
			s.p.group = group;
			send_expect(&s, PEER_HELLO, 0);
			welcome(&s, 1, 0);
			peer_connection(&s.p, true, s.now);
			peer_sent(&s.p, PEER_WAIT, 0, s.now);
			assert_int_equal(peer_wake_at(&s.p), 0); /* idle: no timer */
			peer_connection(&s.p, false, s.now);
			peer_connection(&s.p, false, s.now + MS); /* counts from the first */
			assert_int_equal(peer_wake_at(&s.p), s.now + PEER_LOST_US);
			peer_tick(&s.p, s.now + PEER_LOST_US - 1);
			assert_int_equal(s.p.state, PEER_STREAMING);
			if (back)
				peer_connection(&s.p, true, s.now + PEER_LOST_US - 1);
			s.now += PEER_LOST_US;
			peer_tick(&s.p, s.now);
			assert_int_equal(s.p.next_url, group && !back);
			assert_int_equal(s.p.state, group && !back ? PEER_WAITING : PEER_STREAMING);
			assert_int_equal(s.p.waiting, !group || back);
			if (!group)
				assert_int_equal(peer_wake_at(&s.p), 0); /* told once */
			peer_connection(&s.p, false, s.now);
			if (!group && !back)
				assert_int_equal(peer_wake_at(&s.p), 0);
		}
	}
}

/* Nobody there: HELLO waits in the socket, so that a verifier that comes up has it at once, however long it took. */
static void nobody_there(void **state unused_)
{
	struct script s;

	start(&s);
	for (int i = 0; i < 100; i++) {
		send_expect(&s, PEER_HELLO, 0);
		peer_failed(&s.p, false, -ETIMEDOUT, false, s.now);
		assert_int_equal(s.p.state, PEER_GREETING);
		assert_false(s.p.redial);
		assert_false(s.p.next_url); /* its socket goes on dialling */
	}
	/* in a group the next one gets its turn, soon */
	peer_init(&s.p, "test", false, true, 1);
	for (int i = 0; i < 100; i++) {
		uint32_t ms = peer_timeout_ms(&s.p, PEER_HELLO);

		if (i < 8)
			assert_int_equal(ms, PEER_FIRST_TIMEOUT_MS);
		else if (i < 16)
			assert_int_equal(ms, 2 * PEER_FIRST_TIMEOUT_MS);
		else if (i >= 32) /* nor is the slowest look-up given up for ever */
			assert_int_equal(ms, PEER_HELLO_TIMEOUT_MS);
		send_expect(&s, PEER_HELLO, 0);
		peer_failed(&s.p, false, -ETIMEDOUT, false, s.now);
		assert_true(s.p.next_url);
		assert_in_range(peer_wake_at(&s.p) - s.now, 1, 1 * S);
		s.now = peer_wake_at(&s.p);
	}
}

/* What one verifier of a group has, another one need not have: the books begin anew until it says so itself. */
static void another_of_the_group(void **state unused_)
{
	struct script s;

	start(&s);
	s.p.group = true;
	open_proven(&s, 1, 7);
	assert_int_equal(s.p.cursor, 7);
	assert_true(s.p.proven == 7 && s.p.verdict_known);
	send_expect(&s, PEER_ENTRIES, 9);
	peer_failed(&s.p, false, -ETIMEDOUT, true, s.now);
	assert_true(s.p.next_url);
	assert_int_equal(s.p.cursor, 7); /* still this one */
	peer_moved(&s.p, "tcp://other");
	assert_string_equal(s.p.name, "tcp://other");
	assert_false(s.p.next_url || s.p.verdict_known);
	assert_int_equal(s.p.cursor, 0);
	assert_int_equal(s.p.proven, 0);
	assert_int_equal(s.p.rtt_us, 0);
	s.now = peer_wake_at(&s.p);
	send_expect(&s, PEER_HELLO, 0);
	welcome(&s, 2, 4);
	assert_int_equal(s.p.cursor, 4); /* goes on from what it has */
	assert_int_equal(s.p.proven, 0);
}

static void goodbye(void **state unused_)
{
	struct script s;

	start(&s);
	open_proven(&s, 1, 0);
	peer_sent(&s.p, PEER_WAIT, 0, s.now);
	send_expect(&s, PEER_ENTRIES, 3);
	directive(&s, WIRE_DIRECTIVE_GOODBYE, 0);
	assert_int_equal(s.p.state, PEER_WAITING);
	assert_true(s.p.drop_evidence);
	assert_true(peer_wake_at(&s.p) > s.now);
	/* an answer that was on its way to the old session changes nothing */
	ack(&s, 3, 3, 4, false);
	assert_int_equal(s.p.cursor, 0);
	assert_int_equal(s.p.state, PEER_WAITING);
}

/* What a quote leaves unproven is quoted again: at once the first time, then ever later. */
static void quote_wanted_again(void **state unused_)
{
	uint64_t pause = 0, last = 0;
	struct script s;

	start(&s);
	open_session(&s, 1, 0);
	for (int i = 0; i < 15; i++) {
		take_quote(&s, 10, 10, 10);
		send_expect(&s, PEER_QUOTE, 10);
		ack(&s, 10, 0, (uint8_t)(i + 1), true);
		assert_true(wanted(&s, 10) != 0);
		pause = wanted(&s, 10) - s.now;
		if (i == 0)
			assert_int_equal(pause, 0);
		assert_true(pause >= last);
		last = pause;
		s.now += pause;
	}
	assert_in_range(last, 10 * S, 30 * S);
	/* proven at last: quiet, and the next time starts from nothing */
	take_quote(&s, 10, 10, 10);
	send_expect(&s, PEER_QUOTE, 10);
	ack(&s, 10, 10, 99, false);
	assert_int_equal(wanted(&s, 10), 0);
	assert_int_equal(s.p.unproven_rounds, 0);
}

static void a_failed_quote_is_wanted_still(void **state unused_)
{
	uint8_t commitment[32];
	struct script s;

	start(&s);
	open_session(&s, 1, 0);
	peer_quote_begin(&s.p, attester, 0, 5, 5, 0, commitment);
	assert_int_equal(wanted(&s, 5), 0);
	peer_quote_failed(&s.p, s.now);
	assert_true(wanted(&s, 5) != 0);
	assert_int_equal(s.p.quote_seq, 0); /* never sent: its number is free */
	take_quote(&s, 0, 5, 5);
	assert_int_equal(s.p.quote.seq, 1);
}

/* The session is lost while the TPM works: its quote is not for the next session. */
static void a_quote_for_a_lost_session(void **state unused_)
{
	struct peer_quote taken = { .n_commitments = 1 };
	uint8_t commitment[32];
	struct script s;

	start(&s);
	open_proven(&s, 1, 0);
	send_expect(&s, PEER_ENTRIES, 5);
	peer_quote_begin(&s.p, attester, 0, 5, 5, 0, commitment);
	reject(&s, REASON_SESSION_UNKNOWN, 0);
	open_session(&s, 2, 0);
	peer_quote_taken(&s.p, &taken, 5);
	assert_int_equal(s.p.quote.stage, PEER_QUOTE_NONE);
	assert_int_equal(peer_wants(&s.p, s.now), PEER_NOTHING);
	assert_true(s.p.nonce_fresh);
}

static void poll_mode_quotes_on_demand_only(void **state unused_)
{
	struct script s;

	start(&s);
	peer_init(&s.p, "test", true, false, 42);
	peer_demand(&s.p, s.now); /* no session: nothing to ask for */
	open_session(&s, 1, 0);
	take_quote(&s, 0, 5, 5);
	send_expect(&s, PEER_QUOTE, 5);
	ack(&s, 5, 3, 6, true);
	assert_int_equal(wanted(&s, 50), 0);
	peer_demand(&s.p, s.now + 5);
	assert_true(wanted(&s, 50) == s.now + 5);
}

static void what_is_not_of_the_protocol(void **state unused_)
{
	const uint8_t junk[] = { 0xff, 0x00, 0x01 };
	struct script s;

	start(&s);
	send_expect(&s, PEER_HELLO, 0);
	peer_answer(&s.p, false, (struct bytes){ junk, sizeof(junk) }, s.now);
	assert_int_equal(s.p.state, PEER_WAITING);
	/* well-formed, but not an answer to this: an ACK to HELLO, a WELCOME to ENTRIES, an ACK to WAIT */
	start(&s);
	send_expect(&s, PEER_HELLO, 0);
	ack(&s, 1, 1, 1, false);
	assert_int_equal(s.p.state, PEER_WAITING);
	start(&s);
	open_proven(&s, 1, 0);
	send_expect(&s, PEER_ENTRIES, 5);
	welcome(&s, 2, 0);
	assert_int_equal(s.p.state, PEER_WAITING);
	start(&s);
	open_session(&s, 1, 0);
	peer_sent(&s.p, PEER_WAIT, 0, s.now);
	{
		struct wire_message m = { .type = WIRE_ACK };

		answer_slot(&s, true, &m);
	}
	assert_int_equal(s.p.state, PEER_WAITING);
	/* an answer that nobody asked for */
	start(&s);
	ack(&s, 5, 5, 1, false);
	assert_int_equal(s.p.state, PEER_GREETING);
	assert_int_equal(s.p.cursor, 0);
}

static void round_trip(void **state unused_)
{
	struct script s;

	start(&s);
	send_expect(&s, PEER_HELLO, 0);
	s.now += 60 * S; /* the verifier was not up */
	welcome(&s, 1, 0);
	assert_int_equal(s.p.rtt_us, 0);
	take_quote(&s, 1, 1, 1);
	send_expect(&s, PEER_QUOTE, 1);
	ack(&s, 1, 1, 0, false);
	assert_int_equal(s.p.rtt_us, 1000);
	for (uint64_t i = 0; i < 50; i++) {
		send_expect(&s, PEER_ENTRIES, i + 2);
		s.now += 4 * MS;
		ack(&s, i + 2, 0, 0, false);
	}
	assert_in_range(s.p.rtt_us, 4900, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_hello_to_proof),
		cmocka_unit_test(commitments_chain),
		cmocka_unit_test(a_nonce_is_used_once),
		cmocka_unit_test(a_nonce_arrives_while_quoting),
		cmocka_unit_test(resume_goes_back),
		cmocka_unit_test(unknown_session_greets_at_once),
		cmocka_unit_test(refusals_back_off),
		cmocka_unit_test(silence_and_lost_connections),
		cmocka_unit_test(a_lost_connection),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(another_of_the_group),
		cmocka_unit_test(goodbye),
		cmocka_unit_test(quote_wanted_again),
		cmocka_unit_test(a_failed_quote_is_wanted_still),
		cmocka_unit_test(a_quote_for_a_lost_session),
		cmocka_unit_test(poll_mode_quotes_on_demand_only),
		cmocka_unit_test(what_is_not_of_the_protocol),
		cmocka_unit_test(round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
