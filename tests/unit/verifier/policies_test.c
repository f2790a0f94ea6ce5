// SPDX-License-Identifier: Apache-2.0
/* Policies by name, groups, and that a host cannot choose its own. */
#include "lib/test.h"
#include "verifier/policies.h"

static const char empty_policy[] =
	"{\"meta\":{\"version\":1},\"release\":0,\"digests\":{},\"excludes\":[],\"keyrings\":{},"
	"\"ima\":{\"ignored_keyrings\":[],\"log_hash_alg\":\"sha1\",\"dm_policy\":null},\"ima-buf\":{},"
	"\"verification-keys\":\"\"}";

static const uint8_t one[WIRE_DIGEST_SIZE] = { 1 }, two[WIRE_DIGEST_SIZE] = { 2 };
#define ONE "0100000000000000000000000000000000000000000000000000000000000000"
#define TWO "0200000000000000000000000000000000000000000000000000000000000000"

static struct policy *any_policy(void)
{
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	assert_int_equal(policy_load_json(&p, (struct bytes){ (const uint8_t *)empty_policy, strlen(empty_policy) },
					  &report), 0);
	policy_report_clear(&report);
	return p;
}

static void add(struct policies *p, const char *name, int expect)
{
	struct policy *policy = any_policy();

	assert_int_equal(policies_add(p, name, &policy), expect);
	assert_int_equal(policy == NULL, expect == 0);
	policy_unref(&policy);
}

static int groups(struct policies *p, const char *text, struct writer *why)
{
	writer_reset(why);
	return policies_parse_groups(p, (struct bytes){ (const uint8_t *)text, strlen(text) }, why);
}

static void expect_policy(const struct policies *p, const uint8_t *id, const char *label, const char *name)
{
	const struct named_policy *found = policies_resolve(p, id, label);

	if (name) {
		assert_non_null(found);
		assert_string_equal(found->name, name);
	} else {
		assert_null(found);
	}
}

static void names(void **state unused_)
{
	static const char *const good[] = { "a", "default", "web-2.b_C", "9" };
	static const char *const bad[] = { "", ".a", "-a", "a/b", "a b", "\xc3\xa4", "a\n" };
	char longest[LIMIT_POLICY_NAME + 2];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(policy_name_ok((struct bytes){ (const uint8_t *)good[i], strlen(good[i]) }));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(policy_name_ok((struct bytes){ (const uint8_t *)bad[i], strlen(bad[i]) }));
	memset(longest, 'x', sizeof(longest));
	assert_true(policy_name_ok((struct bytes){ (const uint8_t *)longest, LIMIT_POLICY_NAME }));
	assert_false(policy_name_ok((struct bytes){ (const uint8_t *)longest, LIMIT_POLICY_NAME + 1 }));
}

static void as_many_as_allowed(void **state unused_)
{
	struct policies p = { 0 };
	char name[16];

	for (unsigned int i = 0; i < LIMIT_POLICIES; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		add(&p, name, 0);
	}
	add(&p, "more", 1);
	policies_clear(&p);
	add(&p, "more", 0);
	add(&p, "more", 1); /* twice the same name */
	policies_clear(&p);
}

static void default_is_for_everybody(void **state unused_)
{
	struct policies p = { 0 };

	expect_policy(&p, one, "web-1", NULL);
	add(&p, "web", 0);
	expect_policy(&p, one, "web-1", NULL); /* a name alone chooses nobody */
	add(&p, POLICY_DEFAULT_NAME, 0);
	expect_policy(&p, one, "web-1", POLICY_DEFAULT_NAME);
	expect_policy(&p, one, NULL, POLICY_DEFAULT_NAME);
	policies_clear(&p);
}

static void ids_then_the_first_pattern(void **state unused_)
{
	cleanup_writer_ struct writer why = WRITER(4096);
	struct policies p = { 0 };

	add(&p, "web", 0);
	add(&p, "db", 0);
	add(&p, "lab", 0);
	assert_int_equal(groups(&p, "# who    policy\n\nweb-*  web\nweb-9  db\n" TWO "\tlab # no\n", &why), 1);
	assert_int_equal(groups(&p, "# who    policy\n\n  web-*  web \r\nweb-9  db\n" TWO "\tlab", &why), 0);
	expect_policy(&p, one, "web-9", "web");
	expect_policy(&p, two, "web-9", "lab");
	expect_policy(&p, one, "db-1", NULL);
	expect_policy(&p, one, NULL, NULL); /* no label given by the operator: no pattern fits */
	expect_policy(&p, one, "", NULL);
	assert_int_equal(groups(&p, "* db\n", &why), 0); /* in place of the older lines */
	expect_policy(&p, one, NULL, "db");
	expect_policy(&p, two, "web-9", "db");
	policies_clear(&p);
}

static void wrong_lines_change_nothing(void **state unused_)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{ "a\n", "line 1: no policy behind" },
		{ "a web\n\nb nobody\n", "line 3: there is no policy 'nobody'" },
		{ "a web more\n", "line 1: text behind" },
		{ "a ../web\n", "line 1: not a policy name" },
		{ ONE " web\n" TWO " web\n" ONE " db\n", "line 3: this attester has a line already" },
	};
	cleanup_writer_ struct writer why = WRITER(4096), large = WRITER(LIMIT_GROUPS_FILE);
	struct policies p = { 0 };

	add(&p, "web", 0);
	add(&p, "db", 0);
	assert_int_equal(groups(&p, ONE " db\n", &why), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(groups(&p, wrong[i].text, &why), 1);
		assert_non_null(strstr(writer_cstr(&why), wrong[i].why));
	}
	for (unsigned int i = 0; i < LIMIT_GROUP_LINES; i++)
		write_fmt(&large, "h%u web\n", i);
	assert_int_equal(groups(&p, writer_cstr(&large), &why), 0);
	assert_int_equal(p.n_globs, LIMIT_GROUP_LINES);
	write_fmt(&large, "more web\n");
	assert_int_equal(groups(&p, writer_cstr(&large), &why), 1);
	assert_non_null(strstr(writer_cstr(&why), "too many lines"));
	assert_int_equal(p.n_globs, LIMIT_GROUP_LINES);
	policies_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(as_many_as_allowed),
		cmocka_unit_test(default_is_for_everybody),
		cmocka_unit_test(ids_then_the_first_pattern),
		cmocka_unit_test(wrong_lines_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
