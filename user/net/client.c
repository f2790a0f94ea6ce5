// SPDX-License-Identifier: Apache-2.0
/* The REQ side, on a non-blocking socket of its own (docs/adr/0008-nng-close.md): no thread; all happens within the calls of the
 * owner. Behind net_client_fd() stands an epoll set with the socket, a timer, and the look-up of a name while one runs.
 *
 * A request is kept as it goes over the stream until it is answered: a new connection gets all of them again. */
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>

#include "base/clock.h"
#include "net/client_tls.h"
#include "net/dialer.h"
#include "net/frame.h"
#include "net/internal.h"
#include "net/stream.h"

#define RECONNECT_MIN_MS 100u
#define RECONNECT_MAX_MS 2000u
#define PATIENCE_US 10000000u /* until a connection is made, TLS agreed upon, and the peer has said hello */
#define LOOKUP_PATIENCE_US 60000000u /* its answer is lost when we give up: longer than a resolver with dead servers takes */
#define READ_SIZE 16384u
#define READS_PER_TURN 16u
#define FRAME_MAX (SP_HEAD_SIZE + SP_ID_SIZE + LIMIT_MESSAGE)

enum stage { /* in this order; there is a stream from CONNECTING on */
	RESTING, /* until retry_us */
	LOOKING_UP,
	CONNECTING,
	SHAKING_HANDS, /* TLS */
	GREETING,
	OPEN,
};

enum slot_state {
	SLOT_FREE,
	SLOT_QUEUED, /* not sent on this connection, or not all of it */
	SLOT_SENT,
	SLOT_DONE, /* the completion waits for net_client_next() */
};

struct slot {
	enum slot_state state;
	uint32_t id;	      /* with its top bit */
	uint64_t order;	      /* requests are sent in the order in which they came */
	uint64_t deadline_us; /* 0: none */
	size_t size;	      /* of the message */
	struct writer frame;  /* the request as it goes over the stream */
	int status;
	struct writer reply; /* with its id */
};

enum event_kind { EVENT_SOCKET, EVENT_TIMER, EVENT_LOOKUP };

struct net_client {
	int epoll_fd, timer_fd;
	struct stream stream;
	uint64_t armed_us; /* what the timer is set to; 0: it is not */
	uint32_t events;   /* that epoll watches of the stream; 0: it does not yet */
	enum stage stage;
	uint64_t retry_us;    /* RESTING */
	uint64_t patience_us; /* the others but OPEN: then we give up */
	unsigned int backoff_ms;
	struct dialer dialer;
	struct client_tls tls; /* when dialer.tls */
	struct sp_decoder in;
	struct slot slots[NET_SLOTS];
	/* What is being sent: first `loose`, which belongs to no slot (our hello; the rest of a request that was given up), then the
	 * slot `sending` (NET_SLOTS: none). `sent_of` bytes of it are gone. */
	struct writer loose;
	unsigned int sending;
	size_t sent_of;
	uint32_t next_id;
	uint64_t next_order;
	struct writer given; /* behind the view that the last completion gave out */
	uint64_t sent, received;
};

static uint32_t random_u32(void)
{
	uint32_t n;

	return getrandom(&n, sizeof(n), 0) == sizeof(n) ? n : (uint32_t)clock_mono_us();
}

/* --- slots ---- */

static void slot_reset(struct slot *s)
{
	writer_free(&s->frame);
	writer_free(&s->reply);
	*s = (struct slot){ .state = SLOT_FREE };
}

/* Nobody waits for it any more. What has begun to be sent must be sent whole; TLS may have begun although no byte is gone. */
static void give_up(struct net_client *c, unsigned int slot)
{
	struct slot *s = &c->slots[slot];

	if (c->sending == slot) {
		c->loose = writer_take(&s->frame);
		c->sending = NET_SLOTS;
	}
	slot_reset(s);
}

static void expire(struct net_client *c, uint64_t now)
{
	for (unsigned int i = 0; i < NET_SLOTS; i++) {
		struct slot *s = &c->slots[i];
		uint64_t order = s->order;

		if ((s->state != SLOT_QUEUED && s->state != SLOT_SENT) || !s->deadline_us || now < s->deadline_us)
			continue;
		give_up(c, i);
		*s = (struct slot){ .state = SLOT_DONE, .order = order, .status = -ETIMEDOUT };
	}
}

