// SPDX-License-Identifier: Apache-2.0
#include "verifier/pipeline.h"

#include "verifier/pipeline_internal.h"


void pipeline_reply(struct exchange *ex, const struct wire_message *m)
{
	writer_reset(&ex->reply);
	wire_encode(&ex->reply, m);
}

int pipeline_reject(struct exchange *ex, enum reason reason, const char *detail, uint32_t retry_ms)
{
	struct wire_message m = { .type = WIRE_REJECT, .reject = { .reason = reason, .retry_ms = retry_ms } };

	if (detail)
		m.reject.detail = (struct bytes){ (const uint8_t *)detail, MIN(strlen(detail), (size_t)LIMIT_LABEL) };
	pipeline_reply(ex, &m);
	return 0;
}

static int resume(struct exchange *ex, uint64_t from, enum reason reason)
{
	struct wire_message m = { .type = WIRE_RESUME, .resume = { .from = from, .reason = reason } };

	pipeline_reply(ex, &m);
	return 0;
}

/* Tells of a change of state. */
int pipeline_settle_state(struct pipeline *p, struct attester *a, enum wire_state before, enum reason why_before)
{
	const struct reason_info *info;
	struct event_facts f = { .attester = a };

	a->state = verdict_state(a, &a->state_reason);
	if (a->state == before && a->state_reason == why_before)
		return 0;
	info = reason_info(a->state_reason);
	f.reason = a->state_reason;
	f.severity = a->state_reason == REASON_NONE || !info ? SEVERITY_INFO : info->severity;
	return journal_event(&p->journal, "state", &f, p->now.real);
}

void pipeline_release_wait(struct pipeline *p, struct session *s, const struct wire_message *answer)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);
	void *token = TAKE_PTR(s->wait);

	if (!token)
		return;
	if (answer)
		wire_encode(&w, answer);
	if (answer && writer_status(&w) == 0)
		p->io.reply(p->io.user, token, writer_view(&w));
	else
		p->io.drop(p->io.user, token);
}

void pipeline_close_session(struct pipeline *p, struct attester *a, bool replaced)
{
	static const struct wire_message gone = {
		.type = WIRE_REJECT, .reject = { .reason = REASON_SESSION_REPLACED, .retry_ms = RETRY_LATER_MS }
	};
	static const struct wire_message lost = {
		.type = WIRE_REJECT, .reject = { .reason = REASON_SESSION_UNKNOWN, .retry_ms = RETRY_AT_ONCE_MS }
	};

	if (!a->session)
		return;
	pipeline_release_wait(p, a->session, replaced ? &gone : &lost);
	fleet_close_session(&p->fleet, a, replaced);
	pipeline_arm(p, a);
}

void pipeline_close_pending(struct pipeline *p, struct session *s, const struct wire_message *answer)
{
	static const struct wire_message lost = {
		.type = WIRE_REJECT, .reject = { .reason = REASON_SESSION_UNKNOWN, .retry_ms = RETRY_AT_ONCE_MS }
	};
	struct attester *a = s->attester;

	pipeline_release_wait(p, s, answer ? answer : &lost);
	fleet_close_pending(&p->fleet, s);
	pipeline_arm(p, a);
}

void pipeline_close_pendings(struct pipeline *p, struct attester *a, const struct boot *boot)
{
	for (size_t i = a->n_pending; i-- > 0;)
		if (!boot || a->pending[i]->boot == boot)
			pipeline_close_pending(p, a->pending[i], NULL);
}

int pipeline_give_nonce(struct pipeline *p, struct session *s, bool challenge)
{
	uint8_t value[WIRE_NONCE_SIZE];
	int r = p->io.random(p->io.user, value, sizeof(value));

	if (r == 0)
		session_give_nonce(s, value, challenge, &p->now);
	return r;
}

/* --- sessions ---- */

/* The session of a message, or NULL and the refusal is written. */
static struct session *find_session(struct pipeline *p, struct exchange *ex, const uint8_t *id)
{
	struct session *s = NULL;

