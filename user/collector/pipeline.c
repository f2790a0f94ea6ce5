// SPDX-License-Identifier: Apache-2.0
/* The order of work; the numbers are those of the stages in README.md:
 *
 *   pipeline_pull() [1] ring, [2] list                        entries into the window
 *   use_tpm()       [5] quote: scheduler, TPM thread
 *   serve()         [3] batch, [4] report, [6] prove          for each verifier
 *
 * Every event (source, TPM thread, a verifier's answer, timer, signal) notes what it brought and calls
 * pipeline_turn(). */
#include "collector/pipeline_private.h"

#include <inttypes.h>

#include "base/clock.h"
#include "collector/prove.h"
#include "collector/report.h"

#define SURVEY_FRESH_US 10000000u
#define SOURCE_RETRY_US 1000000u
#define BUSY_FIRST_US 5000u /* the list is open for a trimmer, or for us; doubled each time */
#define BUSY_TRIES 7u
#define BATCH_BYTES (1u << 20) /* plain bytes of a block, about; a larger entry goes alone */

_Static_assert(LIMIT_VERIFIERS <= LIMIT_COMMITMENTS, "one quote serves every verifier");

static void wake_by(struct pipeline *p, uint64_t at_us)
{
	if (at_us && at_us != UINT64_MAX && (p->next_wake_us == 0 || at_us < p->next_wake_us))
		p->next_wake_us = at_us;
}

/* --- [1] [2]: entries into the window ------------------------------------------------------------------------------- */

static int on_item(void *user, const struct item *item)
{
	struct pipeline *p = user;

	if (item->index != window_end(p->window))
		window_restart(p->window, item->index);
	return window_add(p->window, item);
}

