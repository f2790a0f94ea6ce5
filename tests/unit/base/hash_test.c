// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <openssl/evp.h>

#include "base/hash.h"

static void agrees_with_evp(void **state unused_)
{
	uint8_t data[300], ours[HASH_MAX_SIZE], theirs[EVP_MAX_MD_SIZE];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (int a = 0; a < HASH_COUNT; a++) {
		for (size_t n = 0; n <= sizeof(data); n += 37) {
			unsigned int len = 0;
			struct hash h;

			assert_int_equal(EVP_Digest(data, n, theirs, &len, EVP_get_digestbyname(hash_name((enum hash_alg)a)), NULL), 1);
			assert_int_equal(len, hash_size((enum hash_alg)a));
			hash_one((enum hash_alg)a, data, n, ours);
			assert_memory_equal(ours, theirs, len);
			hash_begin(&h, (enum hash_alg)a);
			hash_add(&h, data, n / 3);
			hash_add(&h, data + n / 3, n - n / 3);
			hash_end(&h, ours);
			assert_memory_equal(ours, theirs, len);
		}
	}
}

static void extends_like_a_tpm(void **state unused_)
{
	/* SHA-256 of 64 zero bytes: PCR of zeros extended with zeros */
	static const uint8_t expected[] = { 0xf5, 0xa5, 0xfd, 0x42, 0xd1, 0x6a, 0x20, 0x30, 0x27, 0x98, 0xef,
					    0x6e, 0xd3, 0x09, 0x97, 0x9b, 0x43, 0x00, 0x3d, 0x23, 0x20, 0xd9,
					    0xf0, 0xe8, 0xea, 0x98, 0x31, 0xa9, 0x27, 0x59, 0xfb, 0x4b };
	uint8_t pcr[32] = { 0 };
	static const uint8_t digest[32];

	hash_extend(HASH_SHA256, pcr, digest);
	assert_memory_equal(pcr, expected, 32);
}

static void names_and_numbers(void **state unused_)
{
	enum hash_alg a = HASH_SHA512;

	assert_true(hash_from_name(BYTES("sha256"), &a));
	assert_int_equal(a, HASH_SHA256);
	assert_false(hash_from_name(BYTES("sha2567"), &a));
	assert_false(hash_from_name(BYTES("sha25"), &a));
	assert_false(hash_from_name(BYTES("SHA256"), &a));
	assert_true(hash_from_tpm_alg(0x000d, &a));
	assert_int_equal(a, HASH_SHA512);
	assert_false(hash_from_tpm_alg(0x0012, &a)); /* SM3 */
	assert_int_equal(a, HASH_SHA512);
}

static void fields_cannot_be_shifted(void **state unused_)
{
	uint8_t one[32], two[32];
	struct hash h;

	hash_begin(&h, HASH_SHA256);
	hash_add_field(&h, "ab", 2);
	hash_add_field(&h, "c", 1);
	hash_end(&h, one);
	hash_begin(&h, HASH_SHA256);
	hash_add_field(&h, "a", 1);
	hash_add_field(&h, "bc", 2);
	hash_end(&h, two);
	assert_memory_not_equal(one, two, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_evp),
		cmocka_unit_test(extends_like_a_tpm),
		cmocka_unit_test(names_and_numbers),
		cmocka_unit_test(fields_cannot_be_shifted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
