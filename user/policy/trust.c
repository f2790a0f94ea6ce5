// SPDX-License-Identifier: Apache-2.0
/* What is accepted as a signer of policies: keys and identities (Sigstore's roots: sigstore_root.c). */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/hash.h"
#include "base/text.h"
#include "policy/signed_private.h"

#define NOT_USABLE 1

int policy_trust_new(struct policy_trust **out)
{
	struct policy_trust *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->threshold = 1;
	*out = t;
	return 0;
}

void policy_trust_free(struct policy_trust **t)
{
	if (!*t)
		return;
	for (size_t i = 0; i < (*t)->n_keys; i++)
		EVP_PKEY_free((*t)->keys[i].key);
	trust_root_free(&(*t)->root);
	free((*t)->keys);
	free((*t)->identities);
	free(*t);
	*t = NULL;
}

void policy_trust_set_threshold(struct policy_trust *t, unsigned int n)
{
	t->threshold = n ? n : 1;
}

bool policy_trust_empty(const struct policy_trust *t)
{
	return !t || (t->n_keys == 0 && t->n_identities == 0);
}

const char *policy_trust_gap(const struct policy_trust *t)
{
	if (!t)
		return NULL;
	if (t->n_identities && !t->root)
		return "an identity is required, but no trusted root is given to check certificates against";
	if (t->root && policy_trust_empty(t))
		return "a trusted root is given, but neither a key nor an identity that must have signed";
	if (t->threshold > 1 && t->n_keys < t->threshold)
		return "more signatures are required than there are keys";
	return NULL;
}

/* ---- keys ---- */

/* The fingerprint of a key: SHA-256 over its SubjectPublicKeyInfo. 0 or -ENOMEM. */
static int key_fingerprint(EVP_PKEY *key, uint8_t out[32])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	if (n <= 0)
		return -ENOMEM;
	hash_one(HASH_SHA256, der, (size_t)n, out);
	OPENSSL_free(der);
	return 0;
}

int key_name(EVP_PKEY *key, char out[LIMIT_KEY_NAME])
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_KEY_NAME);
	uint8_t digest[HASH_MAX_SIZE];
	const char *text;
	int r = key_fingerprint(key, digest);

	if (r < 0)
		return r;
	write_fmt(&w, "sha256:");
	write_hex(&w, digest, hash_size(HASH_SHA256));
	text = writer_cstr(&w);
	if (!text)
		return writer_status(&w);
	bytes_copy(out, text, w.n + 1);
	return 0;
}

/* The hash that goes with the key's curve; HASH_COUNT for other keys. */
static enum hash_alg curve_hash(EVP_PKEY *key)
{
	char curve[64];
	size_t n;

	if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n) != 1)
		return HASH_COUNT;
	if (strcmp(curve, "prime256v1") == 0)
		return HASH_SHA256;
	if (strcmp(curve, "secp384r1") == 0)
		return HASH_SHA384;
	return strcmp(curve, "secp521r1") == 0 ? HASH_SHA512 : HASH_COUNT;
}

const char *signing_key_unusable(EVP_PKEY *key)
{
	return curve_hash(key) != HASH_COUNT ? NULL : "not an ECDSA key on P-256, P-384 or P-521";
}

static const uint8_t *message_digest(struct message *m, enum hash_alg alg)
{
	struct hash h;

	if (!m->hashed[alg]) {
		hash_begin(&h, alg);
		for (size_t i = 0; i < ARRAY_SIZE(m->part); i++)
			hash_add(&h, m->part[i].p, m->part[i].n);
		hash_end(&h, m->digest[alg]);
		m->hashed[alg] = true;
	}
	return m->digest[alg];
}

static bool verifies_with(EVP_PKEY *key, enum hash_alg alg, struct message *m, struct bytes sig)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool ok = ctx && EVP_PKEY_verify_init(ctx) == 1 &&
		  EVP_PKEY_verify(ctx, sig.p, sig.n, message_digest(m, alg), hash_size(alg)) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

bool ecdsa_verifies(EVP_PKEY *key, struct message *m, struct bytes sig)
{
	enum hash_alg own = curve_hash(key);

	if (own == HASH_COUNT || sig.n == 0)
		return false;
	return verifies_with(key, own, m, sig) || (own != HASH_SHA256 && verifies_with(key, HASH_SHA256, m, sig));
}

