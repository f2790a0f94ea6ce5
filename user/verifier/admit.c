// SPDX-License-Identifier: Apache-2.0
/* HELLO: who is let in, on which boot, and where the stream goes on. */
#include "verifier/pipeline_internal.h"

#include <openssl/crypto.h>
#include <stdio.h>

#define REJECTED_EVENTS_A_MINUTE 60u
#define REFUSED_AGAIN_US 600000000u /* a known attester that is refused is told of again after this time */
#define RETRY_PENDING_MS 700u /* with the collector's jitter within a second of the approval */
#define PENDING_HELLO_MS 10u  /* all that wait together say no more than one HELLO in this time */
#define SQUAT_US 30000000u /* to show the key that was enrolled, before another identity may have it */

int pipeline_tell_rejected(struct pipeline *p, const struct event_facts *f)
{
	if (p->now.mono - p->rejected_window_mono >= 60000000u) {
		p->rejected_window_mono = p->now.mono;
		p->rejected_in_window = 0;
	}
	if (p->rejected_in_window++ >= REJECTED_EVENTS_A_MINUTE)
		return 0;
	return journal_event(&p->journal, "rejected", f, p->now.real);
}

/* Somebody who is not let in. */
static int reject_hello(struct pipeline *p, struct exchange *ex, const struct wire_hello *h, enum reason reason,
			const char *detail, uint32_t retry_ms)
{
	struct event_facts f = { .reason = reason, .severity = SEVERITY_FAIL, .detail = detail,
				 .id = { h->attester, sizeof(h->attester) }, .label = h->label };

	(void)pipeline_reject(ex, reason, detail, retry_ms);
	if (!idmap_get(&p->fleet.by_id, h->attester))
		refusals_add(&p->refusals, h->attester, h->label, reason, p->now.real);
	return pipeline_tell_rejected(p, &f);
}

bool pipeline_refusal_is_new(const struct pipeline *p, struct attester *a, enum refused kind)
{
	if (a->refused_mono[kind] && p->now.mono - a->refused_mono[kind] < REFUSED_AGAIN_US)
		return false;
	a->refused_mono[kind] = p->now.mono;
	return true;
}

/* Somebody known who is not let in. */
static int reject_known(struct pipeline *p, struct exchange *ex, const struct wire_hello *h, struct attester *a,
			enum reason reason, const char *detail)
{
	if (!pipeline_refusal_is_new(p, a, REFUSED_HELLO))
		return pipeline_reject(ex, reason, detail, RETRY_LATER_MS);
	return reject_hello(p, ex, h, reason, detail, RETRY_LATER_MS);
}

/* Its list begins behind what comes next here. A HELLO shows no key: whoever sent it, the attester itself is not blamed; without
 * evidence it turns stale. Nor do people hear of it while the attester is heard of by a session of its own. */
static int reject_trimmed(struct pipeline *p, struct exchange *ex, const struct wire_hello *h, struct attester *a, uint64_t next)
{
	char detail[LIMIT_LABEL + 1];
	bool heard;
	int r = pipeline_is_heard(p, a, &heard);

	if (r < 0)
		return r;
	snprintf(detail, sizeof(detail), "entry %llu comes next here, and its list begins at entry %llu", (unsigned long long)next,
		 (unsigned long long)h->list_first);
	if (heard || !pipeline_refusal_is_new(p, a, REFUSED_TRIMMED))
		return pipeline_reject(ex, REASON_LIST_TRIMMED, detail, RETRY_LATER_MS);
	return reject_hello(p, ex, h, REASON_LIST_TRIMMED, detail, RETRY_LATER_MS);
}

/* A HELLO shows no key, and some rules take an attestation key by its name: who knows it could enrol it under an identity of
 * their own before the host comes. Such a one never sends a quote, so after a while it gives way; and one without an endorsement
 * key, which nothing holds to a TPM, at once to a TPM that activates a credential for that key. Not what people approved. */
