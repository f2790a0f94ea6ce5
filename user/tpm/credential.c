// SPDX-License-Identifier: Apache-2.0
#include "tpm/credential.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "tpm/kdf.h"
#include "tpm/public_area.h"

#define NAME_SIZE 34u
#define EXPONENT 65537u
#define LABEL "IDENTITY"

DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

/* An endorsement key that was checked. */
struct ek {
	struct public_area area;
	enum hash_alg hash; /* of its name */
	EVP_PKEY *key;
};

static void ek_clear(struct ek *ek)
{
	EVP_PKEY_free(ek->key);
	ek->key = NULL;
}

static const char *rsa_fault(const struct public_area *a)
{
	if (a->rsa_bits != 2048 && a->rsa_bits != 3072 && a->rsa_bits != 4096)
		return "an RSA endorsement key of another size than 2048, 3072 or 4096 bits";
	if (a->rsa_exponent != 0 && a->rsa_exponent != EXPONENT)
		return "an RSA endorsement key with another exponent than 65537";
	return NULL;
}

static const char *ecc_fault(const struct public_area *a)
{
	if (a->curve_id != CURVE_P256 && a->curve_id != CURVE_P384)
		return "an endorsement key on another curve than P-256 or P-384";
	return a->kdf != ALG_NULL ? "an endorsement key with a key derivation scheme" : NULL;
}

/* NULL: a key of the right kind. */
static const char *area_fault(const struct public_area *a, enum hash_alg *hash)
{
	const uint32_t need =
		ATTR_FIXED_TPM | ATTR_FIXED_PARENT | ATTR_SENSITIVE_DATA_ORIGIN | ATTR_RESTRICTED | ATTR_DECRYPT;

	if ((a->attributes & need) != need)
		return "not an endorsement key: restricted, decrypt, fixedTPM, fixedParent or sensitiveDataOrigin is missing";
	if (a->attributes & ATTR_SIGN)
		return "not an endorsement key: it may sign";
	if (!hash_from_tpm_alg(a->name_alg, hash) || *hash == HASH_SHA1)
		return "an endorsement key whose name hash is not SHA-256, SHA-384 or SHA-512";
	if (a->symmetric != ALG_AES || (a->symmetric_bits != 128 && a->symmetric_bits != 256) || a->symmetric_mode != ALG_CFB)
		return "an endorsement key whose symmetric algorithm is not AES-128 or AES-256 in CFB mode";
	if (a->scheme != ALG_NULL)
		return "not an endorsement key: it has a scheme";
	return a->type == ALG_RSA ? rsa_fault(a) : ecc_fault(a);
}

static int ek_open(struct bytes ek_public, struct ek *out, const char **why)
{
	enum quote_outcome o = tpm_public_parse(ek_public, &out->area);
	int r;

	*why = o == QUOTE_OK ? area_fault(&out->area, &out->hash) : "not a TPMT_PUBLIC of an RSA or ECC key";
	if (*why)
		return 1;
	r = tpm_public_evp(&out->area, &out->key);
	if (r > 0) {
		*why = "its numbers are no public key";
		return 1;
	}
	return r;
}

int credential_check_ek(struct bytes ek_public, const char **why)
{
	cleanup_(ek_clear) struct ek ek = { 0 };
	const char *text = NULL;
	int r = ek_open(ek_public, &ek, &text);

	if (r > 0)
		*why = text;
	return r;
}

/* The seed, encrypted to the RSA key: OAEP with the name hash (the scheme is null), label with its NUL (annex B.4). */
static int rsa_seed(const struct ek *ek, uint8_t *seed, size_t n, struct writer *out)
{
	cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek->key, NULL);
	uint8_t sealed[LIMIT_RSA_BITS / 8];
	size_t sealed_n = sizeof(sealed);
	char *label = OPENSSL_strdup(LABEL);

	if (!ctx || !label || EVP_PKEY_encrypt_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, kdf_md(ek->hash)) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, kdf_md(ek->hash)) <= 0 ||
	    EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, sizeof(LABEL)) <= 0) {
		OPENSSL_free(label);
		return -ENOMEM;
	}
	/* the label belongs to the context now */
	if (RAND_bytes(seed, (int)n) != 1 || EVP_PKEY_encrypt(ctx, sealed, &sealed_n, seed, n) <= 0)
		return -ENOMEM;
	write_tpm2b(out, (struct bytes){ sealed, sealed_n });
	return writer_status(out);
}

/* A coordinate as the TPM hashes it: as long as the curve's prime (part 1, C.8). */
static struct bytes padded(struct bytes x, size_t size, uint8_t out[ECC_MAX_BYTES])
{
	memset(out, 0, size);
	bytes_copy(out + size - x.n, x.p, x.n);
	return (struct bytes){ out, size };
}

static int shared_secret(EVP_PKEY *ours, EVP_PKEY *theirs, uint8_t z[ECC_MAX_BYTES], size_t *n)
{
	cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ours, NULL);

	*n = ECC_MAX_BYTES;
	if (!ctx || EVP_PKEY_derive_init(ctx) <= 0 || EVP_PKEY_derive_set_peer(ctx, theirs) <= 0 ||
	    EVP_PKEY_derive(ctx, z, n) <= 0)
		return -ENOMEM;
	return 0;
}

