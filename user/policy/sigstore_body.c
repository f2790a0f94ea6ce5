// SPDX-License-Identifier: Apache-2.0
/* A log entry's body (Rekor's hashedrekord 0.0.1 and dsse 0.0.1, github.com/sigstore/rekor/tree/main/pkg/types) must say
 * the same as the bundle around it: otherwise the log vouches for something else (CVE-2022-36056). */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/base64.h"
#include "base/text.h"
#include "policy/sigstore_private.h"

/* The content of the single PEM block of that name, into der. */
static bool pem_single(struct bytes pem, const char *want, struct writer *der)
{
	BIO *bio = BIO_new_mem_buf(pem.n ? (const void *)pem.p : "", (int)pem.n);
	size_t blocks = 0;
	bool ok = bio != NULL;

	while (ok) {
		char *name = NULL, *header = NULL;
		unsigned char *data = NULL;
		long n = 0;

		if (PEM_read_bio(bio, &name, &header, &data, &n) != 1)
			break;
		ok = blocks++ == 0 && strcmp(name, want) == 0;
		if (ok)
			write_bytes(der, data, (size_t)n);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	ERR_clear_error();
	BIO_free(bio);
	return ok && blocks == 1 && writer_status(der) == 0;
}

/* Base64 of PEM of the signer: the leaf certificate, or the key where there is none. */
static int check_verifier(struct opening *o, const json_t *object, const char *name, const struct bundle *b, EVP_PKEY *key)
{
	cleanup_writer_ struct writer pem = WRITER(LIMIT_LOG_BODY), der = WRITER(LIMIT_LOG_BODY);
	unsigned char *own = NULL;
	int r = member_base64(o, object, name, &pem, "the log entry"), n;
	bool same;

	if (r)
		return r;
	n = b->leaf ? i2d_X509(b->leaf, &own) : i2d_PUBKEY(key, &own);
	if (n <= 0)
		return -ENOMEM;
	same = pem_single(writer_view(&pem), b->leaf ? PEM_STRING_X509 : PEM_STRING_PUBLIC, &der) && der.n == (size_t)n &&
	       bytes_equal(der.p, own, der.n);
	OPENSSL_free(own);
	return same ? 0 : refuse(o, SIGNED_LOG_BODY, "the log entry is by another certificate or key than the bundle");
}

static int check_signature(struct opening *o, const json_t *object, const char *name, const struct bundle *b)
{
	cleanup_writer_ struct writer sig = WRITER(LIMIT_BLOB_SIGNATURE);
	struct bytes own = bundle_signature(b);
	int r = member_base64(o, object, name, &sig, "the log entry");

	if (r)
		return r;
	if (sig.n != own.n || !bytes_equal(sig.p, own.p, own.n))
		return refuse(o, SIGNED_LOG_BODY, "the log entry has another signature than the bundle");
	return 0;
}

/* {"algorithm": "sha256", "value": hex} of what. */
static int check_hash(struct opening *o, const json_t *hash, struct bytes what)
{
	uint8_t own[HASH_MAX_SIZE], seen[HASH_MAX_SIZE];
	struct bytes value = member_string(hash, "value");
	enum hash_alg alg;

	if (!hash_from_name(member_string(hash, "algorithm"), &alg) || alg == HASH_SHA1 || !value.p ||
	    hex_decode(value, seen, hash_size(alg)) < 0)
		return refuse(o, SIGNED_MALFORMED, "the log entry has no SHA-2 hash of what was signed");
	hash_one(alg, what.p, what.n, own);
	if (!bytes_equal(own, seen, hash_size(alg)))
		return refuse(o, SIGNED_LOG_BODY, "the log entry is about another file");
	return 0;
}

static int check_hashedrekord(struct opening *o, const json_t *spec, const struct bundle *b, EVP_PKEY *key, struct bytes what)
{
	const json_t *signature = json_object_get(spec, "signature");
	int r = check_hash(o, json_object_get(json_object_get(spec, "data"), "hash"), what);

	if (r == 0)
		r = check_signature(o, signature, "content", b);
	if (r == 0)
		r = check_verifier(o, json_object_get(signature, "publicKey"), "content", b, key);
	return r;
}

/* envelopeHash is over the JSON text that was sent to the log, which nobody can make again: not compared. */
static int check_dsse(struct opening *o, const json_t *spec, const struct bundle *b, EVP_PKEY *key, struct bytes what)
{
	const json_t *list = json_object_get(spec, "signatures");
	int r = check_hash(o, json_object_get(spec, "payloadHash"), what);

	if (r)
		return r;
	if (json_array_size(list) != 1)
		return refuse(o, SIGNED_LOG_BODY, "the log entry has %zu signatures, the bundle one", json_array_size(list));
	r = check_signature(o, json_array_get(list, 0), "signature", b);
	return r ? r : check_verifier(o, json_array_get(list, 0), "verifier", b, key);
}

int log_body_check(struct opening *o, const struct log_entry *e, const struct bundle *b, EVP_PKEY *key, struct bytes signed_bytes)
{
	const char *kind = b->dsse ? "dsse" : "hashedrekord";
	cleanup_json_ json_t *body = NULL;
	int r;

	if (!bytes_are(e->kind, kind) || !bytes_are(e->version, "0.0.1"))
		return refuse_about(o, SIGNED_UNSUPPORTED, b->dsse ? "envelopes are checked with log entries dsse 0.0.1, not" :
								     "signatures are checked with log entries hashedrekord 0.0.1, not",
				    e->kind);
	r = parse_json(o, writer_view(&e->body), LIMIT_LOG_BODY, "log entry", &body);
	if (r)
		return r;
	if (!bytes_are(member_string(body, "kind"), kind) || !bytes_are(member_string(body, "apiVersion"), "0.0.1"))
		return refuse(o, SIGNED_LOG_BODY, "the log entry is of another kind than the bundle says");
	return b->dsse ? check_dsse(o, json_object_get(body, "spec"), b, key, signed_bytes) :
			 check_hashedrekord(o, json_object_get(body, "spec"), b, key, signed_bytes);
}
