// SPDX-License-Identifier: Apache-2.0
/* Sigstore bundles (protobuf-specs, sigstore_bundle.proto, sigstore_common.proto, sigstore_rekor.proto, as JSON): what is
 * in them. sigstore_verify.c says what must hold. */
#include "policy/sigstore_private.h"

static const char in_bundle[] = "the bundle", in_entry[] = "the bundle's log entry";

bool bundle_is(const json_t *object)
{
	return json_object_get(object, "verificationMaterial") != NULL;
}

void bundle_free(struct bundle *b)
{
	X509_free(b->leaf);
	b->leaf = NULL;
	dsse_free(&b->envelope);
	writer_free(&b->signature);
	writer_free(&b->digest);
	for (size_t i = 0; i < b->n_entries; i++) {
		writer_free(&b->entries[i].body);
		writer_free(&b->entries[i].set);
		writer_free(&b->entries[i].path);
	}
	b->n_entries = 0;
}

static int parse_version(struct opening *o, const json_t *json, struct bundle *b)
{
	static const struct {
		const char *type;
		unsigned int minor;
	} types[] = {
		{ "application/vnd.dev.sigstore.bundle.v0.3+json", 3 },
		{ "application/vnd.dev.sigstore.bundle+json;version=0.3", 3 },
		{ "application/vnd.dev.sigstore.bundle+json;version=0.2", 2 },
		{ "application/vnd.dev.sigstore.bundle+json;version=0.1", 1 },
	};
	struct bytes type = member_string(json, "mediaType");

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!bytes_are(type, types[i].type))
			continue;
		b->minor = types[i].minor;
		return 0;
	}
	return refuse_about(o, SIGNED_UNSUPPORTED, "not a Sigstore bundle of version 0.1 to 0.3: its media type is", type);
}

static int parse_leaf(struct opening *o, const json_t *certificate, struct bundle *b)
{
	cleanup_writer_ struct writer der = WRITER(LIMIT_CERT);
	int r = member_base64(o, certificate, "rawBytes", &der, "the bundle's certificate");

	if (r)
		return r;
	b->leaf = certificate_from_der(writer_view(&der));
	return b->leaf ? 0 : refuse(o, SIGNED_MALFORMED, "the bundle's certificate is broken");
}

/* One of certificate (0.3), x509CertificateChain (before 0.3; only its leaf is used: the rest comes from the trusted root)
 * and publicKey (a hint without the key). */
static int parse_signer(struct opening *o, const json_t *material, struct bundle *b)
{
	const json_t *one = json_object_get(material, "certificate"), *chain = json_object_get(material, "x509CertificateChain"),
		     *key = json_object_get(material, "publicKey"), *list = json_object_get(chain, "certificates");

	if (!!one + !!chain + !!key != 1)
		return refuse(o, SIGNED_MALFORMED, "the bundle must have either a certificate or a public key's hint");
	if (key)
		return 0;
	if (one)
		return parse_leaf(o, one, b);
	if (b->minor >= 3)
		return refuse(o, SIGNED_MALFORMED, "a bundle of version 0.3 has one certificate, not a chain");
	if (json_array_size(list) == 0 || json_array_size(list) > LIMIT_TRUST_CHAIN)
		return refuse(o, SIGNED_MALFORMED, "the bundle's certificate chain is empty or longer than %u", LIMIT_TRUST_CHAIN);
	return parse_leaf(o, json_array_get(list, 0), b);
}

static int parse_hashes(struct opening *o, const json_t *list, struct log_entry *e)
{
	if (list && !json_is_array(list))
		return refuse(o, SIGNED_MALFORMED, "%s: \"hashes\" is not a list", in_entry);
	if (json_array_size(list) > LIMIT_LOG_PROOF)
		return refuse(o, SIGNED_TOO_LARGE, "%s: more than %u hashes in its proof", in_entry, LIMIT_LOG_PROOF);
	for (size_t i = 0; i < json_array_size(list); i++) {
		cleanup_json_ json_t *item = json_pack("{sO}", "hash", json_array_get(list, i));
		uint8_t hash[32];
		int r = item ? member_hash(o, item, "hash", hash, in_entry) : -ENOMEM;

		if (r)
			return r;
		write_bytes(&e->path, hash, sizeof(hash));
	}
	return writer_status(&e->path);
}