	switch (fleet_by_session(&p->fleet, id, &s)) {
	case SESSION_NONE:
		(void)pipeline_reject(ex, REASON_SESSION_UNKNOWN, NULL, RETRY_AT_ONCE_MS);
		return NULL;
	case SESSION_REPLACED:
		(void)pipeline_reject(ex, REASON_SESSION_REPLACED, NULL, RETRY_LATER_MS);
		return NULL;
	case SESSION_PENDING:
		return s;
	case SESSION_CURRENT:
		break;
	}
	fleet_touch(&p->fleet, s->attester);
	s->attester->bytes_in += ex->message.n;
	return s;
}

static struct wire_ack ack_of(const struct session *s, bool quote_wanted, enum reason reason)
{
	struct wire_ack ack = { .next = s->boot->next, .proven = s->boot->proven, .state = (uint8_t)s->attester->state,
				.has_nonce = true, .quote_wanted = quote_wanted, .reason = reason };

	bytes_copy(ack.nonce, s->nonce[0].value, sizeof(ack.nonce));
	return ack;
}

static int acknowledge(struct exchange *ex, struct session *s, const struct wire_ack *ack)
{
	struct wire_message m = { .type = WIRE_ACK, .ack = *ack };

	pipeline_reply(ex, &m);
	s->attester->bytes_out += ex->reply.n;
	return 0;
}

/* --- entries ---- */

/* Entries of ENTRIES or behind a QUOTE: true when they are in; else the answer is written, or *r is negative. */
static bool take(struct pipeline *p, struct exchange *ex, struct session *s, const struct incoming_block *in, int *r)
{
	struct attester *a = s->attester;

	*r = 0;
	if (in->block.n == 0)
		return true;
	if (in->first > s->boot->next) {
		*r = resume(ex, s->boot->next, REASON_NONE);
		return false;
	}
	if (s->boot->unproven_bytes + in->block.n > LIMIT_UNPROVEN_BYTES) {
		pipeline_close_session(p, a, false);
		*r = pipeline_reject(ex, REASON_BUSY, "too many entries without a proof", RETRY_LATER_MS);
		return false;
	}
	*r = pipeline_take_block(p, s, in);
	if (*r == 0)
		return true;
	if (*r == WIRE_BLOCK_REFERENCE) { /* the policy changed, or we restarted: the same entries in full, please */
		*r = resume(ex, s->boot->next, REASON_REFERENCE_UNKNOWN);
		return false;
	}
	if (*r > 0) {
		pipeline_close_session(p, a, false);
		*r = pipeline_reject(ex, REASON_PROTOCOL_ERROR, "malformed entry block", RETRY_SOON_MS);
	}
	return false;
}

static int on_entries(struct pipeline *p, struct exchange *ex, const struct wire_entries *m)
{
	struct session *s = find_session(p, ex, m->session);
	struct incoming_block in = { .first = m->first, .block = m->block, .rtt_us = m->rtt_us };
	enum reason why;
	enum wire_state before;
	struct wire_ack ack;
	int r;

	if (!s)
		return 0;
	if (s->pending) /* anybody could have sent them */
		return resume(ex, s->boot->next, REASON_SESSION_UNPROVEN);
	before = s->attester->state;
	why = s->attester->state_reason;
	if (!take(p, ex, s, &in, &r))
		return r;
	s->floor = MAX(s->floor, m->floor);
	replay_forget(&s->boot->replay, m->floor);
	s->extend_failures = m->extend_failures;
	s->measured = MAX(s->measured, m->measured);
	r = session_keep_drops(s, m->drops, m->n_drops);
	if (r == 0)
		r = pipeline_settle_state(p, s->attester, before, why);
	if (r < 0)
		return r;
	ack = ack_of(s, false, s->attester->state_reason);
	return acknowledge(ex, s, &ack);
}

/* --- quotes: [8] check, [9] match, [11] verdict ---- */

static int list_finding(struct pipeline *p, struct attester *a, struct boot *b, enum reason reason, uint64_t index,
			bool proven, bool *fresh)
{
	struct finding_source source = { .proven = proven };

	return pipeline_finding(p, a, b, reason, index, &source, fresh);
}

