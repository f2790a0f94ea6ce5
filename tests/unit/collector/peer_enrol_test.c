// SPDX-License-Identifier: Apache-2.0
/* The session state machine: enrolment, and the quote that comes before all entries. */
#include "unit/collector/peer_script.h"

/* --- a session shows its key first ---------------------------------------------------------------------------------- */

static void resume_for(struct script *s, uint64_t from, uint32_t reason)
{
	struct wire_message m = { .type = WIRE_RESUME };

	m.resume.from = from;
	m.resume.reason = reason;
	answer(s, &m);
}

/* The first quote covers more than fits beside it: the session is authenticated all the same; entries, then it again. */
static void a_first_quote_ahead_of_the_list(void **state unused_)
{
	struct script s;

	start(&s);
	open_session(&s, 1, 0);
	take_quote(&s, 5000, 5000, 5000);
	send_expect(&s, PEER_QUOTE, 0);
	assert_false(s.p.authenticated);
	resume_for(&s, 0, REASON_LIST_UNREACHED);
	assert_true(s.p.authenticated);
	assert_int_equal(s.p.quote.stage, PEER_QUOTE_READY);
	for (uint64_t next = 1000; next < 5000; next += 1000) {
		assert_int_equal(peer_wants(&s.p, s.now), PEER_QUOTE); /* the pipeline sends entries as long as they do not fit */
		peer_sent(&s.p, PEER_ENTRIES, next, s.now);
		ack(&s, next, 0, 0, false);
	}
	send_expect(&s, PEER_QUOTE, 5000);
	assert_int_equal(s.p.quote.seq, 1);
	ack(&s, 5000, 5000, 9, false);
	assert_int_equal(peer_wants(&s.p, s.now), PEER_ENTRIES);
}

/* The verifier does not know the session's key (it started again and kept the session's name): a quote, then entries. */
static void entries_in_an_unproven_session(void **state unused_)
{
	struct script s;

	start(&s);
	open_proven(&s, 1, 10);
	assert_int_equal(wanted(&s, 10), 0);
	send_expect(&s, PEER_ENTRIES, 20);
	resume_for(&s, 10, REASON_SESSION_UNPROVEN);
	assert_int_equal(s.p.state, PEER_STREAMING);
	assert_int_equal(s.p.cursor, 10);
	assert_int_equal(peer_wants(&s.p, s.now), PEER_NOTHING);
	assert_true(wanted(&s, 20) != 0);
	take_quote(&s, 20, 20, 20);
	send_expect(&s, PEER_QUOTE, 20);
	ack(&s, 20, 20, 9, false);
	send_expect(&s, PEER_ENTRIES, 30);
	/* one that says so for ever is left */
	for (int i = 0; i < 20 && s.p.state == PEER_STREAMING; i++) {
		resume_for(&s, 20, REASON_SESSION_UNPROVEN);
		if (s.p.state != PEER_STREAMING)
			break;
		if (s.p.quote.stage == PEER_QUOTE_NONE)
			take_quote(&s, 20, 20, 20);
		send_expect(&s, PEER_QUOTE, 20);
	}
	assert_int_equal(s.p.state, PEER_WAITING);
}

/* --- enrolment ------------------------------------------------------------------------------------------------------ */

static void challenge(struct script *s, const char *blob)
{
	struct wire_message m = { .type = WIRE_CHALLENGE };

	m.challenge.credential_blob = (struct bytes){ (const uint8_t *)blob, strlen(blob) };
	m.challenge.secret = BYTES("sealed");
	answer(s, &m);
}

static const struct bytes secret = { (const uint8_t *)"thirty-two", 10 };

static void challenge_and_activation(void **state unused_)
{
	struct script s;

	start(&s);
	send_expect(&s, PEER_HELLO, 0);
	challenge(&s, "blob");
	assert_int_equal(s.p.state, PEER_GREETING);
	assert_true(peer_wants_activation(&s.p));
	assert_int_equal(peer_wants(&s.p, s.now), PEER_NOTHING); /* neither HELLO nor ACTIVATE before the TPM is done */
	assert_int_equal(s.p.activation.blob_n, 4);
	assert_memory_equal(s.p.activation.encrypted, "sealed", 6);
	peer_activate_begin(&s.p);
	assert_false(peer_wants_activation(&s.p));
	peer_activated(&s.p, s.p.activation.serial, 0, secret, "", 1000, s.now);
	assert_int_equal(s.p.activation.secret_n, 10);
	send_expect(&s, PEER_ACTIVATE, 0);
	/* the connection breaks under it: the same again */
	peer_failed(&s.p, false, -ECONNRESET, true, s.now);
	send_expect(&s, PEER_ACTIVATE, 0);
	welcome(&s, 1, 0);
	assert_int_equal(s.p.state, PEER_STREAMING);
	/* nothing is left of it */
	assert_int_equal(s.p.activation.stage, PEER_ACTIVATION_NONE);
	for (size_t i = 0; i < sizeof(s.p.activation.secret); i++)
		assert_int_equal(s.p.activation.secret[i], 0);
}

