// SPDX-License-Identifier: Apache-2.0
/* Ring and list joined, against a ring that is scripted here (these definitions take the place of ring.c) and a
 * securityfs that is a directory. */
#include "lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "collector/source.h"
#include "imastream/limits.h"

/* --- the ring's stand-in -------------------------------------------------------------------------------------------- */

struct ring {
	int nothing;
};

static struct {
	enum event_support support;
	int open_result;
	struct ring_record queue[4096];
	size_t n;
	struct ring_counters counters;
	unsigned int checks;
} fake;
static struct ring the_ring;

int ring_open(struct ring **out, const struct ring_options *options, struct ring_probe *probe)
{
	*probe = (struct ring_probe){ .support = fake.support };
	if (fake.open_result < 0)
		return fake.open_result;
	if (options->want && options->want != fake.support)
		return -EOPNOTSUPP;
	*out = &the_ring;
	return 0;
}

void ring_close(struct ring **ring)
{
	*ring = NULL;
}

enum event_support ring_support(const struct ring *ring unused_)
{
	return fake.support;
}

const char *ring_support_name(enum event_support support)
{
	return support == EVENT_SUPPORT_ORDERED ? "ordered" : support == EVENT_SUPPORT_SIGNAL ? "signal" : "poll";
}

int ring_fd(const struct ring *ring unused_)
{
	return -1;
}

int ring_consume(struct ring *ring unused_, ring_fn fn, void *user)
{
	size_t n = fake.n;

	fake.n = 0;
	for (size_t i = 0; i < n; i++) {
		int r = fn(user, &fake.queue[i]);

		if (r < 0)
			return r;
	}
	return (int)n;
}

void ring_snapshot(const struct ring *ring unused_, struct ring_counters *out)
{
	*out = fake.counters;
}

void ring_check_missed(struct ring *ring unused_)
{
	fake.checks++;
}

/* --- the kernel's stand-in ------------------------------------------------------------------------------------------ */

static struct {
	char dir[64];
	uint64_t live;	  /* entries in the list */
	uint64_t trimmed; /* entries that were, before */
	uint64_t seq;	  /* of the BPF program */
	uint8_t data[4096][24];
} kernel;

static void path_of(char out[128], const char *name)
{
	snprintf(out, 128, "%s/ima/%s", kernel.dir, name);
}

static void write_name(const char *name, struct bytes b, int flags)
{
	cleanup_fd_ int fd = -1;
	char path[128];

	path_of(path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
}

static void write_count(void)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)kernel.live);

	write_name("runtime_measurements_count", (struct bytes){ (uint8_t *)text, (size_t)n }, O_TRUNC);
}

static struct ima_entry entry_of(uint64_t index)
{
	struct writer w = WRITER(64);
	struct ima_entry e = { .pcr = 10, .name = BYTES("ima-ng") };

	write_u32le(&w, 8);
	write_u64le(&w, index);
	write_u32le(&w, 3);
	write_bytes(&w, "/x", 3);
	bytes_copy(kernel.data[index], w.p, w.n);
	e.data = (struct bytes){ kernel.data[index], w.n };
	writer_free(&w);
	return e;
}

static void to_list(uint64_t index)
{
	cleanup_writer_ struct writer w = WRITER(1024);
	struct ima_entry e = entry_of(index);

	ima_list_write_entry(&w, &e, HASH_SHA1);
	write_name("binary_runtime_measurements", writer_view(&w), O_APPEND);
}

enum how { BY_RING, BARE, DROPPED, UNSEEN, WITHOUT_POSITION };

/* One measurement: into the list, and into the ring in some way. */
static void measure(enum how how)
{
	uint64_t index = kernel.trimmed + kernel.live++;
	struct ring_record *r = &fake.queue[fake.n];

	to_list(index);
	write_count();
	if (how == UNSEEN)
		return; /* the program was not there, or not run */
	kernel.seq++;
	fake.counters.seq = kernel.seq;
	if (how == DROPPED) {
		fake.counters.drops[EVENT_DROP_RING_FULL]++;
		return;
	}
	*r = (struct ring_record){
		.type = how == BARE ? EVENT_BARE : EVENT_ENTRY,
		.seq = kernel.seq,
		.position = how == WITHOUT_POSITION ? 0 : kernel.live,
		.entry = entry_of(index),
		.context = { .ktime_ns = (index + 1) * 1000, .tgid = (uint32_t)index, .comm = "prog" },
	};
	if (how == BARE) {
		r->entry.data = (struct bytes){ NULL, 0 };
		r->drop = EVENT_DROP_OVERSIZED;
		fake.counters.drops[EVENT_DROP_OVERSIZED]++;
	}
	fake.n++;
	assert_true(fake.n < ARRAY_SIZE(fake.queue));
}

