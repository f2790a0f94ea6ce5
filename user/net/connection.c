// SPDX-License-Identifier: Apache-2.0
#include "net/connection.h"

#include <assert.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>

#include "base/clock.h"

#define RECONNECT_MIN_MS 100u
#define RECONNECT_MAX_MS 2000u
#define PATIENCE_US 10000000u /* until a connection is made, TLS agreed upon, and the peer has said hello */
#define LOOKUP_PATIENCE_US 60000000u /* its answer is lost when we give up: longer than a resolver with dead servers takes */
#define READ_SIZE 16384u
#define READS_PER_TURN 16u

enum event_kind { EVENT_SOCKET, EVENT_TIMER, EVENT_LOOKUP };

uint32_t connection_random(void)
{
	uint32_t n;

	return getrandom(&n, sizeof(n), 0) == sizeof(n) ? n : (uint32_t)clock_mono_us();
}

/* --- the end of a connection ---- */

static void rest(struct connection *c)
{
	unsigned int ms = c->backoff_ms / 2 + connection_random() % (c->backoff_ms / 2 + 1); /* not all of a fleet at once */

	c->backoff_ms = MIN(2 * c->backoff_ms, RECONNECT_MAX_MS);
	c->stage = CONNECTION_RESTING;
	c->retry_us = clock_mono_us() + 1000u * ms;
}

static void drop_stream(struct connection *c)
{
	stream_close(&c->stream); /* and epoll forgets it */
	sp_decoder_free(&c->in);
	writer_free(&c->loose);
	c->sent_of = 0;
	c->events = 0;
	if (c->side->ended)
		c->side->ended(c->owner);
}

/* Its descriptor is shared with the thread that looks up, so it does not leave the set by itself. */
static void stop_lookup(struct connection *c)
{
	if (c->stage == CONNECTION_LOOKING_UP)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, dialer_lookup_fd(&c->dialer), NULL);
}

void connection_hang_up(struct connection *c)
{
	if (c->stage == CONNECTION_OPEN && clock_mono_us() - c->open_us >= RECONNECT_MAX_MS * 1000u)
		connection_good(c);
	stop_lookup(c);
	drop_stream(c);
	rest(c);
}

/* --- bytes ---- */

int connection_send(struct connection *c, struct bytes frame)
{
	int r = stream_send_rest(&c->stream, frame, &c->sent_of);

	if (r == 1)
		c->sent_of = 0;
	return r;
}

void connection_adopt(struct connection *c, struct writer frame)
{
	assert(c->loose.n == 0);
	c->loose = frame;
}

/* Sends what there is; who is there will answer our hello, too: no need to wait for it. */
static int push(struct connection *c)
{
	int r;

	if (c->stage != CONNECTION_GREETING && c->stage != CONNECTION_OPEN)
		return 0;
	if (c->loose.n > 0) {
		r = connection_send(c, writer_view(&c->loose));
		if (r != 1)
			return r;
		writer_free(&c->loose);
	}
	return c->side->push ? c->side->push(c->owner) : 0;
}

static int feed(struct connection *c, struct bytes b)
{
	struct reader in = reader_of(b);

	while (reader_left(&in) > 0) {
		int r = sp_decode(&c->in, &in);

		if (r == SP_BAD)
			return -EPROTO;
		if (r == SP_MESSAGE)
			r = c->side->message(c->owner);
		if (r < 0)
			return r;
		if (c->stage == CONNECTION_GREETING && c->in.greeted) {
			c->stage = CONNECTION_OPEN;
			c->open_us = clock_mono_us();
		}
	}
	return 0;
}

/* 0, or negative errno: the connection is of no use. */
static int pull(struct connection *c)
{
	uint8_t scratch[READ_SIZE];

	for (unsigned int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = stream_recv(&c->stream, scratch, sizeof(scratch));
		int r;

		if (n == -EAGAIN)
			return 0;
		if (n <= 0)
			return n < 0 ? (int)n : -ECONNRESET;
		r = feed(c, (struct bytes){ scratch, (size_t)n });
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- the beginning of a connection ---- */

static int greet(struct connection *c)
{
	uint8_t hello[SP_HELLO_SIZE];

	c->stage = CONNECTION_GREETING;
	sp_hello(hello, c->side->own);
	c->loose = WRITER(SP_HELLO_SIZE);
	write_bytes(&c->loose, hello, sizeof(hello));
	return writer_status(&c->loose);
}

static int shake_hands(struct connection *c)
{
	int r;

	c->stream.want_write = false;
	r = stream_tls_handshake(c->stream.ssl, &c->stream.want_write);
	return r == 1 ? greet(c) : r;
}

static int connected(struct connection *c)
{
	int r;

	sp_decoder_init(&c->in, c->side->peer, c->dialer.ipc);
	if (!c->dialer.tls)
		return greet(c);
	r = stream_tls_connect(&c->stream.ssl, c->tls.ctx, c->stream.fd, c->tls.files.server_name);
	if (r < 0)
		return r;
	c->stage = CONNECTION_SHAKING_HANDS;
	return shake_hands(c);
}

/* Watches what is needed. */
static int watch(struct connection *c)
{
	bool out = c->stream.want_write || c->stage == CONNECTION_CONNECTING;
	uint32_t events = EPOLLIN | EPOLLRDHUP | (out ? EPOLLOUT : 0u);
	struct epoll_event ev = { .events = events, .data.u32 = EVENT_SOCKET };

	if (c->stream.fd < 0 || events == c->events)
		return 0;
	if (epoll_ctl(c->epoll_fd, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->stream.fd, &ev) < 0)
		return -errno;
	c->events = events;
	return 0;
}

/* Goes on with what the dialer says: the next of its addresses when one is of no use. */
static void follow(struct connection *c, int dialled)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = EVENT_LOOKUP };
	int r = dialled;

	while (r >= 0 && r != DIAL_LOOKUP) {
		bool done = r == DIAL_CONNECTED;

		c->events = 0;
		c->stage = CONNECTION_CONNECTING;
		r = done ? connected(c) : 0;
		if (r == 0)
			r = push(c);
		if (r == 0)
			r = watch(c);
		if (r == 0)
			return;
		drop_stream(c);
		r = dialer_next(&c->dialer, &c->stream.fd);
	}
	if (r >= 0 && epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, dialer_lookup_fd(&c->dialer), &ev) == 0) {
		c->stage = CONNECTION_LOOKING_UP;
		c->patience_us = clock_mono_us() + LOOKUP_PATIENCE_US;
	} else {
		rest(c);
	}
}