static bool never_shown(const struct attester *a)
{
	return a->changed_real == a->enrolled_real && !a->quotes && !a->session && !a->boot && !a->claimed;
}

static bool gives_way_in_time(const struct pipeline *p, const struct attester *a)
{
	return a->status == ENROL_ENROLLED && never_shown(a) && p->now.real > a->enrolled_real + SQUAT_US;
}

static bool gives_way_to_a_tpm(const struct attester *a)
{
	return (a->status == ENROL_ENROLLED || a->status == ENROL_PENDING) && never_shown(a) && !a->has_ek;
}

static int give_way(struct pipeline *p, struct exchange *ex, const struct attester *squatter, uint32_t retry_ms)
{
	bytes_copy(p->squatter, squatter->id, sizeof(p->squatter));
	p->has_squatter = true;
	return pipeline_reject(ex, REASON_BUSY, "its key was enrolled under another identity, which never showed it", retry_ms);
}

/* A key that is somebody else's: what was decided about that one counts, in whatever public area it comes. */
static int reject_other_identity(struct pipeline *p, struct exchange *ex, const struct wire_hello *h,
				 const struct attester *owner, const char *detail)
{
	enum reason reason = owner->status == ENROL_REVOKED  ? REASON_ATTESTER_REVOKED
			     : owner->status == ENROL_REJECTED ? REASON_ENROL_REJECTED
							       : REASON_ATTESTER_KEY_CHANGED;

	if (gives_way_in_time(p, owner))
		return give_way(p, ex, owner, RETRY_SOON_MS);
	return reject_hello(p, ex, h, reason, detail, RETRY_LATER_MS);
}

static void attester_cleanup(struct attester **a)
{
	attester_free(a);
}

/* --- who nobody knows ---- */

