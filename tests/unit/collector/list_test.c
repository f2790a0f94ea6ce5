// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "collector/list.h"

static char path[64];

static void append(struct bytes b)
{
	cleanup_fd_ int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
}

static void encode(struct writer *w, uint64_t number, size_t extra)
{
	cleanup_writer_ struct writer data = WRITER(1u << 20);
	struct ima_entry e = { .pcr = 10, .name = BYTES("d-ng|n-ng") };

	write_u32le(&data, 8);
	write_u64le(&data, number);
	write_u32le(&data, (uint32_t)extra);
	for (size_t i = 0; i < extra; i++)
		write_u8(&data, 'x');
	e.data = writer_view(&data);
	ima_list_write_entry(w, &e, HASH_SHA256);
	assert_int_equal(writer_status(w), 0);
}

static void append_entries(uint64_t from, uint64_t to)
{
	cleanup_writer_ struct writer w = WRITER(8u << 20);

	for (uint64_t i = from; i < to; i++)
		encode(&w, i, 40 + i % 100);
	append(writer_view(&w));
}

static void expect_next(struct list *l, uint64_t number)
{
	struct ima_entry e;
	struct reader r;

	assert_int_equal(list_next(l, &e), 1);
	r = reader_of(e.data);
	read_u32le(&r);
	assert_int_equal(read_u64le(&r), number);
}

/* Descriptors of this process that are open on the list. */
static unsigned int readers(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char link[300], target[300];
		ssize_t k;

		snprintf(link, sizeof(link), "/proc/self/fd/%s", e->d_name);
		k = readlink(link, target, sizeof(target) - 1);
		target[k < 0 ? 0 : k] = '\0';
		n += strcmp(target, path) == 0;
	}
	closedir(d);
	return n;
}

static int set_up(void **state unused_)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/imastream-list-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int tear_down(void **state unused_)
{
	return unlink(path);
}

static void grows(void **state)
{
	bool hold_open = **(bool **)state;
	cleanup_list_ struct list *l = NULL;
	struct ima_entry e;

	set_up(NULL);
	assert_int_equal(list_open(&l, path, hold_open, 32), 0);
	assert_int_equal(list_next(l, &e), 0);
	append_entries(0, 5000); /* many chunks */
	for (uint64_t i = 0; i < 5000; i++)
		expect_next(l, i);
	assert_int_equal(list_next(l, &e), 0);
	assert_int_equal(list_next(l, &e), 0);
	assert_int_equal(readers(), hold_open ? 1 : 0);
	append_entries(5000, 5003);
	for (uint64_t i = 5000; i < 5003; i++)
		expect_next(l, i);
	/* stopping early */
	append_entries(5003, 5010);
	expect_next(l, 5003);
	list_pause(l);
	assert_int_equal(readers(), hold_open ? 1 : 0);
	assert_int_equal(list_skip(l, 5), 1);
	expect_next(l, 5009);
	assert_int_equal(list_skip(l, 1), 0);
	tear_down(NULL);
}

static void held_open(void **state unused_)
{
	bool yes = true;
	void *p = &yes;

	grows(&p);
}

static void never_held_open(void **state unused_)
{
	bool no = false;
	void *p = &no;

	grows(&p);
}

/* An entry that arrives in pieces, at every place where it can be torn. */
static void torn(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(65536);
	struct ima_entry e;

	encode(&w, 0, 60);
	for (size_t cut = 0; cut < w.n; cut++) {
		cleanup_list_ struct list *l = NULL;

		tear_down(NULL);
		set_up(NULL);
		assert_int_equal(list_open(&l, path, false, 32), 0);
		append((struct bytes){ w.p, cut });
		assert_int_equal(list_next(l, &e), 0);
		append((struct bytes){ w.p + cut, w.n - cut });
		expect_next(l, 0);
	}
}

static void several_readers_of_one_descriptor(void **state unused_)
{
	cleanup_list_ struct list *a = NULL, *b = NULL;
	cleanup_fd_ int fd = -1;

	append_entries(0, 3000);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(list_open_fd(&a, fd, 32), 0);
	assert_int_equal(list_open_fd(&b, fd, 0), 0);
	assert_int_equal(list_skip(b, 1500), 1);
	for (uint64_t i = 0; i < 1500; i++) {
		expect_next(a, i);
		expect_next(b, 1500 + i);
	}
	list_close(&a);
	assert_null(a);
	assert_int_equal(fcntl(fd, F_GETFD) >= 0, 1); /* not ours to close */
}

static void what_is_wrong(void **state unused_)
{
	const uint8_t junk[64] = { 200 };
	cleanup_list_ struct list *l = NULL, *gone = NULL;
	struct ima_entry e;

	append_entries(0, 2);
	append((struct bytes){ junk, sizeof(junk) });
	assert_int_equal(list_open(&l, path, true, 32), 0);
	expect_next(l, 0);
	expect_next(l, 1);
	assert_int_equal(list_next(l, &e), -EBADMSG);
	assert_int_equal(list_next(l, &e), -EBADMSG);
	assert_non_null(strstr(list_error(l), "entry 3"));
	assert_int_equal(list_skip(l, 1), -EBADMSG);
	assert_int_equal(list_open(&gone, "/nonexistent/list", true, 32), 0);
	assert_int_equal(list_next(gone, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_open),
		cmocka_unit_test(never_held_open),
		cmocka_unit_test_setup_teardown(torn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(several_readers_of_one_descriptor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_wrong, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
