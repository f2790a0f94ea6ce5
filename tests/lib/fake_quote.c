// SPDX-License-Identifier: Apache-2.0
#include "lib/fake_quote.h"

#define SCHEME_ECDSA 0x0018

void fake_tpm_init(struct fake_tpm *t, enum hash_alg bank)
{
	struct made_public shape = MADE_AK(SCHEME_ECDSA);

	*t = (struct fake_tpm){ .key = make_key(MADE_P256), .ak_public = WRITER(LIMIT_PUBLIC), .bank = bank,
				.clock_ms = 1000, .resets = 5, .restarts = 1 };
	make_public(&t->ak_public, t->key, &shape);
	for (unsigned int i = 0; i < 10; i++) /* firmware has been here */
		memset(t->pcr[i], (int)(0x20 + i), hash_size(bank));
}

void fake_tpm_clear(struct fake_tpm *t)
{
	EVP_PKEY_free(t->key);
	writer_free(&t->ak_public);
}

void fake_tpm_reset(struct fake_tpm *t)
{
	memset(t->pcr[10], 0, (TPM_PCR_COUNT - 10) * HASH_MAX_SIZE);
	t->resets++;
	t->restarts = 0;
}

void fake_tpm_extend(struct fake_tpm *t, unsigned int pcr, const uint8_t *digest)
{
	hash_extend(t->bank, t->pcr[pcr], digest);
}

struct made_attest fake_tpm_attest(struct fake_tpm *t, uint32_t mask, struct bytes nonce, uint8_t digest[HASH_MAX_SIZE])
{
	struct made_attest a = MADE_ATTEST;
	struct hash h;

	hash_begin(&h, HASH_SHA256);
	for (unsigned int i = 0; i < TPM_PCR_COUNT; i++)
		if (mask & (1u << i))
			hash_add(&h, t->pcr[i], hash_size(t->bank));
	hash_end(&h, digest);
	a.nonce = nonce;
	a.digest = (struct bytes){ digest, hash_size(HASH_SHA256) };
	a.clock_ms = ++t->clock_ms;
	a.resets = t->resets;
	a.restarts = t->restarts;
	a.selection[0].alg = hash_tpm_alg(t->bank);
	for (unsigned int i = 0; i < 3; i++)
		a.selection[0].select[i] = (uint8_t)(mask >> (8 * i));
	return a;
}

void fake_tpm_sign(struct fake_tpm *t, EVP_PKEY *key, const struct made_attest *a, struct writer *attest,
		   struct writer *signature)
{
	writer_reset(attest);
	writer_reset(signature);
	make_attest(attest, a);
	make_signature(signature, key ? key : t->key, SIG_ECDSA, HASH_SHA256, writer_view(attest));
}
