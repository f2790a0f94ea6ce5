// SPDX-License-Identifier: Apache-2.0
/* HELLO: who is let in, on which boot, and where the stream goes on. */
#include "verifier/pipeline_internal.h"

#include <openssl/crypto.h>

#define REJECTED_EVENTS_A_MINUTE 60u

/* Somebody who is not let in: an event, but not more of them than a person could read. */
static int reject_hello(struct pipeline *p, struct exchange *ex, const struct wire_hello *h, enum reason reason,
			const char *detail, uint32_t retry_ms)
{
	struct event_facts f = { .reason = reason, .severity = SEVERITY_FAIL, .detail = detail,
				 .id = { h->attester, sizeof(h->attester) }, .label = h->label };

	(void)pipeline_reject(ex, reason, detail, retry_ms);
	if (p->now.mono - p->rejected_window_mono >= 60000000u) {
		p->rejected_window_mono = p->now.mono;
		p->rejected_in_window = 0;
	}
	if (p->rejected_in_window++ >= REJECTED_EVENTS_A_MINUTE)
		return 0;
	return journal_event(&p->journal, "rejected", &f, p->now.real);
}

static void set_text(char *dst, size_t size, struct bytes text)
{
	size_t n = MIN(text.n, size - 1);

	bytes_copy(dst, text.p, n);
	dst[n] = 0;
}

static void attester_cleanup(struct attester **a)
{
	attester_free(a);
}

/* A key never seen: is there a reason to take it? 0 and *out (NULL: no). */
static int enrol(struct pipeline *p, const struct wire_hello *h, const struct hello_facts *facts, struct attester **out)
{
	const struct ak_entry *listed = ak_list_find(&p->rules.ak_list, h->attester, &facts->ak);
	cleanup_(attester_cleanup) struct attester *a = NULL;
	struct event_facts f = { .reason = REASON_ENROLLED };
	struct attester *enrolled;
	int r;

	*out = NULL;
	if (!listed && !p->rules.trust_on_first_use)
		return 0;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	bytes_copy(a->id, h->attester, sizeof(a->id));
	bytes_copy(a->ak_name, facts->ak.name, sizeof(a->ak_name));
	a->enrolled_real = p->now.real;
	if (listed && *listed->label)
		set_text(a->label, sizeof(a->label),
			 (struct bytes){ (const uint8_t *)listed->label, strlen(listed->label) });
	else
		set_text(a->label, sizeof(a->label), h->label);
	enrolled = a;
	r = fleet_enrol(&p->fleet, &a, h->ak_public, h->ek_public, listed ? "ak-list" : "first-use");
	if (r < 0)
		return r;
	f.attester = enrolled;
	*out = enrolled;
	f.detail = listed ? "its key is on the AK list" : "trusted on first use";
	return journal_event(&p->journal, "enrolled", &f, p->now.real);
}

int pipeline_drop_claim(struct pipeline *p, struct attester *a)
{
	int r;

	if (!a->claimed)
		return 0;
	if (a->session && a->session->boot == a->claimed)
		pipeline_close_session(p, a, true);
	if (a->pending && a->pending->boot == a->claimed)
		fleet_close_pending(&p->fleet, a);
	r = p->store->ops->drop_boot(p->store, a->id, a->claimed->number);
	if (r == 0)
		boot_free(&a->claimed);
	return r;
}

static int new_claim(struct pipeline *p, struct attester *a, const struct wire_hello *h, enum hash_alg bank)
{
	int r = pipeline_drop_claim(p, a); /* an older one that nobody speaks of did no harm until now */

	if (r < 0)
		return r;
	a->claimed = boot_new(a->boots + 1, bank, REPLAY_UNDECIDED);
	if (!a->claimed)
		return -ENOMEM;
	a->boots++;
	a->claimed->reset_count = h->reset_count;
	a->claimed->restart_count = h->restart_count;
	a->claimed->loaded = true;
	replay_init(&a->claimed->replay, bank, REPLAY_UNDECIDED, 0);
	replay_save(&a->claimed->replay, &a->claimed->proven_values);
	return writer_status(&a->claimed->proven_values);
}

/* What is stored of this boot does not add up: one damaged host must not hold up the others. It starts anew. */
static int drop_damaged(struct pipeline *p, struct attester *a, struct boot *b)
{
	struct event_facts f = { .attester = a, .severity = SEVERITY_WARNING,
				 .detail = "its stored evidence is damaged: it is asked for all entries again" };
	int r;

	if (b == a->claimed) {
		r = pipeline_drop_claim(p, a);
	} else {
		if (a->session && a->session->boot == b)
			pipeline_close_session(p, a, true);
		if (a->pending && a->pending->boot == b)
			fleet_close_pending(&p->fleet, a);
		r = p->store->ops->drop_boot(p->store, a->id, b->number);
		if (r == 0)
			boot_free(&a->boot);
	}
	return r < 0 ? r : journal_event(&p->journal, "store-damaged", &f, p->now.real);
}

