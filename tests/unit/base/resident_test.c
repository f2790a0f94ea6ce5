// SPDX-License-Identifier: Apache-2.0
#include "base/resident.h"

#include <stdio.h>

#include "base/hash.h"
#include "lib/test.h"

static unsigned long status_kib(const char *key)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoul(line + strlen(key), NULL, 10);
	fclose(f);
	return kib;
}

/* In memory that can be written, next to what is dropped. */
static int written = 1;
static int (*volatile print)(const char *, ...) = printf;

static void code_and_data_are_as_before(void **state unused_)
{
	uint8_t before[32], after[32];

	written = 42;
	hash_one(HASH_SHA256, "imastream", 9, before);
	for (int i = 0; i < 3; i++) {
		resident_trim();
		hash_one(HASH_SHA256, "imastream", 9, after);
		assert_memory_equal(before, after, sizeof(before));
		assert_int_equal(written, 42);
		assert_true(print == printf);
	}
}

static void pages_are_given_back(void **state unused_)
{
	unsigned long before = status_kib("RssFile:");

	resident_trim();
	assert_true(status_kib("RssFile:") < before);
}

#ifdef TEST_LIBC_MALLOC
/* A large block that is freed and had again, and small ones that stay behind it: glibc's own way keeps it. */
static void large_blocks_are_given_back(void **state unused_)
{
	unsigned long before;
	void *small[64];

	resident_give_back();
	before = status_kib("RssAnon:");
	for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
		uint8_t *large = malloc(8u << 20);

		assert_non_null(large);
		memset(large, 1, 8u << 20);
		small[i] = malloc(100);
		assert_non_null(small[i]);
		assert_true(status_kib("RssAnon:") >= before + (7u << 10));
		free(large);
	}
	assert_true(status_kib("RssAnon:") < before + 512);
	for (size_t i = 0; i < ARRAY_SIZE(small); i++)
		free(small[i]);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_given_back),
#ifdef TEST_LIBC_MALLOC
		cmocka_unit_test(large_blocks_are_given_back),
#endif
		cmocka_unit_test(code_and_data_are_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
