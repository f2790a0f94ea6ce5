// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include "lib/test.h"

#include "base/resident.h"
#include "collector/window.h"
#include "imastream/limits.h"

static uint8_t data[LIMIT_ENTRY_DATA + 1];

/* An entry whose content follows from its index. */
static struct item make(uint64_t index, size_t data_n)
{
	struct item item = {
		.entry = { .pcr = 10, .name = BYTES("ima-ng"), .data = { data, data_n }, .violation = index % 7 == 0 },
		.arrived_us = index + 1,
		.measured_us = index * 2,
		.has_context = index % 2,
		.pid = (uint32_t)index,
		.uid = (uint32_t)index + 5,
		.cgroup = index << 33,
		.mntns = index << 17,
		.comm = "sixteen-bytes-on",
	};

	if (data_n >= 8)
		bytes_copy(data, &index, 8);
	return item;
}

static void check(const struct window *w, uint64_t index, size_t data_n)
{
	struct item item;
	uint64_t inside;

	assert_true(window_get(w, index, &item));
	assert_int_equal(item.entry.pcr, 10);
	assert_bytes(item.entry.name, "ima-ng");
	assert_int_equal(item.entry.data.n, data_n);
	bytes_copy(&inside, item.entry.data.p, 8);
	assert_true(inside == index);
	assert_int_equal(item.entry.violation, index % 7 == 0);
	assert_int_equal(item.entry.digest.n, 0);
	assert_true(item.arrived_us == index + 1 && item.measured_us == index * 2);
	assert_int_equal(item.has_context, index % 2);
	assert_true(item.pid == (uint32_t)index && item.uid == (uint32_t)index + 5);
	assert_true(item.cgroup == index << 33 && item.mntns == index << 17);
	assert_string_equal(item.comm, "sixteen-bytes-on");
}

static size_t size_of(uint64_t index)
{
	return 8 + index * 131 % 700;
}

static void keeps_what_fits(void **state unused_)
{
	cleanup_window_ struct window *w = NULL;
	struct item item;

	assert_int_equal(window_new(&w, LIMIT_WINDOW_BYTES), 0);
	assert_false(window_get(w, 0, &item));
	for (uint64_t i = 0; i < 5000; i++) {
		item = make(i, size_of(i));
		assert_int_equal(window_add(w, &item), 0);
	}
	assert_int_equal(window_start(w), 0);
	assert_int_equal(window_end(w), 5000);
	for (uint64_t i = 0; i < 5000; i++)
		check(w, i, size_of(i));
	assert_false(window_get(w, 5000, &item));
	assert_true(window_bytes_from(w, 0) > 5000 * 300);
	assert_true(window_bytes_from(w, 4999) < 2000);
	assert_int_equal(window_bytes_from(w, 5000), 0);
}

/* A small window turns over and over: the newest entries are always whole, the oldest fall out in order. */
static void oldest_fall_out(void **state unused_)
{
	cleanup_window_ struct window *w = NULL;
	uint64_t start = 0;

	assert_int_equal(window_new(&w, WINDOW_BYTES_INITIAL), 0);
	for (uint64_t i = 0; i < 20000; i++) {
		struct item item = make(i, size_of(i));

		assert_int_equal(window_add(w, &item), 0);
		assert_true(window_start(w) >= start);
		start = window_start(w);
		check(w, i, size_of(i));
		check(w, start, size_of(start));
		if (i > 10)
			assert_true(window_end(w) - start > 10);
		assert_true(window_bytes_from(w, start) <= WINDOW_BYTES_INITIAL);
	}
	assert_true(start > 0);
	for (uint64_t i = start; i < 20000; i++)
		check(w, i, size_of(i));
}

static void release_and_go_on(void **state unused_)
{
	cleanup_window_ struct window *w = NULL;
	struct item item;

	assert_int_equal(window_new(&w, 4u << 20), 0);
	for (uint64_t i = 0; i < 30000; i++) {
		item = make(i, size_of(i));
		assert_int_equal(window_add(w, &item), 0);
		if (i % 1000 == 999) {
			window_release(w, i - 5);
			assert_int_equal(window_start(w), i - 5);
			assert_false(window_get(w, i - 6, &item));
			check(w, i - 5, size_of(i - 5));
		}
	}
	window_release(w, UINT64_MAX); /* more than there is */
	assert_int_equal(window_start(w), 30000);
	assert_int_equal(window_end(w), 30000);
	window_release(w, 0); /* never goes back */
	assert_int_equal(window_start(w), 30000);
	item = make(30000, 100);
	assert_int_equal(window_add(w, &item), 0);
	check(w, 30000, 100);
}

