// SPDX-License-Identifier: Apache-2.0
/* Sigstore's trusted root (protobuf-specs, sigstore_trustroot.proto, as JSON): authorities, transparency logs, certificate
 * logs, each with the time in which it counts. Time-stamp authorities are not used. */
#include <openssl/err.h>

#include "base/base64.h"
#include "base/text.h"
#include "policy/sigstore_private.h"

#define SECONDS_PER_DAY 86400u

void trust_root_free(struct trust_root **root)
{
	struct trust_root *r = *root;

	if (!r)
		return;
	for (size_t i = 0; i < r->n_cas; i++)
		for (size_t k = 0; k < r->cas[i].n; k++)
			X509_free(r->cas[i].chain[k]);
	for (size_t i = 0; i < r->n_tlogs; i++)
		EVP_PKEY_free(r->tlogs[i].key);
	for (size_t i = 0; i < r->n_ctlogs; i++)
		EVP_PKEY_free(r->ctlogs[i].key);
	free(r->cas);
	free(r->tlogs);
	free(r->ctlogs);
	free(r);
	*root = NULL;
}

const struct trust_log *trust_log_find(const struct trust_log *logs, size_t n, const uint8_t id[32], uint64_t at_s, bool *known)
{
	*known = false;
	for (size_t i = 0; i < n; i++) {
		if (!bytes_equal(logs[i].id, id, 32))
			continue;
		*known = true;
		if (logs[i].key && span_has(&logs[i].span, at_s))
			return &logs[i];
	}
	return NULL;
}

