// SPDX-License-Identifier: Apache-2.0
/* Lists that are trimmed, by others and by us, on kernels that count since boot. */
#include "unit/collector/kernel_script.h"

/* Whoever trims, and whenever: before we start, ... */
static void a_start_on_a_trimmed_list(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { .n = 80 };

	can_trim();
	measure_many(UNSEEN, 100);
	trim(80);
	s = open_source();
	assert_int_equal(status_of(s).first, 80);
	measure_many(BY_RING, 5);
	pull(s, &seen);
	assert_int_equal(seen.n, 105);
	assert_int_equal(status_of(s).lost, 0); /* they never were ours */
	assert_int_equal(status_of(s).trims, 0);
	assert_int_equal(source_measured(s), 105);
	assert_int_equal(index_at(s, 80), 80);
	assert_int_equal(index_at(s, 97), 97);
}

/* ... all of it before we start, ... */
static void a_start_on_an_empty_list(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { .n = 100 };

	can_trim();
	measure_many(UNSEEN, 100);
	trim(100);
	s = open_source();
	pull(s, &seen);
	assert_int_equal(status_of(s).first, 100);
	assert_int_equal(status_of(s).end, 100);
	measure(BY_RING);
	pull(s, &seen);
	assert_int_equal(seen.n, 101);
}

/* ... between the append of an entry and our reading of its record, ... */
static void a_trim_before_the_record_is_read(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };

	can_trim();
	measure_many(UNSEEN, 10);
	s = open_source();
	pull(s, &seen);
	measure_many(BY_RING, 5);
	trim(12);
	pull(s, &seen);
	assert_int_equal(seen.n, 15);
	measure_many(BY_RING, 3);
	trim(kernel.live);
	measure(BY_RING);
	pull(s, &seen);
	assert_int_equal(seen.n, 19);
	assert_int_equal(status_of(s).lost, 0);
	assert_int_equal(status_of(s).first, 18);
}

/* ... when no record has told of it and a verifier wants old entries: those that are gone are said to be, others are right. */
static void a_trim_that_no_record_told_of(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	cleanup_list_ struct list *history = NULL, *again = NULL;
	struct seen seen = { 0 };
	struct ima_entry e;

	can_trim();
	measure_many(UNSEEN, 1000);
	s = open_source();
	pull(s, &seen);
	assert_int_equal(source_history(s, 5, &history), 0);
	assert_int_equal(list_next(history, &e), 1);
	list_pause(history);
	trim(10);
	assert_int_equal(source_history(s, 9, &again), -ENODATA);
	assert_null(again);
	assert_int_equal(index_at(s, 10), 10);
	assert_int_equal(index_at(s, 999), 999);
	assert_int_equal(status_of(s).first, 10);
	/* a reader that stopped in between says where it is */
	while (list_next(history, &e) == 1) {
		struct reader r = reader_of(e.data);

		read_u32le(&r);
		assert_int_equal(read_u64le(&r), list_index(history) - 1);
	}
	assert_int_equal(list_index(history), 1000);
}

/* A record that was dropped, a list that was trimmed meanwhile. What is still there is found; what is not, is counted. */
static void a_trim_and_a_full_ring(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { .may_lose = true };

	can_trim();
	measure_many(UNSEEN, 10);
	s = open_source();
	pull(s, &seen);
	trim(8);
	measure_many(DROPPED, 6);
	pull(s, &seen);
	assert_int_equal(seen.n, 16);
	assert_int_equal(seen.lost, 0);
	measure_many(DROPPED, 6);
	trim(kernel.live - 2);
	pull(s, &seen);
	assert_int_equal(seen.n, 22);
	assert_int_equal(seen.lost, 4);
	assert_int_equal(status_of(s).lost, 4);
	/* the ring goes on behind it */
	measure_many(BY_RING, 4);
	pull(s, &seen);
	assert_int_equal(seen.n, 26);
	measure_many(DROPPED, 2);
	trim(kernel.live);
	measure_many(BY_RING, 2); /* their own records say where they belong */
	pull(s, &seen);
	assert_int_equal(seen.n, 30);
	assert_int_equal(status_of(s).lost, 6);
}

/* The look at the count sends us to the list, and before we read it, it is trimmed of entries whose records are in the ring. */
static void trim_and_record(void)
{
	fake.on_counts = NULL;
	measure_many(BY_RING, 3);
	trim(kernel.live);
	measure(UNSEEN);
}

static void a_trim_of_what_is_in_the_ring(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { .may_lose = true };

	can_trim();
	measure_many(UNSEEN, 10);
	s = open_source();
	pull(s, &seen);
	measure(UNSEEN);
	source_check(s);
	fake.on_counts = trim_and_record;
	pull(s, &seen);
	assert_int_equal(seen.n, 15);
	assert_int_equal(seen.lost, 1); /* the one that no record told of */
}

/* An entry that is in the list and not yet in the kernel's total makes a trim look smaller by one: only for a moment. */
static void a_trim_while_an_entry_is_added(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };

	can_trim();
	measure_many(UNSEEN, 10);
	fake.in_flight = 2;
	s = open_source();
	pull(s, &seen);
	assert_int_equal(seen.n, 10);
	trim(4);
	fake.in_flight = 2;
	assert_int_equal(index_at(s, 6), 6);
	assert_int_equal(status_of(s).first, 4);
}

