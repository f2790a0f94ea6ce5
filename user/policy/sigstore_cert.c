// SPDX-License-Identifier: Apache-2.0
/* The signer's certificate: RFC 5280 path to an authority of the trusted root at the time of signing, code signing, the
 * certificate log's stamp (RFC 6962), and who it names (github.com/sigstore/fulcio/blob/main/docs/oid-info.md). */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "policy/sigstore_private.h"

#define OID_ISSUER_V1 "1.3.6.1.4.1.57264.1.1" /* raw bytes */
#define OID_ISSUER_V2 "1.3.6.1.4.1.57264.1.8" /* UTF8String */
#define OID_OTHER_NAME "1.3.6.1.4.1.57264.1.7" /* a user name as otherName */
#define OID_SCT_LIST "1.3.6.1.4.1.11129.2.4.2"

/* ---- extensions ---- */

/* The value of the extension with that OID. 1 there, 0 absent, -1 given more than once, -2 no memory. */
static int find_extension(X509 *x, const char *oid, struct bytes *value)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	const ASN1_OCTET_STRING *data;
	int at;

	if (!object)
		return -2;
	at = X509_get_ext_by_OBJ(x, object, -1);
	if (at >= 0 && X509_get_ext_by_OBJ(x, object, at) >= 0) {
		ASN1_OBJECT_free(object);
		return -1;
	}
	ASN1_OBJECT_free(object);
	if (at < 0)
		return 0;
	data = X509_EXTENSION_get_data(X509_get_ext(x, at));
	*value = (struct bytes){ ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data) };
	return 1;
}

static bool has_code_signing(X509 *x)
{
	return (X509_get_extension_flags(x) & EXFLAG_XKUSAGE) && (X509_get_extended_key_usage(x) & XKU_CODE_SIGN);
}

/* ---- path ---- */

static bool push_certificate(STACK_OF(X509) *to, X509 *x)
{
	if (X509_up_ref(x) != 1)
		return false;
	if (sk_X509_push(to, x) > 0)
		return true;
	X509_free(x);
	return false;
}

/* Every authority of the path that is limited in what it certifies may do code signing. 0 with the leaf's issuer. */
static int take_issuer(STACK_OF(X509) *path, X509 **issuer)
{
	X509 *above = sk_X509_value(path, 1);

	for (int i = 1; i < sk_X509_num(path); i++)
		if ((X509_get_extension_flags(sk_X509_value(path, i)) & EXFLAG_XKUSAGE) && !has_code_signing(sk_X509_value(path, i)))
			return X509_V_ERR_INVALID_PURPOSE;
	if (!above || X509_up_ref(above) != 1)
		return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT;
	*issuer = above;
	return 0;
}

/* Path building with the authority's last certificate as the only anchor. 0 with the leaf's issuer (a reference), or an
 * error of X509_verify_cert(), or -ENOMEM. */
static int build_path(X509 *leaf, const struct trust_ca *ca, uint64_t at_s, X509 **issuer)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *between = sk_X509_new_null();
	int r = -ENOMEM;
	bool ok = store && ctx && between && X509_STORE_add_cert(store, ca->chain[ca->n - 1]) == 1;

	for (size_t i = 0; ok && i + 1 < ca->n; i++)
		ok = push_certificate(between, ca->chain[i]);
	if (ok && X509_STORE_CTX_init(ctx, store, leaf, between) == 1) {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

		X509_VERIFY_PARAM_set_time(param, (time_t)at_s);
		(void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
		X509_VERIFY_PARAM_set_auth_level(param, 2); /* 112 bits: no SHA-1, no short keys */
		if (X509_verify_cert(ctx) == 1) {
			r = take_issuer(X509_STORE_CTX_get0_chain(ctx), issuer);
		} else {
			r = X509_STORE_CTX_get_error(ctx);
			if (r == X509_V_ERR_OUT_OF_MEM)
				r = -ENOMEM;
		}
	}
	sk_X509_pop_free(between, X509_free);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return r;
}

