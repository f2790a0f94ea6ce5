// SPDX-License-Identifier: Apache-2.0
/* Which form a signed policy has, and who is asked about it. */
#include "policy/signed_private.h"

#include <stdarg.h>
#include <time.h>

#include "base/base64.h"
#include "base/text.h"

static const struct {
	const char *name, *text;
} outcomes[SIGNED_COUNT_] = {
	[SIGNED_OK] = { "ok", "a trusted signer vouches for the policy" },
	[SIGNED_UNSIGNED] = { "unsigned", "the policy is not signed, and a signature is required" },
	[SIGNED_NO_TRUST] = { "no-trust", "the policy is signed, but no key and no identity is configured that could vouch for it" },
	[SIGNED_MALFORMED] = { "malformed", "envelope, signature or bundle is not of its form" },
	[SIGNED_TOO_LARGE] = { "too-large", "envelope, signature or bundle is larger than allowed" },
	[SIGNED_UNSUPPORTED] = { "unsupported", "signed in a form that is not checked" },
	[SIGNED_PAYLOAD_TYPE] = { "payload-type", "what was signed is not a policy" },
	[SIGNED_KEY_UNKNOWN] = { "key-unknown", "no trusted key has signed this" },
	[SIGNED_BAD_SIGNATURE] = { "signature-wrong", "the signature is not over this policy" },
	[SIGNED_THRESHOLD] = { "threshold", "fewer trusted keys have signed than are required" },
	[SIGNED_CHAIN] = { "certificate-chain", "no authority of the trusted root issued the signer's certificate for code signing" },
	[SIGNED_CERT_TIME] = { "certificate-time", "the certificate was not valid when the policy was signed" },
	[SIGNED_IDENTITY] = { "identity", "well signed, but by someone else" },
	[SIGNED_SCT] = { "certificate-not-logged", "no certificate log of the trusted root vouches for the certificate" },
	[SIGNED_NOT_LOGGED] = { "not-logged", "no transparency log vouches for the signature" },
	[SIGNED_LOG_UNKNOWN] = { "log-unknown", "the transparency log is not one of the trusted root" },
	[SIGNED_LOG_BODY] = { "log-body", "the transparency log's entry is about something else" },
	[SIGNED_LOG_PROOF] = { "log-proof", "the transparency log's proof is wrong" },
	[SIGNED_FUTURE] = { "signed-in-future", "signed later than this machine's clock" },
};

const char *policy_signed_name(enum policy_signed outcome)
{
	return (unsigned int)outcome < SIGNED_COUNT_ ? outcomes[outcome].name : "?";
}

const char *policy_signed_text(enum policy_signed outcome)
{
	return (unsigned int)outcome < SIGNED_COUNT_ ? outcomes[outcome].text : "?";
}

const char *policy_signed_form_name(enum policy_signed_form form)
{
	static const char *const names[] = {
		[SIGNED_FORM_NONE] = "none",
		[SIGNED_FORM_DSSE] = "dsse",
		[SIGNED_FORM_COSIGN] = "cosign",
		[SIGNED_FORM_BUNDLE] = "sigstore-bundle",
	};

	return (unsigned int)form < ARRAY_SIZE(names) ? names[form] : "?";
}

void policy_signer_describe(const struct policy_signer *s, struct writer *out)
{
	time_t at = (time_t)s->signed_at_s;
	struct tm tm;
	char date[32];

	if (s->form == SIGNED_FORM_NONE) {
		write_fmt(out, "not signed");
		return;
	}
	if (*s->identity) {
		write_quoted(out, (struct bytes){ (const uint8_t *)s->identity, strlen(s->identity) }, LIMIT_SIGNER_IDENTITY);
		write_fmt(out, " by ");
		write_quoted(out, (struct bytes){ (const uint8_t *)s->issuer, strlen(s->issuer) }, LIMIT_SIGNER_IDENTITY);
	} else {
		write_fmt(out, "key %s", s->key);
	}
	if (s->signatures > 1)
		write_fmt(out, " and %u more", s->signatures - 1);
	write_fmt(out, " (%s)", policy_signed_form_name(s->form));
	if (s->signed_at_s && gmtime_r(&at, &tm) && strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm))
		write_fmt(out, " at %s", date);
}

/* ---- refusals ---- */

int refuse(struct opening *o, enum policy_signed outcome, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!o->why)
		return outcome;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	writer_reset(o->why);
	write_fmt(o->why, "%s", text);
	return outcome;
}

int refuse_about(struct opening *o, enum policy_signed outcome, const char *text, struct bytes what)
{
	int r = refuse(o, outcome, "%s ", text);

	if (o->why)
		write_quoted(o->why, what, 200);
	return r;
}

int parse_json(struct opening *o, struct bytes text, size_t max, const char *what, json_t **out)
{
	json_error_t e = { .line = 0 };
	json_t *v;

	if (text.n > max)
		return refuse(o, SIGNED_TOO_LARGE, "the %s is larger than %zu bytes", what, max);
	v = json_loadb(text.n ? (const char *)text.p : "", text.n, JSON_REJECT_DUPLICATES, &e);
	if (!v && json_error_code(&e) == json_error_out_of_memory)
		return -ENOMEM;
	if (!v)
		return refuse(o, SIGNED_MALFORMED, "the %s is not JSON: line %d, column %d", what, e.line, e.column);
	if (!json_is_object(v)) {
		json_decref(v);
		return refuse(o, SIGNED_MALFORMED, "the %s is not a JSON object", what);
	}
	*out = v;
	return 0;
}

