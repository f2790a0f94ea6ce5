/* SPDX-License-Identifier: Apache-2.0 */
/* Two policies into one, and what is different between two. Both work on the JSON text that people keep. Pure.
 *
 * Merging: names and digests of digests, keyrings, ima-buf, deny and boot-pcrs are united; so are excludes and ignored
 * keyrings, those of the first policy in front. Members that hold one value are kept where only one policy has them, or both
 * have the same; else they contradict each other and somebody has to choose. A policy without "violations" says "warn".
 * Not judged by anybody, so never a contradiction, the first one's stay: meta, release. ima.log_hash_alg is one
 * only when it changes what a digest means (hashes whose size another one has, too). */
#pragma once

#include "policy/policy.h"

struct merge;
/* prefer_first: of values that contradict each other the earlier one is kept, and nothing is said. */
must_use_ int merge_new(struct merge **out, bool prefer_first);
void merge_free(struct merge **m);
#define cleanup_merge_ cleanup_(merge_free)

struct merge_counts {
	uint64_t policies, digests;
	unsigned int contradictions;
};

/* Adds a policy. Contradictions are counted and appended to `why`, a line each. 0; 1: no good policy, see report; negative
 * errno. */
must_use_ int merge_add(struct merge *m, struct bytes json, struct policy_report *report, struct writer *why);
/* Call merge_add() before. 0 or negative errno. */
must_use_ int merge_write(struct merge *m, struct writer *w);
const struct merge_counts *merge_counts(const struct merge *m);

enum difference { DIFFERENCE_ADDED, DIFFERENCE_REMOVED, DIFFERENCE_CHANGED };

/* Under one member ("digests", "excludes", "ima.log_hash_alg"), one name ("" where the member has none). added and removed:
 * digests, rules or names, arrays of n texts; of a member with one value: its JSON text before and after. Valid during
 * the call. */
struct policy_difference {
	const char *member, *name;
	enum difference kind;
	const char *const *added, *const *removed;
	size_t n_added, n_removed;
};
typedef int (*policy_difference_fn)(void *user, const struct policy_difference *d);

/* From old to new, members and names in order; each() may end it with a result other than 0. 0; 1, 2: the first, the second is
 * no good policy (see report); negative errno; or what each() returned. */
must_use_ int policy_diff(struct bytes old, struct bytes new, struct policy_report *report, policy_difference_fn each, void *user);
