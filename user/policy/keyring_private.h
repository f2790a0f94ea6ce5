/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a keyring, for user/policy/ only. */
#pragma once

#include "policy/keyring.h"

struct keyring_entry {
	uint32_t id;
	EVP_PKEY *key;
	uint8_t fingerprint[32]; /* SHA-256 over the DER SubjectPublicKeyInfo */
};

struct keyring {
	struct keyring_entry *entries;
	size_t n; /* entries; a certificate's key can have two ids */
	size_t keys;
};

/* keyring_add(), with the key id given (and the computed one too) when id is not NULL. */
must_use_ int keyring_add_as(struct keyring *k, struct bytes file, const uint32_t *id, const char **why);
/* The i-th key of that id, NULL past the last one. */
const struct keyring_entry *keyring_find(const struct keyring *k, uint32_t id, size_t i);
/* True when the bytes are one DER public key or certificate and nothing else: what the kernel measures when a key is put
 * on a keyring. */
bool keyring_is_key(struct bytes b);
/* Is `value` any key's signature over a digest of that algorithm? IMASIG_OK, _KEY_UNKNOWN (no key verifies it), _MALFORMED (an
 * algorithm that is not accepted). imasig.c */
must_use_ enum imasig_outcome keyring_verify_any(const struct keyring *k, struct sigcache *cache, uint8_t alg, struct bytes digest,
						 struct bytes value);
