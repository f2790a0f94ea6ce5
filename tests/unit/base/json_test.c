// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <jansson.h>

#include "base/json.h"

static void writes_what_a_parser_reads(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct json j;
	json_t *doc;

	jw_begin(&j, &w, true);
	jw_object(&j, NULL);
	jw_string(&j, "text", "a\"b\\c\n\x01");
	jw_array(&j, "list");
	jw_u64(&j, NULL, UINT64_MAX / 2);
	jw_i64(&j, NULL, -5);
	jw_null(&j, NULL);
	jw_array_end(&j);
	jw_array(&j, "empty");
	jw_array_end(&j);
	jw_bool(&j, "yes", true);
	jw_double(&j, "d", 1.25, 2);
	jw_double(&j, "nan", 0.0 / 0.0, 2);
	jw_hex(&j, "hex", "\x01\xfe", 2);
	jw_object_end(&j);
	assert_int_equal(writer_status(&w), 0);
	doc = json_loadb((const char *)w.p, w.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_object_get(doc, "text")), "a\"b\\c\n\x01");
	assert_int_equal(json_array_size(json_object_get(doc, "list")), 3);
	assert_int_equal(json_array_size(json_object_get(doc, "empty")), 0);
	assert_true(json_is_null(json_object_get(doc, "nan")));
	assert_string_equal(json_string_value(json_object_get(doc, "hex")), "01fe");
	json_decref(doc);
}

static void foreign_bytes_stay_valid_utf8(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct json j;
	json_t *doc;

	jw_begin(&j, &w, false);
	jw_array(&j, NULL);
	jw_bytes(&j, NULL, BYTES("/x\xff\xc3\xa9\xed\xa0\x80"));
	jw_array_end(&j);
	doc = json_loadb((const char *)w.p, w.n, 0, NULL);
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_array_get(doc, 0)), "/x\\xff\xc3\xa9\\xed\\xa0\\x80");
	json_decref(doc);
}

static void depth_is_bounded(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct json j;

	jw_begin(&j, &w, false);
	for (int i = 0; i < 15; i++)
		jw_array(&j, NULL);
	assert_int_equal(writer_status(&w), 0);
	jw_array(&j, NULL);
	assert_int_equal(writer_status(&w), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_a_parser_reads),
		cmocka_unit_test(foreign_bytes_stay_valid_utf8),
		cmocka_unit_test(depth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
