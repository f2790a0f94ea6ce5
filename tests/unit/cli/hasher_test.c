// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/text.h"
#include "cli/hasher.h"

struct seen {
	size_t n[4];
	uint64_t bytes;
	uint8_t digest[HASH_MAX_SIZE];
	int fail_at; /* the call of this number fails */
	int calls;
};

static int done(void *user, const struct hash_result *r)
{
	struct seen *s = user;

	s->n[r->outcome]++;
	s->bytes += r->size;
	if (r->digest)
		memcpy(s->digest, r->digest, 32);
	return ++s->calls == s->fail_at ? -ENOSPC : 0;
}

static int file_with(const void *p, size_t n)
{
	int fd = memfd_create("t", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static struct hash_job job(int fd)
{
	struct hash_job j = { .fd = fd, .name = strdup("/x") };

	assert_non_null(j.name);
	return j;
}

static void many_files_one_result_each(void **state)
{
	struct seen s = { .calls = 0 };
	cleanup_hasher_ struct hasher *h = NULL;

	(void)state;
	assert_int_equal(hasher_new(&h, HASH_SHA256, 3, done, &s), 0);
	for (int i = 0; i < 1000; i++) {
		struct hash_job j = job(file_with("abc", 3));

		assert_int_equal(hasher_submit(h, &j), 0);
	}
	assert_int_equal(hasher_wait(h), 0);
	assert_int_equal(s.n[HASHED], 1000);
	assert_int_equal(s.bytes, 3000);
}

static void sizes_around_a_chunk(void **state)
{
	static const size_t sizes[] = { 0, 1, (256u << 10) - 1, 256u << 10, (256u << 10) + 1, (512u << 10), (512u << 10) + 7 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		cleanup_free_ uint8_t *data = calloc(sizes[i] + 1, 1);
		cleanup_hasher_ struct hasher *h = NULL;
		struct seen s = { .calls = 0 };
		uint8_t want[HASH_MAX_SIZE];
		struct hash_job j;

		assert_non_null(data);
		for (size_t k = 0; k < sizes[i]; k++)
			data[k] = (uint8_t)(k * 7);
		hash_one(HASH_SHA256, data, sizes[i], want);
		assert_int_equal(hasher_new(&h, HASH_SHA256, 1, done, &s), 0);
		j = job(file_with(data, sizes[i]));
		assert_int_equal(hasher_submit(h, &j), 0);
		assert_int_equal(hasher_wait(h), 0);
		assert_int_equal(s.n[HASHED], 1);
		assert_memory_equal(s.digest, want, 32);
	}
}

static void outcomes(void **state)
{
	cleanup_hasher_ struct hasher *h = NULL;
	struct seen s = { .calls = 0 };
	struct hash_job j;

	(void)state;
	assert_int_equal(hasher_new(&h, HASH_SHA256, 1, done, &s), 0);
	j = job(file_with("data", 4));
	j.only_loaded = true;
	assert_int_equal(hasher_submit(h, &j), 0);
	j = job(file_with("", 0));
	j.only_loaded = true;
	assert_int_equal(hasher_submit(h, &j), 0);
	j = job(file_with("#!x", 3));
	j.only_loaded = true;
	assert_int_equal(hasher_submit(h, &j), 0);
	j = job(file_with("data", 4));
	j.only_loaded = j.loaded = true;
	assert_int_equal(hasher_submit(h, &j), 0);
	j = job(file_with("abc", 3));
	j.want_md5 = true;
	assert_int_equal(hex_decode((struct bytes){ (const uint8_t *)"900150983cd24fb0d6963f7d28e17f72", 32 }, j.md5, 16), 0);
	assert_int_equal(hasher_submit(h, &j), 0);
	j = job(file_with("abd", 3));
	j.want_md5 = true;
	assert_int_equal(hasher_submit(h, &j), 0);
	j = job(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); /* EISDIR when it is read */
	assert_int_equal(hasher_submit(h, &j), 0);
	assert_int_equal(hasher_wait(h), 0);
	assert_int_equal(s.n[HASHED], 3);
	assert_int_equal(s.n[HASH_NOT_LOADED], 2);
	assert_int_equal(s.n[HASH_CHANGED], 1);
	assert_int_equal(s.n[HASH_UNREADABLE], 1);
}

static void a_failure_ends_it(void **state)
{
	cleanup_hasher_ struct hasher *h = NULL;
	struct seen s = { .fail_at = 5 };
	int r = 0;

	(void)state;
	assert_int_equal(hasher_new(&h, HASH_SHA256, 2, done, &s), 0);
	for (int i = 0; i < 100000 && r == 0; i++) {
		struct hash_job j = job(file_with("abc", 3));

		r = hasher_submit(h, &j);
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(hasher_wait(h), -ENOSPC);
}

static void what_is_loaded(void **state)
{
	static const char *const yes[] = { "/usr/lib/a.so",	"/usr/lib/a.so.6",  "/lib/modules/6.1/kernel/m.ko", "/m.ko.xz",
					   "/m.ko.zst",		"/m.ko.gz",	    "/lib/firmware/x/y.bin",	 "/usr/lib/firmware/z" };
	static const char *const no[] = { "/etc/passwd", "/usr/lib/a.sof", "/usr/lib/a.so.conf", "/x.so.d/readme", "/firmware/x", "/a.kot" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(loaded_by_name(yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(loaded_by_name(no[i]));
	assert_true(loaded_by_content((struct bytes){ (const uint8_t *)"\177ELF", 4 }));
	assert_true(loaded_by_content((struct bytes){ (const uint8_t *)"#!", 2 }));
	assert_false(loaded_by_content((struct bytes){ (const uint8_t *)"\177EL", 3 }));
	assert_false(loaded_by_content((struct bytes){ (const uint8_t *)"#", 1 }));
	assert_false(loaded_by_content((struct bytes){ NULL, 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_files_one_result_each),
		cmocka_unit_test(sizes_around_a_chunk),
		cmocka_unit_test(outcomes),
		cmocka_unit_test(a_failure_ends_it),
		cmocka_unit_test(what_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
