// SPDX-License-Identifier: Apache-2.0
/* Certificates of attestation keys, and certificates in files. */
#include "unit/tpm/certificate_helper.h"

/* --- attestation keys ----------------------------------------------------------------------------------------------- */

static int judge_ak(const struct made_cert *leaf, struct writer *public)
{
	cleanup_tpm_cas_ struct tpm_cas *c = cas_with(root);
	X509 *cert = make_cert(leaf);
	const char *detail = NULL;
	int r;

	writer_reset(&der);
	make_cert_der(&der, cert);
	X509_free(cert);
	r = tpm_ak_cert_check(c, writer_view(public), writer_view(&der), between(mid, NULL), MADE_NOW, NULL, &detail);
	assert_int_equal(r != 0, *detail != '\0');
	return r;
}

static void attestation_keys(void **state)
{
	const struct made_cert good = { .subject = "iak", .key = ak_key, .issuer = mid, .signer = mid_key,
					.basic = "critical,CA:FALSE", .usage = "critical,digitalSignature",
					.extended = "2.23.133.8.3" };
	struct made_cert leaf = good;
	cleanup_tpm_cas_ struct tpm_cas *c = cas_with(root);
	const char *detail;

	(void)state;
	assert_int_equal(judge_ak(&leaf, &public_ak), 0);
	assert_true(tpm_cert_is_for(writer_view(&der), writer_view(&public_ak)));
	assert_false(tpm_cert_is_for(writer_view(&der), writer_view(&public_rsa)));
	assert_false(tpm_cert_is_for(BYTES("x"), writer_view(&public_rsa)));
	assert_int_equal(judge_ak(&leaf, &public_ecc), REASON_IAK_CERT_INVALID);
	leaf.usage = NULL;
	assert_int_equal(judge_ak(&leaf, &public_ak), 0);
	leaf.extended = NULL;
	assert_int_equal(judge_ak(&leaf, &public_ak), REASON_IAK_CERT_INVALID);
	leaf.extended = "2.23.133.8.1";
	assert_int_equal(judge_ak(&leaf, &public_ak), REASON_IAK_CERT_INVALID);
	leaf = good;
	leaf.usage = "critical,keyAgreement";
	assert_int_equal(judge_ak(&leaf, &public_ak), REASON_IAK_CERT_INVALID);
	leaf = good;
	leaf.basic = "critical,CA:TRUE";
	assert_int_equal(judge_ak(&leaf, &public_ak), REASON_IAK_CERT_INVALID);
	leaf = good;
	leaf.not_before = -10;
	leaf.not_after = -5;
	assert_int_equal(judge_ak(&leaf, &public_ak), REASON_IAK_CERT_INVALID);
	leaf = good;
	leaf.issuer = other_root;
	leaf.signer = other_key;
	assert_int_equal(judge_ak(&leaf, &public_ak), REASON_IAK_CERT_INVALID);
	assert_int_equal(tpm_ak_cert_check(c, writer_view(&public_ak), NONE, NONE, MADE_NOW, NULL, &detail),
			 REASON_IAK_CERT_INVALID);
}

/* --- files ---------------------------------------------------------------------------------------------------------- */

static int load(const char *name, size_t *count, const char *says)
{
	cleanup_tpm_cas_ struct tpm_cas *c = NULL;
	cleanup_writer_ struct writer why = WRITER(4096);
	char path[512];
	int r;

	snprintf(path, sizeof(path), "%s%s%s", folder, *name ? "/" : "", name);
	assert_int_equal(tpm_cas_new(&c), 0);
	r = tpm_cas_load(c, path, &why);
	*count = tpm_cas_count(c);
	if (r != 0 && (!strstr(writer_cstr(&why), path) || !strstr(writer_cstr(&why), says)))
		fail_msg("'%s' does not say '%s'", writer_cstr(&why), says);
	return r;
}

static void put(const char *name, struct bytes b)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(write_file_atomic(path, b, 0600), 0);
}

static void remove_file(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(unlink(path), 0);
}

