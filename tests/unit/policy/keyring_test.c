// SPDX-License-Identifier: Apache-2.0
#include "policy_helper.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "policy/keyring_private.h"

static struct keyring *ring_new(void)
{
	struct keyring *k = NULL;

	assert_int_equal(keyring_new(&k), 0);
	return k;
}

/* A key as DER or PEM, public or private. */
static void encode(struct writer *w, EVP_PKEY *key, bool pem, bool private)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	assert_non_null(bio);
	if (private)
		assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	else if (pem)
		assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
	else
		assert_int_equal(i2d_PUBKEY_bio(bio, key), 1);
	n = BIO_get_mem_data(bio, &p);
	*w = WRITER(1u << 20);
	write_bytes(w, p, (size_t)n);
	BIO_free(bio);
}

static void assert_refused(struct keyring *k, struct bytes file, const char *reason)
{
	const char *why = NULL;

	assert_int_equal(keyring_add(k, file, &why), 1);
	assert_string_equal(why, reason);
}

static void key_ids_as_in_the_vectors(void **state)
{
	cleanup_keyring_ struct keyring *k = ring_new();

	(void)state;
	add_key_file(k, "keylime-ima/keys/rsa2048pub.pem");
	add_key_file(k, "keylime-ima/keys/secp256k1pub.pem");
	assert_int_equal(keyring_count(k), 2);
	assert_non_null(keyring_find(k, 0xf3452d23, 0)); /* "keyids" of policy-verification-keys.json */
	assert_non_null(keyring_find(k, 0x531f4025, 0));
	assert_null(keyring_find(k, 0xf3452d23, 1));
	assert_null(keyring_find(k, 0xf3452d24, 0));
}

static void same_key_is_added_once(void **state)
{
	cleanup_keyring_ struct keyring *k = ring_new();
	cleanup_writer_ struct writer der = WRITER(0), pem = WRITER(0);
	EVP_PKEY *key = EVP_EC_gen("P-384");
	const char *why = NULL;

	(void)state;
	encode(&der, key, false, false);
	encode(&pem, key, true, false);
	assert_int_equal(keyring_add(k, writer_view(&der), &why), 0);
	assert_int_equal(keyring_add(k, writer_view(&pem), &why), 0);
	assert_int_equal(keyring_count(k), 1);
	EVP_PKEY_free(key);
}

static void certificate_answers_to_both_ids(void **state)
{
	cleanup_keyring_ struct keyring *k = ring_new(), *plain = ring_new();

	(void)state;
	add_key_file(k, "imasig/skid-sha256.cert.pem");
	assert_int_equal(keyring_count(k), 1);
	assert_int_equal(k->n, 2);
	assert_non_null(keyring_find(k, 0xdeadbeef, 0));
	/* DER; its identifier is the SHA-1 of the key: one id */
	add_key_file(plain, "kernel/6.1-ima-sig/cert.der");
	assert_int_equal(plain->n, 1);
}

static void pem_bundles(void **state)
{
	cleanup_keyring_ struct keyring *k = ring_new();
	cleanup_writer_ struct writer bundle = WRITER(1u << 20);
	const char *why = NULL;

	(void)state;
	write_fmt(&bundle, "comment\n");
	for (int i = 0; i < 3; i++) {
		cleanup_writer_ struct writer pem = WRITER(0);
		EVP_PKEY *key = EVP_EC_gen("P-521");

		encode(&pem, key, true, false);
		write_bytes(&bundle, pem.p, pem.n);
		EVP_PKEY_free(key);
	}
	assert_int_equal(keyring_add(k, writer_view(&bundle), &why), 0);
	assert_int_equal(keyring_count(k), 3);
}

