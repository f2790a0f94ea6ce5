// SPDX-License-Identifier: Apache-2.0
/* The workload and the stop-watch of the latency benchmark, on the host and in the guest.
 *
 *   latency_tool watch FILE          prints each new line of FILE behind the CLOCK_MONOTONIC nanoseconds at which it was there
 *   latency_tool exec DIR SCHEDULE   executes DIR/job-1, job-2, ... at the times of SCHEDULE (a line each: milliseconds since
 *                                    the start, how many); prints "NAME BEFORE AFTER" in nanoseconds: before fork, and when
 *                                    execve has succeeded */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/common.h"

extern char **environ;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int failed(const char *what)
{
	fprintf(stderr, "latency_tool: %s: %s\n", what, strerror(errno));
	return 2;
}

/* Lines are stamped when the read that ended them returned. */
static void print_lines(const char *data, size_t n, bool *at_start)
{
	uint64_t now = now_ns();

	for (size_t i = 0; i < n; i++) {
		if (*at_start)
			printf("%llu ", (unsigned long long)now);
		putchar(data[i]);
		*at_start = data[i] == '\n';
	}
	fflush(stdout);
}

static int watch(const char *path)
{
	cleanup_fd_ int file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644), wake = inotify_init1(IN_CLOEXEC);
	static char data[1u << 18];
	bool at_start = true;
	char note[4096];

	if (file < 0 || wake < 0 || inotify_add_watch(wake, path, IN_MODIFY) < 0)
		return failed(path);
	do {
		ssize_t n;

		while ((n = read(file, data, sizeof(data))) > 0)
			print_lines(data, (size_t)n, &at_start);
	} while (read(wake, note, sizeof(note)) > 0);
	return failed("inotify");
}

static int run_one(const char *dir, unsigned int i)
{
	char path[256], name[] = "job";
	char *argv[] = { name, NULL };
	uint64_t before, after;
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/job-%u", dir, i);
	before = now_ns();
	errno = posix_spawn(&pid, path, NULL, NULL, argv, environ); /* returns behind execve */
	after = now_ns();
	if (errno)
		return failed(path);
	printf("%s %llu %llu\n", path, (unsigned long long)before, (unsigned long long)after);
	return waitpid(pid, &status, 0) == pid ? 0 : failed("wait");
}

static int exec_all(const char *dir, const char *schedule)
{
	FILE *f = fopen(schedule, "re");
	uint64_t start = now_ns();
	unsigned int n, done = 0;
	double at_ms;

	if (!f)
		return failed(schedule);
	while (fscanf(f, "%lf %u", &at_ms, &n) == 2) {
		uint64_t at = start + (uint64_t)(at_ms * 1e6);
		struct timespec t = { .tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u) };

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
			;
		for (unsigned int i = 0; i < n; i++) {
			int r = run_one(dir, ++done);

			if (r != 0)
				return r;
		}
	}
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "watch") == 0)
		return watch(argv[2]);
	if (argc == 4 && strcmp(argv[1], "exec") == 0)
		return exec_all(argv[2], argv[3]);
	fprintf(stderr, "usage: latency_tool watch FILE | exec DIR SCHEDULE\n");
	return 2;
}
