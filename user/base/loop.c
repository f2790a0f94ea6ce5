// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

struct source {
	int fd;
	bool dead; /* removed while a round of events is being delivered */
	loop_fn fn;
	void *user;
	struct source *next;
};

struct loop_timer {
	struct loop *loop;
	int fd;
	uint64_t when;
	loop_fn fn;
	void *user;
	struct loop_timer *next;
};

struct signal_source {
	int fd;
	loop_fn fn;
	void *user;
	struct signal_source *next;
};

struct loop {
	int epoll_fd;
	bool stop;
	uint64_t wakeups;
	struct source *sources;
	struct loop_timer *timers;
	struct signal_source *signals;
};

int loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		int r = -errno;

		free(l);
		return r;
	}
	*out = l;
	return 0;
}

void loop_free(struct loop **loop)
{
	struct loop *l = TAKE_PTR(*loop);

	if (!l)
		return;
	while (l->sources) {
		struct source *s = l->sources;

		l->sources = s->next;
		free(s);
	}
	while (l->timers) {
		struct loop_timer *t = l->timers;

		l->timers = t->next;
		fd_cleanup(&t->fd);
		free(t);
	}
	while (l->signals) {
		struct signal_source *s = l->signals;

		l->signals = s->next;
		fd_cleanup(&s->fd);
		free(s);
	}
	fd_cleanup(&l->epoll_fd);
	free(l);
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fn fn, void *user)
{
	struct source *s = calloc(1, sizeof(*s));
	struct epoll_event ev = { .events = events ? events : EPOLLIN, .data.ptr = s };

	if (!s)
		return -ENOMEM;
	*s = (struct source){ .fd = fd, .fn = fn, .user = user, .next = l->sources };
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int r = -errno;

		free(s);
		return r;
	}
	l->sources = s;
	return 0;
}

int loop_del_fd(struct loop *l, int fd)
{
	for (struct source *s = l->sources; s; s = s->next) {
		if (s->fd != fd || s->dead)
			continue;
		s->dead = true; /* freed between rounds */
		return epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
	}
	return -ENOENT;
}

static void loop_sweep(struct loop *l)
{
	for (struct source **at = &l->sources; *at;) {
		struct source *s = *at;

		if (s->dead) {
			*at = s->next;
			free(s);
		} else {
			at = &s->next;
		}
	}
}

static int timer_fired(void *user, uint32_t events unused_)
{
	struct loop_timer *t = user;
	uint64_t n;

	if (read(t->fd, &n, sizeof(n)) != sizeof(n))
		return 0; /* re-armed or disarmed since */
	t->when = 0;
	return t->fn(t->user, 0);
}

static int add_timer(struct loop *l, struct loop_timer **out, clockid_t clock, loop_fn fn, void *user)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	*t = (struct loop_timer){ .loop = l, .fn = fn, .user = user };
	t->fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->fd < 0) {
		r = -errno;
		free(t);
		return r;
	}
	r = loop_add_fd(l, t->fd, EPOLLIN, timer_fired, t);
	if (r < 0) {
		fd_cleanup(&t->fd);
		free(t);
		return r;
	}
	t->next = l->timers;
	l->timers = t;
	*out = t;
	return 0;
}

int loop_add_timer(struct loop *l, struct loop_timer **out, loop_fn fn, void *user)
{
	return add_timer(l, out, CLOCK_MONOTONIC, fn, user);
}

int loop_add_boot_timer(struct loop *l, struct loop_timer **out, loop_fn fn, void *user)
{
	return add_timer(l, out, CLOCK_BOOTTIME, fn, user);
}

void loop_timer_at(struct loop_timer *t, uint64_t at_us)
{
	struct itimerspec its = { .it_value = { .tv_sec = (time_t)(at_us / 1000000u),
						.tv_nsec = (long)(at_us % 1000000u * 1000u) } };

	if (t->when == at_us)
		return;
	t->when = at_us;
	timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &its, NULL); /* fails only for values that cannot occur */
}

uint64_t loop_timer_when(const struct loop_timer *t)
{
	return t->when;
}

static int signal_fired(void *user, uint32_t events unused_)
{
	struct signal_source *s = user;
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
		int r = s->fn(s->user, 0);

		if (r < 0)
			return r;
	}
	return 0;
}

int loop_add_signal(struct loop *l, int signo, loop_fn fn, void *user)
{
	struct signal_source *s;
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, signo);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct signal_source){ .fn = fn, .user = user };
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd < 0) {
		r = -errno;
		free(s);
		return r;
	}
	r = loop_add_fd(l, s->fd, EPOLLIN, signal_fired, s);
	if (r < 0) {
		fd_cleanup(&s->fd);
		free(s);
		return r;
	}
	s->next = l->signals;
	l->signals = s;
	return 0;
}

int loop_once(struct loop *l, int timeout_ms)
{
	struct epoll_event events[32];
	int n = epoll_wait(l->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	l->wakeups++;
	for (int i = 0; i < n; i++) {
		struct source *s = events[i].data.ptr;
		int r;

		if (s->dead)
			continue;
		r = s->fn(s->user, events[i].events);
		if (r < 0)
			return r;
	}
	loop_sweep(l);
	return 0;
}

int loop_run(struct loop *l)
{
	l->stop = false;
	while (!l->stop) {
		int r = loop_once(l, -1);

		if (r < 0)
			return r;
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

uint64_t loop_wakeups(const struct loop *l)
{
	return l->wakeups;
}

int wake_fd_new(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void wake_fd_kick(int fd)
{
	uint64_t one = 1;

	/* fails only when the counter is full, and then it is readable already */
	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return;
}

uint64_t wake_fd_clear(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
