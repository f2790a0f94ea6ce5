// SPDX-License-Identifier: Apache-2.0
/* One connection of the server: handshake, hello, requests in, answers out. All of it runs in the I/O thread; epoll is
 * level-triggered, and a connection that may not receive is not watched for input.
 *
 * What a peer can make us hold: a message as far as it has come; LIMIT_SERVER_OUTSTANDING requests; what one small read
 * brought behind the last of them. Whoever keeps us waiting in the middle of something is closed. */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "net/internal.h"
#include "net/server.h"
#include "net/stream_tls.h"

#define SMALL_READ 4096u       /* at most this much is taken behind the end of a message */
#define READS_PER_TURN 16u     /* then the others have their turn */
#define SLOW_BYTES_PER_S 16384u /* a second more than LIMIT_SERVER_PATIENCE_MS for each so many bytes */
#define SWEEP_US 1000000u

static void put(struct conn *c, enum conn_place place)
{
	struct net_server *s = c->server;
	struct conn_list *lists[] = { NULL, &s->run, &s->stalled, &s->gone };

	if (c->place == place)
		return;
	if (c->place != PLACE_NONE)
		TAILQ_REMOVE(lists[c->place], c, place_link);
	c->place = place;
	if (place != PLACE_NONE)
		TAILQ_INSERT_TAIL(lists[place], c, place_link);
}

static bool may_receive(const struct conn *c)
{
	return !c->choked && c->place != PLACE_STALLED;
}

static void set_timed(struct conn *c, bool timed)
{
	struct net_server *s = c->server;

	if (c->timed == timed)
		return;
	c->timed = timed;
	if (!timed) {
		TAILQ_REMOVE(&s->timed, c, timed_link);
		return;
	}
	if (TAILQ_EMPTY(&s->timed))
		s->sweep_us = s->now_us + SWEEP_US;
	TAILQ_INSERT_TAIL(&s->timed, c, timed_link);
}

/* After whatever changes `outstanding` or `stage`. A collector that streams always has a request open: its WAIT. */
static void note_idle(struct conn *c)
{
	struct net_server *s = c->server;
	bool idle = c->stage != CONN_DEAD && c->outstanding == 0;

	if (c->idle == idle)
		return;
	c->idle = idle;
	if (!idle) {
		TAILQ_REMOVE(&s->idle, c, idle_link);
		return;
	}
	c->idle_since_us = s->now_us;
	TAILQ_INSERT_TAIL(&s->idle, c, idle_link);
}

static void free_answers(struct conn *c)
{
	struct net_request *r;

	while ((r = request_pop(&c->out))) {
		request_free(r);
		c->outstanding--;
	}
}

/* Memory of an unfinished message is counted; call around whatever changes it. */
static void account(struct conn *c, size_t before)
{
	c->server->partial_bytes += c->in.body.cap;
	c->server->partial_bytes -= before;
}

static void conn_close(struct conn *c)
{
	struct net_server *s = c->server;
	size_t before = c->in.body.cap;

	if (c->stage == CONN_DEAD)
		return;
	c->stage = CONN_DEAD;
	atomic_store(&c->gone, true);
	stream_close(&c->stream); /* and epoll forgets it */
	sp_decoder_free(&c->in);
	account(c, before);
	free((void *)c->left.p);
	c->left = (struct bytes){ 0 };
	free_answers(c);
	set_timed(c, false);
	if (c->counted)
		atomic_fetch_sub(&s->established, 1);
	s->n_conns--;
	note_idle(c);
	put(c, c->outstanding == 0 ? PLACE_GONE : PLACE_NONE);
}

