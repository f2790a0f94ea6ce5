// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include "lib/tpm_make.h"

static const uint16_t rsassa = 0x0014, rsapss = 0x0016, ecdsa = 0x0018, null_alg = 0x0010;

static EVP_PKEY *rsa, *p256, *p384, *p521;

static int make_keys(void **state)
{
	(void)state;
	rsa = make_key(MADE_RSA_2048);
	p256 = make_key(MADE_P256);
	p384 = make_key(MADE_P384);
	p521 = make_key(MADE_P521);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(p521);
	return 0;
}

static int as_ak(EVP_PKEY *key, const struct made_public *p)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	cleanup_ak_ struct ak ak = { 0 };
	int r;

	make_public(&w, key, p);
	r = ak_from_public(writer_view(&w), &ak);
	if (r != QUOTE_OK)
		assert_null(ak.key);
	else
		assert_true(EVP_PKEY_eq(ak.key, key));
	return r;
}

static void good_aks(void **state)
{
	struct made_public m;

	(void)state;
	m = MADE_AK(rsassa);
	assert_int_equal(as_ak(rsa, &m), QUOTE_OK);
	m = MADE_AK(rsapss);
	assert_int_equal(as_ak(rsa, &m), QUOTE_OK);
	m = MADE_AK(ecdsa);
	assert_int_equal(as_ak(p256, &m), QUOTE_OK);
	assert_int_equal(as_ak(p384, &m), QUOTE_OK);
	assert_int_equal(as_ak(p521, &m), QUOTE_UNSUPPORTED);
	m.scheme_hash = 0x000c;
	assert_int_equal(as_ak(p384, &m), QUOTE_OK);
	m.scheme_hash = 0x000d;
	assert_int_equal(as_ak(p384, &m), QUOTE_OK);
}

/* a key with any of these wrong could sign a message that no TPM made */
static void what_an_ak_must_be(void **state)
{
	static const uint32_t needed[] = { 1u << 1, 1u << 4, 1u << 5, 1u << 16, 1u << 18 };
	struct made_public m = MADE_AK(ecdsa);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		m = MADE_AK(ecdsa);
		m.attributes &= ~needed[i];
		assert_int_equal(as_ak(p256, &m), QUOTE_UNSUPPORTED);
	}
	m = MADE_AK(ecdsa);
	m.attributes |= 1u << 17; /* decrypt */
	assert_int_equal(as_ak(p256, &m), QUOTE_UNSUPPORTED);
	m = MADE_AK(ecdsa);
	m.symmetric = 0x0006;
	assert_int_equal(as_ak(p256, &m), QUOTE_UNSUPPORTED);
	m = MADE_AK(null_alg);
	assert_int_equal(as_ak(p256, &m), QUOTE_UNSUPPORTED);
	assert_int_equal(as_ak(rsa, &m), QUOTE_UNSUPPORTED);
	m = MADE_AK(ecdsa);
	assert_int_equal(as_ak(rsa, &m), QUOTE_UNSUPPORTED);
	m = MADE_AK(rsassa);
	assert_int_equal(as_ak(p256, &m), QUOTE_UNSUPPORTED);
	m = MADE_AK(ecdsa);
	m.scheme_hash = 0x0004; /* SHA-1 */
	assert_int_equal(as_ak(p256, &m), QUOTE_UNSUPPORTED);
	m = MADE_AK(ecdsa);
	m.name_alg = 0x000c;
	assert_int_equal(as_ak(p256, &m), QUOTE_UNSUPPORTED);
}

static void endorsement_keys_are_keys_but_no_aks(void **state)
{
	struct made_public m = { .name_alg = 0x000b, .attributes = MADE_EK_ATTRIBUTES, .symmetric = 0x0006, .scheme = 0x0010 };
	EVP_PKEY *all[] = { rsa, p256, p384, p521 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		cleanup_writer_ struct writer w = WRITER(4096);
		cleanup_ak_ struct ak key = { 0 };

		make_public(&w, all[i], &m);
		assert_int_equal(ak_from_public(writer_view(&w), &key), QUOTE_UNSUPPORTED);
		assert_int_equal(tpm_public_key(writer_view(&w), &key), QUOTE_OK);
		assert_true(EVP_PKEY_eq(key.key, all[i]));
		assert_true(key.has_name);
	}
}