static struct bytes text_view(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static struct cert_row cert_of(const struct tpm_cert_facts *f)
{
	return (struct cert_row){ .manufacturer = text_view(f->manufacturer), .model = text_view(f->model),
				  .version = text_view(f->version), .serial = text_view(f->serial),
				  .issuer = text_view(f->issuer), .not_after_s = f->not_after_s };
}

/* "ek-ca: IFX SLB9672" */
static const char *explain(const struct enrol_decision *d, char *buf, size_t n)
{
	if (d->has_cert)
		snprintf(buf, n, "%s: %s %s, vouched for by %s", d->how, d->cert.manufacturer, d->cert.model, d->cert.issuer);
	else if (d->reason != REASON_NONE)
		snprintf(buf, n, "%s; %s%s%s", d->how, reason_name(d->reason), d->detail ? ": " : "", d->detail ? d->detail : "");
	else
		snprintf(buf, n, "%s", d->how);
	return buf;
}

static int tell_enrolled(struct pipeline *p, struct attester *a, const struct enrol_decision *d)
{
	bool waits = d->answer == ENROL_SAY_WAIT;
	char why[512];
	struct event_facts f = { .attester = a, .reason = waits ? REASON_ENROL_PENDING : REASON_ENROLLED,
				 .severity = waits ? SEVERITY_WARNING : SEVERITY_INFO };
	int r;

	f.detail = explain(d, why, sizeof(why));
	r = pipeline_log_enrolment(p, a, waits ? "pending" : "enrolled", "imastream-verifier", why);
	if (r == 0)
		r = journal_event(&p->journal, waits ? "pending" : "enrolled", &f, p->now.real);
	return r;
}

/* 0 and *out. */
static int enrol(struct pipeline *p, const struct wire_hello *h, const struct hello_facts *facts,
		 const struct enrol_decision *d, struct attester **out)
{
	cleanup_(attester_cleanup) struct attester *a =
		attester_new(d->label ? text_view(d->label) : h->label, (struct bytes){ NULL, 0 });
	struct enrol_record record = { .ak_public = h->ak_public, .ek_public = h->ek_public, .how = d->how,
				       .cert = cert_of(&d->cert) };
	struct attester *enrolled = a;
	int r;

	if (!a)
		return -ENOMEM;
	bytes_copy(a->id, h->attester, sizeof(a->id));
	bytes_copy(a->ak_name, facts->ak.name, sizeof(a->ak_name));
	a->status = d->answer == ENROL_SAY_WAIT ? ENROL_PENDING : ENROL_ENROLLED;
	a->enrolled_real = a->changed_real = p->now.real;
	a->label_given = d->label != NULL;
	rejudge_basis(p, a, a->judged); /* nothing of it was judged by other rules */
	a->state = verdict_state(a, &a->state_reason);
	r = fleet_enrol(&p->fleet, &a, &record);
	if (r < 0)
		return r;
	p->waiting += enrolled->status == ENROL_PENDING;
	if (enrolled->status == ENROL_ENROLLED)
		pipeline_extend_deadline(p, enrolled, &p->now);
	*out = enrolled;
	return tell_enrolled(p, enrolled, d);
}

/* One that waited, and the rules take it now. */
static int enrol_waiting(struct pipeline *p, struct attester *a, const struct enrol_decision *d)
{
	struct cert_row cert = cert_of(&d->cert);
	int r = pipeline_set_enrolment(p, a, ENROL_ENROLLED, d->how, d->has_cert ? &cert : NULL);

	return r < 0 ? r : tell_enrolled(p, a, d);
}

static int challenge(struct pipeline *p, struct exchange *ex, const struct wire_hello *h,
		     const struct challenge_subject *subject)
{
	struct wire_message m = { .type = WIRE_CHALLENGE };
	struct credential credential;
	const char *why = NULL;
	int r = challenge_make(&p->challenger, subject, p->now.mono, &credential, &why);

	if (r < 0)
		return r;
	if (r > 0)
		return reject_hello(p, ex, h, REASON_EK_CERT_INVALID, why, RETRY_LATER_MS);
	m.challenge.credential_blob = (struct bytes){ credential.blob, credential.blob_n };
	m.challenge.secret = (struct bytes){ credential.secret, credential.secret_n };
	pipeline_reply(ex, &m);
	return 0;
}

static uint32_t pending_pause_ms(const struct pipeline *p)
{
	uint32_t waiting = (uint32_t)MIN(p->waiting, (size_t)LIMIT_ENROL_PENDING);

	return MAX(RETRY_PENDING_MS, waiting * PENDING_HELLO_MS);
}

/* A key that is not enrolled, or waits (*a). squatter: who has its attestation key and gives way when it is shown to be in the TPM
 * of the newcomer, or NULL. 1: it is now, and *a; 0: it is not, the answer is written; negative errno. */
static int admit_stranger(struct pipeline *p, struct exchange *ex, const struct wire_hello *h,
			  const struct hello_facts *facts, struct bytes secret, const struct attester *squatter,
			  struct attester **a)
{
	struct challenge_subject subject = { .id = h->attester, .ak_name = facts->ak.name, .ek_public = h->ek_public };
	struct enrol_facts f = { .id = h->attester, .ak = &facts->ak, .ak_public = h->ak_public,
				 .ek_public = h->ek_public, .ek_cert = h->ek_cert, .ek_chain = h->ek_chain,
				 .iak_cert = h->iak_cert, .now_s = p->now.real / 1000000u,
				 .activated = *a != NULL /* before it was made to wait */ };
	struct enrol_decision d;
	int r;

	if (secret.n && h->ek_public.n && !f.activated) {
		r = challenge_check(&p->challenger, &subject, secret, p->now.mono);
		if (r < 0)
			return r;
		if (r == CHALLENGE_WRONG)
			return reject_hello(p, ex, h, REASON_CREDENTIAL_WRONG, NULL, RETRY_LATER_MS);
		f.activated = r == CHALLENGE_GOOD;
	}
	/* a secret that holds was paid for by its HELLO */
	if ((h->ek_public.n || h->iak_cert.n) && !(secret.n && f.activated) &&
	    !strangers_take(&p->strangers, ex->peer, p->now.mono)) {
		return pipeline_reject(ex, REASON_BUSY, "many hosts that nobody knows ask at once", RETRY_LATER_MS);
	}
	r = enrol_decide(&p->rules.enrol, &p->rules.ak_list, &f, &d);
	if (r < 0)
		return r;
	if (squatter && (d.answer == ENROL_SAY_TAKE || d.answer == ENROL_SAY_WAIT))
		return give_way(p, ex, squatter, RETRY_AT_ONCE_MS);
	if (*a && d.answer != ENROL_SAY_TAKE)
		return pipeline_reject(ex, REASON_ENROL_PENDING, NULL, pending_pause_ms(p));
	switch (d.answer) {
	case ENROL_SAY_TAKE:
		r = *a ? enrol_waiting(p, *a, &d) : enrol(p, h, facts, &d, a);
		return r < 0 ? r : 1;
	case ENROL_SAY_CHALLENGE:
		return challenge(p, ex, h, &subject);
	case ENROL_SAY_WAIT:
		if (p->waiting >= LIMIT_ENROL_PENDING)
			return pipeline_reject(ex, REASON_BUSY, "too many hosts wait to be approved", RETRY_LATER_MS);
		r = enrol(p, h, facts, &d, a);
		return r < 0 ? r : pipeline_reject(ex, REASON_ENROL_PENDING, NULL, pending_pause_ms(p));
	case ENROL_SAY_REFUSE:
		break;
	}
	return reject_hello(p, ex, h, d.reason, d.detail, RETRY_LATER_MS);
}

/* Results as above. */
static int admit(struct pipeline *p, struct exchange *ex, const struct wire_hello *h, const struct hello_facts *facts,
		 struct bytes secret, struct attester **a)
{
	const struct attester *ak_owner = fleet_by_key(&p->fleet, h->ak_public), *ek_owner = fleet_by_key(&p->fleet, h->ek_public);
	struct attester *known = *a;

	if (known && known->status == ENROL_REVOKED)
		return reject_known(p, ex, h, known, REASON_ATTESTER_REVOKED, NULL);
	if (known && known->status == ENROL_REJECTED)
		return reject_known(p, ex, h, known, REASON_ENROL_REJECTED, NULL);
	if (known && CRYPTO_memcmp(known->ak_name, facts->ak.name, sizeof(known->ak_name)) != 0)
		return reject_known(p, ex, h, known, REASON_ATTESTER_KEY_CHANGED, NULL);
	if (!known && ek_owner)
		return reject_other_identity(p, ex, h, ek_owner, "the endorsement key is enrolled under another identity");
	if (!known && ak_owner && h->ek_public.n && gives_way_to_a_tpm(ak_owner))
		return admit_stranger(p, ex, h, facts, secret, ak_owner, a);
	if (!known && ak_owner)
		return reject_other_identity(p, ex, h, ak_owner, "the attestation key is enrolled under another identity");
	if (known && known->status == ENROL_ENROLLED)
		return 1;
	return admit_stranger(p, ex, h, facts, secret, NULL, a);
}

/* --- which boot ---- */

int pipeline_drop_claim(struct pipeline *p, struct attester *a)
{
	int r;

	if (!a->claimed)
		return 0;
	if (a->session && a->session->boot == a->claimed)
		pipeline_close_session(p, a, true);
	pipeline_close_pendings(p, a, a->claimed);
	r = p->store->ops->drop_boot(p->store, a->id, a->claimed->number);
	if (r == 0)
		boot_free(&a->claimed);
	return r;
}

/* The boot is the session's own until it has shown its key: anybody can announce one. */
static int announce(const struct wire_hello *h, enum hash_alg bank, struct boot **out)
{
	struct boot *b = boot_new(0, bank, REPLAY_UNDECIDED);
	int r;

	if (!b)
		return -ENOMEM;
	b->reset_count = h->reset_count;
	b->restart_count = h->restart_count;
	b->loaded = true;
	r = replay_init(&b->replay, bank, REPLAY_UNDECIDED, 0);
	if (r == 0) {
		replay_save(&b->replay, &b->proven_values);
		r = writer_status(&b->proven_values);
	}
	if (r < 0) {
		boot_free(&b);
		return -ENOMEM;
	}
	*out = b;
	return 0;
}

/* What is stored of this boot does not add up: one damaged host must not hold up the others. It starts anew. */
static int drop_damaged(struct pipeline *p, struct attester *a, struct boot *b)
{
	struct event_facts f = { .attester = a, .severity = SEVERITY_WARNING,
				 .detail = "its stored evidence is damaged: it is asked for all entries again" };
	int r;

	fleet_touch(&p->fleet, a);
	if (b == a->claimed) {
		r = pipeline_drop_claim(p, a);
	} else {
		if (a->session && a->session->boot == b)
			pipeline_close_session(p, a, true);
		pipeline_close_pendings(p, a, b);
		r = p->store->ops->drop_boot(p->store, a->id, b->number);
		if (r == 0)
			boot_free(&a->boot);
	}
	return r < 0 ? r : journal_event(&p->journal, "store-damaged", &f, p->now.real);
}

/* The boot that HELLO speaks of, ready to go on. *own: it is a new one, the caller's. */
static int choose_boot(struct pipeline *p, struct attester *a, const struct wire_hello *h, enum hash_alg bank,
		       enum boot_choice choice, struct boot **out, bool *own)
{
	int r;

	*own = false;
	if (choice != BOOT_NEW) {
		struct boot *b = choice == BOOT_CURRENT ? a->boot : a->claimed;

		r = fleet_load_boot(&p->fleet, a, b);
		if (r == 0)
			*out = b;
		if (r != -EBADMSG)
			return r;
		r = drop_damaged(p, a, b);
		if (r < 0)
			return r;
	}
	*own = true;
	return announce(h, bank, out);
}

static int welcome(struct pipeline *p, struct exchange *ex, struct session *s)
{
	struct wire_message m = { .type = WIRE_WELCOME,
				  .welcome = { .resume = s->boot->next,
					       .heartbeat_ms = (uint32_t)(p->rules.heartbeat_us / 1000),
					       .max_message = LIMIT_MESSAGE,
					       .max_block_entries = LIMIT_BLOCK_ENTRIES } };

	bytes_copy(m.welcome.session, s->id, sizeof(m.welcome.session));
	bytes_copy(m.welcome.nonce, s->nonce[0].value, sizeof(m.welcome.nonce));
	m.welcome.policy = pipeline_policy_id(p, s->attester);
	m.welcome.has_reference = pipeline_name_reference(p, s, m.welcome.reference, &m.welcome.reference_size);
	pipeline_reply(ex, &m);
	return 0;
}

static void session_cleanup(struct session **s)
{
	session_free(s);
}

/* A session that is pending: nothing of the attester changes by it. */
static int open_session(struct pipeline *p, struct exchange *ex, const struct wire_hello *h, struct hello_facts *facts,
			struct attester *a, const uint8_t digest[WIRE_DIGEST_SIZE], size_t at)
{
	cleanup_(session_cleanup) struct session *s = NULL;
	enum boot_choice choice = session_choose_boot(a, h, facts->bank);
	uint8_t id[WIRE_SESSION_SIZE];
	struct boot *boot = NULL;
	bool own = false;
	int r;

	if (choice == BOOT_OTHER_BANK)
		return reject_hello(p, ex, h, REASON_QUOTE_SELECTION, "the PCR bank changed within one boot", 0);
	r = choose_boot(p, a, h, facts->bank, choice, &boot, &own);
	if (r == 0 && h->list_first > boot->next) {
		r = reject_trimmed(p, ex, h, a, boot->next);
		if (own)
			boot_free(&boot);
		return r;
	}
	if (r == 0 && !own) /* the store remembers what was learned under the rules of then */
		pipeline_keep_allowed_keys(p, a, boot);
	if (r == 0)
		r = p->io.random(p->io.user, id, sizeof(id));
	if (r == 0)
		r = session_new(&s, a, boot, h, facts, id);
	if (s)
		s->owns_boot = own;
	else if (own)
		boot_free(&boot);
	if (r == 0)
		r = pipeline_give_nonce(p, s, false);
	if (r < 0)
		return r;
	bytes_copy(s->hello, digest, sizeof(s->hello));
	s->since_real = p->now.real;
	s->challenged_mono = p->now.mono;
	s->peer = ex->peer;
	at = MIN(at, a->n_pending);
	r = fleet_open_session(&p->fleet, a, &s, at);
	return r < 0 ? r : welcome(p, ex, a->pending[at]);
}

/* Number of the pending session that this connection has opened; n_pending: none. */
static size_t pending_of(const struct attester *a, uint64_t peer)
{
	size_t i = 0;

	while (i < a->n_pending && a->pending[i]->peer != peer)
		i++;
	return i;
}

/* A place for one more pending session: the connection's own (*at; a newer one is not younger, or it could outlive others by
 * asking again), a free one, or that of the oldest. The last is paid for by each connection for itself: it takes many of them to push
 * out a host that is about to show its key. 1: there is one; 0: the answer is written. */
static int make_place(struct pipeline *p, struct exchange *ex, struct attester *a, size_t *at)
{
	*at = pending_of(a, ex->peer);
	if (*at < a->n_pending) {
		pipeline_close_pending(p, a->pending[*at], NULL);
		return 1;
	}
	if (a->n_pending == 0 && !a->session && p->fleet.sessions - p->fleet.spare >= LIMIT_SESSIONS)
		return pipeline_reject(ex, REASON_BUSY, "too many sessions", RETRY_LATER_MS);
	if (a->n_pending == 0 || (a->n_pending < LIMIT_PENDING_SESSIONS && p->fleet.spare < LIMIT_PENDING_SPARE))
		return 1;
	if (!strangers_take_own(&p->strangers, ex->peer, p->now.mono))
		return pipeline_reject(ex, REASON_BUSY, "many others say HELLO in this host's name", RETRY_SOON_MS);
	pipeline_close_pending(p, a->pending[0], NULL);
	*at = a->n_pending;
	return 1;
}

int pipeline_hello(struct pipeline *p, struct exchange *ex, const struct wire_hello *h, struct bytes secret)
{
	cleanup_hello_facts_ struct hello_facts facts = { 0 };
	uint8_t digest[WIRE_DIGEST_SIZE];
	const char *detail = NULL;
	struct attester *a;
	size_t at;
	int r = session_check_hello(h, p->rules.allow_test_sources, &facts, &detail);

	if (r < 0)
		return r;
	if (r > 0)
		return reject_hello(p, ex, h, (enum reason)r, detail, 0);
	a = idmap_get(&p->fleet.by_id, h->attester);
	r = admit(p, ex, h, &facts, secret, &a);
	if (r != 1)
		return r;
	hash_one(HASH_SHA256, ex->message.p, ex->message.n, digest);
	at = pending_of(a, ex->peer);
	if (at < a->n_pending && bytes_equal(a->pending[at]->hello, digest, sizeof(digest)))
		return welcome(p, ex, a->pending[at]); /* the same once more */
	r = make_place(p, ex, a, &at);
	if (r != 1)
		return r;
	r = pipeline_contest(p, a);
	return r < 0 ? r : open_session(p, ex, h, &facts, a, digest, at);
}
