/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from fixed-size binary keys to pointers. The keys live in the values (borrowed); the hash is keyed with
 * a random seed, so that a peer that can choose keys cannot choose buckets. One thread owns a table. */
#pragma once

#include "base/common.h"

struct idmap_slot {
	const uint8_t *key; /* NULL: empty */
	void *value;
};

struct idmap {
	struct idmap_slot *slots;
	size_t key_size, count, capacity; /* capacity is 0 or a power of two */
	uint64_t seed;
};

/* key_size: at least 8. seed: unpredictable to peers. */
void idmap_init(struct idmap *t, size_t key_size, uint64_t seed);
/* Frees the table, not the values. */
void idmap_clear(struct idmap *t);
/* Adds or replaces. key points into value and lives as long. 0 or -ENOMEM. */
must_use_ int idmap_put(struct idmap *t, const uint8_t *key, void *value);
/* NULL when there is none. */
void *idmap_get(const struct idmap *t, const uint8_t *key);
/* Removes the key, if it is there and (value != NULL) belongs to value. */
void idmap_del(struct idmap *t, const uint8_t *key, const void *value);
/* Walks in no order: start with *at = 0; NULL at the end. Do not change the table between calls. */
void *idmap_next(const struct idmap *t, size_t *at);
