// SPDX-License-Identifier: Apache-2.0
#include "policy/sign.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/text.h"
#include "policy/signed_private.h"

void policy_signing_key_clear(struct policy_signing_key *k)
{
	EVP_PKEY_free(k->key);
	k->key = NULL;
}

struct passphrase {
	const char *text;
	bool asked;
};

static int give_passphrase(char *buf, int size, int writing, void *user)
{
	struct passphrase *p = user;
	size_t n = p->text ? strlen(p->text) : 0;

	(void)writing;
	p->asked = true;
	if (!p->text || n > (size_t)size)
		return -1;
	bytes_copy(buf, p->text, n);
	return (int)n;
}

static enum hash_alg hash_of_curve(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	return bits <= 256 ? HASH_SHA256 : bits <= 384 ? HASH_SHA384 : HASH_SHA512;
}

int policy_signing_key_read(struct policy_signing_key *out, struct bytes pem, const char *passphrase, const char **why)
{
	struct passphrase p = { .text = passphrase };
	struct policy_signing_key k = { .key = NULL };
	BIO *bio;
	int r;

	*why = "larger than a key file can be";
	if (pem.n > LIMIT_PEM)
		return POLICY_KEY_BAD;
	bio = BIO_new_mem_buf(pem.n ? (const void *)pem.p : "", (int)pem.n);
	if (!bio)
		return -ENOMEM;
	k.key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &p);
	BIO_free(bio);
	ERR_clear_error();
	if (!k.key) {
		*why = p.asked ? "the key is encrypted, and the passphrase is missing or wrong" : "not PEM of a private key";
		return p.asked ? POLICY_KEY_ENCRYPTED : POLICY_KEY_BAD;
	}
	*why = signing_key_unusable(k.key);
	r = *why ? POLICY_KEY_BAD : key_name(k.key, k.name);
	if (r) {
		policy_signing_key_clear(&k);
		return r;
	}
	k.hash = hash_of_curve(k.key);
	*out = k;
	return POLICY_KEY_OK;
}

int policy_signing_key_public(const struct policy_signing_key *k, struct writer *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	if (bio && PEM_write_bio_PUBKEY(bio, k->key) == 1 && (n = BIO_get_mem_data(bio, &text)) > 0) {
		write_bytes(out, text, (size_t)n);
		BIO_free(bio);
		return writer_status(out);
	}
	BIO_free(bio);
	ERR_clear_error();
	return -ENOMEM;
}

static const EVP_MD *signing_md(enum hash_alg alg)
{
	return alg == HASH_SHA512 ? EVP_sha512() : alg == HASH_SHA384 ? EVP_sha384() : EVP_sha256();
}

/* Base64 of the DER signature over the message. */
static int write_signature(const struct policy_signing_key *k, const struct message *m, struct writer *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[LIMIT_BLOB_SIGNATURE / 4 * 3];
	size_t size = sizeof(sig);
	bool ok = ctx && EVP_DigestSignInit(ctx, NULL, signing_md(k->hash), NULL, k->key) == 1;

	for (size_t i = 0; ok && i < ARRAY_SIZE(m->part); i++)
		ok = m->part[i].n == 0 || EVP_DigestSignUpdate(ctx, m->part[i].p, m->part[i].n) == 1;
	ok = ok && EVP_DigestSignFinal(ctx, sig, &size) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (!ok)
		return -EIO;
	write_base64(out, (struct bytes){ sig, size });
	return writer_status(out);
}

int policy_sign_blob(const struct policy_signing_key *k, struct bytes file, struct writer *out)
{
	const struct message m = MESSAGE(file);
	int r = write_signature(k, &m, out);

	write_u8(out, '\n');
	return r < 0 ? r : writer_status(out);
}

/* What Keylime calls a key: SHA-256 over the PEM text of the public key (keylime/dsse/ecdsa.py). */
static int write_key_id(const struct policy_signing_key *k, struct writer *out)
{
	cleanup_writer_ struct writer pem = WRITER(LIMIT_PEM);
	uint8_t digest[HASH_MAX_SIZE];
	int r = policy_signing_key_public(k, &pem);

	if (r < 0)
		return r;
	hash_one(HASH_SHA256, pem.p, pem.n, digest);
	write_hex(out, digest, hash_size(HASH_SHA256));
	return writer_status(out);
}

