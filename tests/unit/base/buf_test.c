// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

static void reads_integers_in_both_orders(void **state unused_)
{
	static const uint8_t in[] = { 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0 };
	struct reader r = reader_over(in, sizeof(in));

	assert_int_equal(read_u8(&r), 1);
	assert_int_equal(read_u16be(&r), 2);
	assert_int_equal(read_u32be(&r), 3);
	assert_int_equal(read_u64be(&r), 4);
	assert_int_equal(read_u32le(&r), 5);
	assert_int_equal(read_u64le(&r), 6);
	assert_true(reader_done(&r));
}

static void failure_sticks(void **state unused_)
{
	static const uint8_t in[] = { 9, 9, 9 };
	struct reader r = reader_over(in, sizeof(in));

	assert_int_equal(read_u32be(&r), 0);
	assert_false(reader_ok(&r));
	assert_int_equal(read_u8(&r), 0); /* one byte is there, but the reader has failed */
	assert_int_equal(reader_left(&r), 0);
	assert_null(read_bytes(&r, 1).p);
	assert_false(reader_done(&r));
}

static void trailing_bytes_are_not_done(void **state unused_)
{
	struct reader r = reader_over("ab", 2);

	assert_int_equal(read_u8(&r), 'a');
	assert_true(reader_ok(&r));
	assert_false(reader_done(&r));
	assert_bytes(read_rest(&r), "b");
	assert_true(reader_done(&r));
}

static void huge_length_does_not_wrap(void **state unused_)
{
	struct reader r = reader_over("abcd", 4);

	read_u8(&r);
	assert_null(read_bytes(&r, SIZE_MAX).p);
	assert_false(reader_ok(&r));
}

static void copy_zeroes_on_failure(void **state unused_)
{
	struct reader r = reader_over("ab", 2);
	uint8_t out[3] = { 7, 7, 7 };

	read_copy(&r, out, sizeof(out));
	assert_memory_equal(out, "\0\0\0", 3);
	assert_false(reader_ok(&r));
}

static void varint_round_trip(void **state unused_)
{
	static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		cleanup_writer_ struct writer w = WRITER(16);
		struct reader r;

		write_varint(&w, values[i]);
		assert_int_equal(writer_status(&w), 0);
		r = reader_of(writer_view(&w));
		assert_true(read_varint(&r) == values[i]);
		assert_true(reader_done(&r));
	}
}

static void varint_refuses_long_forms(void **state unused_)
{
	static const struct bytes bad[] = {
		{ (const uint8_t *)"\x80\x00", 2 },				     /* 0 in two bytes */
		{ (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10 }, /* 2^64 */
		{ (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
		{ (const uint8_t *)"\x80", 1 }, /* torn */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct reader r = reader_of(bad[i]);

		read_varint(&r);
		assert_false(reader_ok(&r));
	}
}

static void until_stops_at_the_byte(void **state unused_)
{
	struct reader r = reader_over("ab\0c", 4);

	assert_bytes(read_until(&r, 0), "ab");
	assert_int_equal(read_u8(&r), 'c');
	read_until(&r, 0);
	assert_false(reader_ok(&r));
}

static void writer_stops_at_its_maximum(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4);

	write_u32be(&w, 0x01020304);
	assert_int_equal(writer_status(&w), 0);
	write_u8(&w, 5);
	assert_int_equal(writer_status(&w), -EMSGSIZE);
	assert_int_equal(w.n, 4);
	write_bytes(&w, NULL, 0); /* still failed */
	assert_int_equal(writer_status(&w), -EMSGSIZE);
	writer_reset(&w);
	write_u32le(&w, 0x01020304);
	assert_bytes(writer_view(&w), "\x04\x03\x02\x01");
}

static void writer_formats_and_ends_text(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(1000);

	write_fmt(&w, "%s-%d", "x", 42);
	assert_string_equal(writer_cstr(&w), "x-42");
	assert_int_equal(w.n, 4);
	for (int i = 0; i < 300; i++)
		write_fmt(&w, "abc");
	assert_int_equal(writer_status(&w), 0);
	assert_int_equal(w.n, 904);
	for (int i = 0; i < 300; i++)
		write_fmt(&w, "abc");
	assert_int_equal(writer_status(&w), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_integers_in_both_orders), cmocka_unit_test(failure_sticks),
		cmocka_unit_test(trailing_bytes_are_not_done),	 cmocka_unit_test(huge_length_does_not_wrap),
		cmocka_unit_test(copy_zeroes_on_failure),	 cmocka_unit_test(varint_round_trip),
		cmocka_unit_test(varint_refuses_long_forms),	 cmocka_unit_test(until_stops_at_the_byte),
		cmocka_unit_test(writer_stops_at_its_maximum),	 cmocka_unit_test(writer_formats_and_ends_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
