// SPDX-License-Identifier: Apache-2.0
/* What must hold for a Sigstore bundle, in order: the signature; for a certificate the log's entries (which prove when),
 * then the certificate at that time. Nothing is asked of a network. */
#include "policy/sigstore_private.h"

#define CLOCK_TOLERANCE_S 300u /* a log's clock may be ahead of ours */

/* What was signed. */
static int signed_message(struct opening *o, const struct bundle *b, struct writer *pae, struct message *m)
{
	uint8_t digest[HASH_MAX_SIZE];

	if (b->dsse)
		return dsse_pae(&b->envelope, pae, m);
	*m = MESSAGE(o->file);
	if (!b->digest.n)
		return 0;
	hash_one(b->digest_alg, o->file.p, o->file.n, digest);
	if (b->digest.n != hash_size(b->digest_alg) || !bytes_equal(b->digest.p, digest, b->digest.n))
		return refuse(o, SIGNED_BAD_SIGNATURE, "the bundle is about another file: the digests differ");
	return 0;
}

/* The payload must be what the caller gets: the file beside it, or the policy itself. */
static int check_payload(struct opening *o, const struct bundle *b, bool is_file)
{
	struct bytes payload = b->envelope.payload;
	int r;

	if (!b->dsse)
		return is_file ? refuse(o, SIGNED_MALFORMED, "a bundle without an envelope holds no policy: it belongs beside its file") : 0;
	r = dsse_check_type(o, &b->envelope);
	if (r)
		return r;
	if (!is_file && (payload.n != o->file.n || !bytes_equal(payload.p, o->file.p, payload.n)))
		return refuse(o, SIGNED_BAD_SIGNATURE, "the envelope of the bundle holds another policy than the file beside it");
	return 0;
}

/* Every entry must be right; the time of the first is told, the certificate must be valid at each. */
static int check_entries(struct opening *o, const struct bundle *b, EVP_PKEY *key)
{
	struct bytes what = b->dsse ? b->envelope.payload : o->file;
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n_entries; i++) {
		r = log_body_check(o, &b->entries[i], b, key, what);
		if (r == 0)
			r = log_entry_check(o, &b->entries[i], b->minor);
		if (r == 0 && b->entries[i].time_s > o->now_s + CLOCK_TOLERANCE_S)
			r = refuse(o, SIGNED_FUTURE, "%s", policy_signed_text(SIGNED_FUTURE));
		if (r == 0 && b->leaf)
			r = certificate_check(o, b->leaf, b->entries[i].time_s);
	}
	if (r == 0 && b->n_entries) {
		o->who.signed_at_s = b->entries[0].time_s;
		o->who.log_index = b->entries[0].log_index;
	}
	return r;
}

/* Signed with a key of the trust; a log's entry is then a bonus, but a wrong one is refused. */
static int check_by_key(struct opening *o, const struct bundle *b, struct message *m)
{
	for (size_t i = 0; i < o->trust->n_keys; i++) {
		const struct trust_key *k = &o->trust->keys[i];

		if (!ecdsa_verifies(k->key, m, bundle_signature(b)))
			continue;
		bytes_copy(o->who.key, k->name, sizeof(k->name));
		return o->trust->root ? check_entries(o, b, k->key) : 0;
	}
	return refuse(o, SIGNED_KEY_UNKNOWN, "the bundle is not signed by a trusted key (%zu known)", o->trust->n_keys);
}

static int check_by_certificate(struct opening *o, const struct bundle *b, struct message *m)
{
	EVP_PKEY *key = X509_get0_pubkey(b->leaf);

	if (!o->trust->n_identities || !o->trust->root)
		return refuse(o, SIGNED_NO_TRUST, "signed with a certificate, but no %s is configured",
			      o->trust->root ? "identity" : "trusted root of Sigstore");
	if (!key || signing_key_unusable(key))
		return refuse(o, SIGNED_UNSUPPORTED, "the certificate's key is not ECDSA on P-256, P-384 or P-521");
	if (!ecdsa_verifies(key, m, bundle_signature(b)))
		return refuse(o, SIGNED_BAD_SIGNATURE, "the certificate's key has not signed this policy");
	if (!b->n_entries)
		return b->rfc3161 ? refuse(o, SIGNED_UNSUPPORTED, "time stamps of RFC 3161 without a log entry are not checked") :
				    refuse(o, SIGNED_NOT_LOGGED, "the bundle has no entry of a transparency log");
	for (size_t i = 0; b->rfc3161 && i < b->n_entries; i++)
		if (!b->entries[i].time_s)
			return refuse(o, SIGNED_UNSUPPORTED, "the log entry has no integrated time (Rekor version 2), and time stamps of "
							     "RFC 3161 are not checked");
	return check_entries(o, b, key);
}

int bundle_open(struct opening *o, const json_t *json, bool is_file)
{
	cleanup_writer_ struct writer pae = WRITER(LIMIT_PAYLOAD_TYPE + 64);
	cleanup_bundle_ struct bundle b = { .minor = 0 };
	struct message m;
	int r = bundle_parse(o, json, &b);

	if (r == 0)
		r = check_payload(o, &b, is_file);
	if (r == 0)
		r = signed_message(o, &b, &pae, &m);
	if (r)
		return r;
	if (o->trust->threshold > 1)
		return refuse(o, SIGNED_THRESHOLD, "one signature, %u are required: use an envelope (DSSE)", o->trust->threshold);
	r = b.leaf ? check_by_certificate(o, &b, &m) : check_by_key(o, &b, &m);
	if (r)
		return r;
	o->who.form = SIGNED_FORM_BUNDLE;
	o->who.signatures = 1;
	if (b.dsse)
		bytes_copy(o->who.payload_type, b.envelope.payload_type.p, b.envelope.payload_type.n);
	*o->policy = b.dsse ? b.envelope.payload : o->file;
	return 0;
}
