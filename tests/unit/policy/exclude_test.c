// SPDX-License-Identifier: Apache-2.0
#include "policy_helper.h"

#include "imastream/limits.h"
#include "policy/exclude.h"

static struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static struct exclude_set *rules(const char *const *patterns, size_t n)
{
	cleanup_writer_ struct writer why = WRITER(1024);
	struct exclude_set *s = NULL;

	assert_int_equal(exclude_set_new(&s), 0);
	for (size_t i = 0; i < n; i++) {
		int r = exclude_add(s, text(patterns[i]), &why);

		if (r != 0)
			print_message("%s: %s\n", patterns[i], writer_cstr(&why));
		assert_int_equal(r, 0);
	}
	return s;
}

static bool excluded(const char *pattern, struct bytes path)
{
	cleanup_exclude_set_ struct exclude_set *s = rules(&pattern, 1);

	return exclude_matches(s, path);
}

/* What CPython 3.11 answers to bool(re.match(pattern, path)). */
static const struct {
	const char *pattern, *path;
	bool match;
} answers[] = {
	{ "/x", "/xylophone", true }, /* anchored at the start only */
	{ "/x$", "/xylophone", false },
	{ "/x$", "/x", true },
	{ "/x$", "/x\n", true },
	{ "/x\\Z", "/x\n", false }, /* \Z is the very end */
	{ "/x\\Z", "/x", true },
	{ "x", "/x", false },
	{ ".*x", "/a/x", true },
	{ ".*x", "/a\n/x", false }, /* . stops at a line feed */
	{ "(?s).*x", "/a\n/x", true },
	{ "/a.b", "/a\rb", true }, /* only at a line feed */
	{ "", "/anything", true },
	{ "^/x", "/x", true },
	{ "/(a|b)/.*", "/b/c", true },
	{ "/(a|b)/.*", "/c/c", false },
	{ "/a|/b", "/b", true },
	{ "/a|b", "/b", false },
	/* what a path must begin with is compared first: not what may be missing, nor where it could begin otherwise */
	{ "/tmp/.*", "/tmp/x", true },
	{ "/tmp/.*", "/tmp", false },
	{ "^/tmp/", "/tmp/x", true },
	{ "/ab*c", "/ac", true },
	{ "/ab?c", "/ac", true },
	{ "/ab+c", "/abbc", true },
	{ "/ab+c", "/ac", false },
	{ "/ab{0}c", "/ac", true },
	{ "/tmp/x|/var/", "/var/x", true },
	{ "(?i)/TMP/", "/tmp/x", true },
	{ "/a\\.b", "/a.b", true },
	{ "/a\\.b", "/axb", false },
	{ "[/]x", "/x", true },
	{ "/a{,2}/", "/aa/", true }, /* {,n} is {0,n} */
	{ "/a{,2}/", "/", false },
	{ "/a{,2}/", "//", true },
	{ "/a{,2}/", "/aaa/", false },
	{ "/a{,2/", "/a{,2/", true }, /* no quantifier: plain text */
	{ "/a{2,}/", "/aaa/", true },
	{ "/{}", "/{}", true },
	{ "/[[:alpha:]]+", "/a]", true }, /* no POSIX classes: the set [ : a l p h and then ] */
	{ "/[[:alpha:]]+", "/z]", false },
	{ "/[]a]+$", "/]a", true },
	{ "/[^]a]+$", "/]a", false },
	{ "/[^]a]+$", "/bc", true },
	{ "/[\\]a]+$", "/]a", true },
	{ "/[a\\-z]+$", "/-", true },
	{ "/[\\v]", "/\v", true }, /* one character, not a class */
	{ "/\\v", "/\n", false },
	{ "/\\x41", "/A", true },
	{ "/\\.so", "/.so", true },
	{ "/\\.so", "/xso", false },
	{ "/\\w+$", "/\xc3\xa9t\xc3\xa9", true }, /* letters of Unicode */
	{ "/.$", "/\xc3\xa9", true },		  /* one character, two bytes */
	{ "(?i)/USR", "/usr", true },
	{ "/(?i:USR)/b", "/usr/B", false },
	{ "/(?P<d>.)/(?P=d)", "/a/a", true },
	{ "/(?P<d>.)/(?P=d)", "/a/b", false },
	{ "/(.)/\\1", "/a/a", true },
	{ "/(?!x)", "/x", false },
	{ "/(?=x)", "/x", true },
	{ "/a(?<!b)$", "/a", true },
	{ "/a(?#[(note)b", "/ab", true },
	{ "/(a)?(?(1)b|c)$", "/ab", true },
	{ "/(a)?(?(1)b|c)$", "/ac", false },
	{ "/\\bx", "/x", true },
	{ "/a\\ b", "/a b", true },
};

