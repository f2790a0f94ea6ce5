/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a block, some at a time: hashing and looking up are faster when the next ones are known. */
#pragma once

#include "wire/block.h"

#define WIRE_BATCH 64u
#define WIRE_BATCH_DATA (32u << 10)

struct wire_batch {
	size_t n;
	struct ima_entry entry[WIRE_BATCH];
	struct wire_context context[WIRE_BATCH];
	bool known[WIRE_BATCH]; /* wire_unpack_known() */
	uint8_t data[WIRE_BATCH_DATA]; /* private */
};

/* The next entries of the block: WIRE_BLOCK_OK and n > 0, WIRE_BLOCK_END and n == 0, or what wire_unpack_next() said. All
 * views live until the next call on u or b. */
must_use_ int wire_batch_next(struct wire_batch *b, struct wire_unpack *u);
