/* SPDX-License-Identifier: Apache-2.0 */
/* Inside user/tpm only: RSA signatures with a key that holds its numbers and what is computed from them once, and nothing else. */
#pragma once

#include <openssl/evp.h>

#include "tpm/attest.h"

/* NULL: it is no RSA key, or there is no memory. RSA_free() is rsa_free() here. */
must_use_ RSA *rsa_from_key(EVP_PKEY *key);
void rsa_free(RSA **rsa);
size_t rsa_bytes(const RSA *rsa);
/* 1: the signature over this digest is that key's; 0: it is not; -ENOMEM. Several threads may use one key. */
must_use_ int rsa_verify(RSA *rsa, const struct tpm_signature *sig, const uint8_t *digest);
