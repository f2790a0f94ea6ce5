// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "collector/source.h"
#include "ima/replay.h"

#define BANKS ((1u << HASH_SHA1) | (1u << HASH_SHA256))

struct seen {
	uint64_t n;
	uint64_t with_time;
	uint64_t last; /* number that the entry carries */
};

static uint32_t pcr_of(uint64_t i)
{
	return i % 10 == 3 ? 11 : 10;
}

static void make_entry(struct writer *data, struct ima_entry *e, uint64_t i)
{
	writer_reset(data);
	write_u32le(data, 8);
	write_u64le(data, i);
	write_u32le(data, 3);
	write_bytes(data, "/x", 3);
	*e = (struct ima_entry){ .pcr = pcr_of(i), .name = BYTES("d-ng|n-ng"), .data = writer_view(data),
				 .violation = i % 6 == 5 };
}

static void make_list(struct writer *w, uint64_t from, uint64_t to)
{
	cleanup_writer_ struct writer data = WRITER(1024);
	struct ima_entry e;

	for (uint64_t i = from; i < to; i++) {
		make_entry(&data, &e, i);
		ima_list_write_entry(w, &e, HASH_SHA1);
	}
	assert_int_equal(writer_status(w), 0);
}

/* What the TPM holds after the first n entries. */
static void replayed(uint8_t pcrs[24][HASH_MAX_SIZE], uint64_t n)
{
	cleanup_writer_ struct writer data = WRITER(1024);
	struct ima_replay replay;
	struct ima_entry e;

	ima_replay_init(&replay);
	for (uint64_t i = 0; i < n; i++) {
		make_entry(&data, &e, i);
		ima_replay_entry(&replay, &e, BANKS);
	}
	for (unsigned int i = 0; i < 24; i++)
		bytes_copy(pcrs[i], replay.pcr[i][HASH_SHA256], HASH_MAX_SIZE);
}

static int on_item(void *user, const struct item *item)
{
	struct seen *seen = user;
	struct reader r = reader_of(item->entry.data);

	read_u32le(&r);
	seen->last = read_u64le(&r);
	assert_int_equal(seen->last, seen->n); /* in order, once each */
	assert_int_equal(item->entry.pcr, pcr_of(seen->n));
	assert_int_equal(item->entry.violation, seen->n % 6 == 5);
	seen->n++;
	if (item->measured_us) {
		seen->with_time++;
		assert_true(item->has_context);
	}
	return 0;
}

static int open_source(struct source **s, const char *what, uint64_t extended, char *why_text, size_t n)
{
	struct source_pipe_options o = { .what = what, .banks = BANKS, .bank = HASH_SHA256 };
	cleanup_writer_ struct writer why = WRITER(1024);
	int r;

	replayed(o.pcrs, extended);
	r = source_pipe_open(s, &o, &why);
	if (why_text)
		snprintf(why_text, n, "%s", writer_cstr(&why));
	return r;
}

static size_t waiting(const struct source_extend *work)
{
	return work->n - work->from;
}

static void check_digests(const struct source_extend *work, uint64_t first)
{
	cleanup_writer_ struct writer data = WRITER(1024);
	uint8_t digest[HASH_MAX_SIZE];
	struct ima_entry e;

	for (size_t i = work->from; i < work->n; i++) {
		make_entry(&data, &e, first + i - work->from);
		assert_int_equal(work->entry[i].pcr, e.pcr);
		ima_template_digest(&e, HASH_SHA256, digest);
		assert_memory_equal(work->entry[i].digests[HASH_SHA256], digest, 32);
		ima_template_digest(&e, HASH_SHA1, digest);
		assert_memory_equal(work->entry[i].digests[HASH_SHA1], digest, 20);
	}
}

static void write_all(int fd, struct bytes b)
{
	assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
}

