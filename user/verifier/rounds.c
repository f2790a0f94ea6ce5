// SPDX-License-Identifier: Apache-2.0
/* What happens without a request: heartbeats, deadlines, other rules, start and end. */
#include "verifier/pipeline.h"

#include "policy/sigcache.h"
#include "verifier/pipeline_internal.h"

#define SIGNATURES_REMEMBERED 65536u /* 2 MiB: the signed files of some distributions */

const struct named_policy *pipeline_policy(const struct pipeline *p, struct attester *a)
{
	if (a->policy_of != p->policy_set) {
		const struct named_policy *found =
			policies_resolve(&p->rules.policies, a->id, a->label_given ? a->label : NULL);

		a->policy_of = p->policy_set;
		for (a->policy = 0; found && &p->rules.policies.list[a->policy] != found; a->policy++)
			;
		a->policy = found ? a->policy + 1 : 0;
	}
	return a->policy ? &p->rules.policies.list[a->policy - 1] : NULL;
}

struct judgement pipeline_judgement(const struct pipeline *p, struct attester *a)
{
	const struct named_policy *named = pipeline_policy(p, a);
	struct judgement j = { .now = p->rules.appraisal, .before = named ? named->before : NULL };

	j.now.signatures = p->signatures;
	j.now.policy = named ? named->policy : NULL;
	return j;
}

bool pipeline_policy_missing(const struct pipeline *p, struct attester *a)
{
	return p->rules.policies.n > 0 && !pipeline_policy(p, a);
}

int pipeline_tell_missing(struct pipeline *p, struct attester *a, struct boot *b)
{
	struct finding f = { .reason = REASON_POLICY_MISSING, .severity = SEVERITY_WARNING };
	struct finding_source source = { .proven = true };

	return journal_finding(&p->journal, a, b, &f, &source, p->now.real, NULL);
}

struct bytes pipeline_policy_id(const struct pipeline *p, struct attester *a)
{
	const struct named_policy *named = pipeline_policy(p, a);
	const char *id = named ? policy_id(named->policy) : "";

	return (struct bytes){ (const uint8_t *)id, strlen(id) };
}

/* When the held WAIT of a session (NULL: none) is answered with a challenge; 0: it holds none. */
static uint64_t heartbeat_due(const struct pipeline *p, const struct session *s)
{
	if (!s || !s->wait)
		return 0;
	if (s != s->attester->session) /* the proofs were another session's */
		return s->challenged_mono + p->rules.heartbeat_us;
	return MAX(s->attester->fresh_mono, s->challenged_mono) + p->rules.heartbeat_us;
}

void pipeline_arm(struct pipeline *p, struct attester *a)
{
	uint64_t due = a->stale || a->status != ENROL_ENROLLED ? 0 : a->deadline_mono;
	uint64_t heartbeat = heartbeat_due(p, a->session);

	for (size_t i = 0; i <= a->n_pending; i++) {
		if (heartbeat)
			due = due ? MIN(due, heartbeat) : heartbeat;
		heartbeat = i < a->n_pending ? heartbeat_due(p, a->pending[i]) : 0;
	}
	deadlines_set(&p->fleet.deadlines, a, due);
}

void pipeline_extend_deadline(struct pipeline *p, struct attester *a, const struct instant *from)
{
	a->deadline_mono = from->mono + p->rules.deadline_us;
	a->deadline_real = from->real + p->rules.deadline_us;
	pipeline_arm(p, a);
}

static void count_waiting(struct pipeline *p)
{
	struct attester *a;
	size_t at = 0;

	p->waiting = 0;
	while ((a = idmap_next(&p->fleet.by_id, &at)))
		p->waiting += a->status == ENROL_PENDING;
}

static void drop_waits(struct pipeline *p, struct attester *a)
{
	if (a->session)
		pipeline_release_wait(p, a->session, NULL);
	for (size_t i = 0; i < a->n_pending; i++)
		pipeline_release_wait(p, a->pending[i], NULL);
}

void pipeline_close_batch(struct pipeline *p, bool committed)
{
	int r;

	if (committed) {
		fleet_settle(&p->fleet);
		journal_settle(&p->journal);
		return;
	}
	p->store->ops->rollback(p->store);
	for (size_t i = 0; i < p->fleet.n_touched; i++)
		drop_waits(p, p->fleet.touched[i].attester);
	r = fleet_revert(&p->fleet, &p->now);
	p->broken = p->broken ? p->broken : r;
	journal_revert(&p->journal);
	count_waiting(p);
}

