// SPDX-License-Identifier: Apache-2.0
#include "verifier/idmap.h"

#define IDMAP_FIRST_CAPACITY 64u

void idmap_init(struct idmap *t, size_t key_size, uint64_t seed)
{
	*t = (struct idmap){ .key_size = key_size, .seed = seed };
}

void idmap_clear(struct idmap *t)
{
	free(t->slots);
	t->slots = NULL;
	t->count = t->capacity = 0;
}

/* The keys are hashes or random numbers already: a keyed mix of their first 8 bytes spreads them. */
static size_t idmap_home(const struct idmap *t, const uint8_t *key)
{
	uint64_t h;

	memcpy(&h, key, sizeof(h));
	h ^= t->seed;
	h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
	h = (h ^ (h >> 29) ^ t->seed) * 0xc4ceb9fe1a85ec53ull;
	return (size_t)(h ^ (h >> 32)) & (t->capacity - 1);
}

static struct idmap_slot *idmap_find(const struct idmap *t, const uint8_t *key)
{
	size_t i;

	if (!t->capacity)
		return NULL;
	for (i = idmap_home(t, key); t->slots[i].key; i = (i + 1) & (t->capacity - 1))
		if (bytes_equal(t->slots[i].key, key, t->key_size))
			break;
	return &t->slots[i];
}

static int idmap_grow(struct idmap *t)
{
	struct idmap larger = { .key_size = t->key_size, .seed = t->seed,
				.capacity = t->capacity ? t->capacity * 2 : IDMAP_FIRST_CAPACITY };

	larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->capacity; i++)
		if (t->slots[i].key)
			*idmap_find(&larger, t->slots[i].key) = t->slots[i];
	larger.count = t->count;
	free(t->slots);
	*t = larger;
	return 0;
}

int idmap_put(struct idmap *t, const uint8_t *key, void *value)
{
	struct idmap_slot *s;

	if ((t->count + 1) * 4 > t->capacity * 3) {
		int r = idmap_grow(t);

		if (r < 0)
			return r;
	}
	s = idmap_find(t, key);
	if (!s->key)
		t->count++;
	*s = (struct idmap_slot){ .key = key, .value = value };
	return 0;
}

void *idmap_get(const struct idmap *t, const uint8_t *key)
{
	const struct idmap_slot *s = idmap_find(t, key);

	return s && s->key ? s->value : NULL;
}

void idmap_del(struct idmap *t, const uint8_t *key, const void *value)
{
	struct idmap_slot *s = idmap_find(t, key);
	size_t i;

	if (!s || !s->key || (value && s->value != value))
		return;
	*s = (struct idmap_slot){ 0 };
	t->count--;
	/* linear probing: what stands behind the hole moves to where it is found again */
	for (i = (size_t)(s - t->slots + 1) & (t->capacity - 1); t->slots[i].key; i = (i + 1) & (t->capacity - 1)) {
		struct idmap_slot moved = t->slots[i];

		t->slots[i] = (struct idmap_slot){ 0 };
		*idmap_find(t, moved.key) = moved;
	}
}

void *idmap_next(const struct idmap *t, size_t *at)
{
	while (*at < t->capacity) {
		const struct idmap_slot *s = &t->slots[(*at)++];

		if (s->key)
			return s->value;
	}
	return NULL;
}
