// SPDX-License-Identifier: Apache-2.0
#include "policy_helper.h"

#include "policy/inspect.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define S20 "1111111111111111111111111111111111111111"

static struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

struct seen {
	size_t n[5];
	size_t sha1, stop_after, calls;
};

static int take(void *user, const struct policy_item *item)
{
	struct seen *s = user;

	s->n[item->section]++;
	s->sha1 += item->alg && strcmp(item->alg, "sha1") == 0 && item->digest.n == 20;
	return ++s->calls == s->stop_after ? 77 : 0;
}

static void all_of_a_policy(void **state)
{
	cleanup_policy_ struct policy *p =
		policy_of("{\"digests\":{\"/a\":[\"" A32 "\",\"" S20 "\"],\"/b\":[\"" B32 "\"],\"/none\":[]},\"keyrings\":{\"k\":[\"" A32
			  "\"]},\"ima-buf\":{\"b\":[\"" A32 "\"]},\"deny\":[\"" B32 "\"],\"ima\":{\"ignored_keyrings\":[\"i\"]}}");
	struct seen all = { .calls = 0 }, one = { .calls = 0 }, stopped = { .stop_after = 2 }, absent = { .calls = 0 };

	(void)state;
	assert_int_equal(policy_each(p, take, &all), 0);
	assert_int_equal(all.n[POLICY_DIGESTS], 4); /* a path without digests is told once */
	assert_int_equal(all.n[POLICY_KEYRINGS], 1);
	assert_int_equal(all.n[POLICY_BUFFERS], 1);
	assert_int_equal(all.n[POLICY_DENY], 1);
	assert_int_equal(all.n[POLICY_IGNORED_KEYRINGS], 1);
	assert_int_equal(all.sha1, 1);
	assert_int_equal(policy_each_of(p, POLICY_DIGESTS, text("/a"), take, &one), 0);
	assert_int_equal(one.calls, 2);
	assert_int_equal(policy_each_of(p, POLICY_DIGESTS, text("/x"), take, &absent), 0);
	assert_int_equal(absent.calls, 0);
	assert_int_equal(policy_each(p, take, &stopped), 77);
	assert_int_equal(stopped.calls, 2);
}

static void lists_a_file(void **state)
{
	cleanup_policy_ struct policy *p = policy_of("{\"digests\":{\"/a\":[\"" A32 "\"]},\"keyrings\":{\"k\":[\"" B32 "\"]}}");
	uint8_t digest[32];
	const struct bytes d = { digest, sizeof(digest) };

	(void)state;
	memset(digest, 0xaa, sizeof(digest));
	assert_true(policy_lists(p, text("/a"), "sha256", d));
	assert_false(policy_lists(p, text("/b"), "sha256", d));
	assert_false(policy_lists(p, text("/a"), "sm3", d));
	assert_false(policy_lists(p, text("/a"), "sha256", (struct bytes){ digest, 31 }));
	memset(digest, 0xbb, sizeof(digest));
	assert_false(policy_lists(p, text("/a"), "sha256", d));
	assert_false(policy_lists(p, text("k"), "sha256", d)); /* a key, not a file */
}

static void the_first_rule_that_covers(void **state)
{
	cleanup_policy_ struct policy *p = policy_of("{\"excludes\":[\"/tmp/\",\"/var/.*\\\\.log$\",\"/var/\"]}");
	size_t rule = 99;

	(void)state;
	assert_false(policy_excluded_by(p, text("/usr/x"), &rule));
	assert_int_equal(rule, 99);
	assert_true(policy_excluded_by(p, text("/var/a.log"), &rule));
	assert_int_equal(rule, 1);
	assert_true(policy_excluded_by(p, text("/var/a"), &rule));
	assert_int_equal(rule, 2);
	assert_int_equal(policy_exclude_rule(p, 1).n, strlen("/var/.*\\.log$"));
	assert_memory_equal(policy_exclude_rule(p, 1).p, "/var/.*\\.log$", policy_exclude_rule(p, 1).n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_policy),
		cmocka_unit_test(lists_a_file),
		cmocka_unit_test(the_first_rule_that_covers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
