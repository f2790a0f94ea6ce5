// SPDX-License-Identifier: Apache-2.0
/* The verifier's clock counts what the machine slept through. A time namespace plays the sleep: CLOCK_BOOTTIME is a day ahead. */
#include "lib/test.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "verifier/attester.h"

#define DAY_US (86400u * UINT64_C(1000000))
#define ASLEEP "boottime 86400 0"

static int stop(void *loop, uint32_t events unused_)
{
	loop_stop(loop);
	return 0;
}

/* In a process that slept: 0, or where it fails. */
static int behind_a_sleep(void)
{
	struct instant now = instant_now();
	struct loop_timer *timer;
	struct loop *loop;

	if (now.mono < clock_mono_us() + DAY_US / 2)
		return 1;
	if (loop_new(&loop) < 0 || loop_add_boot_timer(loop, &timer, stop, loop) < 0)
		return 2;
	loop_timer_at(timer, now.mono - 1000); /* it came due in the sleep */
	if (loop_once(loop, 60000) < 0 || loop_timer_when(timer))
		return 3;
	loop_free(&loop);
	return 0;
}

static void what_it_slept_through_counts(void **state unused_)
{
	int fd, status;
	pid_t pid;

	if (unshare(CLONE_NEWTIME) < 0)
		skip();
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, ASLEEP, sizeof(ASLEEP) - 1), sizeof(ASLEEP) - 1);
	close(fd);
	pid = fork(); /* the first one in the namespace */
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(behind_a_sleep());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_it_slept_through_counts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