static void name_is_algorithm_and_hash(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct made_public m = MADE_AK(ecdsa);
	uint8_t name[34], want[34] = { 0x00, 0x0b };
	cleanup_ak_ struct ak ak = { 0 };

	(void)state;
	make_public(&w, p256, &m);
	hash_one(HASH_SHA256, w.p, w.n, want + 2);
	assert_int_equal(tpm_public_name(writer_view(&w), name), QUOTE_OK);
	assert_memory_equal(name, want, 34);
	assert_int_equal(ak_from_public(writer_view(&w), &ak), QUOTE_OK);
	assert_memory_equal(ak.name, want, 34);
	writer_reset(&w);
	m.name_alg = 0x0004;
	make_public(&w, p256, &m);
	assert_int_equal(tpm_public_name(writer_view(&w), name), QUOTE_UNSUPPORTED);
	assert_memory_equal(name, want, 34); /* untouched */
}

static void attester_id_is_that_of_the_ek_or_else_of_the_ak(void **state)
{
	static const uint8_t name[34] = { 0, 0x0b, 7 }, ek[] = { 1, 2, 3 };
	uint8_t got[32], want[32];

	(void)state;
	hash_one(HASH_SHA256, ek, sizeof(ek), want);
	tpm_attester_id((struct bytes){ ek, sizeof(ek) }, name, got);
	assert_memory_equal(got, want, 32);
	/* docs/WIRE.md, HELLO.attester: the SHA-256 of the AK's TPMT_PUBLIC, which its name ends with */
	tpm_attester_id((struct bytes){ NULL, 0 }, name, got);
	assert_memory_equal(got, name + 2, 32);
}

static void numbers(EVP_PKEY *key, const struct made_public *p, uint8_t out[32])
{
	cleanup_writer_ struct writer w = WRITER(4096);

	make_public(&w, key, p);
	assert_int_equal(tpm_public_numbers(writer_view(&w), out), QUOTE_OK);
}

/* Of one key any number of public areas can be written, each with a hash of its own. */
static void numbers_are_of_the_key_alone(void **state)
{
	static const uint8_t policy[32] = { 7 };
	EVP_PKEY *const keys[] = { rsa, p256, p384 };
	uint8_t seen[3][32], other[32];

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		struct made_public m = MADE_EK;

		numbers(keys[k], &m, seen[k]);
		m.policy = (struct bytes){ policy, sizeof(policy) };
		numbers(keys[k], &m, other);
		assert_memory_equal(other, seen[k], 32);
		m.attributes ^= 0x40;
		m.name_alg = 0x000c;
		m.symmetric = null_alg;
		numbers(keys[k], &m, other);
		assert_memory_equal(other, seen[k], 32);
		for (size_t i = 0; i < k; i++)
			assert_memory_not_equal(seen[i], seen[k], 32);
	}
	assert_int_equal(tpm_public_numbers(BYTES("x"), other), QUOTE_MALFORMED);
}

/* A coordinate with and without its leading zero; the zero of another field does not go over into the next. */
static void numbers_without_leading_zeros(void **state)
{
	static const uint8_t head[] = { 0, 0x23, 0, 0x0b, 0, 3, 0, 0xb2, 0, 0, 0, 0x10, 0, 0x10, 0, 3, 0, 0x10 };
	static const uint8_t tails[][8] = { { 0, 2, 0, 9, 0, 2, 7, 7 }, { 0, 1, 9, 0, 2, 7, 7 }, { 0, 2, 9, 7, 0, 1, 7 } };
	static const size_t sizes[] = { 8, 7, 7 };
	uint8_t seen[3][32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		cleanup_writer_ struct writer w = WRITER(64);

		write_bytes(&w, head, sizeof(head));
		write_bytes(&w, tails[i], sizes[i]);
		assert_int_equal(tpm_public_numbers(writer_view(&w), seen[i]), QUOTE_OK);
	}
	assert_memory_equal(seen[0], seen[1], 32);
	assert_memory_not_equal(seen[0], seen[2], 32);
}

static void truncated_and_trailing(void **state)
{
	struct made_public m[] = { MADE_AK(rsassa), MADE_AK(ecdsa) };
	EVP_PKEY *k[] = { rsa, p256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(k); i++) {
		cleanup_writer_ struct writer w = WRITER(4096);
		cleanup_ak_ struct ak ak = { 0 };

		make_public(&w, k[i], &m[i]);
		for (size_t n = 0; n < w.n; n++) {
			cleanup_free_ uint8_t *exact = alloc_bytes(n);

			assert_non_null(exact);
			bytes_copy(exact, w.p, n);
			assert_int_equal(ak_from_public((struct bytes){ exact, n }, &ak), QUOTE_MALFORMED);
		}
		write_u8(&w, 0);
		assert_int_equal(ak_from_public(writer_view(&w), &ak), QUOTE_MALFORMED);
		assert_null(ak.key);
	}
}

