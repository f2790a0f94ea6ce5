/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a policy (Keylime v1 JSON) from measurement lists and files: a baseline. The same input gives the same bytes. Pure; one
 * thread at a time. */
#pragma once

#include "ima/entry.h"
#include "policy/policy.h"

struct baseline;

struct baseline_counts {
	uint64_t entries;
	uint64_t digests;	 /* in the result: digests, keyrings and ima-buf together; set by baseline_write() */
	uint64_t added;		 /* of those, not in the base; set by baseline_write() */
	uint64_t violations;	 /* skipped: content not known */
	uint64_t not_understood; /* skipped: no digest or no name in a form that is known */
	uint64_t files;		 /* taken by baseline_file() */
	uint64_t unsayable;	 /* skipped: a name that is not UTF-8, or an algorithm that v1 cannot say */
};

must_use_ int baseline_new(struct baseline **out);
void baseline_free(struct baseline **b);
#define cleanup_baseline_ cleanup_(baseline_free)
/* Starts from an existing policy instead of an empty one: call it first. 0, negative errno, 1: bad policy, see report. */
must_use_ int baseline_start_from(struct baseline *b, struct bytes json, struct policy_report *report);
/* Adds an exclude rule, unless it is there. 0, negative errno, 1: not a rule, reason appended to why. */
must_use_ int baseline_exclude(struct baseline *b, struct bytes pattern, struct writer *why);
/* ima.log_hash_alg of a policy made from nothing: the algorithm of the list's digest column. */
must_use_ int baseline_log_hash_alg(struct baseline *b, enum hash_alg alg);
/* Takes in one entry. Files go to "digests", keys to "keyrings", other buffers to "ima-buf". 0 or negative errno. */
must_use_ int baseline_entry(struct baseline *b, const struct ima_entry *e);
/* Takes in a file's digest under its path, into "digests". 0 or negative errno. */
must_use_ int baseline_file(struct baseline *b, struct bytes path, uint8_t alg, struct bytes digest);
/* True when a rule of the base, or one that was added, covers this path. */
must_use_ bool baseline_excludes(const struct baseline *b, struct bytes path);
/* The policy as JSON text, members and digests sorted. 0 or negative errno. */
must_use_ int baseline_write(struct baseline *b, struct writer *w);
const struct baseline_counts *baseline_counts(const struct baseline *b);
