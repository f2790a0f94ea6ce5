// SPDX-License-Identifier: Apache-2.0
#include "policy_helper.h"

#include <stdio.h>

#include "imastream/limits.h"
#include "policy/create.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static struct baseline *baseline(void)
{
	struct baseline *b = NULL;

	assert_int_equal(baseline_new(&b), 0);
	return b;
}

static void take(void *user, const struct ima_entry *e, uint64_t index)
{
	(void)index;
	assert_int_equal(baseline_entry(user, e), 0);
}

static void add(struct baseline *b, const char *alg, const char *hex, const char *path)
{
	cleanup_made_ struct made m = make_entry("ima-ng", alg, hex, path);

	take(b, &m.entry, 0);
}

static const char *written(struct baseline *b, struct writer *w)
{
	*w = WRITER(64u << 20);
	assert_int_equal(baseline_write(b, w), 0);
	return writer_cstr(w);
}

/* The complete form that Keylime wants, sorted, in bytes that do not depend on the order of entries. */
static void format_is_fixed(void **state)
{
	static const char want[] = "{\n"
				   " \"digests\": {\n"
				   "  \"/a\": [\n   \"" A32 "\",\n   \"" B32 "\"\n  ],\n"
				   "  \"/b\": [\n   \"" A32 "\"\n  ]\n },\n"
				   " \"excludes\": [\n  \"/tmp/\"\n ],\n"
				   " \"ima\": {\n  \"dm_policy\": null,\n  \"ignored_keyrings\": [],\n  \"log_hash_alg\": \"sha256\"\n },\n"
				   " \"ima-buf\": {},\n \"keyrings\": {},\n"
				   " \"meta\": {\n  \"generator\": 0,\n  \"version\": 1\n },\n"
				   " \"release\": 0,\n \"verification-keys\": \"\"\n}\n";
	cleanup_writer_ struct writer first = WRITER(0), second = WRITER(0), why = WRITER(100);
	cleanup_baseline_ struct baseline *b = baseline(), *c = baseline();
	struct baseline *both[] = { b, c };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(baseline_exclude(both[i], text("/tmp/"), &why), 0);
		assert_int_equal(baseline_exclude(both[i], text("/tmp/"), &why), 0); /* once is enough */
		assert_int_equal(baseline_log_hash_alg(both[i], HASH_SHA256), 0);
	}
	add(b, "sha256", B32, "/a");
	add(b, "sha256", A32, "/b");
	add(b, "sha256", A32, "/a");
	add(b, "sha256", A32, "/a");
	add(c, "sha256", A32, "/a");
	add(c, "sha256", A32, "/b");
	add(c, "sha256", B32, "/a");
	assert_string_equal(written(b, &first), want);
	assert_string_equal(written(c, &second), want);
	assert_int_equal(baseline_counts(b)->entries, 4);
	assert_int_equal(baseline_counts(b)->digests, 3);
	assert_int_equal(baseline_counts(b)->added, 3);
}

static void what_cannot_be_said_is_counted(void **state)
{
	cleanup_baseline_ struct baseline *b = baseline();
	cleanup_made_ struct made violation = make_entry("ima-ng", "sha256", "", "/v");
	cleanup_made_ struct made strange = make_entry("ima-future", "sha256", A32, "/a");
	cleanup_made_ struct made torn = make_entry("ima-ng", "sha256", A32, "/a");
	cleanup_writer_ struct writer out = WRITER(0);

	(void)state;
	violation.entry.violation = true;
	take(b, &violation.entry, 0);
	take(b, &strange.entry, 0);
	torn.entry.data.n--;
	take(b, &torn.entry, 0);
	add(b, "sha256", A32, "/\xff");					 /* no JSON string */
	add(b, "rmd160", "0000000000000000000000000000000000000000", "/a"); /* would be read as SHA-1 */
	add(b, "foo", A32, "/a");
	assert_non_null(strstr(written(b, &out), "\"digests\": {}"));
	assert_int_equal(baseline_counts(b)->entries, 6);
	assert_int_equal(baseline_counts(b)->violations, 1);
	assert_int_equal(baseline_counts(b)->not_understood, 2);
	assert_int_equal(baseline_counts(b)->unsayable, 3);
	assert_int_equal(baseline_counts(b)->digests, 0);
}

static void buffers_go_where_they_belong(void **state)
{
	cleanup_baseline_ struct baseline *b = baseline();
	cleanup_writer_ struct writer cert = WRITER(0), out = WRITER(0);
	cleanup_made_ struct made key = make_entry("ima-buf", "sha256", A32, ".ima");
	cleanup_made_ struct made data = make_entry("ima-buf", "sha256", B32, "kernel_version");
	const char *json;

	(void)state;
	load_file("kernel/6.1-ima-sig/cert.der", &cert);
	made_field(&key, cert.p, cert.n);
	made_field(&data, "6.1.0", 5);
	take(b, &key.entry, 0);
	take(b, &data.entry, 0);
	json = written(b, &out);
	assert_non_null(strstr(json, "\"digests\": {}"));
	assert_non_null(strstr(json, "\"keyrings\": {\n  \".ima\": [\n   \"" A32 "\""));
	assert_non_null(strstr(json, "\"ima-buf\": {\n  \"kernel_version\": [\n   \"" B32 "\""));
}