static void files_and_folders(void **state)
{
	cleanup_writer_ struct writer pem = WRITER(1u << 20), bin = WRITER(65536), key = WRITER(65536);
	struct made_cert leaf = GOOD;
	X509 *cert = make_cert(&leaf);
	char path[512];
	size_t n;

	(void)state;
	write_fmt(&pem, "a comment\n");
	make_cert_pem(&pem, root);
	write_fmt(&pem, "\nanother\n");
	make_cert_pem(&pem, mid);
	put("two.pem", writer_view(&pem));
	assert_int_equal(load("two.pem", &n, ""), 0);
	assert_int_equal(n, 2);
	write_bytes(&pem, "-----BEGIN CERTIFICATE-----\nMIIB\n", 33);
	put("cut.txt", writer_view(&pem));
	assert_int_equal(load("cut.txt", &n, "not certificates"), 1);
	make_cert_der(&bin, other_root);
	put("one.CER", writer_view(&bin));
	assert_int_equal(load("one.CER", &n, ""), 0);
	assert_int_equal(n, 1);
	write_u8(&bin, 0);
	put("long.txt", writer_view(&bin));
	assert_int_equal(load("long.txt", &n, "not certificates"), 1);
	put("empty.txt", NONE);
	assert_int_equal(load("empty.txt", &n, "not certificates"), 1);
	writer_reset(&bin);
	make_cert_pem(&bin, cert);
	put("leaf.txt", writer_view(&bin));
	assert_int_equal(load("leaf.txt", &n, "not a CA's"), 1);
	X509_free(cert);
	assert_int_equal(load("nothing", &n, "No such file"), -ENOENT);

	/* a folder: what has a certificate's name; a key beside it is passed over, a broken one is not */
	make_pem(&key, root_key);
	put("key.pem", writer_view(&key));
	put("ca.pem", writer_view(&pem)); /* cut: from cas_with() */
	assert_int_equal(load("", &n, "ca.pem"), 1);
	remove_file("ca.pem");
	assert_int_equal(load("", &n, ""), 0);
	assert_int_equal(n, 3); /* two.pem and one.CER */
	assert_int_equal(load("key.pem", &n, "not certificates"), 1); /* named by itself it must be one */
	snprintf(path, sizeof(path), "%s/sub", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(load("sub", &n, "a folder without"), 1);
	put("sub/key.pem", writer_view(&key));
	assert_int_equal(load("sub", &n, "a folder without"), 1);
}

/* LIMIT_EK_CAS, and one more */
static void so_many_cas(void **state)
{
	cleanup_tpm_cas_ struct tpm_cas *c = NULL;
	cleanup_writer_ struct writer why = WRITER(4096), pem = WRITER(4u << 20);
	struct made_cert ca = MADE_CA(NULL, root_key);
	char path[512], name[32];

	(void)state;
	for (unsigned int i = 0; i < LIMIT_EK_CAS; i++) {
		X509 *cert;

		snprintf(name, sizeof(name), "ca %u", i);
		ca.subject = name;
		cert = make_cert(&ca);
		make_cert_pem(&pem, cert);
		X509_free(cert);
	}
	put("many.txt", writer_view(&pem));
	snprintf(path, sizeof(path), "%s/many.txt", folder);
	assert_int_equal(tpm_cas_new(&c), 0);
	assert_int_equal(tpm_cas_load(c, path, &why), 0);
	assert_int_equal(tpm_cas_count(c), LIMIT_EK_CAS);
	store("more.txt", root);
	snprintf(path, sizeof(path), "%s/more.txt", folder);
	assert_int_equal(tpm_cas_load(c, path, &why), 1);
	assert_non_null(strstr(writer_cstr(&why), "more certificates"));
}

static void a_keys_own_file(void **state)
{
	cleanup_writer_ struct writer pem = WRITER(65536), cert = WRITER(LIMIT_CERT), more = WRITER(LIMIT_EK_CHAIN),
				      want = WRITER(65536);
	struct made_cert leaf = GOOD;
	X509 *x = make_cert(&leaf);

	(void)state;
	make_cert_pem(&pem, x);
	make_cert_pem(&pem, mid);
	make_cert_pem(&pem, root);
	assert_int_equal(tpm_cert_from_file(writer_view(&pem), &cert, &more), 0);
	make_cert_der(&want, x);
	assert_int_equal(cert.n, want.n);
	assert_memory_equal(cert.p, want.p, want.n);
	between(mid, root);
	assert_int_equal(more.n, chain.n);
	assert_memory_equal(more.p, chain.p, chain.n);
	writer_reset(&cert);
	writer_reset(&more);
	assert_int_equal(tpm_cert_from_file(writer_view(&want), &cert, &more), 0);
	assert_int_equal(more.n, 0);
	assert_int_equal(tpm_cert_from_file(BYTES("junk"), &cert, &more), 1);
	X509_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attestation_keys),
		cmocka_unit_test(files_and_folders),
		cmocka_unit_test(so_many_cas),
		cmocka_unit_test(a_keys_own_file),
	};

	return cmocka_run_group_tests_name("tpm/certificate_files", tests, prepare, tidy);
}