/* Brings what epoll watches and the clocks in line with the state. */
static void settle(struct conn *c)
{
	struct net_server *s = c->server;
	uint32_t events = EPOLLRDHUP | (may_receive(c) ? EPOLLIN : 0u) | (c->stream.want_write ? EPOLLOUT : 0u);
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (c->stage == CONN_DEAD)
		return;
	if (events != c->events && epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->stream.fd, &ev) < 0) {
		conn_close(c);
		return;
	}
	c->events = events;
	if (!may_receive(c) || (c->stage == CONN_OPEN && !sp_partial(&c->in)))
		c->in_wait = (struct patience){ 0 }; /* it does not wait for the peer */
	else if (!c->in_wait.since_us)
		c->in_wait = (struct patience){ .since_us = s->now_us };
	if (!c->out.first && c->hello_sent == SP_HELLO_SIZE)
		c->out_wait = (struct patience){ 0 };
	else if (!c->out_wait.since_us && c->stage == CONN_OPEN)
		c->out_wait = (struct patience){ .since_us = s->now_us };
	set_timed(c, c->in_wait.since_us || c->out_wait.since_us);
}

/* Sends the rest of view behind *sent. 1: all is sent; 0: later; negative errno. */
static int send_rest(struct conn *c, struct bytes view, size_t *sent)
{
	size_t before = *sent;
	int r = stream_send_rest(&c->stream, view, sent);

	c->out_wait.bytes += *sent - before;
	return r;
}

static int send_hello(struct conn *c)
{
	uint8_t hello[SP_HELLO_SIZE];
	size_t sent = c->hello_sent;
	int r;

	if (c->hello_sent == SP_HELLO_SIZE)
		return 1;
	sp_hello(hello, SP_REP);
	r = send_rest(c, (struct bytes){ hello, sizeof(hello) }, &sent);
	c->hello_sent = (unsigned int)sent;
	return r;
}

/* The program is done with a request of this connection, and so are we. */
static void release(struct conn *c)
{
	c->outstanding--;
	if (c->stage == CONN_DEAD) {
		if (c->outstanding == 0)
			put(c, PLACE_GONE);
	} else if (c->choked && c->outstanding <= LIMIT_SERVER_OUTSTANDING / 2) {
		c->choked = false;
		put(c, PLACE_RUN);
	}
	note_idle(c);
}

/* Closes c on failure. */
static void conn_write(struct conn *c)
{
	int r;

	if (c->stage != CONN_OPEN)
		return;
	c->stream.want_write = false;
	r = send_hello(c);
	while (r == 1 && c->out.first) {
		r = send_rest(c, writer_view(&c->out.first->reply), &c->out_sent);
		if (r != 1)
			break;
		request_free(request_pop(&c->out));
		c->out_sent = 0;
		c->out_wait = (struct patience){ 0 };
		release(c);
	}
	if (r < 0)
		conn_close(c);
	else
		settle(c);
}

/* A whole message: to the program. */
static int take_request(struct conn *c)
{
	struct net_server *s = c->server;
	struct net_request *r;
	size_t before = c->in.body.cap;
	struct writer body = sp_take(&c->in);

	account(c, before);
	r = calloc(1, sizeof(*r));
	if (!r) {
		writer_free(&body);
		return -ENOMEM;
	}
	*r = (struct net_request){ .hub = s->hub, .conn = c, .peer = c->id, .address = c->address,
				   .verified = c->verified, .ipc = c->ipc, .has_uid = c->has_uid, .uid = c->uid,
				   .body = body };
	r->return_address = sp_return_address(writer_view(&body));
	if (r->return_address == 0 || body.n - r->return_address > LIMIT_MESSAGE) {
		request_free(r);
		return -EPROTO;
	}
	c->outstanding++;
	note_idle(c);
	c->in_wait = (struct patience){ 0 };
	s->full = hub_push(s->hub, r);
	return 0;
}

/* Too much is held for unfinished messages: the one that has taken longest goes. Whoever sends small messages, or
 * finishes large ones soon, is not hurt. */
static void make_room(struct net_server *s)
{
	while (s->partial_bytes > LIMIT_SERVER_PARTIAL_BYTES) {
		struct conn *oldest = NULL, *c;

		TAILQ_FOREACH(c, &s->all, all_link)
			if (c->stage == CONN_OPEN && c->in.body.cap > SMALL_READ &&
			    c->in_wait.since_us && (!oldest || c->in_wait.since_us < oldest->in_wait.since_us))
				oldest = c;
		if (!oldest)
			return;
		conn_close(oldest);
	}
}

