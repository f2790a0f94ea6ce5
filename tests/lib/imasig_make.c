// SPDX-License-Identifier: Apache-2.0
#include "lib/imasig_make.h"

#include <openssl/x509.h>
#include <stdio.h>

#include "base/hash.h"
#include "lib/test.h"

void make_key_der(struct writer *w, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	assert_true(n > 0);
	write_bytes(w, der, (size_t)n);
	OPENSSL_free(der);
}

void make_ima_signature(struct writer *w, EVP_PKEY *key, const uint8_t digest[32])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	unsigned char *raw = NULL;
	uint8_t value[1024], id[HASH_MAX_SIZE];
	int n_raw = i2d_PublicKey(key, &raw);
	size_t n = sizeof(value);

	assert_true(n_raw > 0);
	hash_one(HASH_SHA1, raw, (size_t)n_raw, id);
	OPENSSL_free(raw);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, value, &n, digest, 32), 1);
	EVP_PKEY_CTX_free(ctx);
	write_u8(w, 3);
	write_u8(w, 2);
	write_u8(w, 4);
	write_bytes(w, id + 16, 4);
	write_u16be(w, (uint16_t)n);
	write_bytes(w, value, n);
}

void make_ima_data(struct writer *w, struct bytes content, const char *path, struct bytes extra)
{
	uint8_t digest[8 + 32] = "sha256:";

	hash_one(HASH_SHA256, content.p, content.n, digest + 8);
	write_u32le(w, sizeof(digest));
	write_bytes(w, digest, sizeof(digest));
	write_u32le(w, (uint32_t)strlen(path) + 1);
	write_bytes(w, path, strlen(path) + 1);
	if (!extra.p)
		return;
	write_u32le(w, (uint32_t)extra.n);
	write_bytes(w, extra.p, extra.n);
}

void make_hex_digest(struct bytes content, char out[65])
{
	uint8_t digest[32];

	hash_one(HASH_SHA256, content.p, content.n, digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}