/* The longest in this state, or NET_SLOTS. */
static unsigned int oldest(const struct net_client *c, enum slot_state state)
{
	unsigned int found = NET_SLOTS;

	for (unsigned int i = 0; i < NET_SLOTS; i++)
		if (c->slots[i].state == state && (found == NET_SLOTS || c->slots[i].order < c->slots[found].order))
			found = i;
	return found;
}

/* --- the end of a connection ---- */

static void rest(struct net_client *c)
{
	unsigned int ms = c->backoff_ms / 2 + random_u32() % (c->backoff_ms / 2 + 1); /* not all of a fleet at once */

	c->backoff_ms = MIN(2 * c->backoff_ms, RECONNECT_MAX_MS);
	c->stage = RESTING;
	c->retry_us = clock_mono_us() + 1000u * ms;
}

static void drop_stream(struct net_client *c)
{
	stream_close(&c->stream); /* and epoll forgets it */
	sp_decoder_free(&c->in);
	writer_free(&c->loose);
	c->sending = NET_SLOTS;
	c->sent_of = 0;
	c->events = 0;
	for (unsigned int i = 0; i < NET_SLOTS; i++)
		if (c->slots[i].state == SLOT_SENT)
			c->slots[i].state = SLOT_QUEUED;
}

/* Its descriptor is shared with the thread that looks up, so it does not leave the set by itself. */
static void stop_lookup(struct net_client *c)
{
	if (c->stage == LOOKING_UP)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, dialer_lookup_fd(&c->dialer), NULL);
}

static void hang_up(struct net_client *c)
{
	stop_lookup(c);
	drop_stream(c);
	rest(c);
}

/* --- bytes ---- */

/* 1: all of it is sent; 0: later; negative errno. */
static int send_rest(struct net_client *c, struct bytes frame)
{
	int r = stream_send_rest(&c->stream, frame, &c->sent_of);

	if (r == 1)
		c->sent_of = 0;
	return r;
}

/* Sends what there is. */
static int push(struct net_client *c)
{
	int r = 1;

	if (c->stage != GREETING && c->stage != OPEN)
		return 0;
	if (c->loose.n > 0) {
		r = send_rest(c, writer_view(&c->loose));
		if (r == 1)
			writer_free(&c->loose);
	}
	while (r == 1) { /* who is there will answer our hello, too: no need to wait for it */
		struct slot *s;

		if (c->sending == NET_SLOTS)
			c->sending = oldest(c, SLOT_QUEUED);
		if (c->sending == NET_SLOTS)
			return 0;
		s = &c->slots[c->sending];
		r = send_rest(c, writer_view(&s->frame));
		if (r == 1) {
			s->state = SLOT_SENT;
			c->sent += s->size;
			c->sending = NET_SLOTS;
		}
	}
	return MIN(r, 0);
}

/* An answer. To what nobody waits for any more there may be one, too. */
static int take_reply(struct net_client *c)
{
	cleanup_writer_ struct writer body = sp_take(&c->in);
	struct reader in = reader_of(writer_view(&body));
	uint32_t id = read_u32be(&in);

	if (!reader_ok(&in) || !(id & SP_ID_LAST) || reader_left(&in) > LIMIT_MESSAGE)
		return -EPROTO;
	c->backoff_ms = RECONNECT_MIN_MS;
	for (unsigned int i = 0; i < NET_SLOTS; i++) {
		struct slot *s = &c->slots[i];

		if (s->state != SLOT_SENT || s->id != id)
			continue;
		c->received += reader_left(&in);
		writer_free(&s->frame);
		s->reply = writer_take(&body);
		s->state = SLOT_DONE;
		s->status = 0;
		break;
	}
	return 0;
}

static int feed(struct net_client *c, struct bytes b)
{
	struct reader in = reader_of(b);

	while (reader_left(&in) > 0) {
		int r = sp_decode(&c->in, &in);

		if (r == SP_BAD)
			return -EPROTO;
		if (r == SP_MESSAGE)
			r = take_reply(c);
		if (r < 0)
			return r;
		if (c->stage == GREETING && c->in.greeted)
			c->stage = OPEN;
	}
	return 0;
}

