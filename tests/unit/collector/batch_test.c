// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <fcntl.h>
#include <stdio.h>

#include "collector/batch.h"
#include "imastream/limits.h"
#include "lib/open_files.h"

/* A source that is nothing but a list in a file: kept open, or (with a path) one that somebody may trim. */
struct fake {
	struct source base;
	int fd;
	char path[64];
	uint64_t begins;
	unsigned int histories;
};

static int fake_begins(void *user, uint64_t *out)
{
	*out = ((struct fake *)user)->begins;
	return 0;
}

static int fake_history(struct source *s, uint64_t from, struct list **out)
{
	struct fake *f = (struct fake *)s;
	cleanup_list_ struct list *list = NULL;
	int r = *f->path ? list_open(&list, f->path, false, 20) : list_open_fd(&list, f->fd, 20);

	if (r == 0 && *f->path)
		list_follow(list, fake_begins, f);
	if (r == 0)
		r = list_seek(list, from);
	if (r < 0)
		return r;
	f->histories++;
	*out = TAKE_PTR(list);
	return 0;
}

static const struct source_ops fake_ops = { .history = fake_history };

struct world {
	struct fake fake;
	struct window *window;
	struct wire_pack *pack;
	struct wire_unpack *unpack;
	struct feed feed;
};

static void entry_data(struct writer *w, uint64_t i, size_t extra)
{
	uint8_t digest[40] = "sha256:";
	char path[64];
	int n = snprintf(path, sizeof(path), "/bin/%llu", (unsigned long long)i);

	bytes_copy(digest + 8, &i, sizeof(i));
	write_u32le(w, sizeof(digest));
	write_bytes(w, digest, sizeof(digest));
	write_u32le(w, (uint32_t)((size_t)n + 1 + extra));
	write_bytes(w, path, (size_t)n + 1);
	for (size_t k = 0; k < extra; k++)
		write_u8(w, (uint8_t)(k * 37 + i));
}

/* Entries 0 .. n-1 in the file, and as many of the newest as fit in the window. */
static void set_up(struct world *w, uint64_t n, size_t extra, size_t window_bytes)
{
	char path[] = "/tmp/imastream-batch-XXXXXX";
	cleanup_writer_ struct writer data = WRITER(LIMIT_ENTRY_DATA), list = WRITER(64u << 20);

	*w = (struct world){ .fake.base.ops = &fake_ops };
	w->fake.fd = mkstemp(path);
	assert_true(w->fake.fd >= 0);
	unlink(path);
	assert_int_equal(window_new(&w->window, window_bytes), 0);
	assert_int_equal(wire_pack_new(&w->pack, 3), 0);
	assert_int_equal(wire_unpack_new(&w->unpack), 0);
	for (uint64_t i = 0; i < n; i++) {
		struct item item = { .entry = { .pcr = 10, .name = BYTES("ima-ng") }, .arrived_us = i + 1, .measured_us = i + 1,
				     .has_context = true, .pid = (uint32_t)i + 1, .comm = "prog" };

		writer_reset(&data);
		entry_data(&data, i, extra);
		item.entry.data = writer_view(&data);
		ima_list_write_entry(&list, &item.entry, HASH_SHA1);
		assert_int_equal(window_add(w->window, &item), 0);
	}
	assert_int_equal(writer_status(&list), 0);
	assert_int_equal(pwrite(w->fake.fd, list.p, list.n, 0), (ssize_t)list.n);
}

static int copy_to(int from, const char *path)
{
	cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint8_t chunk[4096];
	off_t at = 0;
	ssize_t n;

	while (fd >= 0 && (n = pread(from, chunk, sizeof(chunk), at)) > 0) {
		if (write(fd, chunk, (size_t)n) != n)
			return -EIO;
		at += n;
	}
	return fd < 0 ? -errno : 0;
}

static void tear_down(struct world *w)
{
	feed_clear(&w->feed);
	close(w->fake.fd);
	window_free(&w->window);
	wire_pack_free(&w->pack);
	wire_unpack_free(&w->unpack);
}

/* The block holds exactly entries [first, next). */
static void check_block(struct world *w, struct bytes block, uint64_t first, uint64_t next, size_t extra, bool context)
{
	cleanup_writer_ struct writer data = WRITER(LIMIT_ENTRY_DATA);
	struct wire_context ctx;
	struct ima_entry e;

	assert_int_equal(wire_unpack_begin(w->unpack, block), WIRE_BLOCK_OK);
	assert_int_equal(wire_unpack_count(w->unpack), next - first);
	for (uint64_t i = first; i < next; i++) {
		assert_int_equal(wire_unpack_next(w->unpack, &e, &ctx), WIRE_BLOCK_OK);
		writer_reset(&data);
		entry_data(&data, i, extra);
		assert_int_equal(e.data.n, data.n);
		assert_memory_equal(e.data.p, data.p, data.n);
		assert_int_equal(ctx.present, context);
		if (context) {
			assert_int_equal(ctx.pid, i + 1);
			assert_int_equal(ctx.age_us, 5000000 - (i + 1));
		}
	}
	assert_int_equal(wire_unpack_next(w->unpack, &e, &ctx), WIRE_BLOCK_END);
}

