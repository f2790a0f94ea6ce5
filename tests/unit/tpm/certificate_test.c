// SPDX-License-Identifier: Apache-2.0
/* Certificates of endorsement keys, made here: what holds, and each way in which one does not. */
#include "unit/tpm/certificate_helper.h"

/* --- good ----------------------------------------------------------------------------------------------------------- */

static void good_ones(void **state)
{
	struct made_cert leaf = GOOD;

	(void)state;
	expect(0, &leaf, "");
	assert_int_equal(judge_made(mid, &public_rsa, &leaf, NONE), 0); /* the intermediate itself is trusted */
	assert_int_equal(judge_made(root, &public_rsa, &leaf, between(other_root, mid)), 0); /* others among them, any order */
	leaf.issuer = root;
	leaf.signer = root_key;
	assert_int_equal(judge_made(root, &public_rsa, &leaf, NONE), 0);
	leaf.key = ek_ecc;
	leaf.usage = "critical,keyAgreement";
	assert_int_equal(judge_made(root, &public_ecc, &leaf, NONE), 0);
	leaf.key = ek_p384;
	assert_int_equal(judge_made(root, &public_p384, &leaf, NONE), 0);
	leaf = (struct made_cert)GOOD;
	leaf.usage = NULL; /* no usage: no limit */
	expect(0, &leaf, "");
	leaf.extended = NULL; /* the subjectAltName says TPM */
	expect(0, &leaf, "");
	leaf.extended = "serverAuth,2.23.133.8.1";
	leaf.san = NULL;
	expect(0, &leaf, "");
	leaf = (struct made_cert)GOOD;
	leaf.basic = NULL;
	expect(0, &leaf, "");
	leaf.extra_oid = "2.5.29.9"; /* subjectDirectoryAttributes */
	leaf.extra_critical = true;
	expect(0, &leaf, "");
	leaf.extra_oid = "1.2.3.4.5"; /* unknown, not critical */
	leaf.extra_critical = false;
	expect(0, &leaf, "");
}

static void facts(void **state)
{
	cleanup_tpm_cas_ struct tpm_cas *c = cas_with(root);
	struct made_cert leaf = GOOD;
	struct tpm_cert_facts f;
	const char *detail;

	(void)state;
	expect(0, &leaf, "");
	assert_int_equal(tpm_ek_cert_check(c, writer_view(&public_rsa), writer_view(&der), writer_view(&chain), MADE_NOW, &f,
					   &detail), 0);
	assert_string_equal(f.manufacturer, "id:494D4153");
	assert_string_equal(f.model, "model one");
	assert_string_equal(f.version, "id:00010002");
	assert_string_equal(f.issuer, "CN=intermediate");
	assert_int_equal(strncmp(f.serial, "10", 2), 0);
	assert_int_equal(f.not_after_s, MADE_NOW + 15768000u);
	/* also of one that is refused; nothing of one that cannot be read */
	assert_int_equal(tpm_ek_cert_check(c, writer_view(&public_ecc), writer_view(&der), NONE, MADE_NOW, &f, &detail),
			 REASON_EK_CERT_MISMATCH);
	assert_string_equal(f.model, "model one");
	assert_int_equal(tpm_ek_cert_check(c, writer_view(&public_ecc), BYTES("junk"), NONE, MADE_NOW, &f, &detail),
			 REASON_EK_CERT_INVALID);
	assert_string_equal(f.model, "");
	/* text that is not for terminals, and longer than its place */
	leaf.san = "dirName:other";
	leaf.subject = "\x1b[31m red";
	leaf.issuer = NULL;
	leaf.signer = NULL;
	assert_int_equal(judge_made(root, &public_rsa, &leaf, NONE), REASON_EK_CERT_UNTRUSTED);
	assert_int_equal(tpm_ek_cert_check(c, writer_view(&public_rsa), writer_view(&der), NONE, MADE_NOW, &f, &detail),
			 REASON_EK_CERT_UNTRUSTED);
	assert_null(strchr(f.issuer, 0x1b));
	assert_string_equal(f.manufacturer, "");
}

