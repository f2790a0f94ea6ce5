/* SPDX-License-Identifier: Apache-2.0 */
/* A small epoll loop: file descriptors, one-shot timers (timerfd), signals (signalfd). One thread owns a loop. */
#pragma once

#include "base/common.h"

struct loop;
/* A callback returns 0 to go on, or a negative errno that ends loop_run() with that value. */
typedef int (*loop_fn)(void *user, uint32_t events);

struct loop_timer;

must_use_ int loop_new(struct loop **out);
void loop_free(struct loop **loop);
/* Watches fd (not owned) for EPOLLIN or what `events` says. */
must_use_ int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fn fn, void *user);
int loop_del_fd(struct loop *l, int fd);
/* A disarmed timer; owned by the loop, freed with it. */
must_use_ int loop_add_timer(struct loop *l, struct loop_timer **out, loop_fn fn, void *user);
/* The same by CLOCK_BOOTTIME: what comes due while the machine is suspended fires when it is back. */
must_use_ int loop_add_boot_timer(struct loop *l, struct loop_timer **out, loop_fn fn, void *user);
/* Fires once at the time of its clock (CLOCK_MONOTONIC but for the last) in microseconds; 0 disarms. Arming again replaces. */
void loop_timer_at(struct loop_timer *t, uint64_t at_us);
uint64_t loop_timer_when(const struct loop_timer *t);
/* Blocks the signal and delivers it here. Call before starting threads. */
must_use_ int loop_add_signal(struct loop *l, int signo, loop_fn fn, void *user);
/* Runs until loop_stop() (returns 0) or a callback fails. */
must_use_ int loop_run(struct loop *l);
/* One round, waiting at most timeout_ms (-1: for ever). */
must_use_ int loop_once(struct loop *l, int timeout_ms);
void loop_stop(struct loop *l);
/* Times epoll_wait returned: an idle program's count stands still. */
uint64_t loop_wakeups(const struct loop *l);

/* An eventfd that another thread may kick. */
must_use_ int wake_fd_new(void);
void wake_fd_kick(int fd);
/* Clears it; returns the number of kicks. */
uint64_t wake_fd_clear(int fd);
