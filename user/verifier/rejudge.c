// SPDX-License-Identifier: Apache-2.0
#include "verifier/rejudge.h"

#include "verifier/pipeline_internal.h"

#define ATTESTER_COST 32u /* entries that a slice counts for an attester itself: rows are written for each */
#define DROP_COST 8u	  /* and for a finding that is taken back */

/* Reasons that stand in no finding. */
#define TOLD_BY_EVENTS (1ull << REASON_TPM_RESUMED | 1ull << REASON_CLOCK_UNSAFE)
_Static_assert(REASON_TPM_RESUMED < 64 && REASON_CLOCK_UNSAFE < 64, "both in the first word");

enum { DONE, MORE };

static void forget_boot(struct rejudge *j)
{
	free(j->old);
	j->old = NULL;
	j->boot = j->next = j->end = 0;
	j->n_old = j->capacity = j->dropped = 0;
}

void rejudge_clear(struct rejudge *j)
{
	forget_boot(j);
	free(j->ids);
	*j = (struct rejudge){ 0 };
}

void rejudge_basis(struct pipeline *p, struct attester *a, uint8_t out[WIRE_DIGEST_SIZE])
{
	const struct named_policy *named = pipeline_policy(p, a);
	const char *now = named ? policy_id(named->policy) : "";
	const char *before = named && named->before ? policy_id(named->before) : "";
	/* a compiled file's id is its own word (history.c) */
	const char *file = named && named->source && strncmp(named->source->file_id, "seal:", 5) == 0 ? named->source->file_id : "";
	uint8_t violations = (uint8_t)p->rules.appraisal.violations;
	struct hash h;

	hash_begin(&h, HASH_SHA256);
	hash_add_field(&h, now, strlen(now));
	hash_add_field(&h, before, strlen(before));
	hash_add_field(&h, file, strlen(file));
	hash_add_field(&h, &violations, sizeof(violations));
	hash_add_field(&h, p->rules.basis, sizeof(p->rules.basis));
	hash_end(&h, out);
}

int rejudge_queue(struct pipeline *p)
{
	struct rejudge *j = &p->rejudge;
	struct attester *a;
	size_t at = 0;

	rejudge_clear(j);
	j->ids = alloc_bytes(p->fleet.by_id.count * sizeof(*j->ids));
	if (!j->ids)
		return -ENOMEM;
	while ((a = idmap_next(&p->fleet.by_id, &at))) {
		uint8_t basis[WIRE_DIGEST_SIZE];

		rejudge_basis(p, a, basis);
		if (!bytes_equal(basis, a->judged, sizeof(basis)))
			bytes_copy(j->ids[j->n++], a->id, sizeof(a->id));
	}
	return 0;
}

/* --- one boot ---- */

struct judging {
	struct pipeline *p;
	struct rejudge *job;
	struct attester *a;
	struct boot *b;
	struct judgement rules;
	int64_t budget;
};