/* Compared as keys: the same one can be written in two ways, and must not count twice for a threshold. */
static bool has_key(const struct policy_trust *t, EVP_PKEY *key)
{
	for (size_t i = 0; i < t->n_keys; i++)
		if (EVP_PKEY_eq(t->keys[i].key, key) == 1)
			return true;
	return false;
}

/* Takes the key over, whatever comes back. */
static int add_key(struct policy_trust *t, EVP_PKEY *key, const char **why)
{
	struct trust_key entry = { .key = key }, *grown;
	int r;

	*why = signing_key_unusable(key);
	if (!*why && t->n_keys == LIMIT_TRUST_ITEMS)
		*why = "more keys than are taken";
	r = *why ? NOT_USABLE : key_name(key, entry.name);
	if (r || has_key(t, key)) {
		EVP_PKEY_free(key);
		return r;
	}
	grown = reallocarray(t->keys, t->n_keys + 1, sizeof(*grown));
	if (!grown) {
		EVP_PKEY_free(key);
		return -ENOMEM;
	}
	t->keys = grown;
	t->keys[t->n_keys++] = entry;
	return 0;
}

/* The key of one PEM block, with one reference; NULL with *why. */
static EVP_PKEY *block_key(const char *name, struct bytes der, const char **why)
{
	const unsigned char *p = der.p;
	EVP_PKEY *key = NULL;

	if (strcmp(name, PEM_STRING_PUBLIC) == 0) {
		key = d2i_PUBKEY(NULL, &p, (long)der.n);
		*why = "a broken PUBLIC KEY block";
	} else if (strcmp(name, PEM_STRING_X509) == 0) {
		X509 *x = d2i_X509(NULL, &p, (long)der.n);

		key = x ? X509_get_pubkey(x) : NULL;
		X509_free(x);
		*why = "a broken CERTIFICATE block";
	} else {
		*why = strstr(name, "PRIVATE KEY") ? "a private key: give the public one" :
						     "a PEM block that is neither a public key nor a certificate";
	}
	if (key && p != der.p + der.n) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}

/* Every block; the first that does not fit ends it. */
static int add_blocks(struct policy_trust *t, BIO *bio, const char **why)
{
	size_t blocks = 0;
	int r = 0;

	*why = "not PEM of a public key or certificate";
	while (r == 0) {
		char *name = NULL, *header = NULL;
		unsigned char *data = NULL;
		EVP_PKEY *key;
		long n = 0;

		if (PEM_read_bio(bio, &name, &header, &data, &n) != 1) {
			if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
				*why = "a broken PEM block";
				r = NOT_USABLE;
			}
			break;
		}
		blocks++;
		key = block_key(name, (struct bytes){ data, (size_t)n }, why);
		r = key ? add_key(t, key, why) : NOT_USABLE;
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)n);
	}
	ERR_clear_error();
	return r == 0 && !blocks ? NOT_USABLE : r;
}

int policy_trust_add_key(struct policy_trust *t, struct bytes pem, const char **why)
{
	size_t before = t->n_keys;
	BIO *bio;
	int r;

	*why = "larger than a key file can be";
	if (pem.n > LIMIT_PEM)
		return NOT_USABLE;
	bio = BIO_new_mem_buf(pem.n ? (const void *)pem.p : "", (int)pem.n);
	if (!bio)
		return -ENOMEM;
	r = add_blocks(t, bio, why);
	BIO_free(bio);
	while (r && t->n_keys > before)
		EVP_PKEY_free(t->keys[--t->n_keys].key);
	return r;
}

/* ---- identities ---- */

static bool identity_part(const char *s)
{
	return s && *s && strlen(s) <= LIMIT_SIGNER_IDENTITY;
}

int policy_trust_add_identity(struct policy_trust *t, const char *identity, const char *issuer, const char **why)
{
	struct trust_identity *grown;

	if (!identity_part(identity) || !identity_part(issuer)) {
		*why = "identity and issuer must both be given, and be no longer than 512 bytes";
		return NOT_USABLE;
	}
	if (t->n_identities == LIMIT_TRUST_ITEMS) {
		*why = "more identities than are taken";
		return NOT_USABLE;
	}
	grown = reallocarray(t->identities, t->n_identities + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	t->identities = grown;
	grown += t->n_identities++;
	bytes_copy(grown->identity, identity, strlen(identity) + 1);
	bytes_copy(grown->issuer, issuer, strlen(issuer) + 1);
	return 0;
}