/* ---- Cosign: base64 of a DER ECDSA signature over the file (cosign sign-blob --key) ---- */

static int cosign_open(struct opening *o, struct bytes signature)
{
	cleanup_writer_ struct writer sig = WRITER(LIMIT_BLOB_SIGNATURE);
	struct message m = MESSAGE(o->file);
	int r;

	if (signature.n > LIMIT_BLOB_SIGNATURE)
		return refuse(o, SIGNED_TOO_LARGE, "the signature file is larger than %u bytes", LIMIT_BLOB_SIGNATURE);
	if (signature.n && signature.p[signature.n - 1] == '\n')
		signature.n--; /* as an editor or a shell leaves behind */
	r = base64_decode_to(&sig, signature, BASE64_STANDARD);
	if (r == -EINVAL || (r == 0 && sig.n == 0))
		return refuse(o, SIGNED_MALFORMED, "the signature file is not base64 (cosign sign-blob --key writes it so)");
	if (r < 0)
		return r;
	if (o->trust->threshold > 1)
		return refuse(o, SIGNED_THRESHOLD, "one signature, %u are required: use an envelope (DSSE)", o->trust->threshold);
	for (size_t i = 0; i < o->trust->n_keys; i++) {
		const struct trust_key *k = &o->trust->keys[i];

		if (!ecdsa_verifies(k->key, &m, writer_view(&sig)))
			continue;
		o->who.form = SIGNED_FORM_COSIGN;
		o->who.signatures = 1;
		bytes_copy(o->who.key, k->name, sizeof(k->name));
		*o->policy = o->file;
		return 0;
	}
	return refuse(o, SIGNED_KEY_UNKNOWN, "the signature is not one of a trusted key over this file (%zu known)", o->trust->n_keys);
}

/* ---- which form ---- */

static bool is_json(struct bytes b)
{
	struct reader r = reader_of(b);

	while (reader_left(&r)) {
		uint8_t c = read_u8(&r);

		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return c == '{';
	}
	return false;
}

/* Cheap: a policy may have hundreds of megabytes and is rarely an envelope. False is certain for all that is written
 * without escapes in the names of its members; then it is a plain file, which vouches for nothing. */
bool policy_maybe_signed(struct bytes file)
{
	static const char *const marks[] = { "\"payloadType\"", "\"verificationMaterial\"" };

	if (!is_json(file)) /* a compiled policy: what its paths say is no envelope */
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (memmem(file.p, file.n, marks[i], strlen(marks[i])))
			return true;
	return false;
}

static int open_detached(struct opening *o, struct bytes detached)
{
	cleanup_json_ json_t *bundle = NULL;
	int r;

	if (!is_json(detached))
		return cosign_open(o, detached);
	r = parse_json(o, detached, LIMIT_BUNDLE, "bundle", &bundle);
	if (r)
		return r;
	if (bundle_is(bundle))
		return bundle_open(o, bundle, false);
	if (json_object_get(bundle, "base64Signature"))
		return refuse(o, SIGNED_UNSUPPORTED, "Cosign's own bundle form: sign with --new-bundle-format");
	return refuse(o, SIGNED_MALFORMED, "what lies beside the file is JSON, but not a Sigstore bundle");
}

static int open_any(struct opening *o, struct bytes detached)
{
	cleanup_json_ json_t *root = NULL;
	bool envelope = false, bundle = false;
	int r;

	if (policy_maybe_signed(o->file)) {
		r = parse_json(o, o->file, LIMIT_POLICY_FILE, "file", &root);
		if (r)
			return r;
		envelope = dsse_is_envelope(root);
		bundle = bundle_is(root);
	}
	if (policy_trust_empty(o->trust)) {
		if (envelope || bundle || detached.n)
			return refuse(o, SIGNED_NO_TRUST, "%s", policy_signed_text(SIGNED_NO_TRUST));
		*o->policy = o->file;
		return 0;
	}
	if (detached.n && (envelope || bundle))
		return refuse(o, SIGNED_MALFORMED, "the file is signed inside and has a signature beside it: which one counts is not clear");
	if (envelope)
		return dsse_open(o, root);
	if (bundle)
		return bundle_open(o, root, true);
	if (detached.n)
		return open_detached(o, detached);
	return refuse(o, SIGNED_UNSIGNED, "%s", policy_signed_text(SIGNED_UNSIGNED));
}

int policy_open_signed(const struct policy_trust *t, struct bytes file, struct bytes detached, uint64_t now_s,
		       struct writer *storage, struct bytes *policy, struct policy_signer *who, struct writer *why)
{
	struct bytes view = { NULL, 0 };
	struct opening o = {
		.trust = t, .file = file, .now_s = now_s, .storage = storage, .policy = &view, .why = why,
	};
	int r = open_any(&o, detached);

	if (r == 0) {
		*policy = view;
		*who = o.who;
	}
	return r;
}