static void rsa_public_key_blocks(void **state)
{
	cleanup_keyring_ struct keyring *k = ring_new();
	EVP_PKEY *key = EVP_RSA_gen(2048);
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	const char *why = NULL;
	int n = i2d_PublicKey(key, &der);
	char *p;
	long size;

	(void)state;
	assert_true(PEM_write_bio(bio, "RSA PUBLIC KEY", "", der, n) > 0);
	size = BIO_get_mem_data(bio, &p);
	assert_int_equal(keyring_add(k, (struct bytes){ (uint8_t *)p, (size_t)size }, &why), 0);
	assert_int_equal(keyring_count(k), 1);
	BIO_free(bio);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

static void what_is_not_a_key_is_refused(void **state)
{
	static const char neither[] = "neither PEM nor DER of a public key or certificate";
	cleanup_keyring_ struct keyring *k = ring_new();
	cleanup_writer_ struct writer der = WRITER(0), private = WRITER(0), weak = WRITER(0), curve = WRITER(0), ed = WRITER(0);
	EVP_PKEY *ec = EVP_EC_gen("P-256"), *short_rsa = EVP_RSA_gen(1024), *other = EVP_EC_gen("brainpoolP256r1");
	EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	(void)state;
	assert_refused(k, (struct bytes){ NULL, 0 }, neither);
	assert_refused(k, BYTES("hello"), neither);
	assert_refused(k, BYTES("-----BEGIN "), neither);
	assert_refused(k, BYTES("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), neither);
	assert_refused(k, BYTES("-----BEGIN PUBLIC KEY-----\n****\n-----END PUBLIC KEY-----\n"), "a broken PEM block");
	assert_refused(k, BYTES("-----BEGIN PUBLIC KEY-----\nAAAA\n"), "a broken PEM block");
	assert_refused(k, BYTES("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n"), "a broken RSA PUBLIC KEY block");
	assert_refused(k, BYTES("-----BEGIN X-----\nAAAA\n-----END X-----\n"),
		       "a PEM block that is neither a public key nor a certificate");
	encode(&private, ec, true, true);
	assert_refused(k, writer_view(&private), "a private key: give the public one");
	encode(&weak, short_rsa, true, false);
	assert_refused(k, writer_view(&weak), "an RSA key shorter than 2048 bits");
	encode(&curve, other, true, false);
	assert_refused(k, writer_view(&curve), "an EC key on another curve than P-256, P-384, P-521 or secp256k1");
	encode(&ed, ed25519, false, false);
	assert_refused(k, writer_view(&ed), "neither an RSA nor an EC key");
	encode(&der, ec, false, false);
	for (size_t n = 0; n < der.n; n++)
		assert_refused(k, (struct bytes){ der.p, n }, neither);
	write_u8(&der, 0); /* trailing byte */
	assert_refused(k, writer_view(&der), neither);
	assert_int_equal(keyring_count(k), 0);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(short_rsa);
	EVP_PKEY_free(other);
	EVP_PKEY_free(ed25519);
}

static void file_size_limit(void **state)
{
	cleanup_keyring_ struct keyring *k = ring_new();
	cleanup_writer_ struct writer pem = WRITER(0);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	const char *why = NULL;

	(void)state;
	encode(&pem, key, true, false);
	while (pem.n < LIMIT_PEM)
		write_u8(&pem, '\n');
	assert_int_equal(keyring_add(k, writer_view(&pem), &why), 0);
	write_u8(&pem, '\n');
	assert_refused(k, writer_view(&pem), "larger than a key file can be");
	EVP_PKEY_free(key);
}

static void key_count_limit(void **state)
{
	cleanup_keyring_ struct keyring *k = ring_new();

	(void)state;
	for (size_t i = 0; i <= LIMIT_KEYS; i++) {
		cleanup_writer_ struct writer der = WRITER(0);
		EVP_PKEY *key = EVP_EC_gen("P-256");
		const char *why = NULL;

		encode(&der, key, false, false);
		if (i < LIMIT_KEYS)
			assert_int_equal(keyring_add(k, writer_view(&der), &why), 0);
		else
			assert_refused(k, writer_view(&der), "more keys than a keyring takes");
		EVP_PKEY_free(key);
	}
	assert_int_equal(keyring_count(k), LIMIT_KEYS);
}

static void a_given_id_is_one_more(void **state)
{
	cleanup_keyring_ struct keyring *k = ring_new();
	cleanup_writer_ struct writer file = WRITER(0);
	const uint32_t id = 0x01020304;
	const char *why = NULL;

	(void)state;
	load_file("keylime-ima/keys/rsa2048pub.pem", &file);
	assert_int_equal(keyring_add_as(k, writer_view(&file), &id, &why), 0);
	assert_int_equal(keyring_count(k), 1);
	assert_non_null(keyring_find(k, id, 0));
	assert_non_null(keyring_find(k, 0xf3452d23, 0));
}

static void is_key(void **state)
{
	cleanup_writer_ struct writer cert = WRITER(0), pem = WRITER(0);

	(void)state;
	load_file("kernel/6.1-ima-sig/cert.der", &cert);
	load_file("keylime-ima/keys/rsa2048pub.pem", &pem);
	assert_true(keyring_is_key(writer_view(&cert)));
	assert_false(keyring_is_key((struct bytes){ cert.p, cert.n - 1 }));
	assert_false(keyring_is_key(writer_view(&pem))); /* the kernel measures DER */
	assert_false(keyring_is_key(BYTES("6.1.0")));
	assert_false(keyring_is_key((struct bytes){ NULL, 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_ids_as_in_the_vectors), cmocka_unit_test(same_key_is_added_once),
		cmocka_unit_test(certificate_answers_to_both_ids), cmocka_unit_test(pem_bundles),
		cmocka_unit_test(rsa_public_key_blocks),     cmocka_unit_test(what_is_not_a_key_is_refused),
		cmocka_unit_test(file_size_limit),	     cmocka_unit_test(key_count_limit),
		cmocka_unit_test(a_given_id_is_one_more),    cmocka_unit_test(is_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