static bool passes_by_itself(int r)
{
	return r == -EBUSY || r == -EAGAIN || r == -EINTR || r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* At the poll level a timer stands in for wake-ups. */
static uint64_t pull_period(const struct pipeline *p)
{
	struct source_status status;

	source_status(p->source, &status);
	return status.support == EVENT_SUPPORT_POLL ? p->options->poll_interval_us : 0;
}

/* Somebody may have detached the BPF program: the list had those entries, so nothing is lost. What was trimmed before it could be
 * read is: no verifier can go on behind it. */
static void tell_source(struct pipeline *p, uint64_t now)
{
	struct source_status status;

	source_status(p->source, &status);
	if (status.end > window_end(p->window))
		window_restart(p->window, status.end);
	if (status.lost > p->lost)
		log_error("%" PRIu64 " entries were trimmed from the kernel's list before they could be read: no verifier can prove this "
			  "host any more until it reboots (reason list-trimmed). Who trims beside imastream?",
			  status.lost - p->lost);
	p->lost = status.lost;
	if (status.unnoticed > p->unnoticed && log_allowed(&p->source_log, now))
		log_warn("%" PRIu64 " entries were in the kernel's list and no BPF record told of them: is the program still "
			 "attached? They are sent now", status.unnoticed - p->unnoticed);
	p->unnoticed = status.unnoticed;
}

static uint64_t busy_pause(const struct pipeline *p)
{
	return p->busy_tries < BUSY_TRIES ? BUSY_FIRST_US << p->busy_tries : SOURCE_RETRY_US;
}

int pipeline_pull(struct pipeline *p, uint64_t now)
{
	int r = source_pull(p->source, on_item, p);

	p->pull_wanted = false;
	p->busy_tries = r == -EBUSY ? p->busy_tries + 1 : 0;
	if (!poll_mode(p))
		p->pull_at_us = pull_period(p) ? now + pull_period(p) : 0;
	if (r < 0 && passes_by_itself(r)) {
		/* who trims is gone in a moment */
		if ((r != -EBUSY || p->busy_tries == BUSY_TRIES) && log_allowed(&p->source_log, now))
			log_warn("cannot read entries now, trying again: %s", source_error(p->source));
		p->pull_at_us = now + (r == -EBUSY ? busy_pause(p) : SOURCE_RETRY_US);
		r = 0;
	}
	if (r < 0)
		log_error("%s", *source_error(p->source) ? source_error(p->source) : strerror(-r));
	if (source_fd(p->source) < 0 && p->source_fd >= 0) {
		(void)loop_del_fd(p->loop, p->source_fd); /* a test source has ended */
		p->source_fd = -1;
	}
	if (!poll_mode(p))
		p->visible = window_end(p->window);
	if (r == 0)
		tell_source(p, now);
	return r;
}

/* Poll mode: what happened since the last tick is looked at now, and quoted. */
static int tick(struct pipeline *p, uint64_t now)
{
	int r;

	p->pull_at_us = now + p->options->interval_us;
	r = pipeline_pull(p, now);
	p->visible = window_end(p->window);
	for (size_t i = 0; i < p->n_members; i++)
		peer_demand(&p->members[i].peer, now);
	return r;
}

/* --- [5]: quotes, and what else the TPM is for ---------------------------------------------------------------------- */

static uint64_t arrival(const struct pipeline *p, uint64_t index, uint64_t now)
{
	struct item item;

	return window_get(p->window, index, &item) ? item.arrived_us : now;
}

/* Whether any verifier wants a quote, and how much waits for it. */
static struct sched_want quote_wanted(const struct pipeline *p, uint64_t now, bool *demanded)
{
	struct sched_want want = { 0 };

	*demanded = false;
	for (size_t i = 0; i < p->n_members; i++) {
		const struct peer *peer = &p->members[i].peer;
		uint64_t s = peer_quote_wanted(peer, p->visible, arrival(p, peer->covered, now));

		if (!s)
			continue;
		want.since_us = want.since_us ? MIN(want.since_us, s) : s;
		if (p->visible > peer->covered)
			want.waiting = MAX(want.waiting, p->visible - peer->covered);
		if (peer_quote_demanded(peer))
			*demanded = true;
	}
	if (want.waiting)
		want.newest_us = arrival(p, p->visible - 1, now);
	return want;
}

static int start_quote(struct pipeline *p, uint64_t now, uint64_t waiting, bool demanded)
{
	const uint8_t *attester = quoter_identity(p->quoter)->attester_id;
	uint64_t surely = source_surely(p->source), measured = source_measured(p->source);
	uint8_t qualifying[WIRE_DIGEST_SIZE];
	int r;

	p->n_commitments = 0;
	for (size_t i = 0; i < p->n_members; i++) {
		struct peer *peer = &p->members[i].peer;

		if (!peer_can_quote(peer))
			continue;
		peer_quote_begin(peer, attester, surely, p->visible, measured, p->n_commitments,
				 p->commitments[p->n_commitments]);
		p->n_commitments++;
	}
	wire_qualifying((const uint8_t(*)[WIRE_DIGEST_SIZE])p->commitments, p->n_commitments, qualifying);
	r = quoter_quote(p->quoter, qualifying);
	if (r < 0)
		return r;
	p->quote_on_change = !demanded;
	sched_started(&p->sched, now, waiting);
	return 0;
}

static bool hello_wanted(const struct pipeline *p, uint64_t now)
{
	struct source_status status;

	source_status(p->source, &status);
	for (size_t i = 0; status.ready && i < p->n_members; i++) {
		enum peer_request wants = peer_wants(&p->members[i].peer, now);

		if (wants == PEER_HELLO || wants == PEER_ACTIVATE)
			return true;
	}
	return false;
}

/* A verifier's credential, one at a time. False: none waits. */
static bool activation_wanted(const struct pipeline *p, size_t *out)
{
	for (size_t i = 0; i < p->n_members; i++) {
		if (peer_wants_activation(&p->members[i].peer)) {
			*out = i;
			return true;
		}
	}
	return false;
}

static int start_activation(struct pipeline *p, size_t i)
{
	struct peer *peer = &p->members[i].peer;
	const struct peer_activation *a = &peer->activation;
	int r = quoter_activate(p->quoter, (struct bytes){ a->blob, a->blob_n }, (struct bytes){ a->encrypted, a->encrypted_n });

	if (r < 0)
		return r;
	p->activating = i;
	p->activating_serial = a->serial;
	peer_activate_begin(peer);
	return 0;
}

static int use_tpm(struct pipeline *p, uint64_t now)
{
	const struct source_extend *work;
	struct sched_want want;
	bool demanded;
	uint64_t at;
	size_t i;

	if (quoter_busy(p->quoter))
		return 0; /* its result is the next event */
	want = quote_wanted(p, now, &demanded);
	at = sched_start_at(&p->sched, &want);
	if (at <= now)
		return start_quote(p, now, want.waiting, demanded);
	wake_by(p, at);
	if (now >= p->sched.retry_us && activation_wanted(p, &i))
		return start_activation(p, i);
	if (now - p->surveyed_us > SURVEY_FRESH_US && hello_wanted(p, now) && now >= p->sched.retry_us)
		return quoter_start_survey(p->quoter);
	work = now >= p->sched.retry_us ? source_extend_work(p->source) : NULL;
	if (work)
		return quoter_extend(p->quoter, work);
	if (p->sched.retry_us > now)
		wake_by(p, p->sched.retry_us);
	return 0;
}

static int quote_done(struct pipeline *p, const struct quoter_result *r, uint64_t now)
{
	uint64_t took = r->ended_us - r->started_us;
	int err;

	if (r->status < 0) {
		p->stats.quotes_failed++;
		for (size_t i = 0; i < p->n_members; i++)
			peer_quote_failed(&p->members[i].peer, now);
		return 0;
	}
	p->stats.quotes++;
	p->stats.quotes_on_change += p->quote_on_change;
	p->stats.quotes_demanded += !p->quote_on_change;
	p->stats.quote_us_total += took;
	p->stats.quote_us_max = MAX(p->stats.quote_us_max, took);
	/* Now every entry that the quote can cover is in the ring or in the list: they go with it, or before it. */
	err = pipeline_pull(p, now);
	p->visible = window_end(p->window);
	for (size_t i = 0; i < p->n_members; i++) {
		struct peer_quote taken = { .n_commitments = p->n_commitments, .quote = r->quote, .quote_us = took,
					    .returned_us = r->ended_us };

		bytes_copy(taken.commitments, p->commitments, sizeof(taken.commitments));
		peer_quote_taken(&p->members[i].peer, &taken, p->visible);
	}
	return err;
}

static void activation_done(struct pipeline *p, const struct quoter_result *r, uint64_t now)
{
	p->stats.activations++;
	p->stats.activations_failed += r->status != 0;
	peer_activated(&p->members[p->activating].peer, p->activating_serial, r->status,
		       (struct bytes){ r->secret, r->secret_n }, quoter_error(p->quoter), r->ended_us - r->started_us, now);
	quoter_forget(p->quoter);
}

int pipeline_tpm_done(struct pipeline *p, const struct quoter_result *r, uint64_t now)
{
	if (r->status == -EUCLEAN)
		return log_errno(r->status, "%s", quoter_error(p->quoter));
	if (r->status < 0)
		log_warn("the TPM failed, trying again: %s", quoter_error(p->quoter));
	if (r->kind == QUOTER_QUOTE || r->status < 0) {
		if (r->kind != QUOTER_QUOTE)
			sched_started(&p->sched, r->started_us, 0); /* the pause after a failure is for all jobs */
		sched_finished(&p->sched, r->ended_us, r->status == 0);
	}
	switch (r->kind) {
	case QUOTER_QUOTE:
		return quote_done(p, r, now);
	case QUOTER_SURVEY:
		p->surveyed_us = now; /* failed: the last one has to do; entries are reported without a TPM too */
		return 0;
	case QUOTER_EXTEND:
		source_extend_done(p->source, r->extended, r->ended_us);
		p->pull_wanted = true;
		return 0;
	case QUOTER_ACTIVATE:
		activation_done(p, r, now);
		return 0;
	case QUOTER_NONE:
		break;
	}
	return 0;
}

/* --- [3] [4] [6]: what each verifier gets --------------------------------------------------------------------------- */

static int send_message(struct pipeline *p, struct member *m, enum peer_request request, uint64_t next, uint64_t now)
{
	int r = writer_status(&p->message);

	if (r == 0)
		r = member_send(m, request, writer_view(&p->message), next, now);
	if (r < 0)
		return log_errno(r, "%s: cannot send", m->peer.name);
	return 0;
}

/* HELLO, or ACTIVATE: the same with the secret of the CHALLENGE. */
static int send_hello(struct pipeline *p, struct member *m, enum peer_request request, uint64_t now)
{
	struct source_status status;
	struct wire_message message;

	source_status(p->source, &status);
	if (!status.ready || now - p->surveyed_us > SURVEY_FRESH_US)
		return 0; /* use_tpm() is about to ask */
	status.first = MIN(status.first, window_start(p->window));
	boot_hello(&message, &p->boot, p->quoter, p->options->pcr_mask, p->visible, &status, poll_mode(p));
	if (request == PEER_ACTIVATE)
		boot_activate(&message, (struct bytes){ m->peer.activation.secret, m->peer.activation.secret_n });
	wire_encode(&p->message, &message);
	return send_message(p, m, request, 0, now);
}

static struct batch_rule rule_for(const struct pipeline *p, const struct peer *peer)
{
	struct batch_rule rule = {
		.age_us = p->options->batch_age_us,
		.max_entries = (uint32_t)p->options->batch_entries,
		.max_bytes = BATCH_BYTES,
	};

	if (peer->max_block_entries)
		rule.max_entries = MIN(rule.max_entries, peer->max_block_entries);
	if (peer->max_message)
		rule.max_bytes = MIN(rule.max_bytes, (size_t)peer->max_message / 2);
	return rule;
}

static int send_evidence(struct pipeline *p, struct member *m, enum peer_request wants, uint64_t now)
{
	struct peer *peer = &m->peer;
	struct batch_rule rule = rule_for(p, peer);
	uint64_t waiting = p->visible > peer->cursor ? p->visible - peer->cursor : 0, next = peer->cursor, at;
	struct source_status status;
	struct bytes block;
	int r;

	rule.set = m->set;
	if (wants == PEER_ENTRIES) {
		at = batch_close_at(&rule, waiting, window_bytes_from(p->window, peer->cursor),
				    arrival(p, peer->cursor, 0), peer->last_batch_us);
		if (at > now) {
			wake_by(p, at);
			return 0;
		}
	}
	r = batch_fill(p->pack, &m->feed, p->window, p->source, &rule, p->options->context, peer->cursor,
		       MAX(p->visible, peer->cursor), now, &next, &block);
	if (r == -ENODATA) {
		log_warn("%s: list-trimmed: it needs entry %" PRIu64 ", which the kernel's list does not have any more; if it did not "
			 "lose its store, something beside imastream trims", peer->name, peer->cursor);
		peer_give_up(peer, now);
		return 0;
	}
	if (r < 0 && passes_by_itself(r)) {
		wake_by(p, now + (r == -EBUSY ? BUSY_FIRST_US * 10 : SOURCE_RETRY_US));
		return 0;
	}
	if (r < 0)
		return log_errno(r, "cannot put entries from %" PRIu64 " into a block", peer->cursor);
	if (!peer->authenticated && next < peer->quote.surely) {
		next = peer->cursor; /* too many for one message: first the quote alone, then they, then the quote again */
		block = (struct bytes){ 0 };
	}
	peer->evidence_set = wire_pack_known(p->pack) && m->set ? m->set->number : 0;
	if (next > peer->cursor) {
		p->stats.batches++;
		p->stats.batch_known += wire_pack_known(p->pack);
		p->stats.batch_entries += next - peer->cursor;
	}
	if (wants == PEER_QUOTE && (next >= peer->quote.end || next == peer->cursor || !peer->authenticated)) {
		prove_quote(&p->message, peer, peer->cursor, block, now);
		return send_message(p, m, PEER_QUOTE, next, now);
	}
	if (next == peer->cursor)
		return 0;
	source_status(p->source, &status);
	report_entries(&p->message, peer, peer->cursor, block, source_surely(p->source),
		       source_measured(p->source), &status);
	return send_message(p, m, PEER_ENTRIES, next, now);
}

static int send_wait(struct pipeline *p, struct member *m, uint64_t now)
{
	struct wire_message message = { .type = WIRE_WAIT };

	bytes_copy(message.wait.session, m->peer.session, sizeof(message.wait.session));
	wire_encode(&p->message, &message);
	return send_message(p, m, PEER_WAIT, 0, now);
}

static int send_fetch(struct pipeline *p, struct member *m, uint64_t now)
{
	struct wire_message message;

	peer_fetch_message(&m->peer, &message);
	wire_encode(&p->message, &message);
	return send_message(p, m, PEER_FETCH, 0, now);
}

static int serve(struct pipeline *p, struct member *m, uint64_t now)
{
	enum peer_request wants;
	int r;

	peer_tick(&m->peer, now);
	member_expire(m, now);
	r = member_tidy(m, p->options);

	if (r < 0)
		return log_errno(r, "%s: cannot open the socket", m->peer.name);
	member_set(m, now);
	writer_reset(&p->message);
	wants = peer_wants(&m->peer, now);
	if (wants == PEER_HELLO || wants == PEER_ACTIVATE)
		r = send_hello(p, m, wants, now);
	else if (wants != PEER_NOTHING)
		r = send_evidence(p, m, wants, now);
	if (r == 0 && peer_wants_wait(&m->peer, now)) {
		writer_reset(&p->message);
		r = send_wait(p, m, now);
	}
	if (r == 0 && peer_wants_fetch(&m->peer, now)) {
		writer_reset(&p->message);
		r = send_fetch(p, m, now);
	}
	wake_by(p, member_wake_at(m));
	if (peer_wake_at(&m->peer) > now)
		wake_by(p, peer_wake_at(&m->peer));
	return r;
}

/* --- one turn ------------------------------------------------------------------------------------------------------- */

/* Entries that every verifier has proven are no longer needed. */
static void release(struct pipeline *p)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < p->n_members; i++) {
		const struct peer *peer = &p->members[i].peer;

		lowest = MIN(lowest, peer->cursor);
		lowest = MIN(lowest, peer->proven);
	}
	window_release(p->window, lowest);
}

