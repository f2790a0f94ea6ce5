// SPDX-License-Identifier: Apache-2.0
/* What a certificate says about the TPM, for people. Source: TCG EK Credential Profile for TPM Family 2.0, 3.2.9. */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <stdio.h>
#include <time.h>

#include "tpm/certificate_private.h"

#define OID_MANUFACTURER "2.23.133.2.1"
#define OID_MODEL "2.23.133.2.2"
#define OID_VERSION "2.23.133.2.3"

DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(GENERAL_NAMES, GENERAL_NAMES_free)

/* Printable ASCII stays, the rest becomes '?'; what does not fit is left out. */
static void copy_text(char *dst, size_t size, struct bytes text)
{
	size_t n = MIN(text.n, size - 1);

	for (size_t i = 0; i < n; i++)
		dst[i] = text.p[i] >= ' ' && text.p[i] <= '~' ? (char)text.p[i] : '?';
	dst[n] = '\0';
}

static void copy_attribute(const X509_NAME_ENTRY *e, struct tpm_cert_facts *out)
{
	const ASN1_STRING *value = X509_NAME_ENTRY_get_data(e);
	struct bytes text = { ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value) };
	char oid[32] = "";

	if (OBJ_obj2txt(oid, sizeof(oid), X509_NAME_ENTRY_get_object(e), 1) <= 0)
		return;
	if (strcmp(oid, OID_MANUFACTURER) == 0)
		copy_text(out->manufacturer, sizeof(out->manufacturer), text);
	else if (strcmp(oid, OID_MODEL) == 0)
		copy_text(out->model, sizeof(out->model), text);
	else if (strcmp(oid, OID_VERSION) == 0)
		copy_text(out->version, sizeof(out->version), text);
}

static void tpm_attributes(X509 *cert, struct tpm_cert_facts *out)
{
	cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DIRNAME)
			continue;
		for (int k = 0; k < X509_NAME_entry_count(name->d.directoryName); k++)
			copy_attribute(X509_NAME_get_entry(name->d.directoryName, k), out);
	}
}

static void copy_issuer(X509 *cert, struct tpm_cert_facts *out)
{
	cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n;

	if (!bio || X509_NAME_print_ex(bio, X509_get_issuer_name(cert), 0, XN_FLAG_RFC2253) < 0)
		return;
	n = BIO_get_mem_data(bio, &text);
	if (n > 0)
		copy_text(out->issuer, sizeof(out->issuer), (struct bytes){ (const uint8_t *)text, (size_t)n });
}

static void copy_serial(X509 *cert, struct tpm_cert_facts *out)
{
	cleanup_(BIGNUM_freep) BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = n ? BN_bn2hex(n) : NULL;

	if (hex)
		snprintf(out->serial, sizeof(out->serial), "%s", hex);
	OPENSSL_free(hex);
}

void certificate_facts(X509 *cert, struct tpm_cert_facts *out)
{
	struct tm end;
	time_t t;

	tpm_attributes(cert, out);
	copy_issuer(cert, out);
	copy_serial(cert, out);
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) != 1)
		return;
	t = timegm(&end);
	out->not_after_s = t > 0 ? (uint64_t)t : 0;
}

bool certificate_names_tpm(X509 *cert)
{
	struct tpm_cert_facts f = { 0 };

	tpm_attributes(cert, &f);
	return f.manufacturer[0] != '\0';
}