static const struct batch_rule rule = { .age_us = 2000, .max_entries = 100, .max_bytes = 1u << 20 };

static void from_the_window(void **state unused_)
{
	struct world w;
	struct bytes block;
	uint64_t next;

	set_up(&w, 250, 0, LIMIT_WINDOW_BYTES);
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, true, 20, 50, 5000000, &next, &block), 0);
	assert_int_equal(next, 50);
	check_block(&w, block, 20, 50, 0, true);
	/* closed by count */
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, 50, 250, 5000000, &next, &block), 0);
	assert_int_equal(next, 150);
	check_block(&w, block, 50, 150, 0, false);
	/* nothing there */
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, true, 250, 250, 5000000, &next, &block), 0);
	assert_int_equal(next, 250);
	assert_int_equal(block.n, 0);
	assert_int_equal(w.fake.histories, 0);
	tear_down(&w);
}

/* What fell out of the window is read from the list, in one reading, and the window takes over without gap or double. */
static void from_the_list(void **state unused_)
{
	uint64_t next = 0, start, n = 2000;
	struct bytes block;
	struct world w;

	set_up(&w, n, 100, WINDOW_BYTES_INITIAL);
	start = window_start(w.window);
	assert_true(start > 1000);
	for (uint64_t at = 0; at < n; at = next) {
		assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, at, n, 5000000, &next,
					    &block), 0);
		assert_int_equal(next, MIN(at + 100, n));
		check_block(&w, block, at, next, 100, false);
	}
	assert_int_equal(w.fake.histories, 1);
	/* a verifier that asks for older ones again */
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, 7, n, 5000000, &next, &block), 0);
	check_block(&w, block, 7, 107, 100, false);
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, 3, n, 5000000, &next, &block), 0);
	check_block(&w, block, 3, 103, 100, false);
	assert_int_equal(w.fake.histories, 3);
	/* a block that was closed by size keeps the entry that did not fit */
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, 103, n, 5000000, &next, &block), 0);
	check_block(&w, block, 103, 203, 100, false);
	assert_int_equal(w.fake.histories, 3);
	tear_down(&w);
}

/* A reader that holds the list keeps the trimmer away: between blocks it must not, whatever became of the last one. */
static void nobody_is_kept_from_trimming(void **state unused_)
{
	uint64_t next = 0, n = 2000;
	struct bytes block;
	struct world w;

	set_up(&w, n, 100, WINDOW_BYTES_INITIAL);
	snprintf(w.fake.path, sizeof(w.fake.path), "/tmp/imastream-batch-%d", (int)getpid());
	assert_int_equal(copy_to(w.fake.fd, w.fake.path), 0);
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, 0, n, 5000000, &next, &block), 0);
	check_block(&w, block, 0, 100, 100, false);
	assert_int_equal(open_files_of(w.fake.path), 0);
	w.fake.begins = 900; /* what was read before is given, what comes behind it is gone */
	for (int r = 0; r == 0;) {
		assert_true(next < 900);
		r = batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, next, n, 5000000, &next, &block);
		assert_true(r == 0 || r == -ENODATA);
		assert_int_equal(open_files_of(w.fake.path), 0);
	}
	/* an end that came early */
	assert_int_equal(truncate(w.fake.path, 0), 0);
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, 950, n, 5000000, &next, &block), 0);
	assert_int_equal(next, 950);
	assert_int_equal(open_files_of(w.fake.path), 0);
	unlink(w.fake.path);
	tear_down(&w);
}

static void large_entries(void **state unused_)
{
	const struct batch_rule many = { .age_us = 0, .max_entries = 4096, .max_bytes = 1u << 20 };
	const size_t extra = 600000;
	uint64_t next;
	struct bytes block;
	struct world w;

	set_up(&w, 5, extra, LIMIT_WINDOW_BYTES);
	for (uint64_t at = 0; at < 5; at = next) {
		assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &many, false, at, 5, 5000000, &next,
					    &block), 0);
		assert_true(next > at);
		check_block(&w, block, at, next, extra, false);
	}
	tear_down(&w);
}

static void when_it_closes(void **state unused_)
{
	struct batch_rule r = { .age_us = 2000, .max_entries = 10, .max_bytes = 5000 };

	assert_true(batch_close_at(&r, 0, 0, 0, 0) == UINT64_MAX);
	/* after quiet: the time has passed already */
	assert_true(batch_close_at(&r, 1, 100, 1000000, 500000) <= 1000000);
	/* right behind another batch: wait for more */
	assert_true(batch_close_at(&r, 1, 100, 1000000, 999900) == 999900 + 2000);
	/* size closes at once: at the limit, not one below it */
	assert_true(batch_close_at(&r, 9, 4999, 1000000, 999900) > 1000000);
	assert_true(batch_close_at(&r, 10, 100, 1000000, 999900) == 0);
	assert_true(batch_close_at(&r, 1, 5000, 1000000, 999900) == 0);
	/* age 0 never waits */
	r.age_us = 0;
	assert_true(batch_close_at(&r, 1, 100, 1000000, 999999) == 0);
	assert_true(batch_close_at(&r, 0, 0, 0, 0) == UINT64_MAX);
}

