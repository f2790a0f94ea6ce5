// SPDX-License-Identifier: Apache-2.0
/* The REP side of nng's protocol on sockets of our own: nng 1.5.2 leaks connections when peers reset them while answers
 * are under way, below its protocols too (docs/adr/0008-nng-close.md). This file: the object, its I/O thread, and taking
 * connections in. */
#include "net/server.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/loop.h"

#define EVENTS 128
#define ACCEPTS_PER_TURN 32
#define ACCEPT_REST_US 100000u /* when there is no descriptor or no memory for one more */

static void watch_listeners(struct net_server *s, bool on)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->n_listeners; i++) {
		struct listener *l = s->listeners[i];
		struct epoll_event ev = { .events = on ? EPOLLIN : 0u, .data.ptr = l };

		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, l->fd, &ev) < 0)
			continue; /* only out of memory: then it stays as it is, which is tried again */
	}
	pthread_mutex_unlock(&s->lock);
	s->accept_again_us = on ? 0 : s->now_us + ACCEPT_REST_US;
}

static void accept_some(struct net_server *s, struct listener *l)
{
	for (unsigned int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			conn_start(s, l, fd);
			continue;
		}
		if ((errno == EMFILE || errno == ENFILE) && conn_make_place(s))
			continue;
		/* The connection stays in the kernel's queue: without a rest this would spin. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			watch_listeners(s, false);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

/* false: the end. */
static bool follow_wishes(struct net_server *s)
{
	struct hub_wishes w = hub_collect(s->hub);
	struct net_request *r;

	while ((r = request_pop(&w.returned)))
		conn_returned(r);
	if (w.resume)
		conn_resume_all(s);
	return !w.stop;
}

/* Those that have something to do, once each; they may come back to the list. */
static void give_turns(struct net_server *s)
{
	struct conn *last = TAILQ_LAST(&s->run, conn_list), *c;

	while (last && (c = TAILQ_FIRST(&s->run))) {
		bool end = c == last;

		conn_turn(c);
		if (end)
			break;
	}
}

static int wait_ms(const struct net_server *s)
{
	uint64_t until = UINT64_MAX, now = clock_mono_us();

	if (!TAILQ_EMPTY(&s->run))
		return 0;
	if (!TAILQ_EMPTY(&s->timed))
		until = s->sweep_us;
	if (s->accept_again_us)
		until = MIN(until, s->accept_again_us);
	if (until == UINT64_MAX)
		return -1; /* idle: nothing wakes us but a peer or the program */
	return until <= now ? 0 : (int)((until - now) / 1000 + 1);
}

static bool handle(struct net_server *s, const struct epoll_event *ev)
{
	struct source *source = ev->data.ptr;

	switch (source->kind) {
	case SOURCE_WAKE:
		return follow_wishes(s);
	case SOURCE_LISTENER:
		accept_some(s, (struct listener *)source);
		return true;
	case SOURCE_CONN:
		conn_event((struct conn *)source, ev->events);
		return true;
	}
	return true;
}

static void *serve(void *arg)
{
	struct net_server *s = arg;
	bool more = true;

	while (more) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(s->epoll_fd, events, EVENTS, wait_ms(s));

		s->now_us = clock_mono_us();
		for (int i = 0; i < n; i++)
			if (!handle(s, &events[i]))
				more = false;
		give_turns(s);
		if (!TAILQ_EMPTY(&s->timed) && s->now_us >= s->sweep_us)
			conn_sweep(s);
		if (s->accept_again_us && s->now_us >= s->accept_again_us)
			watch_listeners(s, true);
		conn_reap(s);
	}
	conn_free_all(s);
	return NULL;
}

/* Signals are for the program's threads; and a write to a closed socket must not end it. */
int net_server_start(struct net_server *s)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&s->thread, NULL, serve, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	s->started = r == 0;
	return -r;
}

/* Listeners come later than net_server_new(): keep own copies of the file names. */
static int copy_tls(struct net_server *s, const struct net_tls *tls)
{
	const char *from[] = { tls->ca, tls->cert, tls->key, tls->server_name };

	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		s->tls_text[i] = from[i] ? strdup(from[i]) : NULL;
		if (from[i] && !s->tls_text[i])
			return -ENOMEM;
	}
	s->tls = (struct net_tls){ .ca = s->tls_text[0],
				   .cert = s->tls_text[1],
				   .key = s->tls_text[2],
				   .server_name = s->tls_text[3],
				   .keeper = tls->keeper,
				   .require_peer_cert = tls->require_peer_cert };
	return 0;
}

static int server_open(struct net_server *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &s->wake };
	int r = hub_new(&s->hub);

	if (r < 0)
		return r;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->hub->io_fd, &ev) < 0)
		return -errno;
	return 0;
}

int net_server_prepare(struct net_server **out, const struct net_tls *tls)
{
	cleanup_(net_server_free) struct net_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->epoll_fd = -1;
	s->wake.kind = SOURCE_WAKE;
	s->max_connections = LIMIT_SERVER_CONNECTIONS;
	s->patience_us = (uint64_t)LIMIT_SERVER_PATIENCE_MS * 1000;
	pthread_mutex_init(&s->lock, NULL);
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->run);
	TAILQ_INIT(&s->stalled);
	TAILQ_INIT(&s->gone);
	TAILQ_INIT(&s->timed);
	TAILQ_INIT(&s->idle);
	r = tls ? copy_tls(s, tls) : 0;
	if (r == 0)
		r = server_open(s);
	if (r < 0)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

int net_server_new(struct net_server **out, const struct net_tls *tls)
{
	cleanup_(net_server_free) struct net_server *s = NULL;
	int r = net_server_prepare(&s, tls);

	if (r == 0)
		r = net_server_start(s);
	if (r < 0)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

int net_server_listen(struct net_server *s, const char *url, const char **why)
{
	cleanup_(listener_free) struct listener *l = NULL;
	struct epoll_event ev = { .events = EPOLLIN };
	int r;

	if (s->n_listeners == LIMIT_LISTENERS) {
		*why = "too many listeners";
		return -E2BIG;
	}
	r = listener_new(&l, url, &s->tls, why);
	if (r < 0)
		return r;
	ev.data.ptr = l;
	pthread_mutex_lock(&s->lock);
	r = epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) < 0 ? -errno : 0;
	if (r == 0)
		s->listeners[s->n_listeners++] = TAKE_PTR(l);
	pthread_mutex_unlock(&s->lock);
	if (r < 0)
		*why = strerrordesc_np(-r);
	return r;
}

const char *net_server_url(const struct net_server *s, unsigned int i)
{
	return i < s->n_listeners ? s->listeners[i]->url : NULL;
}

void net_server_free(struct net_server **server)
{
	struct net_server *s = *server;

	if (!s)
		return;
	*server = NULL;
	if (s->started) {
		hub_stop(s->hub); /* answers that were given before are sent as far as the sockets take them */
		pthread_join(s->thread, NULL);
	}
	for (unsigned int i = 0; i < s->n_listeners; i++)
		listener_free(&s->listeners[i]);
	hub_close(&s->hub);
	fd_cleanup(&s->epoll_fd);
	pthread_mutex_destroy(&s->lock);
	for (size_t i = 0; i < ARRAY_SIZE(s->tls_text); i++)
		free(s->tls_text[i]);
	free(s);
}

int net_server_fd(const struct net_server *s)
{
	return s->hub->ready_fd;
}

unsigned int net_server_connections(const struct net_server *s)
{
	return atomic_load(&s->established);
}