static void base_is_kept_and_merged(void **state)
{
	static const char base[] = "{\"release\":7,\"deny\":[\"" A32 "\"],\"violations\":\"fail\",\"excludes\":[\"/z\",\"/a\"],"
				   "\"own\":{\"x\":1},\"ima\":{\"log_hash_alg\":\"sha512\",\"ignored_keyrings\":[\"k\"]},"
				   "\"digests\":{\"/a\":[\"BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\",\"" B32 "\"],\"/kept\":[\"" A32 "\"]}}";
	struct policy_report report = { .errors = 0 };
	cleanup_baseline_ struct baseline *b = baseline();
	cleanup_writer_ struct writer out = WRITER(0), why = WRITER(100);
	const char *json;

	(void)state;
	assert_int_equal(baseline_start_from(b, text(base), &report), 0);
	policy_report_clear(&report);
	add(b, "sha256", A32, "/a");
	add(b, "sha256", B32, "/a");
	assert_int_equal(baseline_log_hash_alg(b, HASH_SHA1), 0); /* the base says it */
	assert_int_equal(baseline_exclude(b, text("/new"), &why), 0);
	json = written(b, &out);
	assert_non_null(strstr(json, "\"/a\": [\n   \"" A32 "\",\n   \"" B32 "\"\n  ]"));
	assert_non_null(strstr(json, "\"/kept\""));
	assert_non_null(strstr(json, "\"release\": 7"));
	assert_non_null(strstr(json, "\"violations\": \"fail\""));
	assert_non_null(strstr(json, "\"deny\""));
	assert_non_null(strstr(json, "\"own\""));
	assert_non_null(strstr(json, "\"log_hash_alg\": \"sha512\""));
	assert_non_null(strstr(json, "[\n  \"/z\",\n  \"/a\",\n  \"/new\"\n ]")); /* order of rules stays */
	assert_int_equal(baseline_counts(b)->digests, 3);
	assert_int_equal(baseline_counts(b)->added, 1);
}

static void bad_base_and_bad_exclude_are_refused(void **state)
{
	struct policy_report report = { .errors = 0 };
	cleanup_baseline_ struct baseline *b = baseline();
	cleanup_writer_ struct writer why = WRITER(100), out = WRITER(0);

	(void)state;
	assert_int_equal(baseline_start_from(b, text("{\"digests\":[]}"), &report), 1);
	assert_int_equal(report.errors, 1);
	policy_report_clear(&report);
	assert_int_equal(baseline_exclude(b, text("(foo"), &why), 1);
	assert_string_equal(writer_cstr(&why), "missing closing parenthesis at offset 4");
	writer_reset(&why);
	assert_int_equal(baseline_exclude(b, text("/\xff"), &why), 1); /* not UTF-8 */
	assert_non_null(strstr(written(b, &out), "\"excludes\": []"));
}

static void exclude_limit_counts_the_base(void **state)
{
	cleanup_writer_ struct writer base = WRITER(1u << 20), why = WRITER(100);
	struct policy_report report = { .errors = 0 };
	cleanup_baseline_ struct baseline *b = baseline();

	(void)state;
	write_fmt(&base, "{\"excludes\":[\"/0\"");
	for (size_t i = 1; i < LIMIT_POLICY_EXCLUDES - 1; i++)
		write_fmt(&base, ",\"/%zu\"", i);
	write_fmt(&base, "]}");
	assert_int_equal(baseline_start_from(b, writer_view(&base), &report), 0);
	policy_report_clear(&report);
	assert_int_equal(baseline_exclude(b, text("/last"), &why), 0);
	assert_int_equal(baseline_exclude(b, text("/more"), &why), 1);
}

/* A baseline of a list, whatever its template, finds nothing to fail on in the same list. */
static void judge(void *user, const struct ima_entry *e, uint64_t index)
{
	const struct appraisal *a = user;
	struct finding out[4];
	size_t n = appraise_entry(a, e, NULL, index, out);

	for (size_t i = 0; i < n; i++) {
		if (out[i].severity == SEVERITY_FAIL)
			print_message("entry %llu: %s\n", (unsigned long long)index, reason_name(out[i].reason));
		assert_true(out[i].severity < SEVERITY_FAIL);
	}
}

static void baseline_of_a_kernel_list_accepts_it(void **state)
{
	static const char *const names[] = {
		"6.1-ima-sha1", "6.1-ima-ng",	      "6.1-ima-ng-sha1", "6.12-ima-ng-sha512", "6.1-ima-sig",	     "7.2-ima-sig-sha512",
		"6.1-ima-ngv2", "6.12-ima-sigv2",     "6.1-evm-sig",	 "6.1-ima-buf",	       "6.12-ima-sig-pcrs",  "6.12-custom",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_baseline_ struct baseline *b = baseline();
		cleanup_policy_ struct policy *p = NULL;
		cleanup_writer_ struct writer out = WRITER(0);
		struct appraisal a = { .check_template_hash = true };
		char list[128];

		(void)snprintf(list, sizeof(list), "kernel/%s/binary_runtime_measurements", names[i]);
		(void)each_entry(list, take, b);
		p = policy_of(written(b, &out));
		assert_int_equal(baseline_counts(b)->not_understood, 0);
		assert_int_equal(baseline_counts(b)->unsayable, 0);
		assert_true(baseline_counts(b)->digests > 10);
		a.policy = p;
		(void)each_entry(list, judge, &a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_is_fixed),
		cmocka_unit_test(what_cannot_be_said_is_counted),
		cmocka_unit_test(buffers_go_where_they_belong),
		cmocka_unit_test(base_is_kept_and_merged),
		cmocka_unit_test(bad_base_and_bad_exclude_are_refused),
		cmocka_unit_test(exclude_limit_counts_the_base),
		cmocka_unit_test(baseline_of_a_kernel_list_accepts_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
