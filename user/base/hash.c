// SPDX-License-Identifier: Apache-2.0
/* The only file that calls OpenSSL's low-level SHA functions (deprecated in 3.0): docs/adr/0003. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

static const struct {
	const char *name;
	size_t size;
	uint16_t tpm_alg;
} algs[HASH_COUNT] = {
	[HASH_SHA1] = { "sha1", 20, 0x0004 },
	[HASH_SHA256] = { "sha256", 32, 0x000b },
	[HASH_SHA384] = { "sha384", 48, 0x000c },
	[HASH_SHA512] = { "sha512", 64, 0x000d },
};

const char *hash_name(enum hash_alg a)
{
	return algs[a].name;
}

size_t hash_size(enum hash_alg a)
{
	return algs[a].size;
}

uint16_t hash_tpm_alg(enum hash_alg a)
{
	return algs[a].tpm_alg;
}

bool hash_from_name(struct bytes name, enum hash_alg *out)
{
	for (int a = 0; a < HASH_COUNT; a++) {
		if (strlen(algs[a].name) == name.n && bytes_equal(algs[a].name, name.p, name.n)) {
			*out = (enum hash_alg)a;
			return true;
		}
	}
	return false;
}

bool hash_from_tpm_alg(uint16_t id, enum hash_alg *out)
{
	for (int a = 0; a < HASH_COUNT; a++) {
		if (algs[a].tpm_alg == id) {
			*out = (enum hash_alg)a;
			return true;
		}
	}
	return false;
}

void hash_begin(struct hash *h, enum hash_alg a)
{
	h->alg = a;
	switch (a) {
	case HASH_SHA1:
		SHA1_Init(&h->ctx.sha1);
		break;
	case HASH_SHA256:
		SHA256_Init(&h->ctx.sha256);
		break;
	case HASH_SHA384:
		SHA384_Init(&h->ctx.sha512);
		break;
	case HASH_SHA512:
	case HASH_COUNT:
		SHA512_Init(&h->ctx.sha512);
		break;
	}
}

void hash_add(struct hash *h, const void *p, size_t n)
{
	if (n == 0)
		return;
	switch (h->alg) {
	case HASH_SHA1:
		SHA1_Update(&h->ctx.sha1, p, n);
		break;
	case HASH_SHA256:
		SHA256_Update(&h->ctx.sha256, p, n);
		break;
	case HASH_SHA384:
		SHA384_Update(&h->ctx.sha512, p, n);
		break;
	case HASH_SHA512:
	case HASH_COUNT:
		SHA512_Update(&h->ctx.sha512, p, n);
		break;
	}
}

void hash_add_field(struct hash *h, const void *p, size_t n)
{
	uint8_t len[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

	hash_add(h, len, sizeof(len));
	hash_add(h, p, n);
}

void hash_end(struct hash *h, uint8_t *out)
{
	switch (h->alg) {
	case HASH_SHA1:
		SHA1_Final(out, &h->ctx.sha1);
		break;
	case HASH_SHA256:
		SHA256_Final(out, &h->ctx.sha256);
		break;
	case HASH_SHA384:
		SHA384_Final(out, &h->ctx.sha512);
		break;
	case HASH_SHA512:
	case HASH_COUNT:
		SHA512_Final(out, &h->ctx.sha512);
		break;
	}
}

void hash_one(enum hash_alg a, const void *p, size_t n, uint8_t *out)
{
	struct hash h;

	hash_begin(&h, a);
	hash_add(&h, p, n);
	hash_end(&h, out);
}

void hash_extend(enum hash_alg a, uint8_t *pcr, const uint8_t *digest)
{
	struct hash h;

	hash_begin(&h, a);
	hash_add(&h, pcr, algs[a].size);
	hash_add(&h, digest, algs[a].size);
	hash_end(&h, pcr);
}
