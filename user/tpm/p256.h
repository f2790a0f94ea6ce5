/* SPDX-License-Identifier: Apache-2.0 */
/* Inside user/tpm only: ECDSA on P-256 with a key that is no more than a point. */
#pragma once

#include <openssl/evp.h>

#include "base/buf.h"

#define P256_BYTES 32u
#define P256_POINT_SIZE (1u + 2 * P256_BYTES)

/* false: it is no P-256 key. */
must_use_ bool p256_point(EVP_PKEY *key, uint8_t out[P256_POINT_SIZE]);
/* 1: the signature (r, s) over this digest is that key's; 0: it is not; -ENOMEM. */
must_use_ int p256_verify(const uint8_t point[P256_POINT_SIZE], struct bytes r, struct bytes s, struct bytes digest);
