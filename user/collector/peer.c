// SPDX-License-Identifier: Apache-2.0
#include "collector/peer.h"

#include <stdio.h>

#include "base/log.h"
#include "base/text.h"
#include "imastream/reason.h"

#define ROUNDS_MAX_US 30000000u
#define RESUMES_MAX 8u
#define RESETS_MAX 3u
#define REPLACED_MIN_US 5000000u

static const char *const state_names[] = {
	[WIRE_STATE_ENROLLING] = "enrolling",
	[WIRE_STATE_TRUSTED] = "trusted",
	[WIRE_STATE_WARNING] = "warning",
	[WIRE_STATE_UNTRUSTED] = "untrusted",
	[WIRE_STATE_STALE] = "stale",
	[WIRE_STATE_REBOOTING] = "rebooting",
	[WIRE_STATE_UNPROVEN] = "unproven",
};

void peer_init(struct peer *p, const char *name, bool poll_mode, bool group, uint64_t seed)
{
	*p = (struct peer){ .state = PEER_GREETING, .poll_mode = poll_mode, .group = group, .random = seed | 1 };
	snprintf(p->name, sizeof(p->name), "%s", name);
}

/* --- back-off ------------------------------------------------------------------------------------------------------- */

/* xorshift64 (Marsaglia 2003): only spreads retries, nothing depends on it. */
static uint64_t jitter(struct peer *p, uint64_t us)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return us - us / 4 + p->random % (us / 2 + 1);
}

static uint64_t growing(uint64_t first, uint64_t max, unsigned int n)
{
	uint64_t us = first;

	while (n-- > 0 && us < max)
		us *= 2;
	return MIN(us, max);
}

static void leave_session(struct peer *p)
{
	p->drop_evidence = p->evidence != PEER_NOTHING;
	p->drop_wait = p->waiting;
	p->evidence = PEER_NOTHING;
	p->waiting = false;
	p->quote.stage = PEER_QUOTE_NONE;
	p->nonce_fresh = false;
	p->demand_us = 0;
}

/* Comes back with HELLO after at least `least_us`; 0: grows with the failures in a row. */
static void back_off(struct peer *p, uint64_t least_us, uint64_t now)
{
	uint64_t pause = growing(PEER_RETRY_FIRST_US, PEER_RETRY_MAX_US, p->failures);

	pause = MAX(pause, least_us);
	pause = MIN(pause, (uint64_t)PEER_RETRY_MAX_US);
	leave_session(p);
	p->failures++;
	p->next_url = p->group;
	p->state = PEER_WAITING;
	p->retry_us = now + jitter(p, pause);
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
		return PEER_HELLO;
	case PEER_STREAMING:
		return p->quote.stage == PEER_QUOTE_READY ? PEER_QUOTE : PEER_ENTRIES;
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
	if (p->lost_us && (!at || p->lost_us + PEER_LOST_US < at))
		at = p->lost_us + PEER_LOST_US;
	return at;
}