static bool is_time_error(int error)
{
	return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
}

/* Tries each authority. 0 with the issuer, positive said, or negative. */
static int check_path(struct opening *o, X509 *leaf, uint64_t at_s, X509 **issuer)
{
	const struct trust_root *root = o->trust->root;
	bool out_of_time = false;
	int worst = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;

	for (size_t i = 0; i < root->n_cas; i++) {
		int r = build_path(leaf, &root->cas[i], at_s, issuer);

		if (r == 0 && span_has(&root->cas[i].span, at_s))
			return 0;
		if (r < 0)
			return r;
		if (r == 0) {
			X509_free(*issuer);
			*issuer = NULL;
		}
		out_of_time |= r == 0 || is_time_error(r);
		if (r > 0 && r != X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)
			worst = r;
	}
	if (out_of_time)
		return refuse(o, SIGNED_CERT_TIME, "the signer's certificate or its authority was not valid when the log took the signature in");
	return refuse(o, SIGNED_CHAIN, "no authority of the trusted root issued the signer's certificate: %s",
		      X509_verify_cert_error_string(worst));
}

static int check_purpose(struct opening *o, X509 *leaf)
{
	if (X509_check_ca(leaf) || (X509_get_extension_flags(leaf) & EXFLAG_CA))
		return refuse(o, SIGNED_CHAIN, "the signer's certificate is that of an authority");
	if (!has_code_signing(leaf))
		return refuse(o, SIGNED_CHAIN, "the signer's certificate is not for code signing");
	if (!(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE))
		return refuse(o, SIGNED_CHAIN, "the signer's certificate is not for digital signatures");
	return 0;
}

/* ---- identity ---- */

static bool copy_name(char out[LIMIT_SIGNER_IDENTITY + 1], struct bytes b)
{
	if (b.n == 0 || b.n > LIMIT_SIGNER_IDENTITY || memchr(b.p, 0, b.n))
		return false;
	bytes_copy(out, b.p, b.n);
	out[b.n] = '\0';
	return true;
}

static struct bytes string_of(const ASN1_STRING *s)
{
	return (struct bytes){ ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) };
}

static bool general_name(const GENERAL_NAME *name, char out[LIMIT_SIGNER_IDENTITY + 1])
{
	char oid[64];

	switch (name->type) {
	case GEN_EMAIL:
		return copy_name(out, string_of(name->d.rfc822Name));
	case GEN_URI:
		return copy_name(out, string_of(name->d.uniformResourceIdentifier));
	case GEN_OTHERNAME:
		return OBJ_obj2txt(oid, sizeof(oid), name->d.otherName->type_id, 1) > 0 && strcmp(oid, OID_OTHER_NAME) == 0 &&
		       name->d.otherName->value->type == V_ASN1_UTF8STRING &&
		       copy_name(out, string_of(name->d.otherName->value->value.utf8string));
	default:
		return false;
	}
}

/* The certificate must name exactly one subject: with more, which one signed would be a matter of taste. */
static bool read_identity(X509 *leaf, char out[LIMIT_SIGNER_IDENTITY + 1])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	bool ok = names && sk_GENERAL_NAME_num(names) == 1 && general_name(sk_GENERAL_NAME_value(names, 0), out);

	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return ok;
}

/* 0, SIGNED_MALFORMED (not said), or -ENOMEM. Given in both forms, both must say the same. */
static int read_issuer(X509 *leaf, char out[LIMIT_SIGNER_IDENTITY + 1])
{
	struct bytes v1 = { NULL, 0 }, v2 = { NULL, 0 };
	int has1 = find_extension(leaf, OID_ISSUER_V1, &v1), has2 = find_extension(leaf, OID_ISSUER_V2, &v2);
	const unsigned char *p = v2.p;
	ASN1_UTF8STRING *text;
	bool ok;

	if (has1 == -2 || has2 == -2)
		return -ENOMEM;
	if (has1 < 0 || has2 < 0 || has1 + has2 == 0)
		return SIGNED_MALFORMED;
	if (!has2)
		return copy_name(out, v1) ? 0 : SIGNED_MALFORMED;
	text = d2i_ASN1_UTF8STRING(NULL, &p, (long)v2.n);
	ok = text && p == v2.p + v2.n && copy_name(out, string_of(text)) && (!has1 || bytes_are(v1, out));
	ASN1_UTF8STRING_free(text);
	ERR_clear_error();
	return ok ? 0 : SIGNED_MALFORMED;
}

