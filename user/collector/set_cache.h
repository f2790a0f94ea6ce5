/* SPDX-License-Identifier: Apache-2.0 */
/* Reference sets that verifiers named, in memory and in a folder. Bounded: all sets in memory together by `max`, and the folder holds
 * no other sets than those that are in use. What is read from the folder is checked as what came from the network: it is
 * only a shorter way to the same bytes. Nothing is synced: a file that a crash leaves behind wrong is fetched again. One thread. */
#pragma once

#include "wire/reference.h"

struct set_cache;

/* folder NULL: memory only. It need not exist, nor be writable: then sets are fetched again after a start. */
must_use_ int set_cache_new(struct set_cache **out, const char *folder, size_t max);
void set_cache_free(struct set_cache **c);
/* Room for one that is being fetched, given back when it is there, or not wanted any more. -ENOSPC: it does not fit. */
must_use_ int set_cache_reserve(struct set_cache *c, size_t size);
void set_cache_release(struct set_cache *c, size_t *size);
/* The set, from memory or from the folder; NULL: it is in neither, or there is no room. Give it back with set_cache_drop(). */
const struct wire_reference *set_cache_take(struct set_cache *c, const uint8_t digest[WIRE_DIGEST_SIZE], size_t size);
/* These bytes (taken) came for a set of this digest. 0 and *out, as from set_cache_take(); a positive enum
 * wire_reference_outcome: they are not that set; -ENOSPC: no room; -ENOMEM. */
must_use_ int set_cache_add(struct set_cache *c, const uint8_t digest[WIRE_DIGEST_SIZE], struct writer *bytes,
			    const struct wire_reference **out);
void set_cache_drop(struct set_cache *c, const struct wire_reference **set);
/* Bytes in memory, what is reserved among them. */
size_t set_cache_bytes(const struct set_cache *c);
