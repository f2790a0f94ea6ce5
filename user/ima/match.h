/* SPDX-License-Identifier: Apache-2.0 */
/* Where a measurement list meets given PCR values, and, when it does not, what most likely happened to it. Works on a whole
 * list in memory. Pure; thread-safe as long as the callback is. */
#pragma once

#include "ima/list.h"
#include "ima/replay.h"

/* The values looked for. They are only compared at the start and after entries of the PCRs named in `pcrs`. */
struct ima_target {
	uint32_t pcrs;	    /* bit per PCR that the values depend on */
	unsigned int banks; /* bit per enum hash_alg */
	bool (*reached)(const void *user, const struct ima_replay *state);
	const void *user;
};

/* A list in memory, with what a first pass over it found out. */
struct ima_whole_list {
	struct bytes bytes;
	enum ima_list_format format;
	size_t digest_size;
	uint64_t entries; /* that can be decoded */
};

struct ima_match {
	bool reached;
	uint64_t at_entry;		     /* entries replayed when it was reached */
	enum ima_bank_rule rule[HASH_COUNT]; /* by which it was reached */
};

/* Replays by each of the given rules. 0, or a negative errno of our own (-ENOMEM). */
must_use_ int ima_match_rules(const struct ima_whole_list *l, const struct ima_target *t,
			      const enum ima_bank_rule rule[HASH_COUNT], struct ima_match *out);
/* The same by every combination of padded banks (see enum ima_bank_rule) that t looks at; the bank's own hash is not tried
 * for all of them at once, since the caller did that. */
must_use_ int ima_match_padded(const struct ima_whole_list *l, const struct ima_target *t, struct ima_match *out);

enum ima_suspicion {
	IMA_SUSPECT_UNKNOWN, /* none of the below leads to the values */
	IMA_SUSPECT_CHANGED, /* with the list's own digests in place of the hash of `count` entries' data, the first is `entry` */
	IMA_SUSPECT_SKIPPED, /* without `entry`: it was not extended */
	IMA_SUSPECT_SWAPPED, /* with `entry` and the next one exchanged */
};

struct ima_diagnosis {
	enum ima_suspicion suspicion;
	uint64_t entry;	   /* from 1 */
	uint64_t count;	   /* IMA_SUSPECT_CHANGED: how many entries */
	uint64_t at_entry; /* where the values would be reached then */
	uint64_t tried;	   /* SKIPPED and SWAPPED were tried for that many of the last entries */
};

/* For values that no rule reached. Tries single faults among the last LIMIT_DIAGNOSE_WINDOW entries: bounded work of about
 * its square extends. 0 or a negative errno of our own. */
must_use_ int ima_diagnose(const struct ima_whole_list *l, const struct ima_target *t, struct ima_diagnosis *out);