/* The trimmer has the list open for writing: nobody may read it, and nothing is lost by that. */
static void an_open_trimmer(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };
	char path[128], away[128];

	can_trim();
	measure_many(UNSEEN, 3);
	s = open_source();
	pull(s, &seen);
	measure_many(DROPPED, 2);
	measure_many(BY_RING, 2);
	path_of(path, "binary_runtime_measurements");
	path_of(away, "binary_runtime_measurements_sha256");
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(source_pull(s, on_item, &seen), -ENOENT); /* as EBUSY would be */
	assert_int_equal(rename(away, path), 0);
	pull(s, &seen); /* without a new record */
	assert_int_equal(seen.n, 7);
}

/* An open reader keeps every trimmer away: no longer than one reading, also when that failed. */
static void a_reader_is_gone_when_it_has_read(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { .fail_at = 4 };
	char path[128];

	can_trim();
	path_of(path, "binary_runtime_measurements");
	measure_many(UNSEEN, 10);
	s = open_source();
	assert_int_equal(open_files_of(path), 0);
	assert_int_equal(source_pull(s, on_item, &seen), -ENOMEM);
	assert_int_equal(open_files_of(path), 0);
	seen.fail_at = 0;
	pull(s, &seen);
	assert_int_equal(seen.n, 10);
	measure(BARE);
	measure_many(DROPPED, 2);
	measure(BY_RING);
	pull(s, &seen);
	assert_int_equal(seen.n, 14);
	assert_int_equal(source_trim(s, 3), 0);
	assert_int_equal(open_files_of(path), 0);
}

/* What we let the kernel forget: counted from where the list begins at that moment. */
static uint64_t asked_to_forget(void)
{
	cleanup_fd_ int fd = -1;
	char path[128], text[32] = "";

	path_of(path, "binary_runtime_measurements");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_non_null(strchr(text, '\n'));
	return strtoull(text, NULL, 10);
}

static void what_is_proven_is_released(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };

	can_trim();
	measure_many(UNSEEN, 100);
	s = open_source();
	pull(s, &seen);
	trim(10); /* somebody else, and no record has told of it */
	assert_int_equal(source_trim(s, 60), 0);
	assert_int_equal(asked_to_forget(), 50);
	trim(50);
	assert_int_equal(status_of(s).first, 60);
	assert_int_equal(status_of(s).released, 50);
	assert_int_equal(status_of(s).trims, 1);
	measure_many(BY_RING, 5);
	measure_many(DROPPED, 5);
	pull(s, &seen);
	assert_int_equal(seen.n, 110);
	assert_int_equal(status_of(s).trims, 1); /* ours is none of somebody else's */
	assert_int_equal(source_trim(s, 60), 0); /* nothing to do */
	assert_int_equal(status_of(s).released, 50);
	assert_int_equal(index_at(s, 60), 60);
}

/* A verifier that says it has proven more than there is speaks of another list, or lies: nothing is let go for it, not even what the
 * kernel has added and nobody here has read. */
static void what_nobody_read_is_not_released(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };
	char path[128];
	struct stat before, after;

	can_trim();
	measure_many(UNSEEN, 100);
	s = open_source();
	pull(s, &seen);
	measure_many(BY_RING, 5);
	path_of(path, "binary_runtime_measurements");
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(source_trim(s, 103), -ERANGE);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	assert_int_equal(status_of(s).first, 0);
	assert_int_equal(status_of(s).released, 0);
	pull(s, &seen);
	assert_int_equal(seen.n, 105);
	assert_int_equal(source_trim(s, 103), 0);
	assert_int_equal(asked_to_forget(), 103);
}

static void releasing_needs_a_kernel_that_can(void **state unused_)
{
	struct source_kernel_options o = { .securityfs = kernel.dir, .trim = true };
	cleanup_writer_ struct writer why = WRITER(1024);
	struct source *s = NULL;
	struct ring_probe probe;

	measure(UNSEEN);
	assert_int_equal(source_kernel_open(&s, &o, &probe, &why), -EOPNOTSUPP);
	assert_non_null(strstr(writer_cstr(&why), "Linux 7.2"));
	can_trim();
	kernel.totals = false;
	writer_reset(&why);
	assert_int_equal(source_kernel_open(&s, &o, &probe, &why), -EOPNOTSUPP);
	assert_non_null(strstr(writer_cstr(&why), "without BPF"));
	assert_null(s);
}

/* Without BPF nobody says by how many entries a list was trimmed before: no index may be made up. */
static void a_trimmed_list_without_bpf(void **state unused_)
{
	cleanup_(source_free) struct source *s = NULL;
	struct seen seen = { 0 };

	fake.support = EVENT_SUPPORT_POLL;
	can_trim();
	kernel.totals = false;
	measure_many(UNSEEN, 10);
	trim(4);
	s = open_source();
	assert_int_equal(source_pull(s, on_item, &seen), -EOPNOTSUPP);
	assert_non_null(strstr(source_error(s), "trimmed before"));
	assert_int_equal(seen.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_start_on_a_trimmed_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_start_on_an_empty_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trim_before_the_record_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trim_that_no_record_told_of, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trim_and_a_full_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trim_of_what_is_in_the_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trim_while_an_entry_is_added, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_open_trimmer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_is_gone_when_it_has_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_proven_is_released, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_nobody_read_is_not_released, set_up, tear_down),
		cmocka_unit_test_setup_teardown(releasing_needs_a_kernel_that_can, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trimmed_list_without_bpf, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
