// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <ctype.h>

#include "imastream/reason.h"

/* The interface: numbers and names that have been published. Add lines, never change one. */
static const struct {
	unsigned int number;
	const char *name;
} frozen[] = {
	{ 1, "digest-unknown" },  { 2, "digest-mismatch" },	  { 6, "violation" },	    { 10, "template-hash" },
	{ 43, "quote-signature" }, { 44, "quote-nonce" },	  { 46, "quote-clock" },    { 70, "list-tampered" },
	{ 71, "list-truncated" },  { 72, "list-reordered" },	  { 74, "extend-failed" },  { 100, "attester-unknown" },
	{ 102, "test-source" },	   { 103, "stale" },		  { 104, "rebooted" },
};

static void numbers_and_names_are_frozen(void **state unused_)
{
	for (size_t i = 0; i < ARRAY_SIZE(frozen); i++) {
		assert_non_null(reason_info(frozen[i].number));
		assert_string_equal(reason_info(frozen[i].number)->name, frozen[i].name);
		assert_ptr_equal(reason_by_name(frozen[i].name), reason_info(frozen[i].number));
	}
}

static void every_reason_is_whole_and_unique(void **state unused_)
{
	const struct reason_info *a, *b;

	for (unsigned int i = 0; (a = reason_at(i)); i++) {
		assert_true(strlen(a->text) > 10);
		assert_true(strlen(a->remedy) > 5);
		for (const char *c = a->name; *c; c++)
			assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '-');
		if (i > 0)
			assert_true(reason_at(i - 1)->number < a->number);
		for (unsigned int k = i + 1; (b = reason_at(k)); k++)
			assert_string_not_equal(a->name, b->name);
	}
}

static void unknown_ones_have_no_info(void **state unused_)
{
	assert_null(reason_info(0));
	assert_null(reason_info(9999));
	assert_null(reason_by_name("no-such-reason"));
	assert_string_equal(reason_name(0), "none");
	assert_string_equal(reason_name(9999), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_and_names_are_frozen),
		cmocka_unit_test(every_reason_is_whole_and_unique),
		cmocka_unit_test(unknown_ones_have_no_info),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