/* --- bad ------------------------------------------------------------------------------------------------------------ */

static void who_issued_it(void **state)
{
	struct made_cert leaf = GOOD;
	X509 *false_mid = make_cert(&(struct made_cert){ .subject = "intermediate", .key = other_key, .issuer = other_root,
							 .signer = other_key, .basic = "critical,CA:TRUE",
							 .usage = "critical,keyCertSign" });

	(void)state;
	assert_int_equal(judge_made(NULL, &public_rsa, &leaf, between(mid, root)), REASON_EK_CERT_UNTRUSTED); /* no CA at all */
	assert_int_equal(judge_made(root, &public_rsa, &leaf, NONE), REASON_EK_CERT_UNTRUSTED); /* a link is missing */
	assert_int_equal(judge_made(other_root, &public_rsa, &leaf, between(mid, NULL)), REASON_EK_CERT_UNTRUSTED);
	assert_int_equal(judge_made(other_root, &public_rsa, &leaf, between(mid, root)), REASON_EK_CERT_UNTRUSTED);
	/* signed by nobody: the issuer's name is right, its key is not */
	leaf.signer = other_key;
	assert_int_equal(judge_made(mid, &public_rsa, &leaf, NONE), REASON_EK_CERT_UNTRUSTED);
	assert_int_equal(judge_made(root, &public_rsa, &leaf, between(false_mid, NULL)), REASON_EK_CERT_UNTRUSTED);
	/* by itself */
	leaf.issuer = NULL;
	leaf.signer = NULL;
	assert_int_equal(judge_made(root, &public_rsa, &leaf, between(mid, NULL)), REASON_EK_CERT_UNTRUSTED);
	/* a bit of the signature */
	leaf = (struct made_cert)GOOD;
	expect(0, &leaf, "");
	der.p[der.n - 5] ^= 1;
	assert_int_equal(judge(root, writer_view(&public_rsa), writer_view(&der), between(mid, NULL)), REASON_EK_CERT_UNTRUSTED);
	X509_free(false_mid);
}

static void dates(void **state)
{
	struct made_cert leaf = GOOD, ca = MADE_CA("intermediate", mid_key);
	X509 *old, *young;

	(void)state;
	leaf.not_before = -1000;
	leaf.not_after = -1;
	expect(REASON_EK_CERT_EXPIRED, &leaf, "has expired");
	leaf.not_before = 1;
	leaf.not_after = 1000;
	expect(REASON_EK_CERT_EXPIRED, &leaf, "not valid yet");
	leaf.not_before = 0;
	leaf.not_after = 1;
	expect(0, &leaf, "");
	leaf = (struct made_cert)GOOD;
	ca.issuer = root;
	ca.signer = root_key;
	ca.not_before = -1000;
	ca.not_after = -1;
	old = make_cert(&ca);
	assert_int_equal(judge_made(root, &public_rsa, &leaf, between(old, NULL)), REASON_EK_CERT_EXPIRED);
	assert_string_equal(last_detail, "the certificate of a CA above it has expired");
	ca.not_before = 10;
	ca.not_after = 1000;
	young = make_cert(&ca);
	assert_int_equal(judge_made(root, &public_rsa, &leaf, between(young, NULL)), REASON_EK_CERT_EXPIRED);
	/* trusted itself: its date counts all the same */
	assert_int_equal(judge_made(old, &public_rsa, &leaf, NONE), REASON_EK_CERT_EXPIRED);
	X509_free(old);
	X509_free(young);
}

static void another_key(void **state)
{
	struct made_cert leaf = GOOD;

	(void)state;
	assert_int_equal(judge_made(root, &public_ecc, &leaf, between(mid, NULL)), REASON_EK_CERT_MISMATCH);
	leaf.key = mid_key;
	expect(REASON_EK_CERT_MISMATCH, &leaf, "another key");
	leaf.key = ek_p384;
	assert_int_equal(judge_made(root, &public_ecc, &leaf, between(mid, NULL)), REASON_EK_CERT_MISMATCH);
	leaf = (struct made_cert)GOOD;
	expect(0, &leaf, "");
	assert_int_equal(judge(root, BYTES("no public area"), writer_view(&der), between(mid, NULL)), REASON_EK_CERT_MISMATCH);
	assert_int_equal(judge(root, NONE, writer_view(&der), between(mid, NULL)), REASON_EK_CERT_MISMATCH);
}

