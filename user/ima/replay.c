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

static enum ima_bank_rule rule_of(const struct ima_replay *r, enum hash_alg a)
{
	return r->padded_sha1 && r->rule[a] == IMA_BANK_OWN ? IMA_BANK_PADDED : r->rule[a];
}

/* The digests of one algorithm; extend: into its bank. */
static void replay_bank(struct ima_replay *r, const struct ima_entry *e, size_t n, enum hash_alg a, enum ima_bank_rule rule,
			bool extend, uint8_t digests[IMA_BATCH][HASH_MAX_SIZE])
{
	struct hash_step steps[IMA_BATCH];

	for (size_t i = 0; i < n; i++) {
		ima_bank_step(&e[i], a, rule, digests[i], &steps[i]);
		if (extend)
			steps[i].before = steps[i].after = r->pcr[e[i].pcr][a];
	}
	hash_steps(a, steps, n);
}

static bool is_column(size_t size)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		if (hash_size(a) == size)
			return true;
	return false;
}

/* By the digests of the algorithm whose size the first column has. */
static void compare_columns(const struct ima_entry *e, size_t n, enum hash_alg a, uint8_t digests[IMA_BATCH][HASH_MAX_SIZE],
			    bool *fits)
{
	size_t size = hash_size(a);

	for (size_t i = 0; i < n; i++)
		fits[i] = e[i].violation || e[i].digest.n != size ? ima_digest_matches(&e[i]) :
								    bytes_equal(digests[i], e[i].digest.p, size);
}

void ima_replay_batch(struct ima_replay *r, const struct ima_entry *e, size_t n, unsigned int banks, bool *column_fits)
{
	uint8_t digests[IMA_BATCH][HASH_MAX_SIZE];

	for (size_t i = 0; column_fits && i < n && !is_column(e[0].digest.n); i++)
		column_fits[i] = ima_digest_matches(&e[i]);
	for (enum hash_alg a = 0; a < HASH_COUNT && n; a++) {
		bool own = rule_of(r, a) == IMA_BANK_OWN, column = column_fits && e[0].digest.n == hash_size(a);

		if (banks & 1u << a)
			replay_bank(r, e, n, a, rule_of(r, a), true, digests);
		if (column && !(own && banks & 1u << a))
			replay_bank(r, e, n, a, IMA_BANK_OWN, false, digests);
		if (column)
			compare_columns(e, n, a, digests, column_fits);
	}
	for (size_t i = 0; i < n; i++) {
		r->used |= 1u << e[i].pcr;
		r->violations += e[i].violation;
	}
	r->entries += n;
}

void ima_replay_entry(struct ima_replay *r, const struct ima_entry *e, unsigned int banks)
{
	ima_replay_batch(r, e, 1, banks, NULL);
}
