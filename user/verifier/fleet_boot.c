// SPDX-License-Identifier: Apache-2.0
/* The replay of a boot, from the store. */
#include "verifier/fleet.h"
#include "wire/batch.h"

struct rebuild {
	struct fleet *fleet;
	struct replay *replay;
	uint64_t next, bytes;
};

/* How many of the n entries from index on are before `bound`. */
static size_t part_below(uint64_t bound, uint64_t index, size_t n)
{
	return bound <= index ? 0 : (size_t)MIN(bound - index, (uint64_t)n);
}

static int rebuild_block(void *user, const struct block_row *row)
{
	struct rebuild *b = user;
	struct wire_batch *batch = b->fleet->batch;
	int r = wire_unpack_begin(b->fleet->unpack, row->block);

	if (r != WIRE_BLOCK_OK)
		return r < 0 ? r : -EBADMSG;
	b->bytes += row->block.n;
	for (uint64_t index = row->first;; index += batch->n) {
		size_t from, to;

		r = wire_batch_next(batch, b->fleet->unpack);
		if (r == WIRE_BLOCK_END)
			return 0;
		if (r != WIRE_BLOCK_OK)
			return r < 0 ? r : -EBADMSG;
		from = part_below(b->replay->next, index, batch->n);
		to = part_below(b->next, index, batch->n);
		if (from >= to)
			continue;
		if (index > b->replay->next)
			return -EBADMSG;
		r = replay_entries(b->replay, batch->entry + from, to - from);
		if (r < 0)
			return r;
	}
}

static int load_base(void *user, const struct boot_row *row)
{
	struct replay *replay = user;

	return row->base.n ? replay_load(replay, row->base) : 0;
}

int fleet_load_boot(struct fleet *f, struct attester *a, struct boot *b)
{
	struct rebuild build = { .fleet = f, .replay = &b->replay, .next = b->next };
	int r;

	if (b->loaded)
		return 0;
	replay_clear(&b->replay);
	r = replay_init(&b->replay, b->bank, b->form, b->proven);
	if (r == 0)
		r = f->store->ops->each_boot(f->store, a->id, b->number, load_base, &b->replay);
	if (r == 0) {
		writer_reset(&b->proven_values);
		replay_save(&b->replay, &b->proven_values);
		r = writer_status(&b->proven_values);
	}
	if (r == 0 && b->next > b->proven)
		r = f->store->ops->each_block(f->store, a->id, b->number, b->proven, rebuild_block, &build);
	if (r == 0 && b->replay.next != b->next)
		r = -EBADMSG;
	b->unproven_bytes = build.bytes;
	b->loaded = r == 0;
	return r;
}