/* Nobody's fault: a lost quote is the network's doing as often as not, a suspended host or one that lost power starts again. */
static bool blameless(enum reason reason)
{
	return reason == REASON_QUOTE_SEQUENCE || reason == REASON_TPM_RESUMED || reason == REASON_CLOCK_UNSAFE;
}

/* A quote that is not what it should be: its own reason, and the session is over. */
static int refuse_quote(struct pipeline *p, struct exchange *ex, struct session *s, enum reason reason)
{
	struct attester *a = s->attester;
	enum wire_state before = a->state;
	enum reason why = a->state_reason;
	struct boot *b = s->boot;
	int r = 0;

	pipeline_close_session(p, a, false);
	if (reason == REASON_BOOT_CLAIM_FALSE && b == a->claimed && a->boot) {
		r = pipeline_drop_claim(p, a);
		b = a->boot;
		if (r == 0)
			r = fleet_load_boot(&p->fleet, a, b);
	}
	if (r == 0 && !blameless(reason))
		r = list_finding(p, a, b, reason, b->proven, reason == REASON_BOOT_CLAIM_FALSE, NULL);
	if (r == 0)
		r = pipeline_settle_state(p, a, before, why);
	return r < 0 ? r : pipeline_reject(ex, reason, NULL, reason == REASON_TPM_RESUMED ? RETRY_AT_ONCE_MS : RETRY_SOON_MS);
}

static int keep_quote(struct pipeline *p, struct session *s, const struct wire_quote *q, uint64_t clock_ms)
{
	size_t pcrs = 0;
	struct quote_row row = {
		.proven = s->boot->proven, .seq = q->seq, .surely = q->surely, .clock_ms = clock_ms,
		.received_real = p->now.real, .attest = q->attest, .signature = q->signature,
		.session = { s->id, sizeof(s->id) }, .nonce = { q->nonce, sizeof(q->nonce) },
		.previous = { s->previous, sizeof(s->previous) },
		.commitments = { q->commitments[0], q->n_commitments * sizeof(q->commitments[0]) },
		.position = q->position, .pcr_mask = s->pcr_mask, .bank = s->bank,
	};

	for (unsigned int i = 0; i < TPM_PCR_COUNT; i++)
		pcrs += i != 10 && (s->pcr_mask & (1u << i));
	row.boot_pcrs = (struct bytes){ s->boot_pcrs, pcrs * hash_size(s->bank) };
	return fleet_keep_quote(&p->fleet, s, &row);
}

/* The list reaches the quote at m->index: entries before it are proven, the clock of silence starts anew. */
static int prove(struct pipeline *p, struct session *s, const struct wire_quote *q, const struct quote_result *quote,
		 enum replay_outcome how, const struct replay_match *m)
{
	struct attester *a = s->attester;
	struct boot *b = s->boot;
	struct event_facts recovered = { .attester = a, .reason = REASON_RECOVERED };
	const struct judgement rules = pipeline_judgement(p, a);
	struct instant given = { .mono = quote->nonce->issued_mono, .real = quote->nonce->issued_real };
	bool first = !b->matched, was_stale = a->stale;
	enum reason aggregate;
	int r = replay_prove(&b->replay, how, m);

