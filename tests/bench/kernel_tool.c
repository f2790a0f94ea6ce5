// SPDX-License-Identifier: Apache-2.0
/* The workload and the stop-watch of make bench-kernel. Runs in the guest.
 *
 *   kernel_tool rounds DIR BLOCKS N PROGRAM...   executions with the hooks attached and detached; prints what it saw, see below
 *   kernel_tool new DIR N PROGRAM...             N copies of each PROGRAM that the kernel has not seen, executed; prints nothing
 *   kernel_tool hold                             hooks attached, records read and thrown away, until SIGTERM; prints "ready"
 *
 * A round: N copies of each PROGRAM, each made unique by bytes behind its end, so that each is measured; every copy is executed
 * once ("new") and then AGAIN times ("again"). A block is four rounds: detached, attached, detached, counted. "counted" is
 * attached with the kernel's statistics of BPF programs on (bpf_stats_enabled), which cost time themselves; so the other three are
 * without. Detached before and behind attached: what drifts slowly falls out of the difference. While attached, a thread on another
 * processor reads the ring as the collector does: each entry pays for a wake-up. Lines on standard output:
 *
 *   exec BLOCK ROUND new|again PROGRAM NANOSECONDS   from before posix_spawn until execve has replaced the program; then it is killed
 *   bpf BLOCK new|again HOOK RUNS NANOSECONDS        of each execution of a counted round */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/ring.h"

extern char **environ;

#define AGAIN 2
#define WARM_UP 4 /* executions behind each change of the hooks that nobody times: the kernel has changed its own code */

static const char *const hooks[] = { "on_append", "on_extend" };
#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

struct plan {
	const char *dir;
	char **programs;
	int count, n;
	uint64_t made; /* copies so far: no two are alike */
};

/* Hooks with somebody who reads. */
struct attached {
	struct ring *ring;
	pthread_t reader;
	int stop;
};

struct runs {
	uint64_t count, ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

_Noreturn static void failed(const char *what)
{
	fprintf(stderr, "kernel_tool: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		failed("sched_setaffinity");
}

/* --- the hooks ------------------------------------------------------------------------------------------------------ */

static int drop(void *user, const struct ring_record *r)
{
	(void)user;
	(void)r;
	return 0;
}

static void *read_ring(void *arg)
{
	struct epoll_event wanted = { .events = EPOLLIN }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct attached *a = arg;

	pin(1);
	wanted.data.fd = ring_fd(a->ring);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, wanted.data.fd, &wanted) < 0)
		failed("epoll_ctl");
	wanted.data.fd = a->stop;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, a->stop, &wanted) < 0)
		failed("epoll_ctl");
	while (epoll_wait(ep, &got, 1, -1) < 1 || got.data.fd != a->stop)
		if (ring_consume(a->ring, drop, NULL) < 0)
			failed("ring_consume");
	close(ep);
	return NULL;
}

static void attach(struct attached *a)
{
	const struct ring_options options = { .want = EVENT_SUPPORT_ORDERED };

	errno = -ring_open(&a->ring, &options, NULL);
	if (errno)
		failed("ring_open");
	a->stop = eventfd(0, EFD_CLOEXEC);
	if (a->stop < 0 || pthread_create(&a->reader, NULL, read_ring, a) != 0)
		failed("reader");
}

static void detach(struct attached *a)
{
	struct ring_counters c;

	if (!a->ring)
		return;
	ring_check_missed(a->ring);
	ring_snapshot(a->ring, &c);
	if (!c.seq || c.extended_seq != c.seq || c.drops[EVENT_DROP_RING_FULL] || c.drops[EVENT_DROP_MISSED_RUN]) {
		fprintf(stderr, "kernel_tool: the hooks did not see each entry: %llu, extended %llu, dropped %llu, missed %llu\n",
			(unsigned long long)c.seq, (unsigned long long)c.extended_seq, (unsigned long long)c.drops[EVENT_DROP_RING_FULL],
			(unsigned long long)c.drops[EVENT_DROP_MISSED_RUN]);
		exit(2);
	}
	if (eventfd_write(a->stop, 1) < 0 || pthread_join(a->reader, NULL) != 0)
		failed("reader");
	close(a->stop);
	ring_close(&a->ring);
}

/* What the kernel counted of our programs; ring.c does not hand out their descriptors. */
static void runs_of_hooks(struct runs out[HOOKS])
{
	uint32_t id = 0, found = 0;

	while (bpf_prog_get_next_id(id, &id) == 0) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
			failed("bpf_prog_info");
		for (size_t i = 0; i < HOOKS; i++) {
			if (strcmp(info.name, hooks[i]) != 0)
				continue;
			out[i] = (struct runs){ info.run_cnt, info.run_time_ns };
			found++;
		}
		close(fd);
	}
	if (found != HOOKS) {
		fprintf(stderr, "kernel_tool: %u of %zu hooks found, or another collector runs\n", found, HOOKS);
		exit(2);
	}
}

/* --- executions ----------------------------------------------------------------------------------------------------- */

static void copy_path(char *out, size_t room, const struct plan *p, int program, int i)
{
	const char *name = strrchr(p->programs[program], '/');

	snprintf(out, room, "%s/%s-%d", p->dir, name ? name + 1 : p->programs[program], i);
}

