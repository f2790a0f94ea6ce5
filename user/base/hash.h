/* SPDX-License-Identifier: Apache-2.0 */
/* The hash algorithms of PCR banks, and the one place that calls the low-level SHA functions (1.5 times the speed of
 * EVP on entries of this size, docs/adr/0003). No allocation, cannot fail. */
#pragma once

#include <openssl/sha.h>

#include "base/buf.h"

/* The four banks that are replayed. TPM_ALG_ID values: TCG Algorithm Registry table 3. */
enum hash_alg { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_COUNT };
#define HASH_MAX_SIZE 64

const char *hash_name(enum hash_alg a);	     /* kernel and tpm2-tools spelling: "sha256" */
size_t hash_size(enum hash_alg a);
uint16_t hash_tpm_alg(enum hash_alg a);	     /* 0x0004, 0x000b, 0x000c, 0x000d */
/* true and *out, or false and *out untouched. */
must_use_ bool hash_from_name(struct bytes name, enum hash_alg *out);
must_use_ bool hash_from_tpm_alg(uint16_t id, enum hash_alg *out);

struct hash {
	enum hash_alg alg;
	union {
		SHA_CTX sha1;
		SHA256_CTX sha256;
		SHA512_CTX sha512;
	} ctx;
};

void hash_begin(struct hash *h, enum hash_alg a);
void hash_add(struct hash *h, const void *p, size_t n);
/* Adds the length as 32-bit big-endian, then the bytes: unambiguous concatenation for commitments. */
void hash_add_field(struct hash *h, const void *p, size_t n);
/* Writes hash_size() bytes. */
void hash_end(struct hash *h, uint8_t *out);
void hash_one(enum hash_alg a, const void *p, size_t n, uint8_t *out);
/* pcr = H(pcr || digest): TPM 2.0 Library part 1, "PCR Extend". digest has hash_size() bytes. */
void hash_extend(enum hash_alg a, uint8_t *pcr, const uint8_t *digest);
