// SPDX-License-Identifier: Apache-2.0
/* The keeper as a key of OpenSSL: methods of RSA and EC keys whose private operation is a question to the keeper. The methods
 * are deprecated in OpenSSL 3 in favour of providers, of which one would be several times this file: docs/adr/0012. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "net/keeper.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>

static struct {
	pthread_once_t once;
	RSA_METHOD *rsa;
	EC_KEY_METHOD *ec;
	int rsa_index, ec_index; /* where a key holds its keeper */
} methods = { .once = PTHREAD_ONCE_INIT };

static uint8_t digest_number(int nid)
{
	switch (nid) {
	case NID_sha256:
		return KEEPER_SHA256;
	case NID_sha384:
		return KEEPER_SHA384;
	case NID_sha512:
		return KEEPER_SHA512;
	}
	return 0;
}

static int rsa_sign(int nid, const unsigned char *digest, unsigned int digest_n, unsigned char *out, unsigned int *out_n,
		    const RSA *rsa)
{
	struct keeper *k = RSA_get_ex_data(rsa, methods.rsa_index);
	size_t n = (size_t)RSA_size(rsa);

	if (!k || !digest_number(nid) ||
	    keeper_sign(k, KEEPER_RSA_PKCS1, (enum keeper_digest)digest_number(nid), (struct bytes){ digest, digest_n }, out,
			&n) < 0)
		return 0;
	*out_n = (unsigned int)n;
	return 1;
}

/* PSS comes here as a block that is encoded already; its digest is one of those that give that form. */
static int rsa_private(int block_n, const unsigned char *block, unsigned char *out, RSA *rsa, int padding)
{
	struct keeper *k = RSA_get_ex_data(rsa, methods.rsa_index);

	if (!k || padding != RSA_NO_PADDING || block_n < 0)
		return -1;
	for (int digest = KEEPER_SHA256; digest <= KEEPER_SHA512; digest++) {
		size_t n = (size_t)RSA_size(rsa);

		if (keeper_sign(k, KEEPER_RSA_PSS, (enum keeper_digest)digest, (struct bytes){ block, (size_t)block_n }, out,
				&n) == 0)
			return (int)n;
	}
	return -1;
}

static int rsa_decrypt(int n, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	(void)n, (void)from, (void)to, (void)rsa, (void)padding;
	return -1;
}

static int ec_sign(int type, const unsigned char *digest, int digest_n, unsigned char *out, unsigned int *out_n,
		   const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
	struct keeper *k = EC_KEY_get_ex_data(key, methods.ec_index);
	size_t n = (size_t)ECDSA_size(key);
	int digest_id = digest_n == 32 ? KEEPER_SHA256 : digest_n == 48 ? KEEPER_SHA384 : digest_n == 64 ? KEEPER_SHA512 : 0;

	(void)type, (void)kinv, (void)r;
	if (!k || !digest_id ||
	    keeper_sign(k, KEEPER_ECDSA, (enum keeper_digest)digest_id, (struct bytes){ digest, (size_t)digest_n }, out, &n) < 0)
		return 0;
	*out_n = (unsigned int)n;
	return 1;
}

static void make_methods(void)
{
	methods.rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	methods.ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	methods.rsa = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	methods.ec = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	if (methods.rsa) {
		RSA_meth_set1_name(methods.rsa, "imastream keeper");
		RSA_meth_set_sign(methods.rsa, rsa_sign);
		RSA_meth_set_priv_enc(methods.rsa, rsa_private);
		RSA_meth_set_priv_dec(methods.rsa, rsa_decrypt);
	}
	if (methods.ec)
		EC_KEY_METHOD_set_sign(methods.ec, ec_sign, NULL, NULL);
}

static EVP_PKEY *rsa_key(struct keeper *k, RSA *rsa)
{
	EVP_PKEY *key = EVP_PKEY_new();

	if (rsa && key && methods.rsa && RSA_set_method(rsa, methods.rsa) == 1 &&
	    RSA_set_ex_data(rsa, methods.rsa_index, k) == 1 && EVP_PKEY_set1_RSA(key, rsa) == 1) {
		RSA_free(rsa);
		return key;
	}
	RSA_free(rsa);
	EVP_PKEY_free(key);
	return NULL;
}

static EVP_PKEY *ec_key(struct keeper *k, EC_KEY *ec)
{
	EVP_PKEY *key = EVP_PKEY_new();

	if (ec && key && methods.ec && EC_KEY_set_method(ec, methods.ec) == 1 &&
	    EC_KEY_set_ex_data(ec, methods.ec_index, k) == 1 && EVP_PKEY_set1_EC_KEY(key, ec) == 1) {
		EC_KEY_free(ec);
		return key;
	}
	EC_KEY_free(ec);
	EVP_PKEY_free(key);
	return NULL;
}

int keeper_key(struct keeper *k, EVP_PKEY **out)
{
	struct bytes der = keeper_public(k);
	const uint8_t *p = der.p;
	EVP_PKEY *public_key, *key = NULL;

	pthread_once(&methods.once, make_methods);
	public_key = d2i_PUBKEY(NULL, &p, (long)der.n);
	if (public_key && EVP_PKEY_is_a(public_key, "RSA"))
		key = rsa_key(k, EVP_PKEY_get1_RSA(public_key));
	else if (public_key)
		key = ec_key(k, EVP_PKEY_get1_EC_KEY(public_key));
	EVP_PKEY_free(public_key);
	ERR_clear_error();
	if (!key)
		return -ENOMEM;
	*out = key;
	return 0;
}