/* A file with entries [0, n), removed at the end by the caller. */
static void make_file(char path[64], uint64_t n)
{
	cleanup_writer_ struct writer list = WRITER(1u << 20);
	cleanup_fd_ int fd = -1;

	snprintf(path, 64, "/tmp/imastream-pipe-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	make_list(&list, 0, n);
	write_all(fd, writer_view(&list));
}

static void measured_when_extended(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	const struct source_extend *work;
	struct source_status status;
	struct seen seen = { 0 };
	char path[64];

	make_file(path, 150);
	assert_int_equal(open_source(&s, path, 0, NULL, 0), 0);
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	assert_int_equal(seen.n, 0); /* nothing is extended yet */
	assert_int_equal(source_surely(s), 0);
	source_status(s, &status);
	assert_true(status.test_source && status.ready && !status.ended);
	for (uint64_t done = 0; done < 150;) {
		work = source_extend_work(s);
		assert_non_null(work);
		assert_true(work->n > 0 && work->n <= SOURCE_EXTEND_MAX);
		check_digests(work, done);
		/* asking again changes nothing */
		assert_int_equal(source_pull(s, on_item, &seen), 0);
		assert_ptr_equal(source_extend_work(s), work);
		assert_int_equal(seen.n, done);
		done += waiting(work);
		source_extend_done(s, waiting(work), 12345);
		assert_int_equal(source_pull(s, on_item, &seen), 0);
		assert_int_equal(seen.n, done);
		assert_int_equal(source_surely(s), done);
	}
	assert_null(source_extend_work(s));
	assert_int_equal(seen.with_time, 150);
	unlink(path);
}

/* kill -9 at any point: what the TPM has is not extended again. */
static void continues_where_the_tpm_is(void **state unused_)
{
	static const uint64_t points[] = { 0, 1, 3, 4, 13, 14, 63, 64, 99, 100 };
	char path[64];

	make_file(path, 100);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		cleanup_(source_free) struct source *s = NULL;
		const struct source_extend *work;
		struct seen seen = { 0 };

		assert_int_equal(open_source(&s, path, points[i], NULL, 0), 0);
		assert_int_equal(source_pull(s, on_item, &seen), 0);
		assert_int_equal(seen.n, points[i]);
		assert_int_equal(seen.with_time, 0);
		assert_int_equal(source_surely(s), points[i]);
		work = source_extend_work(s);
		if (points[i] == 100) {
			assert_null(work);
			continue;
		}
		assert_non_null(work);
		check_digests(work, points[i]);
	}
	unlink(path);
}

static void another_tpm_is_refused(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };
	char path[64];

	make_file(path, 50);
	assert_int_equal(open_source(&s, path, 60, NULL, 0), 0); /* ten more than the file has */
	assert_int_equal(source_pull(s, on_item, &seen), -ESTALE);
	assert_non_null(strstr(source_error(s), "without reaching the TPM's PCR 10"));
	unlink(path);
}

static void a_file_that_grows(void **state unused_)
{
	cleanup_writer_ struct writer more = WRITER(65536);
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };
	cleanup_fd_ int fd = -1;
	struct pollfd p;
	char path[64];

	make_file(path, 5);
	assert_int_equal(open_source(&s, path, 5, NULL, 0), 0);
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	assert_int_equal(seen.n, 5);
	p = (struct pollfd){ .fd = source_fd(s), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	make_list(&more, 5, 7);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	/* in two pieces, torn inside an entry */
	write_all(fd, (struct bytes){ more.p, 50 });
	assert_int_equal(poll(&p, 1, -1), 1);
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	assert_int_equal(poll(&p, 1, 0), 0); /* cleared */
	assert_null(source_extend_work(s));
	write_all(fd, (struct bytes){ more.p + 50, more.n - 50 });
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	assert_non_null(source_extend_work(s));
	assert_int_equal(source_extend_work(s)->n, 2);
	unlink(path);
}

