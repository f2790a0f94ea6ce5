// SPDX-License-Identifier: Apache-2.0
#include "base/huge.h"
#include "lib/test.h"

static void all_of_it_can_be_used(void **state unused_)
{
	static const size_t sizes[] = { 0, 1, HUGE_PAGE - 1, HUGE_PAGE, HUGE_PAGE + 1, 3 * HUGE_PAGE };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		cleanup_free_ uint8_t *p = alloc_huge(sizes[i]);

		assert_non_null(p);
		memset(p, 0x5a, sizes[i]);
		if (sizes[i] >= HUGE_PAGE)
			assert_int_equal((uintptr_t)p % HUGE_PAGE, 0);
	}
}

/* a sanitizer's malloc() ends the program otherwise */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }

static void too_much_is_refused(void **state unused_)
{
	assert_null(alloc_huge(SIZE_MAX));
	assert_null(alloc_huge(SIZE_MAX / 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_can_be_used),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
