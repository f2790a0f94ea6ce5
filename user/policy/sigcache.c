// SPDX-License-Identifier: Apache-2.0
#include "policy/sigcache.h"

#include "imastream/limits.h"

#define WAYS 8u

struct slot {
	uint8_t key[SIGCACHE_KEY_SIZE];
};

/* Sets of WAYS slots; `used` counts what was ever put into a set, and so names the oldest slot. */
struct sigcache {
	size_t sets; /* a power of two */
	uint64_t hits;
	struct slot *slots;
	uint32_t *used;
};

int sigcache_new(struct sigcache **out, size_t entries)
{
	cleanup_sigcache_ struct sigcache *c = NULL;
	size_t sets = 1;

	if (entries == 0 || entries > LIMIT_SIGNATURE_CACHE)
		return -EINVAL;
	while (sets * WAYS < entries)
		sets *= 2;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->sets = sets;
	c->slots = calloc(sets * WAYS, sizeof(*c->slots));
	c->used = calloc(sets, sizeof(*c->used));
	if (!c->slots || !c->used)
		return -ENOMEM;
	*out = TAKE_PTR(c);
	return 0;
}

void sigcache_free(struct sigcache **c)
{
	struct sigcache *old = TAKE_PTR(*c);

	if (!old)
		return;
	free(old->slots);
	free(old->used);
	free(old);
}

/* The key is a SHA-256 value: any of its bytes spread. Whoever looks for keys of one set gains a slower cache. */
static size_t set_of(const struct sigcache *c, const uint8_t *key)
{
	struct reader r = reader_over(key, SIGCACHE_KEY_SIZE);

	return (size_t)read_u64le(&r) & (c->sets - 1);
}

bool sigcache_has(struct sigcache *c, const uint8_t key[SIGCACHE_KEY_SIZE])
{
	size_t set = set_of(c, key);

	for (size_t i = 0; i < MIN((size_t)c->used[set], (size_t)WAYS); i++) {
		if (bytes_equal(c->slots[set * WAYS + i].key, key, SIGCACHE_KEY_SIZE)) {
			c->hits++;
			return true;
		}
	}
	return false;
}

void sigcache_add(struct sigcache *c, const uint8_t key[SIGCACHE_KEY_SIZE])
{
	size_t set = set_of(c, key);

	bytes_copy(c->slots[set * WAYS + c->used[set] % WAYS].key, key, SIGCACHE_KEY_SIZE);
	/* after 2^32 of them a full set would look empty: it goes on from a full one */
	c->used[set] = c->used[set] == UINT32_MAX ? WAYS : c->used[set] + 1;
}

uint64_t sigcache_hits(const struct sigcache *c)
{
	return c->hits;
}
