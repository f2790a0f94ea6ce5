// SPDX-License-Identifier: Apache-2.0
/* What happens without a request: heartbeats, deadlines, other rules, start and end. */
#include "verifier/pipeline.h"

#include "verifier/pipeline_internal.h"

void rules_clear(struct rules *r)
{
	policy_unref(&r->policy);
	keyring_free(&r->keyring);
	ak_list_clear(&r->ak_list);
	r->appraisal = (struct appraisal){ 0 };
}

struct bytes pipeline_policy_id(const struct pipeline *p)
{
	const char *id = p->rules.policy ? policy_id(p->rules.policy) : "";

	return (struct bytes){ (const uint8_t *)id, strlen(id) };
}

void pipeline_arm(struct pipeline *p, struct attester *a)
{
	const struct session *s = a->session;
	uint64_t due = a->stale ? 0 : a->deadline_mono;

	if (s && s->wait) {
		uint64_t heartbeat = MAX(a->fresh_mono, s->challenged_mono) + p->rules.heartbeat_us;

		due = due ? MIN(due, heartbeat) : heartbeat;
	}
	deadlines_set(&p->fleet.deadlines, a, due);
}

void pipeline_extend_deadline(struct pipeline *p, struct attester *a, const struct instant *from)
{
	a->deadline_mono = from->mono + p->rules.deadline_us;
	a->deadline_real = from->real + p->rules.deadline_us;
	pipeline_arm(p, a);
}

void pipeline_close_batch(struct pipeline *p, bool committed)
{
	if (committed) {
		fleet_settle(&p->fleet);
		journal_settle(&p->journal);
		return;
	}
	p->store->ops->rollback(p->store);
	for (struct attester *a = p->fleet.touched; a; a = a->touched_next)
		if (a->session)
			pipeline_release_wait(p, a->session, NULL);
	fleet_revert(&p->fleet, &p->now);
	journal_revert(&p->journal);
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
	r = fleet_init(&p->fleet, store, seed);
	if (r == 0)
		r = journal_init(&p->journal, store);
	if (r == 0)
		r = fleet_load(&p->fleet, now);
	if (r < 0) {
		pipeline_free(&p);
		return r;
	}
	p->rules = *rules;
	*rules = (struct rules){ 0 };
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
		if (a->session)
			pipeline_release_wait(old, a->session, NULL);
	fleet_clear(&old->fleet);
	journal_clear(&old->journal);
	rules_clear(&old->rules);
	free(old);
}

/* --- time ---- */

uint64_t pipeline_next_tick(const struct pipeline *p)
{
	const struct attester *a = deadlines_first(&p->fleet.deadlines);

	return a ? a->due_mono : 0;
}

