// SPDX-License-Identifier: Apache-2.0
/* What the keeper does with a question: it signs digests, and nothing else. A raw RSA operation would decrypt as well as sign, so
 * a block is only taken when it has the form that RSA-PSS gives it (RFC 8017, 9.1.2: all checks of EMSA-PSS-VERIFY that
 * need no message; with a salt as long as the digest, TLS 1.3's rule, 8446 4.2.3). */
#include "net/keeper.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

static const EVP_MD *digest_of(uint8_t number)
{
	switch (number) {
	case KEEPER_SHA256:
		return EVP_sha256();
	case KEEPER_SHA384:
		return EVP_sha384();
	case KEEPER_SHA512:
		return EVP_sha512();
	}
	return NULL;
}

/* Adds MGF1(seed) (RFC 8017, B.2.1) to the n bytes at p. */
static bool mask(uint8_t *p, size_t n, struct bytes seed, const EVP_MD *md)
{
	uint8_t input[EVP_MAX_MD_SIZE + 4] = { 0 }, block[EVP_MAX_MD_SIZE];
	size_t size = (size_t)EVP_MD_get_size(md);

	bytes_copy(input, seed.p, seed.n);
	for (size_t i = 0; i < n; i++) {
		if (i % size == 0) {
			size_t counter = i / size;

			input[seed.n + 2] = (uint8_t)(counter >> 8);
			input[seed.n + 3] = (uint8_t)counter;
			if (EVP_Digest(input, seed.n + 4, block, NULL, md, NULL) != 1)
				return false;
		}
		p[i] ^= block[i % size];
	}
	return true;
}

static bool is_pss(EVP_PKEY *key, struct bytes block, const EVP_MD *md)
{
	size_t h = (size_t)EVP_MD_get_size(md), bits = (size_t)EVP_PKEY_get_bits(key) - 1, n = (bits + 7) / 8, pad;
	struct reader r = reader_of(block);
	uint8_t db[KEEPER_DATA_MAX];
	struct bytes hash;

	if (block.n != (size_t)EVP_PKEY_get_size(key) || n > sizeof(db) || n < 2 * h + 2)
		return false;
	if (block.n > n && read_u8(&r) != 0)
		return false;
	pad = n - h - 1;
	read_copy(&r, db, pad);
	hash = read_bytes(&r, h);
	if (read_u8(&r) != 0xbc || !reader_done(&r) || (bits % 8 && db[0] >> bits % 8))
		return false;
	if (!mask(db, pad, hash, md))
		return false;
	if (bits % 8)
		db[0] &= (uint8_t)(0xff >> (8 - bits % 8));
	for (size_t i = 0; i < pad - h - 1; i++)
		if (db[i] != 0)
			return false;
	return db[pad - h - 1] == 1;
}

static int padding_of(uint8_t scheme)
{
	return scheme == KEEPER_RSA_PSS ? RSA_NO_PADDING : RSA_PKCS1_PADDING;
}

static bool may_sign(EVP_PKEY *key, uint8_t scheme, const EVP_MD *md, struct bytes data)
{
	if (!md)
		return false;
	switch (scheme) {
	case KEEPER_RSA_PKCS1:
		return EVP_PKEY_is_a(key, "RSA") && data.n == (size_t)EVP_MD_get_size(md);
	case KEEPER_RSA_PSS:
		return EVP_PKEY_is_a(key, "RSA") && is_pss(key, data, md);
	case KEEPER_ECDSA:
		return EVP_PKEY_is_a(key, "EC") && data.n == (size_t)EVP_MD_get_size(md);
	}
	return false;
}

static bool sign(EVP_PKEY *key, uint8_t scheme, const EVP_MD *md, struct bytes data, uint8_t *out, size_t *n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool rsa = scheme != KEEPER_ECDSA, good;

	good = ctx && EVP_PKEY_sign_init(ctx) == 1 && (!rsa || EVP_PKEY_CTX_set_rsa_padding(ctx, padding_of(scheme)) == 1) &&
	       (scheme == KEEPER_RSA_PSS || EVP_PKEY_CTX_set_signature_md(ctx, md) == 1) &&
	       EVP_PKEY_sign(ctx, out, n, data.p, data.n) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

int keeper_answer(EVP_PKEY *key, struct bytes question, uint8_t answer[KEEPER_MESSAGE_MAX], size_t *n)
{
	struct reader r = reader_of(question);
	size_t size = KEEPER_MESSAGE_MAX - 5;
	uint8_t scheme, number;
	const EVP_MD *md;
	struct bytes data;

	read_copy(&r, answer, 4);
	scheme = read_u8(&r);
	number = read_u8(&r);
	data = read_bytes(&r, reader_left(&r));
	if (!reader_ok(&r) || data.n > KEEPER_DATA_MAX)
		return -EBADMSG;
	md = digest_of(number);
	answer[4] = !may_sign(key, scheme, md, data) || !sign(key, scheme, md, data, answer + 5, &size);
	*n = 5 + (answer[4] ? 0 : size);
	return 0;
}
