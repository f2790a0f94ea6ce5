/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in memory, by index, until every verifier has them proven. Bounded: past the maximum the oldest fall out, and
 * who still needs them reads the list again (source_history()). Pure: no I/O; one thread.
 *
 *   index:   0 ......... start ................ end
 *            released or   in memory             next to come
 *            fallen out                                                                                              */
#pragma once

#include "collector/item.h"

#define WINDOW_BYTES_INITIAL (64u << 10)

struct window;

/* max_bytes: of the records, each an entry with about 100 bytes of its own; a power of two, at least
 * WINDOW_BYTES_INITIAL. 0, -EINVAL, -ENOMEM. */
must_use_ int window_new(struct window **out, size_t max_bytes);
void window_free(struct window **w);
#define cleanup_window_ cleanup_(window_free)

/* Appends the entry with index window_end(); copies it. Drops the oldest ones when there is no room.
 * -EMSGSIZE: larger than the whole window; -ENOMEM; nothing changes then. */
must_use_ int window_add(struct window *w, const struct item *item);
uint64_t window_start(const struct window *w);
uint64_t window_end(const struct window *w);
/* Forgets all entries; the next one to come has this index, which is not below window_end(). */
void window_restart(struct window *w, uint64_t index);
/* false: not in memory. The views live until the next window_add() or window_release(). The digest is not kept. */
must_use_ bool window_get(const struct window *w, uint64_t index, struct item *out);
/* Bytes that the entries from `index` on take in memory: an estimate of a batch. */
size_t window_bytes_from(const struct window *w, uint64_t index);
/* Nobody needs the entries below `index` any more. */
void window_release(struct window *w, uint64_t index);
