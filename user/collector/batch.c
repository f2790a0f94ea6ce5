// SPDX-License-Identifier: Apache-2.0
#include "collector/batch.h"

void feed_clear(struct feed *f)
{
	list_close(&f->history);
	*f = (struct feed){ 0 };
}

/* 1: *out is the entry with this index, valid until the next call; 0: the source does not have it now; or negative
 * errno. */
static int feed_get(struct feed *f, const struct window *w, struct source *s, uint64_t index, struct item *out)
{
	int r;

	if (window_get(w, index, out)) {
		feed_clear(f);
		return 1;
	}
	if (!f->history || index < f->at) {
		feed_clear(f);
		r = source_history(s, index, &f->history);
		if (r < 0)
			return r;
		f->at = index;
	}
	while (f->at < index || !f->have) {
		if (f->have)
			f->at++;
		f->have = false;
		r = list_next(f->history, &f->entry);
		if (r <= 0)
			return r;
		if (list_index(f->history) != f->at + 1) { /* trimmed between two readings; others may want what is behind */
			feed_clear(f);
			return -ENODATA;
		}
		f->have = true;
	}
	*out = (struct item){ .entry = f->entry };
	return 1;
}

uint64_t batch_close_at(const struct batch_rule *rule, uint64_t waiting, size_t bytes, uint64_t oldest_us,
			uint64_t last_us)
{
	if (waiting == 0)
		return UINT64_MAX;
	if (rule->age_us == 0 || waiting >= rule->max_entries || bytes >= rule->max_bytes)
		return 0;
	return MIN(oldest_us, last_us) + rule->age_us; /* last_us: after quiet the time has passed */
}

static void context_of(struct wire_context *out, const struct item *item, uint64_t now_us)
{
	*out = (struct wire_context){
		.present = true,
		.age_us = now_us > item->measured_us ? now_us - item->measured_us : 0,
		.pid = item->pid,
		.uid = item->uid,
		.cgroup = item->cgroup,
		.mntns = item->mntns,
	};
	bytes_copy(out->comm, item->comm, sizeof(out->comm));
}

static int fill(struct wire_pack *pack, struct feed *f, const struct window *w, struct source *s, const struct batch_rule *rule,
		bool context, uint64_t end, uint64_t now_us, uint64_t *index)
{
	while (*index < end && wire_pack_count(pack) < rule->max_entries) {
		struct wire_context ctx;
		struct item item;
		int r;

		/* a single entry may be larger than the rule */
		if (wire_pack_count(pack) > 0 && wire_pack_size(pack) >= rule->max_bytes)
			return 0;
		r = feed_get(f, w, s, *index, &item);
		if (r <= 0)
			return r;
		context_of(&ctx, &item, now_us);
		r = wire_pack_add(pack, &item.entry, context && item.has_context ? &ctx : NULL);
		if (r == -EMSGSIZE && wire_pack_count(pack) > 0)
			return 0;
		if (r < 0)
			return r;
		++*index;
	}
	return 0;
}

int batch_fill(struct wire_pack *pack, struct feed *f, const struct window *w, struct source *s,
	       const struct batch_rule *rule, bool context, uint64_t from, uint64_t end, uint64_t now_us,
	       uint64_t *next, struct bytes *block)
{
	uint64_t index = from;
	int r;

	wire_pack_begin_known(pack, rule->set);
	r = fill(pack, f, w, s, rule, context, end, now_us, &index);
	if (f->history)
		list_pause(f->history); /* whatever came of it: a reader keeps a trimmer out */
	if (r < 0)
		return r;
	*next = index;
	if (index == from) {
		*block = (struct bytes){ NULL, 0 };
		return 0;
	}
	return wire_pack_finish(pack, block);
}