static void activation_refused(void **state unused_)
{
	struct script s;

	/* by the TPM */
	start(&s);
	send_expect(&s, PEER_HELLO, 0);
	challenge(&s, "blob");
	peer_activate_begin(&s.p);
	peer_activated(&s.p, s.p.activation.serial, 1, (struct bytes){ 0 }, "integrity", 1000, s.now);
	assert_int_equal(s.p.state, PEER_WAITING);
	assert_true(peer_wake_at(&s.p) - s.now >= PEER_RETRY_MAX_US * 3 / 4);
	/* the TPM fails */
	start(&s);
	send_expect(&s, PEER_HELLO, 0);
	challenge(&s, "blob");
	peer_activate_begin(&s.p);
	peer_activated(&s.p, s.p.activation.serial, -EIO, (struct bytes){ 0 }, "gone", 1000, s.now);
	assert_int_equal(s.p.state, PEER_WAITING);
	assert_true(peer_wake_at(&s.p) - s.now <= S);
	/* by the verifier */
	start(&s);
	send_expect(&s, PEER_HELLO, 0);
	challenge(&s, "blob");
	peer_activate_begin(&s.p);
	peer_activated(&s.p, s.p.activation.serial, 0, secret, "", 1000, s.now);
	send_expect(&s, PEER_ACTIVATE, 0);
	reject(&s, REASON_CREDENTIAL_WRONG, 0);
	assert_int_equal(s.p.state, PEER_WAITING);
	assert_int_equal(s.p.activation.stage, PEER_ACTIVATION_NONE);
}

/* What the TPM gives for a CHALLENGE that is no longer the one is dropped. */
static void a_stale_challenge(void **state unused_)
{
	struct script s;
	uint32_t serial;

	start(&s);
	s.p.group = true;
	send_expect(&s, PEER_HELLO, 0);
	challenge(&s, "one");
	serial = s.p.activation.serial;
	peer_activate_begin(&s.p);
	/* the connection goes meanwhile, another verifier's turn comes */
	peer_connection(&s.p, false, s.now);
	s.now += PEER_LOST_US;
	peer_tick(&s.p, s.now);
	assert_int_equal(s.p.activation.stage, PEER_ACTIVATION_NONE);
	assert_int_equal(s.p.activation.blob[0], 0);
	s.now = peer_wake_at(&s.p);
	send_expect(&s, PEER_HELLO, 0);
	challenge(&s, "two");
	peer_activated(&s.p, serial, 0, secret, "", 1000, s.now);
	assert_true(peer_wants_activation(&s.p)); /* the second one is still to be done */
	s.now += S;
	peer_activate_begin(&s.p);
	peer_activated(&s.p, serial, 0, secret, "", 1000, s.now);
	assert_int_equal(s.p.activation.stage, PEER_ACTIVATION_WORKING);
	peer_activated(&s.p, s.p.activation.serial, 0, secret, "", 1000, s.now);
	send_expect(&s, PEER_ACTIVATE, 0);
}

/* A verifier that challenges for ever, takes every answer and starts over: the TPM works for it ever more rarely, and never
 * more than a fifth of the time. */
static void a_verifier_that_only_challenges(void **state unused_)
{
	const uint64_t took = 3 * S;
	uint64_t began, worked = 0, last = 0;
	unsigned int activations = 0;
	struct script s;

	start(&s);
	began = s.now;
	while (s.now < began + 1800 * S) {
		uint64_t at = peer_wake_at(&s.p);

		s.now = MAX(s.now, at);
		send_expect(&s, PEER_HELLO, 0);
		challenge(&s, "again");
		if (!peer_wants_activation(&s.p)) {
			assert_int_equal(s.p.state, PEER_WAITING);
			continue;
		}
		if (last)
			assert_true(s.now - last >= 4 * took);
		peer_activate_begin(&s.p);
		s.now += took;
		worked += took;
		activations++;
		last = s.now;
		peer_activated(&s.p, s.p.activation.serial, 0, secret, "", took, s.now);
		send_expect(&s, PEER_ACTIVATE, 0);
		if (activations % 2) {
			challenge(&s, "and again");
			assert_int_equal(s.p.state, PEER_WAITING);
			continue;
		}
		welcome(&s, 1, 0); /* success does not make it forget */
		take_quote(&s, 0, 0, 0);
		send_expect(&s, PEER_QUOTE, 0);
		ack(&s, 0, 0, 9, false);
		send_expect(&s, PEER_ENTRIES, 5);
		reject(&s, REASON_SESSION_UNKNOWN, 0);
	}
	assert_true(worked * 5 <= s.now - began);
	assert_in_range(activations, 20, 60);
}

/* Nobody has decided yet: it asks as often as the verifier allows, however long that takes, or an approval would show late. */
static void waiting_for_approval(void **state unused_)
{
	struct script s;

	start(&s);
	for (int i = 0; i < 100; i++) {
		send_expect(&s, PEER_HELLO, 0);
		reject(&s, REASON_ENROL_PENDING, 700);
		assert_in_range(peer_wake_at(&s.p) - s.now, 500 * MS, 900 * MS);
		s.now = peer_wake_at(&s.p);
	}
	send_expect(&s, PEER_HELLO, 0);
	reject(&s, REASON_ENROL_PENDING, 0xffffffff);
	assert_true(peer_wake_at(&s.p) - s.now <= PEER_RETRY_MAX_US * 5 / 4);
	s.now = peer_wake_at(&s.p);
	send_expect(&s, PEER_HELLO, 0);
	reject(&s, REASON_ENROL_PENDING, 1); /* one that wants to be asked all the time */
	assert_true(peer_wake_at(&s.p) - s.now >= PEER_RETRY_FIRST_US * 3 / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_quote_ahead_of_the_list),
		cmocka_unit_test(entries_in_an_unproven_session),
		cmocka_unit_test(challenge_and_activation),
		cmocka_unit_test(activation_refused),
		cmocka_unit_test(a_stale_challenge),
		cmocka_unit_test(waiting_for_approval),
		cmocka_unit_test(a_verifier_that_only_challenges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
