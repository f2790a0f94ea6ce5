// SPDX-License-Identifier: Apache-2.0
#include "wire/batch.h"

int wire_batch_next(struct wire_batch *b, struct wire_unpack *u)
{
	size_t used = 0;

	for (b->n = 0; b->n < WIRE_BATCH; b->n++) {
		struct ima_entry *e = &b->entry[b->n];
		struct wire_context *ctx = &b->context[b->n];
		size_t room = wire_unpack_room(u);
		bool fits = room <= sizeof(b->data) - used;
		int r;

		if (!fits && b->n)
			break;
		b->known[b->n] = wire_unpack_known(u);
		r = fits ? wire_unpack_put(u, b->data + used, e, ctx) : wire_unpack_next(u, e, ctx);
		if (r != WIRE_BLOCK_OK)
			return b->n ? WIRE_BLOCK_OK : r;
		used += room;
		if (!fits) { /* too large to be kept: alone */
			b->n = 1;
			break;
		}
	}
	return WIRE_BLOCK_OK;
}