/* 0, or negative errno: the connection is of no use. */
static int pull(struct net_client *c)
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

static int greet(struct net_client *c)
{
	uint8_t hello[SP_HELLO_SIZE];

	c->stage = GREETING;
	sp_hello(hello, SP_REQ);
	c->loose = WRITER(SP_HELLO_SIZE);
	write_bytes(&c->loose, hello, sizeof(hello));
	return writer_status(&c->loose);
}

static int shake_hands(struct net_client *c)
{
	int r;

	c->stream.want_write = false;
	r = stream_tls_handshake(c->stream.ssl, &c->stream.want_write);
	return r == 1 ? greet(c) : r;
}

static int connected(struct net_client *c)
{
	int r;

	sp_decoder_init(&c->in, SP_REP, c->dialer.ipc);
	if (!c->dialer.tls)
		return greet(c);
	r = stream_tls_connect(&c->stream.ssl, c->tls.ctx, c->stream.fd, c->tls.files.server_name);
	if (r < 0)
		return r;
	c->stage = SHAKING_HANDS;
	return shake_hands(c);
}

/* Watches what is needed. */
static int watch(struct net_client *c)
{
	bool out = c->stream.want_write || c->stage == CONNECTING;
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
static void follow(struct net_client *c, int dialled)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = EVENT_LOOKUP };
	int r = dialled;

	while (r >= 0 && r != DIAL_LOOKUP) {
		bool done = r == DIAL_CONNECTED;

		c->events = 0;
		c->stage = CONNECTING;
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
		c->stage = LOOKING_UP;
		c->patience_us = clock_mono_us() + LOOKUP_PATIENCE_US;
	} else {
		rest(c);
	}
}

static void dial(struct net_client *c)
{
	c->patience_us = clock_mono_us() + PATIENCE_US;
	follow(c, dialer_start(&c->dialer, &c->stream.fd));
}

/* This connection came to nothing: perhaps another address of the same name. */
static void dial_next(struct net_client *c)
{
	if (c->stage == LOOKING_UP) {
		hang_up(c);
		return;
	}
	drop_stream(c);
	c->patience_us = clock_mono_us() + PATIENCE_US;
	follow(c, dialer_next(&c->dialer, &c->stream.fd));
}

/* --- events ---- */

static int socket_event(struct net_client *c)
{
	int r = 0;

	c->stream.want_write = false;
	if (c->stage == CONNECTING) {
		r = dialer_outcome(c->stream.fd);
		if (r == 0)
			r = connected(c);
	} else if (c->stage == SHAKING_HANDS) {
		r = shake_hands(c);
	}
	if (r == 0 && c->stage >= GREETING)
		r = pull(c);
	if (r == 0)
		r = push(c);
	return r < 0 ? r : watch(c);
}

static void on_socket(struct net_client *c)
{
	if (c->stream.fd < 0 || socket_event(c) == 0)
		return;
	if (c->stage == OPEN)
		hang_up(c);
	else
		dial_next(c);
}

static void on_lookup(struct net_client *c)
{
	stop_lookup(c);
	c->patience_us = clock_mono_us() + PATIENCE_US;
	follow(c, dialer_looked_up(&c->dialer, &c->stream.fd));
}

/* When there is something to do although nothing comes; 0: never. */
static uint64_t next_time(const struct net_client *c)
{
	uint64_t at = c->stage == RESTING ? c->retry_us : c->stage == OPEN ? 0 : c->patience_us;

	for (unsigned int i = 0; i < NET_SLOTS; i++) {
		const struct slot *s = &c->slots[i];

		if (s->state == SLOT_DONE)
			return 1; /* the descriptor stays readable */
		if (s->state != SLOT_FREE && s->deadline_us && (!at || s->deadline_us < at))
			at = s->deadline_us;
	}
	return at;
}

static void arm(struct net_client *c)
{
	uint64_t at = next_time(c);
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(at / 1000000), .tv_nsec = (long)(at % 1000000) * 1000 } };

	if (at == c->armed_us)
		return;
	if (timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
		c->armed_us = at;
}

