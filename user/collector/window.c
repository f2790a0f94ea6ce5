// SPDX-License-Identifier: Apache-2.0
/* A circular buffer of records, each in one piece, and a circular array of their offsets. */
#include "collector/window.h"

#include "imastream/limits.h"

#define OFFSETS_INITIAL 256u
/* Memory larger than this is given back when it is mostly empty: a verifier was away, and has caught up. */
#define SHRINK_ABOVE (512u << 10)
#define SHRINK_OFFSETS_ABOVE 4096u

struct record {
	uint64_t arrived_us, measured_us;
	uint64_t cgroup, mntns;
	uint32_t size; /* of the whole record, rounded up */
	uint32_t pcr, name_n, data_n;
	uint32_t pid, uid;
	bool violation, has_context;
	char comm[17];
	uint8_t bytes[]; /* name, data */
};

struct window {
	uint8_t *memory;
	size_t cap, max;
	size_t tail; /* where the next record goes, if it fits */
	size_t used; /* bytes of live records */
	uint32_t *offsets;
	size_t offsets_cap; /* power of two */
	uint64_t start, end;
};

static struct record *record_at(const struct window *w, uint64_t index)
{
	return (struct record *)(void *)(w->memory + w->offsets[index & (w->offsets_cap - 1)]);
}

int window_new(struct window **out, size_t max_bytes)
{
	cleanup_window_ struct window *w = NULL;

	if (max_bytes < WINDOW_BYTES_INITIAL || max_bytes & (max_bytes - 1) || max_bytes > UINT32_MAX / 2)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->max = max_bytes;
	w->cap = WINDOW_BYTES_INITIAL;
	w->offsets_cap = OFFSETS_INITIAL;
	w->memory = malloc(w->cap);
	w->offsets = calloc(w->offsets_cap, sizeof(*w->offsets));
	if (!w->memory || !w->offsets)
		return -ENOMEM;
	*out = TAKE_PTR(w);
	return 0;
}

void window_free(struct window **w)
{
	struct window *x = TAKE_PTR(*w);

	if (!x)
		return;
	free(x->memory);
	free(x->offsets);
	free(x);
}

uint64_t window_start(const struct window *w)
{
	return w->start;
}

uint64_t window_end(const struct window *w)
{
	return w->end;
}

static void drop_oldest(struct window *w)
{
	w->used -= record_at(w, w->start)->size;
	w->start++;
	if (w->start == w->end)
		w->tail = 0;
}

/* Offset of n free bytes in one piece, or SIZE_MAX. */
static size_t find_room(const struct window *w, size_t n)
{
	size_t head;

	if (w->start == w->end)
		return n <= w->cap ? 0 : SIZE_MAX;
	head = w->offsets[w->start & (w->offsets_cap - 1)];
	if (w->tail > head) {
		if (w->cap - w->tail >= n)
			return w->tail;
		return head >= n ? 0 : SIZE_MAX;
	}
	return head - w->tail >= n ? w->tail : SIZE_MAX; /* tail == head and not empty: full */
}

/* Other memory, of this size, with the records laid out in order. */
static int move_memory(struct window *w, size_t cap)
{
	uint8_t *memory = malloc(cap);
	size_t at = 0;

	if (!memory)
		return -ENOMEM;
	for (uint64_t i = w->start; i < w->end; i++) {
		struct record *r = record_at(w, i);

		bytes_copy(memory + at, r, r->size);
		w->offsets[i & (w->offsets_cap - 1)] = (uint32_t)at;
		at += r->size;
	}
	free(w->memory);
	w->memory = memory;
	w->cap = cap;
	w->tail = at;
	return 0;
}

static int move_offsets(struct window *w, size_t cap)
{
	uint32_t *offsets = calloc(cap, sizeof(*offsets));

	if (!offsets)
		return -ENOMEM;
	for (uint64_t i = w->start; i < w->end; i++)
		offsets[i & (cap - 1)] = w->offsets[i & (w->offsets_cap - 1)];
	free(w->offsets);
	w->offsets = offsets;
	w->offsets_cap = cap;
	return 0;
}

