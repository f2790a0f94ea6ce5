// SPDX-License-Identifier: Apache-2.0
#include "lib/cert_make.h"

#include <openssl/conf.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Attribute types stand behind a prefix, since OpenSSL cuts off what is before the first dot. */
static const char sections[] = "[tpm]\n0.2.23.133.2.1=id:494D4153\n0.2.23.133.2.2=model one\n0.2.23.133.2.3=id:00010002\n"
			       "[other]\nCN=no tpm\n"
			       "[only]\nCN=good\n";

static void add_extension(X509 *cert, X509V3_CTX *ctx, CONF *conf, int nid, const char *value)
{
	X509_EXTENSION *e = value ? X509V3_EXT_nconf_nid(conf, ctx, nid, value) : NULL;

	if (!value)
		return;
	must(e && X509_add_ext(cert, e, -1));
	X509_EXTENSION_free(e);
}

static void add_extra(X509 *cert, const char *oid, bool critical)
{
	static const uint8_t empty[] = { 0x30, 0x00 };
	ASN1_OBJECT *type = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	must(type && value && ASN1_OCTET_STRING_set(value, empty, sizeof(empty)));
	e = X509_EXTENSION_create_by_OBJ(NULL, type, critical, value);
	must(e && X509_add_ext(cert, e, -1));
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(type);
}

static void add_extensions(X509 *cert, const struct made_cert *c)
{
	BIO *bio = BIO_new_mem_buf(sections, sizeof(sections) - 1);
	CONF *conf = NCONF_new(NULL);
	X509V3_CTX ctx;
	long line;

	must(bio && conf && NCONF_load_bio(conf, bio, &line) == 1);
	X509V3_set_ctx(&ctx, c->issuer ? c->issuer : cert, cert, NULL, NULL, 0);
	X509V3_set_nconf(&ctx, conf);
	add_extension(cert, &ctx, conf, NID_basic_constraints, c->basic);
	add_extension(cert, &ctx, conf, NID_key_usage, c->usage);
	add_extension(cert, &ctx, conf, NID_ext_key_usage, c->extended);
	add_extension(cert, &ctx, conf, NID_subject_alt_name, c->san);
	add_extension(cert, &ctx, conf, NID_name_constraints, c->constraints);
	if (c->extra_oid)
		add_extra(cert, c->extra_oid, c->extra_critical);
	NCONF_free(conf);
	BIO_free(bio);
}

static void set_name(X509_NAME *name, const char *text)
{
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)text, -1, -1, 0));
}

static void set_times(X509 *cert, const struct made_cert *c)
{
	bool year = c->not_before == 0 && c->not_after == 0;
	int64_t from = year ? -15768000 : c->not_before, to = year ? 15768000 : c->not_after;

	must(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)MADE_NOW + from) != NULL);
	must(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)MADE_NOW + to) != NULL);
}

X509 *make_cert(const struct made_cert *c)
{
	static long serial = 0x1000;
	X509 *cert = X509_new();

	must(cert && X509_set_version(cert, c->version_1 ? X509_VERSION_1 : X509_VERSION_3));
	must(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial));
	set_name(X509_get_subject_name(cert), c->subject);
	must(X509_set_issuer_name(cert, X509_get_subject_name(c->issuer ? c->issuer : cert)));
	set_times(cert, c);
	must(X509_set_pubkey(cert, c->key));
	if (!c->version_1)
		add_extensions(cert, c);
	must(X509_sign(cert, c->signer ? c->signer : c->key, c->md ? c->md : EVP_sha256()) > 0);
	return cert;
}

void make_cert_der(struct writer *w, X509 *cert)
{
	unsigned char *der = NULL;
	int n = i2d_X509(cert, &der);

	must(n > 0);
	write_bytes(w, der, (size_t)n);
	must(writer_status(w) == 0);
	OPENSSL_free(der);
}

void make_cert_pem(struct writer *w, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	must(bio && PEM_write_bio_X509(bio, cert));
	n = BIO_get_mem_data(bio, &text);
	write_bytes(w, text, (size_t)n);
	BIO_free(bio);
}
