// SPDX-License-Identifier: Apache-2.0
/* A block of entries: [9] extend, [10] appraise, [11] store; as a whole or not at all. */
#include "verifier/pipeline_internal.h"

#include "wire/batch.h"

#define STORED_LEVEL 1

/* What is known of a boot apart from its replay, for a block that turns out to be malformed half-way. */
struct boot_mark {
	struct boot copy;
	size_t learned;
	struct replay_mark replay;
	uint64_t event;
};

static int take_back(struct pipeline *p, struct attester *a, struct boot *b, const struct boot_mark *m)
{
	struct replay replay;
	struct boot back = m->copy;

	replay_restore(&b->replay, m->replay);
	replay = b->replay;
	back.learned = b->learned;
	*b = back;
	b->replay = replay;
	if (b->learned)
		learned_truncate(b->learned, m->learned);
	p->journal.last = m->event;
	a->state = verdict_state(a, &a->state_reason);
	return p->store->ops->undo(p->store, a->id, b->number, m->event + 1);
}

/* It is replayed already. */
static int take_entry(struct pipeline *p, struct session *s, const struct judgement *rules, const struct ima_entry *e,
		      const struct wire_context *ctx, const struct incoming_block *in)
{
	struct boot *b = s->boot;
	struct entry_findings found;
	struct finding_source source = { .entry = e, .fields = &found.fields, .context = ctx };
	int r = judge_entry(rules, b, s->pcr_mask, e, b->next, &found);

	if (r < 0)
		return r;
	b->next++;
	if (found.n && ctx->present && ctx->age_us + in->rtt_us / 2 < p->now.real)
		source.measured_real = p->now.real - ctx->age_us - in->rtt_us / 2;
	for (size_t i = 0; r == 0 && i < found.n; i++)
		r = journal_finding(&p->journal, s->attester, b, &found.list[i], &source, p->now.real, NULL);
	return r;
}

static int take_entries(struct pipeline *p, struct session *s, const struct wire_batch *batch, size_t from,
			const struct incoming_block *in)
{
	struct judgement rules = pipeline_judgement(p, s->attester);
	const struct wire_known *set = wire_unpack_set(p->fleet.unpack);
	struct policy_hint hints[WIRE_BATCH];
	const bool *listed;
	int r;

	for (size_t i = from; i < batch->n; i++)
		if (batch->entry[i].pcr > LIMIT_PCR)
			return WIRE_BLOCK_MALFORMED;
	listed = set && reference_set_is_of(set->user, rules.now.policy) ? batch->known + from : NULL;
	policy_look_ahead(rules.now.policy, batch->entry + from, batch->n - from, listed, hints); /* comes while the replay computes */
	r = replay_entries(&s->boot->replay, batch->entry + from, batch->n - from);
	policy_look_up_ahead(hints, batch->n - from);
	for (size_t i = from; r == 0 && i < batch->n; i++) {
		rules.now.hint = &hints[i - from];
		r = take_entry(p, s, &rules, &batch->entry[i], &batch->context[i], in);
	}
	return r;
}

/* Stored evidence is read without a reference set, which may be gone by then: such a block is packed once more. */
static int begin_again(struct pipeline *p)
{
	int r = p->repack ? 0 : wire_pack_new(&p->repack, STORED_LEVEL);

	if (r == 0)
		wire_pack_begin(p->repack);
	return r;
}

/* What a sender took apart as we do always fits (LIMIT_BLOCK_KNOWN). Entries that came raw are taken apart here, and may have more
 * forms than a block holds: that is for the sender to mend, and no failure of ours, which would cost everybody in the batch. */
static int pack_again(struct pipeline *p, const struct wire_batch *batch)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < batch->n; i++)
		r = wire_pack_add(p->repack, &batch->entry[i], &batch->context[i]);
	return r == -EMSGSIZE ? WIRE_BLOCK_REFERENCE : r;
}

int pipeline_take_block(struct pipeline *p, struct session *s, const struct incoming_block *in)
{
	struct boot *b = s->boot;
	struct boot_mark mark = { .copy = *b, .learned = b->learned ? learned_count(b->learned) : 0, .replay = replay_mark(&b->replay), .event = p->journal.last };
	struct block_row row = { .start = b->next, .first = in->first, .block = in->block };
	struct wire_known sets[REFERENCES_HELD];
	struct wire_batch *batch = p->fleet.batch;
	int r = wire_unpack_begin_known(p->fleet.unpack, in->block, sets, pipeline_known_sets(p, s->attester, sets));
	bool again = wire_unpack_set(p->fleet.unpack) != NULL;

	if (r != WIRE_BLOCK_OK)
		return r;
	row.count = wire_unpack_count(p->fleet.unpack);
	if (again)
		r = begin_again(p);
	for (uint64_t index = in->first; r == WIRE_BLOCK_OK; index += batch->n) {
		uint64_t had = b->next - MIN(index, b->next); /* entries that were sent before */

		r = wire_batch_next(batch, p->fleet.unpack);
		if (r == WIRE_BLOCK_OK && had < batch->n)
			r = take_entries(p, s, batch, (size_t)had, in);
		if (r == WIRE_BLOCK_OK && again)
			r = pack_again(p, batch);
		if (r < 0)
			return r;
	}
	if (r != WIRE_BLOCK_END) {
		int ret = r < 0 ? r : take_back(p, s->attester, b, &mark);

		return ret < 0 ? ret : r;
	}
	s->attester->list_length = MAX(s->attester->list_length, b->next);
	if (b->next == row.start)
		return 0;
	r = again ? wire_pack_finish(p->repack, &row.block) : 0;
	b->unproven_bytes += row.block.n;
	return r < 0 ? r : p->store->ops->add_block(p->store, s->attester->id, b->number, &row);
}
