// SPDX-License-Identifier: Apache-2.0
/* The member "boot-pcrs" of a policy: bank -> PCR -> values that it may have. Ours: Keylime ignores it. */
#include "base/text.h"
#include "policy/load.h"

#define IMA_PCR 10u

static void load_value(struct loader *l, enum hash_alg bank, unsigned int pcr)
{
	uint8_t value[HASH_MAX_SIZE];
	int r;

	if (l->json.type != JP_STRING || hex_decode(jp_text(&l->json), value, hash_size(bank)) < 0) {
		load_say(l, true, "expected a %s digest: %zu hexadecimal digits", hash_name(bank), 2 * hash_size(bank));
		return;
	}
	r = policy_add_boot_pcr(l->policy, bank, pcr, (struct bytes){ value, hash_size(bank) });
	if (r == -EMSGSIZE)
		load_say(l, true, "more than %u values of boot PCRs", LIMIT_BOOT_PCR_VALUES);
	else if (r < 0)
		l->failure = r;
}

/* A number in a name: no longer than any that is one. */
static bool pcr_number(struct bytes name, uint64_t *pcr)
{
	char text[8] = "";

	if (name.n >= sizeof(text))
		return false;
	bytes_copy(text, name.p, name.n);
	return parse_u64(text, 0, LIMIT_PCR, pcr) == 0 && *pcr != IMA_PCR;
}

static void load_pcr(struct loader *l, enum hash_alg bank, struct bytes name)
{
	struct load_walk values;
	uint64_t pcr;

	if (!pcr_number(name, &pcr)) {
		load_say(l, true, "not a boot PCR: 0 to %u, without %u, where IMA measures", LIMIT_PCR, IMA_PCR);
		return;
	}
	if (l->json.type != JP_ARRAY || load_count(l) == 0) {
		load_wrong_type(l, "an array of at least one hexadecimal digest");
		return;
	}
	values = load_walk(l);
	while (load_next(l, &values))
		load_value(l, bank, (unsigned int)pcr);
}

static void load_bank(struct loader *l, struct bytes name)
{
	enum hash_alg bank = HASH_COUNT;
	struct load_walk pcrs;

	if (!hash_from_name(name, &bank)) {
		load_say(l, true, "not a PCR bank: sha1, sha256, sha384 or sha512");
		return;
	}
	if (!load_is(l, JP_OBJECT, "an object"))
		return;
	pcrs = load_walk(l);
	while (load_next(l, &pcrs))
		load_pcr(l, bank, pcrs.name);
}

void load_boot_pcrs(struct loader *l)
{
	struct load_walk banks;

	if (!load_is(l, JP_OBJECT, "an object"))
		return;
	banks = load_walk(l);
	while (load_next(l, &banks))
		load_bank(l, banks.name);
}
