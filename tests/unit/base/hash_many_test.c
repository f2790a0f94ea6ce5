// SPDX-License-Identifier: Apache-2.0
/* Two lanes, the portable form and OpenSSL's EVP give the same, whatever the lengths, the order and what is given. */
#include "lib/test.h"

#include <openssl/evp.h>

#include "base/hash_many.h"

#define STEPS 200u
#define LONGEST 3000u

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void evp(enum hash_alg a, const void *p, size_t n, uint8_t *out)
{
	unsigned int len = 0;

	assert_int_equal(EVP_Digest(p, n, out, &len, EVP_get_digestbyname(hash_name(a)), NULL), 1);
	assert_int_equal(len, hash_size(a));
}

struct steps {
	struct hash_step step[STEPS];
	uint8_t digest[STEPS][HASH_MAX_SIZE], value[STEPS + 3][HASH_MAX_SIZE];
	uint8_t expected_digest[STEPS][HASH_MAX_SIZE], expected_value[STEPS][HASH_MAX_SIZE];
	uint8_t *data[STEPS]; /* each in memory of its own: a sanitizer sees a byte read past its end */
};

static struct steps *make(enum hash_alg a, size_t n, uint32_t seed, size_t (*length)(uint32_t *seed, size_t i))
{
	struct steps *s = calloc(1, sizeof(*s));
	size_t newest[3];

	assert_non_null(s);
	for (size_t chain = 0; chain < 3; chain++) {
		newest[chain] = STEPS + chain;
		memset(s->value[STEPS + chain], (int)(17 * chain), HASH_MAX_SIZE);
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t kind = next_random(&seed) % 16, chain = next_random(&seed) % 3;
		struct hash_step *step = &s->step[i];
		uint8_t both[2 * HASH_MAX_SIZE];
		size_t len = length(&seed, i);

		step->digest = s->digest[i];
		if (kind == 0) { /* given, as for a violation */
			memset(s->digest[i], 0xff, hash_size(a));
			memset(s->expected_digest[i], 0xff, hash_size(a));
		} else {
			s->data[i] = alloc_bytes(len);
			for (size_t b = 0; b < len; b++)
				s->data[i][b] = (uint8_t)next_random(&seed);
			step->data = (struct bytes){ s->data[i], len };
			evp(a, s->data[i], len, s->expected_digest[i]);
		}
		if (kind == 1)
			continue; /* a digest alone */
		step->before = s->value[newest[chain]];
		step->after = s->value[i];
		memcpy(both, newest[chain] < STEPS ? s->expected_value[newest[chain]] : s->value[newest[chain]], hash_size(a));
		memcpy(both + hash_size(a), s->expected_digest[i], hash_size(a));
		evp(a, both, 2 * hash_size(a), s->expected_value[i]);
		newest[chain] = i;
	}
	return s;
}

static void drop(struct steps *s)
{
	for (size_t i = 0; i < STEPS; i++)
		free(s->data[i]);
	free(s);
}

static void compare(enum hash_alg a, size_t n, uint32_t seed, size_t (*length)(uint32_t *seed, size_t i))
{
	for (int portable = 0; portable < 2; portable++) {
		struct steps *s = make(a, n, seed, length);

		if (portable)
			hash_steps_portable(a, s->step, n);
		else
			hash_steps(a, s->step, n);
		for (size_t i = 0; i < n; i++) {
			assert_memory_equal(s->digest[i], s->expected_digest[i], HASH_MAX_SIZE);
			assert_memory_equal(s->value[i], s->expected_value[i], HASH_MAX_SIZE);
		}
		drop(s);
	}
}

static size_t every_length(uint32_t *seed unused_, size_t i)
{
	return i;
}

static size_t at_block_borders(uint32_t *seed, size_t i)
{
	/* the padding needs nine bytes more; 503 is the longest that is copied */
	static const size_t borders[] = { 0, 55, 64, 119, 128, 183, 192, 447, 503, 512, 576, 1024 };
	size_t at = borders[i % ARRAY_SIZE(borders)] + next_random(seed) % 3;

	return at ? at - 1 : 0;
}

static size_t any_length(uint32_t *seed, size_t i unused_)
{
	uint32_t r = next_random(seed);

	return r % 4 ? r / 4 % 160 : r / 4 % LONGEST;
}

static size_t like_a_list(uint32_t *seed, size_t i unused_)
{
	return 80 + next_random(seed) % 60;
}

static void every_short_length(void **state unused_)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		compare(a, STEPS, 1, every_length);
}

static void block_borders(void **state unused_)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		for (uint32_t seed = 1; seed < 20; seed++)
			compare(a, STEPS, seed, at_block_borders);
}

static void random_lengths(void **state unused_)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		for (uint32_t seed = 1; seed < 60; seed++) {
			compare(a, STEPS, seed, any_length);
			compare(a, STEPS, seed, like_a_list);
		}
	}
}

/* Steps are looked at in parts of 64. */
static void any_number_of_steps(void **state unused_)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		for (size_t n = 0; n < 140; n++)
			compare(a, n, (uint32_t)n + 1, any_length);
}

/* before and after may be one place: a running value. */
static void in_place(void **state unused_)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		uint8_t running[HASH_MAX_SIZE] = { 0 }, expected[HASH_MAX_SIZE] = { 0 }, digest[10][HASH_MAX_SIZE], data[100];
		struct hash_step step[10];

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(3 * i);
		for (size_t i = 0; i < ARRAY_SIZE(step); i++) {
			uint8_t d[HASH_MAX_SIZE];

			step[i] = (struct hash_step){ { data, 10 * i }, digest[i], running, running };
			hash_one(a, data, 10 * i, d);
			hash_extend(a, expected, d);
		}
		hash_steps(a, step, ARRAY_SIZE(step));
		assert_memory_equal(running, expected, hash_size(a));
	}
}

/* FIPS 180-4 names no test values; these are of the "abc" example that NIST publishes with it. */
static void known_values(void **state unused_)
{
	static const uint8_t sha1[20] = { 0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
					  0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d };
	static const uint8_t sha256[32] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
					    0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
					    0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
	uint8_t out[HASH_MAX_SIZE];
	struct hash_step step = { BYTES("abc"), out, NULL, NULL };

	hash_steps(HASH_SHA1, &step, 1);
	assert_memory_equal(out, sha1, sizeof(sha1));
	hash_steps(HASH_SHA256, &step, 1);
	assert_memory_equal(out, sha256, sizeof(sha256));
	print_message("sha1 by %s, sha256 by %s\n", hash_steps_how(HASH_SHA1), hash_steps_how(HASH_SHA256));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values),
		cmocka_unit_test(every_short_length),
		cmocka_unit_test(block_borders),
		cmocka_unit_test(random_lengths),
		cmocka_unit_test(any_number_of_steps),
		cmocka_unit_test(in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