static void measure_many(enum how how, unsigned int n)
{
	while (n-- > 0)
		measure(how);
}

/* The list loses its first n entries. */
static void trim(uint64_t n)
{
	write_name("binary_runtime_measurements", (struct bytes){ NULL, 0 }, O_TRUNC);
	kernel.trimmed += n;
	kernel.live -= n;
	for (uint64_t i = 0; i < kernel.live; i++)
		to_list(kernel.trimmed + i);
	write_count();
}

struct seen {
	uint64_t n;
	uint64_t with_context;
	int fail_at; /* 1-based */
};

static int on_item(void *user, const struct item *item)
{
	struct seen *seen = user;
	struct reader r = reader_of(item->entry.data);

	if (seen->fail_at && seen->n + 1 == (uint64_t)seen->fail_at)
		return -ENOMEM;
	read_u32le(&r);
	assert_int_equal(read_u64le(&r), seen->n); /* each once, in order */
	assert_int_equal(item->entry.pcr, 10);
	assert_true(item->arrived_us > 0);
	if (item->has_context) {
		assert_int_equal(item->pid, seen->n);
		assert_int_equal(item->measured_us, seen->n + 1);
		assert_string_equal(item->comm, "prog");
		seen->with_context++;
	} else {
		assert_int_equal(item->measured_us, 0);
	}
	seen->n++;
	return 0;
}

