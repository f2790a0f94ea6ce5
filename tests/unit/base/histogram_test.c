// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/histogram.h"

static void empty_is_zero(void **state unused_)
{
	static struct histogram h;

	assert_int_equal(histogram_quantile(&h, 500), 0);
	assert_int_equal(histogram_quantile(&h, 1000), 0);
}

static void small_values_are_exact(void **state unused_)
{
	static struct histogram h;

	for (uint64_t v = 0; v < 32; v++)
		histogram_add(&h, v);
	assert_int_equal(h.count, 32);
	assert_int_equal(h.max, 31);
	assert_int_equal(histogram_quantile(&h, 500), 15);
	assert_int_equal(histogram_quantile(&h, 1000), 31);
	assert_int_equal(histogram_quantile(&h, 1), 0);
}

/* One value alone: its quantile is within 1/16 above it and never above the maximum. */
static void error_is_bounded(void **state unused_)
{
	for (unsigned int bit = 5; bit < 40; bit++) {
		for (int around = -1; around <= 1; around++) {
			struct histogram *h = calloc(1, sizeof(*h));
			uint64_t v = (1ull << bit) + (uint64_t)around, q;

			assert_non_null(h);
			histogram_add(h, v);
			histogram_add(h, 1ull << 41); /* so that max does not hide the bucket's end */
			q = histogram_quantile(h, 500);
			assert_true(q >= v);
			assert_true(q - v <= v / 16);
			free(h);
		}
	}
}

static void huge_values_share_the_last_bucket(void **state unused_)
{
	static struct histogram h;

	histogram_add(&h, 1ull << 40);
	histogram_add(&h, UINT64_MAX);
	assert_int_equal(h.bucket[HISTOGRAM_BUCKETS - 1], 2);
	assert_true(histogram_quantile(&h, 500) == UINT64_MAX);
	assert_true(h.max == UINT64_MAX);
}

static void quantiles_of_a_ramp(void **state unused_)
{
	static struct histogram h;

	for (uint64_t v = 1; v <= 1000; v++)
		histogram_add(&h, v);
	assert_in_range(histogram_quantile(&h, 500), 500, 531);
	assert_in_range(histogram_quantile(&h, 900), 900, 956);
	assert_in_range(histogram_quantile(&h, 990), 990, 1000);
	assert_int_equal(histogram_quantile(&h, 1000), 1000);
	assert_int_equal(h.sum, 500500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_is_zero),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(error_is_bounded),
		cmocka_unit_test(huge_values_share_the_last_bucket),
		cmocka_unit_test(quantiles_of_a_ramp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