static void past_the_limit(void **state)
{
	static uint8_t large[LIMIT_PUBLIC + 1] = { 0x00, 0x08 }; /* KEYEDHASH */
	cleanup_ak_ struct ak ak = { 0 };

	(void)state;
	assert_int_equal(tpm_public_key((struct bytes){ large, LIMIT_PUBLIC }, &ak), QUOTE_UNSUPPORTED);
	assert_int_equal(tpm_public_key((struct bytes){ large, LIMIT_PUBLIC + 1 }, &ak), QUOTE_MALFORMED);
}

static void point_not_on_the_curve(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct made_public m = MADE_AK(ecdsa);
	cleanup_ak_ struct ak ak = { 0 };

	(void)state;
	make_public(&w, p256, &m);
	w.p[w.n - 1] ^= 1;
	assert_int_equal(ak_from_public(writer_view(&w), &ak), QUOTE_MALFORMED);
	assert_null(ak.key);
}

static void unknown_curve_and_wrong_coordinate(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct made_public m = MADE_AK(ecdsa);
	cleanup_ak_ struct ak ak = { 0 };
	const size_t curve = 2 + 2 + 4 + 2 + 2 + 4; /* type, nameAlg, attributes, policy, symmetric, scheme */

	(void)state;
	make_public(&w, p384, &m);
	assert_int_equal(w.p[curve + 1], 0x04);
	w.p[curve + 1] = 0x03; /* says P-256, brings 48 bytes */
	assert_int_equal(ak_from_public(writer_view(&w), &ak), QUOTE_MALFORMED);
	w.p[curve + 1] = 0x20; /* SM2 */
	assert_int_equal(ak_from_public(writer_view(&w), &ak), QUOTE_UNSUPPORTED);
}

/* An RSA area with free choice of what it says. */
static int rsa_area(uint16_t bits, uint32_t exponent, size_t modulus_n, uint8_t first, uint8_t last)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	cleanup_ak_ struct ak ak = { 0 };
	uint8_t modulus[1024];

	memset(modulus, 0xda, sizeof(modulus));
	modulus[0] = first;
	if (modulus_n)
		modulus[modulus_n - 1] = last;
	write_u16be(&w, 0x0001);
	write_u16be(&w, 0x000b);
	write_u32be(&w, MADE_AK_ATTRIBUTES);
	write_u16be(&w, 0);
	write_u16be(&w, null_alg);
	write_u16be(&w, rsassa);
	write_u16be(&w, 0x000b);
	write_u16be(&w, bits);
	write_u32be(&w, exponent);
	write_u16be(&w, (uint16_t)modulus_n);
	write_bytes(&w, modulus, modulus_n);
	return ak_from_public(writer_view(&w), &ak);
}

static void rsa_sizes(void **state)
{
	(void)state;
	assert_int_equal(rsa_area(2048, 0, 256, 0x80, 1), QUOTE_OK);
	assert_int_equal(rsa_area(3072, 0, 384, 0x80, 1), QUOTE_OK);
	assert_int_equal(rsa_area(LIMIT_RSA_BITS, 0, LIMIT_RSA_BITS / 8, 0x80, 1), QUOTE_OK);
	assert_int_equal(rsa_area(LIMIT_RSA_BITS + 8, 0, LIMIT_RSA_BITS / 8, 0x80, 1), QUOTE_UNSUPPORTED);
	assert_int_equal(rsa_area(LIMIT_RSA_BITS, 0, LIMIT_RSA_BITS / 8 + 1, 0x80, 1), QUOTE_MALFORMED);
	assert_int_equal(rsa_area(1024, 0, 128, 0x80, 1), QUOTE_UNSUPPORTED);
	assert_int_equal(rsa_area(2040, 0, 255, 0x80, 1), QUOTE_UNSUPPORTED);
	assert_int_equal(rsa_area(2049, 0, 256, 0x80, 1), QUOTE_UNSUPPORTED);
	assert_int_equal(rsa_area(2048, 0, 255, 0x80, 1), QUOTE_MALFORMED);
	assert_int_equal(rsa_area(2048, 0, 0, 0x80, 1), QUOTE_MALFORMED);
	assert_int_equal(rsa_area(2048, 0, 257, 0, 1), QUOTE_MALFORMED); /* right number, padded */
	assert_int_equal(rsa_area(2048, 0, 256, 0x7f, 1), QUOTE_MALFORMED); /* 2047 bits in truth */
	assert_int_equal(rsa_area(2048, 0, 256, 0x80, 2), QUOTE_MALFORMED); /* even */
}

