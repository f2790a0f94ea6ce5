// SPDX-License-Identifier: Apache-2.0
/* Appended signatures of template ima-modsig. */
#include "policy_helper.h"

#include <openssl/cms.h>
#include <openssl/x509.h>

#include "lib/imasig_make.h"
#include "lib/tpm_make.h"

static EVP_PKEY *rsa, *ec, *other;
static struct keyring *ring;
static const uint8_t content[] = "a module";
#define CONTENT ((struct bytes){ content, sizeof(content) })

static void add(struct keyring *k, EVP_PKEY *key)
{
	cleanup_writer_ struct writer der = WRITER(4096);
	const char *why;

	make_key_der(&der, key);
	assert_int_equal(keyring_add(k, writer_view(&der), &why), 0);
}

static int make(void **state unused_)
{
	rsa = make_key(MADE_RSA_2048);
	ec = make_key(MADE_P256);
	other = make_key(MADE_P256);
	assert_int_equal(keyring_new(&ring), 0);
	add(ring, rsa);
	add(ring, ec);
	return 0;
}

static int drop(void **state unused_)
{
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(other);
	keyring_free(&ring);
	return 0;
}

/* As scripts/sign-file.c does it. */
static void sign_file(struct writer *w, EVP_PKEY *key, const EVP_MD *md, unsigned int flags)
{
	X509 *x = X509_new();
	BIO *bio = BIO_new_mem_buf(content, sizeof(content));
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_DETACHED | CMS_STREAM | CMS_NOCERTS);
	unsigned char *der = NULL;
	int n;

	assert_int_equal(X509_set_version(x, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"t", -1, -1, 0);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(x)), 1);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_non_null(CMS_add1_signer(cms, x, key, md, CMS_NOCERTS | CMS_BINARY | CMS_NOSMIMECAP | flags));
	assert_int_equal(CMS_final(cms, bio, NULL, CMS_NOCERTS | CMS_BINARY), 1);
	n = i2d_CMS_ContentInfo(cms, &der);
	assert_true(n > 0);
	write_bytes(w, der, (size_t)n);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	BIO_free(bio);
	X509_free(x);
}

static enum imasig_outcome check(const struct writer *pkcs7, const char *alg, struct bytes over)
{
	uint8_t digest[HASH_MAX_SIZE];
	enum hash_alg a;

	assert_true(hash_from_name((struct bytes){ (const uint8_t *)alg, strlen(alg) }, &a));
	hash_one(a, over.p, over.n, digest);
	return modsig_verify(ring, NULL, writer_view(pkcs7), (struct bytes){ (const uint8_t *)alg, strlen(alg) },
			     (struct bytes){ digest, hash_size(a) });
}

static void made_by_sign_file(void **state unused_)
{
	cleanup_writer_ struct writer a = WRITER(8192), b = WRITER(8192), c = WRITER(8192), d = WRITER(8192);

	sign_file(&a, rsa, EVP_sha256(), CMS_NOATTR);
	sign_file(&b, ec, EVP_sha512(), CMS_NOATTR);
	sign_file(&c, other, EVP_sha256(), CMS_NOATTR);
	sign_file(&d, rsa, EVP_sha256(), 0);
	assert_int_equal(check(&a, "sha256", CONTENT), IMASIG_OK);
	assert_int_equal(check(&b, "sha512", CONTENT), IMASIG_OK);
	assert_int_equal(check(&b, "sha256", CONTENT), IMASIG_INVALID); /* the signature is over another hash */
	assert_int_equal(check(&a, "sha256", BYTES("another module")), IMASIG_KEY_UNKNOWN);
	assert_int_equal(check(&c, "sha256", CONTENT), IMASIG_KEY_UNKNOWN);
	assert_int_equal(check(&d, "sha256", CONTENT), IMASIG_MALFORMED); /* signed attributes: not taken */
}

static void sha1_is_not_accepted(void **state unused_)
{
	cleanup_writer_ struct writer a = WRITER(8192);

	sign_file(&a, rsa, EVP_sha1(), CMS_NOATTR);
	assert_int_equal(check(&a, "sha1", CONTENT), IMASIG_INVALID);
}

static void damaged(void **state unused_)
{
	cleanup_writer_ struct writer a = WRITER(8192), more = WRITER(8192);
	uint8_t digest[32];

	sign_file(&a, ec, EVP_sha256(), CMS_NOATTR);
	hash_one(HASH_SHA256, content, sizeof(content), digest);
	for (size_t n = 0; n < a.n; n++)
		assert_int_equal(modsig_verify(ring, NULL, (struct bytes){ a.p, n }, BYTES("sha256"), (struct bytes){ digest, 32 }),
				 IMASIG_MALFORMED);
	write_bytes(&more, a.p, a.n);
	write_u8(&more, 0);
	assert_int_equal(check(&more, "sha256", CONTENT), IMASIG_MALFORMED);
	assert_int_equal(modsig_verify(ring, NULL, writer_view(&a), BYTES("sha256"), (struct bytes){ digest, 31 }), IMASIG_MALFORMED);
	a.p[a.n - 1] ^= 1;
	assert_int_not_equal(check(&a, "sha256", CONTENT), IMASIG_OK);
}

static void in_an_entry(void **state unused_)
{
	cleanup_writer_ struct writer pkcs7 = WRITER(8192), data = WRITER(1u << 16);
	cleanup_policy_ struct policy *p = policy_of("{}");
	struct ima_entry e = { .pcr = 10, .name = BYTES("ima-modsig") };
	struct appraisal a = { .policy = p, .keyring = ring };
	uint8_t d_modsig[8 + 32] = "sha256:";
	struct finding out[4];

	sign_file(&pkcs7, rsa, EVP_sha256(), CMS_NOATTR);
	hash_one(HASH_SHA256, content, sizeof(content), d_modsig + 8);
	make_ima_data(&data, BYTES("the module with its signature"), "/lib/x.ko", (struct bytes){ d_modsig, 0 });
	write_u32le(&data, sizeof(d_modsig));
	write_bytes(&data, d_modsig, sizeof(d_modsig));
	write_u32le(&data, (uint32_t)pkcs7.n);
	write_bytes(&data, pkcs7.p, pkcs7.n);
	e.data = writer_view(&data);
	assert_int_equal(appraise_entry(&a, &e, NULL, 3, out), 0);
	e.name = BYTES("d-ng|n-ng|sig|d-modsig|modsig");
	assert_true(appraise_entry(&a, &e, NULL, 3, out) > 0);
	e.name = BYTES("ima-modsig");
	a.keyring = NULL;
	assert_int_equal(appraise_entry(&a, &e, NULL, 3, out), 1);
	assert_int_equal(out[0].reason, REASON_DIGEST_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_by_sign_file),
		cmocka_unit_test(sha1_is_not_accepted),
		cmocka_unit_test(damaged),
		cmocka_unit_test(in_an_entry),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