static void a_pipe_can_be_read_again(void **state unused_)
{
	cleanup_writer_ struct writer list = WRITER(65536);
	cleanup_(source_free) struct source *s = NULL;
	cleanup_list_ struct list *history = NULL;
	struct source_status status;
	struct seen seen = { 0 };
	struct ima_entry e;
	struct reader r;
	char what[16];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	snprintf(what, sizeof(what), "%d", fds[0]);
	assert_int_equal(open_source(&s, what, 0, NULL, 0), 0);
	close(fds[0]);
	make_list(&list, 0, 40);
	write_all(fds[1], writer_view(&list));
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	while (source_extend_work(s)) { /* the first job is the one entry that ended the replay */
		source_extend_done(s, waiting(source_extend_work(s)), 1);
		assert_int_equal(source_pull(s, on_item, &seen), 0);
	}
	assert_int_equal(seen.n, 40);
	assert_int_equal(source_history(s, 17, &history), 0);
	assert_int_equal(list_next(history, &e), 1);
	r = reader_of(e.data);
	read_u32le(&r);
	assert_int_equal(read_u64le(&r), 17);
	/* more came: the history goes on */
	writer_reset(&list);
	make_list(&list, 40, 42);
	write_all(fds[1], writer_view(&list));
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	assert_int_equal(list_skip(history, 23), 1);
	assert_int_equal(list_next(history, &e), 1);
	assert_true(source_fd(s) >= 0);
	close(fds[1]);
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	source_status(s, &status);
	assert_true(status.ended);
	assert_int_equal(source_fd(s), -1); /* not watched any more: it would be readable for ever */
}

/* A restarted collector on a pipe waits for the replay before it says who it is; an end before that is an error. */
static void a_pipe_that_is_replayed(void **state unused_)
{
	cleanup_writer_ struct writer list = WRITER(65536), rest = WRITER(65536);
	cleanup_(source_free) struct source *s = NULL;
	struct source_status status;
	struct seen seen = { 0 };
	char what[16];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	snprintf(what, sizeof(what), "%d", fds[0]);
	assert_int_equal(open_source(&s, what, 30, NULL, 0), 0);
	close(fds[0]);
	make_list(&list, 0, 20);
	write_all(fds[1], writer_view(&list));
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	assert_int_equal(seen.n, 20);
	source_status(s, &status);
	assert_false(status.ready);
	assert_null(source_extend_work(s));
	make_list(&rest, 20, 30);
	write_all(fds[1], (struct bytes){ rest.p, rest.n - 1 });
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	source_status(s, &status);
	assert_false(status.ready);
	write_all(fds[1], (struct bytes){ rest.p + rest.n - 1, 1 });
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	source_status(s, &status);
	assert_true(status.ready);
	assert_int_equal(seen.n, 30);
	close(fds[1]);
	source_free(&s);

	assert_int_equal(pipe(fds), 0);
	snprintf(what, sizeof(what), "%d", fds[0]);
	assert_int_equal(open_source(&s, what, 30, NULL, 0), 0);
	close(fds[0]);
	write_all(fds[1], writer_view(&list));
	close(fds[1]);
	seen = (struct seen){ 0 };
	assert_int_equal(source_pull(s, on_item, &seen), -ESTALE);
}

static void a_fifo_outlives_its_writers(void **state unused_)
{
	cleanup_writer_ struct writer list = WRITER(65536);
	cleanup_(source_free) struct source *s = NULL;
	char dir[] = "/tmp/imastream-fifo-XXXXXX", path[64];
	struct seen seen = { 0 };

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_source(&s, path, 0, NULL, 0), 0);
	for (uint64_t i = 0; i < 3; i++) {
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		writer_reset(&list);
		make_list(&list, i, i + 1);
		write_all(fd, writer_view(&list));
		close(fd);
		assert_int_equal(source_pull(s, on_item, &seen), 0);
		assert_non_null(source_extend_work(s));
		source_extend_done(s, 1, 1);
		assert_int_equal(source_pull(s, on_item, &seen), 0);
		assert_int_equal(seen.n, i + 1);
		assert_true(source_fd(s) >= 0);
	}
	unlink(path);
	rmdir(dir);
}