/* A window that grew gives its memory back and is as good as new. */
static void shrinks_when_empty(void **state unused_)
{
	cleanup_window_ struct window *w = NULL;
	struct item item;

	assert_int_equal(window_new(&w, LIMIT_WINDOW_BYTES), 0);
	for (uint64_t i = 0; i < 3; i++) {
		item = make(i, LIMIT_ENTRY_DATA);
		assert_int_equal(window_add(w, &item), 0);
	}
	window_release(w, 3);
	for (uint64_t i = 3; i < 2000; i++) {
		item = make(i, size_of(i));
		assert_int_equal(window_add(w, &item), 0);
	}
	for (uint64_t i = 3; i < 2000; i++)
		check(w, i, size_of(i));
}

#ifdef TEST_LIBC_MALLOC
/* While entries come without a pause, and the window is never empty. */
static void shrinks_when_nearly_empty(void **state unused_)
{
	cleanup_window_ struct window *w = NULL;
	struct item item;
	size_t before, full;
	uint64_t n = 0;

	resident_give_back();
	assert_int_equal(window_new(&w, LIMIT_WINDOW_BYTES), 0);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (; window_start(w) == 0; n++) {
		item = make(n, size_of(n));
		assert_int_equal(window_add(w, &item), 0);
	}
	full = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_true(full >= before + LIMIT_WINDOW_BYTES / 2);
	for (uint64_t end = n + 3000; n < end; n++) {
		item = make(n, size_of(n));
		assert_int_equal(window_add(w, &item), 0);
		window_release(w, n - 20);
		for (uint64_t i = window_start(w); i <= n; i++)
			check(w, i, size_of(i));
	}
	assert_true(mallinfo2().uordblks + mallinfo2().hblkhd <= before + (600u << 10));
}
#endif

static void limits(void **state unused_)
{
	cleanup_window_ struct window *w = NULL, *small = NULL;
	char name[LIMIT_TEMPLATE_NAME + 1];
	struct item item;

	memset(name, 'd', sizeof(name));
	assert_int_equal(window_new(&w, LIMIT_WINDOW_BYTES), 0);
	item = make(0, LIMIT_ENTRY_DATA);
	assert_int_equal(window_add(w, &item), 0);
	check(w, 0, LIMIT_ENTRY_DATA);
	item = make(1, LIMIT_ENTRY_DATA + 1);
	assert_int_equal(window_add(w, &item), -EMSGSIZE);
	item = make(1, 8);
	item.entry.name = (struct bytes){ (uint8_t *)name, LIMIT_TEMPLATE_NAME };
	assert_int_equal(window_add(w, &item), 0);
	item.entry.name.n++;
	assert_int_equal(window_add(w, &item), -EMSGSIZE);
	assert_int_equal(window_end(w), 2);

	/* never more than the maximum, also with the largest entries: 15 of 1 MiB and a little fit into 16 MiB */
	for (uint64_t i = 2; i < 40; i++) {
		item = make(i, LIMIT_ENTRY_DATA);
		assert_int_equal(window_add(w, &item), 0);
	}
	assert_int_equal(window_end(w) - window_start(w), 15);
	check(w, 39, LIMIT_ENTRY_DATA);

	assert_int_equal(window_new(&small, WINDOW_BYTES_INITIAL - 1), -EINVAL);
	assert_int_equal(window_new(&small, WINDOW_BYTES_INITIAL + 1), -EINVAL);
	assert_int_equal(window_new(&small, WINDOW_BYTES_INITIAL), 0);
	item = make(0, WINDOW_BYTES_INITIAL);
	assert_int_equal(window_add(small, &item), -EMSGSIZE); /* larger than all of it */
	assert_int_equal(window_end(small), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_fits),   cmocka_unit_test(oldest_fall_out), cmocka_unit_test(release_and_go_on),
		cmocka_unit_test(shrinks_when_empty), cmocka_unit_test(limits),
#ifdef TEST_LIBC_MALLOC
		cmocka_unit_test(shrinks_when_nearly_empty),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
