// SPDX-License-Identifier: Apache-2.0
/* Ring and list joined. */
#include "unit/collector/kernel_script.h"

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

static uint64_t unnoticed(struct source *s)
{
	struct source_status status;

	source_status(s, &status);
	return status.unnoticed;
}

/* Somebody detached the program: no record, no counter, no wake-up. The kernel's own count tells, at the heartbeat. */
static void a_detached_program(void **state unused_)
{
	cleanup_(source_free) struct source *s = open_source();
	struct seen seen = { 0 };

	measure_many(BY_RING, 3);
	pull(s, &seen);
	assert_int_equal(source_measured(s), 3);
	measure_many(UNSEEN, 5);
	pull(s, &seen);
	assert_int_equal(seen.n, 3); /* nobody looked */
	assert_int_equal(source_measured(s), 8);
	source_check(s);
	pull(s, &seen);
	assert_int_equal(seen.n, 8);
	assert_int_equal(unnoticed(s), 5);
	/* one at a time: it could be on its way to the ring, until the next look */
	measure(UNSEEN);
	source_check(s);
	pull(s, &seen);
	assert_int_equal(seen.n, 9);
	assert_int_equal(unnoticed(s), 5);
	source_check(s);
	pull(s, &seen);
	assert_int_equal(unnoticed(s), 6);
	source_check(s);
	pull(s, &seen);
	assert_int_equal(unnoticed(s), 6);
}

/* The list is ahead of the ring by an entry whose record comes a moment later: delivered once, and nobody to blame. */
static void a_record_on_its_way(void **state unused_)
{
	cleanup_(source_free) struct source *s = open_source();
	struct seen seen = { 0 };
	size_t hidden;

	measure_many(BY_RING, 3);
	pull(s, &seen);
	measure(BY_RING);
	hidden = fake.n--;
	source_check(s);
	pull(s, &seen);
	assert_int_equal(seen.n, 4);
	fake.n = hidden;
	pull(s, &seen);
	assert_int_equal(seen.n, 4);
	source_check(s);
	pull(s, &seen);
	measure(BY_RING);
	pull(s, &seen);
	assert_int_equal(seen.n, 5);
	assert_int_equal(unnoticed(s), 0);
	/* dropped records are explained by their counter */
	measure_many(DROPPED, 4);
	source_check(s);
	pull(s, &seen);
	assert_int_equal(seen.n, 9);
	source_check(s);
	pull(s, &seen);
	assert_int_equal(unnoticed(s), 0);
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

	list_mode(0660);
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
		can_trim();
		kernel.totals = levels[i] == EVENT_SUPPORT_SIGNAL;
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
		/* more are added than were trimmed, between two looks */
		trim(7);
		measure_many(UNSEEN, 20);
		pull(s, &seen);
		assert_int_equal(seen.n, 533);
		/* all that we knew is gone, and nothing of what came since */
		trim(kernel.live);
		measure_many(UNSEEN, 40);
		pull(s, &seen);
		assert_int_equal(seen.n, 573);
		assert_int_equal(status_of(s).lost, 0);
		assert_int_equal(status_of(s).first, 533);
		assert_int_equal(index_at(s, 540), 540);
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
		cmocka_unit_test_setup_teardown(a_detached_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_on_its_way, set_up, tear_down),
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
