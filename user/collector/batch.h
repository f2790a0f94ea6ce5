/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [3]: entries by index, from memory or from the list, into one block; and the decision when a batch closes. */
#pragma once

#include "collector/source.h"
#include "collector/window.h"
#include "wire/block.h"

/* Where one verifier's entries come from: the window, or, when they have fallen out of it, a reader of its own. */
struct feed {
	struct list *history; /* NULL: the window is enough */
	uint64_t at;	      /* index of `entry`, or of the next one that history yields */
	bool have;
	struct ima_entry entry; /* read and not yet taken */
};

void feed_clear(struct feed *f);

struct batch_rule {
	uint64_t age_us;      /* a batch waits at most this long for more; 0: it never waits */
	uint32_t max_entries; /* closes by size; also the most that one block takes */
	size_t max_bytes;
	const struct wire_reference *set; /* that the receiver holds, NULL: none */
};

/* When to close a batch, given that the way is free. UINT64_MAX: nothing waits. `oldest_us`: arrival of the first entry
 * that waits; `last_us`: when the last batch left. An entry that comes after quiet leaves at once. Pure. */
uint64_t batch_close_at(const struct batch_rule *rule, uint64_t waiting, size_t bytes, uint64_t oldest_us,
			uint64_t last_us);

/* Fills a block with entries [from, end), as many as the rule and LIMIT_BLOCK_* allow, and compresses it. *next is the
 * index behind the last one; *block lives in `pack`, empty when no entry was there. */
must_use_ int batch_fill(struct wire_pack *pack, struct feed *f, const struct window *w, struct source *s,
			 const struct batch_rule *rule, bool context, uint64_t from, uint64_t end, uint64_t now_us,
			 uint64_t *next, struct bytes *block);
