// SPDX-License-Identifier: Apache-2.0
#include "policy/keyring_private.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/hash.h"

#define NOT_A_KEY 1
#define RSA_MIN_BITS 2048

/* What one encoded key says. */
struct parsed_key {
	EVP_PKEY *key;
	uint32_t ids[2];
	size_t n_ids;
};

static void parsed_key_clear(struct parsed_key *k)
{
	EVP_PKEY_free(k->key);
	k->key = NULL;
	k->n_ids = 0;
}

int keyring_new(struct keyring **out)
{
	struct keyring *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	*out = k;
	return 0;
}

void keyring_free(struct keyring **k)
{
	if (!*k)
		return;
	for (size_t i = 0; i < (*k)->n; i++)
		EVP_PKEY_free((*k)->entries[i].key);
	free((*k)->entries);
	free(*k);
	*k = NULL;
}

size_t keyring_count(const struct keyring *k)
{
	return k->keys;
}

const struct keyring_entry *keyring_find(const struct keyring *k, uint32_t id, size_t i)
{
	for (size_t e = 0; e < k->n; e++)
		if (k->entries[e].id == id && i-- == 0)
			return &k->entries[e];
	return NULL;
}

static uint32_t last_word(const uint8_t *p, size_t n)
{
	struct reader r = reader_over(p, n);

	(void)read_bytes(&r, n - 4);
	return read_u32be(&r);
}

/* The kernel's id of an asymmetric key (crypto/asymmetric_keys/x509_cert_parser.c, asymmetric_type.c; evmctl does the
 * same): the end of SHA-1 over the content of subjectPublicKey, for RSA the PKCS#1 RSAPublicKey, for EC the point. */
static bool computed_id(const X509_PUBKEY *pub, uint32_t *id)
{
	uint8_t digest[HASH_MAX_SIZE];
	const unsigned char *p;
	int n;

	if (X509_PUBKEY_get0_param(NULL, &p, &n, NULL, pub) != 1 || n <= 0)
		return false;
	hash_one(HASH_SHA1, p, (size_t)n, digest);
	*id = last_word(digest, hash_size(HASH_SHA1));
	return true;
}

/* NULL when IMA signatures can be made with it, else why not. */
static const char *key_usable(EVP_PKEY *key)
{
	static const char *const curves[] = { "prime256v1", "secp384r1", "secp521r1", "secp256k1" };
	char curve[64];
	size_t n;

	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= RSA_MIN_BITS ? NULL : "an RSA key shorter than 2048 bits";
	if (!EVP_PKEY_is_a(key, "EC"))
		return "neither an RSA nor an EC key";
	if (EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n) == 1)
		for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
			if (strcmp(curve, curves[i]) == 0)
				return NULL;
	return "an EC key on another curve than P-256, P-384, P-521 or secp256k1";
}

/* 0, or NOT_A_KEY with *why. Takes a reference of pub's key. */
static int parse_public(const X509_PUBKEY *pub, struct parsed_key *out, const char **why)
{
	EVP_PKEY *key = X509_PUBKEY_get(pub);
	uint32_t id;

	if (!key) {
		*why = "a public key of an unknown kind";
		return NOT_A_KEY;
	}
	*why = key_usable(key);
	if (!*why && !computed_id(pub, &id))
		*why = "a public key without content";
	if (*why) {
		EVP_PKEY_free(key);
		return NOT_A_KEY;
	}
	*out = (struct parsed_key){ .key = key, .ids = { id }, .n_ids = 1 };
	return 0;
}

/* A certificate's key answers to its subjectKeyIdentifier and to the computed id: signers use either. */
static int parse_certificate(X509 *x, struct parsed_key *out, const char **why)
{
	const ASN1_OCTET_STRING *skid = X509_get0_subject_key_id(x);
	int r = parse_public(X509_get_X509_PUBKEY(x), out, why);

	if (r == 0 && skid && ASN1_STRING_length(skid) >= 4) {
		uint32_t id = last_word(ASN1_STRING_get0_data(skid), (size_t)ASN1_STRING_length(skid));

		if (id != out->ids[0])
			out->ids[out->n_ids++] = id;
	}
	return r;
}

/* One DER object and nothing behind it. */
static int parse_der(struct bytes der, struct parsed_key *out, const char **why)
{
	const unsigned char *p = der.p;
	X509_PUBKEY *pub;
	X509 *x;
	int r = NOT_A_KEY;

	*why = "neither PEM nor DER of a public key or certificate";
	if (der.n == 0 || der.n > LIMIT_PEM)
		return NOT_A_KEY;
	x = d2i_X509(NULL, &p, (long)der.n);
	if (x) {
		if (p == der.p + der.n)
			r = parse_certificate(x, out, why);
		X509_free(x);
	} else {
		p = der.p;
		pub = d2i_X509_PUBKEY(NULL, &p, (long)der.n);
		if (pub && p == der.p + der.n)
			r = parse_public(pub, out, why);
		X509_PUBKEY_free(pub);
	}
	ERR_clear_error();
	return r;
}

