// SPDX-License-Identifier: Apache-2.0
/* Each check through EVP makes a context, and looks up an algorithm and a digest by name: 6 us beside the 17 of the arithmetic. Here
 * OpenSSL's functions below EVP are called, which are the ones that EVP's provider calls. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tpm/rsa.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <stdatomic.h>

#include "tpm/tpm_bytes.h"

DEFINE_CLEANUP(BIGNUM, BN_free)

void rsa_free(RSA **rsa)
{
	RSA_free(*rsa);
	*rsa = NULL;
}

RSA *rsa_from_key(EVP_PKEY *key)
{
	cleanup_(BIGNUM_freep) BIGNUM *n = NULL, *e = NULL;
	cleanup_(rsa_free) RSA *rsa = NULL;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return NULL;
	rsa = RSA_new();
	if (!rsa || RSA_set0_key(rsa, n, e, NULL) != 1)
		return NULL;
	n = e = NULL; /* now owned by `rsa` */
	return TAKE_PTR(rsa);
}

size_t rsa_bytes(const RSA *rsa)
{
	return (size_t)RSA_size(rsa);
}

static const char *const names[HASH_COUNT] = { [HASH_SHA256] = "SHA256", [HASH_SHA384] = "SHA384", [HASH_SHA512] = "SHA512" };
static const int nids[HASH_COUNT] = { [HASH_SHA256] = NID_sha256, [HASH_SHA384] = NID_sha384, [HASH_SHA512] = NID_sha512 };

/* EVP_sha256() and its like are looked up anew whenever they are used; this is done once, for all threads. */
static const EVP_MD *fetched(enum hash_alg h)
{
	static _Atomic(EVP_MD *) found[HASH_COUNT];
	EVP_MD *md = atomic_load_explicit(&found[h], memory_order_acquire), *other = NULL;

	if (md || !names[h])
		return md;
	md = EVP_MD_fetch(NULL, names[h], NULL);
	if (!md || atomic_compare_exchange_strong(&found[h], &other, md))
		return md;
	EVP_MD_free(md); /* another thread was faster */
	return other;
}

/* TPMs before FIPS 186-5 salt with all the room there is, later ones with the hash's length: take both. */
static int verify_pss(RSA *rsa, const struct tpm_signature *sig, const uint8_t *digest)
{
	const EVP_MD *md = fetched(sig->hash);
	uint8_t block[LIMIT_RSA_BITS / 8];

	if (!md)
		return -ENOMEM;
	if (rsa_bytes(rsa) > sizeof(block) ||
	    RSA_public_decrypt((int)sig->rsa.n, sig->rsa.p, block, rsa, RSA_NO_PADDING) != (int)rsa_bytes(rsa))
		return 0;
	return RSA_verify_PKCS1_PSS_mgf1(rsa, digest, md, md, block, RSA_PSS_SALTLEN_AUTO) == 1;
}

int rsa_verify(RSA *rsa, const struct tpm_signature *sig, const uint8_t *digest)
{
	/* 1 is the only yes: 0 and every negative value refuse */
	if (sig->scheme == SIG_RSAPSS)
		return verify_pss(rsa, sig, digest);
	return RSA_verify(nids[sig->hash], digest, (unsigned int)hash_size(sig->hash), sig->rsa.p, (unsigned int)sig->rsa.n, rsa) == 1;
}
