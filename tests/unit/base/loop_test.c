// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"

struct world {
	struct loop *loop;
	int fired, other_fd;
	struct loop_timer *timer;
};

static int count_and_stop(void *user, uint32_t events unused_)
{
	struct world *w = user;

	w->fired++;
	loop_stop(w->loop);
	return 0;
}

static void timers_fire_once_and_can_be_disarmed(void **state unused_)
{
	struct world w = { 0 };

	assert_int_equal(loop_new(&w.loop), 0);
	assert_int_equal(loop_add_timer(w.loop, &w.timer, count_and_stop, &w), 0);
	loop_timer_at(w.timer, clock_mono_us() + 1000);
	assert_true(loop_timer_when(w.timer) != 0);
	assert_int_equal(loop_run(w.loop), 0);
	assert_int_equal(w.fired, 1);
	assert_true(loop_timer_when(w.timer) == 0);
	loop_timer_at(w.timer, clock_mono_us() + 1000);
	loop_timer_at(w.timer, 0);
	assert_int_equal(loop_once(w.loop, 20), 0);
	assert_int_equal(w.fired, 1);
	loop_free(&w.loop);
	assert_null(w.loop);
}

static int fails(void *user unused_, uint32_t events unused_)
{
	return -EBADMSG;
}

static void a_callback_failure_ends_the_loop(void **state unused_)
{
	struct world w = { 0 };
	int fd = wake_fd_new();

	assert_true(fd >= 0);
	assert_int_equal(loop_new(&w.loop), 0);
	assert_int_equal(loop_add_fd(w.loop, fd, 0, fails, &w), 0);
	wake_fd_kick(fd);
	wake_fd_kick(fd);
	assert_int_equal(loop_run(w.loop), -EBADMSG);
	assert_int_equal(wake_fd_clear(fd), 2);
	assert_int_equal(wake_fd_clear(fd), 0);
	loop_free(&w.loop);
	close(fd);
}

static int remove_other(void *user, uint32_t events unused_)
{
	struct world *w = user;

	w->fired++;
	if (w->other_fd >= 0)
		assert_int_equal(loop_del_fd(w->loop, w->other_fd), 0);
	w->other_fd = -1;
	return 0;
}

static void a_source_may_remove_another_in_the_same_round(void **state unused_)
{
	struct world w = { 0 };
	int a = wake_fd_new(), b = wake_fd_new();

	assert_int_equal(loop_new(&w.loop), 0);
	/* each removes the other: whoever comes first, only one of the two may run */
	assert_int_equal(loop_add_fd(w.loop, a, 0, remove_other, &w), 0);
	assert_int_equal(loop_add_fd(w.loop, b, 0, remove_other, &w), 0);
	w.other_fd = b;
	wake_fd_kick(a);
	assert_int_equal(loop_once(w.loop, 100), 0);
	wake_fd_clear(a);
	wake_fd_kick(b);
	assert_int_equal(loop_once(w.loop, 10), 0);
	assert_int_equal(w.fired, 1);
	assert_int_equal(loop_del_fd(w.loop, b), -ENOENT);
	loop_free(&w.loop);
	close(a);
	close(b);
}

static void signals_arrive_in_the_loop(void **state unused_)
{
	struct world w = { 0 };

	assert_int_equal(loop_new(&w.loop), 0);
	assert_int_equal(loop_add_signal(w.loop, SIGUSR2, count_and_stop, &w), 0);
	kill(getpid(), SIGUSR2);
	assert_int_equal(loop_run(w.loop), 0);
	assert_int_equal(w.fired, 1);
	loop_free(&w.loop);
}

static void an_idle_loop_does_not_wake(void **state unused_)
{
	struct world w = { 0 };
	uint64_t before;

	assert_int_equal(loop_new(&w.loop), 0);
	assert_int_equal(loop_add_timer(w.loop, &w.timer, count_and_stop, &w), 0);
	before = loop_wakeups(w.loop);
	loop_timer_at(w.timer, clock_mono_us() + 30000);
	assert_int_equal(loop_run(w.loop), 0);
	assert_int_equal(loop_wakeups(w.loop) - before, 1);
	loop_free(&w.loop);
}

static void log_limit_counts_what_it_swallows(void **state unused_)
{
	struct log_limit l = { .interval_us = 1000, .burst = 2 };

	assert_true(log_allowed(&l, 5000));
	assert_true(log_allowed(&l, 5001));
	assert_false(log_allowed(&l, 5002));
	assert_int_equal(l.missed, 1);
	assert_true(log_allowed(&l, 6001));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_once_and_can_be_disarmed),
		cmocka_unit_test(a_callback_failure_ends_the_loop),
		cmocka_unit_test(a_source_may_remove_another_in_the_same_round),
		cmocka_unit_test(signals_arrive_in_the_loop),
		cmocka_unit_test(an_idle_loop_does_not_wake),
		cmocka_unit_test(log_limit_counts_what_it_swallows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