/* PKCS#1 "RSA PUBLIC KEY". */
static int parse_pkcs1(struct bytes der, struct parsed_key *out, const char **why)
{
	const unsigned char *p = der.p;
	EVP_PKEY *key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)der.n);
	X509_PUBKEY *pub = NULL;
	int r = NOT_A_KEY;

	*why = "a broken RSA PUBLIC KEY block";
	if (key && p == der.p + der.n && X509_PUBKEY_set(&pub, key) == 1)
		r = parse_public(pub, out, why);
	X509_PUBKEY_free(pub);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

static int fingerprint(EVP_PKEY *key, uint8_t out[32])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	if (n <= 0)
		return -ENOMEM;
	hash_one(HASH_SHA256, der, (size_t)n, out);
	OPENSSL_free(der);
	return 0;
}

static int insert(struct keyring *k, uint32_t id, EVP_PKEY *key, bool *added)
{
	struct keyring_entry *grown;

	for (size_t i = 0; i < k->n; i++)
		if (k->entries[i].id == id && EVP_PKEY_eq(k->entries[i].key, key) == 1)
			return 0; /* known */
	grown = reallocarray(k->entries, k->n + 1, sizeof(*grown));
	if (!grown || EVP_PKEY_up_ref(key) != 1) {
		if (grown)
			k->entries = grown;
		return -ENOMEM;
	}
	k->entries = grown;
	k->entries[k->n] = (struct keyring_entry){ .id = id, .key = key };
	if (fingerprint(key, k->entries[k->n].fingerprint) < 0) {
		EVP_PKEY_free(key);
		return -ENOMEM;
	}
	k->n++;
	*added = true;
	return 0;
}

static int insert_all(struct keyring *k, const struct parsed_key *parsed, const uint32_t *id, const char **why)
{
	bool added = false;
	int r = 0;

	if (k->keys == LIMIT_KEYS) {
		*why = "more keys than a keyring takes";
		return NOT_A_KEY;
	}
	for (size_t i = 0; i < parsed->n_ids && r == 0; i++)
		r = insert(k, parsed->ids[i], parsed->key, &added);
	if (r == 0 && id)
		r = insert(k, *id, parsed->key, &added);
	k->keys += added;
	return r;
}

/* Every block of a PEM text. */
static int add_pem(struct keyring *k, struct bytes file, const uint32_t *id, const char **why)
{
	BIO *bio = BIO_new_mem_buf(file.p, (int)file.n);
	size_t blocks = 0;
	int r = bio ? 0 : -ENOMEM;

	*why = "neither PEM nor DER of a public key or certificate";
	while (r == 0) {
		struct parsed_key parsed = { .key = NULL };
		char *name = NULL, *header = NULL;
		unsigned char *data = NULL;
		long n = 0;

		if (PEM_read_bio(bio, &name, &header, &data, &n) != 1) {
			if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
				*why = "a broken PEM block";
				r = NOT_A_KEY;
			}
			break;
		}
		blocks++;
		if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_PUBLIC) == 0) {
			r = parse_der((struct bytes){ data, (size_t)n }, &parsed, why);
		} else if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0) {
			r = parse_pkcs1((struct bytes){ data, (size_t)n }, &parsed, why);
		} else {
			*why = strstr(name, "PRIVATE KEY") ? "a private key: give the public one" :
							     "a PEM block that is neither a public key nor a certificate";
			r = NOT_A_KEY;
		}
		if (r == 0)
			r = insert_all(k, &parsed, id, why);
		parsed_key_clear(&parsed);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)n);
	}
	ERR_clear_error();
	BIO_free(bio);
	return r == 0 && !blocks ? NOT_A_KEY : r;
}

int keyring_add_as(struct keyring *k, struct bytes file, const uint32_t *id, const char **why)
{
	struct parsed_key parsed = { .key = NULL };
	int r;

	if (file.n > LIMIT_PEM) {
		*why = "larger than a key file can be";
		return NOT_A_KEY;
	}
	r = parse_der(file, &parsed, why);
	if (r == 0)
		r = insert_all(k, &parsed, id, why);
	else if (memmem(file.n ? file.p : (const uint8_t *)"", file.n, "-----BEGIN ", 11))
		r = add_pem(k, file, id, why);
	parsed_key_clear(&parsed);
	return r;
}

int keyring_add(struct keyring *k, struct bytes file, const char **why)
{
	return keyring_add_as(k, file, NULL, why);
}

bool keyring_is_key(struct bytes b)
{
	struct parsed_key parsed = { .key = NULL };
	const char *why;
	bool yes = parse_der(b, &parsed, &why) == 0;

	parsed_key_clear(&parsed);
	return yes;
}
