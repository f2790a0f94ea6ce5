// SPDX-License-Identifier: Apache-2.0
/* Every allocation of the policy code fails once: no crash, no leak (ASan), nothing handed out, -ENOMEM. */
#include "policy_helper.h"

#include "lib/alloc_fail.h"
#include "policy/compiled.h"
#include "policy/create.h"
#include "policy/inspect.h"
#include "policy/model.h"

#define HEX32 "b8ae0b8dd04a5935cd8165aa2260cd11b658bd71629bdb52256a675a1f73907b"
#define HEX20 "233ad3a8e77c63a7d9a56063ec2cad1eafa58850"
#define KEY "-----BEGIN PUBLIC KEY-----\\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEnNH3Y/xOTwRRd8D6hpodRLnVx71qDTLv\\n" \
	    "JHouno7nU7JSzcXWN1PxK+HQEh1V7sMdwBER4KFKE635JTv6C+BRBg==\\n-----END PUBLIC KEY-----\\n"
#define POLICY(keys, more)                                                                                                 \
	"{\"meta\":{\"version\":1},\"digests\":{\"/a\":[\"" HEX32 "\",\"" HEX20 "\"],\"/b\\u00e9\":[\"" HEX20 "\"]},"                  \
	"\"excludes\":[\"/tmp/\",\"/v\\u0061r/.*x$\",\".*\"],\"keyrings\":{\".ima\":[\"" HEX32 "\"]},\"ima-buf\":{\"x\":[\"" HEX32 "\"]},"       \
	"\"ima\":{\"ignored_keyrings\":[\"\\u0072\"],\"log_hash_alg\":\"sha256\",\"dm_policy\":null},\"odd\":1,\"o\\u0064d2\":[{}],"           \
	"\"deny\":[\"" HEX20 "\"],\"boot-pcrs\":{\"sha1\":{\"7\":[\"" HEX20 "\"]}},\"verification-keys\":\"" keys "\"" more "}"
#define GOOD POLICY(KEY, "")
#define KEY_LIST POLICY("{\\\"pubkeys\\\":[\\\"MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEnNH3Y/xOTwRRd8D6hpodRLnVx71qDTLvJHouno7nU7JSzcXWN1Px"      \
			"K+HQEh1V7sMdwBER4KFKE635JTv6C+BRBg==\\\"],\\\"keyids\\\":[7]}",                                                   \
			"")
#define BAD POLICY(KEY, ",\"violations\":3,\"release\":\"\"")
#define DUPLICATE POLICY(KEY, ",\"o\\u0064d\":3")
#define DEEP POLICY(KEY, ",\"x\":[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]")

static int load(void *json)
{
	struct bytes text = { json, strlen(json) };
	struct policy_report report = { .errors = 0 };
	struct policy *untouched = (struct policy *)&report, *p = untouched;
	int r = policy_load_json(&p, text, &report);

	if (r == 0)
		policy_unref(&p);
	else
		assert_ptr_equal(p, untouched);
	policy_report_clear(&report);
	return r;
}

static void json(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(load, (void *)GOOD, 0) > 20);
	assert_true(alloc_fail_each(load, (void *)KEY_LIST, 0) > 20);
	assert_true(alloc_fail_each(load, (void *)BAD, 1) > 10);
	assert_true(alloc_fail_each(load, (void *)DUPLICATE, 1) > 3);
	assert_true(alloc_fail_each(load, (void *)DEEP, 1) > 3);
}

static int load_compiled(void *compiled)
{
	struct policy_report report = { .errors = 0 };
	struct policy *untouched = (struct policy *)&report, *p = untouched;
	int r = policy_load(&p, writer_view(compiled), &report);

	if (r == 0)
		policy_unref(&p);
	else
		assert_ptr_equal(p, untouched);
	policy_report_clear(&report);
	return r;
}

static int compile(void *user)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct policy_report report = { .errors = 0 };
	int r = policy_compile(&w, BYTES(GOOD), &report);

	(void)user;
	policy_report_clear(&report);
	return r;
}

static void compiled(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct policy_report report = { .errors = 0 };

	(void)state;
	assert_true(alloc_fail_each(compile, NULL, 0) > 20);
	assert_int_equal(policy_compile(&w, BYTES(GOOD), &report), 0);
	assert_true(alloc_fail_each(load_compiled, &w, 0) > 10);
	w.p[w.n - 1] ^= 1;
	assert_true(alloc_fail_each(load_compiled, &w, 1) >= 2);
	policy_report_clear(&report);
}

static int add_keys(void *file)
{
	cleanup_keyring_ struct keyring *k = NULL;
	const char *why = NULL;
	int r = keyring_new(&k);

	if (r < 0) {
		assert_null(k);
		return r;
	}
	r = keyring_add(k, writer_view(file), &why);
	if (r < 0)
		assert_int_equal(keyring_count(k), 0);
	return r;
}

static void keys(void **state)
{
	cleanup_writer_ struct writer file = WRITER(0);

	(void)state;
	load_file("imasig/rsa2048-sha512.pub.pem", &file);
	assert_true(alloc_fail_each(add_keys, &file, 0) >= 2);
}

static int add_excludes(void *user)
{
	static const char *const rules[] = { "/a", "(?i)/b[^x]+$", "(unclosed", "/x{3}(?P<n>y)" };
	cleanup_exclude_set_ struct exclude_set *s = NULL;
	int r = exclude_set_new(&s);

	(void)user;
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(rules); i++) {
		cleanup_writer_ struct writer why = WRITER(1024);
		size_t before = exclude_count(s);

		r = exclude_add(s, (struct bytes){ (const uint8_t *)rules[i], strlen(rules[i]) }, &why);
		assert_int_equal(exclude_count(s), before + (r == 0));
	}
	return r;
}

static void excludes(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(add_excludes, NULL, 0) >= 3);
}

static int make_baseline(void *list)
{
	cleanup_baseline_ struct baseline *b = NULL;
	cleanup_writer_ struct writer w = WRITER(1u << 20), why = WRITER(1024);
	struct policy_report report = { .errors = 0 };
	int r = baseline_new(&b);

	if (r == 0)
		r = baseline_start_from(b, BYTES(GOOD), &report);
	policy_report_clear(&report);
	if (r == 0)
		r = baseline_exclude(b, BYTES("/new"), &why);
	for (size_t i = 0; r == 0 && i < 3; i++)
		r = baseline_entry(b, &((struct made *)list)[i].entry);
	return r == 0 ? baseline_write(b, &w) : r;
}

static void baseline(void **state)
{
	struct made list[] = {
		make_entry("ima-ng", "sha256", HEX32, "/c"),
		make_entry("ima-ng", "sha1", HEX20, "/a"),
		make_entry("ima-ng", "sha256", HEX32, "/d"),
	};

	(void)state;
	assert_true(alloc_fail_each(make_baseline, list, 0) > 50);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		made_free(&list[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json),	    cmocka_unit_test(compiled), cmocka_unit_test(keys),
		cmocka_unit_test(excludes), cmocka_unit_test(baseline),
	};

	alloc_fail_jansson();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