bool log_key_verifies(EVP_PKEY *key, struct bytes message, struct bytes sig)
{
	struct message m = MESSAGE(message);
	EVP_MD_CTX *ctx;
	bool ok;

	if (!EVP_PKEY_is_a(key, "ED25519"))
		return ecdsa_verifies(key, &m, sig);
	ctx = EVP_MD_CTX_new();
	ok = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
	     EVP_DigestVerify(ctx, sig.p, sig.n, message.p, message.n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* ---- values ---- */

int member_base64(struct opening *o, const json_t *object, const char *name, struct writer *w, const char *what)
{
	struct bytes text = member_string(object, name);
	int r;

	if (!text.p)
		return refuse(o, SIGNED_MALFORMED, "%s: no text \"%s\"", what, name);
	r = base64_decode_to(w, text, BASE64_EITHER);
	if (r == -EINVAL)
		return refuse(o, SIGNED_MALFORMED, "%s: \"%s\" is not base64", what, name);
	if (r == -EMSGSIZE)
		return refuse(o, SIGNED_TOO_LARGE, "%s: \"%s\" is larger than %zu bytes", what, name, w->max);
	return r;
}

int member_hash(struct opening *o, const json_t *object, const char *name, uint8_t out[32], const char *what)
{
	cleanup_writer_ struct writer w = WRITER(64);
	int r = member_base64(o, object, name, &w, what);

	if (r)
		return r;
	if (w.n != 32)
		return refuse(o, SIGNED_MALFORMED, "%s: \"%s\" has %zu bytes, not 32", what, name, w.n);
	bytes_copy(out, w.p, 32);
	return 0;
}

bool member_u64(const json_t *object, const char *name, uint64_t *out)
{
	const json_t *v = json_object_get(object, name);

	if (json_is_string(v))
		return parse_u64(json_string_value(v), 0, INT64_MAX, out) == 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*out = (uint64_t)json_integer_value(v);
	return true;
}

X509 *certificate_from_der(struct bytes der)
{
	const unsigned char *p = der.p;
	X509 *x = der.n && der.n <= LIMIT_CERT ? d2i_X509(NULL, &p, (long)der.n) : NULL;

	if (x && p != der.p + der.n) {
		X509_free(x);
		x = NULL;
	}
	ERR_clear_error();
	return x;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static uint64_t days_to(unsigned int year, unsigned int month, unsigned int day)
{
	static const unsigned int before[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	uint64_t y = year - 1;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return y * 365 + y / 4 - y / 100 + y / 400 - 719162 + before[month - 1] + (leap && month > 2) + day - 1;
}

static unsigned int digits(struct reader *r, unsigned int n)
{
	unsigned int v = 0;

	while (n--) {
		uint8_t c = read_u8(r);

		if (c < '0' || c > '9')
			r->bad = true;
		v = v * 10 + (c - '0');
	}
	return v;
}

static void expect(struct reader *r, uint8_t c)
{
	if (read_u8(r) != c)
		r->bad = true;
}

/* A time stamp as protobuf writes it: RFC 3339 in UTC, with or without a fraction, which is dropped. */
static bool parse_time(struct bytes text, uint64_t *out)
{
	struct reader r = reader_of(text);
	unsigned int year = digits(&r, 4), month, day, hour, minute, second;

	expect(&r, '-');
	month = digits(&r, 2);
	expect(&r, '-');
	day = digits(&r, 2);
	expect(&r, 'T');
	hour = digits(&r, 2);
	expect(&r, ':');
	minute = digits(&r, 2);
	expect(&r, ':');
	second = digits(&r, 2);
	if (reader_left(&r) > 1) {
		expect(&r, '.');
		while (reader_left(&r) > 1)
			(void)digits(&r, 1);
	}
	expect(&r, 'Z');
	if (!reader_done(&r) || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return false;
	*out = days_to(year, month, day) * SECONDS_PER_DAY + hour * 3600u + minute * 60u + second;
	return true;
}

static int parse_span(struct opening *o, const json_t *v, struct trust_span *out, const char *what)
{
	const json_t *end = json_object_get(v, "end");

	out->until_s = UINT64_MAX;
	if (!parse_time(member_string(v, "start"), &out->from_s))
		return refuse(o, SIGNED_MALFORMED, "%s: \"validFor\" has no start time", what);
	if (end && !parse_time(member_string(v, "end"), &out->until_s))
		return refuse(o, SIGNED_MALFORMED, "%s: the end of \"validFor\" is not a time", what);
	return 0;
}

/* ---- parts ---- */

static bool log_key_usable(EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "ED25519") || !signing_key_unusable(key);
}

/* A SubjectPublicKeyInfo; NULL in *out for kinds that are not checked (their raw form is often not even that). */
static int parse_log_key(struct opening *o, const json_t *v, EVP_PKEY **out, const char *what)
{
	cleanup_writer_ struct writer der = WRITER(LIMIT_CERT);
	struct bytes details = member_string(v, "keyDetails");
	int r = member_base64(o, v, "rawBytes", &der, what);
	const unsigned char *p = der.p;
	EVP_PKEY *key;

	*out = NULL;
	if (r)
		return r;
	key = der.n ? d2i_PUBKEY(NULL, &p, (long)der.n) : NULL;
	ERR_clear_error();
	if (key && (p != der.p + der.n || !log_key_usable(key))) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	if (!key && (bytes_are(details, "PKIX_ECDSA_P256_SHA_256") || bytes_are(details, "PKIX_ECDSA_P384_SHA_384") ||
		     bytes_are(details, "PKIX_ECDSA_P521_SHA_512") || bytes_are(details, "PKIX_ED25519")))
		return refuse(o, SIGNED_MALFORMED, "%s: \"rawBytes\" is not a key as \"keyDetails\" says", what);
	*out = key;
	return 0;
}

static int parse_log(struct opening *o, const json_t *v, struct trust_log *log, const char *what)
{
	const json_t *key = json_object_get(v, "publicKey");
	int r = member_hash(o, json_object_get(v, "logId"), "keyId", log->id, what);

	if (r == 0)
		r = parse_span(o, json_object_get(key, "validFor"), &log->span, what);
	if (r == 0)
		r = parse_log_key(o, key, &log->key, what);
	return r;
}

static int parse_logs(struct opening *o, const json_t *list, struct trust_log **logs, size_t *n, const char *what)
{
	struct trust_log *grown;
	int r = 0;

	if (!list)
		return 0;
	if (!json_is_array(list))
		return refuse(o, SIGNED_MALFORMED, "%s: not a list", what);
	if (json_array_size(list) > LIMIT_TRUST_ITEMS - *n)
		return refuse(o, SIGNED_TOO_LARGE, "%s: more than %u", what, LIMIT_TRUST_ITEMS);
	grown = reallocarray(*logs, *n + json_array_size(list) + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*logs = grown;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		struct trust_log log = { .key = NULL };

		r = parse_log(o, json_array_get(list, i), &log, what);
		if (r == 0)
			(*logs)[(*n)++] = log;
	}
	return r;
}

static int parse_ca(struct opening *o, const json_t *v, struct trust_ca *ca)
{
	static const char what[] = "certificate authority";
	const json_t *list = json_object_get(json_object_get(v, "certChain"), "certificates");
	int r = parse_span(o, json_object_get(v, "validFor"), &ca->span, what);

	if (r)
		return r;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return refuse(o, SIGNED_MALFORMED, "%s: no certificates", what);
	if (json_array_size(list) > LIMIT_TRUST_CHAIN)
		return refuse(o, SIGNED_TOO_LARGE, "%s: more than %u certificates", what, LIMIT_TRUST_CHAIN);
	for (size_t i = 0; i < json_array_size(list); i++) {
		cleanup_writer_ struct writer der = WRITER(LIMIT_CERT);

		r = member_base64(o, json_array_get(list, i), "rawBytes", &der, what);
		if (r)
			return r;
		ca->chain[ca->n] = certificate_from_der(writer_view(&der));
		if (!ca->chain[ca->n])
			return refuse(o, SIGNED_MALFORMED, "%s: \"rawBytes\" is not a certificate", what);
		ca->n++;
	}
	return 0;
}

static int parse_cas(struct opening *o, const json_t *list, struct trust_root *root)
{
	struct trust_ca *grown;
	int r = 0;

	if (!json_is_array(list))
		return refuse(o, SIGNED_MALFORMED, "the trusted root has no list \"certificateAuthorities\"");
	if (json_array_size(list) > LIMIT_TRUST_ITEMS - root->n_cas)
		return refuse(o, SIGNED_TOO_LARGE, "more than %u certificate authorities", LIMIT_TRUST_ITEMS);
	grown = reallocarray(root->cas, root->n_cas + json_array_size(list) + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	root->cas = grown;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		root->cas[root->n_cas] = (struct trust_ca){ .n = 0 };
		r = parse_ca(o, json_array_get(list, i), &root->cas[root->n_cas]);
		root->n_cas++; /* what it has of certificates is dropped with the root */
	}
	return r;
}

static int parse_root(struct opening *o, struct bytes text, struct trust_root *root)
{
	static const char *const types[] = { "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
					     "application/vnd.dev.sigstore.trustedroot.v0.1+json",
					     "application/vnd.dev.sigstore.trustedroot.v0.2+json" };
	cleanup_json_ json_t *v = NULL;
	bool known = false;
	int r = parse_json(o, text, LIMIT_TRUSTED_ROOT, "trusted root", &v);

	if (r)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		known |= bytes_are(member_string(v, "mediaType"), types[i]);
	if (!known)
		return refuse_about(o, SIGNED_UNSUPPORTED, "not a Sigstore trusted root of version 0.1 or 0.2: its media type is",
				    member_string(v, "mediaType"));
	r = parse_cas(o, json_object_get(v, "certificateAuthorities"), root);
	if (r == 0)
		r = parse_logs(o, json_object_get(v, "tlogs"), &root->tlogs, &root->n_tlogs, "transparency log");
	if (r == 0)
		r = parse_logs(o, json_object_get(v, "ctlogs"), &root->ctlogs, &root->n_ctlogs, "certificate log");
	return r;
}

/* Moves what `from` has behind what `to` has; room was made. */
static int merge(struct trust_root *to, struct trust_root *from)
{
	struct trust_log *tlogs = reallocarray(to->tlogs, to->n_tlogs + from->n_tlogs + 1, sizeof(*tlogs)), *ctlogs;
	struct trust_ca *cas;

	if (!tlogs)
		return -ENOMEM;
	to->tlogs = tlogs;
	ctlogs = reallocarray(to->ctlogs, to->n_ctlogs + from->n_ctlogs + 1, sizeof(*ctlogs));
	if (!ctlogs)
		return -ENOMEM;
	to->ctlogs = ctlogs;
	cas = reallocarray(to->cas, to->n_cas + from->n_cas + 1, sizeof(*cas));
	if (!cas)
		return -ENOMEM;
	to->cas = cas;
	while (from->n_tlogs)
		to->tlogs[to->n_tlogs++] = from->tlogs[--from->n_tlogs];
	while (from->n_ctlogs)
		to->ctlogs[to->n_ctlogs++] = from->ctlogs[--from->n_ctlogs];
	while (from->n_cas)
		to->cas[to->n_cas++] = from->cas[--from->n_cas];
	return 0;
}

int policy_trust_add_root(struct policy_trust *t, struct bytes json, struct writer *why)
{
	struct opening o = { .why = why };
	struct trust_root *root = calloc(1, sizeof(*root));
	int r = root ? parse_root(&o, json, root) : -ENOMEM;

	if (r == 0 && t->root && (t->root->n_cas + root->n_cas > LIMIT_TRUST_ITEMS || t->root->n_tlogs + root->n_tlogs > LIMIT_TRUST_ITEMS ||
				  t->root->n_ctlogs + root->n_ctlogs > LIMIT_TRUST_ITEMS))
		r = refuse(&o, SIGNED_TOO_LARGE, "all trusted roots together name more than %u authorities or logs", LIMIT_TRUST_ITEMS);
	if (r == 0 && t->root)
		r = merge(t->root, root);
	else if (r == 0)
		t->root = TAKE_PTR(root);
	trust_root_free(&root);
	return r < 0 ? r : r > 0;
}
