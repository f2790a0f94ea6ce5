/* SPDX-License-Identifier: Apache-2.0 */
/* Makes what a TPM would make, with keys of our own, and also what no TPM would: for tests of the checks. */
#pragma once

#include <openssl/evp.h>

#include "tpm/attest.h"

enum made_key { MADE_RSA_1024, MADE_RSA_2048, MADE_RSA_3072, MADE_P256, MADE_P384, MADE_P521, MADE_ED25519 };
/* A new key; aborts when OpenSSL cannot. The caller frees it. */
EVP_PKEY *make_key(enum made_key kind);
/* SubjectPublicKeyInfo in PEM. */
void make_pem(struct writer *w, EVP_PKEY *key);

/* Every field of a TPMS_ATTEST; MADE_ATTEST is a plain quote of PCR 10 of the sha256 bank. */
struct made_attest {
	uint32_t magic;
	uint16_t type;
	struct bytes signer, nonce, digest;
	uint64_t clock_ms;
	uint32_t resets, restarts;
	uint8_t safe;
	uint64_t firmware;
	uint32_t count; /* as written; the structures that follow are n_selections */
	struct {
		uint16_t alg;
		uint8_t size;
		uint8_t select[8];
	} selection[LIMIT_PCR_SELECTIONS + 1];
	size_t n_selections;
};
#define MADE_ATTEST                                                                                   \
	((struct made_attest){ .magic = 0xff544347, .type = 0x8018, .clock_ms = 123456, .resets = 7,  \
			       .restarts = 2, .safe = 1, .firmware = 0x2019102300163636, .count = 1,  \
			       .selection = { { .alg = 0x000b, .size = 3, .select = { 0, 4, 0 } } },  \
			       .n_selections = 1 })
void make_attest(struct writer *w, const struct made_attest *a);

/* TPMT_SIGNATURE over msg; ECDSA numbers without leading zeros, as some TPMs write them. */
void make_signature(struct writer *w, EVP_PKEY *key, enum sig_scheme scheme, enum hash_alg hash, struct bytes msg);

/* A TPMT_PUBLIC for a key. */
struct made_public {
	uint16_t name_alg;
	uint32_t attributes;
	struct bytes policy;
	uint16_t symmetric;   /* ALG_NULL 0x0010 or AES 0x0006 (then CFB) */
	uint16_t symmetric_bits; /* 0: 128 */
	uint16_t scheme;      /* 0x0014 rsassa, 0x0016 rsapss, 0x0018 ecdsa, 0x0010 none */
	uint16_t scheme_hash;
};
#define MADE_AK_ATTRIBUTES 0x00050472u /* fixedTPM fixedParent sensitiveDataOrigin userWithAuth noDA restricted sign */
#define MADE_EK_ATTRIBUTES 0x000300b2u /* fixedTPM fixedParent sensitiveDataOrigin adminWithPolicy restricted decrypt */
#define MADE_EK                                                                                               \
	((struct made_public){ .name_alg = 0x000b, .attributes = MADE_EK_ATTRIBUTES, .symmetric = 0x0006,     \
			       .scheme = 0x0010 })
#define MADE_AK(scheme_)                                                                                      \
	((struct made_public){ .name_alg = 0x000b, .attributes = MADE_AK_ATTRIBUTES, .symmetric = 0x0010,     \
			       .scheme = (scheme_), .scheme_hash = 0x000b })
void make_public(struct writer *w, EVP_PKEY *key, const struct made_public *p);

/* Writes a PCR file of tpm2-tools, "serialized". value(alg, pcr) gives hash_size bytes. */
void make_pcr_file(struct writer *w, const struct pcr_selection *sel, size_t n,
		   const uint8_t *(*value)(uint16_t alg, unsigned int pcr));