static void what_it_is_for(void **state)
{
	struct made_cert leaf = GOOD;

	(void)state;
	leaf.extended = "serverAuth";
	expect(REASON_EK_CERT_INVALID, &leaf, "2.23.133.8.1");
	leaf.extended = "anyExtendedKeyUsage";
	expect(REASON_EK_CERT_INVALID, &leaf, "2.23.133.8.1");
	leaf.extended = "2.23.133.8.3"; /* an AK's */
	expect(REASON_EK_CERT_INVALID, &leaf, "2.23.133.8.1");
	leaf.extended = NULL;
	leaf.san = "dirName:other";
	expect(REASON_EK_CERT_INVALID, &leaf, "of a TPM");
	leaf.san = NULL;
	expect(REASON_EK_CERT_INVALID, &leaf, "of a TPM");
	leaf = (struct made_cert)GOOD;
	leaf.usage = "critical,digitalSignature";
	expect(REASON_EK_CERT_INVALID, &leaf, "key encipherment");
	leaf.usage = "critical,keyAgreement"; /* for the other kind of key */
	expect(REASON_EK_CERT_INVALID, &leaf, "key encipherment");
	leaf.key = ek_ecc;
	leaf.usage = "critical,keyEncipherment";
	assert_int_equal(judge_made(root, &public_ecc, &leaf, between(mid, NULL)), REASON_EK_CERT_INVALID);
	leaf = (struct made_cert)GOOD;
	leaf.basic = "critical,CA:TRUE";
	expect(REASON_EK_CERT_INVALID, &leaf, "a CA's");
	leaf.usage = "critical,keyCertSign,keyEncipherment";
	leaf.basic = NULL;
	expect(REASON_EK_CERT_INVALID, &leaf, "a CA's");
	leaf = (struct made_cert)GOOD;
	leaf.extra_oid = "1.2.3.4.5";
	leaf.extra_critical = true;
	expect(REASON_EK_CERT_INVALID, &leaf, "critical");
	leaf = (struct made_cert)GOOD;
	leaf.version_1 = true;
	expect(REASON_EK_CERT_INVALID, &leaf, "version 3");
}

/* A chain in which one certificate of a CA breaks a rule. */
static void through(struct made_cert ca, int want, const char *says)
{
	struct made_cert leaf = GOOD;
	X509 *made;
	int r;

	ca.subject = "intermediate";
	ca.key = mid_key;
	ca.issuer = ca.issuer ? ca.issuer : root;
	ca.signer = ca.signer ? ca.signer : root_key;
	made = make_cert(&ca);
	r = judge_made(root, &public_rsa, &leaf, between(made, NULL));
	if (r != want || !strstr(last_detail, says))
		fail_msg("%d, '%s'; not %d, '%s'", r, last_detail, want, says);
	X509_free(made);
}

