// SPDX-License-Identifier: Apache-2.0
/* A verifier's reference set, from its name to its use; and all that must not come of it. */
#include "unit/collector/peer_script.h"

static uint8_t digests[2][32] = { { 1 }, { 2 } };
static uint8_t content[200000];

static void welcome_named(struct script *s, unsigned int which, uint32_t size)
{
	struct wire_message m = { .type = WIRE_WELCOME, .welcome = { .heartbeat_ms = 60000, .max_message = LIMIT_MESSAGE,
								     .max_block_entries = 1000, .has_reference = size != 0,
								     .reference_size = size } };

	send_expect(s, PEER_HELLO, 0);
	bytes_copy(m.welcome.reference, digests[which], 32);
	m.welcome.session[0] = 1;
	answer(s, &m);
}

static void authenticate(struct script *s)
{
	struct wire_message ack = { .type = WIRE_ACK, .ack = { .has_nonce = true } };
	uint8_t commitment[32];
	struct peer_quote taken = { .n_commitments = 1 };

	peer_quote_begin(&s->p, attester, 0, 0, 0, 0, commitment);
	peer_quote_taken(&s->p, &taken, 0);
	send_expect(s, PEER_QUOTE, 0);
	answer(s, &ack);
	assert_true(s->p.authenticated);
}

static void directive_named(struct script *s, unsigned int which, uint32_t size)
{
	struct wire_message m = { .type = WIRE_DIRECTIVE, .directive = { .flags = WIRE_DIRECTIVE_REFERENCE,
									 .has_reference = size != 0, .reference_size = size } };

	bytes_copy(m.directive.reference, digests[which], 32);
	peer_sent(&s->p, PEER_WAIT, 0, s->now);
	answer_slot(s, true, &m);
}

static void fetch_answer(struct script *s, const struct wire_message *m)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	wire_encode(&w, m);
	assert_int_equal(writer_status(&w), 0);
	s->now += MS;
	peer_fetch_answer(&s->p, writer_view(&w), s->now);
}

/* The FETCH that it wants is for this offset. */
static void expect_fetch(struct script *s, uint64_t offset)
{
	struct wire_message m;

	assert_true(peer_wants_fetch(&s->p, s->now));
	peer_fetch_message(&s->p, &m);
	assert_int_equal(m.fetch.offset, offset);
	assert_memory_equal(m.fetch.reference, s->p.set.digest, 32);
	peer_sent(&s->p, PEER_FETCH, 0, s->now);
	assert_false(peer_wants_fetch(&s->p, s->now)); /* one at a time */
}

static void chunk(struct script *s, uint64_t offset, size_t n)
{
	struct wire_message m = { .type = WIRE_CHUNK, .chunk = { .offset = offset, .data = { content, n } } };

	fetch_answer(s, &m);
}

static void refused(struct script *s, enum reason reason, uint32_t retry_ms)
{
	struct wire_message m = { .type = WIRE_REJECT, .reject = { .reason = reason, .retry_ms = retry_ms } };

	fetch_answer(s, &m);
}

/* A session in use, and the set that it named is to be fetched. */
static void fetching(struct script *s, uint32_t size)
{
	start(s);
	welcome_named(s, 0, size);
	assert_int_equal(s->p.set.stage, PEER_SET_NAMED);
	assert_memory_equal(s->p.set.digest, digests[0], 32);
	peer_set_fetch(&s->p, s->now);
	assert_false(peer_wants_fetch(&s->p, s->now)); /* the verifier would refuse it yet */
	authenticate(s);
}

static void chunk_by_chunk(void **state unused_)
{
	struct script s;

	fetching(&s, 150000);
	expect_fetch(&s, 0);
	chunk(&s, 0, 65536);
	expect_fetch(&s, 65536);
	chunk(&s, 65536, 65536);
	expect_fetch(&s, 131072);
	chunk(&s, 131072, 150000 - 131072);
	assert_int_equal(s.p.set.stage, PEER_SET_COMPLETE);
	assert_int_equal(s.p.set.got.n, 150000);
	assert_false(peer_wants_fetch(&s.p, s.now));
	assert_int_equal(s.p.state, PEER_STREAMING);
	peer_clear(&s.p);
}

/* Bytes that were not asked for end the matter: no more of them are taken. */
static void wrong_chunks(void **state unused_)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct wire_message m = { .type = WIRE_ACK };
		struct script s;

		fetching(&s, 1000);
		expect_fetch(&s, 0);
		if (i == 0)
			chunk(&s, 1, 10);
		else if (i == 1)
			chunk(&s, 0, 1001); /* more than was named */
		else if (i == 2)
			fetch_answer(&s, &m);
		else
			peer_fetch_answer(&s.p, (struct bytes){ content, 3 }, s.now);
		assert_int_equal(s.p.set.stage, PEER_SET_REFUSED);
		assert_null(s.p.set.got.p);
		assert_false(peer_wants_fetch(&s.p, s.now + 3600 * S));
		assert_int_equal(s.p.state, PEER_STREAMING); /* the session goes on */
		directive_named(&s, 0, 1000); /* the same again, at once: no */
		assert_int_equal(s.p.set.stage, PEER_SET_REFUSED);
		directive_named(&s, 1, 1000); /* another one: yes */
		assert_int_equal(s.p.set.stage, PEER_SET_NAMED);
		peer_clear(&s.p);
	}
}

