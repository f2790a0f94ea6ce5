/* SPDX-License-Identifier: Apache-2.0 */
/* A scripted answerer for the tests of the session state machine. */
#pragma once

#include "lib/test.h"

#include "collector/peer.h"
#include "imastream/reason.h"

#define MS 1000ull
#define S 1000000ull

static const uint8_t attester[32] = { 7 };

struct script {
	struct peer p;
	uint64_t now;
};

static unused_ void start(struct script *s)
{
	peer_init(&s->p, "test", false, false, 42);
	s->now = 1000 * S;
}

static unused_ void answer_slot(struct script *s, bool wait_slot, const struct wire_message *m)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	wire_encode(&w, m);
	assert_int_equal(writer_status(&w), 0);
	s->now += MS;
	peer_answer(&s->p, wait_slot, writer_view(&w), s->now);
}

static unused_ void answer(struct script *s, const struct wire_message *m)
{
	answer_slot(s, false, m);
}

/* Sends what the peer wants, and requires that it is this. */
static unused_ void send_expect(struct script *s, enum peer_request want, uint64_t next)
{
	assert_int_equal(peer_wants(&s->p, s->now), want);
	peer_sent(&s->p, want, next, s->now);
	assert_int_equal(peer_wants(&s->p, s->now), PEER_NOTHING); /* one at a time */
}

static unused_ void welcome(struct script *s, uint8_t session, uint64_t resume)
{
	struct wire_message m = { .type = WIRE_WELCOME };

	memset(m.welcome.session, session, sizeof(m.welcome.session));
	memset(m.welcome.nonce, session + 1, sizeof(m.welcome.nonce));
	m.welcome.resume = resume;
	m.welcome.heartbeat_ms = 60000;
	m.welcome.max_message = LIMIT_MESSAGE;
	m.welcome.max_block_entries = 1000;
	answer(s, &m);
}

static unused_ void ack(struct script *s, uint64_t next, uint64_t proven, uint8_t nonce, bool quote_wanted)
{
	struct wire_message m = { .type = WIRE_ACK };

	m.ack.next = next;
	m.ack.proven = proven;
	m.ack.state = WIRE_STATE_TRUSTED;
	m.ack.has_nonce = nonce != 0;
	memset(m.ack.nonce, nonce, sizeof(m.ack.nonce));
	m.ack.quote_wanted = quote_wanted;
	answer(s, &m);
}

static unused_ void resume(struct script *s, uint64_t from)
{
	struct wire_message m = { .type = WIRE_RESUME };

	m.resume.from = from;
	answer(s, &m);
}

static unused_ void reject_slot(struct script *s, bool wait_slot, uint32_t reason, uint32_t retry_ms)
{
	struct wire_message m = { .type = WIRE_REJECT };

	m.reject.reason = reason;
	m.reject.retry_ms = retry_ms;
	answer_slot(s, wait_slot, &m);
}

static unused_ void reject(struct script *s, uint32_t reason, uint32_t retry_ms)
{
	reject_slot(s, false, reason, retry_ms);
}

static unused_ void directive(struct script *s, uint32_t flags, uint8_t nonce)
{
	struct wire_message m = { .type = WIRE_DIRECTIVE };

	m.directive.flags = flags;
	m.directive.has_nonce = nonce != 0;
	memset(m.directive.nonce, nonce, sizeof(m.directive.nonce));
	answer_slot(s, true, &m);
}

static unused_ void open_session(struct script *s, uint8_t session, uint64_t from)
{
	send_expect(s, PEER_HELLO, 0);
	welcome(s, session, from);
	assert_int_equal(s->p.state, PEER_STREAMING);
}

/* The TPM takes a quote at once. */
static unused_ void take_quote(struct script *s, uint64_t surely, uint64_t known, uint64_t end)
{
	struct peer_quote taken = { .n_commitments = 1 };
	uint8_t commitment[32];

	assert_true(peer_can_quote(&s->p));
	peer_quote_begin(&s->p, attester, surely, known, known, 0, commitment);
	bytes_copy(taken.commitments[0], commitment, sizeof(commitment));
	taken.returned_us = s->now;
	peer_quote_taken(&s->p, &taken, end);
	assert_int_equal(s->p.quote.stage, PEER_QUOTE_READY);
}

/* A session whose first quote was taken, with the nonce of the welcome. */
static unused_ void open_proven(struct script *s, uint8_t session, uint64_t from)
{
	open_session(s, session, from);
	take_quote(s, from, from, from);
	send_expect(s, PEER_QUOTE, from);
	ack(s, from, from, (uint8_t)(session + 1), false);
	assert_true(s->p.authenticated);
}

static unused_ uint64_t wanted(const struct script *s, uint64_t end)
{
	return peer_quote_wanted(&s->p, end, s->now);
}
