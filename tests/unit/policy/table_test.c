// SPDX-License-Identifier: Apache-2.0
#include "policy_helper.h"

#include <stdio.h>

#include "imastream/limits.h"
#include "policy/table.h"

/* The paper's appendix A, and two of the reference implementation's vectors: key 00..0f, message 00, 01, ... */
/* A byte and what is behind it, in one go and two at once: as piece by piece, at every length and place. */
static void siphash_in_one_go(void **state)
{
	uint8_t key[SIPHASH_KEY_SIZE], text[80];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(7 * i + 1);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(0xc3 + 29 * i);
	for (size_t n = 0; n < sizeof(text); n++) {
		for (size_t m = 0; m < sizeof(text); m++) {
			cleanup_free_ uint8_t *a = alloc_bytes(n), *b = alloc_bytes(m); /* exact: a sanitizer sees what is read past them */
			struct bytes both[2] = { { a, n }, { b, m } };
			uint64_t want[2], got[2];

			assert_true(a && b);
			bytes_copy(a, text, n);
			bytes_copy(b, text + sizeof(text) - m, m);
			for (size_t i = 0; i < 2; i++) {
				uint8_t first = 'f';
				struct siphash s;

				siphash_begin(&s, key);
				siphash_add(&s, &first, 1);
				siphash_add(&s, both[i].p, both[i].n);
				want[i] = siphash_end(&s);
				assert_true(siphash_prefixed(key, 'f', both[i]) == want[i]);
			}
			siphash_prefixed_two(key, 'f', both, got);
			assert_true(got[0] == want[0] && got[1] == want[1]);
		}
	}
}

static void siphash_vectors(void **state)
{
	static const struct {
		size_t n;
		uint64_t want;
	} vectors[] = { { 15, 0xa129ca6149be45e5ull }, { 0, 0x726fdb47dd0e0e31ull }, { 8, 0x93f5f5799a932462ull } };
	uint8_t key[SIPHASH_KEY_SIZE], message[16];

	(void)state;
	for (size_t i = 0; i < 16; i++)
		key[i] = message[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct siphash s;

		siphash_begin(&s, key);
		siphash_add(&s, message, vectors[i].n / 3);
		siphash_add(&s, message + vectors[i].n / 3, vectors[i].n - vectors[i].n / 3);
		assert_true(siphash_end(&s) == vectors[i].want);
	}
}

static struct table_digest digest(uint8_t alg, uint8_t fill)
{
	struct table_digest d = { .alg = alg, .size = (uint8_t)file_alg_size(alg) };

	memset(d.value, fill, d.size);
	return d;
}

static struct bytes view(const struct table_digest *d)
{
	return (struct bytes){ d->value, d->size };
}

static void empty_table_knows_nothing(void **state)
{
	struct table_digest d = digest(FILE_ALG_SHA256, 1);
	struct table_builder b;
	struct table t, never = { .n_slots = 0 };

	(void)state;
	table_builder_init(&b);
	assert_int_equal(table_finish(&b, &t), 0);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), d.alg, view(&d)), TABLE_NO_KEY);
	assert_int_equal(table_find(&never, TABLE_FILES, BYTES("/a"), d.alg, view(&d)), TABLE_NO_KEY);
	table_clear(&t);
	table_builder_free(&b);
}

