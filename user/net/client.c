// SPDX-License-Identifier: Apache-2.0
#include "net/internal.h" /* first: the headers of nng's protocols need nng.h before them */

#include <nng/protocol/reqrep0/req.h>

#include "base/clock.h"
#include "base/loop.h"

/* nng sends a pending request again when its connection changes, if there is a resend time; the time itself is so long
 * that it never does for another reason: the long poll of an idle host stays silent. */
#define RESEND_MS 86400000

enum slot_state {
	SLOT_FREE,
	SLOT_SENDING,
	SLOT_RECEIVING,
	SLOT_DONE, /* the completion waits for net_client_next() */
};

struct slot {
	struct net_client *client;
	nng_ctx ctx;
	nng_aio *aio;
	bool open;
	/* under the client's lock */
	enum slot_state state;
	bool cancelled;
	uint64_t deadline_us; /* 0: none */
	size_t size;	      /* of the request */
	int status;
	nng_msg *reply;
};

struct net_client {
	nng_socket socket;
	bool open;
	int fd;
	struct slot slots[NET_SLOTS];
	nng_msg *given; /* behind the view that the last completion gave out */
	pthread_mutex_t lock;
	/* under the lock */
	unsigned int connections;
	nng_pipe pipe; /* the newest */
	uint64_t sent, received;
};

/* lock held */
static void finish(struct slot *s, int status, nng_msg *reply)
{
	s->state = SLOT_DONE;
	s->status = status;
	s->reply = reply;
	if (!s->cancelled)
		wake_fd_kick(s->client->fd);
}

static nng_duration time_left(const struct slot *s)
{
	uint64_t now = clock_mono_us();

	if (s->deadline_us == 0)
		return NNG_DURATION_INFINITE;
	if (s->deadline_us <= now + 1000)
		return 1;
	return (nng_duration)MIN((s->deadline_us - now) / 1000, (uint64_t)INT32_MAX);
}

/* Runs on threads of nng. */
static void progressed(void *arg)
{
	struct slot *s = arg;
	struct net_client *c = s->client;
	int result = nng_aio_result(s->aio);
	bool receive = false, abort_it;
	nng_duration left = 0;

	pthread_mutex_lock(&c->lock);
	if (result != 0) {
		/* A message that could not be sent is still ours. */
		if (s->state == SLOT_SENDING && nng_aio_get_msg(s->aio)) {
			nng_msg_free(nng_aio_get_msg(s->aio));
			nng_aio_set_msg(s->aio, NULL);
		}
		finish(s, net_error(result), NULL);
	} else if (s->state == SLOT_RECEIVING) {
		nng_msg *m = nng_aio_get_msg(s->aio);

		nng_aio_set_msg(s->aio, NULL);
		c->received += nng_msg_len(m);
		finish(s, 0, m);
	} else {
		c->sent += s->size;
		s->state = SLOT_RECEIVING;
		left = time_left(s);
		receive = !s->cancelled;
		if (!receive)
			finish(s, -ECANCELED, NULL);
	}
	pthread_mutex_unlock(&c->lock);
	if (!receive)
		return;
	nng_aio_set_timeout(s->aio, left);
	nng_ctx_recv(s->ctx, s->aio);
	/* A cancel that came before the receive began found nothing to cancel. */
	pthread_mutex_lock(&c->lock);
	abort_it = s->cancelled;
	pthread_mutex_unlock(&c->lock);
	if (abort_it)
		nng_aio_cancel(s->aio);
}

static void pipe_event(nng_pipe p, nng_pipe_ev ev, void *arg)
{
	struct net_client *c = arg;

	pthread_mutex_lock(&c->lock);
	if (ev == NNG_PIPE_EV_ADD_POST) {
		c->connections++;
		c->pipe = p;
	} else if (c->connections > 0) {
		c->connections--;
	}
	wake_fd_kick(c->fd);
	pthread_mutex_unlock(&c->lock);
}

static int slot_open(struct slot *s, struct net_client *c)
{
	int r;

	s->client = c;
	r = net_error(nng_aio_alloc(&s->aio, progressed, s));
	if (r == 0)
		r = net_error(nng_ctx_open(&s->ctx, c->socket));
	if (r < 0)
		return r;
	s->open = true;
	return net_error(nng_ctx_set_ms(s->ctx, NNG_OPT_REQ_RESENDTIME, RESEND_MS));
}

static int client_open(struct net_client *c, const char *url, const struct net_tls *tls)
{
	int r = net_error(nng_req0_open(&c->socket));

	if (r < 0)
		return r;
	c->open = true;
	r = net_error(nng_pipe_notify(c->socket, NNG_PIPE_EV_ADD_POST, pipe_event, c));
	if (r == 0)
		r = net_error(nng_pipe_notify(c->socket, NNG_PIPE_EV_REM_POST, pipe_event, c));
	for (unsigned int i = 0; r == 0 && i < NET_SLOTS; i++)
		r = slot_open(&c->slots[i], c);
	return r < 0 ? r : net_dial(c->socket, url, tls);
}