/* The TPM refused in the middle of a job, or did a slice of it: what is done counts, the rest stays. */
static void partly_extended(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };
	char path[64];

	make_file(path, 200);
	assert_int_equal(open_source(&s, path, 0, NULL, 0), 0);
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	source_extend_done(s, waiting(source_extend_work(s)), 1);
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	assert_true(source_extend_work(s)->n > 10);
	source_extend_done(s, 0, 1); /* none: the same job again */
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	check_digests(source_extend_work(s), seen.n);
	for (int i = 0; i < 3; i++) {
		uint64_t before = seen.n;

		source_extend_done(s, 7, 1);
		assert_int_equal(source_pull(s, on_item, &seen), 0);
		assert_int_equal(seen.n, before + 7);
		check_digests(source_extend_work(s), seen.n);
	}
	while (source_extend_work(s)) {
		source_extend_done(s, waiting(source_extend_work(s)), 1);
		assert_int_equal(source_pull(s, on_item, &seen), 0);
	}
	assert_int_equal(seen.n, 200);
	unlink(path);
}

/* What the TPM thread does with a job, but the TPM (quote.c). */
static void *reads_the_job(void *user)
{
	const struct source_extend *work = user;
	uintptr_t sum = 0;

	for (size_t i = work->from; i < work->n; i++) {
		for (unsigned int a = HASH_SHA1; a <= HASH_SHA256; a++) {
			for (size_t k = 0; k < hash_size(a); k++)
				sum += work->entry[i].digests[a][k];
		}
		sum += work->entry[i].pcr;
	}
	return (void *)sum;
}

/* Entries come while the TPM thread is at a job: it stays as it is. That nobody writes there is ThreadSanitizer's to say
 * (make tsan); that nothing changed is said here. */
static void a_job_is_the_tpm_threads(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	const struct source_extend *work;
	struct seen seen = { 0 };
	char path[64];

	make_file(path, 200);
	assert_int_equal(open_source(&s, path, 0, NULL, 0), 0);
	assert_int_equal(source_pull(s, on_item, &seen), 0);
	for (size_t slice = 1; (work = source_extend_work(s)); slice = 1 + slice % 7) { /* whole jobs, and the rest of one */
		struct source_extend before = *work;
		uint64_t end = seen.n;
		void *sum = NULL;
		pthread_t thread;

		slice = MIN(slice, waiting(work));
		assert_int_equal(pthread_create(&thread, NULL, reads_the_job, (void *)work), 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(source_pull(s, on_item, &seen), 0);
		assert_int_equal(pthread_join(thread, &sum), 0);
		assert_ptr_equal(sum, reads_the_job(&before));
		assert_int_equal(seen.n, end);
		assert_int_equal(source_measured(s), end);
		source_extend_done(s, slice, 1);
		assert_int_equal(source_pull(s, on_item, &seen), 0);
	}
	assert_int_equal(seen.n, 200);
	unlink(path);
}

static void what_is_wrong(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	const uint8_t junk[64] = { 99, 0, 0, 0, 1, 2, 3 };
	struct seen seen = { 0 };
	char why[256], path[64];
	cleanup_fd_ int fd = -1;

	assert_int_equal(open_source(&s, "/nonexistent/list", 0, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "'/nonexistent/list'"));
	assert_int_equal(open_source(&s, "987", 0, why, sizeof(why)), -EBADF);
	make_file(path, 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	write_all(fd, (struct bytes){ junk, sizeof(junk) });
	assert_int_equal(open_source(&s, path, 0, NULL, 0), 0);
	assert_int_equal(source_pull(s, on_item, &seen), -EBADMSG);
	assert_non_null(strstr(source_error(s), "PCR 99"));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measured_when_extended),
		cmocka_unit_test(continues_where_the_tpm_is),
		cmocka_unit_test(another_tpm_is_refused),
		cmocka_unit_test(a_file_that_grows),
		cmocka_unit_test(a_pipe_can_be_read_again),
		cmocka_unit_test(a_pipe_that_is_replayed),
		cmocka_unit_test(a_fifo_outlives_its_writers),
		cmocka_unit_test(partly_extended),
		cmocka_unit_test(a_job_is_the_tpm_threads),
		cmocka_unit_test(what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
