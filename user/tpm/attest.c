// SPDX-License-Identifier: Apache-2.0
/* TPMS_ATTEST and the PCR composite. */
#include "tpm/attest.h"

#include <openssl/crypto.h>

#include "tpm/tpm_bytes.h"

static const enum reason reasons[] = {
	[QUOTE_OK] = REASON_NONE,
	[QUOTE_MALFORMED] = REASON_QUOTE_MALFORMED,
	[QUOTE_BAD_MAGIC] = REASON_QUOTE_MAGIC,
	[QUOTE_BAD_TYPE] = REASON_QUOTE_TYPE,
	[QUOTE_BAD_SIGNATURE] = REASON_QUOTE_SIGNATURE,
	[QUOTE_WRONG_KEY_TYPE] = REASON_QUOTE_SIGNATURE,
	[QUOTE_UNSUPPORTED] = REASON_QUOTE_UNSUPPORTED,
	[QUOTE_WRONG_NONCE] = REASON_QUOTE_NONCE,
	[QUOTE_WRONG_SELECTION] = REASON_QUOTE_SELECTION,
	[QUOTE_WRONG_PCR_DIGEST] = REASON_QUOTE_PCR_DIGEST,
};

enum reason quote_outcome_reason(enum quote_outcome o)
{
	/* what is no outcome (a negative errno that somebody forgot to handle) must not read as fine */
	return (size_t)o < ARRAY_SIZE(reasons) ? reasons[o] : REASON_QUOTE_MALFORMED;
}

/* TPMS_PCR_SELECTION, part 2 section 10.6.2: hash, sizeofSelect, that many bytes with the lowest PCR in bit 0 of the first.
 * Four bytes are allowed by the structure; PCR 24 and above do not exist for us. */
static void read_selection(struct reader *r, struct pcr_selection *out)
{
	size_t n;
	uint32_t mask = 0;

	out->alg = read_u16be(r);
	n = read_u8(r);
	if (n > 4)
		r->bad = true;
	for (size_t i = 0; i < n && reader_ok(r); i++)
		mask |= (uint32_t)read_u8(r) << (8 * i);
	if (mask >> TPM_PCR_COUNT)
		r->bad = true;
	out->mask = mask;
}

enum quote_outcome attest_parse(struct bytes msg, struct attest *out)
{
	struct reader r = reader_of(msg);
	struct attest a = { 0 };
	uint32_t magic, count;
	uint16_t type;
	uint8_t safe;

	if (msg.n > LIMIT_ATTEST)
		return QUOTE_MALFORMED;
	magic = read_u32be(&r);
	type = read_u16be(&r);
	if (!reader_ok(&r))
		return QUOTE_MALFORMED;
	if (magic != GENERATED_MAGIC)
		return QUOTE_BAD_MAGIC;
	if (type != ST_ATTEST_QUOTE)
		return QUOTE_BAD_TYPE;

	a.qualified_signer = read_tpm2b(&r, LIMIT_TPM_NAME);
	a.extra_data = read_tpm2b(&r, LIMIT_TPM_DATA);
	a.clock_ms = read_u64be(&r);
	a.reset_count = read_u32be(&r);
	a.restart_count = read_u32be(&r);
	safe = read_u8(&r);
	a.safe = safe == 1;
	a.firmware = read_u64be(&r);
	count = read_u32be(&r);
	if (safe > 1 || count > LIMIT_PCR_SELECTIONS)
		return QUOTE_MALFORMED;
	for (a.n_selections = 0; a.n_selections < count && reader_ok(&r); a.n_selections++)
		read_selection(&r, &a.selection[a.n_selections]);
	a.pcr_digest = read_tpm2b(&r, HASH_MAX_SIZE);
	if (!reader_done(&r))
		return QUOTE_MALFORMED;
	*out = a;
	return QUOTE_OK;
}

enum quote_outcome attest_check_nonce(const struct attest *a, struct bytes nonce)
{
	if (a->extra_data.n != nonce.n)
		return QUOTE_WRONG_NONCE;
	if (nonce.n && CRYPTO_memcmp(a->extra_data.p, nonce.p, nonce.n) != 0)
		return QUOTE_WRONG_NONCE;
	return QUOTE_OK;
}

uint32_t attest_selected(const struct attest *a, uint16_t alg)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < a->n_selections; i++)
		if (a->selection[i].alg == alg)
			mask |= a->selection[i].mask;
	return mask;
}

enum quote_outcome quote_composite(const struct attest *a, enum hash_alg h,
				   const uint8_t *(*pcr_value)(void *user, uint16_t alg, unsigned int index), void *user,
				   uint8_t out[HASH_MAX_SIZE])
{
	struct hash composite;

	hash_begin(&composite, h);
	for (size_t i = 0; i < a->n_selections; i++) {
		const struct pcr_selection *s = &a->selection[i];
		enum hash_alg bank;

		if (s->mask == 0)
			continue; /* a bank without PCRs adds nothing, whatever it is */
		if (!hash_from_tpm_alg(s->alg, &bank))
			return QUOTE_UNSUPPORTED;
		for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++) {
			const uint8_t *value;

			if (!(s->mask & 1u << pcr))
				continue;
			value = pcr_value(user, s->alg, pcr);
			if (!value)
				return QUOTE_WRONG_SELECTION;
			hash_add(&composite, value, hash_size(bank));
		}
	}
	hash_end(&composite, out);
	return QUOTE_OK;
}

enum quote_outcome quote_check_composite(const struct attest *a, enum hash_alg h,
					 const uint8_t *(*pcr_value)(void *user, uint16_t alg, unsigned int index),
					 void *user)
{
	uint8_t digest[HASH_MAX_SIZE];
	enum quote_outcome o = quote_composite(a, h, pcr_value, user, digest);

	if (o != QUOTE_OK)
		return o;
	if (a->pcr_digest.n != hash_size(h) || CRYPTO_memcmp(a->pcr_digest.p, digest, hash_size(h)) != 0)
		return QUOTE_WRONG_PCR_DIGEST;
	return QUOTE_OK;
}
