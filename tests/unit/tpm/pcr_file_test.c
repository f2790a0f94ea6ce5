// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include "lib/tpm_make.h"
#include "tpm/pcrfile.h"

static const uint8_t *value_of(uint16_t alg, unsigned int pcr)
{
	static uint8_t v[64];

	memset(v, (int)(alg * 16 + pcr), sizeof(v));
	return v;
}

/* byte offsets in the file */
enum { AT_SIZE = 6, AT_SELECT = 7, AT_LISTS = 132, AT_COUNT = 136, AT_DIGEST_SIZE = 140, AT_DIGEST = 142 };

static void several_banks(void **state)
{
	static const struct pcr_selection sel[] = { { 0x0004, 0x402 }, { 0x000b, 0x107ff }, { 0x000d, 0x400 } };
	cleanup_writer_ struct writer w = WRITER(LIMIT_PCR_FILE);
	struct tpm_pcr_file f;

	(void)state;
	make_pcr_file(&w, sel, ARRAY_SIZE(sel), value_of);
	assert_int_equal(w.n, 136 + 2 * 532);
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_OK);
	assert_int_equal(f.present[HASH_SHA1], 0x402);
	assert_int_equal(f.present[HASH_SHA256], 0x107ff);
	assert_int_equal(f.present[HASH_SHA384], 0);
	assert_int_equal(f.present[HASH_SHA512], 0x400);
	for (size_t i = 0; i < ARRAY_SIZE(sel); i++) {
		for (unsigned int pcr = 0; pcr < 24; pcr++) {
			const uint8_t *v = tpm_pcr_file_value(&f, sel[i].alg, pcr);
			enum hash_alg h;

			if (!(sel[i].mask & 1u << pcr)) {
				assert_null(v);
				continue;
			}
			assert_true(hash_from_tpm_alg(sel[i].alg, &h));
			assert_non_null(v);
			assert_memory_equal(v, value_of(sel[i].alg, pcr), hash_size(h));
		}
	}
	assert_null(tpm_pcr_file_value(&f, 0x000b, 24));
	assert_null(tpm_pcr_file_value(&f, 0x0012, 0));
}

static void truncated_and_trailing(void **state)
{
	static const struct pcr_selection sel[] = { { 0x000b, 0x400 } };
	cleanup_writer_ struct writer w = WRITER(LIMIT_PCR_FILE);
	struct tpm_pcr_file f;

	(void)state;
	make_pcr_file(&w, sel, 1, value_of);
	for (size_t n = 0; n < w.n; n++) {
		cleanup_free_ uint8_t *exact = alloc_bytes(n);

		assert_non_null(exact);
		bytes_copy(exact, w.p, n);
		assert_int_equal(tpm_pcr_file_parse((struct bytes){ exact, n }, &f), QUOTE_MALFORMED);
	}
	write_u8(&w, 0);
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_MALFORMED);
}

static void one_field_wrong(void **state)
{
	static const struct pcr_selection sel[] = { { 0x000b, 0x400 } };
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {
		{ 0, 0 }, { 0, 2 },  /* selections: none, one more than there is room for values of */
		{ 0, 17 }, { 3, 1 }, /* selections past the limit */
		{ AT_SIZE, 5 }, { AT_SIZE, 1 }, { AT_SELECT, 1 }, { AT_SELECT + 1, 0 },
		{ AT_LISTS, 0 }, { AT_LISTS, 2 }, { AT_LISTS, 33 }, { AT_LISTS + 3, 0x80 },
		{ AT_COUNT, 0 }, { AT_COUNT, 2 }, { AT_COUNT, 9 }, { AT_COUNT + 3, 0x80 },
		{ AT_DIGEST_SIZE, 31 }, { AT_DIGEST_SIZE, 33 }, { AT_DIGEST_SIZE, 65 }, { AT_DIGEST_SIZE + 1, 1 },
	};
	cleanup_writer_ struct writer w = WRITER(LIMIT_PCR_FILE);
	struct tpm_pcr_file f;

	(void)state;
	make_pcr_file(&w, sel, 1, value_of);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint8_t before = w.p[wrong[i].at];
		/* a second selection with one PCR, counted only where the case says 2 */
		bool second = wrong[i].at == 0 && wrong[i].value == 2;

		w.p[4 + 8 + 2] = second;
		w.p[4 + 8 + 3] = second;
		w.p[wrong[i].at] = wrong[i].value;
		assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_MALFORMED);
		w.p[wrong[i].at] = before;
	}
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_OK);
	w.p[AT_SIZE] = 4; /* PCR 24 and above */
	w.p[AT_SELECT + 3] = 1;
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_MALFORMED);
}

/* a list has room for eight */
static void a_list_at_and_past_its_room(void **state)
{
	static const struct pcr_selection sel[] = { { 0x000b, 0xff } };
	cleanup_writer_ struct writer w = WRITER(LIMIT_PCR_FILE);
	struct tpm_pcr_file f;

	(void)state;
	make_pcr_file(&w, sel, 1, value_of);
	assert_int_equal(w.p[AT_COUNT], 8);
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_OK);
	w.p[AT_COUNT] = 9;
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_MALFORMED);
}

