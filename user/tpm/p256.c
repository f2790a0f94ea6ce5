// SPDX-License-Identifier: Apache-2.0
/* An EVP_PKEY of P-256 holds a group of its own, some 2.5 KiB with it, and each check with it looks up an algorithm by name. A
 * verifier has one for each host: here all share one group, and the arithmetic is OpenSSL's own, the same as behind EVP. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tpm/p256.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>

#include "tpm/tpm_bytes.h"

DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(ECDSA_SIG, ECDSA_SIG_free)

bool p256_point(EVP_PKEY *key, uint8_t out[P256_POINT_SIZE])
{
	uint8_t point[2 * P256_POINT_SIZE];
	char group[32];
	size_t n = 0;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || EVP_PKEY_get_group_name(key, group, sizeof(group), &n) != 1 ||
	    strcmp(group, SN_X9_62_prime256v1) != 0)
		return false;
	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) != 1 ||
	    n != P256_POINT_SIZE || point[0] != POINT_CONVERSION_UNCOMPRESSED)
		return false;
	bytes_copy(out, point, P256_POINT_SIZE);
	return true;
}

/* One for each thread that checks, until the process ends. */
struct checker {
	EC_KEY *key;
	EC_POINT *point;
	BN_CTX *scratch;
};

static void checker_clear(struct checker *c)
{
	EC_KEY_free(c->key);
	EC_POINT_free(c->point);
	BN_CTX_free(c->scratch);
	*c = (struct checker){ 0 };
}

static struct checker *checker(void)
{
	static _Thread_local struct checker c;

	if (c.key)
		return &c;
	c.key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	c.point = c.key ? EC_POINT_new(EC_KEY_get0_group(c.key)) : NULL;
	c.scratch = BN_CTX_new();
	if (!c.point || !c.scratch) {
		checker_clear(&c);
		return NULL;
	}
	return &c;
}

int p256_verify(const uint8_t point[P256_POINT_SIZE], struct bytes r, struct bytes s, struct bytes digest)
{
	struct checker *c = checker();
	cleanup_(ECDSA_SIG_freep) ECDSA_SIG *sig = ECDSA_SIG_new();
	cleanup_(BIGNUM_freep) BIGNUM *first = BN_bin2bn(r.p, (int)r.n, NULL);
	cleanup_(BIGNUM_freep) BIGNUM *second = BN_bin2bn(s.p, (int)s.n, NULL);

	if (!c || !sig || !first || !second || !ECDSA_SIG_set0(sig, first, second))
		return -ENOMEM;
	first = second = NULL; /* now owned by `sig` */
	/* that it lies on the curve is checked here */
	if (EC_POINT_oct2point(EC_KEY_get0_group(c->key), c->point, point, P256_POINT_SIZE, c->scratch) != 1)
		return 0;
	if (EC_KEY_set_public_key(c->key, c->point) != 1)
		return -ENOMEM;
	/* 1 is the only yes: 0 and every negative value refuse */
	return ECDSA_do_verify(digest.p, (int)digest.n, sig, c->key) == 1;
}