static void refusals(void **state unused_)
{
	struct script s;

	fetching(&s, 1000);
	expect_fetch(&s, 0);
	refused(&s, REASON_BUSY, 5000);
	assert_false(peer_wants_fetch(&s.p, s.now + 3 * S));
	assert_true(peer_wake_at(&s.p) != 0);
	s.now += 7 * S;
	expect_fetch(&s, 0);
	chunk(&s, 0, 500);
	expect_fetch(&s, 500);
	peer_fetch_failed(&s.p, s.now); /* nobody answered: later, from there */
	assert_false(peer_wants_fetch(&s.p, s.now));
	s.now += 60 * S;
	expect_fetch(&s, 500);
	refused(&s, REASON_REFERENCE_UNKNOWN, 5000);
	assert_int_equal(s.p.set.stage, PEER_SET_NONE);
	assert_int_equal(s.p.state, PEER_STREAMING);
	directive_named(&s, 0, 1000);
	peer_set_fetch(&s.p, s.now);
	expect_fetch(&s, 0);
	refused(&s, REASON_PROTOCOL_ERROR, 0);
	assert_int_equal(s.p.set.stage, PEER_SET_REFUSED);
	assert_int_equal(s.p.state, PEER_STREAMING);
	peer_clear(&s.p);
}

/* Another one is named in the middle: the answer to the old FETCH is nobody's. */
static void another_is_named(void **state unused_)
{
	struct script s;

	fetching(&s, 1000);
	expect_fetch(&s, 0);
	chunk(&s, 0, 500);
	expect_fetch(&s, 500);
	directive_named(&s, 1, 2000);
	assert_true(s.p.drop_fetch);
	assert_int_equal(s.p.set.stage, PEER_SET_NAMED);
	assert_null(s.p.set.got.p);
	peer_set_fetch(&s.p, s.now);
	chunk(&s, 500, 500); /* crossed the cancelling */
	assert_int_equal(s.p.set.got.n, 0);
	expect_fetch(&s, 0);
	directive_named(&s, 1, 2000); /* the same: goes on */
	assert_true(s.p.fetching);
	directive_named(&s, 0, 0); /* none any more */
	assert_int_equal(s.p.set.stage, PEER_SET_NONE);
	peer_clear(&s.p);
}

/* A new session that names the same set goes on where the old one was. */
static void over_sessions(void **state unused_)
{
	struct wire_message unknown = { .type = WIRE_REJECT, .reject = { .reason = REASON_SESSION_UNKNOWN, .retry_ms = 1 } };
	struct script s;

	fetching(&s, 1000);
	expect_fetch(&s, 0);
	chunk(&s, 0, 500);
	expect_fetch(&s, 500);
	send_expect(&s, PEER_ENTRIES, 1);
	answer(&s, &unknown);
	assert_false(s.p.fetching);
	assert_true(s.p.drop_fetch);
	assert_false(peer_wants_fetch(&s.p, s.now));
	welcome_named(&s, 0, 1000);
	authenticate(&s);
	expect_fetch(&s, 500);
	chunk(&s, 500, 500);
	assert_int_equal(s.p.set.stage, PEER_SET_COMPLETE);
	peer_clear(&s.p);
}

/* The verifier does not have the set that a block needs: entries again, without it, until it is named again. */
static void set_unknown(void **state unused_)
{
	struct wire_message m = { .type = WIRE_RESUME, .resume = { .reason = REASON_REFERENCE_UNKNOWN } };
	struct script s;

	fetching(&s, 1000);
	peer_set_ready(&s.p);
	s.p.evidence_set = wire_reference_number(digests[0]);
	send_expect(&s, PEER_ENTRIES, 5);
	answer(&s, &m);
	assert_int_equal(s.p.set.stage, PEER_SET_NONE);
	assert_true(s.p.drop_set);
	assert_int_equal(peer_wants(&s.p, s.now), PEER_ENTRIES); /* at once, and the session goes on */
	directive_named(&s, 0, 1000);
	assert_int_equal(s.p.set.stage, PEER_SET_NAMED);
	/* a block with the one before was on its way when a new one came: that one is still good */
	peer_set_ready(&s.p);
	s.p.drop_set = false;
	s.p.evidence_set = wire_reference_number(digests[1]);
	send_expect(&s, PEER_ENTRIES, 5);
	answer(&s, &m);
	assert_int_equal(s.p.set.stage, PEER_SET_READY);
	peer_clear(&s.p);
}

/* A verifier that names one set after the other has them fetched at a walking pace. */
static void paced(void **state unused_)
{
	struct script s;

	fetching(&s, 1000);
	for (unsigned int i = 1; i < 6; i++) {
		directive_named(&s, i % 2, 1000 + i);
		peer_set_fetch(&s.p, s.now);
		assert_int_equal(peer_wants_fetch(&s.p, s.now), i < 3);
	}
	assert_false(peer_wants_fetch(&s.p, s.now + 100 * S));
	assert_true(peer_wants_fetch(&s.p, s.now + 181 * S));
	peer_clear(&s.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunk_by_chunk),  cmocka_unit_test(wrong_chunks),
		cmocka_unit_test(refusals),	   cmocka_unit_test(another_is_named),
		cmocka_unit_test(over_sessions),   cmocka_unit_test(set_unknown),
		cmocka_unit_test(paced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