static void on_timer(struct net_client *c)
{
	uint64_t n;

	if (read(c->timer_fd, &n, sizeof(n)) == sizeof(n))
		c->armed_us = 0;
}

static void turn(struct net_client *c)
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
	expire(c, now);
	if (c->stage == RESTING && now >= c->retry_us) {
		client_tls_renew(&c->tls);
		dial(c);
	} else if (c->stage != RESTING && c->stage != OPEN && now >= c->patience_us) {
		dial_next(c);
	}
}

/* --- the object ---- */

static int client_init(struct net_client *c, const char *url, const struct net_tls *tls)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = EVENT_TIMER };
	int r = dialer_init(&c->dialer, url);

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

int net_client_new(struct net_client **out, const char *url, const struct net_tls *tls)
{
	cleanup_(net_client_free) struct net_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct net_client){ .epoll_fd = -1, .timer_fd = -1, .stream = { .fd = -1 }, .backoff_ms = RECONNECT_MIN_MS, .sending = NET_SLOTS,
				  .next_id = random_u32() };
	r = client_init(c, url, tls);
	if (r < 0)
		return r;
	dial(c);
	arm(c);
	*out = TAKE_PTR(c);
	return 0;
}

void net_client_free(struct net_client **client)
{
	struct net_client *c = TAKE_PTR(*client);

	if (!c)
		return;
	drop_stream(c);
	dialer_free(&c->dialer);
	for (unsigned int i = 0; i < NET_SLOTS; i++)
		slot_reset(&c->slots[i]);
	writer_free(&c->given);
	client_tls_free(&c->tls);
	fd_cleanup(&c->timer_fd);
	fd_cleanup(&c->epoll_fd);
	free(c);
}

int net_client_fd(const struct net_client *c)
{
	return c->epoll_fd;
}

int net_client_request(struct net_client *c, unsigned int slot, struct bytes message, uint32_t timeout_ms)
{
	cleanup_writer_ struct writer frame = WRITER(FRAME_MAX);
	struct slot *s = &c->slots[slot];
	uint32_t id = htobe32(c->next_id | SP_ID_LAST);

	if (message.n > LIMIT_MESSAGE)
		return -EMSGSIZE;
	if (s->state != SLOT_FREE)
		return -EBUSY;
	sp_encode(&frame, c->dialer.ipc, (struct bytes){ (const uint8_t *)&id, sizeof(id) }, message);
	if (writer_status(&frame) < 0)
		return writer_status(&frame);
	*s = (struct slot){ .state = SLOT_QUEUED, .id = be32toh(id), .order = c->next_order++, .size = message.n,
			    .deadline_us = timeout_ms ? clock_mono_us() + (uint64_t)timeout_ms * 1000 : 0,
			    .frame = writer_take(&frame) };
	c->next_id++;
	if (push(c) < 0 || watch(c) < 0)
		hang_up(c);
	arm(c);
	return 0;
}

bool net_client_busy(const struct net_client *c, unsigned int slot)
{
	return c->slots[slot].state != SLOT_FREE;
}

void net_client_cancel(struct net_client *c, unsigned int slot)
{
	give_up(c, slot);
	arm(c);
}

bool net_client_next(struct net_client *c, struct net_completion *out)
{
	unsigned int i;

	writer_free(&c->given);
	turn(c);
	i = oldest(c, SLOT_DONE);
	if (i < NET_SLOTS) {
		struct slot *s = &c->slots[i];
		struct reader in;

		c->given = writer_take(&s->reply);
		in = reader_of(writer_view(&c->given));
		read_u32be(&in);
		*out = (struct net_completion){ .slot = i, .status = s->status, .message = read_rest(&in) };
		slot_reset(s);
	}
	arm(c);
	return i < NET_SLOTS;
}

bool net_client_connected(const struct net_client *c)
{
	return c->stage == OPEN;
}

void net_client_redial(struct net_client *c)
{
	if (c->stream.fd >= 0)
		hang_up(c);
	arm(c);
}

void net_client_bytes(const struct net_client *c, uint64_t *sent, uint64_t *received)
{
	*sent = c->sent;
	*received = c->received;
}
