// SPDX-License-Identifier: Apache-2.0
/* A verifier's reference set: named, fetched a chunk at a time, used. Whatever goes wrong here, entries go out without it. */
#include "base/log.h"
#include "collector/peer_private.h"
#include "imastream/reason.h"

#define FETCH_EVERY_US 60000000u
#define FETCH_BURST_US (2 * FETCH_EVERY_US)
#define AGAIN_US 600000000u /* a set that was not what was named is not fetched again before */

/* Until something else is named, or this again after a long pause. */
static void refuse(struct peer_set *s, uint64_t now)
{
	writer_free(&s->got);
	s->stage = PEER_SET_REFUSED;
	s->not_before_us = now + AGAIN_US;
}

void peer_set_named(struct peer *p, bool named, const uint8_t digest[WIRE_DIGEST_SIZE], uint32_t size, uint64_t now)
{
	struct peer_set *s = &p->set;
	bool same = s->stage != PEER_SET_NONE && s->size == size && bytes_equal(s->digest, digest, WIRE_DIGEST_SIZE);

	if (named && same && (s->stage != PEER_SET_REFUSED || now < s->not_before_us))
		return;
	writer_free(&s->got);
	s->stage = named ? PEER_SET_NAMED : PEER_SET_NONE;
	s->size = size;
	s->not_before_us = 0;
	s->failures = 0;
	if (named)
		bytes_copy(s->digest, digest, WIRE_DIGEST_SIZE);
	if (p->fetching)
		p->drop_fetch = true; /* of another one */
	p->fetching = false;
}

/* However often a verifier names another one: three at once, then one a minute. */
void peer_set_fetch(struct peer *p, uint64_t now)
{
	p->fetch_due_us = MAX(p->fetch_due_us, now);
	p->set.not_before_us = p->fetch_due_us > now + FETCH_BURST_US ? p->fetch_due_us - FETCH_BURST_US : now;
	p->fetch_due_us += FETCH_EVERY_US;
	p->set.got = WRITER(p->set.size);
	p->set.stage = PEER_SET_FETCHING;
}

void peer_set_ready(struct peer *p)
{
	p->set.stage = PEER_SET_READY;
	p->set.failures = 0;
}

void peer_set_refuse(struct peer *p, uint64_t now)
{
	refuse(&p->set, now);
}

bool peer_wants_fetch(const struct peer *p, uint64_t now)
{
	return p->state == PEER_STREAMING && p->authenticated && !p->fetching && p->set.stage == PEER_SET_FETCHING &&
	       now >= p->set.not_before_us;
}

void peer_fetch_message(const struct peer *p, struct wire_message *m)
{
	*m = (struct wire_message){ .type = WIRE_FETCH, .fetch = { .offset = p->set.got.n } };
	bytes_copy(m->fetch.session, p->session, sizeof(m->fetch.session));
	bytes_copy(m->fetch.reference, p->set.digest, sizeof(m->fetch.reference));
}

static void later(struct peer *p, uint64_t least_us, uint64_t now)
{
	uint64_t pause = peer_growing(PEER_RETRY_FIRST_US, PEER_RETRY_MAX_US, p->set.failures++);

	p->set.not_before_us = now + peer_jitter(p, MAX(pause, least_us));
}

static void on_chunk(struct peer *p, const struct wire_chunk *m, uint64_t now)
{
	struct peer_set *s = &p->set;

	if (m->offset != s->got.n || m->data.n > s->size - s->got.n) {
		log_warn("%s: a chunk of its reference set that is not the one that was asked for", p->name);
		refuse(s, now);
		return;
	}
	write_bytes(&s->got, m->data.p, m->data.n);
	if (writer_status(&s->got) < 0) {
		refuse(s, now);
		return;
	}
	s->failures = 0;
	if (s->got.n == s->size)
		s->stage = PEER_SET_COMPLETE;
}

static void on_refusal(struct peer *p, const struct wire_reject *m, uint64_t now)
{
	switch (m->reason) {
	case REASON_REFERENCE_UNKNOWN: /* it is about to name another one */
		writer_free(&p->set.got);
		p->set.stage = PEER_SET_NONE;
		break;
	case REASON_BUSY:
	case REASON_SESSION_UNPROVEN:
	case REASON_SESSION_UNKNOWN: /* the next evidence, or WAIT, hears it too */
	case REASON_SESSION_REPLACED:
		later(p, (uint64_t)MIN(m->retry_ms, 600000u) * 1000u, now);
		break;
	default:
		log_warn("%s: does not give its reference set: %s", p->name, reason_name(m->reason));
		refuse(&p->set, now);
	}
}

void peer_fetch_answer(struct peer *p, struct bytes message, uint64_t now)
{
	struct wire_message m;
	const char *where = "";
	enum wire_decode_outcome outcome = wire_decode(message, &m, &where);

	if (!p->fetching)
		return;
	p->fetching = false;
	if (p->set.stage != PEER_SET_FETCHING)
		return;
	if (outcome == WIRE_DECODE_OK && m.type == WIRE_CHUNK) {
		on_chunk(p, &m.chunk, now);
	} else if (outcome == WIRE_DECODE_OK && m.type == WIRE_REJECT) {
		on_refusal(p, &m.reject, now);
	} else {
		log_warn("%s: an answer to FETCH that is not of the protocol (%s)", p->name, *where ? where : "type");
		refuse(&p->set, now);
	}
}

void peer_fetch_failed(struct peer *p, uint64_t now)
{
	p->fetching = false;
	later(p, 0, now);
}

void peer_set_unknown(struct peer *p)
{
	if (p->set.stage == PEER_SET_READY && wire_reference_number(p->set.digest) == p->evidence_set)
		p->set.stage = PEER_SET_NONE;
	p->drop_set = true;
}
