// SPDX-License-Identifier: Apache-2.0
/* Reference sets in memory and on disk: bounded, and never used unless every byte is what was named. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/text.h"
#include "collector/set_cache.h"
#include "lib/test.h"

static char folder[256];
static struct set_cache *cache;

/* The bytes of a set of n records, and their digest. */
static void make(struct writer *w, uint32_t n, uint8_t salt, uint8_t digest[32])
{
	*w = WRITER(LIMIT_REFERENCE);
	wire_reference_head(w, n);
	for (uint32_t i = 0; i < n; i++) {
		write_u32be(w, i);
		write_u32be(w, salt);
		write_u64be(w, 0);
	}
	assert_int_equal(writer_status(w), 0);
	hash_one(HASH_SHA256, w->p, w->n, digest);
}

static void path_of(const uint8_t digest[32], char *out, size_t size)
{
	cleanup_writer_ struct writer w = WRITER(128);

	write_hex(&w, digest, 32);
	snprintf(out, size, "%s/reference-%s", folder, writer_cstr(&w));
}

static unsigned int files(void)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	unsigned int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static int begin(void **state unused_)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/set-cache-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(set_cache_new(&cache, folder, 1u << 20), 0);
	return 0;
}

static int end(void **state unused_)
{
	char command[300];

	set_cache_free(&cache);
	chmod(folder, 0700);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static void again(void)
{
	set_cache_free(&cache);
	assert_int_equal(set_cache_new(&cache, folder, 1u << 20), 0);
}

static const struct wire_reference *add(uint32_t n, uint8_t salt, uint8_t digest[32])
{
	const struct wire_reference *set = NULL;
	struct writer w;

	make(&w, n, salt, digest);
	assert_int_equal(set_cache_add(cache, digest, &w, &set), 0);
	assert_null(w.p);
	assert_non_null(set);
	assert_int_equal(set->records, n);
	return set;
}

static void survives_a_restart(void **state unused_)
{
	const struct wire_reference *set;
	uint8_t digest[32];
	struct stat st;
	char path[400];

	set = add(100, 1, digest);
	assert_int_equal(set_cache_bytes(cache), 1612);
	set_cache_drop(cache, &set);
	assert_null(set);
	assert_int_equal(set_cache_bytes(cache), 0);
	again();
	assert_null(set_cache_take(cache, digest, 1611)); /* the size that is named counts too */
	set = set_cache_take(cache, digest, 1612);
	assert_non_null(set);
	assert_memory_equal(set->digest, digest, 32);
	path_of(digest, path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	set_cache_drop(cache, &set);
}

/* Changed, cut, longer, a link, a folder: as if it were not there. */
static void changed_on_disk(void **state unused_)
{
	const struct wire_reference *set;
	uint8_t digest[32];
	char path[400], other[500];
	int fd;

	set = add(100, 1, digest);
	set_cache_drop(cache, &set);
	path_of(digest, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 700), 1);
	again();
	assert_null(set_cache_take(cache, digest, 1612));
	assert_int_equal(set_cache_bytes(cache), 0);
	set = add(100, 1, digest); /* what came again takes its place */
	set_cache_drop(cache, &set);
	close(fd);
	again();
	set = set_cache_take(cache, digest, 1612);
	assert_non_null(set);
	set_cache_drop(cache, &set);
	assert_int_equal(truncate(path, 1600), 0);
	assert_null(set_cache_take(cache, digest, 1612));
	assert_int_equal(truncate(path, 1613), 0);
	assert_null(set_cache_take(cache, digest, 1612));
	assert_int_equal(unlink(path), 0);
	set = add(100, 1, digest);
	set_cache_drop(cache, &set);
	snprintf(other, sizeof(other), "%s-other", path);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_null(set_cache_take(cache, digest, 1612));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: must not wait */
	assert_null(set_cache_take(cache, digest, 1612));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_null(set_cache_take(cache, digest, 1612));
}

static void wrong_bytes(void **state unused_)
{
	const struct wire_reference *set = NULL;
	uint8_t digest[32];
	struct writer w;

	make(&w, 100, 1, digest);
	w.p[500] ^= 1;
	assert_int_equal(set_cache_add(cache, digest, &w, &set), WIRE_REFERENCE_DIGEST);
	assert_null(set);
	assert_null(w.p); /* gone */
	make(&w, 100, 1, digest);
	w.n -= 16; /* a set whose digest is right and which is none */
	hash_one(HASH_SHA256, w.p, w.n, digest);
	assert_int_equal(set_cache_add(cache, digest, &w, &set), WIRE_REFERENCE_MALFORMED);
	assert_int_equal(files(), 0);
	assert_int_equal(set_cache_bytes(cache), 0);
}

static void bounded(void **state unused_)
{
	const struct wire_reference *sets[2] = { NULL }, *third = NULL;
	uint8_t digests[2][32], digest[32];
	size_t reserved = 0;
	struct writer w;

	set_cache_free(&cache);
	assert_int_equal(set_cache_new(&cache, folder, 2 * 1612), 0);
	sets[0] = add(100, 1, digests[0]);
	sets[1] = add(100, 2, digests[1]);
	assert_int_equal(set_cache_reserve(cache, 1), -ENOSPC);
	make(&w, 1, 3, digest);
	assert_int_equal(set_cache_add(cache, digest, &w, &third), -ENOSPC);
	assert_null(set_cache_take(cache, digest, 28));
	set_cache_drop(cache, &sets[0]);
	assert_int_equal(set_cache_reserve(cache, 1613), -ENOSPC);
	assert_int_equal(set_cache_reserve(cache, 1612), 0);
	reserved = 1612;
	assert_int_equal(set_cache_bytes(cache), 2 * 1612);
	assert_null(set_cache_take(cache, digests[0], 1612)); /* reserved for somebody else */
	set_cache_release(cache, &reserved);
	assert_int_equal(reserved, 0);
	sets[0] = set_cache_take(cache, digests[0], 1612);
	assert_non_null(sets[0]);
	assert_ptr_equal(set_cache_take(cache, digests[0], 1612), sets[0]); /* two verifiers, one set */
	assert_int_equal(set_cache_bytes(cache), 2 * 1612);
	assert_int_equal(set_cache_reserve(cache, (size_t)LIMIT_REFERENCE + 1), -ENOSPC);
}

/* The folder holds what is used, and nothing of older times: neither sets nor what a killed process left. */
static void folder_is_tidied(void **state unused_)
{
	const struct wire_reference *a, *b;
	uint8_t digest[32];
	char path[400];
	int fd;

	for (uint8_t i = 0; i < 5; i++) {
		a = add(10, i, digest);
		set_cache_drop(cache, &a);
		assert_int_equal(files(), 1);
	}
	snprintf(path, sizeof(path), "%s/reference-part", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	a = add(10, 10, digest);
	b = add(10, 11, digest);
	assert_int_equal(files(), 2);
	snprintf(path, sizeof(path), "%s/somebody-else's", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	set_cache_drop(cache, &a);
	a = add(10, 12, digest);
	assert_int_equal(files(), 3);
	set_cache_drop(cache, &a);
	set_cache_drop(cache, &b);
}

/* Not there, or not writable: it works from memory. */
static void without_a_folder(void **state unused_)
{
	const struct wire_reference *set;
	uint8_t digest[32];
	char path[400];

	set_cache_free(&cache);
	assert_int_equal(set_cache_new(&cache, NULL, 1u << 20), 0);
	set = add(10, 1, digest);
	set_cache_drop(cache, &set);
	assert_null(set_cache_take(cache, digest, 172));
	set_cache_free(&cache);
	snprintf(path, sizeof(path), "%s/not-there", folder);
	assert_int_equal(set_cache_new(&cache, path, 1u << 20), 0);
	set = add(10, 1, digest);
	set_cache_drop(cache, &set);
	set_cache_free(&cache);
	snprintf(path, sizeof(path), "%s/reference-part", folder);
	assert_int_equal(mkdir(path, 0700), 0); /* where it wants to write: also root is refused */
	assert_int_equal(set_cache_new(&cache, folder, 1u << 20), 0);
	set = add(10, 2, digest);
	set_cache_drop(cache, &set);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(survives_a_restart), TEST(changed_on_disk), TEST(wrong_bytes),
		TEST(bounded), TEST(folder_is_tidied), TEST(without_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
