// SPDX-License-Identifier: Apache-2.0
#include "verifier/deadline.h"

#define HEAP_FIRST_CAPACITY 64u

void deadlines_clear(struct deadlines *d)
{
	free(d->heap);
	*d = (struct deadlines){ 0 };
}

int deadlines_reserve(struct deadlines *d, size_t n)
{
	size_t wanted = d->capacity ? d->capacity : HEAP_FIRST_CAPACITY;
	struct attester **larger;

	if (n <= d->capacity)
		return 0;
	while (wanted < n)
		wanted *= 2;
	larger = realloc(d->heap, wanted * sizeof(struct attester *));
	if (!larger)
		return -ENOMEM;
	d->heap = larger;
	d->capacity = wanted;
	return 0;
}

static void place(struct deadlines *d, size_t i, struct attester *a)
{
	d->heap[i] = a;
	a->due_slot = i + 1;
}

static void sift(struct deadlines *d, size_t i, struct attester *a)
{
	while (i > 0 && d->heap[(i - 1) / 2]->due_mono > a->due_mono) {
		place(d, i, d->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < d->n && d->heap[child + 1]->due_mono < d->heap[child]->due_mono)
			child++;
		if (child >= d->n || d->heap[child]->due_mono >= a->due_mono)
			break;
		place(d, i, d->heap[child]);
		i = child;
	}
	place(d, i, a);
}

void deadlines_set(struct deadlines *d, struct attester *a, uint64_t due_mono)
{
	size_t i = a->due_slot;

	if (due_mono == 0) {
		struct attester *last;

		a->due_mono = 0;
		if (!i)
			return;
		a->due_slot = 0;
		last = d->heap[--d->n];
		if (last != a)
			sift(d, i - 1, last);
		return;
	}
	a->due_mono = due_mono;
	if (i) {
		sift(d, i - 1, a);
	} else if (d->n < d->capacity) {
		d->n++;
		sift(d, d->n - 1, a);
	}
}

struct attester *deadlines_first(const struct deadlines *d)
{
	return d->n ? d->heap[0] : NULL;
}
