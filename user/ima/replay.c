// SPDX-License-Identifier: Apache-2.0
#include "ima/replay.h"

/* PCRs 17 to 22 start at all ones, the others at zero: TCG PC Client Platform TPM Profile, "PCR Attributes". */
#define FIRST_DYNAMIC_PCR 17u
#define LAST_DYNAMIC_PCR 22u

void ima_replay_init(struct ima_replay *r)
{
	*r = (struct ima_replay){ 0 };
	for (unsigned int i = FIRST_DYNAMIC_PCR; i <= LAST_DYNAMIC_PCR; i++)
		memset(r->pcr[i], 0xff, sizeof(r->pcr[i]));
}

void ima_replay_entry(struct ima_replay *r, const struct ima_entry *e, unsigned int banks)
{
	uint8_t digest[HASH_MAX_SIZE];

	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		if (!(banks & 1u << a))
			continue;
		ima_bank_digest(e, a, r->padded_sha1 && r->rule[a] == IMA_BANK_OWN ? IMA_BANK_PADDED : r->rule[a], digest);
		hash_extend(a, r->pcr[e->pcr][a], digest);
	}
	r->used |= 1u << e->pcr;
	r->entries++;
	if (e->violation)
		r->violations++;
}