static void make_copy(struct plan *p, const char *program, const char *path)
{
	int from = open(program, O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	uint64_t tail[2] = { ++p->made, now_ns() };
	struct stat st;

	if (from < 0 || to < 0 || fstat(from, &st) < 0 || sendfile(to, from, NULL, (size_t)st.st_size) != st.st_size ||
	    write(to, tail, sizeof(tail)) != sizeof(tail))
		failed(path);
	close(from);
	close(to);
}

static uint64_t run(const char *path)
{
	char name[] = "true", option[] = "--version", *argv[] = { name, option, NULL };
	posix_spawn_file_actions_t actions;
	uint64_t before, after;
	int status;
	pid_t pid;

	if (posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) != 0)
		failed("posix_spawn_file_actions");
	before = now_ns();
	errno = posix_spawn(&pid, path, &actions, NULL, argv, environ); /* returns behind execve */
	after = now_ns();
	if (errno)
		failed(path);
	/* what it would do is nobody's business here, and takes longer than all the rest where the processor is emulated */
	if (kill(pid, SIGKILL) < 0 || waitpid(pid, &status, 0) != pid)
		failed(path);
	posix_spawn_file_actions_destroy(&actions);
	return after - before;
}

static void make_copies(struct plan *p)
{
	char path[512];

	for (int i = 0; i < p->n; i++)
		for (int k = 0; k < p->count; k++) {
			copy_path(path, sizeof(path), p, k, i);
			make_copy(p, p->programs[k], path);
		}
}

static void run_copies(const struct plan *p, int block, const char *round, const char *kind, bool counted)
{
	struct runs before[HOOKS], after[HOOKS];
	char path[512];

	for (int i = 0; i < p->n; i++)
		for (int k = 0; k < p->count; k++) {
			uint64_t ns;

			copy_path(path, sizeof(path), p, k, i);
			if (counted)
				runs_of_hooks(before);
			ns = run(path);
			if (round)
				printf("exec %d %s %s %s %llu\n", block, round, kind, p->programs[k], (unsigned long long)ns);
			if (!counted)
				continue;
			runs_of_hooks(after);
			for (size_t h = 0; h < HOOKS; h++)
				printf("bpf %d %s %s %llu %llu\n", block, kind, hooks[h], (unsigned long long)(after[h].count - before[h].count),
				       (unsigned long long)(after[h].ns - before[h].ns));
		}
}

static void remove_copies(const struct plan *p)
{
	char path[512];

	for (int i = 0; i < p->n; i++)
		for (int k = 0; k < p->count; k++) {
			copy_path(path, sizeof(path), p, k, i);
			unlink(path);
		}
}

static void warm_up(struct plan *p)
{
	char path[512];

	for (int i = 0; i < WARM_UP; i++) {
		snprintf(path, sizeof(path), "%s/warm-up", p->dir);
		make_copy(p, p->programs[i % p->count], path);
		run(path);
		run(path);
		unlink(path);
	}
}

static void one_round(struct plan *p, int block, const char *round)
{
	bool counted = strcmp(round, "counted") == 0;
	struct attached a = { 0 };
	int stats = -1;

	make_copies(p);
	if (strncmp(round, "detached", 8) != 0)
		attach(&a);
	if (counted) {
		stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
		if (stats < 0)
			failed("bpf_enable_stats");
	}
	warm_up(p);
	run_copies(p, block, round, "new", counted);
	for (int i = 0; i < AGAIN; i++)
		run_copies(p, block, round, "again", counted);
	if (counted)
		close(stats);
	detach(&a);
	remove_copies(p);
}

static int rounds(struct plan *p, int blocks)
{
	/* once, so that programs and libraries are measured, and nothing is done for the first time later */
	make_copies(p);
	run_copies(p, 0, NULL, "new", false);
	remove_copies(p);
	for (int b = 0; b < blocks; b++) {
		one_round(p, b, "detached-1");
		one_round(p, b, "attached");
		one_round(p, b, "detached-2");
		one_round(p, b, "counted");
		fflush(stdout);
	}
	return 0;
}

static int hold(void)
{
	struct attached a = { 0 };
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		failed("pthread_sigmask");
	attach(&a);
	puts("ready");
	fflush(stdout);
	sigwait(&set, &sig);
	detach(&a);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "hold") == 0)
		return hold();
	if (argc > 2 && mkdir(argv[2], 0755) < 0 && errno != EEXIST)
		failed(argv[2]);
	pin(0);
	if (argc > 5 && strcmp(argv[1], "rounds") == 0) {
		struct plan p = { .dir = argv[2], .programs = argv + 5, .count = argc - 5, .n = atoi(argv[4]) };

		return rounds(&p, atoi(argv[3]));
	}
	if (argc > 4 && strcmp(argv[1], "new") == 0) {
		struct plan p = { .dir = argv[2], .programs = argv + 4, .count = argc - 4, .n = atoi(argv[3]) };

		make_copies(&p);
		run_copies(&p, 0, NULL, "new", false);
		remove_copies(&p);
		return 0;
	}
	fprintf(stderr, "usage: kernel_tool rounds DIR BLOCKS N PROGRAM... | new DIR N PROGRAM... | hold\n");
	return 2;
}
