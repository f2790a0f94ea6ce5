// SPDX-License-Identifier: Apache-2.0
#include "wire/batch.h"

/* Keeps the data of entry n, whose view ends with the next one; false: no room. */
static bool keep(struct wire_batch *b)
{
	struct ima_entry *e = &b->entry[b->n];

	if (e->data.n > sizeof(b->data) - b->used)
		return false;
	bytes_copy(b->data + b->used, e->data.p, e->data.n);
	e->data.p = b->data + b->used;
	b->used += e->data.n;
	b->n++;
	return true;
}

int wire_batch_next(struct wire_batch *b, struct wire_unpack *u)
{
	b->n = b->used = 0;
	if (b->late) {
		b->late = false;
		b->entry[0] = b->late_entry;
		b->context[0] = b->late_context;
		if (!keep(b)) {
			b->n = 1; /* too large to be kept: alone, where it is */
			return WIRE_BLOCK_OK;
		}
	}
	while (b->n < WIRE_BATCH) {
		int r = wire_unpack_next(u, &b->entry[b->n], &b->context[b->n]);

		if (r == WIRE_BLOCK_END)
			break;
		if (r != WIRE_BLOCK_OK)
			return r;
		if (keep(b))
			continue;
		if (b->n == 0) {
			b->n = 1; /* too large to be kept: alone, where it is */
			return WIRE_BLOCK_OK;
		}
		b->late = true;
		b->late_entry = b->entry[b->n];
		b->late_context = b->context[b->n];
		break;
	}
	return b->n ? WIRE_BLOCK_OK : WIRE_BLOCK_END;
}