/* What a C structure leaves unused may hold anything. */
static void unused_room_is_not_read(void **state)
{
	static const struct pcr_selection sel[] = { { 0x000b, 0x400 } };
	cleanup_writer_ struct writer w = WRITER(LIMIT_PCR_FILE);
	struct tpm_pcr_file f;

	(void)state;
	make_pcr_file(&w, sel, 1, value_of);
	memset(w.p + AT_SELECT + 3, 0xee, 132 - (AT_SELECT + 3));
	memset(w.p + AT_DIGEST + 32, 0xee, w.n - (AT_DIGEST + 32));
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_OK);
	assert_int_equal(f.present[HASH_SHA256], 0x400);
	assert_memory_equal(tpm_pcr_file_value(&f, 0x000b, 10), value_of(0x000b, 10), 32);
}

/* tpm2_quote -l sha256:1+sha256:1,2 writes PCR 1 twice */
static void one_pcr_twice(void **state)
{
	static const struct pcr_selection sel[] = { { 0x000b, 2 }, { 0x000b, 6 } };
	cleanup_writer_ struct writer w = WRITER(LIMIT_PCR_FILE);
	struct tpm_pcr_file f;

	(void)state;
	make_pcr_file(&w, sel, 2, value_of);
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_OK);
	assert_int_equal(f.present[HASH_SHA256], 6);
	w.p[AT_DIGEST] ^= 1; /* two values for one PCR */
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_MALFORMED);
}

static void banks_that_are_not_known(void **state)
{
	static const struct pcr_selection sel[] = { { 0x0012, 1 }, { 0x000b, 1 } };
	cleanup_writer_ struct writer w = WRITER(LIMIT_PCR_FILE);
	struct tpm_pcr_file f;

	(void)state;
	make_pcr_file(&w, sel, 2, value_of);
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_OK);
	assert_memory_equal(tpm_pcr_file_value(&f, 0x000b, 0), value_of(0x000b, 0), 32);
	assert_null(tpm_pcr_file_value(&f, 0x0012, 0));
}

/* 16 selections and 32 lists are the most; the file's size is limited accordingly */
static void at_and_past_the_limits(void **state)
{
	static uint8_t file[LIMIT_PCR_FILE + 1];
	struct tpm_pcr_file f;
	struct pcr_selection sel[16];
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	(void)state;
	for (size_t i = 0; i < 16; i++)
		sel[i] = (struct pcr_selection){ 0x000b, 0xffff };
	make_pcr_file(&w, sel, 16, value_of);
	assert_int_equal(w.n, LIMIT_PCR_FILE);
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_OK);
	w.p[AT_LISTS]++;
	write_space(&w, 532);
	assert_int_equal(tpm_pcr_file_parse(writer_view(&w), &f), QUOTE_MALFORMED);
	assert_int_equal(tpm_pcr_file_parse((struct bytes){ file, sizeof(file) }, &f), QUOTE_MALFORMED);
}

static void bare_values(void **state)
{
	struct attest a = { .selection = { { 0x000d, 0x400 }, { 0x0004, 0x402 } }, .n_selections = 2 };
	uint8_t flat[64 + 20 + 20 + 1] = { 0 };
	struct tpm_pcr_file f;

	(void)state;
	bytes_copy(flat, value_of(0x000d, 10), 64);
	bytes_copy(flat + 64, value_of(0x0004, 1), 20);
	bytes_copy(flat + 84, value_of(0x0004, 10), 20);
	assert_int_equal(tpm_pcr_values_parse((struct bytes){ flat, 104 }, &a, &f), QUOTE_OK);
	assert_memory_equal(tpm_pcr_file_value(&f, 0x000d, 10), value_of(0x000d, 10), 64);
	assert_memory_equal(tpm_pcr_file_value(&f, 0x0004, 1), value_of(0x0004, 1), 20);
	assert_memory_equal(tpm_pcr_file_value(&f, 0x0004, 10), value_of(0x0004, 10), 20);
	assert_int_equal(tpm_pcr_values_parse((struct bytes){ flat, 103 }, &a, &f), QUOTE_MALFORMED);
	assert_int_equal(tpm_pcr_values_parse((struct bytes){ flat, 105 }, &a, &f), QUOTE_MALFORMED);
	a.selection[0].alg = 0x0012;
	assert_int_equal(tpm_pcr_values_parse((struct bytes){ flat, 104 }, &a, &f), QUOTE_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_banks),
		cmocka_unit_test(truncated_and_trailing),
		cmocka_unit_test(one_field_wrong),
		cmocka_unit_test(a_list_at_and_past_its_room),
		cmocka_unit_test(unused_room_is_not_read),
		cmocka_unit_test(one_pcr_twice),
		cmocka_unit_test(banks_that_are_not_known),
		cmocka_unit_test(at_and_past_the_limits),
		cmocka_unit_test(bare_values),
	};

	return cmocka_run_group_tests_name("tpm/pcr_file", tests, NULL, NULL);
}