static void python_semantics(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		bool is = excluded(answers[i].pattern, text(answers[i].path));

		if (is != answers[i].match)
			print_message("'%s' on '%s'\n", answers[i].pattern, answers[i].path);
		assert_int_equal(is, answers[i].match);
	}
}

/* Refused at load, with a reason; most are errors in Python too, the rest is not taken here (docs/policy.md). */
static void bad_rules_are_errors(void **state)
{
	static const char *const bad[] = {
		"(foo",	     "foo)",	 "[a",	       "*a",	      "a**",	 "(?P<n>a", "a{2,1}",	  "\\",
		"(*UTF)a",   "(*ACCEPT)", "a(*FAIL)",  "\\Qa\\E",     "\\K",	 "\\Ga",    "a\\C",	  "\\h",
		"\\R",	     "\\p{L}",	 "\\e",	       "\\N",	      "\\ka",	 "\\xg1",   "\\x{41}",	  "[\\Z]",
		"(?R)",	     "(?1)",	 "(?&n)",      "(?P>n)",      "(?|a)",	 "(?C1)",   "(?'n'a)",	  "(?<n>a)",
		"(?x)a # b", "(?J)a",	 "(?U)a",      "(?iU)a",      "(?+1)",	 "(?",	    "(?#a",	  "\xff",
		"(?(R)a|b)", "(?(DEFINE)a)", "(a)(?(2)b)", "\\2(a)",  "[z-a]",	 "(?<=a*)b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_writer_ struct writer why = WRITER(1024);
		cleanup_exclude_set_ struct exclude_set *s = NULL;
		int r;

		assert_int_equal(exclude_set_new(&s), 0);
		r = exclude_add(s, text(bad[i]), &why);
		if (r != 1)
			print_message("taken: '%s'\n", bad[i]);
		assert_int_equal(r, 1);
		assert_true(why.n > 0);
		assert_int_equal(exclude_count(s), 0);
		assert_false(exclude_matches(s, text("/foo")));
	}
}

static void reason_names_the_offset(void **state)
{
	cleanup_writer_ struct writer why = WRITER(1024);
	cleanup_exclude_set_ struct exclude_set *s = NULL;

	(void)state;
	assert_int_equal(exclude_set_new(&s), 0);
	assert_int_equal(exclude_add(s, text("(foo"), &why), 1);
	assert_string_equal(writer_cstr(&why), "missing closing parenthesis at offset 4");
}

static void any_rule_is_enough(void **state)
{
	static const char *const patterns[] = { "/a", "/b", "/tmp/.*\\.log$" };
	cleanup_exclude_set_ struct exclude_set *s = rules(patterns, 3);

	(void)state;
	assert_int_equal(exclude_count(s), 3);
	assert_true(exclude_matches(s, text("/b")));
	assert_true(exclude_matches(s, text("/tmp/x.log")));
	assert_false(exclude_matches(s, text("/tmp/x.log2")));
	assert_false(exclude_matches(s, text("")));
	assert_false(exclude_matches(s, (struct bytes){ NULL, 0 }));
}

static void paths_need_not_be_utf8(void **state)
{
	(void)state;
	assert_true(excluded("/tmp/", BYTES("/tmp/\xff\xfe")));
	/* what is no UTF-8 counts as U+FFFD, one for each byte */
	assert_true(excluded("/tmp/.$", BYTES("/tmp/\xff")));
	assert_true(excluded("/tmp/.{3}$", BYTES("/tmp/\xed\xa0\x80")));	 /* surrogate */
	assert_true(excluded("/tmp/.{2}$", BYTES("/tmp/\xc0\x80")));	 /* overlong */
	assert_true(excluded("/tmp/.{3}$", BYTES("/tmp/\xe0\x80\x80")));
	assert_true(excluded("/tmp/.{4}$", BYTES("/tmp/\xf0\x80\x80\x80")));
	assert_true(excluded("/tmp/.{4}$", BYTES("/tmp/\xf4\x90\x80\x80"))); /* past U+10FFFF */
	assert_true(excluded("/tmp/.{2}$", BYTES("/tmp/\xe2\x82")));	 /* torn */
	assert_true(excluded("/tmp/.{2}$", BYTES("/tmp/\xe2x")));
	assert_true(excluded("/tmp/.$", BYTES("/tmp/\xf4\x8f\xbf\xbf")));	 /* the last character */
	assert_true(excluded("/tmp/.$", BYTES("/tmp/\xef\xbf\xbd")));
	assert_false(excluded("/tmp/\\w$", BYTES("/tmp/\xff")));
	/* the anchor is the start of the path, not of what follows a broken byte */
	assert_false(excluded("/tmp/", BYTES("\xff/tmp/x")));
	assert_false(excluded("/tmp/", BYTES("/opt/\xff/tmp/x")));
	assert_false(excluded("^/tmp/", BYTES("/opt/\xc3/tmp/x")));
	assert_false(excluded("(?m)^/tmp/", BYTES("/opt/\xff\n/tmp/x")));
	assert_false(excluded("\\A/tmp/", BYTES("/opt/\xff/tmp/x")));
	assert_false(excluded("/tmp/", BYTES("\x80\x80/tmp/x")));
	assert_false(excluded("x|.*/tmp/$", BYTES("/tmp/\xffx")));
	assert_false(excluded("/opt/x$", BYTES("/opt/x\xff"))); /* nor is it the end */
	assert_false(excluded("/opt/x\\Z", BYTES("/opt/x\xff")));
	assert_true(excluded("/a", BYTES("/a\0b")));
	assert_false(excluded("/a$", BYTES("/a\0b")));
}