int window_add(struct window *w, const struct item *item)
{
	const struct ima_entry *e = &item->entry;
	size_t n = sizeof(struct record) + e->name.n + e->data.n, at;
	struct record *r;

	n = (n + 7) & ~(size_t)7;
	if (e->data.n > LIMIT_ENTRY_DATA || e->name.n > LIMIT_TEMPLATE_NAME || n > w->max)
		return -EMSGSIZE;
	if (w->end - w->start == w->offsets_cap) {
		int err = move_offsets(w, 2 * w->offsets_cap);

		if (err < 0)
			return err;
	}
	while ((at = find_room(w, n)) == SIZE_MAX) {
		int err = w->cap < w->max ? move_memory(w, 2 * w->cap) : 0;

		if (err < 0)
			return err;
		if (w->cap == w->max && find_room(w, n) == SIZE_MAX)
			drop_oldest(w);
	}
	r = (struct record *)(void *)(w->memory + at);
	*r = (struct record){
		.arrived_us = item->arrived_us,
		.measured_us = item->measured_us,
		.cgroup = item->cgroup,
		.mntns = item->mntns,
		.size = (uint32_t)n,
		.pcr = e->pcr,
		.name_n = (uint32_t)e->name.n,
		.data_n = (uint32_t)e->data.n,
		.pid = item->pid,
		.uid = item->uid,
		.violation = e->violation,
		.has_context = item->has_context,
	};
	bytes_copy(r->comm, item->comm, sizeof(r->comm));
	bytes_copy(r->bytes, e->name.p, e->name.n);
	bytes_copy(r->bytes + e->name.n, e->data.p, e->data.n);
	w->offsets[w->end & (w->offsets_cap - 1)] = (uint32_t)at;
	w->tail = at + n;
	w->used += n;
	w->end++;
	return 0;
}

void window_restart(struct window *w, uint64_t index)
{
	window_release(w, w->end);
	w->start = w->end = index;
}

bool window_get(const struct window *w, uint64_t index, struct item *out)
{
	const struct record *r;

	if (index < w->start || index >= w->end)
		return false;
	r = record_at(w, index);
	*out = (struct item){
		.entry = { .pcr = r->pcr,
			   .name = { r->bytes, r->name_n },
			   .data = { r->bytes + r->name_n, r->data_n },
			   .violation = r->violation },
		.arrived_us = r->arrived_us,
		.measured_us = r->measured_us,
		.has_context = r->has_context,
		.pid = r->pid,
		.uid = r->uid,
		.cgroup = r->cgroup,
		.mntns = r->mntns,
	};
	bytes_copy(out->comm, r->comm, sizeof(out->comm));
	return true;
}

size_t window_bytes_from(const struct window *w, uint64_t index)
{
	size_t from;

	if (index >= w->end)
		return 0;
	if (index <= w->start)
		return w->used;
	from = w->offsets[index & (w->offsets_cap - 1)];
	return w->tail > from ? w->tail - from : w->cap - from + w->tail;
}

/* What does not work out now is tried again with the next release. */
static void shrink(struct window *w)
{
	if (w->cap > SHRINK_ABOVE && w->used <= w->cap / 8)
		(void)!move_memory(w, w->start == w->end ? WINDOW_BYTES_INITIAL : w->cap / 4);
	if (w->offsets_cap > SHRINK_OFFSETS_ABOVE && w->end - w->start <= w->offsets_cap / 8)
		(void)!move_offsets(w, w->start == w->end ? OFFSETS_INITIAL : w->offsets_cap / 4);
}

void window_release(struct window *w, uint64_t index)
{
	while (w->start < index && w->start < w->end)
		drop_oldest(w);
	shrink(w);
}
