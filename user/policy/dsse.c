// SPDX-License-Identifier: Apache-2.0
/* DSSE 1.0: github.com/secure-systems-lab/dsse, protocol.md (pre-authentication encoding, verification) and envelope.md
 * (JSON form). Payload and signatures in either base64 alphabet, as envelope.md asks. Key ids are hints that nobody has
 * signed: every signature is tried with every trusted key. */
#include <inttypes.h>

#include "base/base64.h"
#include "policy/signed_private.h"

/* "application/vnd.keylime+json" is what `keylime-policy sign runtime` writes (keylime/cli/policies). */
static const char *const policy_types[] = { "application/vnd.keylime+json", "application/vnd.imastream.policy+json" };

void dsse_free(struct dsse *d)
{
	writer_free(&d->sigs);
}

bool dsse_is_envelope(const json_t *object)
{
	return json_object_get(object, "payloadType") && json_object_get(object, "payload") && json_object_get(object, "signatures");
}

static int parse_signature(struct opening *o, const json_t *s, struct dsse *d, size_t *size)
{
	size_t before = d->sigs.n;
	const json_t *id = json_object_get(s, "keyid");
	struct bytes sig = member_string(s, "sig");
	int r;

	if (!sig.p || (id && !json_is_string(id)))
		return refuse(o, SIGNED_MALFORMED, "a signature of the envelope has no text \"sig\", or a key id that is none");
	if (sig.n > LIMIT_BLOB_SIGNATURE)
		return refuse(o, SIGNED_TOO_LARGE, "a signature of the envelope is longer than %u bytes", LIMIT_BLOB_SIGNATURE);
	r = base64_decode_to(&d->sigs, sig, BASE64_EITHER);
	if (r == -EINVAL)
		return refuse(o, SIGNED_MALFORMED, "a signature of the envelope is not base64");
	*size = d->sigs.n - before;
	return r;
}

static int parse_signatures(struct opening *o, const json_t *list, struct dsse *d)
{
	size_t sizes[LIMIT_DSSE_SIGNATURES];
	struct reader r;

	if (!json_is_array(list) || json_array_size(list) == 0)
		return refuse(o, SIGNED_MALFORMED, "the envelope has no signatures");
	if (json_array_size(list) > LIMIT_DSSE_SIGNATURES)
		return refuse(o, SIGNED_TOO_LARGE, "the envelope has more than %u signatures", LIMIT_DSSE_SIGNATURES);
	for (size_t i = 0; i < json_array_size(list); i++) {
		int code = parse_signature(o, json_array_get(list, i), d, &sizes[i]);

		if (code)
			return code;
	}
	r = reader_of(writer_view(&d->sigs)); /* only now: the writer has stopped moving */
	for (d->n = 0; d->n < json_array_size(list); d->n++)
		d->sig[d->n] = read_bytes(&r, sizes[d->n]);
	return 0;
}

int dsse_parse(struct opening *o, const json_t *envelope, struct writer *payload, struct dsse *d)
{
	struct bytes text = member_string(envelope, "payload");
	size_t before = payload->n;
	int r;

	*d = (struct dsse){ .sigs = WRITER(LIMIT_DSSE_SIGNATURES * LIMIT_BLOB_SIGNATURE) };
	d->payload_type = member_string(envelope, "payloadType");
	if (!text.p || !d->payload_type.p)
		return refuse(o, SIGNED_MALFORMED, "\"payload\" and \"payloadType\" of the envelope must be texts");
	if (d->payload_type.n > LIMIT_PAYLOAD_TYPE)
		return refuse(o, SIGNED_TOO_LARGE, "the envelope's payload type is longer than %u bytes", LIMIT_PAYLOAD_TYPE);
	r = parse_signatures(o, json_object_get(envelope, "signatures"), d);
	if (r)
		return r;
	r = base64_decode_to(payload, text, BASE64_EITHER);
	if (r == -EINVAL)
		return refuse(o, SIGNED_MALFORMED, "the envelope's payload is not base64");
	if (r == -EMSGSIZE)
		return refuse(o, SIGNED_TOO_LARGE, "the envelope's payload is larger than a policy can be");
	if (r < 0)
		return r;
	d->payload = (struct bytes){ payload->p ? payload->p + before : (const uint8_t *)"", payload->n - before };
	return 0;
}

int dsse_check_type(struct opening *o, const struct dsse *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(policy_types); i++)
		if (bytes_are(d->payload_type, policy_types[i]))
			return 0;
	return refuse_about(o, SIGNED_PAYLOAD_TYPE, "the envelope does not hold a policy: its type is", d->payload_type);
}

int dsse_pae(const struct dsse *d, struct writer *pae, struct message *m)
{
	write_fmt(pae, "DSSEv1 %zu ", d->payload_type.n);
	write_bytes(pae, d->payload_type.p, d->payload_type.n);
	write_fmt(pae, " %zu ", d->payload.n);
	if (writer_status(pae) < 0)
		return writer_status(pae);
	*m = MESSAGE(writer_view(pae));
	m->part[1] = d->payload;
	return 0;
}

/* Marks each trusted key that made one of the signatures; how many different ones, and the first. */
static unsigned int count_signers(const struct policy_trust *t, const struct dsse *d, struct message *m, const struct trust_key **first)
{
	unsigned int n = 0;

	for (size_t k = 0; k < t->n_keys; k++) {
		bool signed_it = false;

		for (size_t s = 0; s < d->n && !signed_it; s++)
			signed_it = ecdsa_verifies(t->keys[k].key, m, d->sig[s]);
		if (signed_it && n++ == 0)
			*first = &t->keys[k];
	}
	return n;
}

int dsse_open(struct opening *o, const json_t *envelope)
{
	cleanup_writer_ struct writer pae = WRITER(LIMIT_PAYLOAD_TYPE + 64);
	cleanup_dsse_ struct dsse d = { .n = 0 };
	const struct trust_key *first = NULL;
	struct message m;
	int r = dsse_parse(o, envelope, o->storage, &d);

	if (r == 0)
		r = dsse_pae(&d, &pae, &m);
	if (r)
		return r;
	o->who.signatures = count_signers(o->trust, &d, &m, &first);
	if (!first)
		return refuse(o, SIGNED_KEY_UNKNOWN, "none of the %zu signatures of the envelope is by a trusted key (%zu known)",
			      d.n, o->trust->n_keys);
	if (o->who.signatures < o->trust->threshold)
		return refuse(o, SIGNED_THRESHOLD, "signed by %u trusted keys, %u are required", o->who.signatures, o->trust->threshold);
	r = dsse_check_type(o, &d);
	if (r)
		return r;
	o->who.form = SIGNED_FORM_DSSE;
	bytes_copy(o->who.key, first->name, sizeof(first->name));
	bytes_copy(o->who.payload_type, d.payload_type.p, d.payload_type.n);
	*o->policy = d.payload;
	return 0;
}
