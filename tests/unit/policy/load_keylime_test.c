// SPDX-License-Identifier: Apache-2.0
#include "policy_helper.h"

#include <stdio.h>
#include <sys/mman.h>

#include "policy/model.h"

#define HEX32 "b8ae0b8dd04a5935cd8165aa2260cd11b658bd71629bdb52256a675a1f73907b"
#define HEX20 "233ad3a8e77c63a7d9a56063ec2cad1eafa58850"
#define X100 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
/* All members there, so that what is said is about the one in question. */
#define FULL(more)                                                                                                        \
	"{\"meta\":{\"version\":1,\"generator\":0},\"release\":0,\"keyrings\":{},\"ima-buf\":{},\"verification-keys\":\"\"," \
	"\"ima\":{\"ignored_keyrings\":[],\"log_hash_alg\":\"sha1\",\"dm_policy\":null}," more "}"
#define EMPTY_DIGESTS "\"digests\":{},\"excludes\":[]"

static int load(const char *json, struct policy **p, struct policy_report *report)
{
	return policy_load_json(p, (struct bytes){ (const uint8_t *)json, strlen(json) }, report);
}

/* The policy is refused, and the first line of the report is this one. */
static void assert_refused(const char *json, const char *line)
{
	struct policy_report report = { .errors = 0 };
	struct policy *untouched = (struct policy *)&report, *p = untouched;
	const char *text;

	assert_int_equal(load(json, &p, &report), 1);
	assert_ptr_equal(p, untouched);
	assert_true(report.errors > 0);
	text = writer_cstr(&report.text);
	if (!strstr(text, line))
		print_message("%s\nsays: %s\nwanted: %s\n", json, text, line);
	assert_non_null(strstr(text, line));
	policy_report_clear(&report);
	assert_int_equal(report.errors, 0);
}

static void complete_policy_says_nothing(void **state)
{
	struct policy_report report = { .errors = 0 };
	cleanup_policy_ struct policy *p = NULL;

	(void)state;
	assert_int_equal(load(FULL("\"digests\":{\"/a\":[\"" HEX32 "\",\"" HEX20 "\"],\"/b\":[]},\"excludes\":[\"/tmp/\"],"
				   "\"deny\":[\"" HEX20 "\"],\"violations\":\"fail\""),
			      &p, &report),
			 0);
	assert_int_equal(report.errors, 0);
	assert_int_equal(report.notes, 0);
	assert_int_equal(report.text.n, 0);
	assert_int_equal(policy_path_count(p), 2);
	assert_int_equal(policy_digest_count(p), 2);
	assert_int_equal(policy_exclude_count(p), 1);
	assert_int_equal(policy_deny_count(p), 1);
	assert_int_equal(policy_violation_rule(p), VIOLATION_FAIL);
	assert_null(policy_keyring(p));
	policy_report_clear(&report);
}

