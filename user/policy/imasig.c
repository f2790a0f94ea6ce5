// SPDX-License-Identifier: Apache-2.0
/* security.ima signatures: struct signature_v2_hdr and struct ima_file_id of security/integrity/integrity.h, checked as
 * security/integrity/digsig_asymmetric.c and ima_appraise.c do. */
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/hash.h"
#include "policy/algo.h"
#include "policy/keyring_private.h"
#include "policy/sigcache.h"

/* enum evm_ima_xattr_type */
#define XATTR_IMA_DIGSIG 3
#define XATTR_EVM_PORTABLE_DIGSIG 5
#define XATTR_IMA_VERITY_DIGSIG 6

struct signature {
	uint8_t type;
	uint8_t version;
	uint8_t alg; /* enum file_alg */
	uint32_t key_id;
	struct bytes value;
};

/* type, version, hash_algo, keyid (big-endian), sig_size (big-endian), then exactly sig_size bytes. */
static enum imasig_outcome parse(struct bytes sig, struct signature *out)
{
	struct reader r = reader_of(sig);

	*out = (struct signature){ .type = read_u8(&r) };
	if (reader_ok(&r) && out->type == XATTR_EVM_PORTABLE_DIGSIG)
		return IMASIG_PORTABLE;
	out->version = read_u8(&r);
	out->alg = read_u8(&r);
	out->key_id = read_u32be(&r);
	out->value = read_bytes(&r, read_u16be(&r));
	if (!reader_done(&r) || out->value.n == 0)
		return IMASIG_MALFORMED;
	if (!(out->type == XATTR_IMA_DIGSIG && (out->version == 2 || out->version == 3)) &&
	    !(out->type == XATTR_IMA_VERITY_DIGSIG && out->version == 3))
		return IMASIG_MALFORMED;
	return IMASIG_OK;
}

/* The OpenSSL hash of a signature; NULL for those that nobody should sign with any more, or that OpenSSL has not. */
static const EVP_MD *signature_md(uint8_t alg)
{
	switch (alg) {
	case FILE_ALG_SHA1:
		return EVP_sha1();
	case FILE_ALG_SHA224:
		return EVP_sha224();
	case FILE_ALG_SHA256:
		return EVP_sha256();
	case FILE_ALG_SHA384:
		return EVP_sha384();
	case FILE_ALG_SHA512:
		return EVP_sha512();
	case FILE_ALG_RMD160:
		return EVP_ripemd160();
	case FILE_ALG_SM3:
		return EVP_sm3();
	case FILE_ALG_SHA3_256:
		return EVP_sha3_256();
	case FILE_ALG_SHA3_384:
		return EVP_sha3_384();
	case FILE_ALG_SHA3_512:
		return EVP_sha3_512();
	default:
		return NULL;
	}
}

/* Version 3 signs H(struct ima_file_id { u8 hash_type; u8 hash_algorithm; u8 hash[] }), the digest's own size, so that
 * a file's hash and its fs-verity digest cannot stand for each other. */
static bool file_id_hash(const struct signature *s, struct bytes digest, const EVP_MD *md, uint8_t *out, size_t *n)
{
	cleanup_writer_ struct writer id = WRITER(2 + FILE_ALG_MAX_SIZE);
	unsigned int size = 0;

	write_u8(&id, s->type);
	write_u8(&id, s->alg);
	write_bytes(&id, digest.p, digest.n);
	if (writer_status(&id) < 0 || EVP_Digest(id.p, id.n, out, &size, md, NULL) != 1)
		return false;
	*n = size;
	return true;
}

/* RSA: PKCS#1 v1.5 with the DigestInfo of the hash. EC: a DER ECDSA-Sig-Value. */
static bool key_verifies(EVP_PKEY *key, const EVP_MD *md, struct bytes value, const uint8_t *digest, size_t n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool ok = ctx && EVP_PKEY_verify_init(ctx) == 1 &&
		  (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1) &&
		  EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 && EVP_PKEY_verify(ctx, value.p, value.n, digest, n) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* A key's check of one message, or what is remembered of it. */
static bool entry_verifies(const struct keyring_entry *e, struct sigcache *cache, const struct signature *s, const EVP_MD *md,
			   struct bytes message)
{
	uint8_t key[SIGCACHE_KEY_SIZE];
	struct hash h;

	if (!cache)
		return key_verifies(e->key, md, s->value, message.p, message.n);
	hash_begin(&h, HASH_SHA256);
	hash_add_field(&h, e->fingerprint, sizeof(e->fingerprint));
	hash_add_field(&h, &s->alg, sizeof(s->alg));
	hash_add_field(&h, message.p, message.n);
	hash_add_field(&h, s->value.p, s->value.n);
	hash_end(&h, key);
	if (sigcache_has(cache, key))
		return true;
	if (!key_verifies(e->key, md, s->value, message.p, message.n))
		return false;
	sigcache_add(cache, key);
	return true;
}

enum imasig_outcome keyring_verify_any(const struct keyring *k, struct sigcache *cache, uint8_t alg, struct bytes digest,
				       struct bytes value)
{
	const struct signature s = { .alg = alg, .value = value };
	const EVP_MD *md = signature_md(alg);

	if (!md || file_alg_weak(alg))
		return IMASIG_MALFORMED;
	for (size_t i = 0; i < k->n; i++)
		if (entry_verifies(&k->entries[i], cache, &s, md, digest))
			return IMASIG_OK;
	return IMASIG_KEY_UNKNOWN;
}

enum imasig_outcome imasig_verify(const struct keyring *k, struct bytes sig, struct bytes alg, struct bytes digest, bool verity)
{
	return imasig_verify_cached(k, NULL, sig, alg, digest, verity);
}

enum imasig_outcome imasig_verify_cached(const struct keyring *k, struct sigcache *cache, struct bytes sig, struct bytes alg,
					 struct bytes digest, bool verity)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	struct bytes message = digest;
	enum imasig_outcome outcome;
	struct signature s;
	const EVP_MD *md;
	const struct keyring_entry *e;

	outcome = parse(sig, &s);
	if (outcome != IMASIG_OK)
		return outcome;
	md = signature_md(s.alg);
	if (!md)
		return IMASIG_MALFORMED;
	if (!keyring_find(k, s.key_id, 0))
		return IMASIG_KEY_UNKNOWN;
	/* Another hash, or a signature for the other kind of digest, vouches for something else than this entry. */
	if (verity != (s.type == XATTR_IMA_VERITY_DIGSIG) || s.alg != file_alg_from_name(alg) ||
	    digest.n != file_alg_size(s.alg))
		return IMASIG_INVALID;
	if (s.version == 3) {
		size_t n = 0;

		if (!file_id_hash(&s, digest, md, hash, &n))
			return IMASIG_INVALID;
		message = (struct bytes){ hash, n };
	}
	for (size_t i = 0; (e = keyring_find(k, s.key_id, i)); i++)
		if (entry_verifies(e, cache, &s, md, message))
			return IMASIG_OK;
	return IMASIG_INVALID;
}