static void groups_and_order(void **state)
{
	struct table_digest in[] = {
		digest(FILE_ALG_SHA256, 9), digest(FILE_ALG_SHA1, 7),	 digest(FILE_ALG_SHA256, 3),
		digest(FILE_ALG_SHA256, 9), digest(FILE_ALG_RMD160, 8), digest(FILE_ALG_SHA256, 5),
	};
	struct table_digest known = digest(FILE_ALG_SHA256, 5), sha1 = digest(FILE_ALG_SHA1, 7);
	struct table_digest other = digest(FILE_ALG_SHA256, 4), rmd = digest(FILE_ALG_RMD160, 8);
	struct table_builder b;
	struct table t;
	size_t unique = 0;

	(void)state;
	table_builder_init(&b);
	assert_int_equal(table_add(&b, TABLE_FILES, BYTES("/a"), in, ARRAY_SIZE(in), &unique), 0);
	assert_int_equal(unique, 5);
	assert_int_equal(table_add(&b, TABLE_FILES, BYTES("/none"), NULL, 0, &unique), 0);
	assert_int_equal(unique, 0);
	assert_int_equal(table_add(&b, TABLE_BUFFERS, BYTES("/b"), &known, 1, NULL), 0);
	assert_int_equal(table_finish(&b, &t), 0);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA256, view(&known)), TABLE_MATCH);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA1, view(&sha1)), TABLE_MATCH);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_RMD160, view(&rmd)), TABLE_MATCH);
	/* the same bytes under another label, of the same length, of another, of none */
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA1, view(&rmd)), TABLE_ALGORITHM);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA512, view(&known)), TABLE_ALGORITHM);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_NONE, view(&known)), TABLE_ALGORITHM);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA256, view(&other)), TABLE_OTHER);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA256, (struct bytes){ known.value, 31 }), TABLE_OTHER);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA256, (struct bytes){ NULL, 0 }), TABLE_OTHER);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/none"), FILE_ALG_SHA256, view(&known)), TABLE_OTHER);
	/* sections do not see each other; a prefix is another key */
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/b"), FILE_ALG_SHA256, view(&known)), TABLE_NO_KEY);
	assert_int_equal(table_find(&t, TABLE_BUFFERS, BYTES("/b"), FILE_ALG_SHA256, view(&known)), TABLE_MATCH);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/"), FILE_ALG_SHA256, view(&known)), TABLE_NO_KEY);
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a\0"), FILE_ALG_SHA256, view(&known)), TABLE_NO_KEY);
	assert_true(table_has(&t, TABLE_FILES, BYTES("/none")));
	assert_false(table_has(&t, TABLE_FILES, BYTES("/nothing")));
	table_clear(&t);
	table_builder_free(&b);
}

/* Every key and digest of a large table is found, its neighbours are not. */
static void many_keys(void **state)
{
	enum { KEYS = 60000 };
	struct table_builder b;
	struct table t;
	char key[32];

	(void)state;
	table_builder_init(&b);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct table_digest d[2] = { digest(FILE_ALG_SHA256, 0), digest(FILE_ALG_SHA256, 0xff) };
		int n = snprintf(key, sizeof(key), "/usr/bin/%u", i);

		memcpy(d[0].value, &i, sizeof(i));
		memcpy(d[1].value, &i, sizeof(i));
		assert_int_equal(table_add(&b, TABLE_FILES, (struct bytes){ (uint8_t *)key, (size_t)n }, d, 2, NULL), 0);
	}
	assert_int_equal(table_finish(&b, &t), 0);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct table_digest d = digest(FILE_ALG_SHA256, i % 2 ? 0 : 0xff);
		struct bytes k = { (uint8_t *)key, (size_t)snprintf(key, sizeof(key), "/usr/bin/%u", i) };

		memcpy(d.value, &i, sizeof(i));
		assert_int_equal(table_find(&t, TABLE_FILES, k, d.alg, view(&d)), TABLE_MATCH);
		d.value[31] ^= 1;
		assert_int_equal(table_find(&t, TABLE_FILES, k, d.alg, view(&d)), TABLE_OTHER);
		k.n = (size_t)snprintf(key, sizeof(key), "/usr/bin/%u", i + KEYS);
		assert_int_equal(table_find(&t, TABLE_FILES, k, d.alg, view(&d)), TABLE_NO_KEY);
	}
	table_clear(&t);
	table_builder_free(&b);
}