int identity_check(struct opening *o, X509 *leaf)
{
	struct policy_signer *who = &o->who;
	int r = read_issuer(leaf, who->issuer);

	if (r < 0)
		return r;
	if (r > 0 || !read_identity(leaf, who->identity))
		return refuse(o, SIGNED_IDENTITY, "the signer's certificate does not name one subject (e-mail or URI) and its issuer");
	for (size_t i = 0; i < o->trust->n_identities; i++)
		if (strcmp(o->trust->identities[i].identity, who->identity) == 0 &&
		    strcmp(o->trust->identities[i].issuer, who->issuer) == 0)
			return key_name(X509_get0_pubkey(leaf), who->key);
	who->form = SIGNED_FORM_BUNDLE;
	who->signatures = 1;
	r = refuse(o, SIGNED_IDENTITY, "well signed, but by someone else: ");
	if (o->why)
		policy_signer_describe(who, o->why);
	return r;
}

/* ---- certificate time stamps ---- */

struct sct {
	uint8_t log_id[32];
	uint64_t time_ms;
	struct bytes extensions, sig;
};

/* RFC 6962 section 3.2, version 1, ECDSA with SHA-256. */
static bool parse_sct(struct bytes b, struct sct *s)
{
	struct reader r = reader_of(b);
	bool known = read_u8(&r) == 0;

	read_copy(&r, s->log_id, sizeof(s->log_id));
	s->time_ms = read_u64be(&r);
	s->extensions = read_bytes(&r, read_u16be(&r));
	known &= read_u16be(&r) == 0x0403;
	s->sig = read_bytes(&r, read_u16be(&r));
	return reader_done(&r) && known && s->sig.n;
}

/* The tbsCertificate that the log saw: without the list of stamps (section 3.2, PreCert). */
static int write_precert(X509 *leaf, struct writer *out)
{
	ASN1_OBJECT *oid = OBJ_txt2obj(OID_SCT_LIST, 1);
	X509 *copy = X509_dup(leaf);
	unsigned char *der = NULL;
	int at = oid && copy ? X509_get_ext_by_OBJ(copy, oid, -1) : -1, n = 0;

	if (at >= 0) {
		X509_EXTENSION_free(X509_delete_ext(copy, at));
		n = i2d_re_X509_tbs(copy, &der);
	}
	if (n > 0) {
		write_u8(out, (uint8_t)((uint32_t)n >> 16));
		write_u16be(out, (uint16_t)n);
		write_bytes(out, der, (size_t)n);
	}
	OPENSSL_free(der);
	X509_free(copy);
	ASN1_OBJECT_free(oid);
	return n > 0 ? writer_status(out) : -ENOMEM;
}

/* digitally-signed struct of section 3.2. */
static int write_stamped(const struct sct *s, const uint8_t issuer_hash[32], struct bytes precert, struct writer *out)
{
	write_u8(out, 0);	  /* v1 */
	write_u8(out, 0);	  /* certificate_timestamp */
	write_u64be(out, s->time_ms);
	write_u16be(out, 1);	  /* precert_entry */
	write_bytes(out, issuer_hash, 32);
	write_bytes(out, precert.p, precert.n);
	write_u16be(out, (uint16_t)s->extensions.n);
	write_bytes(out, s->extensions.p, s->extensions.n);
	return writer_status(out);
}

