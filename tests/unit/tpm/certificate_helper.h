/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, CAs and a judge for the tests of certificates. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/test.h"

#include "base/text.h"
#include "lib/cert_make.h"
#include "lib/tpm_make.h"
#include "tpm/certificate.h"

static EVP_PKEY *root_key, *mid_key, *other_key, *ek_rsa, *ek_ecc, *ek_p384, *ak_key, *weak_key;
static X509 *root, *mid, *other_root;
static struct writer public_rsa = WRITER(4096), public_ecc = WRITER(4096), public_p384 = WRITER(4096),
		     public_ak = WRITER(4096), der = WRITER(1u << 20), chain = WRITER(1u << 20);
static char folder[256];
static struct tpm_cas *root_cas; /* the one that nearly all want */

static unused_ void store(const char *name, X509 *cert)
{
	cleanup_writer_ struct writer w = WRITER(65536);
	char path[512];

	make_cert_pem(&w, cert);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(write_file_atomic(path, writer_view(&w), 0600), 0);
}

static unused_ int prepare(void **state)
{
	struct made_public ek = MADE_EK, ak = MADE_AK(0x0018);
	const char *base = getenv("TMPDIR");

	(void)state;
	root_key = make_key(MADE_P256);
	mid_key = make_key(MADE_RSA_2048);
	other_key = make_key(MADE_P256);
	ek_rsa = make_key(MADE_RSA_2048);
	ek_ecc = make_key(MADE_P256);
	ek_p384 = make_key(MADE_P384);
	ak_key = make_key(MADE_P256);
	weak_key = make_key(MADE_RSA_1024);
	make_public(&public_rsa, ek_rsa, &ek);
	make_public(&public_ecc, ek_ecc, &ek);
	ek.name_alg = 0x000c;
	ek.symmetric_bits = 256;
	make_public(&public_p384, ek_p384, &ek);
	make_public(&public_ak, ak_key, &ak);
	root = make_cert(&(struct made_cert)MADE_CA("root", root_key));
	other_root = make_cert(&(struct made_cert)MADE_CA("root", other_key)); /* the same name */
	mid = make_cert(&(struct made_cert){ .subject = "intermediate", .key = mid_key, .issuer = root, .signer = root_key,
					     .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign" });
	snprintf(folder, sizeof(folder), "%s/imastream-certs-XXXXXX", base && *base ? base : "/tmp");
	assert_non_null(mkdtemp(folder));
	return 0;
}

static unused_ int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st, (void)flag, (void)at;
	return remove(path);
}

static unused_ int tidy(void **state)
{
	EVP_PKEY *keys[] = { root_key, mid_key, other_key, ek_rsa, ek_ecc, ek_p384, ak_key, weak_key };

	(void)state;
	tpm_cas_free(&root_cas);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		EVP_PKEY_free(keys[i]);
	X509_free(root);
	X509_free(mid);
	X509_free(other_root);
	writer_free(&public_rsa);
	writer_free(&public_ecc);
	writer_free(&public_p384);
	writer_free(&public_ak);
	writer_free(&der);
	writer_free(&chain);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* --- helpers -------------------------------------------------------------------------------------------------------- */

static unused_ struct tpm_cas *cas_with(X509 *cert)
{
	cleanup_writer_ struct writer why = WRITER(4096);
	struct tpm_cas *c = NULL;
	char path[512];

	assert_int_equal(tpm_cas_new(&c), 0);
	if (!cert)
		return c;
	store("ca.pem", cert);
	snprintf(path, sizeof(path), "%s/ca.pem", folder);
	if (tpm_cas_load(c, path, &why) != 0)
		fail_msg("%s", writer_cstr(&why));
	assert_int_equal(tpm_cas_count(c), 1);
	return c;
}

static unused_ const char *last_detail;

static unused_ int judge(X509 *ca, struct bytes public, struct bytes cert, struct bytes between)
{
	cleanup_tpm_cas_ struct tpm_cas *own = NULL;
	int r;

	if (ca != root)
		own = cas_with(ca);
	else if (!root_cas)
		root_cas = cas_with(root);
	last_detail = NULL;
	r = tpm_ek_cert_check(own ? own : root_cas, public, cert, between, MADE_NOW, NULL, &last_detail);
	assert_non_null(last_detail);
	assert_int_equal(r != 0, *last_detail != '\0');
	return r;
}

static unused_ int judge_made(X509 *ca, struct writer *public, const struct made_cert *leaf, struct bytes between)
{
	X509 *cert = make_cert(leaf);

	writer_reset(&der);
	make_cert_der(&der, cert);
	X509_free(cert);
	return judge(ca, writer_view(public), writer_view(&der), between);
}

static unused_ struct bytes between(X509 *one, X509 *two)
{
	writer_reset(&chain);
	if (one)
		make_cert_der(&chain, one);
	if (two)
		make_cert_der(&chain, two);
	return writer_view(&chain);
}

#define NONE ((struct bytes){ 0 })
/* A good certificate of the RSA EK, by the intermediate CA. */
#define GOOD                                                                                               \
	{ .subject = "ek", .key = ek_rsa, .issuer = mid, .signer = mid_key, .basic = "critical,CA:FALSE",  \
	  .usage = "critical,keyEncipherment", .extended = "2.23.133.8.1", .san = MADE_TPM_SAN }

static unused_ void expect(int want, const struct made_cert *leaf, const char *says)
{
	int r = judge_made(root, &public_rsa, leaf, between(mid, NULL));

	if (r != want || !strstr(last_detail, says))
		fail_msg("%s, '%s'; not %s, '%s'", r < 0 ? "errno" : reason_name((unsigned int)r), last_detail,
			 reason_name((unsigned int)want), says);
}