	if (r < 0)
		return r;
	b->form = b->replay.form;
	b->matched = true;
	b->proven = m->index;
	b->unproven_bytes = 0;
	bytes_copy(b->proven_pcr10, b->replay.track[b->form == REPLAY_PADDED]->base.ten, hash_size(b->bank));
	writer_reset(&b->proven_values);
	replay_save(&b->replay, &b->proven_values);
	a->last_quote_real = p->now.real;
	if (given.mono + p->rules.deadline_us > p->now.mono) { /* else it was held back until it says nothing of today */
		a->stale = false;
		a->fresh_mono = MAX(a->fresh_mono, given.mono);
		pipeline_extend_deadline(p, a, &given);
	}
	r = writer_status(&b->proven_values);
	if (r == 0 && how == REPLAY_SKIPPED)
		r = list_finding(p, a, b, REASON_EXTEND_FAILED, m->culprit, true, NULL);
	if (r == 0 && how == REPLAY_EXCHANGED)
		r = list_finding(p, a, b, REASON_LIST_REORDERED, m->culprit, true, NULL);
	if (r == 0 && first && b->form == REPLAY_PADDED)
		r = list_finding(p, a, b, REASON_LIST_PADDED_SHA1, 0, true, NULL);
	if (r == 0 && first && b->bank == HASH_SHA1)
		r = list_finding(p, a, b, REASON_BANK_SHA1, 0, true, NULL);
	aggregate = appraise_boot_aggregate(&rules.now, s);
	if (r == 0 && aggregate != REASON_NONE)
		r = list_finding(p, a, b, aggregate, 0, true, NULL);
	if (r == 0 && pipeline_policy_missing(p, a))
		r = pipeline_tell_missing(p, a, b);
	if (r == 0)
		r = pipeline_judge_boot(p, s);
	if (r == 0)
		r = keep_quote(p, s, q, quote->attest.clock_ms);
	if (r == 0)
		r = journal_prove(&p->journal, a, b, p->now.real);
	if (r == 0 && was_stale && !a->stale)
		r = journal_event(&p->journal, "recovered", &recovered, p->now.real);
	return r;
}

/* No entry reaches the quote. quote_wanted: another one may say more; once is enough when the list itself is wrong. */
static int disprove(struct pipeline *p, struct session *s, enum replay_outcome how, bool *quote_wanted,
		    enum reason *reason)
{
	if (how == REPLAY_WINDOW) {
		*quote_wanted = true;
		*reason = REASON_WINDOW_EXCEEDED;
		return 0;
	}
	*reason = how == REPLAY_BELOW	      ? REASON_LIST_TRUNCATED
		  : appraise_kexec_gap(s) ? REASON_KEXEC_GAP
					      : REASON_LIST_TAMPERED;
	return list_finding(p, s->attester, s->boot, *reason, s->boot->proven, true, quote_wanted);
}

/* What the kernel had counted at the quote before this one has been sent since, or the collector cannot read all of the list. */
static int check_count(struct pipeline *p, struct session *s, const struct wire_quote *q)
{
	uint64_t owed = s->owed;

	s->measured = MAX(s->measured, q->measured);
	s->owed = q->measured;
	return owed > s->boot->next ? list_finding(p, s->attester, s->boot, REASON_COUNT_MISMATCH, s->boot->next, true, NULL) : 0;
}

/* The quote must be reached at this entry or behind it: what it says itself, what is proven, what was promised. */
static uint64_t surely_covered(const struct session *s, const struct wire_quote *q)
{
	uint64_t promised = MIN(s->floor, s->boot->next), lower = MAX(q->surely, s->boot->proven);

	return MAX(lower, promised);
}

/* Looking for what exactly was changed is costly: once is enough. */
static bool known_tampered(const struct boot *b)
{
	const uint64_t bits = 1ull << (REASON_LIST_TAMPERED % 64) | 1ull << (REASON_KEXEC_GAP % 64);

	_Static_assert(REASON_LIST_TAMPERED / 64 == REASON_KEXEC_GAP / 64, "one word");
	return b->reasons[REASON_LIST_TAMPERED / 64] & bits;
}

/* A proof over this nonce would not last until the next heartbeat brings another one. */
static bool stale_before_heartbeat(const struct pipeline *p, const struct nonce *n)
{
	return n->issued_mono + p->rules.deadline_us <= p->now.mono + p->rules.heartbeat_us;
}