/* The list does not have what was promised: the block ends there, and that is no failure. */
static void list_too_short(void **state unused_)
{
	struct bytes block;
	struct world w;
	uint64_t next;

	set_up(&w, 50, 0, LIMIT_WINDOW_BYTES);
	window_release(w.window, 50);
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, 40, 60, 5000000, &next, &block), 0);
	assert_int_equal(next, 50);
	check_block(&w, block, 40, 50, 0, false);
	tear_down(&w);
}

/* A list with a flipped length word is a failure, not an end. */
static void list_broken(void **state unused_)
{
	const uint8_t huge[4] = { 0xff, 0xff, 0xff, 0xff };
	struct bytes block;
	struct world w;
	uint64_t next;

	set_up(&w, 50, 0, LIMIT_WINDOW_BYTES);
	window_release(w.window, 50);
	assert_int_equal(pwrite(w.fake.fd, huge, 4, 24), 4); /* name length of the first entry */
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &w.fake.base, &rule, false, 0, 50, 5000000, &next, &block),
			 -EBADMSG);
	tear_down(&w);
}

/* --- a list whose head moves ---- */

struct trimmed {
	struct source base;
	char path[40];
	uint64_t first, n;
};

/* The file holds entries [first, n). */
static void write_list(struct trimmed *t, uint64_t first)
{
	cleanup_writer_ struct writer data = WRITER(LIMIT_ENTRY_DATA), list = WRITER(1u << 20);
	cleanup_fd_ int fd = open(t->path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	t->first = first;
	for (uint64_t i = first; i < t->n; i++) {
		struct ima_entry e = { .pcr = 10, .name = BYTES("ima-ng") };

		writer_reset(&data);
		entry_data(&data, i, 0);
		e.data = writer_view(&data);
		ima_list_write_entry(&list, &e, HASH_SHA1);
	}
	assert_int_equal(writer_status(&list), 0);
	assert_int_equal(write(fd, list.p, list.n), (ssize_t)list.n);
}

static int begins(void *user, uint64_t *out)
{
	const struct trimmed *t = user;

	*out = t->first;
	return 0;
}

static int trimmed_history(struct source *s, uint64_t from, struct list **out)
{
	struct trimmed *t = (struct trimmed *)s;
	cleanup_list_ struct list *list = NULL;
	int r = list_open(&list, t->path, false, 20);

	if (r < 0)
		return r;
	list_follow(list, begins, t);
	r = list_seek(list, from);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	*out = TAKE_PTR(list);
	return 0;
}

/* A trimmer gets EBUSY then. */
static bool is_open(const char *path)
{
	bool open = false;

	for (int fd = 0; fd < 64; fd++) {
		char name[32], to[64] = "";

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		open = open || (readlink(name, to, sizeof(to) - 1) > 0 && strcmp(to, path) == 0);
	}
	return open;
}

/* Entries that a verifier still wants are trimmed between two readings. It cannot have them; but the list is not held open for
 * that, and what is still there is given to the next who asks. */
static void trimmed_between_two_readings(void **state unused_)
{
	static const struct source_ops ops = { .history = trimmed_history };
	struct trimmed t = { .base.ops = &ops, .path = "/tmp/imastream-batch-XXXXXX", .n = 5000 };
	int fd = mkstemp(t.path), r;
	struct bytes block;
	struct world w;
	uint64_t next;

	assert_true(fd >= 0);
	close(fd);
	set_up(&w, 0, 0, LIMIT_WINDOW_BYTES);
	write_list(&t, 0);
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &t.base, &rule, false, 0, 5000, 5000000, &next, &block), 0);
	check_block(&w, block, 0, 100, 0, false);
	assert_false(is_open(t.path));
	write_list(&t, 4000);
	do { /* what was read already is yielded first */
		r = batch_fill(w.pack, &w.feed, w.window, &t.base, &rule, false, next, 5000, 5000000, &next, &block);
	} while (r == 0 && next < 5000);
	assert_int_equal(r, -ENODATA);
	assert_false(is_open(t.path));
	assert_int_equal(batch_fill(w.pack, &w.feed, w.window, &t.base, &rule, false, 4500, 5000, 5000000, &next, &block), 0);
	assert_int_equal(next, 4600);
	check_block(&w, block, 4500, 4600, 0, false);
	assert_false(is_open(t.path));
	unlink(t.path);
	tear_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_the_window), cmocka_unit_test(from_the_list),  cmocka_unit_test(large_entries),
		cmocka_unit_test(when_it_closes),  cmocka_unit_test(list_too_short), cmocka_unit_test(list_broken),
		cmocka_unit_test(trimmed_between_two_readings),
		cmocka_unit_test(nobody_is_kept_from_trimming),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