static int parse_proof(struct opening *o, const json_t *proof, struct log_entry *e)
{
	const json_t *checkpoint = json_object_get(proof, "checkpoint");
	int r;

	if (!json_is_object(proof) || !member_u64(proof, "treeSize", &e->tree_size))
		return refuse(o, SIGNED_MALFORMED, "%s: no tree size in its proof", in_entry);
	if (json_object_get(proof, "logIndex") && !member_u64(proof, "logIndex", &e->proof_index)) /* 0 may be left out */
		return refuse(o, SIGNED_MALFORMED, "%s: no index in its proof", in_entry);
	r = member_hash(o, proof, "rootHash", e->root, in_entry);
	if (r == 0)
		r = parse_hashes(o, json_object_get(proof, "hashes"), e);
	if (r)
		return r;
	e->has_proof = true;
	if (!checkpoint)
		return 0;
	e->checkpoint = member_string(checkpoint, "envelope");
	if (!e->checkpoint.p)
		return refuse(o, SIGNED_MALFORMED, "%s: its checkpoint has no text", in_entry);
	if (e->checkpoint.n > LIMIT_CHECKPOINT)
		return refuse(o, SIGNED_TOO_LARGE, "%s: its checkpoint is larger than %u bytes", in_entry, LIMIT_CHECKPOINT);
	e->has_checkpoint = true;
	return 0;
}

static int parse_entry(struct opening *o, const json_t *v, struct log_entry *e)
{
	const json_t *kind = json_object_get(v, "kindVersion"), *promise = json_object_get(v, "inclusionPromise"),
		     *proof = json_object_get(v, "inclusionProof");
	int r = member_hash(o, json_object_get(v, "logId"), "keyId", e->log_id, in_entry);

	if (r)
		return r;
	e->kind = member_string(kind, "kind");
	e->version = member_string(kind, "version");
	if ((json_object_get(v, "logIndex") && !member_u64(v, "logIndex", &e->log_index)) ||
	    (json_object_get(v, "integratedTime") && !member_u64(v, "integratedTime", &e->time_s)))
		return refuse(o, SIGNED_MALFORMED, "%s: its index or time is not a number", in_entry);
	r = member_base64(o, v, "canonicalizedBody", &e->body, in_entry);
	if (r == 0 && promise)
		r = member_base64(o, promise, "signedEntryTimestamp", &e->set, in_entry);
	if (r == 0 && proof)
		r = parse_proof(o, proof, e);
	return r;
}

static int parse_entries(struct opening *o, const json_t *list, struct bundle *b)
{
	int r = 0;

	if (list && !json_is_array(list))
		return refuse(o, SIGNED_MALFORMED, "the bundle's \"tlogEntries\" is not a list");
	if (json_array_size(list) > LIMIT_LOG_ENTRIES)
		return refuse(o, SIGNED_TOO_LARGE, "the bundle has more than %u log entries", LIMIT_LOG_ENTRIES);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		b->entries[i] = (struct log_entry){
			.body = WRITER(LIMIT_LOG_BODY),
			.set = WRITER(LIMIT_BLOB_SIGNATURE),
			.path = WRITER(LIMIT_LOG_PROOF * 32),
		};
		b->n_entries++;
		r = parse_entry(o, json_array_get(list, i), &b->entries[i]);
	}
	return r;
}

static int parse_message(struct opening *o, const json_t *message, struct bundle *b)
{
	static const struct {
		const char *name;
		enum hash_alg alg;
	} algs[] = { { "SHA2_256", HASH_SHA256 }, { "SHA2_384", HASH_SHA384 }, { "SHA2_512", HASH_SHA512 } };
	const json_t *digest = json_object_get(message, "messageDigest");
	struct bytes name = member_string(digest, "algorithm");
	int r;

	b->signature = WRITER(LIMIT_BLOB_SIGNATURE);
	b->digest = WRITER(HASH_MAX_SIZE);
	r = member_base64(o, message, "signature", &b->signature, in_bundle);
	if (r || !digest)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		if (!bytes_are(name, algs[i].name))
			continue;
		b->digest_alg = algs[i].alg;
		return member_base64(o, digest, "digest", &b->digest, in_bundle);
	}
	return refuse_about(o, SIGNED_UNSUPPORTED, "the bundle's digest is not of SHA2_256, SHA2_384 or SHA2_512, but of", name);
}

int bundle_parse(struct opening *o, const json_t *json, struct bundle *b)
{
	const json_t *material = json_object_get(json, "verificationMaterial"), *message = json_object_get(json, "messageSignature"),
		     *envelope = json_object_get(json, "dsseEnvelope"), *stamps = json_object_get(material, "timestampVerificationData");
	int r = parse_version(o, json, b);

	if (r)
		return r;
	if (!!message + !!envelope != 1)
		return refuse(o, SIGNED_MALFORMED, "the bundle must have either a message signature or an envelope");
	b->rfc3161 = json_array_size(json_object_get(stamps, "rfc3161Timestamps")) > 0;
	r = parse_signer(o, material, b);
	if (r == 0)
		r = parse_entries(o, json_object_get(material, "tlogEntries"), b);
	if (r || message)
		return r ? r : parse_message(o, message, b);
	b->dsse = true;
	r = dsse_parse(o, envelope, o->storage, &b->envelope);
	if (r == 0 && b->envelope.n != 1)
		return refuse(o, SIGNED_MALFORMED, "the envelope of a bundle has one signature, this one %zu", b->envelope.n);
	return r;
}
