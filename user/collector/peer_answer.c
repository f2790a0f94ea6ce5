// SPDX-License-Identifier: Apache-2.0
/* What a verifier's answers do to its session. */
#include "base/log.h"
#include "base/text.h"
#include "collector/peer_private.h"
#include "imastream/reason.h"

#define ROUNDS_MAX_US 30000000u
#define RESUMES_MAX 8u
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
	peer_leave_session(p);
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
	peer_set_named(p, m->has_reference, m->reference, m->reference_size, now);
	peer_demand(p, now); /* a session is worth nothing before its first quote */
	log_info("%s: session open, sending from entry %llu", p->name, (unsigned long long)m->resume);
}

/* What a quote left unproven is asked for again: at once the first time (its last entry may not have been extended
 * yet), then with growing pauses, so that a list that cannot match does not keep the TPM busy. */
static void quote_again(struct peer *p, uint64_t now)
{
	uint64_t pause = p->unproven_rounds ? peer_growing(10000, ROUNDS_MAX_US, p->unproven_rounds) : 0;

	p->unproven_rounds++;
	if (!p->poll_mode)
		peer_demand(p, now + pause);
}

static void on_ack(struct peer *p, const struct wire_ack *m, enum peer_request to, uint64_t now)
{
	p->failures = 0;
	p->last_reject = 0;
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
	p->authenticated = true;
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
	if (to == PEER_QUOTE) {
		p->quote.stage = PEER_QUOTE_READY; /* the same one again, behind the entries that it needs */
		p->authenticated = true;
	}
	if (m->reason == REASON_REFERENCE_UNKNOWN)
		peer_set_unknown(p);
	if (m->reason == REASON_SESSION_UNPROVEN) {
		p->authenticated = false;
		if (p->quote.stage == PEER_QUOTE_NONE)
			peer_demand(p, now);
	}
	if (++p->resumes_in_a_row < RESUMES_MAX)
		return;
	log_warn("%s: asks for entry %llu again and again; starting over", p->name, (unsigned long long)m->from);
	peer_back_off(p, 0, now);
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
		peer_leave_session(p);
		p->failures++; /* forgiven by the next ACK */
		p->state = PEER_GREETING;
		return;
	}
	p->same_rejects = m->reason == p->last_reject ? p->same_rejects + 1 : 1;
	p->last_reject = m->reason;
	write_quoted(&detail, m->detail, LIMIT_LABEL);
	text = writer_cstr(&detail);
	/* one that waits to be enrolled hears the same again and again: said the first time, the second, the fourth, ... */
	if ((p->same_rejects & (p->same_rejects - 1)) == 0)
		log_warn("%s: refused: %s: %s%s%s; %s", p->name, reason_name(m->reason),
			 info ? info->text : "no text for it", m->detail.n ? ": " : "", m->detail.n && text ? text : "",
			 info ? info->remedy : "is the verifier a newer release?");
	if (m->retry_ms == 0)
		least = m->reason == REASON_SESSION_UNKNOWN ? 0 : PEER_RETRY_MAX_US; /* nothing changes soon */
	if (m->reason == REASON_ENROL_PENDING)
		p->failures = 0; /* not one: the verifier says how often it may be asked whether somebody has decided */
	if (m->reason == REASON_SESSION_REPLACED)
		least = MAX((uint64_t)m->retry_ms * 1000u, (uint64_t)REPLACED_MIN_US);
	peer_back_off(p, least, now);
}

static void on_directive(struct peer *p, const struct wire_directive *m, uint64_t now)
{
	p->counters.directives++;
	if (m->has_nonce)
		take_nonce(p, m->nonce);
	if (m->flags & WIRE_DIRECTIVE_GOODBYE) {
		log_info("%s: says goodbye", p->name);
		peer_back_off(p, PEER_RETRY_FIRST_US, now);
		return;
	}
	if (m->flags & WIRE_DIRECTIVE_REFERENCE)
		peer_set_named(p, m->has_reference, m->reference, m->reference_size, now);
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
		return to == PEER_HELLO || to == PEER_ACTIVATE;
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
		if (to != PEER_HELLO && to != PEER_ACTIVATE && outcome == WIRE_DECODE_OK && m.type != WIRE_REJECT)
			measure_round_trip(p, now);
	}
	if (outcome != WIRE_DECODE_OK || !fits(m.type, to)) {
		log_warn("%s: an answer that is not of the protocol (%s)", p->name, where && *where ? where : "type");
		peer_back_off(p, PEER_RETRY_MAX_US / 2, now);
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
		peer_challenged(p, &m.challenge, now);
		break;
	default:
		on_reject(p, &m.reject, now);
		break;
	}
}
