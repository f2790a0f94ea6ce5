// SPDX-License-Identifier: Apache-2.0
#include "collector/peer.h"

#include <stdio.h>

#include "base/log.h"
#include "collector/peer_private.h"

#define RESETS_MAX 3u

void peer_init(struct peer *p, const char *name, bool poll_mode, bool group, uint64_t seed)
{
	*p = (struct peer){ .state = PEER_GREETING, .poll_mode = poll_mode, .group = group, .random = seed | 1 };
	snprintf(p->name, sizeof(p->name), "%s", name);
}

void peer_moved(struct peer *p, const char *name)
{
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->next_url = false;
	p->cursor = p->proven = p->covered = 0;
	p->rtt_us = 0;
	p->verdict_known = false;
}

void peer_clear(struct peer *p)
{
	writer_free(&p->set.got);
}

/* --- back-off ------------------------------------------------------------------------------------------------------- */

/* xorshift64 (Marsaglia 2003): only spreads retries, nothing depends on it. */
uint64_t peer_jitter(struct peer *p, uint64_t us)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return us - us / 4 + p->random % (us / 2 + 1);
}

uint64_t peer_growing(uint64_t first, uint64_t max, unsigned int n)
{
	uint64_t us = first;

	while (n-- > 0 && us < max)
		us *= 2;
	return MIN(us, max);
}

void peer_leave_session(struct peer *p)
{
	p->drop_evidence = p->evidence != PEER_NOTHING;
	p->drop_wait = p->waiting;
	p->drop_fetch = p->fetching;
	p->fetching = false;
	p->evidence = PEER_NOTHING;
	p->waiting = false;
	p->quote.stage = PEER_QUOTE_NONE;
	p->nonce_fresh = false;
	p->demand_us = 0;
	p->authenticated = false;
	peer_activation_end(p);
}

void peer_back_off(struct peer *p, uint64_t least_us, uint64_t now)
{
	uint64_t pause = peer_growing(PEER_RETRY_FIRST_US, PEER_RETRY_MAX_US, p->failures);

	pause = MAX(pause, least_us);
	pause = MIN(pause, (uint64_t)PEER_RETRY_MAX_US);
	peer_leave_session(p);
	p->failures++;
	p->next_url = p->group;
	p->state = PEER_WAITING;
	p->retry_us = now + peer_jitter(p, pause);
	p->counters.reconnects++;
}

/* --- what to send --------------------------------------------------------------------------------------------------- */

enum peer_request peer_wants(const struct peer *p, uint64_t now)
{
	if (p->evidence != PEER_NOTHING)
		return PEER_NOTHING;
	switch (p->state) {
	case PEER_WAITING:
		return now >= p->retry_us ? PEER_HELLO : PEER_NOTHING;
	case PEER_GREETING:
		if (p->activation.stage == PEER_ACTIVATION_NONE)
			return PEER_HELLO;
		return p->activation.stage == PEER_ACTIVATION_READY ? PEER_ACTIVATE : PEER_NOTHING;
	case PEER_STREAMING:
		if (p->quote.stage == PEER_QUOTE_READY)
			return PEER_QUOTE;
		return p->authenticated ? PEER_ENTRIES : PEER_NOTHING;
	}
	return PEER_NOTHING;
}

bool peer_wants_wait(const struct peer *p, uint64_t now)
{
	return p->state == PEER_STREAMING && !p->waiting && now >= p->wait_not_before_us;
}

uint64_t peer_wake_at(const struct peer *p)
{
	uint64_t at = 0;

	if (p->state == PEER_WAITING)
		at = p->retry_us;
	else if (p->state == PEER_STREAMING && !p->waiting)
		at = p->wait_not_before_us;
	if (p->state == PEER_STREAMING && p->authenticated && p->set.stage == PEER_SET_FETCHING && !p->fetching &&
	    (!at || p->set.not_before_us < at))
		at = p->set.not_before_us;
	if (p->lost_us && (!at || p->lost_us + PEER_LOST_US < at))
		at = p->lost_us + PEER_LOST_US;
	return at;
}