/* The boot that HELLO speaks of, ready to go on. */
static int choose_boot(struct pipeline *p, struct attester *a, const struct wire_hello *h, enum hash_alg bank,
		       enum boot_choice choice, struct boot **out)
{
	int r = 0;

	if (choice != BOOT_NEW) {
		*out = choice == BOOT_CURRENT ? a->boot : a->claimed;
		r = fleet_load_boot(&p->fleet, a, *out);
		if (r != -EBADMSG)
			return r;
		r = drop_damaged(p, a, *out);
	}
	if (r == 0)
		r = new_claim(p, a, h, bank);
	*out = a->claimed;
	return r;
}

static int welcome(struct pipeline *p, struct exchange *ex, const struct session *s)
{
	struct wire_message m = { .type = WIRE_WELCOME,
				  .welcome = { .resume = s->boot->next,
					       .heartbeat_ms = (uint32_t)(p->rules.heartbeat_us / 1000),
					       .max_message = LIMIT_MESSAGE,
					       .max_block_entries = LIMIT_BLOCK_ENTRIES } };

	bytes_copy(m.welcome.session, s->id, sizeof(m.welcome.session));
	bytes_copy(m.welcome.nonce, s->nonce[0].value, sizeof(m.welcome.nonce));
	m.welcome.policy = pipeline_policy_id(p);
	pipeline_reply(ex, &m);
	return 0;
}

static void session_cleanup(struct session **s)
{
	session_free(s);
}

int pipeline_hello(struct pipeline *p, struct exchange *ex, const struct wire_hello *h)
{
	cleanup_hello_facts_ struct hello_facts facts = { 0 };
	cleanup_(session_cleanup) struct session *s = NULL;
	uint8_t id[WIRE_SESSION_SIZE], digest[WIRE_DIGEST_SIZE];
	const char *detail = NULL;
	enum boot_choice choice;
	enum wire_state before;
	enum reason why;
	struct attester *a;
	struct boot *boot;
	int r = session_check_hello(h, p->rules.allow_test_sources, &facts, &detail);

	if (r < 0)
		return r;
	if (r > 0)
		return reject_hello(p, ex, h, (enum reason)r, detail, 0);
	r = fleet_find(&p->fleet, h->attester, &p->now, &a);
	if (r < 0)
		return r;
	if (a ? CRYPTO_memcmp(a->ak_name, facts.ak.name, sizeof(a->ak_name)) != 0
	      : idmap_get(&p->fleet.by_ak, facts.ak.name) != NULL)
		return reject_hello(p, ex, h, REASON_ATTESTER_KEY_CHANGED, NULL, RETRY_LATER_MS);
	hash_one(HASH_SHA256, ex->message.p, ex->message.n, digest);
	if (a && a->pending && bytes_equal(a->pending->hello, digest, sizeof(digest)))
		return welcome(p, ex, a->pending); /* the same once more */
	if (!(a && (a->session || a->pending)) && p->fleet.sessions >= LIMIT_SESSIONS)
		return pipeline_reject(ex, REASON_BUSY, "too many sessions", RETRY_LATER_MS);
	if (!a) {
		r = enrol(p, h, &facts, &a);
		if (r < 0)
			return r;
		if (!a)
			return reject_hello(p, ex, h, REASON_ATTESTER_UNKNOWN, NULL, RETRY_LATER_MS);
	}
	fleet_touch(&p->fleet, a);
	before = a->state;
	why = a->state_reason;
	choice = session_choose_boot(a, h, facts.bank);
	if (choice == BOOT_OTHER_BANK)
		return reject_hello(p, ex, h, REASON_QUOTE_SELECTION, "the PCR bank changed within one boot", 0);
	r = choose_boot(p, a, h, facts.bank, choice, &boot);
	if (r == 0)
		r = p->io.random(p->io.user, id, sizeof(id));
	if (r == 0)
		r = session_new(&s, a, boot, h, &facts, id);
	if (r == 0)
		r = pipeline_give_nonce(p, s, false);
	if (r == 0)
		r = fleet_open_session(&p->fleet, a, &s);
	if (r < 0)
		return r;
	bytes_copy(a->pending->hello, digest, sizeof(digest));
	a->pending->since_real = p->now.real;
	a->pending->challenged_mono = p->now.mono;
	set_text(a->kernel, sizeof(a->kernel), h->kernel);
	a->list_length = MAX(h->list_length, boot->next);
	if (!a->deadline_real)
		pipeline_extend_deadline(p, a, &p->now);
	r = pipeline_settle_state(p, a, before, why);
	return r < 0 ? r : welcome(p, ex, a->pending);
}
