// SPDX-License-Identifier: Apache-2.0
/* Rules from files: names, folders, groups, keys; all of them are good or nothing is taken. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"
#include "lib/test.h"
#include "verifier/options.h"
#include "verifier/rules.h"

static char folder[200], text_of_path[6][256];
static struct verifier_options options;
static struct rules rules;
static struct rules_report report;

static const char *path(unsigned int slot, const char *name)
{
	snprintf(text_of_path[slot], sizeof(text_of_path[slot]), "%s/%s", folder, name);
	return text_of_path[slot];
}

static void put(const char *name, const char *text)
{
	assert_int_equal(write_file_atomic(path(5, name), (struct bytes){ (const uint8_t *)text, strlen(text) }, 0600), 0);
}

static int begin(void **state unused_)
{
	const char *dir = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/imastream-rules-XXXXXX", dir ? dir : "/tmp");
	report = RULES_REPORT;
	rules = (struct rules){ 0 };
	options = (struct verifier_options){ .heartbeat_us = 1000000, .violations = VIOLATIONS_BY_POLICY };
	return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state unused_)
{
	char command[300];

	rules_clear(&rules);
	rules_report_clear(&report);
	free(options.policy.items);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static void give_policy(const char *item)
{
	options.policy.items = realloc(options.policy.items, (options.policy.n + 1) * sizeof(char *));
	assert_non_null(options.policy.items);
	options.policy.items[options.policy.n++] = (char *)item;
}

static int load(void)
{
	rules_clear(&rules);
	rules_report_clear(&report);
	return rules_load(&options, NULL, &rules, &report);
}

static void expect_refused(const char *why)
{
	const char *said;

	assert_int_not_equal(load(), 0);
	said = writer_cstr(&report.why);
	assert_non_null(said);
	if (!strstr(said, why))
		fail_msg("said '%s', expected '%s'", said, why);
	assert_int_equal(rules.policies.n, 0);
}

static void names(void **state unused_)
{
	char item[300];

	put("a.json", "{\"digests\":{\"/a\":[]}}");
	put("b=c.json", "{\"digests\":{\"/b\":[]}}");
	put("d.json", "{\"digests\":{\"/d\":[]}}");
	snprintf(item, sizeof(item), "web=%s", path(0, "a.json"));
	give_policy(item);
	give_policy(path(1, "b=c.json")); /* no name can hold a slash: a path */
	assert_int_equal(load(), 0);
	assert_int_equal(rules.policies.n, 2);
	assert_non_null(policies_find(&rules.policies, "web"));
	assert_non_null(policies_find(&rules.policies, POLICY_DEFAULT_NAME));
	give_policy(path(2, "d.json"));
	expect_refused("there is a policy \"default\" already");
}

static void a_folder(void **state unused_)
{
	put("web.json", "{\"digests\":{\"/a\":[]}}");
	put("db.policy", "{\"digests\":{\"/b\":[]}}");
	put("db.policy.sigstore.json", "not a policy");
	put("web.json.sig", "neither");
	put("web.json.new", "neither");
	put(".hidden.json", "neither");
	put("README", "neither");
	put("not a name.json", "neither");
	options.policies = folder;
	assert_int_equal(load(), 0);
	assert_int_equal(rules.policies.n, 2);
	assert_non_null(policies_find(&rules.policies, "web"));
	assert_non_null(policies_find(&rules.policies, "db"));
	put("web.policy", "{\"digests\":{\"/c\":[]}}");
	expect_refused("there is a policy \"web\" already");
}

static void one_bad_file_refuses_all(void **state unused_)
{
	put("a.json", "{\"digests\":{\"/a\":[]}}");
	put("z.json", "{\"digests\":");
	options.policies = folder;
	expect_refused("z.json is not usable");
	assert_non_null(report.failed);
	assert_non_null(strstr(report.failed, "z.json"));
	put("z.json", "{\"digests\":{}}");
	assert_int_equal(load(), 0);
	assert_null(report.failed);
	give_policy(path(0, "missing.json"));
	expect_refused("No such file");
}

static void the_same_file_is_shared(void **state unused_)
{
	struct rules again = { 0 };

	put("a.json", "{\"digests\":{\"/a\":[]}}");
	options.policies = folder;
	assert_int_equal(load(), 0);
	assert_int_equal(rules_load(&options, &rules.policies, &again, &report), 0);
	assert_ptr_equal(again.policies.list[0].policy, rules.policies.list[0].policy);
	rules_clear(&again);
	put("a.json", "{\"digests\":{\"/b\":[]}}");
	assert_int_equal(rules_load(&options, &rules.policies, &again, &report), 0);
	assert_ptr_not_equal(again.policies.list[0].policy, rules.policies.list[0].policy);
	rules_clear(&again);
}

static void groups_of_a_limit(void **state unused_)
{
	cleanup_free_ char *lines = malloc(LIMIT_GROUPS_FILE + 2);

	assert_non_null(lines);
	memset(lines, ' ', LIMIT_GROUPS_FILE + 1);
	lines[LIMIT_GROUPS_FILE] = 0;
	lines[0] = '#';
	put("a.json", "{\"digests\":{}}");
	put("groups", lines);
	options.policies = folder;
	options.groups = (char *)path(0, "groups");
	assert_int_equal(load(), 0);
	lines[LIMIT_GROUPS_FILE] = ' ';
	lines[LIMIT_GROUPS_FILE + 1] = 0;
	put("groups", lines);
	expect_refused("cannot read the groups");
	put("groups", "* nobody\n");
	expect_refused("line 1: there is no policy 'nobody'");
}

static void keys_that_are_none(void **state unused_)
{
	char *keys[] = { (char *)path(0, "key.pem") }, *identities[] = { (char *)"a@b.example" };

	put("a.json", "{\"digests\":{}}");
	put("key.pem", "no key");
	options.policies = folder;
	options.policy_key = (struct option_list){ .items = keys, .n = 1 };
	expect_refused("the policy key");
	options.policy_key = (struct option_list){ 0 };
	options.policy_identity = (struct option_list){ .items = identities, .n = 1 };
	options.policy_issuer = (struct option_list){ .items = identities, .n = 1 };
	expect_refused("signed policies:"); /* no trusted root */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(names),		 TEST(a_folder),	  TEST(one_bad_file_refuses_all), TEST(the_same_file_is_shared),
		TEST(groups_of_a_limit), TEST(keys_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