/* false: receiving stops here. */
static bool check_room(struct conn *c)
{
	if (c->server->full)
		put(c, PLACE_STALLED);
	else if (c->outstanding >= LIMIT_SERVER_OUTSTANDING)
		c->choked = true;
	return may_receive(c);
}

/* Looks at what was received. *taken: bytes that were looked at. */
static int feed(struct conn *c, struct bytes b, size_t *taken)
{
	struct reader in = reader_of(b);
	int r = SP_MORE;

	while (r != SP_BAD && reader_left(&in) > 0 && check_room(c)) {
		size_t before = c->in.body.cap;

		r = sp_decode(&c->in, &in);
		account(c, before);
		if (c->in.greeted && !c->counted) {
			c->counted = true;
			atomic_fetch_add(&c->server->established, 1);
			c->in_wait = (struct patience){ 0 };
		}
		if (r == SP_MESSAGE)
			r = take_request(c);
		if (r < 0)
			return r;
	}
	*taken = in.pos;
	return r == SP_BAD ? -EPROTO : 0;
}

/* Looks at new bytes, and keeps those that must wait. */
static int receive(struct conn *c, struct bytes b)
{
	struct reader rest = reader_of(b);
	size_t taken = 0;
	uint8_t *copy;
	int r = feed(c, b, &taken);

	c->in_wait.bytes += taken;
	if (r < 0 || taken == b.n)
		return r;
	read_bytes(&rest, taken);
	b = read_rest(&rest);
	copy = alloc_bytes(b.n);
	if (!copy)
		return -ENOMEM;
	bytes_copy(copy, b.p, b.n);
	c->left = (struct bytes){ copy, b.n };
	return 0;
}

static int receive_left(struct conn *c)
{
	struct bytes left = c->left;
	int r;

	if (!left.p)
		return 0;
	c->left = (struct bytes){ 0 };
	r = receive(c, left);
	free((void *)left.p);
	return r;
}

/* 1: goes on; 0: later; negative errno. */
static int handshake(struct conn *c)
{
	int r;

	if (c->stage != CONN_TLS)
		return 1;
	c->stream.want_write = false;
	r = stream_tls_handshake(c->stream.ssl, &c->stream.want_write);
	if (r != 1)
		return r;
	c->stage = CONN_OPEN;
	c->verified = stream_tls_peer_verified(c->stream.ssl);
	return send_hello(c) < 0 ? -EPIPE : 1;
}

/* One read. 1: there may be more; 0: nothing now; negative errno. */
static int read_once(struct conn *c)
{
	struct net_server *s = c->server;
	size_t room = c->in.in_body && c->in.left > SMALL_READ ? MIN((size_t)c->in.left, sizeof(s->scratch)) : SMALL_READ;
	ssize_t n = stream_recv(&c->stream, s->scratch, room);
	int r;

	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNRESET;
	r = receive(c, (struct bytes){ s->scratch, (size_t)n });
	if (r < 0)
		return r;
	/* A socket that gave less than it could is empty; TLS gives one record at a time, and may hold more. */
	return c->stream.ssl || (size_t)n == room;
}

/* Closes c on failure. */
static void conn_read(struct conn *c)
{
	struct net_server *s = c->server;
	int r = handshake(c);

	if (r == 1) {
		r = check_room(c) ? receive_left(c) : 0;
		if (r == 0)
			r = 1;
	}
	for (unsigned int i = 0; r == 1 && check_room(c); i++) {
		if (i == READS_PER_TURN) {
			put(c, PLACE_RUN);
			break;
		}
		r = read_once(c);
	}
	if (r < 0)
		conn_close(c);
	else
		settle(c);
	make_room(s);
}

static void ask_for_user(struct conn *c)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	if (getsockopt(c->stream.fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || n != sizeof(who))
		return; /* then nobody is named */
	c->uid = who.uid;
	c->has_uid = true;
}

