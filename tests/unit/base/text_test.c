// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"

static void hex_both_ways(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(100);
	uint8_t out[3] = { 0 };

	write_hex(&w, "\x00\xab\xff", 3);
	assert_bytes(writer_view(&w), "00abff");
	assert_int_equal(hex_decode(BYTES("00ABff"), out, 3), 0);
	assert_memory_equal(out, "\x00\xab\xff", 3);
}

static void hex_refuses_and_leaves_alone(void **state unused_)
{
	uint8_t out[2] = { 7, 7 };

	assert_int_equal(hex_decode(BYTES("00a"), out, 2), -EINVAL);
	assert_int_equal(hex_decode(BYTES("00aabb"), out, 2), -EINVAL);
	assert_int_equal(hex_decode(BYTES("00ag"), out, 2), -EINVAL);
	assert_int_equal(hex_decode(BYTES("0x00"), out, 2), -EINVAL);
	assert_memory_equal(out, "\x07\x07", 2);
}

static const char *quoted(struct writer *w, struct bytes b)
{
	writer_reset(w);
	write_quoted(w, b, 1000);
	return writer_cstr(w);
}

static void quoting_lets_nothing_reach_the_terminal(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(1000);

	assert_string_equal(quoted(&w, BYTES("/usr/bin/true")), "'/usr/bin/true'");
	assert_string_equal(quoted(&w, BYTES("a\033[31mb\n")), "'a\\x1b[31mb\\x0a'");
	assert_string_equal(quoted(&w, BYTES("it's \\")), "'it\\'s \\\\'");
	assert_string_equal(quoted(&w, BYTES("caf\xc3\xa9")), "'caf\xc3\xa9'");
	assert_string_equal(quoted(&w, BYTES("\xc2\x9b" "31m")), "'\\xc2\\x9b31m'");		     /* C1: CSI */
	assert_string_equal(quoted(&w, BYTES("a\xe2\x80\xae" "b")), "'a\\xe2\\x80\\xaeb'");	     /* U+202E override */
	assert_string_equal(quoted(&w, BYTES("\xff\xc0\x80\xed\xa0\x80")), "'\\xff\\xc0\\x80\\xed\\xa0\\x80'");
	assert_string_equal(quoted(&w, BYTES("\xe2\x82")), "'\\xe2\\x82'"); /* torn sequence */
	assert_string_equal(quoted(&w, (struct bytes){ NULL, 0 }), "''");
}

static void messages_keep_their_form(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(1000);

	write_safe(&w, BYTES("it's \\x1b caf\xc3\xa9:\nnext\033[31m\r\xc2\x9b" "31m\xff\xe2\x82"));
	assert_string_equal(writer_cstr(&w), "it's \\x1b caf\xc3\xa9:\nnext\\x1b[31m\\x0d\\xc2\\x9b31m\\xff\\xe2\\x82");
}

static void quoting_shortens(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(1000);

	write_quoted(&w, BYTES("abcdef"), 3);
	assert_string_equal(writer_cstr(&w), "'abc'…");
}

static void numbers_are_strict(void **state unused_)
{
	uint64_t v = 7;

	assert_int_equal(parse_u64("0", 0, 10, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(parse_u64("11", 0, 10, &v), -ERANGE);
	assert_int_equal(parse_u64("", 0, 10, &v), -EINVAL);
	assert_int_equal(parse_u64("-1", 0, 10, &v), -EINVAL);
	assert_int_equal(parse_u64(" 1", 0, 10, &v), -EINVAL);
	assert_int_equal(parse_u64("1x", 0, 10, &v), -EINVAL);
	assert_true(v == UINT64_MAX);
}

static void durations_and_sizes(void **state unused_)
{
	uint64_t v = 0;

	assert_int_equal(parse_duration_us("1.5s", &v), 0);
	assert_int_equal(v, 1500000);
	assert_int_equal(parse_duration_us("250us", &v), 0);
	assert_int_equal(v, 250);
	assert_int_equal(parse_duration_us("2", &v), 0);
	assert_int_equal(v, 2000000);
	assert_int_equal(parse_duration_us("1h", &v), 0);
	assert_true(v == 3600000000u);
	assert_int_equal(parse_duration_us("5 s", &v), -EINVAL);
	assert_int_equal(parse_duration_us("s", &v), -EINVAL);
	assert_int_equal(parse_duration_us("1.", &v), -EINVAL);
	assert_int_equal(parse_duration_us("99999999999999999h", &v), -ERANGE);
	assert_int_equal(parse_size("64K", &v), 0);
	assert_int_equal(v, 65536);
	assert_int_equal(parse_size("64KB", &v), -EINVAL);
	assert_int_equal(parse_size("99999999999999G", &v), -ERANGE);
}

static void files_are_bounded_and_whole(void **state unused_)
{
	char dir[] = "/tmp/imastream-text-XXXXXX";
	cleanup_free_ char *path = NULL;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	assert_true(asprintf(&path, "%s/f", dir) > 0);
	assert_int_equal(write_file_atomic(path, BYTES("12345678"), 0640), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	{
		cleanup_writer_ struct writer exact = WRITER(8), small = WRITER(7);

		assert_int_equal(read_file(path, &exact), 0);
		assert_bytes(writer_view(&exact), "12345678");
		assert_int_equal(read_file(path, &small), -EMSGSIZE);
		assert_int_equal(read_file("/nonexistent/file", &exact), -ENOENT);
	}
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_both_ways),
		cmocka_unit_test(hex_refuses_and_leaves_alone),
		cmocka_unit_test(quoting_lets_nothing_reach_the_terminal),
		cmocka_unit_test(quoting_shortens),
		cmocka_unit_test(messages_keep_their_form),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(durations_and_sizes),
		cmocka_unit_test(files_are_bounded_and_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