static int on_quote(struct pipeline *p, struct exchange *ex, const struct wire_quote *m)
{
	struct session *s = find_session(p, ex, m->session);
	struct incoming_block in = { .first = m->first, .block = m->block, .rtt_us = m->rtt_us };
	struct quote_result quote;
	struct quote_test test = { .session = s, .result = &quote };
	struct replay_match match;
	enum reason why, reason = REASON_NONE;
	enum wire_state before;
	bool wanted = false, vouched;
	struct attester *a;
	int r, how;

	if (!s)
		return 0;
	a = s->attester;
	before = a->state;
	why = a->state_reason;
	r = quote_judge(s, m, &quote, &vouched);
	if (r >= 0 && s->pending) {
		int took = pipeline_take_over(p, ex, s, (enum reason)r, vouched);

		if (took != 1)
			return took;
		a->bytes_in += ex->message.n;
	}
	if (r == REASON_QUOTE_REPLAYED &&
	    m->seq < s->seq) /* one that came late or twice: it has no effect, and no blame */
		return pipeline_reject(ex, REASON_QUOTE_REPLAYED, NULL, RETRY_SOON_MS);
	if (r != 0)
		return r < 0 ? r : refuse_quote(p, ex, s, (enum reason)r);
	if (quote.resend)
		return acknowledge(ex, s, &s->answer);
	if (s->contested_mono && quote.nonce->issued_mono >= s->contested_mono)
		s->defended_mono = p->now.mono;
	/* A clock that may have gone back says nothing of when: only the nonce does. */
	if (!quote.attest.safe && quote.nonce->issued_mono + p->rules.deadline_us <= p->now.mono)
		return refuse_quote(p, ex, s, REASON_CLOCK_UNSAFE);
	if (!take(p, ex, s, &in, &r))
		return r;
	if (m->surely > s->boot->next) /* not used up: the same quote may come again behind them */
		return resume(ex, s->boot->next, REASON_LIST_UNREACHED);
	r = pipeline_accept_boot(p, s, &quote.attest);
	if (r < 0)
		return r;
	how = replay_find(&s->boot->replay, surely_covered(s, m), !known_tampered(s->boot), quote_test_values, &test,
			  &match);
	if (how < 0)
		return how;
	a->quotes++;
	a->heartbeat_quotes += quote.nonce->challenge;
	if (how == REPLAY_MATCH || how == REPLAY_SKIPPED || how == REPLAY_EXCHANGED)
		r = prove(p, s, m, &quote, (enum replay_outcome)how, &match);
	else
		r = disprove(p, s, (enum replay_outcome)how, &wanted, &reason);
	if (r == 0)
		r = check_count(p, s, m);
	if (r < 0)
		return r;
	if (how == REPLAY_MATCH && (a->stale || stale_before_heartbeat(p, quote.nonce)))
		wanted = true; /* true, but too old to say anything of today, or soon */
	s->seq = m->seq;
	bytes_copy(s->previous, quote.commitment, sizeof(s->previous));
	quote.nonce->used = true;
	r = pipeline_give_nonce(p, s, false);
	if (r == 0)
		r = pipeline_settle_state(p, a, before, why);
	if (r < 0)
		return r;
	s->answer = ack_of(s, wanted, reason ? reason : a->state_reason);
	pipeline_arm(p, a);
	return acknowledge(ex, s, &s->answer);
}

/* --- WAIT and the rest ---- */

static int on_wait(struct pipeline *p, struct exchange *ex, const struct wire_wait *m)
{
	struct session *s = find_session(p, ex, m->session);

	if (!s)
		return 0;
	pipeline_release_wait(p, s, NULL); /* the same peer asks again: the older one is lost to it */
	s->wait = TAKE_PTR(ex->token);
	ex->held = true;
	pipeline_tell_reference(p, s);
	pipeline_arm(p, s->attester);
	return 0;
}

static int on_fetch(struct pipeline *p, struct exchange *ex, const struct wire_fetch *m)
{
	struct session *s = find_session(p, ex, m->session);

	return s ? pipeline_fetch(p, ex, s, m) : 0;
}