static int open_stream(struct conn *c, const struct listener *l)
{
	socklen_t n = sizeof(c->address);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = c };
	int r;

	if (!l->ipc) {
		if (getpeername(c->stream.fd, &c->address.sa, &n) < 0)
			return -errno;
		net_tcp_options(c->stream.fd);
	} else {
		ask_for_user(c);
	}
	if (l->tls) {
		r = stream_tls_accept(&c->stream.ssl, l->tls, c->stream.fd);
		if (r < 0)
			return r;
		c->stage = CONN_TLS;
	}
	c->events = ev.events;
	return epoll_ctl(c->server->epoll_fd, EPOLL_CTL_ADD, c->stream.fd, &ev) < 0 ? -errno : 0;
}

bool conn_make_place(struct net_server *s)
{
	struct conn *c = TAILQ_FIRST(&s->idle);

	if (!c || s->now_us - c->idle_since_us < s->patience_us)
		return false;
	conn_close(c);
	return true;
}

void conn_start(struct net_server *s, const struct listener *l, int fd)
{
	bool room = s->n_conns < s->max_connections || conn_make_place(s);
	struct conn *c = room ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		fd_cleanup(&fd);
		return;
	}
	*c = (struct conn){ .source = { SOURCE_CONN }, .stage = CONN_OPEN, .ipc = l->ipc, .stream = { .fd = fd }, .server = s,
			    .id = ++s->next_id };
	sp_decoder_init(&c->in, SP_REQ, l->ipc);
	TAILQ_INSERT_TAIL(&s->all, c, all_link);
	s->n_conns++;
	note_idle(c);
	if (open_stream(c, l) < 0)
		conn_close(c);
	else if (c->stage == CONN_TLS)
		settle(c);
	else
		conn_write(c);
}

void conn_event(struct conn *c, uint32_t events)
{
	if (c->stage == CONN_DEAD)
		return; /* closed in this round */
	/* A peer that is gone or will not send: nothing that we hold for it is of use to it. */
	if ((events & (EPOLLERR | EPOLLHUP)) || ((events & EPOLLRDHUP) && !may_receive(c))) {
		conn_close(c);
		return;
	}
	if (events & EPOLLOUT)
		conn_write(c);
	if (c->stage != CONN_DEAD && may_receive(c) && ((events & (EPOLLIN | EPOLLRDHUP)) || c->stream.ssl))
		conn_read(c);
}

void conn_turn(struct conn *c)
{
	put(c, PLACE_NONE);
	conn_read(c);
}

void conn_returned(struct net_request *r)
{
	struct conn *c = r->conn;

	if (c->stage == CONN_DEAD || r->reply.n == 0) {
		request_free(r);
		release(c);
		return;
	}
	request_append(&c->out, r);
	conn_write(c);
}

void conn_resume_all(struct net_server *s)
{
	struct conn *c;

	s->full = false;
	while ((c = TAILQ_FIRST(&s->stalled)))
		put(c, PLACE_RUN);
}

static bool is_over(const struct net_server *s, const struct patience *p)
{
	return p->since_us && s->now_us - p->since_us > s->patience_us + p->bytes / SLOW_BYTES_PER_S * 1000000u;
}

void conn_sweep(struct net_server *s)
{
	struct conn *c = TAILQ_FIRST(&s->timed);

	while (c) {
		struct conn *next = TAILQ_NEXT(c, timed_link);

		if (is_over(s, &c->in_wait) || is_over(s, &c->out_wait))
			conn_close(c);
		c = next;
	}
	s->sweep_us = s->now_us + SWEEP_US;
}

static void conn_free(struct conn *c)
{
	struct net_server *s = c->server;

	put(c, PLACE_NONE);
	TAILQ_REMOVE(&s->all, c, all_link);
	free(c);
}

void conn_reap(struct net_server *s)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&s->gone)))
		conn_free(c);
}

void conn_free_all(struct net_server *s)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&s->all))) {
		conn_close(c);
		conn_free(c);
	}
}