/* SHA-256 over the issuer's subjectPublicKeyInfo as its certificate has it. */
static int issuer_key_hash(X509 *issuer, uint8_t out[32])
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer), &der);

	if (n <= 0)
		return -ENOMEM;
	hash_one(HASH_SHA256, der, (size_t)n, out);
	OPENSSL_free(der);
	return 0;
}

/* 0, with *vouched when a log of the root stands behind it (unknown logs do not count); SIGNED_SCT said, or negative. */
static int check_stamp(struct opening *o, const struct sct *s, const uint8_t issuer_hash[32], struct bytes precert, bool *vouched)
{
	cleanup_writer_ struct writer message = WRITER(2 * LIMIT_CERT + LIMIT_SCT_LIST);
	const struct trust_root *root = o->trust->root;
	const struct trust_log *log;
	bool known;
	int r;

	log = trust_log_find(root->ctlogs, root->n_ctlogs, s->log_id, s->time_ms / 1000, &known);
	if (!log)
		return 0;
	r = write_stamped(s, issuer_hash, precert, &message);
	if (r < 0)
		return r;
	if (!log_key_verifies(log->key, writer_view(&message), s->sig))
		return refuse(o, SIGNED_SCT, "a certificate log's stamp in the signer's certificate is wrong");
	*vouched = true;
	return 0;
}

/* The extension's content: an OCTET STRING around a list with 16-bit lengths. */
static int check_stamps(struct opening *o, struct bytes value, const uint8_t issuer_hash[32], struct bytes precert)
{
	const unsigned char *p = value.p;
	ASN1_OCTET_STRING *inner = value.n <= LIMIT_SCT_LIST ? d2i_ASN1_OCTET_STRING(NULL, &p, (long)value.n) : NULL;
	struct reader r = reader_over(NULL, 0), list;
	bool vouched = false, ok = inner && p == value.p + value.n;
	int code = 0;

	ERR_clear_error();
	if (ok)
		r = reader_of(string_of(inner));
	list = reader_of(read_bytes(&r, read_u16be(&r)));
	ok = ok && reader_done(&r);
	while (ok && code == 0 && reader_left(&list)) {
		struct bytes one = read_bytes(&list, read_u16be(&list));
		struct sct s;

		ok = reader_ok(&list) && parse_sct(one, &s);
		if (ok)
			code = check_stamp(o, &s, issuer_hash, precert, &vouched);
	}
	ASN1_OCTET_STRING_free(inner);
	if (code)
		return code;
	if (!ok)
		return refuse(o, SIGNED_SCT, "the certificate log's stamps in the signer's certificate are malformed");
	return vouched ? 0 : refuse(o, SIGNED_SCT, "%s", policy_signed_text(SIGNED_SCT));
}

int sct_check(struct opening *o, X509 *leaf, X509 *issuer)
{
	cleanup_writer_ struct writer precert = WRITER(LIMIT_CERT + 3);
	struct bytes value = { NULL, 0 };
	uint8_t issuer_hash[32];
	int r;

	if (o->trust->root->n_ctlogs == 0)
		return 0;
	r = find_extension(leaf, OID_SCT_LIST, &value);
	if (r == -2)
		return -ENOMEM;
	if (r != 1)
		return refuse(o, SIGNED_SCT, r ? "the signer's certificate has its list of certificate log stamps twice" :
						 "the signer's certificate has no stamp of a certificate log");
	r = write_precert(leaf, &precert);
	if (r == 0)
		r = issuer_key_hash(issuer, issuer_hash);
	return r ? r : check_stamps(o, value, issuer_hash, writer_view(&precert));
}

/* ---- all of it ---- */

int certificate_check(struct opening *o, X509 *leaf, uint64_t at_s)
{
	X509 *issuer = NULL;
	int r = check_path(o, leaf, at_s, &issuer);

	if (r == 0)
		r = check_purpose(o, leaf);
	if (r == 0)
		r = sct_check(o, leaf, issuer);
	if (r == 0)
		r = identity_check(o, leaf);
	X509_free(issuer);
	return r;
}