static void cas_in_between(void **state)
{
	struct made_cert ca = MADE_CA("intermediate", mid_key), leaf = GOOD;
	X509 *low, *narrow;

	(void)state;
	through(ca, 0, "");
	ca.basic = "critical,CA:FALSE";
	through(ca, REASON_EK_CERT_INVALID, "");
	ca.basic = NULL; /* the usage alone makes no CA */
	through(ca, REASON_EK_CERT_INVALID, "");
	ca = (struct made_cert)MADE_CA("", NULL);
	ca.usage = "critical,digitalSignature";
	through(ca, REASON_EK_CERT_INVALID, "invalid CA");
	ca = (struct made_cert)MADE_CA("", NULL);
	ca.extra_oid = "1.2.3.4.5";
	ca.extra_critical = true;
	through(ca, REASON_EK_CERT_INVALID, "critical");
	/* name constraints */
	ca = (struct made_cert)MADE_CA("", NULL);
	ca.constraints = "critical,permitted;dirName:only";
	through(ca, REASON_EK_CERT_INVALID, "subtree");
	ca.constraints = "critical,permitted;DNS:example.org"; /* says nothing of directory names */
	through(ca, 0, "");
	ca.constraints = "critical,excluded;dirName:tpm";
	through(ca, REASON_EK_CERT_INVALID, "subtree");
	/* path length: a CA below one that may have none */
	ca = (struct made_cert)MADE_CA("narrow", other_key);
	ca.issuer = root;
	ca.signer = root_key;
	ca.basic = "critical,CA:TRUE,pathlen:0";
	narrow = make_cert(&ca);
	ca = (struct made_cert)MADE_CA("intermediate", mid_key);
	ca.issuer = narrow;
	ca.signer = other_key;
	low = make_cert(&ca);
	assert_int_equal(judge_made(root, &public_rsa, &leaf, between(low, narrow)), REASON_EK_CERT_INVALID);
	assert_non_null(strstr(last_detail, "path length"));
	X509_free(low);
	X509_free(narrow);
}

static void weak_signatures(void **state)
{
	struct made_cert leaf = GOOD, ca = MADE_CA("", NULL);
	X509 *weak_root, *weak_md_root;

	(void)state;
	leaf.md = EVP_sha1();
	expect(REASON_EK_CERT_INVALID, &leaf, "weak hash");
	leaf.md = EVP_md5();
	expect(REASON_EK_CERT_INVALID, &leaf, "weak hash");
	leaf.md = EVP_sha512();
	expect(0, &leaf, "");
	ca.md = EVP_sha1();
	through(ca, REASON_EK_CERT_INVALID, "weak hash");
	/* the CA's key */
	weak_root = make_cert(&(struct made_cert)MADE_CA("weak", weak_key));
	leaf = (struct made_cert)GOOD;
	leaf.issuer = weak_root;
	leaf.signer = weak_key;
	assert_int_equal(judge_made(weak_root, &public_rsa, &leaf, NONE), REASON_EK_CERT_INVALID);
	assert_non_null(strstr(last_detail, "too short"));
	/* a root is trusted for its key: how it signed itself does not matter */
	ca = (struct made_cert)MADE_CA("root", root_key);
	ca.md = EVP_sha1();
	weak_md_root = make_cert(&ca);
	leaf = (struct made_cert)GOOD;
	assert_int_equal(judge_made(weak_md_root, &public_rsa, &leaf, between(mid, NULL)), 0);
	X509_free(weak_root);
	X509_free(weak_md_root);
}

static void bytes_that_are_none(void **state)
{
	struct made_cert leaf = GOOD;
	cleanup_free_ uint8_t *copy = NULL;
	struct bytes good;

	(void)state;
	assert_int_equal(judge(root, writer_view(&public_rsa), NONE, NONE), REASON_EK_CERT_MISSING);
	assert_int_equal(judge(root, writer_view(&public_rsa), BYTES("garbage"), NONE), REASON_EK_CERT_INVALID);
	assert_int_equal(judge(root, writer_view(&public_rsa), BYTES("\x30\x80\x00\x00"), NONE), REASON_EK_CERT_INVALID);
	expect(0, &leaf, "");
	good = writer_view(&der);
	for (size_t n = 1; n < good.n; n++)
		assert_int_equal(judge(root, writer_view(&public_rsa), (struct bytes){ good.p, n }, NONE), REASON_EK_CERT_INVALID);
	write_u8(&der, 0);
	assert_int_equal(judge(root, writer_view(&public_rsa), writer_view(&der), between(mid, NULL)), REASON_EK_CERT_INVALID);
	/* a length that is not in its shortest form: 30 82 .. .. to 30 83 00 .. .. */
	copy = malloc(good.n + 1);
	assert_non_null(copy);
	copy[0] = 0x30;
	copy[1] = 0x83;
	copy[2] = 0;
	memcpy(copy + 3, good.p + 2, good.n - 2);
	assert_int_equal(judge(root, writer_view(&public_rsa), (struct bytes){ copy, good.n + 1 }, between(mid, NULL)),
			 REASON_EK_CERT_INVALID);
	/* the chain: garbage, cut, something behind it */
	assert_int_equal(judge(root, writer_view(&public_rsa), good, BYTES("garbage")), REASON_EK_CERT_INVALID);
	between(mid, NULL);
	assert_int_equal(judge(root, writer_view(&public_rsa), good, (struct bytes){ chain.p, chain.n - 1 }),
			 REASON_EK_CERT_INVALID);
	write_u8(&chain, 0);
	assert_int_equal(judge(root, writer_view(&public_rsa), good, writer_view(&chain)), REASON_EK_CERT_INVALID);
}