/* --trim-acknowledged */
static void trim(struct pipeline *p, uint64_t now)
{
	uint64_t lowest = UINT64_MAX, upto, at;
	struct source_status status;
	int r;

	if (!p->options->trim_acknowledged)
		return;
	for (size_t i = 0; i < p->n_members; i++) {
		struct member *m = &p->members[i];

		trim_heard(&m->trim, m->url_at, &m->peer);
		lowest = trim_lowest(lowest, &m->trim);
	}
	source_status(p->source, &status);
	at = trim_at(&p->trim, lowest, status.first, now, &upto);
	if (at > now) {
		wake_by(p, at);
		return;
	}
	r = source_trim(p->source, upto);
	trim_tried(&p->trim, r, now);
	if (r < 0 && r != -EBUSY && log_allowed(&p->source_log, now))
		log_warn("the kernel does not forget entries: %s", r == -ESTALE ? "a kexec has begun" :
			 r == -EINVAL ? "not with ima_flush_htable on its command line" :
			 r == -ERANGE ? "a verifier has proven more than its list holds; was there a kexec?" : strerror(-r));
	if (r < 0)
		wake_by(p, p->trim.not_before_us);
}

int pipeline_turn(struct pipeline *p)
{
	uint64_t now = clock_mono_us();
	int r = 0;

	p->next_wake_us = 0;
	if (p->pull_at_us && now >= p->pull_at_us)
		r = poll_mode(p) ? tick(p, now) : pipeline_pull(p, now);
	if (r == 0 && p->pull_wanted)
		r = pipeline_pull(p, now);
	if (r == 0)
		r = use_tpm(p, now);
	for (size_t i = 0; r == 0 && i < p->n_members; i++)
		r = serve(p, &p->members[i], now);
	release(p);
	trim(p, now);
	wake_by(p, p->pull_at_us);
	loop_timer_at(p->timer, p->next_wake_us);
	return r;
}

/* Latency of entries that an answer has acknowledged or proven. */
void pipeline_measure(struct pipeline *p, struct member *m, uint64_t now)
{
	struct item item;

	for (uint64_t i = MAX(m->reported, window_start(p->window)); i < MIN(m->peer.cursor, p->visible); i++) {
		if (window_get(p->window, i, &item) && item.measured_us && now > item.measured_us)
			histogram_add(&p->stats.reported, now - item.measured_us);
	}
	for (uint64_t i = MAX(m->proven, window_start(p->window)); i < MIN(m->peer.proven, p->visible); i++) {
		if (window_get(p->window, i, &item) && item.measured_us && now > item.measured_us)
			histogram_add(&p->stats.proven, now - item.measured_us);
	}
	m->reported = MAX(m->reported, m->peer.cursor);
	m->proven = MAX(m->proven, m->peer.proven);
}
