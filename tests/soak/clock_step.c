// SPDX-License-Identifier: Apache-2.0
/* Loaded into a daemon (LD_PRELOAD): its wall clock is off by what the first eight bytes of the file
 * $IMASTREAM_CLOCK_FILE say, microseconds, signed, native order. The soak writes them; the clock then steps in the
 * middle of whatever the daemon does. Other clocks stay as they are.
 *
 * The file is mapped before the daemon confines itself, so that it needs no right for it later. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *offset_us;

__attribute__((constructor)) static void map_offset(void)
{
	const char *path = getenv("IMASTREAM_CLOCK_FILE");
	int fd;
	void *p;

	if (!path)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*offset_us), PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		perror(path);
		_exit(1);
	}
	close(fd);
	offset_us = p;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, id, ts);

	if (r == 0 && offset_us && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
		int64_t us = ts->tv_sec * INT64_C(1000000) + ts->tv_nsec / 1000 + atomic_load(offset_us);

		ts->tv_sec = us / 1000000;
		ts->tv_nsec = us % 1000000 * 1000 + ts->tv_nsec % 1000;
	}
	return r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec ts;

	(void)tz;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t)
		*t = ts.tv_sec;
	return ts.tv_sec;
}

/* A wait until a time of the wall clock (the kernel knows nothing of ours): in parts, so that a step counts at once. The end of
 * a part is a spurious wake-up, which callers must expect. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
			   const struct timespec *restrict until)
{
	static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
	const int64_t part = 100000000;
	struct timespec now, end;
	int64_t left, wait;
	int r;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	if (!offset_us || until->tv_sec < 1000000000) /* by the time since boot: another clock */
		return real(cond, mutex, until);
	clock_gettime(CLOCK_REALTIME, &now);
	left = (until->tv_sec - now.tv_sec) * INT64_C(1000000000) + until->tv_nsec - now.tv_nsec;
	wait = left < 0 ? 0 : left < part ? left : part;
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &end);
	end.tv_nsec += wait;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	r = real(cond, mutex, &end);
	return r == ETIMEDOUT && left > part ? 0 : r;
}
