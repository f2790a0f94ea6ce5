/* SPDX-License-Identifier: Apache-2.0 */
/* Which reference sets there are: of each policy name the newest two, so that blocks which were on their way when a policy changed
 * can still be read. And how much of them is given to whom. Data only; one thread. */
#pragma once

#include "verifier/policies.h"
#include "verifier/reference_set.h"

#define REFERENCES_HELD 2u

struct named_sets {
	char name[LIMIT_POLICY_NAME + 1];
	char policy[LIMIT_KEY_NAME]; /* policy_id() of the one that was looked at last, whether it gave a set or not */
	struct reference_set *sets[REFERENCES_HELD]; /* newest first; NULL: none */
};

struct references {
	struct named_sets *list;
	size_t n;
	uint64_t given, given_mono; /* bytes since then */
};

void references_clear(struct references *r);
/* This policy, of that id, has this set (taken; NULL: none, the one before stays). A set that is there already only moves to the
 * front. 0 or -ENOMEM. */
must_use_ int references_put(struct references *r, const char *name, const char *policy, struct reference_set **set);
/* Drops those of names that are gone. */
void references_keep(struct references *r, const struct policies *policies);
/* A policy in force that was not looked at yet; NULL: none. */
const struct named_policy *references_missing(const struct references *r, const struct policies *policies);

/* NULL: none. */
struct reference_set *references_newest(const struct references *r, const char *name);
struct reference_set *references_find(const struct references *r, const char *name, const uint8_t digest[WIRE_DIGEST_SIZE]);
/* Those that blocks of this name's attesters may need; how many. */
size_t references_known(const struct references *r, const char *name, struct wire_known out[REFERENCES_HELD]);

/* What one attester was given. */
struct reference_share {
	uint64_t bytes, since_mono;
};
/* Whether n more bytes of a set of this size may be given now: to this attester, and at all. Counts them when true. */
must_use_ bool references_give(struct references *r, struct reference_share *share, size_t n, size_t set_size,
			       uint64_t now_mono);
