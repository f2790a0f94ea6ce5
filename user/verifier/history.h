/* SPDX-License-Identifier: Apache-2.0 */
/* Generations of named policies, in the store: which one was in force when, by what, who signed it, and its bytes, so that
 * one can be rolled back to without its file. Every change of a policy is a new generation, a roll-back too. */
#pragma once

#include "verifier/policy_file.h"
#include "verifier/store.h"

#define POLICY_PART (1u << 20) /* bytes of a file in one row of the store */

struct history_how {
	const char *reason; /* "start", "signal", "file", "request", "rollback" */
	const char *who;    /* "": nobody in particular */
	uint64_t overlap_us;
	uint64_t keep;	    /* generations whose bytes stay */
	struct writer *told; /* a line for each policy that changed; NULL: nobody asks */
};

/* Gives a set that was just read its generations and overlaps, and stores what is new. `opener` is for what must be read
 * from the store: the one before inside an overlap, and one that was rolled back to while its file did not change. That
 * file is not taken again until it holds something else. in_force: the set of now; NULL at start, then the store says. In a
 * transaction of its own. The bytes of a large policy are left out: policy_source.keep is set. Negative errno: nothing was stored, the set must not be used (a line is in opener->why). */
must_use_ int history_adopt(struct store *s, const struct policies *in_force, struct policies *set,
			    const struct policy_opener *opener, const struct history_how *how, const struct instant *now);

/* What a roll-back needs of a kept generation. */
struct history_kept {
	uint64_t generation;
	struct writer packed, detached;
};
#define HISTORY_KEPT ((struct history_kept){ .packed = WRITER(LIMIT_POLICY_KEPT), .detached = WRITER(LIMIT_BUNDLE) })
void history_kept_clear(struct history_kept *k);
/* generation 0: the newest one that is another policy than the newest. 0; positive 1: there is none, *why (static) says
 * so; negative errno. */
must_use_ int history_find(struct store *s, const char *name, uint64_t generation, struct history_kept *out,
			   const char **why);
/* Puts an opened policy in force under its name as a new generation; `entry` is of the set of now and keeps its name. Takes
 * *opened. In a transaction of its own. */
must_use_ int history_roll_back(struct store *s, struct named_policy *entry, struct named_policy *opened,
				const struct history_how *how, const struct instant *now);
/* Lets an opened policy (that of entry->before_generation) overlap for how->overlap_us from now; 0 ends the overlap. Takes
 * *opened. In a transaction of its own. */
must_use_ int history_overlap(struct store *s, struct named_policy *entry, struct named_policy *opened,
			      const struct history_how *how, const struct instant *now);
