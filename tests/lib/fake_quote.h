/* SPDX-License-Identifier: Apache-2.0 */
/* A key of OpenSSL's that plays the TPM: PCRs, counters, a clock, quotes signed with ECDSA P-256. For unit tests only:
 * it shows what the verifier accepts and refuses, not what a TPM does. Integration tests use swtpm. */
#pragma once

#include "lib/tpm_make.h"

struct fake_tpm {
	EVP_PKEY *key;
	struct writer ak_public; /* TPMT_PUBLIC */
	enum hash_alg bank;
	uint8_t pcr[TPM_PCR_COUNT][HASH_MAX_SIZE];
	uint64_t clock_ms;
	uint32_t resets, restarts;
};

void fake_tpm_init(struct fake_tpm *t, enum hash_alg bank);
void fake_tpm_clear(struct fake_tpm *t);
/* Power off and on: PCRs are zero, the reset count goes up. */
void fake_tpm_reset(struct fake_tpm *t);
void fake_tpm_extend(struct fake_tpm *t, unsigned int pcr, const uint8_t *digest);
/* A quote's content as this TPM would make it now, to be changed at will; `nonce` and `digest` must outlive it. The
 * clock moves on. */
struct made_attest fake_tpm_attest(struct fake_tpm *t, uint32_t mask, struct bytes nonce,
				   uint8_t digest[HASH_MAX_SIZE]);
/* Bytes and signature of that content. key NULL: the TPM's own. */
void fake_tpm_sign(struct fake_tpm *t, EVP_PKEY *key, const struct made_attest *a, struct writer *attest,
		   struct writer *signature);
