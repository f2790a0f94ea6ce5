// SPDX-License-Identifier: Apache-2.0
/* Does a certificate vouch for a key? RFC 5280 section 6 by OpenSSL, and what the TCG asks of the leaf. */
#include <openssl/err.h>

#include "tpm/certificate_private.h"
#include "tpm/der.h"
#include "tpm/public_area.h"

#define OID_EK_CERTIFICATE "2.23.133.8.1"  /* tcg-kp-EKCertificate */
#define OID_AIK_CERTIFICATE "2.23.133.8.3" /* tcg-kp-AIKCertificate */
/* OpenSSL's security level 2: 112 bits, so RSA from 2048 bits on, no MD5, no SHA-1 (X509_VERIFY_PARAM_set_auth_level(3)) */
#define AUTH_LEVEL 2

DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
DEFINE_CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free)
DEFINE_CLEANUP(EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free)

typedef STACK_OF(X509) x509_stack;

static void stack_freep(x509_stack **s)
{
	sk_X509_pop_free(*s, X509_free);
	*s = NULL;
}

struct verdict {
	int reason; /* 0, negative errno, enum reason of an EK certificate */
	const char *detail;
};

#define FINE ((struct verdict){ 0 })
#define OURS(err) ((struct verdict){ .reason = (err) })
#define NO(why, text) ((struct verdict){ .reason = REASON_EK_CERT_##why, .detail = (text) })

/* --- bytes ---------------------------------------------------------------------------------------------------------- */

static struct verdict parse(struct bytes der, X509 **out)
{
	const unsigned char *at = der.p;
	X509 *cert;

	if (der.n > LIMIT_CERT)
		return NO(INVALID, "a certificate larger than 8192 bytes");
	if (!der_strict(der))
		return NO(INVALID, "not a certificate in DER, or bytes behind it");
	cert = d2i_X509(NULL, &at, (long)der.n);
	if (!cert || at != der.p + der.n) {
		X509_free(cert);
		return NO(INVALID, "not an X.509 certificate");
	}
	*out = cert;
	return FINE;
}

/* Certificates one behind the other. */
static struct verdict parse_chain(struct bytes chain, x509_stack *out)
{
	struct reader r = reader_of(chain);

	if (chain.n > LIMIT_EK_CHAIN)
		return NO(INVALID, "intermediate certificates larger than 16384 bytes together");
	while (reader_left(&r)) {
		struct reader ahead = r;
		size_t n = der_length(read_rest(&ahead));
		X509 *cert = NULL;
		struct verdict v;

		if (sk_X509_num(out) == (int)LIMIT_EK_CHAIN_CERTS)
			return NO(INVALID, "more than 8 intermediate certificates");
		v = n ? parse(read_bytes(&r, n), &cert) : NO(INVALID, "the intermediate certificates are not DER");
		if (v.reason)
			return v;
		if (!sk_X509_push(out, cert)) {
			X509_free(cert);
			return OURS(-ENOMEM);
		}
	}
	return FINE;
}

/* --- the leaf ------------------------------------------------------------------------------------------------------- */

static struct verdict check_key(X509 *cert, struct bytes tpmt_public)
{
	cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	struct public_area area;
	EVP_PKEY *theirs = X509_get0_pubkey(cert);
	int r;

	if (tpm_public_parse(tpmt_public, &area) != QUOTE_OK)
		return NO(MISMATCH, "the TPM's key is not a TPMT_PUBLIC of an RSA or ECC key");
	r = tpm_public_evp(&area, &key);
	if (r < 0)
		return OURS(r);
	if (r != QUOTE_OK)
		return NO(MISMATCH, "the TPM's key is no public key");
	if (!theirs)
		return NO(INVALID, "the certificate's key is of a kind that is not known");
	return EVP_PKEY_eq(theirs, key) == 1 ? FINE : NO(MISMATCH, "the certificate is for another key");
}

static bool has_usage(X509 *cert, const char *oid, bool *present)
{
	cleanup_(EXTENDED_KEY_USAGE_freep) EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);

	*present = X509_get_ext_by_NID(cert, NID_ext_key_usage, -1) >= 0;
	for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++) {
		char text[32] = "";

		if (OBJ_obj2txt(text, sizeof(text), sk_ASN1_OBJECT_value(usage, i), 1) > 0 && strcmp(text, oid) == 0)
			return true;
	}
	return false;
}