static int on_message(struct pipeline *p, struct exchange *ex)
{
	struct wire_message m;
	const char *where = NULL;
	enum wire_decode_outcome outcome = wire_decode(ex->message, &m, &where);

	if (outcome == WIRE_DECODE_VERSION)
		return pipeline_reject(ex, REASON_VERSION_UNSUPPORTED, "this verifier speaks version 1", 0);
	if (outcome != WIRE_DECODE_OK)
		return pipeline_reject(ex, REASON_PROTOCOL_ERROR, where, 0);
	switch (m.type) {
	case WIRE_HELLO:
		return pipeline_hello(p, ex, &m.hello, (struct bytes){ 0 });
	case WIRE_ACTIVATE:
		return pipeline_hello(p, ex, &m.activate.hello, m.activate.secret);
	case WIRE_ENTRIES:
		return on_entries(p, ex, &m.entries);
	case WIRE_QUOTE:
		return on_quote(p, ex, &m.quote);
	case WIRE_WAIT:
		return on_wait(p, ex, &m.wait);
	case WIRE_FETCH:
		return on_fetch(p, ex, &m.fetch);
	default:
		return pipeline_reject(ex, REASON_PROTOCOL_ERROR, "not a request", 0);
	}
}

static int message_whole(struct pipeline *p, struct exchange *ex)
{
	int r = on_message(p, ex);

	if (r == 0 && !ex->held)
		r = writer_status(&ex->reply);
	return r < 0 ? r : fleet_save_touched(&p->fleet);
}

/* As a whole or not at all: what fails costs its sender this message and its session, and nobody else anything. Negative errno: not
 * even that can be had. *failed: what it failed with. */
static int message_in_transaction(struct pipeline *p, struct exchange *ex, int *failed)
{
	const struct store_ops *ops = p->store->ops;
	const struct renewals renewals = p->fleet.renewals;
	const uint64_t event = p->journal.last;
	const size_t waiting = p->waiting;
	const bool had_squatter = p->has_squatter;
	int r = ops->savepoint(p->store);

	if (r < 0)
		return r;
	*failed = message_whole(p, ex);
	if (*failed == 0)
		return ops->release(p->store);
	r = ops->rollback_to(p->store);
	if (r < 0) /* some errors take back all of the transaction */
		return *failed;
	p->fleet.renewals = renewals;
	p->journal.last = event;
	p->waiting = waiting;
	p->has_squatter = had_squatter;
	r = pipeline_revert_message(p);
	return r < 0 ? r : pipeline_reject(ex, REASON_BUSY, "the verifier failed at this message", RETRY_SOON_MS);
}

static int batch_in_transaction(struct pipeline *p, struct exchange *ex, size_t n)
{
	size_t n_failed = 0;
	int r = p->store->ops->begin(p->store), failed = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		int why = 0;

		r = message_in_transaction(p, &ex[i], &why);
		n_failed += why < 0;
		failed = why < 0 ? why : failed;
	}
	if (r == 0 && n_failed == n)
		return failed;
	if (r == 0)
		r = fleet_save(&p->fleet);
	if (r == 0)
		r = p->store->ops->commit(p->store);
	if (r == 0 && n_failed) {
		p->failures += n_failed;
		p->failure = failed;
	}
	return r;
}

static int forget_squatter(struct pipeline *p)
{
	const struct instant now = p->now;
	const char *refusal;
	int r;

	if (!p->has_squatter)
		return 0;
	p->has_squatter = false;
	r = pipeline_enrolment(p, ENROL_FORGET, p->squatter, "imastream-verifier",
			       "it never showed its key, and another host came with it", &now, &refusal);
	return r < 0 ? r : 0;
}

int pipeline_batch(struct pipeline *p, struct exchange *ex, size_t n, const struct instant *now)
{
	int r;

	p->now = *now;
	p->has_squatter = false;
	p->batches++;
	p->requests += n;
	r = batch_in_transaction(p, ex, n);
	pipeline_close_batch(p, r == 0);
	for (size_t i = 0; i < n; i++) {
		void *token = TAKE_PTR(ex[i].token);

		if (r < 0) /* better than silence: the peer need not wait for its time-out */
			(void)pipeline_reject(&ex[i], REASON_BUSY, "the store fails", RETRY_SOON_MS);
		if (token && writer_status(&ex[i].reply) == 0)
			p->io.reply(p->io.user, token, writer_view(&ex[i].reply));
		else if (token)
			p->io.drop(p->io.user, token);
	}
	return r < 0 ? r : forget_squatter(p);
}