/* The seed from a Diffie-Hellman with a key for this one time; the TPM gets its point (annex C.6.1). */
static int ecc_seed(const struct ek *ek, uint8_t *seed, size_t n, struct writer *out)
{
	cleanup_(EVP_PKEY_freep) EVP_PKEY *once = NULL;
	uint8_t point[1 + 2 * ECC_MAX_BYTES], z[ECC_MAX_BYTES], static_x[ECC_MAX_BYTES];
	size_t size = 0, z_n = 0, point_n = 0;
	const char *curve = tpm_curve(ek->area.curve_id, &size);
	struct bytes x, y;
	int r;

	once = curve ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve) : NULL;
	if (!once || !EVP_PKEY_get_octet_string_param(once, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, sizeof(point), &point_n) ||
	    point_n != 1 + 2 * size)
		return -ENOMEM;
	x = (struct bytes){ point + 1, size };
	y = (struct bytes){ point + 1 + size, size };
	r = shared_secret(once, ek->key, z, &z_n);
	if (r == 0)
		r = kdf_e(ek->hash, (struct bytes){ z, z_n }, LABEL, x, padded(ek->area.x, size, static_x), seed, n);
	OPENSSL_cleanse(z, sizeof(z));
	if (r < 0)
		return r;
	write_u16be(out, (uint16_t)(2 * (2 + size))); /* TPMS_ECC_POINT */
	write_tpm2b(out, x);
	write_tpm2b(out, y);
	return writer_status(out);
}

/* AES-CFB of a TPM2B_DIGEST, the vector is zeros: the key is used once (part 1, 24.4). */
static int encrypt(const struct ek *ek, const uint8_t *key, struct bytes secret, uint8_t out[2 + HASH_MAX_SIZE])
{
	static const uint8_t zeros[16];
	cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *cipher = ek->area.symmetric_bits == 256 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128();
	cleanup_writer_ struct writer plain = WRITER(2 + HASH_MAX_SIZE);
	int n = 0, r;

	write_tpm2b(&plain, secret);
	r = writer_status(&plain);
	if (r == 0 && (!ctx || EVP_EncryptInit_ex(ctx, cipher, NULL, key, zeros) != 1 ||
		       EVP_EncryptUpdate(ctx, out, &n, plain.p, (int)plain.n) != 1 || n != (int)plain.n))
		r = -ENOMEM;
	if (plain.p)
		OPENSSL_cleanse(plain.p, plain.n);
	return r;
}

/* TPMS_ID_OBJECT: what authenticates it, and the encrypted secret (part 1, 24.5). */
static int identity_object(const struct ek *ek, struct bytes seed, struct bytes name, struct bytes secret, struct writer *out)
{
	const struct bytes none = { 0 };
	uint8_t storage[32], integrity[HASH_MAX_SIZE], mac[HASH_MAX_SIZE], sealed[2 + HASH_MAX_SIZE];
	struct bytes identity = { sealed, 2 + secret.n };
	size_t hash_n = hash_size(ek->hash);
	int r = kdf_a(ek->hash, seed, "STORAGE", name, none, storage, ek->area.symmetric_bits / 8);

	if (r == 0)
		r = encrypt(ek, storage, secret, sealed);
	if (r == 0)
		r = kdf_a(ek->hash, seed, "INTEGRITY", none, none, integrity, hash_n);
	if (r == 0)
		r = kdf_hmac(ek->hash, (struct bytes){ integrity, hash_n }, identity, name, mac);
	OPENSSL_cleanse(storage, sizeof(storage));
	OPENSSL_cleanse(integrity, sizeof(integrity));
	if (r < 0)
		return r;
	write_u16be(out, (uint16_t)(2 + hash_n + identity.n));
	write_tpm2b(out, (struct bytes){ mac, hash_n });
	write_bytes(out, identity.p, identity.n);
	return writer_status(out);
}

static int make(const struct ek *ek, struct bytes ak_name, struct bytes secret, struct credential *out)
{
	cleanup_writer_ struct writer blob = WRITER(LIMIT_CREDENTIAL), sealed = WRITER(LIMIT_CREDENTIAL);
	uint8_t seed[HASH_MAX_SIZE];
	size_t n = hash_size(ek->hash);
	int r = ek->area.type == ALG_RSA ? rsa_seed(ek, seed, n, &sealed) : ecc_seed(ek, seed, n, &sealed);

	if (r == 0)
		r = identity_object(ek, (struct bytes){ seed, n }, ak_name, secret, &blob);
	OPENSSL_cleanse(seed, sizeof(seed));
	if (r < 0)
		return r;
	*out = (struct credential){ .blob_n = blob.n, .secret_n = sealed.n };
	bytes_copy(out->blob, blob.p, blob.n);
	bytes_copy(out->secret, sealed.p, sealed.n);
	return 0;
}

int credential_make(struct bytes ek_public, struct bytes ak_name, struct bytes secret, struct credential *out,
		    const char **why)
{
	cleanup_(ek_clear) struct ek ek = { 0 };
	const char *text = NULL;
	int r = ek_open(ek_public, &ek, &text);

	if (r > 0)
		*why = text;
	if (r != 0)
		return r;
	if (ak_name.n != NAME_SIZE || secret.n == 0 || secret.n > hash_size(ek.hash))
		return -EINVAL;
	ERR_set_mark();
	r = make(&ek, ak_name, secret, out);
	ERR_pop_to_mark();
	return r;
}