uint32_t peer_timeout_ms(const struct peer *p, enum peer_request request)
{
	if (request == PEER_HELLO) /* the first one soon: people want to hear that nobody is there */
		return p->group || p->failures == 0 ? PEER_FIRST_TIMEOUT_MS : PEER_HELLO_TIMEOUT_MS;
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
	p->evidence = request;
	p->evidence_sent_us = now;
	p->evidence_next = next;
	switch (request) {
	case PEER_HELLO:
		p->state = PEER_GREETING;
		p->counters.hellos++;
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
		      uint32_t position, uint8_t out[WIRE_DIGEST_SIZE])
{
	struct wire_commitment_inputs in = { .seq = p->quote_seq + 1, .surely = surely };

	bytes_copy(in.attester, attester, sizeof(in.attester));
	bytes_copy(in.session, p->session, sizeof(in.session));
	bytes_copy(in.nonce, p->nonce, sizeof(in.nonce));
	bytes_copy(in.previous, p->previous, sizeof(in.previous));
	wire_commitment(&in, out);
	p->quote = (struct peer_quote){
		.stage = PEER_QUOTE_TAKING, .first_time = true, .seq = in.seq, .surely = surely, .covered = known,
		.position = position,
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

/* --- answers -------------------------------------------------------------------------------------------------------- */

static void take_nonce(struct peer *p, const uint8_t nonce[WIRE_NONCE_SIZE])
{
	bytes_copy(p->nonce, nonce, WIRE_NONCE_SIZE);
	p->nonce_fresh = true;
}

static void take_verdict(struct peer *p, uint8_t state)
{
	if (p->verdict_known && p->verdict == state)
		return;
	p->verdict = state;
	p->verdict_known = true;
	if (state < ARRAY_SIZE(state_names))
		log_info("%s: this host is %s", p->name, state_names[state]);
}

static void on_welcome(struct peer *p, const struct wire_welcome *m, uint64_t now)
{
	leave_session(p);
	p->drop_evidence = false; /* its answer is this one */
	p->state = PEER_STREAMING;
	bytes_copy(p->session, m->session, sizeof(p->session));
	take_nonce(p, m->nonce);
	p->cursor = m->resume;
	p->proven = 0;
	p->covered = 0;
	p->quote_seq = 0;
	memset(p->previous, 0, sizeof(p->previous));
	p->heartbeat_ms = m->heartbeat_ms;
	p->max_message = m->max_message;
	p->max_block_entries = m->max_block_entries;
	p->unproven_rounds = 0;
	p->resumes_in_a_row = 0;
	p->resets = 0;
	p->wait_not_before_us = now;
	peer_demand(p, now); /* a session is worth nothing before its first quote */
	log_info("%s: session open, sending from entry %llu", p->name, (unsigned long long)m->resume);
}

/* What a quote left unproven is asked for again: at once the first time (its last entry may not have been extended
 * yet), then with growing pauses, so that a list that cannot match does not keep the TPM busy. */
static void quote_again(struct peer *p, uint64_t now)
{
	uint64_t pause = p->unproven_rounds ? growing(10000, ROUNDS_MAX_US, p->unproven_rounds) : 0;

	p->unproven_rounds++;
	if (!p->poll_mode)
		peer_demand(p, now + pause);
}

static void on_ack(struct peer *p, const struct wire_ack *m, enum peer_request to, uint64_t now)
{
	p->failures = 0;
	p->resets = 0;
	p->resumes_in_a_row = 0;
	p->cursor = m->next;
	p->proven = MAX(p->proven, m->proven);
	if (m->has_nonce)
		take_nonce(p, m->nonce);
	take_verdict(p, m->state);
	if (to != PEER_QUOTE)
		return;
	p->quote.stage = PEER_QUOTE_NONE;
	if (m->quote_wanted || m->proven < p->quote.covered)
		quote_again(p, now);
	else
		p->unproven_rounds = 0;
	if (m->quote_wanted)
		log_warn("%s: the quote did not prove what it should (%s)", p->name, reason_name(m->reason));
}

static void on_resume(struct peer *p, const struct wire_resume *m, enum peer_request to, uint64_t now)
{
	p->counters.resumes++;
	p->cursor = m->from;
	if (to == PEER_QUOTE)
		p->quote.stage = PEER_QUOTE_READY;
	if (++p->resumes_in_a_row < RESUMES_MAX)
		return;
	log_warn("%s: asks for entry %llu again and again; starting over", p->name, (unsigned long long)m->from);
	back_off(p, 0, now);
}

static void on_reject(struct peer *p, const struct wire_reject *m, uint64_t now)
{
	cleanup_writer_ struct writer detail = WRITER(1024);
	const struct reason_info *info = reason_info(m->reason);
	uint64_t least = (uint64_t)m->retry_ms * 1000u;
	const char *text;

	p->counters.rejects++;
	if (m->reason == REASON_SESSION_UNKNOWN && p->state == PEER_STREAMING && p->failures < 2) {
		log_info("%s: does not know the session any more; starting a new one", p->name);
		leave_session(p);
		p->failures++; /* forgiven by the next ACK */
		p->state = PEER_GREETING;
		return;
	}
	write_quoted(&detail, m->detail, LIMIT_LABEL);
	text = writer_cstr(&detail);
	log_warn("%s: refused: %s: %s%s%s; %s", p->name, reason_name(m->reason), info ? info->text : "no text for it",
		 m->detail.n ? ": " : "", m->detail.n && text ? text : "",
		 info ? info->remedy : "is the verifier a newer release?");
	if (m->retry_ms == 0)
		least = m->reason == REASON_SESSION_UNKNOWN ? 0 : PEER_RETRY_MAX_US; /* nothing changes soon */
	if (m->reason == REASON_SESSION_REPLACED)
		least = MAX((uint64_t)m->retry_ms * 1000u, (uint64_t)REPLACED_MIN_US);
	back_off(p, least, now);
}

static void on_directive(struct peer *p, const struct wire_directive *m, uint64_t now)
{
	p->counters.directives++;
	if (m->has_nonce)
		take_nonce(p, m->nonce);
	if (m->flags & WIRE_DIRECTIVE_GOODBYE) {
		log_info("%s: says goodbye", p->name);
		back_off(p, PEER_RETRY_FIRST_US, now);
		return;
	}
	if (m->flags & WIRE_DIRECTIVE_QUOTE)
		peer_demand(p, now);
}

static void measure_round_trip(struct peer *p, uint64_t now)
{
	uint64_t took = now - p->evidence_sent_us;
	uint32_t us = took > UINT32_MAX / 8 ? UINT32_MAX / 8 : (uint32_t)took;

	p->rtt_us = p->rtt_us ? p->rtt_us - p->rtt_us / 8 + us / 8 : MAX(us, 1u);
}

/* Whether an answer of this type may follow the request. */
static bool fits(enum wire_type answer, enum peer_request to)
{
	switch (answer) {
	case WIRE_REJECT:
		return true;
	case WIRE_WELCOME:
	case WIRE_CHALLENGE:
		return to == PEER_HELLO;
	case WIRE_ACK:
	case WIRE_RESUME:
		return to == PEER_ENTRIES || to == PEER_QUOTE;
	case WIRE_DIRECTIVE:
		return to == PEER_WAIT;
	default:
		return false;
	}
}

void peer_answer(struct peer *p, bool wait_slot, struct bytes message, uint64_t now)
{
	enum peer_request to = wait_slot ? PEER_WAIT : p->evidence;
	struct wire_message m;
	const char *where = "";
	enum wire_decode_outcome outcome = wire_decode(message, &m, &where);

	if (wait_slot) {
		if (!p->waiting)
			return;
		p->waiting = false;
	} else {
		if (to == PEER_NOTHING)
			return;
		p->evidence = PEER_NOTHING;
		/* HELLO may have waited for a connection, and what is refused for a verifier that restarted */
		if (to != PEER_HELLO && outcome == WIRE_DECODE_OK && m.type != WIRE_REJECT)
			measure_round_trip(p, now);
	}
	if (outcome != WIRE_DECODE_OK || !fits(m.type, to)) {
		log_warn("%s: an answer that is not of the protocol (%s)", p->name, where && *where ? where : "type");
		back_off(p, PEER_RETRY_MAX_US / 2, now);
		return;
	}
	switch (m.type) {
	case WIRE_WELCOME:
		on_welcome(p, &m.welcome, now);
		break;
	case WIRE_ACK:
		on_ack(p, &m.ack, to, now);
		break;
	case WIRE_RESUME:
		on_resume(p, &m.resume, to, now);
		break;
	case WIRE_DIRECTIVE:
		on_directive(p, &m.directive, now);
		break;
	case WIRE_CHALLENGE:
		log_warn("%s: asks for an activation that this release does not do; enrol the attestation key there",
			 p->name);
		back_off(p, PEER_RETRY_MAX_US, now);
		break;
	default:
		on_reject(p, &m.reject, now);
		break;
	}
}

void peer_give_up(struct peer *p, uint64_t now)
{
	back_off(p, PEER_RETRY_MAX_US, now);
}

static void say_unreachable(const struct peer *p)
{
	log_warn("%s: no connection. Is the verifier up? With TLS: do the certificates of both sides fit?", p->name);
}

/* Nobody is there: the socket goes on dialling, so there is nothing to wait for, but in a group another one's turn. */
static void unreachable(struct peer *p, uint64_t now)
{
	if ((p->failures & (p->failures - 1)) == 0) /* the first time, the second, the fourth, the eighth ... */
		say_unreachable(p);
	leave_session(p);
	p->failures++;
	p->counters.reconnects++;
	p->state = PEER_GREETING;
	if (!p->group)
		return;
	p->next_url = true;
	p->state = PEER_WAITING;
	p->retry_us = now + jitter(p, PEER_RETRY_FIRST_US);
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
		p->wait_not_before_us = now + jitter(p, PEER_RETRY_FIRST_US);
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
	back_off(p, 0, now);
}
