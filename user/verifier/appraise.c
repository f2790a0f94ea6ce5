// SPDX-License-Identifier: Apache-2.0
/* Stage [10]: every entry, always. */
#include "verifier/stages.h"

static bool bytes_are(struct bytes b, const char *text)
{
	return b.n == strlen(text) && bytes_equal(b.p, text, b.n);
}

static void remember_boot_aggregate(struct boot *b, const struct ima_fields *f)
{
	enum hash_alg alg;

	if (!bytes_are(f->path, "boot_aggregate") || !hash_from_name(f->alg, &alg) || f->digest.n != hash_size(alg))
		return;
	b->boot_aggregate.alg = alg;
	b->boot_aggregate.size = (uint8_t)f->digest.n;
	bytes_copy(b->boot_aggregate.value, f->digest.p, f->digest.n);
}

void appraise_stage(const struct appraisal *rules, struct boot *b, uint32_t pcr_mask, const struct ima_entry *e,
		    uint64_t index, struct entry_findings *out)
{
	bool sound;

	*out = (struct entry_findings){ 0 };
	sound = ima_fields_parse(e, &out->fields);
	out->n = appraise_entry(rules, e, sound ? &out->fields : NULL, index, out->list);
	if (index == 0 && sound && e->pcr == 10 && !e->violation)
		remember_boot_aggregate(b, &out->fields);
	if (!(pcr_mask & (1u << e->pcr)) && !(b->uncovered & (1u << e->pcr))) {
		b->uncovered |= 1u << e->pcr;
		out->list[out->n++] = (struct finding){ .index = index, .reason = REASON_PCR_UNCOVERED,
							.severity = SEVERITY_WARNING };
	}
}

/* The kernel hashes PCR 0 to 7 of the SHA-1 bank, and PCR 0 to 9 of any other bank:
 * security/integrity/ima/ima_crypto.c, ima_calc_boot_aggregate_tfm(). Judged when the quotes cover just that bank and
 * at least those PCRs. */
enum reason appraise_boot_aggregate(const struct appraisal *rules, const struct session *s)
{
	const struct boot *b = s->boot;
	uint32_t wanted = b->boot_aggregate.alg == HASH_SHA1 ? 0xffu : 0x3ffu;
	uint8_t digest[HASH_MAX_SIZE];

	/* A PCR that entries name was matched with the list's value, so HELLO's is still a claim. The collector chooses mask
	 * and bank: what it takes from us must not pass unseen where the policy compares the first entry. */
	if (b->boot_aggregate.size == 0 || b->boot_aggregate.alg != s->bank || (s->pcr_mask & wanted) != wanted ||
	    b->replay.used & wanted)
		return rules->policy && policy_has_boot_aggregate(rules->policy) ? REASON_BOOT_AGGREGATE_OPEN : REASON_NONE;
	/* values of PCR 0 .. stand in front, without a gap */
	hash_one(s->bank, s->boot_pcrs, (wanted == 0xffu ? 8 : 10) * hash_size(s->bank), digest);
	return bytes_equal(digest, b->boot_aggregate.value, b->boot_aggregate.size) ? REASON_NONE : REASON_BOOT_AGGREGATE;
}
