// SPDX-License-Identifier: Apache-2.0
#include "tpm/kdf.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#define FIXED_MAX 1024u

const EVP_MD *kdf_md(enum hash_alg a)
{
	switch (a) {
	case HASH_SHA1:
		return EVP_sha1();
	case HASH_SHA384:
		return EVP_sha384();
	case HASH_SHA512:
		return EVP_sha512();
	default:
		return EVP_sha256();
	}
}

int kdf_hmac(enum hash_alg a, struct bytes key, struct bytes first, struct bytes second, uint8_t *out)
{
	cleanup_writer_ struct writer w = WRITER(FIXED_MAX);
	unsigned int n = 0;

	write_bytes(&w, first.p, first.n);
	write_bytes(&w, second.p, second.n);
	if (writer_status(&w) < 0)
		return writer_status(&w);
	return HMAC(kdf_md(a), key.p, (int)key.n, w.p, w.n, out, &n) ? 0 : -ENOMEM;
}

int kdf_a(enum hash_alg a, struct bytes key, const char *label, struct bytes u, struct bytes v, uint8_t *out, size_t n)
{
	cleanup_writer_ struct writer w = WRITER(FIXED_MAX);
	uint8_t full[HASH_MAX_SIZE];
	int r;

	if (n == 0 || n > hash_size(a))
		return -EINVAL;
	write_u32be(&w, 1);
	write_bytes(&w, label, strlen(label) + 1);
	write_bytes(&w, u.p, u.n);
	write_bytes(&w, v.p, v.n);
	write_u32be(&w, (uint32_t)n * 8);
	r = writer_status(&w);
	if (r == 0)
		r = kdf_hmac(a, key, writer_view(&w), (struct bytes){ 0 }, full);
	if (r == 0)
		bytes_copy(out, full, n);
	OPENSSL_cleanse(full, sizeof(full));
	return r;
}

int kdf_e(enum hash_alg a, struct bytes z, const char *label, struct bytes u, struct bytes v, uint8_t *out, size_t n)
{
	static const uint8_t one[4] = { 0, 0, 0, 1 };
	uint8_t full[HASH_MAX_SIZE];
	struct hash h;

	if (n == 0 || n > hash_size(a))
		return -EINVAL;
	hash_begin(&h, a);
	hash_add(&h, one, sizeof(one));
	hash_add(&h, z.p, z.n);
	hash_add(&h, label, strlen(label) + 1);
	hash_add(&h, u.p, u.n);
	hash_add(&h, v.p, v.n);
	hash_end(&h, full);
	bytes_copy(out, full, n);
	OPENSSL_cleanse(full, sizeof(full));
	OPENSSL_cleanse(&h, sizeof(h));
	return 0;
}