static void id_is_the_hash_of_the_file(void **state)
{
	cleanup_policy_ struct policy *p = policy_of("{}");

	(void)state;
	assert_string_equal(policy_id(p), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

static void missing_members_are_noted(void **state)
{
	static const char *const lines[] = {
		"note: /meta: missing, taken as version 1\n",	       "note: /release: missing, taken as 0\n",
		"note: /ima: missing",				       "note: /digests: missing",
		"note: /excludes: missing, taken as []\n",	       "note: /keyrings: missing, taken as {}\n",
		"note: /ima-buf: missing, taken as {}\n",	       "note: /verification-keys: missing, taken as \"\"\n",
	};
	struct policy_report report = { .errors = 0 };
	cleanup_policy_ struct policy *p = NULL;

	(void)state;
	assert_int_equal(load("{}", &p, &report), 0);
	assert_int_equal(report.notes, ARRAY_SIZE(lines));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_non_null(strstr(writer_cstr(&report.text), lines[i]));
	assert_int_equal(policy_violation_rule(p), VIOLATION_WARN);
	policy_report_clear(&report);
}

static void inner_members_and_strangers_are_noted(void **state)
{
	struct policy_report report = { .errors = 0 };
	cleanup_policy_ struct policy *p = NULL;

	(void)state;
	assert_int_equal(load("{\"meta\":{},\"ima\":{\"dm_policy\":{\"x\":1},\"odd\":1},\"extra/~ \\u001b[31m\":1}", &p, &report), 0);
	assert_non_null(strstr(writer_cstr(&report.text), "note: /meta/version: missing, taken as 1\n"));
	assert_non_null(strstr(writer_cstr(&report.text), "note: /ima/log_hash_alg: missing, taken as \"sha1\"\n"));
	assert_non_null(strstr(writer_cstr(&report.text), "note: /ima/ignored_keyrings: missing, taken as []\n"));
	assert_non_null(strstr(writer_cstr(&report.text), "note: /ima/dm_policy: device mapper"));
	assert_non_null(strstr(writer_cstr(&report.text), "note: /ima/odd: not a member"));
	/* JSON pointer escapes, and nothing that reaches the terminal */
	assert_non_null(strstr(writer_cstr(&report.text), "note: /extra~1~0\\x20\\x1b[31m: not a member"));
	policy_report_clear(&report);
}

static void wrong_types_are_errors(void **state)
{
	static const char *const cases[][2] = {
		{ "[]", "error: /: an array, expected an object" },
		{ "{\"meta\":1}", "error: /meta: an integer, expected an object" },
		{ "{\"meta\":{\"version\":\"1\"}}", "error: /meta/version: a string, expected an integer" },
		{ "{\"meta\":{\"version\":2}}", "error: /meta/version: version 2, only 1 is known" },
		{ "{\"release\":\"1\"}", "error: /release: a string, expected an integer" },
		{ "{\"digests\":[]}", "error: /digests: an array, expected an object" },
		{ "{\"digests\":{\"/a/b\":\"" HEX32 "\"}}", "error: /digests/~1a~1b: a string, expected an array" },
		{ "{\"digests\":{\"/a\":[\"" HEX32 "\",1]}}", "error: /digests/~1a/1: an integer, expected a hexadecimal" },
		{ "{\"excludes\":{}}", "error: /excludes: an object, expected an array" },
		{ "{\"excludes\":[null]}", "error: /excludes/0: null, expected a regular expression" },
		{ "{\"keyrings\":[]}", "error: /keyrings: an array" },
		{ "{\"keyrings\":{\".ima\":[true]}}", "error: /keyrings/.ima/0: true, expected" },
		{ "{\"ima-buf\":null}", "error: /ima-buf: null, expected an object" },
		{ "{\"ima\":[]}", "error: /ima: an array" },
		{ "{\"ima\":{\"log_hash_alg\":5}}", "error: /ima/log_hash_alg: an integer" },
		{ "{\"ima\":{\"log_hash_alg\":\"sha257\"}}", "error: /ima/log_hash_alg: no hash algorithm of that name: 'sha257'" },
		{ "{\"ima\":{\"ignored_keyrings\":{}}}", "error: /ima/ignored_keyrings: an object" },
		{ "{\"ima\":{\"ignored_keyrings\":[\"a\",2]}}", "error: /ima/ignored_keyrings/1: an integer" },
		{ "{\"verification-keys\":[]}", "error: /verification-keys: an array, expected a string" },
		{ "{\"deny\":{}}", "error: /deny: an object" },
		{ "{\"deny\":[\"zz\"]}", "error: /deny/0: 2 digits" },
		{ "{\"violations\":\"maybe\"}", "error: /violations: expected \"ignore\"" },
		{ "{\"violations\":1}", "error: /violations: expected \"ignore\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(cases[i][0], cases[i][1]);
}

static void wrong_digests_are_errors(void **state)
{
	static const char *const cases[][2] = {
		{ "\"\"", "error: /digests/~1a/0: 0 digits: no hash algorithm" },
		{ "\"b8ae\"", "error: /digests/~1a/0: 4 digits: no hash algorithm" },
		{ "\"" HEX20 "0\"", "error: /digests/~1a/0: 41 digits" },
		{ "\"" HEX20 "00\"", "error: /digests/~1a/0: 42 digits" },
		{ "\"" HEX32 HEX32 "00\"", "error: /digests/~1a/0: 130 digits" },
		{ "\"" HEX20 "\",\"g33ad3a8e77c63a7d9a56063ec2cad1eafa58850\"",
		  "error: /digests/~1a/1: not hexadecimal: 'g33ad3a8e77c63a7d9a56063ec2cad1eafa58850'" },
		{ "\"sha1:" HEX20 "\"", "error: /digests/~1a/0: 45 digits" },
	};
	char json[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)snprintf(json, sizeof(json), "{\"digests\":{\"/a\":[%s]}}", cases[i][0]);
		assert_refused(json, cases[i][1]);
	}
}

static void broken_json_is_an_error_with_its_line(void **state)
{
	(void)state;
	assert_refused("", "error: line 1 column 0: ");
	assert_refused("{\"digests\":\n{", "error: line 2 column 1: ");
	assert_refused("{} x", "error: line 1 column 4: end of file expected near 'x'");
	assert_refused("{\"a\":1,\"a\":2}", "duplicate object key near '\"a\"'");
	assert_refused("{\"digests\":{\"/a\":[],\"/a\":[]}}", "duplicate object key");
	assert_refused("{\"digests\":{\"\\u0000\":[]}}", "error: line 1");
	assert_refused("{\"digests\":{\"\xff\":[]}}", "error: line 1");
	assert_refused("{\"digests\":{\"/a\":NaN}}", "error: line 1");
}

static void long_names_are_shown_cut(void **state)
{
	(void)state;
	assert_refused("{\"digests\":{\"" X100 X100 X100 X100 "\":1}}", "error: /digests/" X100 X100 X100 X100 ": an integer");
	assert_refused("{\"digests\":{\"" X100 X100 X100 X100 "x\":1}}", "error: /digests/" X100 X100 X100 X100 "...: an integer");
}

static void every_error_is_said(void **state)
{
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	(void)state;
	assert_int_equal(load("{\"digests\":{\"/a\":[1,\"\"],\"/b\":2},\"excludes\":[\"(\",\"[\"],\"deny\":3}", &p, &report), 1);
	assert_int_equal(report.errors, 6);
	assert_non_null(strstr(writer_cstr(&report.text), "error: /digests/~1b: "));
	assert_non_null(strstr(writer_cstr(&report.text), "error: /excludes/1: missing ]"));
	policy_report_clear(&report);
}

/* Deliberate difference from Keylime, which drops the whole list of excludes silently. */
static void bad_exclude_is_an_error_at_load(void **state)
{
	(void)state;
	assert_refused(FULL("\"digests\":{},\"excludes\":[\"/a\",\"(foo\"]"),
		       "error: /excludes/1: missing closing parenthesis at offset 4 in '(foo'\n");
	assert_refused("{\"excludes\":[\"\\u001b[0m(\"]}", "in '\\x1b[0m('"); /* escaped */
}

static void exclude_of_everything_is_noted(void **state)
{
	struct policy_report report = { .errors = 0 };
	cleanup_policy_ struct policy *p = NULL;

	(void)state;
	assert_int_equal(load(FULL("\"digests\":{},\"excludes\":[\"/a\",\".*\"]"), &p, &report), 0);
	assert_string_equal(writer_cstr(&report.text), "note: /excludes/1: this rule covers every path: '.*'\n");
	policy_report_clear(&report);
}

static void digests_get_an_algorithm_by_their_length(void **state)
{
	cleanup_policy_ struct policy *p = policy_of("{\"digests\":{\"/a\":[\"" HEX32 "\",\"B8AE0B8DD04A5935CD8165AA2260CD11B658BD71\"]}}");
	cleanup_policy_ struct policy *sm3 = policy_of("{\"ima\":{\"log_hash_alg\":\"sm3\"},\"digests\":{\"/a\":[\"" HEX32 "\"]}}");
	uint8_t d[32];

	(void)state;
	assert_int_equal(hex_decode(BYTES(HEX32), d, 32), 0);
	assert_int_equal(table_find(&p->table, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA256, (struct bytes){ d, 32 }), TABLE_MATCH);
	assert_int_equal(table_find(&p->table, TABLE_FILES, BYTES("/a"), FILE_ALG_SM3, (struct bytes){ d, 32 }), TABLE_ALGORITHM);
	assert_int_equal(table_find(&p->table, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA1, (struct bytes){ d, 20 }), TABLE_MATCH);
	assert_int_equal(table_find(&sm3->table, TABLE_FILES, BYTES("/a"), FILE_ALG_SM3, (struct bytes){ d, 32 }), TABLE_MATCH);
	assert_int_equal(table_find(&sm3->table, TABLE_FILES, BYTES("/a"), FILE_ALG_SHA256, (struct bytes){ d, 32 }), TABLE_ALGORITHM);
}

static void same_digest_twice_counts_once(void **state)
{
	cleanup_policy_ struct policy *p = policy_of("{\"digests\":{\"/a\":[\"" HEX32 "\",\"" HEX32 "\"]}}");

	(void)state;
	assert_int_equal(policy_digest_count(p), 1);
}

static void keylime_policies_load(void **state)
{
	static const struct {
		const char *name;
		size_t paths, digests, excludes, keys;
	} files[] = {
		{ "keylime-ima/policy-empty.json", 0, 0, 0, 0 },
		{ "keylime-ima/policy-test.json", 6, 6, 0, 0 },
		{ "keylime-ima/policy-test-excludes.json", 6, 6, 6, 0 },
		{ "keylime-ima/policy-wrong.json", 2, 2, 0, 0 },
		{ "keylime-ima/policy-wrong-excludes.json", 2, 2, 6, 0 },
		{ "keylime-ima/policy-verification-keys.json", 1, 1, 0, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_policy_ struct policy *p = load_policy(files[i].name);

		assert_int_equal(policy_path_count(p), files[i].paths);
		assert_int_equal(policy_digest_count(p), files[i].digests);
		assert_int_equal(policy_exclude_count(p), files[i].excludes);
		assert_int_equal(policy_keyring(p) ? keyring_count(policy_keyring(p)) : 0, files[i].keys);
	}
}

static void verification_keys_take_pem(void **state)
{
	cleanup_policy_ struct policy *p = policy_of(
		"{\"verification-keys\":\"-----BEGIN PUBLIC KEY-----\\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEnNH3Y/xOTwRRd8D6hpodRLnVx71qDTLv\\n"
		"JHouno7nU7JSzcXWN1PxK+HQEh1V7sMdwBER4KFKE635JTv6C+BRBg==\\n-----END PUBLIC KEY-----\\n\"}");

	(void)state;
	assert_int_equal(keyring_count(policy_keyring(p)), 1);
}

static void bad_verification_keys_are_errors(void **state)
{
	static const char *const cases[][2] = {
		{ "not a key", "error: /verification-keys: neither PEM nor DER" },
		{ "{\\\"pubkeys\\\":1}", "has no array \"pubkeys\"" },
		{ "{", "neither a JSON object nor PEM" },
		{ "{\\\"pubkeys\\\":[],\\\"keyids\\\":7}", "\"keyids\" in the text inside is not an array" },
		{ "{\\\"pubkeys\\\":[\\\"***\\\"]}", "error: /verification-keys/pubkeys/0: not base64" },
		{ "{\\\"pubkeys\\\":[5]}", "error: /verification-keys/pubkeys/0: not base64" },
		{ "{\\\"pubkeys\\\":[\\\"AAAA\\\"]}", "error: /verification-keys/pubkeys/0: neither PEM nor DER" },
		{ "{\\\"pubkeys\\\":[\\\"AAAA\\\"],\\\"keyids\\\":[-1]}", "error: /verification-keys/pubkeys/0: its key id" },
		{ "{\\\"pubkeys\\\":[\\\"AAAA\\\"],\\\"keyids\\\":[4294967296]}", "error: /verification-keys/pubkeys/0: its key id" },
	};
	char json[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)snprintf(json, sizeof(json), "{\"verification-keys\":\"%s\"}", cases[i][0]);
		assert_refused(json, cases[i][1]);
	}
}

static void depth_limit(void **state)
{
	struct policy_report report = { .errors = 0 };
	cleanup_policy_ struct policy *p = NULL;
	char json[256];

	(void)state;
	for (unsigned int depth = LIMIT_POLICY_DEPTH; depth <= LIMIT_POLICY_DEPTH + 1; depth++) {
		cleanup_writer_ struct writer w = WRITER(4096);

		write_fmt(&w, "{\"x\":");
		for (unsigned int i = 1; i < depth; i++)
			write_fmt(&w, "[");
		for (unsigned int i = 1; i < depth; i++)
			write_fmt(&w, "]");
		write_fmt(&w, "}");
		if (depth == LIMIT_POLICY_DEPTH) {
			assert_int_equal(policy_load_json(&p, writer_view(&w), &report), 0);
			policy_report_clear(&report);
		} else {
			(void)snprintf(json, sizeof(json), "error: /x/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0: nested deeper than %u", LIMIT_POLICY_DEPTH);
			assert_refused(writer_cstr(&w), json);
		}
	}
}

static void very_deep_json_is_an_error(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	(void)state;
	memset(write_space(&w, 200000), '[', 200000);
	assert_refused(writer_cstr(&w), "error: line 1");
}

/* The maximum is looked at (and is not JSON), one more is not. */
static void size_limit(void **state)
{
	size_t n = (size_t)LIMIT_POLICY_FILE + 1;
	void *zeros = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	(void)state;
	assert_true(zeros != MAP_FAILED);
	assert_int_equal(policy_load_json(&p, (struct bytes){ zeros, n - 1 }, &report), 1);
	assert_non_null(strstr(writer_cstr(&report.text), "error: line 1"));
	policy_report_clear(&report);
	assert_int_equal(policy_load_json(&p, (struct bytes){ zeros, n }, &report), 1);
	assert_string_equal(writer_cstr(&report.text), "error: /: 536870913 bytes, more than 536870912\n");
	policy_report_clear(&report);
	(void)munmap(zeros, n);
}

static void exclude_count_limit(void **state)
{
	(void)state;
	for (size_t n = LIMIT_POLICY_EXCLUDES; n <= LIMIT_POLICY_EXCLUDES + 1; n++) {
		cleanup_writer_ struct writer w = WRITER(1u << 20);
		cleanup_policy_ struct policy *p = NULL;

		write_fmt(&w, "{\"excludes\":[\"a\"");
		for (size_t i = 1; i < n; i++)
			write_fmt(&w, ",\"a\"");
		write_fmt(&w, "]}");
		if (n == LIMIT_POLICY_EXCLUDES) {
			p = policy_of(writer_cstr(&w));
			assert_int_equal(policy_exclude_count(p), n);
		} else {
			assert_refused(writer_cstr(&w), "error: /excludes: 4097 rules, more than 4096");
		}
	}
}

/* Beyond its room the report counts, and does not fail. */
static void report_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 22);
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	(void)state;
	write_fmt(&w, "{\"deny\":[0");
	for (int i = 1; i < 10000; i++)
		write_fmt(&w, ",0");
	write_fmt(&w, "]}");
	assert_int_equal(policy_load_json(&p, writer_view(&w), &report), 1);
	assert_int_equal(report.errors, 10000);
	assert_true(report.text.n <= LIMIT_POLICY_REPORT);
	assert_int_equal(report.text.bad, 0);
	assert_int_equal(report.text.p[report.text.n - 1], '\n');
	policy_report_clear(&report);
}

static void references_are_counted(void **state)
{
	struct policy *p = policy_of("{}"), *q = policy_ref(p);

	(void)state;
	assert_ptr_equal(p, q);
	policy_unref(&p);
	assert_null(p);
	assert_int_equal(policy_path_count(q), 0); /* still there: ASan sees it if not */
	policy_unref(&q);
	policy_unref(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complete_policy_says_nothing),
		cmocka_unit_test(id_is_the_hash_of_the_file),
		cmocka_unit_test(missing_members_are_noted),
		cmocka_unit_test(inner_members_and_strangers_are_noted),
		cmocka_unit_test(wrong_types_are_errors),
		cmocka_unit_test(wrong_digests_are_errors),
		cmocka_unit_test(broken_json_is_an_error_with_its_line),
		cmocka_unit_test(long_names_are_shown_cut),
		cmocka_unit_test(every_error_is_said),
		cmocka_unit_test(bad_exclude_is_an_error_at_load),
		cmocka_unit_test(exclude_of_everything_is_noted),
		cmocka_unit_test(digests_get_an_algorithm_by_their_length),
		cmocka_unit_test(same_digest_twice_counts_once),
		cmocka_unit_test(keylime_policies_load),
		cmocka_unit_test(verification_keys_take_pem),
		cmocka_unit_test(bad_verification_keys_are_errors),
		cmocka_unit_test(depth_limit),
		cmocka_unit_test(very_deep_json_is_an_error),
		cmocka_unit_test(size_limit),
		cmocka_unit_test(exclude_count_limit),
		cmocka_unit_test(report_limit),
		cmocka_unit_test(references_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
