// SPDX-License-Identifier: Apache-2.0
/* TPMT_SIGNATURE and the check of a quote's signature. */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "tpm/attest.h"
#include "tpm/p256.h"
#include "tpm/rsa.h"
#include "tpm/tpm_bytes.h"

DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(ECDSA_SIG, ECDSA_SIG_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

static const struct {
	const char *name;
	uint16_t alg;
} schemes[] = {
	[SIG_RSASSA] = { "rsassa", ALG_RSASSA },
	[SIG_RSAPSS] = { "rsapss", ALG_RSAPSS },
	[SIG_ECDSA] = { "ecdsa", ALG_ECDSA },
};

const char *sig_scheme_name(enum sig_scheme s)
{
	return schemes[s].name;
}

enum quote_outcome tpm_signature_parse(struct bytes tpmt_signature, struct tpm_signature *out)
{
	struct reader r = reader_of(tpmt_signature);
	struct tpm_signature sig = { 0 };
	uint16_t alg, hash;
	bool known = false;

	if (tpmt_signature.n > LIMIT_SIGNATURE)
		return QUOTE_MALFORMED;
	alg = read_u16be(&r);
	hash = read_u16be(&r);
	if (!reader_ok(&r))
		return QUOTE_MALFORMED;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (schemes[i].alg == alg) {
			sig.scheme = (enum sig_scheme)i;
			known = true;
		}
	}
	if (!known)
		return QUOTE_UNSUPPORTED;
	if (sig.scheme == SIG_ECDSA) {
		sig.r = read_tpm2b(&r, ECC_MAX_BYTES);
		sig.s = read_tpm2b(&r, ECC_MAX_BYTES);
		known = sig.r.n > 0 && sig.s.n > 0;
	} else {
		sig.rsa = read_tpm2b(&r, LIMIT_RSA_BITS / 8);
		known = sig.rsa.n > 0;
	}
	if (!reader_done(&r) || !known)
		return QUOTE_MALFORMED;
	if (!hash_from_tpm_alg(hash, &sig.hash) || sig.hash == HASH_SHA1)
		return QUOTE_UNSUPPORTED;
	*out = sig;
	return QUOTE_OK;
}

enum quote_outcome signature_hash(struct bytes tpmt_signature, enum hash_alg *out)
{
	struct tpm_signature sig;
	enum quote_outcome o = tpm_signature_parse(tpmt_signature, &sig);

	if (o == QUOTE_OK)
		*out = sig.hash;
	return o;
}

/* Ecdsa-Sig-Value (RFC 3279 section 2.2.3) from the TPM's two numbers. QUOTE_OK or -ENOMEM; *der is freed with
 * OPENSSL_free(). */
static int ecdsa_der(const struct tpm_signature *sig, unsigned char **der, size_t *n)
{
	cleanup_(ECDSA_SIG_freep) ECDSA_SIG *both = ECDSA_SIG_new();
	cleanup_(BIGNUM_freep) BIGNUM *r = BN_bin2bn(sig->r.p, (int)sig->r.n, NULL);
	cleanup_(BIGNUM_freep) BIGNUM *s = BN_bin2bn(sig->s.p, (int)sig->s.n, NULL);
	int len;

	if (!both || !r || !s || !ECDSA_SIG_set0(both, r, s))
		return -ENOMEM;
	r = s = NULL; /* now owned by `both` */
	len = i2d_ECDSA_SIG(both, der);
	if (len <= 0)
		return -ENOMEM;
	*n = (size_t)len;
	return QUOTE_OK;
}

static const EVP_MD *evp_of(enum hash_alg h)
{
	switch (h) {
	case HASH_SHA256:
		return EVP_sha256();
	case HASH_SHA384:
		return EVP_sha384();
	case HASH_SHA512:
		return EVP_sha512();
	case HASH_SHA1:
	case HASH_COUNT:
		break;
	}
	return NULL;
}

