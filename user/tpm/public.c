// SPDX-License-Identifier: Apache-2.0
/* Public keys: from PEM, from TPMT_PUBLIC, and their TPM Name. */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "tpm/attest.h"
#include "tpm/p256.h"
#include "tpm/public_area.h"
#include "tpm/rsa.h"

#define RSA_MIN_BITS 2048u

DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM, OSSL_PARAM_free)

static const struct curve {
	uint16_t id;
	const char *openssl; /* group name */
	const char *name;
	size_t bytes;
	bool for_ak;
} curves[] = {
	{ CURVE_P256, "prime256v1", "ecc-p256", 32, true },
	{ CURVE_P384, "secp384r1", "ecc-p384", 48, true },
	{ CURVE_P521, "secp521r1", "ecc-p521", 66, false },
};

void ak_clear(struct ak *ak)
{
	EVP_PKEY_free(ak->key);
	rsa_free(&ak->rsa);
	*ak = (struct ak){ 0 };
}

void ak_shrink(struct ak *ak)
{
	if (!ak->key)
		return;
	if (!p256_point(ak->key, ak->point)) {
		ak->rsa = rsa_from_key(ak->key);
		if (!ak->rsa)
			return;
	}
	EVP_PKEY_free(ak->key);
	ak->key = NULL;
}

enum quote_outcome tpm_public_name(struct bytes tpmt_public, uint8_t out[34])
{
	struct public_area p;
	enum quote_outcome o = tpm_public_parse(tpmt_public, &p);
	enum hash_alg h;

	if (o != QUOTE_OK)
		return o;
	if (!hash_from_tpm_alg(p.name_alg, &h) || h != HASH_SHA256)
		return QUOTE_UNSUPPORTED;
	out[0] = (uint8_t)(p.name_alg >> 8);
	out[1] = (uint8_t)p.name_alg;
	hash_one(HASH_SHA256, tpmt_public.p, tpmt_public.n, out + 2);
	return QUOTE_OK;
}

void tpm_attester_id(struct bytes ek_public, const uint8_t ak_name[34], uint8_t out[32])
{
	if (ek_public.n)
		hash_one(HASH_SHA256, ek_public.p, ek_public.n, out);
	else
		bytes_copy(out, ak_name + 2, 32); /* behind the algorithm: SHA-256 of the public area */
}

/* EVP_PKEY_fromdata() refuses points that are not on the curve and numbers that are no key: that is the structure's
 * fault. What is left (no memory) cannot be told from it by its return value, so the error queue is asked. */
static int make_key(const char *type, OSSL_PARAM_BLD *bld, EVP_PKEY **out)
{
	cleanup_(OSSL_PARAM_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0)
		return -ENOMEM;
	if (EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE ? -ENOMEM : QUOTE_MALFORMED;
	*out = TAKE_PTR(key);
	return QUOTE_OK;
}

static int rsa_key(const struct public_area *p, EVP_PKEY **out)
{
	cleanup_(BIGNUM_freep) BIGNUM *n = NULL, *e = NULL;
	cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *bld = NULL;

	if (p->rsa_bits < RSA_MIN_BITS || p->rsa_bits > LIMIT_RSA_BITS || p->rsa_bits % 8)
		return QUOTE_UNSUPPORTED;
	if (p->modulus.n != p->rsa_bits / 8u)
		return QUOTE_MALFORMED;
	n = BN_bin2bn(p->modulus.p, (int)p->modulus.n, NULL);
	e = BN_new();
	bld = OSSL_PARAM_BLD_new();
	if (!n || !e || !bld || !BN_set_word(e, p->rsa_exponent ? p->rsa_exponent : 65537))
		return -ENOMEM;
	if (BN_num_bits(n) != (int)p->rsa_bits || !BN_is_odd(n))
		return QUOTE_MALFORMED;
	if (!OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) || !OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e))
		return -ENOMEM;
	return make_key("RSA", bld, out);
}

static const struct curve *curve_by_id(uint16_t id)
{
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
		if (curves[i].id == id)
			return &curves[i];
	return NULL;
}

const char *tpm_curve(uint16_t id, size_t *bytes)
{
	const struct curve *c = curve_by_id(id);

	if (!c)
		return NULL;
	*bytes = c->bytes;
	return c->openssl;
}

static int ecc_key(const struct public_area *p, EVP_PKEY **out)
{
	cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *bld = NULL;
	uint8_t point[1 + 2 * ECC_MAX_BYTES] = { POINT_CONVERSION_UNCOMPRESSED };
	const struct curve *c = curve_by_id(p->curve_id);

	if (!c)
		return QUOTE_UNSUPPORTED;
	if (p->x.n == 0 || p->y.n == 0 || p->x.n > c->bytes || p->y.n > c->bytes)
		return QUOTE_MALFORMED;
	/* a TPM may leave out leading zeros */
	bytes_copy(point + 1 + c->bytes - p->x.n, p->x.p, p->x.n);
	bytes_copy(point + 1 + 2 * c->bytes - p->y.n, p->y.p, p->y.n);
	bld = OSSL_PARAM_BLD_new();
	if (!bld || !OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, c->openssl, 0) ||
	    !OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * c->bytes))
		return -ENOMEM;
	return make_key("EC", bld, out);
}