/* Key id and signature over the envelope's payload. */
static int make_signature(const struct policy_signing_key *k, const struct dsse *d, struct writer *id, struct writer *sig)
{
	cleanup_writer_ struct writer pae = WRITER(LIMIT_PAYLOAD_TYPE + 64);
	struct message m;
	int r = dsse_pae(d, &pae, &m);

	if (r == 0)
		r = write_key_id(k, id);
	return r < 0 ? r : write_signature(k, &m, sig);
}

int policy_sign_envelope(const struct policy_signing_key *k, struct bytes policy, struct writer *out)
{
	static const char type[] = "application/vnd.keylime+json";
	const struct dsse d = { .payload_type = { (const uint8_t *)type, sizeof(type) - 1 }, .payload = policy };
	cleanup_writer_ struct writer id = WRITER(128), sig = WRITER(LIMIT_BLOB_SIGNATURE);
	int r = make_signature(k, &d, &id, &sig);

	if (r < 0)
		return r;
	write_fmt(out, "{\"payload\": \"");
	write_base64(out, policy);
	write_fmt(out, "\", \"payloadType\": \"%s\", \"signatures\": [{\"keyid\": \"%s\", \"sig\": \"%s\"}]}\n", type,
		  writer_cstr(&id), writer_cstr(&sig));
	return writer_status(out);
}

static bool signed_by(const struct policy_signing_key *k, const struct dsse *d, struct message *m)
{
	for (size_t i = 0; i < d->n; i++)
		if (ecdsa_verifies(k->key, m, d->sig[i]))
			return true;
	return false;
}

/* The signature goes behind the others; the rest stays as it is. */
static int append(struct opening *o, const struct policy_signing_key *k, json_t *envelope, const struct dsse *d)
{
	cleanup_writer_ struct writer id = WRITER(128), sig = WRITER(LIMIT_BLOB_SIGNATURE), pae = WRITER(LIMIT_PAYLOAD_TYPE + 64);
	json_t *list = json_object_get(envelope, "signatures");
	struct message m;
	int r = dsse_pae(d, &pae, &m);

	if (r < 0)
		return r;
	if (signed_by(k, d, &m))
		return refuse(o, SIGNED_THRESHOLD, "the envelope has a signature by this key already");
	if (d->n == LIMIT_DSSE_SIGNATURES)
		return refuse(o, SIGNED_TOO_LARGE, "the envelope has %u signatures already, the most it can have", LIMIT_DSSE_SIGNATURES);
	r = make_signature(k, d, &id, &sig);
	if (r < 0)
		return r;
	return json_array_append_new(list, json_pack("{ss ss}", "keyid", writer_cstr(&id), "sig", writer_cstr(&sig))) == 0 ? 0 : -ENOMEM;
}

int policy_sign_again(const struct policy_signing_key *k, struct bytes envelope, struct writer *out, struct writer *why)
{
	cleanup_writer_ struct writer payload = WRITER(LIMIT_POLICY_FILE);
	cleanup_dsse_ struct dsse d = { .n = 0 };
	cleanup_json_ json_t *v = NULL;
	struct opening o = { .why = why };
	char *text;
	int r = parse_json(&o, envelope, LIMIT_POLICY_FILE, "file", &v);

	if (r == 0 && !dsse_is_envelope(v))
		r = refuse(&o, SIGNED_UNSIGNED, "not an envelope");
	if (r == 0)
		r = dsse_parse(&o, v, &payload, &d);
	if (r == 0)
		r = dsse_check_type(&o, &d);
	if (r == 0)
		r = append(&o, k, v, &d);
	if (r)
		return r < 0 ? r : 1;
	text = json_dumps(v, JSON_PRESERVE_ORDER);
	if (!text)
		return -ENOMEM;
	write_bytes(out, text, strlen(text));
	write_u8(out, '\n');
	free(text);
	return writer_status(out);
}