int net_client_new(struct net_client **out, const char *url, const struct net_tls *tls)
{
	cleanup_(net_client_free) struct net_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	c->fd = wake_fd_new();
	if (c->fd < 0)
		return c->fd;
	r = client_open(c, url, tls);
	if (r < 0)
		return r;
	*out = TAKE_PTR(c);
	return 0;
}

void net_client_free(struct net_client **client)
{
	struct net_client *c = *client;

	if (!c)
		return;
	*client = NULL;
	for (unsigned int i = 0; i < NET_SLOTS; i++) {
		struct slot *s = &c->slots[i];

		if (s->open)
			net_client_cancel(c, i);
		if (s->aio)
			nng_aio_stop(s->aio);
		if (s->open)
			nng_ctx_close(s->ctx);
	}
	if (c->open && !net_close(c->socket))
		return; /* pipe events may still come: c stays */
	for (unsigned int i = 0; i < NET_SLOTS; i++)
		nng_aio_free(c->slots[i].aio);
	if (c->given)
		nng_msg_free(c->given);
	fd_cleanup(&c->fd);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int net_client_fd(const struct net_client *c)
{
	return c->fd;
}

int net_client_request(struct net_client *c, unsigned int slot, struct bytes message, uint32_t timeout_ms)
{
	struct slot *s = &c->slots[slot];
	nng_msg *m;
	int r;

	if (message.n > LIMIT_MESSAGE)
		return -EMSGSIZE;
	r = net_error(nng_msg_alloc(&m, 0));
	if (r < 0)
		return r;
	r = net_error(nng_msg_append(m, message.p, message.n));
	pthread_mutex_lock(&c->lock);
	if (r == 0 && s->state != SLOT_FREE)
		r = -EBUSY;
	if (r == 0) {
		s->state = SLOT_SENDING;
		s->deadline_us = timeout_ms ? clock_mono_us() + (uint64_t)timeout_ms * 1000 : 0;
		s->size = message.n;
	}
	pthread_mutex_unlock(&c->lock);
	if (r < 0) {
		nng_msg_free(m);
		return r;
	}
	nng_aio_set_msg(s->aio, m);
	nng_aio_set_timeout(s->aio, time_left(s));
	nng_ctx_send(s->ctx, s->aio);
	return 0;
}

/* The state of a slot, for the thread that owns the client. */
static enum slot_state slot_state(const struct net_client *c, unsigned int slot)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&c->lock;
	enum slot_state state;

	pthread_mutex_lock(lock);
	state = c->slots[slot].state;
	pthread_mutex_unlock(lock);
	return state;
}

bool net_client_busy(const struct net_client *c, unsigned int slot)
{
	return slot_state(c, slot) != SLOT_FREE;
}

void net_client_cancel(struct net_client *c, unsigned int slot)
{
	struct slot *s = &c->slots[slot];
	nng_msg *reply;

	pthread_mutex_lock(&c->lock);
	s->cancelled = true;
	pthread_mutex_unlock(&c->lock);
	nng_aio_cancel(s->aio);
	nng_aio_wait(s->aio);
	pthread_mutex_lock(&c->lock);
	reply = TAKE_PTR(s->reply);
	s->state = SLOT_FREE;
	s->cancelled = false;
	pthread_mutex_unlock(&c->lock);
	if (reply)
		nng_msg_free(reply);
}

bool net_client_next(struct net_client *c, struct net_completion *out)
{
	bool found = false;

	if (c->given)
		nng_msg_free(TAKE_PTR(c->given));
	pthread_mutex_lock(&c->lock);
	for (unsigned int i = 0; i < NET_SLOTS && !found; i++) {
		struct slot *s = &c->slots[i];

		if (s->state != SLOT_DONE)
			continue;
		found = true;
		c->given = TAKE_PTR(s->reply);
		s->state = SLOT_FREE;
		*out = (struct net_completion){ .slot = i, .status = s->status };
	}
	if (!found)
		wake_fd_clear(c->fd); /* under the lock: every later kick has something to show */
	pthread_mutex_unlock(&c->lock);
	if (found && c->given)
		out->message = (struct bytes){ nng_msg_body(c->given), nng_msg_len(c->given) };
	return found;
}

bool net_client_connected(const struct net_client *c)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&c->lock;
	bool connected;

	pthread_mutex_lock(lock);
	connected = c->connections > 0;
	pthread_mutex_unlock(lock);
	return connected;
}

void net_client_redial(struct net_client *c)
{
	nng_pipe p = NNG_PIPE_INITIALIZER;

	pthread_mutex_lock(&c->lock);
	if (c->connections > 0)
		p = c->pipe;
	pthread_mutex_unlock(&c->lock);
	if (nng_pipe_id(p) > 0)
		nng_pipe_close(p);
}

void net_client_bytes(const struct net_client *c, uint64_t *sent, uint64_t *received)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&c->lock;

	pthread_mutex_lock(lock);
	*sent = c->sent;
	*received = c->received;
	pthread_mutex_unlock(lock);
}
