// SPDX-License-Identifier: Apache-2.0
/* Every allocation of the list decoder fails once: no crash, no leak (ASan), -ENOMEM from where bytes are given. */
#include "lib/test.h"

#include <stdio.h>

#include "base/text.h"
#include "ima/list.h"
#include "lib/alloc_fail.h"

struct list_file {
	struct writer bytes;
	size_t step;
	uint64_t entries;
};

static int decode(void *user)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct list_file *f = user;
	struct reader r = reader_of(writer_view(&f->bytes));
	enum ima_list_result result = IMA_LIST_MORE;
	struct ima_entry e;
	int ret = ima_list_new(&list, IMA_LIST_DETECT, 0);

	if (ret < 0) {
		assert_null(list);
		return ret;
	}
	while (reader_left(&r)) {
		struct bytes part = read_bytes(&r, MIN(f->step, reader_left(&r)));

		ret = ima_list_feed(list, part.p, part.n);
		if (ret < 0)
			return ret;
		while ((result = ima_list_next(list, &e)) == IMA_LIST_ENTRY)
			;
		if (result == IMA_LIST_BAD)
			break;
	}
	ima_list_finish(list);
	while (result != IMA_LIST_BAD && (result = ima_list_next(list, &e)) == IMA_LIST_ENTRY)
		;
	if (result == IMA_LIST_BAD && strstr(ima_list_error(list), "memory"))
		return -ENOMEM;
	assert_int_equal(result, IMA_LIST_MORE);
	assert_int_equal(ima_list_count(list), f->entries);
	return 0;
}

static void lists(void **state)
{
	static const char *const names[] = { "ima_list_binary/mixed.sha1.bin", "ima_list_ascii/mixed.sha1.ascii" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_ima_list_ struct ima_list *list = NULL;
		struct list_file f = { .bytes = WRITER(1u << 24) };
		cleanup_free_ char *path = NULL;
		struct ima_entry e;

		assert_true(asprintf(&path, "%s/fuzz/corpus/%s", TESTS_DIR, names[i]) > 0);
		assert_int_equal(read_file(path, &f.bytes), 0);
		assert_int_equal(ima_list_new(&list, IMA_LIST_DETECT, 0), 0);
		assert_int_equal(ima_list_lend(list, writer_view(&f.bytes)), 0);
		while (ima_list_next(list, &e) == IMA_LIST_ENTRY)
			f.entries++;
		assert_true(f.entries > 0);
		for (f.step = 64; f.step <= 64 * 1024; f.step *= 32)
			assert_true(alloc_fail_each(decode, &f, 0) >= 2);
		writer_free(&f.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lists) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