static void dial(struct connection *c)
{
	c->patience_us = clock_mono_us() + PATIENCE_US;
	follow(c, dialer_start(&c->dialer, &c->stream.fd));
}

/* This connection came to nothing: perhaps another address of the same name. */
static void dial_next(struct connection *c)
{
	if (c->stage == CONNECTION_LOOKING_UP) {
		connection_hang_up(c);
		return;
	}
	drop_stream(c);
	c->patience_us = clock_mono_us() + PATIENCE_US;
	follow(c, dialer_next(&c->dialer, &c->stream.fd));
}

/* --- events ---- */

static int socket_event(struct connection *c)
{
	int r = 0;

	c->stream.want_write = false;
	if (c->stage == CONNECTION_CONNECTING) {
		r = dialer_outcome(c->stream.fd);
		if (r == 0)
			r = connected(c);
	} else if (c->stage == CONNECTION_SHAKING_HANDS) {
		r = shake_hands(c);
	}
	if (r == 0 && c->stage >= CONNECTION_GREETING)
		r = pull(c);
	if (r == 0)
		r = push(c);
	return r < 0 ? r : watch(c);
}

static void on_socket(struct connection *c)
{
	if (c->stream.fd < 0 || socket_event(c) == 0)
		return;
	if (c->stage == CONNECTION_OPEN)
		connection_hang_up(c);
	else
		dial_next(c);
}

static void on_lookup(struct connection *c)
{
	stop_lookup(c);
	c->patience_us = clock_mono_us() + PATIENCE_US;
	follow(c, dialer_looked_up(&c->dialer, &c->stream.fd));
}

/* When there is something to do although nothing comes; 0: never. */
static uint64_t next_time(const struct connection *c)
{
	uint64_t at = c->stage == CONNECTION_RESTING ? c->retry_us : c->stage == CONNECTION_OPEN ? 0 : c->patience_us;
	uint64_t due = c->side->due ? c->side->due(c->owner) : 0;

	return due && (!at || due < at) ? due : at;
}

void connection_arm(struct connection *c)
{
	uint64_t at = next_time(c);
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(at / 1000000), .tv_nsec = (long)(at % 1000000) * 1000 } };

	if (at == c->armed_us)
		return;
	if (timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
		c->armed_us = at;
}

static void on_timer(struct connection *c)
{
	uint64_t n;

	if (read(c->timer_fd, &n, sizeof(n)) == sizeof(n))
		c->armed_us = 0;
}

void connection_turn(struct connection *c)
{
	struct epoll_event ev[3];
	int n = epoll_wait(c->epoll_fd, ev, ARRAY_SIZE(ev), 0);
	uint64_t now;

	for (int i = 0; i < n; i++) {
		if (ev[i].data.u32 == EVENT_SOCKET)
			on_socket(c);
		else if (ev[i].data.u32 == EVENT_LOOKUP)
			on_lookup(c);
		else
			on_timer(c);
	}
	now = clock_mono_us();
	if (c->stage == CONNECTION_RESTING && now >= c->retry_us) {
		client_tls_renew(&c->tls);
		dial(c);
	} else if (c->stage != CONNECTION_RESTING && c->stage != CONNECTION_OPEN && now >= c->patience_us) {
		dial_next(c);
	}
}

void connection_push(struct connection *c)
{
	if (push(c) < 0 || watch(c) < 0)
		connection_hang_up(c);
}

void connection_good(struct connection *c)
{
	c->backoff_ms = RECONNECT_MIN_MS;
}

/* --- the object ---- */

int connection_init(struct connection *c, const struct connection_side *side, void *owner, const char *url, const struct net_tls *tls)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = EVENT_TIMER };
	int r;

	*c = (struct connection){ .side = side, .owner = owner, .epoll_fd = -1, .timer_fd = -1, .stream = { .fd = -1 },
				  .backoff_ms = RECONNECT_MIN_MS };
	r = dialer_init(&c->dialer, url);
	if (r < 0)
		return r;
	if (c->dialer.tls) {
		r = client_tls_init(&c->tls, tls, c->dialer.host);
		if (r < 0)
			return r;
	}
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->timer_fd < 0 || epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer_fd, &ev) < 0)
		return -errno;
	return 0;
}

void connection_fini(struct connection *c)
{
	drop_stream(c);
	dialer_free(&c->dialer);
	client_tls_free(&c->tls);
	fd_cleanup(&c->timer_fd);
	fd_cleanup(&c->epoll_fd);
}

void connection_start(struct connection *c)
{
	dial(c);
	connection_arm(c);
}

int connection_fd(const struct connection *c)
{
	return c->epoll_fd;
}

bool connection_is_open(const struct connection *c)
{
	return c->stage == CONNECTION_OPEN;
}
