/* SPDX-License-Identifier: Apache-2.0 */
/* Extends entries into simulated PCRs. */
#pragma once

#include "ima/entry.h"
#include "imastream/limits.h"

/* Values of every PCR that occurs, in every bank. A plain value: copy it to remember a state. */
struct ima_replay {
	uint64_t entries;
	uint64_t violations;
	uint32_t used; /* bit per PCR index */
	bool padded_sha1;			   /* IMA_BANK_PADDED for every bank whose rule is not set */
	enum ima_bank_rule rule[HASH_COUNT];	   /* zero: the bank's own hash */
	uint8_t pcr[LIMIT_PCR + 1][HASH_COUNT][HASH_MAX_SIZE];
};

void ima_replay_init(struct ima_replay *r);
/* banks: bit per enum hash_alg. e->pcr <= LIMIT_PCR is the caller's promise (the decoder refuses more). */
void ima_replay_entry(struct ima_replay *r, const struct ima_entry *e, unsigned int banks);

#define IMA_BATCH 64u /* as many as hash_steps() looks at together */
/* The same for n <= IMA_BATCH entries, one behind the other, faster. column_fits: NULL, or ima_digest_matches() of each. */
void ima_replay_batch(struct ima_replay *r, const struct ima_entry *e, size_t n, unsigned int banks, bool *column_fits);