static struct verdict check_form(X509 *cert)
{
	if (X509_get_version(cert) != X509_VERSION_3)
		return NO(INVALID, "not a certificate of X.509 version 3");
	if (X509_get_extension_flags(cert) & EXFLAG_INVALID)
		return NO(INVALID, "an extension of the certificate cannot be read or occurs twice");
	if (X509_get_extension_flags(cert) & EXFLAG_CA || X509_check_ca(cert) != 0)
		return NO(INVALID, "a CA's certificate, not one of a TPM's key");
	return FINE;
}

/* Key usage binds when it is there; the profile demands it, old chips lack it. The extended one may be left out by the
 * profile: then the subjectAltName, which the profile demands, must name a TPM. Otherwise any key that the same CA ever
 * certified for anything could be shown as an endorsement key. */
static struct verdict check_ek_leaf(X509 *cert)
{
	struct verdict v = check_form(cert);
	bool rsa = EVP_PKEY_get_base_id(X509_get0_pubkey(cert)) == EVP_PKEY_RSA, present;

	if (v.reason)
		return v;
	if (!(X509_get_key_usage(cert) & (uint32_t)(rsa ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT)))
		return NO(INVALID, rsa ? "its key usage does not allow key encipherment" :
					 "its key usage does not allow key agreement");
	if (!has_usage(cert, OID_EK_CERTIFICATE, &present) && present)
		return NO(INVALID, "its extended key usage is not tcg-kp-EKCertificate (2.23.133.8.1)");
	if (!present && !certificate_names_tpm(cert))
		return NO(INVALID, "neither its extended key usage nor its subjectAltName says that it is of a TPM");
	return FINE;
}

static struct verdict check_ak_leaf(X509 *cert)
{
	struct verdict v = check_form(cert);
	bool present;

	if (v.reason)
		return v;
	if (!(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
		return NO(INVALID, "its key usage does not allow signatures");
	if (!has_usage(cert, OID_AIK_CERTIFICATE, &present))
		return NO(INVALID, "its extended key usage is not tcg-kp-AIKCertificate (2.23.133.8.3)");
	return FINE;
}

/* --- the chain ------------------------------------------------------------------------------------------------------ */

/* An extension that OpenSSL does not do and we know to be harmless: subjectDirectoryAttributes (2.5.29.9), in which the
 * profile puts the TPM's specification. */
static bool criticals_known(X509 *cert)
{
	for (int i = 0; i < X509_get_ext_count(cert); i++) {
		X509_EXTENSION *e = X509_get_ext(cert, i);

		if (X509_EXTENSION_get_critical(e) && !X509_supported_extension(e) &&
		    OBJ_obj2nid(X509_EXTENSION_get_object(e)) != NID_subject_directory_attributes)
			return false;
	}
	return true;
}

static int on_fault(int ok, X509_STORE_CTX *ctx)
{
	if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION)
		return ok;
	return criticals_known(X509_STORE_CTX_get_current_cert(ctx));
}

static struct verdict verdict_of(X509_STORE_CTX *ctx)
{
	int err = X509_STORE_CTX_get_error(ctx);
	bool leaf = X509_STORE_CTX_get_error_depth(ctx) == 0;

	switch (err) {
	case X509_V_ERR_OUT_OF_MEM:
		return OURS(-ENOMEM);
	case X509_V_ERR_UNSPECIFIED:
	case X509_V_ERR_INVALID_CALL:
	case X509_V_ERR_STORE_LOOKUP:
		return OURS(-EIO);
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return NO(EXPIRED, leaf ? "the certificate has expired" : "the certificate of a CA above it has expired");
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return NO(EXPIRED, leaf ? "the certificate is not valid yet" : "the certificate of a CA above it is not valid yet");
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return NO(UNTRUSTED, leaf ? "no CA of --ek-ca and no intermediate certificate issued it" :
					    "no CA of --ek-ca issued its topmost intermediate certificate");
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return NO(UNTRUSTED, "it leads to a self-signed certificate that is not in --ek-ca");
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return NO(UNTRUSTED, "a signature on the way is not of the CA that is named there");
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REJECTED:
		return NO(UNTRUSTED, "the CA is not trusted for this");
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return NO(INVALID, "a signature on the way uses a weak hash (SHA-1 or MD5)");
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_EE_KEY_TOO_SMALL:
		return NO(INVALID, "a key on the way is too short");
	default: /* form, purpose, path length, name constraints, ...: OpenSSL's texts are static */
		return NO(INVALID, X509_verify_cert_error_string(err));
	}
}

/* Those in between came with the evidence: OpenSSL takes some without basicConstraints for CAs, we do not. */
static struct verdict check_between(X509_STORE_CTX *ctx)
{
	const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