static int verify(const struct tpm_signature *sig, const uint8_t *digest, const struct ak *ak)
{
	cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = NULL;
	unsigned char *der = NULL;
	struct bytes blob = sig->rsa;
	int padding = sig->scheme == SIG_RSAPSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
	int r;

	if (!ak->key) {
		r = ak->rsa ? rsa_verify(ak->rsa, sig, digest) :
			      p256_verify(ak->point, sig->r, sig->s, (struct bytes){ digest, hash_size(sig->hash) });
		return r < 0 ? r : r == 1 ? QUOTE_OK : QUOTE_BAD_SIGNATURE;
	}
	ctx = EVP_PKEY_CTX_new(ak->key, NULL);
	if (!ctx || EVP_PKEY_verify_init(ctx) <= 0 || EVP_PKEY_CTX_set_signature_md(ctx, evp_of(sig->hash)) <= 0)
		return -ENOMEM;
	if (sig->scheme == SIG_ECDSA) {
		r = ecdsa_der(sig, &der, &blob.n);
		if (r != QUOTE_OK)
			return r;
		blob.p = der;
	} else if (EVP_PKEY_CTX_set_rsa_padding(ctx, padding) <= 0) {
		return -ENOMEM;
	}
	/* TPMs before FIPS 186-5 salt with all the room there is, later ones with the hash's length: take both */
	if (sig->scheme == SIG_RSAPSS && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) <= 0)
		return -ENOMEM;
	/* 1 is the only yes: 0 and every negative value refuse */
	r = EVP_PKEY_verify(ctx, blob.p, blob.n, digest, hash_size(sig->hash)) == 1 ? QUOTE_OK : QUOTE_BAD_SIGNATURE;
	OPENSSL_free(der);
	return r;
}

int quote_check_signature(struct bytes msg, struct bytes tpmt_signature, const struct ak *ak)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct tpm_signature sig;
	enum quote_outcome o;
	size_t key_bytes;
	int type = ak->key ? EVP_PKEY_get_base_id(ak->key) : ak->rsa ? EVP_PKEY_RSA : EVP_PKEY_EC;
	int r;

	if (msg.n > LIMIT_ATTEST)
		return QUOTE_MALFORMED;
	o = tpm_signature_parse(tpmt_signature, &sig);
	if (o != QUOTE_OK)
		return (int)o;
	if (type != (sig.scheme == SIG_ECDSA ? EVP_PKEY_EC : EVP_PKEY_RSA))
		return QUOTE_WRONG_KEY_TYPE;
	key_bytes = ak->key ? ((size_t)EVP_PKEY_get_bits(ak->key) + 7) / 8 : ak->rsa ? rsa_bytes(ak->rsa) : P256_BYTES;
	if (sig.scheme == SIG_ECDSA ? sig.r.n > key_bytes || sig.s.n > key_bytes : sig.rsa.n != key_bytes)
		return QUOTE_BAD_SIGNATURE;
	hash_one(sig.hash, msg.p, msg.n, digest);
	ERR_set_mark();
	r = verify(&sig, digest, ak);
	ERR_pop_to_mark();
	return r;
}

/* The whole of `plain` must be one Ecdsa-Sig-Value whose numbers fit the key. */
static int ecdsa_from_der(struct bytes plain, size_t key_bytes, uint8_t r[ECC_MAX_BYTES], uint8_t s[ECC_MAX_BYTES])
{
	const unsigned char *at = plain.p;
	cleanup_(ECDSA_SIG_freep) ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &at, (long)plain.n);

	if (!both || at != plain.p + plain.n)
		return QUOTE_MALFORMED;
	if (BN_is_negative(ECDSA_SIG_get0_r(both)) || BN_is_negative(ECDSA_SIG_get0_s(both)) ||
	    BN_bn2binpad(ECDSA_SIG_get0_r(both), r, (int)key_bytes) < 0 ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(both), s, (int)key_bytes) < 0)
		return QUOTE_MALFORMED;
	return QUOTE_OK;
}

int tpm_signature_from_plain(struct bytes plain, const struct ak *ak, enum sig_scheme rsa_scheme, enum hash_alg hash,
			     struct writer *out)
{
	size_t key_bytes = ((size_t)EVP_PKEY_get_bits(ak->key) + 7) / 8;
	uint8_t r[ECC_MAX_BYTES], s[ECC_MAX_BYTES];
	int o;

	if (plain.n == 0 || plain.n > LIMIT_SIGNATURE)
		return QUOTE_MALFORMED;
	if (EVP_PKEY_get_base_id(ak->key) == EVP_PKEY_EC) {
		ERR_set_mark();
		o = ecdsa_from_der(plain, key_bytes, r, s);
		ERR_pop_to_mark();
		if (o != QUOTE_OK)
			return o;
		write_u16be(out, ALG_ECDSA);
		write_u16be(out, hash_tpm_alg(hash));
		write_tpm2b(out, (struct bytes){ r, key_bytes });
		write_tpm2b(out, (struct bytes){ s, key_bytes });
	} else {
		if (plain.n != key_bytes)
			return QUOTE_MALFORMED;
		write_u16be(out, schemes[rsa_scheme].alg);
		write_u16be(out, hash_tpm_alg(hash));
		write_tpm2b(out, plain);
	}
	return writer_status(out);
}
