// SPDX-License-Identifier: Apache-2.0
/* What `imastream log verify` reports: counts within their limits, and the JSON document. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "cli/log_verify.h"
#include "lib/recording.h"
#include "unit/cli/log_inputs.h"

#define DIR "6.1-ima-ng"
#define LIST "binary_runtime_measurements"
#define QUOTE "quote-sha256-ecc.msg"

/* Names are the attester's choice: so many are told one by one, the rest together. */
static void test_template_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	(void)state;
	for (unsigned int n = 1; n <= LIMIT_TEMPLATES + 1; n++) {
		cleanup_log_report_ struct log_report r = { 0 };
		struct log_inputs in = { 0 };
		char name[16];
		struct ima_entry e = { .pcr = 10, .name = { (const uint8_t *)name, 3 }, .data = { (const uint8_t *)"\0\0\0", 4 } };

		snprintf(name, sizeof(name), "t%02u", n);
		ima_list_write_entry(&w, &e, HASH_SHA1);
		in.list = writer_view(&w);
		assert_int_equal(log_verify(&in, &r), 0);
		assert_int_equal(r.list.entries, n);
		assert_int_equal(r.n_templates, MIN(n, LIMIT_TEMPLATES));
		assert_int_equal(r.other_templates, n - MIN(n, LIMIT_TEMPLATES));
	}
}

/* The document is JSON whatever the list holds, and has what it promises. */
static void test_json_document(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report r = { 0 };
	cleanup_writer_ struct writer list = WRITER(1u << 20), out = WRITER(1u << 20), data = WRITER(4096);
	struct ima_entry e = { .pcr = 10, .name = { (const uint8_t *)"a\"b\\c", 5 } };
	struct log_inputs in;
	json_t *doc, *finding;

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	write_bytes(&list, v.list.p, v.list.n);
	write_u32le(&data, 1);
	write_u8(&data, 'x');
	e.data = writer_view(&data);
	ima_list_write_entry(&list, &e, HASH_SHA1);
	in = inputs(&v);
	in.list = writer_view(&list);
	assert_int_equal(log_verify(&in, &r), 0);
	log_print_json(&out, &r);
	assert_int_equal(writer_status(&out), 0);
	doc = json_loadb((const char *)out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	assert_int_equal(json_integer_value(json_object_get(doc, "entries")), r.list.entries);
	assert_int_equal(json_integer_value(json_object_get(doc, "violations")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "templates"), "a\"b\\c")), 1);
	assert_int_equal(json_object_size(json_object_get(json_object_get(doc, "pcrs"), "10")), 4);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "quote"), "at_entry")), v.at_entry);
	assert_true(json_is_true(json_object_get(json_object_get(doc, "quote"), "matched")));
	assert_string_equal(json_string_value(json_object_get(doc, "verdict")), "warning");
	assert_int_equal(json_array_size(json_object_get(doc, "findings")), r.n_findings);
	finding = json_array_get(json_object_get(doc, "findings"), 0);
	assert_string_equal(recording_text(finding, "reason"), "violation");
	assert_string_equal(recording_text(finding, "path"), "/opt/rec/data/writer");
	assert_true(json_integer_value(json_object_get(finding, "entry")) > 0);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template_limit),
		cmocka_unit_test(test_json_document),
	};

	return cmocka_run_group_tests_name("imastream log verify: report", tests, NULL, NULL);
}