/* A leaf of exactly n bytes: a long text in its subjectAltName. */
static void leaf_of_size(size_t n, struct writer *out)
{
	cleanup_writer_ struct writer san = WRITER(65536);
	struct made_cert leaf = GOOD;
	size_t pad = n - 1200;

	for (int tries = 0; tries < 50; tries++) {
		X509 *cert;

		writer_reset(&san);
		write_fmt(&san, "URI:");
		for (size_t i = 0; i < pad; i++)
			write_u8(&san, 'a');
		leaf.san = writer_cstr(&san);
		cert = make_cert(&leaf);
		writer_reset(out);
		make_cert_der(out, cert);
		X509_free(cert);
		if (out->n == n)
			return;
		pad = pad + n - out->n;
	}
	fail_msg("no certificate of %zu bytes", n);
}

static void sizes(void **state)
{
	cleanup_writer_ struct writer cert = WRITER(65536);
	struct made_cert leaf = GOOD;
	struct writer full = WRITER(1u << 20);

	(void)state;
	leaf_of_size(LIMIT_CERT, &cert);
	assert_int_equal(judge(root, writer_view(&public_rsa), writer_view(&cert), between(mid, NULL)), 0);
	leaf_of_size(LIMIT_CERT + 1, &cert);
	assert_int_equal(judge(root, writer_view(&public_rsa), writer_view(&cert), between(mid, NULL)), REASON_EK_CERT_INVALID);

	/* eight intermediates, and nine */
	expect(0, &leaf, "");
	for (size_t n = LIMIT_EK_CHAIN_CERTS; n <= LIMIT_EK_CHAIN_CERTS + 1; n++) {
		writer_reset(&full);
		for (size_t i = 1; i < n; i++)
			make_cert_der(&full, other_root);
		make_cert_der(&full, mid);
		assert_int_equal(judge(root, writer_view(&public_rsa), writer_view(&der), writer_view(&full)),
				 n == LIMIT_EK_CHAIN_CERTS ? 0 : REASON_EK_CERT_INVALID);
	}
	/* and bytes */
	writer_reset(&full);
	leaf_of_size(LIMIT_CERT, &cert);
	write_bytes(&full, cert.p, cert.n);
	make_cert_der(&full, mid);
	leaf_of_size(LIMIT_EK_CHAIN - full.n, &cert);
	write_bytes(&full, cert.p, cert.n);
	assert_int_equal(full.n, LIMIT_EK_CHAIN);
	assert_int_equal(judge(root, writer_view(&public_rsa), writer_view(&der), writer_view(&full)), 0);
	write_u8(&full, 0x30);
	assert_int_equal(judge(root, writer_view(&public_rsa), writer_view(&der), writer_view(&full)), REASON_EK_CERT_INVALID);
	assert_non_null(strstr(last_detail, "16384"));
	writer_free(&full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),
		cmocka_unit_test(facts),
		cmocka_unit_test(who_issued_it),
		cmocka_unit_test(dates),
		cmocka_unit_test(another_key),
		cmocka_unit_test(what_it_is_for),
		cmocka_unit_test(cas_in_between),
		cmocka_unit_test(weak_signatures),
		cmocka_unit_test(bytes_that_are_none),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests_name("tpm/certificate", tests, prepare, tidy);
}