int pipeline_revert_message(struct pipeline *p)
{
	int r;

	for (size_t i = 0; i < p->fleet.n_touched; i++)
		if (p->fleet.touched[i].unsaved)
			drop_waits(p, p->fleet.touched[i].attester);
	r = fleet_revert_unsaved(&p->fleet, &p->now);
	p->broken = p->broken ? p->broken : r;
	return r;
}

int pipeline_new(struct pipeline **out, struct store *store, struct rules *rules, const struct pipeline_io *io,
		 const struct instant *now, uint64_t seed)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->io = *io;
	p->store = store;
	p->now = *now;
	p->started_real = now->real;
	r = p->io.random(p->io.user, p->challenger.key, sizeof(p->challenger.key));
	if (r == 0)
		r = sigcache_new(&p->signatures, SIGNATURES_REMEMBERED);
	if (r == 0)
		r = fleet_init(&p->fleet, store, seed);
	if (r == 0)
		r = journal_init(&p->journal, store);
	p->fleet.deadline_us = rules->deadline_us;
	if (r == 0)
		r = fleet_load(&p->fleet, now);
	if (r < 0) {
		pipeline_free(&p);
		return r;
	}
	count_waiting(p);
	p->rules = *rules;
	p->policy_set = 1;
	*rules = (struct rules){ 0 };
	r = rejudge_queue(p);
	if (r < 0) {
		pipeline_free(&p);
		return r;
	}
	enrol_rules_complete(&p->rules.enrol, p->rules.trust_on_first_use);
	*out = p;
	return 0;
}

void pipeline_free(struct pipeline **p)
{
	struct pipeline *old = TAKE_PTR(*p);
	struct attester *a;
	size_t at = 0;

	if (!old)
		return;
	while ((a = idmap_next(&old->fleet.by_id, &at)))
		drop_waits(old, a);
	explicit_bzero(&old->challenger, sizeof(old->challenger));
	fleet_clear(&old->fleet);
	sigcache_free(&old->signatures);
	references_clear(&old->references);
	wire_pack_free(&old->repack);
	journal_clear(&old->journal);
	rules_clear(&old->rules);
	rejudge_clear(&old->rejudge);
	free(old);
}

/* --- time ---- */

uint64_t pipeline_next_tick(const struct pipeline *p)
{
	const struct attester *a = deadlines_first(&p->fleet.deadlines);
	uint64_t due = a ? a->due_mono : 0, end = policies_next_end(&p->rules.policies);

	if (rejudge_pending(&p->rejudge))
		return 1; /* as soon as nothing else waits */
	return end && (!due || end < due) ? end : due;
}

int pipeline_challenge(struct pipeline *p, struct session *s)
{
	struct wire_message m = { .type = WIRE_DIRECTIVE,
				  .directive = { .flags = WIRE_DIRECTIVE_QUOTE, .has_nonce = true } };
	int r;

	r = p->io.random(p->io.user, m.directive.nonce, sizeof(m.directive.nonce));
	if (r < 0)
		return r;
	session_give_nonce(s, m.directive.nonce, true, &p->now);
	s->challenged_mono = p->now.mono;
	pipeline_release_wait(p, s, &m);
	return 0;
}

static int go_stale(struct pipeline *p, struct attester *a)
{
	struct event_facts f = { .attester = a, .reason = REASON_STALE, .severity = SEVERITY_FAIL };

	fleet_touch(&p->fleet, a);
	a->stale = true;
	a->state = verdict_state(a, &a->state_reason);
	return journal_event(&p->journal, "state", &f, p->now.real);
}

/* The last challenge was not answered, as by a host that was asleep in the middle of a quote over the nonce before it: that
 * nonce must stay good, so that no other one is given; whichever the collector has will do. */
static void challenge_again(struct pipeline *p, struct session *s)
{
	const struct wire_message m = { .type = WIRE_DIRECTIVE, .directive = { .flags = WIRE_DIRECTIVE_QUOTE } };

	s->challenged_mono = p->now.mono;
	pipeline_release_wait(p, s, &m);
}

static int challenge_when_due(struct pipeline *p, struct session *s)
{
	uint64_t due = heartbeat_due(p, s);

	if (!due || due > p->now.mono)
		return 0;
	if (!s->nonce[0].challenge || s->nonce[0].used)
		return pipeline_challenge(p, s);
	challenge_again(p, s);
	return 0;
}