static int set_up(void **state unused_)
{
	char path[128];

	memset(&fake, 0, sizeof(fake));
	memset(&kernel, 0, sizeof(kernel));
	fake.support = EVENT_SUPPORT_ORDERED;
	snprintf(kernel.dir, sizeof(kernel.dir), "/tmp/imastream-kernel-XXXXXX");
	assert_non_null(mkdtemp(kernel.dir));
	snprintf(path, sizeof(path), "%s/ima", kernel.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_name("binary_runtime_measurements", (struct bytes){ NULL, 0 }, 0);
	write_count();
	return 0;
}

static int tear_down(void **state unused_)
{
	static const char *const names[] = { "binary_runtime_measurements", "runtime_measurements_count",
					     "binary_runtime_measurements_staged", "binary_runtime_measurements_sha256" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path_of(path, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/ima", kernel.dir);
	rmdir(path);
	rmdir(kernel.dir);
	return 0;
}

static struct source *open_source(void)
{
	const struct source_kernel_options o = { .securityfs = kernel.dir };
	cleanup_writer_ struct writer why = WRITER(1024);
	struct source *s = NULL;
	struct ring_probe probe;

	assert_int_equal(source_kernel_open(&s, &o, &probe, &why), 0);
	return s;
}

static void pull(struct source *s, struct seen *seen)
{
	assert_int_equal(source_pull(s, on_item, seen), 0);
}

/* --- ordered -------------------------------------------------------------------------------------------------------- */

static void list_then_ring(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct source_status status;
	struct seen seen = { 0 };

	measure_many(UNSEEN, 10); /* before we were there */
	s = open_source();
	measure_many(BY_RING, 5); /* between the opening of the ring and the reading of the list: in both */
	pull(s, &seen);
	assert_int_equal(seen.n, 15);
	measure_many(BY_RING, 20);
	pull(s, &seen);
	assert_int_equal(seen.n, 35);
	source_status(s, &status);
	assert_int_equal(status.from_ring + status.from_list, 35);
	assert_true(status.from_ring >= 20);
	assert_int_equal(status.support, EVENT_SUPPORT_ORDERED);
	/* the ring alone carries on: the list is not looked at */
	write_name("binary_runtime_measurements", (struct bytes){ NULL, 0 }, O_TRUNC);
	measure_many(BY_RING, 5);
	pull(s, &seen);
	assert_int_equal(seen.n, 40);
}

static void dropped_records_come_from_the_list(void **state unused_)
{
	cleanup_(source_free) struct source *s = open_source();
	struct source_status status;
	struct seen seen = { 0 };

	measure_many(BY_RING, 3);
	pull(s, &seen);
	measure_many(BY_RING, 2);
	measure_many(DROPPED, 7);
	measure_many(BY_RING, 2); /* the gap is seen here */
	pull(s, &seen);
	assert_int_equal(seen.n, 14);
	assert_true(seen.with_context >= 7);
	measure_many(DROPPED, 4); /* the tail: only the counter tells */
	pull(s, &seen);
	assert_int_equal(seen.n, 18);
	measure_many(BY_RING, 3);
	pull(s, &seen);
	assert_int_equal(seen.n, 21);
	source_status(s, &status);
	assert_int_equal(status.drops[EVENT_DROP_RING_FULL], 11);
	assert_true(status.catch_ups >= 2);
}

static void bare_records_keep_their_context(void **state unused_)
{
	cleanup_(source_free) struct source *s = open_source();
	struct source_status status;
	struct seen seen = { 0 };

	pull(s, &seen);
	measure(BY_RING);
	measure(BARE);
	measure(BY_RING);
	measure(BARE);
	measure(BARE);
	pull(s, &seen);
	assert_int_equal(seen.n, 5);
	assert_int_equal(seen.with_context, 5);
	source_status(s, &status);
	assert_int_equal(status.from_list, 3);
	assert_int_equal(status.from_ring, 2);
}

/* The kernel skipped the program once: no record, no sequence number; the position shows it, or the heartbeat's check. */
static void a_skipped_program(void **state unused_)
{
	cleanup_(source_free) struct source *s = open_source();
	struct seen seen = { 0 };

	measure_many(BY_RING, 3);
	pull(s, &seen);
	measure(UNSEEN);
	measure_many(BY_RING, 2);
	pull(s, &seen);
	assert_int_equal(seen.n, 6);
	measure_many(BY_RING, 2);
	pull(s, &seen);
	assert_int_equal(seen.n, 8);
	measure(UNSEEN);
	pull(s, &seen);
	assert_int_equal(seen.n, 8); /* nobody can know */
	fake.counters.drops[EVENT_DROP_MISSED_RUN] = 1;
	source_check(s);
	assert_int_equal(fake.checks, 1);
	pull(s, &seen);
	assert_int_equal(seen.n, 9);
}

static void without_positions_the_list_is_read(void **state unused_)
{
	cleanup_(source_free) struct source *s = open_source();
	struct seen seen = { 0 };

	measure_many(WITHOUT_POSITION, 4);
	pull(s, &seen);
	measure_many(WITHOUT_POSITION, 4);
	pull(s, &seen);
	assert_int_equal(seen.n, 8);
	assert_int_equal(seen.with_context, 0);
}

static void a_trim_lowers_positions_not_indexes(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	cleanup_list_ struct list *history = NULL;
	struct source_status status;
	struct seen seen = { 0 };
	struct ima_entry e;
	struct reader r;

	write_name("binary_runtime_measurements_staged", (struct bytes){ NULL, 0 }, 0);
	measure_many(UNSEEN, 5);
	s = open_source();
	measure_many(BY_RING, 5);
	pull(s, &seen);
	trim(8);
	measure_many(BY_RING, 3);
	pull(s, &seen);
	assert_int_equal(seen.n, 13);
	source_status(s, &status);
	assert_int_equal(status.trims, 1);
	/* the list is still usable behind it */
	measure(BARE);
	measure_many(DROPPED, 2);
	pull(s, &seen);
	assert_int_equal(seen.n, 16);
	trim(kernel.live); /* all of it */
	measure_many(BY_RING, 2);
	measure(BARE);
	pull(s, &seen);
	assert_int_equal(seen.n, 19);
	assert_int_equal(source_history(s, 3, &history), -ENODATA);
	assert_int_equal(source_history(s, 17, &history), 0);
	assert_int_equal(list_next(history, &e), 1);
	r = reader_of(e.data);
	read_u32le(&r);
	assert_int_equal(read_u64le(&r), 17);
}

static void surely_extended(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };

	measure_many(UNSEEN, 10);
	s = open_source();
	assert_int_equal(source_surely(s), 0);
	pull(s, &seen);
	assert_int_equal(source_surely(s), 9); /* append, then extend: all but the last */
	measure_many(BY_RING, 4);
	pull(s, &seen);
	assert_int_equal(source_surely(s), 13);
	fake.counters.extended_seq = 4;
	assert_int_equal(source_surely(s), 14);
	measure_many(BY_RING, 2); /* extended, and not read from the ring yet */
	fake.counters.extended_seq = 6;
	assert_int_equal(source_surely(s), 16);
	fake.counters.extended_seq = 2; /* behind what the list says */
	assert_int_equal(source_surely(s), 13);
}

/* --- signal and poll ------------------------------------------------------------------------------------------------ */

static void lower_levels(void **state unused_)
{
	static const enum event_support levels[] = { EVENT_SUPPORT_SIGNAL, EVENT_SUPPORT_POLL };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		cleanup_(source_free) struct source *s = NULL;
		struct source_status status;
		struct seen seen = { 0 };

		if (i > 0) {
			tear_down(NULL);
			set_up(NULL);
		}
		fake.support = levels[i];
		measure_many(UNSEEN, 10);
		s = open_source();
		pull(s, &seen);
		assert_int_equal(seen.n, 10);
		assert_int_equal(source_surely(s), 9);
		measure_many(UNSEEN, 500);
		fake.queue[0] = (struct ring_record){ .type = EVENT_WAKE };
		fake.n = levels[i] == EVENT_SUPPORT_SIGNAL;
		pull(s, &seen);
		assert_int_equal(seen.n, 510);
		pull(s, &seen);
		assert_int_equal(seen.n, 510);
		source_status(s, &status);
		assert_int_equal(status.from_list, 510);
		assert_int_equal(status.support, levels[i]);
		trim(505);
		pull(s, &seen);
		measure_many(UNSEEN, 3);
		pull(s, &seen);
		assert_int_equal(seen.n, 513);
	}
}

/* --- opening and failing -------------------------------------------------------------------------------------------- */

static void what_is_wrong(void **state unused_)
{
	struct source_kernel_options o = { .securityfs = kernel.dir };
	cleanup_writer_ struct writer why = WRITER(1024);
	struct source *s = NULL;
	struct ring_probe probe;
	char path[128];

	o.support = EVENT_SUPPORT_SIGNAL; /* the fake does ordered */
	assert_int_equal(source_kernel_open(&s, &o, &probe, &why), -EOPNOTSUPP);
	assert_non_null(strstr(writer_cstr(&why), "--support=auto"));
	o.support = 0;
	o.securityfs = "/nonexistent";
	writer_reset(&why);
	assert_int_equal(source_kernel_open(&s, &o, &probe, &why), -ENOENT);
	assert_non_null(strstr(writer_cstr(&why), "mount -t securityfs"));
	assert_null(s);
	/* a kernel with per-bank files only */
	o.securityfs = kernel.dir;
	path_of(path, "binary_runtime_measurements");
	unlink(path);
	assert_int_equal(source_kernel_open(&s, &o, &probe, &why), -ENOENT);
	write_name("binary_runtime_measurements_sha256", (struct bytes){ NULL, 0 }, 0);
	assert_int_equal(source_kernel_open(&s, &o, &probe, &why), 0);
	source_free(&s);
}

static void failures_are_handed_on(void **state unused_)
{
	const uint8_t junk[40] = { 99 };
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { .fail_at = 4 };

	measure_many(UNSEEN, 10);
	s = open_source();
	assert_int_equal(source_pull(s, on_item, &seen), -ENOMEM);
	assert_int_equal(seen.n, 3);
	source_free(&s);
	seen = (struct seen){ 0 };
	write_name("binary_runtime_measurements", (struct bytes){ junk, sizeof(junk) }, O_APPEND);
	s = open_source();
	assert_int_equal(source_pull(s, on_item, &seen), -EBADMSG);
	assert_non_null(strstr(source_error(s), "PCR 99"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(list_then_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dropped_records_come_from_the_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bare_records_keep_their_context, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_skipped_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_positions_the_list_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trim_lowers_positions_not_indexes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(surely_extended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lower_levels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failures_are_handed_on, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