static int challenge(struct pipeline *p, struct attester *a)
{
	struct wire_message m = { .type = WIRE_DIRECTIVE,
				  .directive = { .flags = WIRE_DIRECTIVE_QUOTE, .has_nonce = true } };
	struct session *s = a->session;
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

static int tick_in_transaction(struct pipeline *p)
{
	struct attester *a;
	int r = p->store->ops->begin(p->store);

	while (r == 0 && (a = deadlines_first(&p->fleet.deadlines)) && a->due_mono <= p->now.mono) {
		struct session *s = a->session;

		if (!a->stale && a->deadline_mono && a->deadline_mono <= p->now.mono)
			r = go_stale(p, a);
		if (r == 0 && s && s->wait &&
		    MAX(a->fresh_mono, s->challenged_mono) + p->rules.heartbeat_us <= p->now.mono)
			r = challenge(p, a);
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
	return r;
}

int pipeline_note(struct pipeline *p, const char *kind, const char *text, const struct instant *now)
{
	struct event_facts f = { .detail = text };
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

static void tell_all(struct pipeline *p, const struct wire_message *m)
{
	struct attester *a;
	size_t at = 0;

	while ((a = idmap_next(&p->fleet.by_id, &at))) {
		if (!a->session || !a->session->wait)
			continue;
		pipeline_release_wait(p, a->session, m);
		pipeline_arm(p, a);
	}
}

void pipeline_goodbye(struct pipeline *p)
{
	struct wire_message m = { .type = WIRE_DIRECTIVE, .directive = { .flags = WIRE_DIRECTIVE_GOODBYE } };

	tell_all(p, &m);
}

/* --- other rules ---- */

struct verdict_key {
	uint64_t index;
	uint32_t reason;
	bool still;
};

struct rejudge {
	struct pipeline *p;
	struct attester *a;
	struct boot *b;
	struct verdict_key *old; /* what the old rules found, ascending */
	size_t n, capacity;
	uint64_t next;
};

static int remember(void *user, const struct finding_row *row)
{
	struct rejudge *j = user;
	const struct policy *policy = j->p->rules.policy;
	bool open = row->reason == REASON_BOOT_AGGREGATE_OPEN && policy && policy_has_boot_aggregate(policy);
	bool by_policy = row->reason < 40 && row->reason != REASON_PCR_UNCOVERED &&
			 row->reason != REASON_BOOT_AGGREGATE && !open;

	if (row->boot != j->b->number || !by_policy)
		return 0;
	if (j->n == j->capacity) {
		size_t wanted = j->capacity ? j->capacity * 2 : 64;
		struct verdict_key *larger = realloc(j->old, wanted * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		j->old = larger;
		j->capacity = wanted;
	}
	j->old[j->n++] = (struct verdict_key){ .index = row->index, .reason = row->reason };
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct verdict_key *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->reason < y->reason ? -1 : x->reason > y->reason;
}

static int rejudge_entry(struct rejudge *j, const struct ima_entry *e)
{
	struct entry_findings found = { 0 };
	struct finding_source source = { .entry = e, .fields = &found.fields, .proven = j->next < j->b->proven };
	bool sound = ima_fields_parse(e, &found.fields);

	found.n = appraise_entry(&j->p->rules.appraisal, e, sound ? &found.fields : NULL, j->next, found.list);
	for (size_t i = 0; i < found.n; i++) {
		struct verdict_key key = { .index = j->next, .reason = found.list[i].reason }, *old;
		int r;

		old = j->n ? bsearch(&key, j->old, j->n, sizeof(key), by_key) : NULL;
		if (old) {
			old->still = true;
			continue;
		}
		r = journal_finding(&j->p->journal, j->a, j->b, &found.list[i], &source, j->p->now.real, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int rejudge_block(void *user, const struct block_row *row)
{
	struct rejudge *j = user;
	struct wire_unpack *u = j->p->fleet.unpack;
	struct wire_context ctx;
	struct ima_entry e;
	int r = wire_unpack_begin(u, row->block);

	for (uint64_t index = row->first; r == WIRE_BLOCK_OK; index++) {
		r = wire_unpack_next(u, &e, &ctx);
		if (r != WIRE_BLOCK_OK || index < j->next)
			continue;
		r = rejudge_entry(j, &e);
		j->next = index + 1;
	}
	return r == WIRE_BLOCK_END ? 0 : r < 0 ? r : -EBADMSG;
}

/* Findings in the order in which they came: the first of them names the state's reason. */
static int recount(void *user, const struct finding_row *row)
{
	const struct rejudge *j = user;

	if (row->boot == j->b->number) {
		verdict_count(j->b, (enum reason)row->reason, (enum severity)row->severity);
		j->b->unproven_findings += row->proven_real == 0;
	}
	return 0;
}

static int rejudge_boot(struct pipeline *p, struct attester *a, struct boot *b)
{
	const struct store_ops *ops = p->store->ops;
	struct rejudge j = { .p = p, .a = a, .b = b };
	int r = fleet_load_boot(&p->fleet, a, b);

	if (r == 0)
		r = ops->each_finding(p->store, a->id, remember, &j);
	/* what is found anew is not left out (LIMIT_FINDINGS) for what was found before and is taken back below */
	b->reasons[0] = b->reasons[1] = 0;
	memset(a->findings_told, 0, sizeof(a->findings_told));
	if (j.n)
		qsort(j.old, j.n, sizeof(*j.old), by_key);
	if (r == 0)
		r = ops->each_block(p->store, a->id, b->number, 0, rejudge_block, &j);
	for (size_t i = 0; r == 0 && i < j.n; i++)
		if (!j.old[i].still)
			r = ops->drop_finding(p->store, a->id, b->number, j.old[i].index, j.old[i].reason);
	free(j.old);
	b->fails = b->warnings = b->unproven_findings = b->reasons[0] = b->reasons[1] = 0;
	b->first_fail = b->first_warning = REASON_NONE;
	return r < 0 ? r : ops->each_finding(p->store, a->id, recount, &j);
}

static int rejudge_attester(struct pipeline *p, struct attester *a)
{
	struct event_facts f = { .attester = a };
	enum wire_state before = a->state;
	enum reason why = a->state_reason;
	int r = p->store->ops->begin(p->store);

	fleet_touch(&p->fleet, a);
	if (r == 0 && a->boot)
		r = rejudge_boot(p, a, a->boot);
	if (r == 0 && a->claimed)
		r = rejudge_boot(p, a, a->claimed);
	a->state = verdict_state(a, &a->state_reason);
	f.reason = a->state_reason;
	if (reason_info(f.reason))
		f.severity = reason_info(f.reason)->severity;
	if (r == 0 && (a->state != before || a->state_reason != why))
		r = journal_event(&p->journal, "state", &f, p->now.real);
	if (r == 0)
		r = fleet_save(&p->fleet);
	if (r == 0)
		r = p->store->ops->commit(p->store);
	pipeline_close_batch(p, r == 0);
	return r;
}

int pipeline_set_rules(struct pipeline *p, struct rules *rules, const struct instant *now)
{
	struct wire_message m = { .type = WIRE_DIRECTIVE, .directive = { .flags = WIRE_DIRECTIVE_POLICY } };
	cleanup_free_ struct attester **all = alloc_bytes(p->fleet.by_id.count * sizeof(*all));
	struct attester *a;
	size_t at = 0, n = 0;
	int r, first = 0;

	if (!all)
		return -ENOMEM;
	rules_clear(&p->rules);
	p->rules = *rules;
	*rules = (struct rules){ 0 };
	p->now = *now;
	while ((a = idmap_next(&p->fleet.by_id, &at)))
		all[n++] = a;
	for (size_t i = 0; i < n; i++) {
		r = rejudge_attester(p, all[i]);
		if (r < 0 && first == 0)
			first = r;
	}
	m.directive.policy = pipeline_policy_id(p);
	tell_all(p, &m);
	return first;
}