/* One path with very many digests: each is found. */
static void many_digests(void **state)
{
	enum { DIGESTS = 20000 };
	struct table_digest *d = calloc(DIGESTS, sizeof(*d)), probe = digest(FILE_ALG_SHA1, 0);
	struct table_builder b;
	struct table t;
	size_t unique = 0;

	(void)state;
	assert_non_null(d);
	for (uint32_t i = 0; i < DIGESTS; i++) {
		d[i] = probe;
		memcpy(d[i].value, &(uint32_t){ i * 2654435761u }, 4);
	}
	table_builder_init(&b);
	assert_int_equal(table_add(&b, TABLE_FILES, BYTES("/a"), d, DIGESTS, &unique), 0);
	assert_int_equal(unique, DIGESTS);
	assert_int_equal(table_finish(&b, &t), 0);
	for (uint32_t i = 0; i < DIGESTS; i++) {
		memcpy(probe.value, &(uint32_t){ i * 2654435761u }, 4);
		assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), probe.alg, view(&probe)), TABLE_MATCH);
	}
	probe.value[19] = 1;
	assert_int_equal(table_find(&t, TABLE_FILES, BYTES("/a"), probe.alg, view(&probe)), TABLE_OTHER);
	free(d);
	table_clear(&t);
	table_builder_free(&b);
}

/* LIMIT_POLICY_RECORDS, tried with a smaller number: an empty record of a key of 1 byte takes 7. */
static void size_limit(void **state)
{
	struct table_builder b;
	struct table t = { .n_slots = 77 };

	(void)state;
	table_builder_init(&b);
	assert_int_equal(b.records.max, LIMIT_POLICY_RECORDS);
	b.records.max = 14;
	assert_int_equal(table_add(&b, TABLE_DENY, BYTES("a"), NULL, 0, NULL), 0);
	assert_int_equal(table_add(&b, TABLE_DENY, BYTES("b"), NULL, 0, NULL), 0);
	assert_int_equal(table_add(&b, TABLE_DENY, BYTES("c"), NULL, 0, NULL), -EMSGSIZE);
	assert_int_equal(table_finish(&b, &t), -EMSGSIZE);
	assert_int_equal(t.n_slots, 77); /* untouched */
	table_builder_free(&b);
}

static void algorithms(void **state)
{
	(void)state;
	assert_int_equal(file_alg_from_name(BYTES("sha256")), 4);
	assert_int_equal(file_alg_from_name(BYTES("sha3-512")), 22);
	assert_int_equal(file_alg_from_name(BYTES("sm3-256")), 17);
	assert_int_equal(file_alg_from_name(BYTES("sha25")), FILE_ALG_NONE);
	assert_int_equal(file_alg_from_name(BYTES("")), FILE_ALG_NONE);
	assert_int_equal(file_alg_size(6), 64);
	assert_int_equal(file_alg_size(23), 0);
	assert_null(file_alg_name(23));
	assert_string_equal(file_alg_name(17), "sm3");
	assert_int_equal(file_alg_infer(32, FILE_ALG_SHA1), FILE_ALG_SHA256);
	assert_int_equal(file_alg_infer(32, FILE_ALG_SM3), FILE_ALG_SM3);
	assert_int_equal(file_alg_infer(20, FILE_ALG_NONE), FILE_ALG_SHA1);
	assert_int_equal(file_alg_infer(16, FILE_ALG_NONE), FILE_ALG_MD5);
	assert_int_equal(file_alg_infer(28, FILE_ALG_NONE), FILE_ALG_SHA224);
	assert_int_equal(file_alg_infer(0, FILE_ALG_NONE), FILE_ALG_NONE);
	assert_int_equal(file_alg_infer(33, FILE_ALG_NONE), FILE_ALG_NONE);
	for (uint8_t a = 0; a < FILE_ALG_COUNT; a++)
		assert_true(file_alg_size(a) > 0 && file_alg_size(a) <= FILE_ALG_MAX_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_vectors),  cmocka_unit_test(siphash_in_one_go),
		cmocka_unit_test(empty_table_knows_nothing),
		cmocka_unit_test(groups_and_order), cmocka_unit_test(many_keys),
		cmocka_unit_test(many_digests),	    cmocka_unit_test(size_limit),
		cmocka_unit_test(algorithms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
