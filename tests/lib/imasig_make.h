/* SPDX-License-Identifier: Apache-2.0 */
/* security.ima signatures and keys as IMA measures them, with keys of our own: for tests. */
#pragma once

#include <openssl/evp.h>

#include "base/buf.h"

/* DER SubjectPublicKeyInfo. */
void make_key_der(struct writer *w, EVP_PKEY *key);
/* A whole security.ima value, type 3 version 2, over a SHA-256 digest. */
void make_ima_signature(struct writer *w, EVP_PKEY *key, const uint8_t digest[32]);
/* Template data: d-ng and n-ng, then (extra.p not NULL) one more field. The digest is SHA-256 of `content`. */
void make_ima_data(struct writer *w, struct bytes content, const char *path, struct bytes extra);
/* SHA-256 in hex, NUL-terminated. */
void make_hex_digest(struct bytes content, char out[65]);