static const struct curve *key_curve(const EVP_PKEY *key)
{
	char group[64];

	if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) <= 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
		if (strcmp(group, curves[i].openssl) == 0)
			return &curves[i];
	return NULL;
}

/* The rules for keys that sign quotes, whatever they came in. A public exponent below 65537 or an even one makes
 * signatures that anybody can write. */
static int key_fit_for_ak(const EVP_PKEY *key)
{
	cleanup_(BIGNUM_freep) BIGNUM *e = NULL;
	const struct curve *c;
	int bits;

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		bits = EVP_PKEY_get_bits(key);
		if (bits < (int)RSA_MIN_BITS || bits > (int)LIMIT_RSA_BITS)
			return QUOTE_UNSUPPORTED;
		if (!EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e))
			return -ENOMEM;
		if (!BN_is_odd(e) || BN_num_bits(e) < 17 || BN_num_bits(e) > 64)
			return QUOTE_UNSUPPORTED;
		return QUOTE_OK;
	case EVP_PKEY_EC:
		c = key_curve(key);
		return c && c->for_ak ? QUOTE_OK : QUOTE_UNSUPPORTED;
	default:
		return QUOTE_UNSUPPORTED;
	}
}

int tpm_public_evp(const struct public_area *p, EVP_PKEY **out)
{
	int r;

	ERR_set_mark();
	r = p->type == ALG_RSA ? rsa_key(p, out) : ecc_key(p, out);
	ERR_pop_to_mark();
	return r;
}

static int key_from_area(struct bytes tpmt_public, const struct public_area *p, struct ak *out)
{
	cleanup_ak_ struct ak ak = { 0 };
	enum quote_outcome o;
	int r;

	r = tpm_public_evp(p, &ak.key);
	if (r != QUOTE_OK)
		return r;
	o = tpm_public_name(tpmt_public, ak.name);
	if (o != QUOTE_OK)
		return (int)o;
	ak.has_name = true;
	*out = ak;
	ak.key = NULL;
	return QUOTE_OK;
}

int tpm_public_key(struct bytes tpmt_public, struct ak *out)
{
	struct public_area p;
	enum quote_outcome o = tpm_public_parse(tpmt_public, &p);

	return o == QUOTE_OK ? key_from_area(tpmt_public, &p, out) : (int)o;
}

static bool area_is_ak(const struct public_area *p)
{
	const uint32_t need = ATTR_FIXED_TPM | ATTR_FIXED_PARENT | ATTR_SENSITIVE_DATA_ORIGIN | ATTR_RESTRICTED | ATTR_SIGN;
	bool scheme = p->type == ALG_RSA ? p->scheme == ALG_RSASSA || p->scheme == ALG_RSAPSS : p->scheme == ALG_ECDSA;
	enum hash_alg h;

	return (p->attributes & need) == need && !(p->attributes & ATTR_DECRYPT) && !p->has_symmetric && scheme &&
	       hash_from_tpm_alg(p->scheme_hash, &h) && h != HASH_SHA1;
}

int ak_from_public(struct bytes tpmt_public, struct ak *out)
{
	cleanup_ak_ struct ak ak = { 0 };
	struct public_area p;
	enum quote_outcome o = tpm_public_parse(tpmt_public, &p);
	int r;

	if (o != QUOTE_OK)
		return (int)o;
	if (!area_is_ak(&p))
		return QUOTE_UNSUPPORTED;
	r = key_from_area(tpmt_public, &p, &ak);
	if (r == QUOTE_OK)
		r = key_fit_for_ak(ak.key);
	if (r != QUOTE_OK)
		return r;
	*out = ak;
	ak.key = NULL;
	return QUOTE_OK;
}

/* A PEM file that wants a pass phrase is not a public key: never ask on the terminal. */
static int no_password(char *buf, int size, int writing, void *user)
{
	(void)buf, (void)size, (void)writing, (void)user;
	return -1;
}

static int key_from_pem(struct bytes pem, EVP_PKEY **out)
{
	cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	int r;

	if (!bio)
		return -ENOMEM;
	key = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
	if (!key)
		return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE ? -ENOMEM : QUOTE_MALFORMED;
	r = key_fit_for_ak(key);
	if (r != QUOTE_OK)
		return r;
	*out = TAKE_PTR(key);
	return QUOTE_OK;
}

int ak_from_pem(struct bytes pem, struct ak *out)
{
	EVP_PKEY *key = NULL;
	int r;

	if (pem.n == 0 || pem.n > LIMIT_PEM)
		return QUOTE_MALFORMED;
	ERR_set_mark();
	r = key_from_pem(pem, &key);
	ERR_pop_to_mark();
	if (r != QUOTE_OK)
		return r;
	*out = (struct ak){ .key = key };
	return QUOTE_OK;
}

const char *ak_describe(const struct ak *ak, char *buf, size_t n)
{
	const struct curve *c = key_curve(ak->key);

	if (c)
		snprintf(buf, n, "%s", c->name);
	else
		snprintf(buf, n, "rsa-%d", EVP_PKEY_get_bits(ak->key));
	return buf;
}

int ak_fingerprint(const struct ak *ak, uint8_t out[32])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(ak->key, &der);

	if (n <= 0)
		return -ENOMEM;
	hash_one(HASH_SHA256, der, (size_t)n, out);
	OPENSSL_free(der);
	return 0;
}