/* Exponential backtracking ends at the limit, and then the path is not excluded. */
static void limit_hit_does_not_exclude(void **state)
{
	char path[64];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = 'b';
	assert_false(excluded("(a*)*\\1c|(a|a)*b$|(aa|a)*$", (struct bytes){ (const uint8_t *)path, sizeof(path) }));
	assert_true(excluded("(a|a)*", (struct bytes){ (const uint8_t *)path, sizeof(path) }));
	assert_true(excluded("(a|a)*b$", text("aaab")));
	/* our limit, not PCRE2's own of ten million steps: 2^10 steps, then the second branch; 2^20 are too many */
	assert_true(excluded("(a|a)*b|a", text("aaaaaaaaaa")));
	assert_false(excluded("(a|a)*b|a", text("aaaaaaaaaaaaaaaaaaaa")));
}

static void covers_all(void **state)
{
	static const struct {
		const char *pattern;
		bool all;
	} cases[] = { { "", true }, { ".*", true }, { "/?", true }, { "/", false }, { "/.*", false }, { "$", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_exclude_set_ struct exclude_set *s = rules(&cases[i].pattern, 1);

		assert_int_equal(exclude_last_covers_all(s), cases[i].all);
	}
}

static void length_limit(void **state)
{
	cleanup_writer_ struct writer why = WRITER(1024);
	cleanup_exclude_set_ struct exclude_set *s = NULL;
	static char pattern[LIMIT_REGEX + 1];

	(void)state;
	memset(pattern, 'a', sizeof(pattern));
	assert_int_equal(exclude_set_new(&s), 0);
	assert_int_equal(exclude_add(s, (struct bytes){ (const uint8_t *)pattern, LIMIT_REGEX }, &why), 0);
	assert_int_equal(exclude_add(s, (struct bytes){ (const uint8_t *)pattern, LIMIT_REGEX + 1 }, &why), 1);
	/* the longest growth in translation */
	for (size_t i = 0; i < LIMIT_REGEX; i += 2)
		memcpy(pattern + i, "\\v", 2);
	assert_int_equal(exclude_add(s, (struct bytes){ (const uint8_t *)pattern, LIMIT_REGEX }, &why), 0);
}

/* What no kernel writes is not worth the steps, and is not excluded. */
static void path_limit(void **state)
{
	cleanup_writer_ struct writer why = WRITER(1024);
	cleanup_exclude_set_ struct exclude_set *s = NULL;
	static uint8_t path[LIMIT_EXCLUDE_PATH + 1];

	(void)state;
	memset(path, 0xff, sizeof(path)); /* each byte becomes three */
	assert_int_equal(exclude_set_new(&s), 0);
	assert_int_equal(exclude_add(s, text(".*"), &why), 0);
	assert_true(exclude_matches(s, (struct bytes){ path, LIMIT_EXCLUDE_PATH }));
	assert_false(exclude_matches(s, (struct bytes){ path, LIMIT_EXCLUDE_PATH + 1 }));
}

static void count_limit(void **state)
{
	cleanup_writer_ struct writer why = WRITER(1024);
	cleanup_exclude_set_ struct exclude_set *s = NULL;

	(void)state;
	assert_int_equal(exclude_set_new(&s), 0);
	for (size_t i = 0; i < LIMIT_POLICY_EXCLUDES; i++)
		assert_int_equal(exclude_add(s, text("/a"), &why), 0);
	assert_int_equal(exclude_add(s, text("/a"), &why), 1);
	assert_int_equal(exclude_count(s), LIMIT_POLICY_EXCLUDES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(python_semantics),   cmocka_unit_test(bad_rules_are_errors),
		cmocka_unit_test(reason_names_the_offset), cmocka_unit_test(any_rule_is_enough),
		cmocka_unit_test(paths_need_not_be_utf8), cmocka_unit_test(limit_hit_does_not_exclude),
		cmocka_unit_test(covers_all),	      cmocka_unit_test(length_limit),
		cmocka_unit_test(path_limit),	      cmocka_unit_test(count_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