static int tick_in_transaction(struct pipeline *p)
{
	struct attester *a;
	int r = p->store->ops->begin(p->store);

	while (r == 0 && (a = deadlines_first(&p->fleet.deadlines)) && a->due_mono <= p->now.mono) {
		if (a->status == ENROL_ENROLLED && !a->stale && a->deadline_mono && a->deadline_mono <= p->now.mono)
			r = go_stale(p, a);
		if (r == 0)
			r = challenge_when_due(p, a->session);
		for (size_t i = 0; r == 0 && i < a->n_pending; i++)
			r = challenge_when_due(p, a->pending[i]);
		pipeline_arm(p, a);
	}
	if (r == 0)
		r = fleet_save(&p->fleet);
	return r < 0 ? r : p->store->ops->commit(p->store);
}

int pipeline_tick(struct pipeline *p, const struct instant *now)
{
	uint64_t next = pipeline_next_tick(p);
	int r;

	if (!next || next > now->mono)
		return 0;
	p->now = *now;
	r = tick_in_transaction(p);
	pipeline_close_batch(p, r == 0);
	if (r == 0 && policies_expire(&p->rules.policies, now->mono)) {
		r = rejudge_queue(p);
		if (r == 0)
			r = pipeline_note(p, "policy-overlap-ended", "what only the policy before accepts is refused from now on",
					  now);
	}
	return r < 0 ? r : rejudge_slice(p);
}

static int note(struct pipeline *p, const char *kind, enum severity severity, const char *text, const struct instant *now)
{
	struct event_facts f = { .detail = text, .severity = severity };
	int r;

	p->now = *now;
	r = p->store->ops->begin(p->store);
	if (r == 0)
		r = journal_event(&p->journal, kind, &f, now->real);
	if (r == 0)
		r = p->store->ops->commit(p->store);
	pipeline_close_batch(p, r == 0);
	return r;
}

int pipeline_note(struct pipeline *p, const char *kind, const char *text, const struct instant *now)
{
	return note(p, kind, SEVERITY_INFO, text, now);
}

int pipeline_warn(struct pipeline *p, const char *kind, const char *text, const struct instant *now)
{
	return note(p, kind, SEVERITY_WARNING, text, now);
}

static void tell(struct pipeline *p, struct attester *a, const struct wire_message *m)
{
	if (a->session)
		pipeline_release_wait(p, a->session, m);
	for (size_t i = 0; i < a->n_pending; i++)
		pipeline_release_wait(p, a->pending[i], m);
	pipeline_arm(p, a);
}

void pipeline_goodbye(struct pipeline *p)
{
	struct wire_message m = { .type = WIRE_DIRECTIVE, .directive = { .flags = WIRE_DIRECTIVE_GOODBYE } };
	struct attester *a;
	size_t at = 0;

	while ((a = idmap_next(&p->fleet.by_id, &at)))
		tell(p, a, &m);
}

/* --- other rules ---- */

static bool same_policy(const struct named_policy *a, const struct named_policy *b)
{
	return a && b ? strcmp(policy_id(a->policy), policy_id(b->policy)) == 0 : a == b;
}

/* Another policy: who waits is told at once, others at their next HELLO. Takes the old ones. */
static int other_policies(struct pipeline *p, struct policies *old, bool tell_all, const struct instant *now)
{
	struct attester *a;
	size_t at = 0;

	p->policy_set++;
	enrol_rules_complete(&p->rules.enrol, p->rules.trust_on_first_use);
	p->now = *now;
	while ((a = idmap_next(&p->fleet.by_id, &at))) {
		struct wire_message m = { .type = WIRE_DIRECTIVE, .directive = { .flags = WIRE_DIRECTIVE_POLICY } };

		if (!a->session || !a->session->wait)
			continue;
		if (!tell_all && same_policy(policies_resolve(old, a->id, a->label_given ? a->label : NULL),
					     pipeline_policy(p, a)))
			continue;
		m.directive.policy = pipeline_policy_id(p, a);
		tell(p, a, &m);
	}
	policies_clear(old);
	references_keep(&p->references, &p->rules.policies);
	return rejudge_queue(p);
}

int pipeline_set_rules(struct pipeline *p, struct rules *rules, const struct instant *now)
{
	struct policies old = p->rules.policies;
	bool others = p->rules.appraisal.violations != rules->appraisal.violations ||
		      !bytes_equal(p->rules.basis, rules->basis, sizeof(rules->basis));

	p->rules.policies = (struct policies){ 0 };
	rules_clear(&p->rules);
	p->rules = *rules;
	p->fleet.deadline_us = p->rules.deadline_us;
	*rules = (struct rules){ 0 };
	return other_policies(p, &old, others, now);
}

int pipeline_set_policies(struct pipeline *p, struct policies *policies, const struct instant *now)
{
	struct policies old = p->rules.policies;

	p->rules.policies = *policies;
	*policies = (struct policies){ 0 };
	return other_policies(p, &old, false, now);
}