/* with an exponent of 1 every message is its own signature */
static void rsa_exponents(void **state)
{
	(void)state;
	assert_int_equal(rsa_area(2048, 65537, 256, 0x80, 1), QUOTE_OK);
	assert_int_equal(rsa_area(2048, 1, 256, 0x80, 1), QUOTE_UNSUPPORTED);
	assert_int_equal(rsa_area(2048, 3, 256, 0x80, 1), QUOTE_UNSUPPORTED);
	assert_int_equal(rsa_area(2048, 65535, 256, 0x80, 1), QUOTE_UNSUPPORTED);
	assert_int_equal(rsa_area(2048, 65538, 256, 0x80, 1), QUOTE_UNSUPPORTED);
}

static int as_pem(EVP_PKEY *key, const char *before, const char *after)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	cleanup_ak_ struct ak ak = { 0 };
	int r;

	write_bytes(&w, before, strlen(before));
	make_pem(&w, key);
	write_bytes(&w, after, strlen(after));
	r = ak_from_pem(writer_view(&w), &ak);
	if (r == QUOTE_OK) {
		assert_true(EVP_PKEY_eq(ak.key, key));
		assert_false(ak.has_name);
	} else {
		assert_null(ak.key);
	}
	return r;
}

static void pem(void **state)
{
	EVP_PKEY *small = make_key(MADE_RSA_1024), *ed = make_key(MADE_ED25519);

	(void)state;
	assert_int_equal(as_pem(rsa, "", ""), QUOTE_OK);
	assert_int_equal(as_pem(p256, "", ""), QUOTE_OK);
	assert_int_equal(as_pem(p384, "a comment\n", "\n"), QUOTE_OK);
	assert_int_equal(as_pem(p521, "", ""), QUOTE_UNSUPPORTED);
	assert_int_equal(as_pem(small, "", ""), QUOTE_UNSUPPORTED);
	assert_int_equal(as_pem(ed, "", ""), QUOTE_UNSUPPORTED);
	EVP_PKEY_free(small);
	EVP_PKEY_free(ed);
}

static void no_pem(void **state)
{
	static const char *const texts[] = { "x", "-----BEGIN PUBLIC KEY-----\n", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
					     "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" };
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	cleanup_ak_ struct ak ak = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(ak_from_pem((struct bytes){ (const uint8_t *)texts[i], strlen(texts[i]) }, &ak), QUOTE_MALFORMED);
	assert_int_equal(ak_from_pem((struct bytes){ NULL, 0 }, &ak), QUOTE_MALFORMED);

	make_pem(&w, p256);
	while (w.n < LIMIT_PEM)
		write_u8(&w, '\n');
	assert_int_equal(ak_from_pem(writer_view(&w), &ak), QUOTE_OK);
	ak_clear(&ak);
	write_u8(&w, '\n');
	assert_int_equal(ak_from_pem(writer_view(&w), &ak), QUOTE_MALFORMED);
}

static void description_and_fingerprint(void **state)
{
	struct ak a = { .key = rsa }, b = { .key = p256 }, c = { .key = p384 };
	uint8_t fa[32], fb[32], again[32];
	char buf[32];

	(void)state;
	assert_string_equal(ak_describe(&a, buf, sizeof(buf)), "rsa-2048");
	assert_string_equal(ak_describe(&b, buf, sizeof(buf)), "ecc-p256");
	assert_string_equal(ak_describe(&c, buf, sizeof(buf)), "ecc-p384");
	assert_int_equal(ak_fingerprint(&a, fa), 0);
	assert_int_equal(ak_fingerprint(&b, fb), 0);
	assert_int_equal(ak_fingerprint(&b, again), 0);
	assert_memory_not_equal(fa, fb, 32);
	assert_memory_equal(fb, again, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_aks),
		cmocka_unit_test(what_an_ak_must_be),
		cmocka_unit_test(endorsement_keys_are_keys_but_no_aks),
		cmocka_unit_test(name_is_algorithm_and_hash),
		cmocka_unit_test(attester_id_is_that_of_the_ek_or_else_of_the_ak),
		cmocka_unit_test(numbers_are_of_the_key_alone),
		cmocka_unit_test(numbers_without_leading_zeros),
		cmocka_unit_test(truncated_and_trailing),
		cmocka_unit_test(past_the_limit),
		cmocka_unit_test(point_not_on_the_curve),
		cmocka_unit_test(unknown_curve_and_wrong_coordinate),
		cmocka_unit_test(rsa_sizes),
		cmocka_unit_test(rsa_exponents),
		cmocka_unit_test(pem),
		cmocka_unit_test(no_pem),
		cmocka_unit_test(description_and_fingerprint),
	};

	return cmocka_run_group_tests_name("tpm/public", tests, make_keys, free_keys);
}