	for (int i = 1; i < sk_X509_num(chain) - 1; i++)
		if (X509_check_ca(sk_X509_value(chain, i)) != 1)
			return NO(INVALID, "an intermediate certificate is not a CA's");
	return FINE;
}

static struct verdict verify(const struct tpm_cas *c, X509 *cert, x509_stack *between, uint64_t now_s)
{
	cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;

	if (!ctx || X509_STORE_CTX_init(ctx, c->store, cert, between) != 1)
		return OURS(-ENOMEM);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	X509_VERIFY_PARAM_set_depth(param, (int)LIMIT_EK_CHAIN_CERTS);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST) != 1)
		return OURS(-ENOMEM);
	X509_STORE_CTX_set_verify_cb(ctx, on_fault);
	if (X509_verify_cert(ctx) != 1)
		return verdict_of(ctx);
	return check_between(ctx);
}

/* --- all together --------------------------------------------------------------------------------------------------- */

typedef struct verdict (*leaf_rule)(X509 *cert);

static struct verdict check(const struct tpm_cas *c, struct bytes key, struct bytes der, struct bytes chain, uint64_t now_s,
			    leaf_rule rule, struct tpm_cert_facts *facts)
{
	cleanup_(X509_freep) X509 *cert = NULL;
	cleanup_(stack_freep) x509_stack *between = sk_X509_new_null();
	struct verdict v = parse(der, &cert);

	if (!between)
		return OURS(-ENOMEM);
	if (v.reason)
		return v;
	if (facts)
		certificate_facts(cert, facts);
	v = check_key(cert, key);
	if (v.reason == 0)
		v = rule(cert);
	if (v.reason == 0)
		v = parse_chain(chain, between);
	return v.reason ? v : verify(c, cert, between, now_s);
}

static struct verdict check_marked(const struct tpm_cas *c, struct bytes key, struct bytes der, struct bytes chain,
				   uint64_t now_s, leaf_rule rule, struct tpm_cert_facts *facts)
{
	struct verdict v;

	if (facts)
		*facts = (struct tpm_cert_facts){ 0 };
	if (der.n == 0)
		return NO(MISSING, "no certificate");
	ERR_set_mark();
	v = check(c, key, der, chain, now_s, rule, facts);
	ERR_pop_to_mark();
	return v;
}

int tpm_ek_cert_check(const struct tpm_cas *c, struct bytes ek_public, struct bytes cert, struct bytes chain, uint64_t now_s,
		      struct tpm_cert_facts *facts, const char **detail)
{
	struct verdict v = check_marked(c, ek_public, cert, chain, now_s, check_ek_leaf, facts);

	*detail = v.detail ? v.detail : "";
	return v.reason;
}

int tpm_ak_cert_check(const struct tpm_cas *c, struct bytes ak_public, struct bytes cert, struct bytes chain, uint64_t now_s,
		      struct tpm_cert_facts *facts, const char **detail)
{
	struct verdict v = check_marked(c, ak_public, cert, chain, now_s, check_ak_leaf, facts);

	*detail = v.detail ? v.detail : "";
	if (v.reason == REASON_EK_CERT_UNTRUSTED) /* whose texts are of endorsement keys */
		*detail = "it does not lead to a CA of --iak-ca, or of --ek-ca when there is no --iak-ca";
	return v.reason > 0 ? REASON_IAK_CERT_INVALID : v.reason;
}

bool tpm_cert_is_for(struct bytes cert, struct bytes tpmt_public)
{
	cleanup_(X509_freep) X509 *x = NULL;
	bool yes;

	ERR_set_mark();
	yes = parse(cert, &x).reason == 0 && check_key(x, tpmt_public).reason == 0;
	ERR_pop_to_mark();
	return yes;
}
