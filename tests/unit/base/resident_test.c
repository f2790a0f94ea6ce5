// SPDX-License-Identifier: Apache-2.0
#include "base/resident.h"

#include <stdio.h>

#include "base/hash.h"
#include "lib/test.h"

static unsigned long file_pages_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "RssFile:", 8) == 0)
			kib = strtoul(line + 8, NULL, 10);
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
	unsigned long before = file_pages_kib();

	resident_trim();
	assert_true(file_pages_kib() < before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_given_back),
		cmocka_unit_test(code_and_data_are_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