/* The first one soon: people want to hear that nobody is there. In a group another one's turn comes soon, too; but when none of them
 * is reached, it may be their names that take so long to look up, and each look-up ends with its turn. */
static uint32_t hello_timeout_ms(const struct peer *p)
{
	unsigned int longer = MIN(p->failures / PEER_SHORT_TURNS, 4u);

	if (!p->group)
		return p->failures == 0 ? PEER_FIRST_TIMEOUT_MS : PEER_HELLO_TIMEOUT_MS;
	return MIN(PEER_FIRST_TIMEOUT_MS << longer, PEER_HELLO_TIMEOUT_MS);
}

uint32_t peer_timeout_ms(const struct peer *p, enum peer_request request)
{
	if (request == PEER_HELLO)
		return hello_timeout_ms(p);
	if (request == PEER_WAIT)
		return MIN(p->heartbeat_ms, 86400000u) * 2 + PEER_WAIT_GRACE_MS;
	return PEER_EVIDENCE_TIMEOUT_MS;
}

void peer_sent(struct peer *p, enum peer_request request, uint64_t next, uint64_t now)
{
	if (request == PEER_WAIT) {
		p->waiting = true;
		return;
	}
	if (request == PEER_FETCH) {
		p->fetching = true;
		return;
	}
	p->evidence = request;
	p->evidence_sent_us = now;
	p->evidence_next = next;
	switch (request) {
	case PEER_HELLO:
		p->state = PEER_GREETING;
		p->counters.hellos++;
		break;
	case PEER_ACTIVATE:
		p->counters.activations++;
		break;
	case PEER_QUOTE:
		p->quote.stage = PEER_QUOTE_SENT;
		p->last_batch_us = now;
		if (!p->quote.first_time)
			break;
		p->quote.first_time = false;
		p->quote_seq = p->quote.seq;
		bytes_copy(p->previous, p->quote.commitment, sizeof(p->previous));
		p->counters.quotes++;
		break;
	case PEER_ENTRIES:
		p->last_batch_us = now;
		p->counters.batches++;
		break;
	case PEER_NOTHING:
	case PEER_WAIT:
	case PEER_FETCH:
		break;
	}
}

/* --- quotes --------------------------------------------------------------------------------------------------------- */

bool peer_can_quote(const struct peer *p)
{
	return p->state == PEER_STREAMING && p->quote.stage == PEER_QUOTE_NONE && p->nonce_fresh;
}

bool peer_quote_demanded(const struct peer *p)
{
	return p->demand_us != 0;
}

uint64_t peer_quote_wanted(const struct peer *p, uint64_t end, uint64_t arrived_us)
{
	bool entries = !p->poll_mode && end > p->covered;

	if (!peer_can_quote(p))
		return 0;
	if (p->demand_us && entries)
		return MIN(p->demand_us, arrived_us);
	return entries ? arrived_us : p->demand_us;
}

void peer_demand(struct peer *p, uint64_t at)
{
	if (p->state == PEER_STREAMING)
		p->demand_us = p->demand_us ? MIN(p->demand_us, at) : at;
}

void peer_quote_begin(struct peer *p, const uint8_t attester[WIRE_DIGEST_SIZE], uint64_t surely, uint64_t known,
		      uint64_t measured, uint32_t position, uint8_t out[WIRE_DIGEST_SIZE])
{
	struct wire_commitment_inputs in = { .seq = p->quote_seq + 1, .surely = surely };

	bytes_copy(in.attester, attester, sizeof(in.attester));
	bytes_copy(in.session, p->session, sizeof(in.session));
	bytes_copy(in.nonce, p->nonce, sizeof(in.nonce));
	bytes_copy(in.previous, p->previous, sizeof(in.previous));
	wire_commitment(&in, out);
	p->quote = (struct peer_quote){
		.stage = PEER_QUOTE_TAKING, .first_time = true, .seq = in.seq, .surely = surely, .covered = known,
		.measured = measured, .position = position,
	};
	bytes_copy(p->quote.nonce, p->nonce, sizeof(p->nonce));
	bytes_copy(p->quote.commitment, out, WIRE_DIGEST_SIZE);
	p->covered = known;
	p->demand_us = 0;
}