static int remember(void *user, const struct finding_row *row)
{
	struct judging *g = user;
	struct rejudge *j = g->job;
	const struct policy *policy = g->rules.now.policy;
	bool open = row->reason == REASON_BOOT_AGGREGATE_OPEN && (!policy || !policy_has_boot_aggregate(policy));
	bool pcr = row->reason == REASON_BOOT_PCR && row->index < BOOT_PCR_CHANGED_INDEX;
	bool missing = row->reason == REASON_POLICY_MISSING && !pipeline_policy_missing(g->p, g->a);

	if (row->pcr == FINDING_NO_ENTRY && row->reason == REASON_IMA_POLICY_UNKNOWN && pipeline_ima_policy_missing(g->p, g->b))
		return 0;
	if (row->boot != g->b->number || !(judge_is_of_policy((enum reason)row->reason) || open || missing || pcr))
		return 0;
	if (j->n_old == j->capacity) {
		size_t wanted = j->capacity ? j->capacity * 2 : 64;
		struct verdict_key *larger = realloc(j->old, wanted * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		j->old = larger;
		j->capacity = wanted;
	}
	j->old[j->n_old++] = (struct verdict_key){ .index = row->index, .reason = row->reason };
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct verdict_key *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->reason < y->reason ? -1 : x->reason > y->reason;
}

static int rejudge_entry(struct judging *g, const struct ima_entry *e)
{
	struct entry_findings found = { 0 };
	struct finding_source source = { .entry = e, .fields = &found.fields,
					 .proven = g->job->next < g->b->proven };

	int r = judge_again(&g->rules, g->b, e, g->job->next, &found);

	for (size_t i = 0; r == 0 && i < found.n; i++) {
		struct verdict_key key = { .index = g->job->next, .reason = found.list[i].reason }, *old;

		old = g->job->n_old ? bsearch(&key, g->job->old, g->job->n_old, sizeof(key), by_key) : NULL;
		if (old) {
			old->still = true;
			continue;
		}
		r = journal_finding(&g->p->journal, g->a, g->b, &found.list[i], &source, g->p->now.real, NULL);
	}
	return r;
}

static int rejudge_block(void *user, const struct block_row *row)
{
	struct judging *g = user;
	struct rejudge *j = g->job;
	struct wire_unpack *u = g->p->fleet.unpack;
	struct wire_context ctx;
	struct ima_entry e;
	int r;

	if (g->budget <= 0 || j->next >= j->end)
		return MORE;
	r = wire_unpack_begin(u, row->block);
	for (uint64_t index = row->first; r == WIRE_BLOCK_OK; index++) {
		r = wire_unpack_next(u, &e, &ctx);
		if (r != WIRE_BLOCK_OK || index < j->next || index >= j->end)
			continue;
		r = rejudge_entry(g, &e);
		j->next = index + 1;
		g->budget--;
	}
	return r == WIRE_BLOCK_END ? DONE : r < 0 ? r : -EBADMSG;
}

/* Findings in the order in which they came: the first of them names the state's reason. */
static int recount(void *user, const struct finding_row *row)
{
	const struct judging *g = user;

	if (row->boot == g->b->number) {
		verdict_count(g->b, (enum reason)row->reason, (enum severity)row->severity);
		g->b->unproven_findings += row->proven_real == 0 && row->pcr != FINDING_NO_ENTRY;
	}
	return 0;
}

static int begin_boot(struct judging *g)
{
	struct rejudge *j = g->job;
	int r = fleet_load_boot(&g->p->fleet, g->a, g->b);

	pipeline_keep_allowed_keys(g->p, g->a, g->b); /* others are learned on the way */
	forget_boot(j);
	j->boot = g->b->number;
	j->end = g->b->next;
	g->b->by_before = 0;
	if (r == 0)
		r = g->p->store->ops->each_finding(g->p->store, g->a->id, remember, g);
	if (j->n_old)
		qsort(j->old, j->n_old, sizeof(*j->old), by_key);
	return r;
}

/* What the new rules do not find any more; then counts are taken anew. */
static int end_boot(struct judging *g)
{
	const struct store_ops *ops = g->p->store->ops;
	struct rejudge *j = g->job;
	struct boot *b = g->b;

	for (; j->dropped < j->n_old; j->dropped++) {
		const struct verdict_key *old = &j->old[j->dropped];
		int r;

		if (old->still)
			continue;
		if (g->budget <= 0)
			return MORE;
		r = ops->drop_finding(g->p->store, g->a->id, b->number, old->index, old->reason);
		if (r < 0)
			return r;
		g->budget -= DROP_COST;
	}
	b->fails = b->warnings = b->unproven_findings = b->reasons[1] = 0;
	b->reasons[0] &= TOLD_BY_EVENTS;
	b->first_fail = b->first_warning = REASON_NONE;
	return ops->each_finding(g->p->store, g->a->id, recount, g);
}

static void boot_pcr_again(void *user, uint64_t index)
{
	struct rejudge *j = user;
	struct verdict_key key = { .index = index, .reason = REASON_BOOT_PCR };
	struct verdict_key *old = j->n_old ? bsearch(&key, j->old, j->n_old, sizeof(key), by_key) : NULL;

	if (old)
		old->still = true;
}

static int rejudge_boot(struct judging *g)
{
	struct rejudge *j = g->job;
	int r = 0;

	if (j->boot != g->b->number)
		r = begin_boot(g);
	else
		r = fleet_load_boot(&g->p->fleet, g->a, g->b); /* memory may have been taken back meanwhile */
	if (r == 0 && j->next < j->end)
		r = g->p->store->ops->each_block(g->p->store, g->a->id, g->b->number, j->next, rejudge_block, g);
	if (r < 0)
		return r;
	if (j->next < j->end)
		return g->budget <= 0 ? MORE : -EBADMSG;
	if (r == DONE || r == MORE)
		r = pipeline_policy_missing(g->p, g->a) && g->b->matched ? pipeline_tell_missing(g->p, g->a, g->b) : 0;
	if (r == 0 && g->b->matched)
		r = pipeline_judge_boot_pcrs(g->p, g->a, g->b, boot_pcr_again, j);
	if (r == 0)
		r = pipeline_tell_ima_policy(g->p, g->a, g->b);
	return r < 0 ? r : end_boot(g);
}

/* --- one attester, one slice ---- */

static int rejudge_attester(struct pipeline *p, struct attester *a, int64_t *budget)
{
	struct rejudge *j = &p->rejudge;
	struct judging g = { .p = p, .job = j, .a = a, .rules = pipeline_judgement(p, a), .budget = *budget };
	struct boot *boots[] = { a->boot, a->claimed };
	enum wire_state before = a->state;
	enum reason why = a->state_reason;
	int r = DONE, ret;

	fleet_touch(&p->fleet, a);
	if (!j->begun) { /* what is found anew is not left out (LIMIT_FINDINGS) for what was found before */
		memset(a->findings_told, 0, sizeof(a->findings_told));
		g.budget -= ATTESTER_COST;
	}
	j->begun = true;
	for (size_t i = 0; r == DONE && i < ARRAY_SIZE(boots); i++) {
		if (!boots[i] || j->boots_done & (1u << i))
			continue;
		g.b = boots[i];
		r = rejudge_boot(&g);
		if (r == -EBADMSG) /* its next HELLO tells of it, and asks for everything again */
			r = DONE;
		if (r == DONE)
			j->boots_done |= 1u << i;
	}
	if (r == DONE)
		rejudge_basis(p, a, a->judged);
	*budget = g.budget;
	ret = r < 0 ? r : pipeline_settle_state(p, a, before, why);
	return ret < 0 ? ret : r;
}

static int slice_in_transaction(struct pipeline *p)
{
	struct rejudge *j = &p->rejudge;
	int64_t budget = REJUDGE_SLICE;
	int r = p->store->ops->begin(p->store);

	while (r == DONE && budget > 0 && rejudge_pending(j)) {
		struct attester *a = idmap_get(&p->fleet.by_id, j->ids[j->at]);

		r = a ? rejudge_attester(p, a, &budget) : DONE;
		if (r != DONE)
			break;
		forget_boot(j);
		j->begun = false;
		j->boots_done = 0;
		j->at++;
	}
	if (r >= 0)
		r = fleet_save(&p->fleet);
	return r < 0 ? r : p->store->ops->commit(p->store);
}

int rejudge_slice(struct pipeline *p)
{
	struct rejudge *j = &p->rejudge;
	size_t at = j->at;
	int r;

	if (!rejudge_pending(j))
		return 0;
	r = slice_in_transaction(p);
	pipeline_close_batch(p, r == 0);
	if (r < 0) { /* from the first attester of this slice on: what is found twice is stored once */
		forget_boot(j);
		j->at = at;
		j->begun = false;
		j->boots_done = 0;
	} else if (!rejudge_pending(j)) {
		rejudge_clear(j);
	}
	return r;
}