void peer_quote_taken(struct peer *p, const struct peer_quote *taken, uint64_t end)
{
	struct peer_quote *q = &p->quote;

	if (q->stage != PEER_QUOTE_TAKING)
		return; /* the session that it was for is over */
	bytes_copy(q->commitments, taken->commitments, sizeof(q->commitments));
	q->n_commitments = taken->n_commitments;
	q->quote = taken->quote;
	q->quote_us = taken->quote_us;
	q->returned_us = taken->returned_us;
	q->end = end;
	q->stage = PEER_QUOTE_READY;
	/* this nonce is used up; one that came in meanwhile is not */
	if (bytes_equal(p->nonce, q->nonce, sizeof(p->nonce)))
		p->nonce_fresh = false;
}

void peer_quote_failed(struct peer *p, uint64_t now)
{
	if (p->quote.stage != PEER_QUOTE_TAKING)
		return;
	p->quote.stage = PEER_QUOTE_NONE;
	peer_demand(p, now);
}

/* --- connections ---------------------------------------------------------------------------------------------------- */

void peer_give_up(struct peer *p, uint64_t now)
{
	peer_back_off(p, PEER_RETRY_MAX_US, now);
}

static void say_unreachable(const struct peer *p)
{
	log_warn("%s: no connection. Is the verifier up? With TLS: do the certificates of both sides fit?", p->name);
}

/* Nobody is there: the socket goes on dialling, so there is nothing to wait for, but in a group another one's turn. A single one
 * keeps its socket. */
static void unreachable(struct peer *p, uint64_t now)
{
	if ((p->failures & (p->failures - 1)) == 0) /* the first time, the second, the fourth, the eighth ... */
		say_unreachable(p);
	peer_leave_session(p);
	p->failures++;
	p->counters.reconnects++;
	p->state = PEER_GREETING;
	p->next_url = p->group;
	if (!p->group)
		return;
	p->state = PEER_WAITING;
	p->retry_us = now + peer_jitter(p, PEER_RETRY_FIRST_US);
}

void peer_connection(struct peer *p, bool connected, uint64_t now)
{
	if (connected) {
		p->lost_us = 0;
		p->lost_told = false;
	} else if (!p->lost_us && !p->lost_told) {
		p->lost_us = now;
	}
}

void peer_tick(struct peer *p, uint64_t now)
{
	if (!p->lost_us || now < p->lost_us + PEER_LOST_US)
		return;
	p->lost_us = 0;
	p->lost_told = true;
	if (p->state == PEER_WAITING)
		return;
	if (p->group)
		unreachable(p, now); /* also when there is no evidence to send: somebody must hear that we live */
	else
		say_unreachable(p); /* what is pending is sent again by the socket when the verifier is back */
}

void peer_failed(struct peer *p, bool wait_slot, int status, bool connected, uint64_t now)
{
	enum peer_request was = p->evidence;

	if (wait_slot) {
		p->waiting = false;
		p->wait_not_before_us = now + peer_jitter(p, PEER_RETRY_FIRST_US);
		p->redial = status == -ETIMEDOUT && connected;
		return;
	}
	p->evidence = PEER_NOTHING;
	if (was == PEER_QUOTE)
		p->quote.stage = PEER_QUOTE_READY; /* the same one again */
	if (status == -ECONNRESET && p->resets < RESETS_MAX) {
		p->resets++; /* ask again at once: the request is idempotent */
		return;
	}
	if (status == -ETIMEDOUT && !connected) {
		unreachable(p, now);
		return;
	}
	log_warn("%s: no answer: %s", p->name, strerror(-status));
	p->redial = true;
	peer_back_off(p, 0, now);
}
