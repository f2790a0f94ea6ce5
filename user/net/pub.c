// SPDX-License-Identifier: Apache-2.0
#include "net/internal.h" /* first: the headers of nng's protocols need nng.h before them */

#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdatomic.h>

/* Events that one slow subscriber may have outstanding. */
#define PUB_QUEUE 256

struct net_pub {
	nng_socket socket;
	bool open;
	char *url;
};

static int pub_open(struct net_pub *p, const char *url, const struct net_tls *tls, const char **why)
{
	int result = nng_pub0_open(&p->socket);

	if (result != 0) {
		*why = nng_strerror(result);
		return net_error(result);
	}
	p->open = true;
	result = nng_socket_set_int(p->socket, NNG_OPT_SENDBUF, PUB_QUEUE);
	if (result != 0) {
		*why = nng_strerror(result);
		return net_error(result);
	}
	return net_listen(p->socket, url, tls, &p->url, why);
}

int net_pub_new(struct net_pub **out, const char *url, const struct net_tls *tls, const char **why)
{
	cleanup_(net_pub_free) struct net_pub *p = calloc(1, sizeof(*p));
	int r;

	*why = "out of memory";
	if (!p)
		return -ENOMEM;
	r = pub_open(p, url, tls, why);
	if (r < 0)
		return r;
	*out = TAKE_PTR(p);
	return 0;
}

void net_pub_free(struct net_pub **pub)
{
	struct net_pub *p = *pub;

	if (!p)
		return;
	*pub = NULL;
	if (p->open && !net_close(p->socket))
		return;
	free(p->url);
	free(p);
}

const char *net_pub_url(const struct net_pub *p)
{
	return p->url;
}

void net_pub_send(struct net_pub *p, struct bytes message)
{
	nng_msg *m;

	if (nng_msg_alloc(&m, 0) != 0)
		return;
	if (nng_msg_append(m, message.p, message.n) != 0 || nng_sendmsg(p->socket, m, NNG_FLAG_NONBLOCK) != 0)
		nng_msg_free(m);
}

struct net_sub {
	nng_socket socket;
	bool open;
	struct inbox inbox;
	nng_msg *given; /* behind the view that net_sub_next() gave out last */
	atomic_uint connections;
};

static void pipe_event(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
	struct net_sub *s = arg;

	(void)pipe;
	if (ev == NNG_PIPE_EV_ADD_POST)
		atomic_fetch_add(&s->connections, 1);
	else
		atomic_fetch_sub(&s->connections, 1);
	net_inbox_kick(&s->inbox);
}

static int sub_open(struct net_sub *s, const char *url, const struct net_tls *tls)
{
	int r = net_error(nng_sub0_open(&s->socket));

	if (r < 0)
		return r;
	s->open = true;
	r = net_inbox_init(&s->inbox, s->socket, LIMIT_SUB_QUEUE, LIMIT_SERVER_QUEUE_BYTES);
	if (r == 0)
		r = net_error(nng_pipe_notify(s->socket, NNG_PIPE_EV_ADD_POST, pipe_event, s));
	if (r == 0)
		r = net_error(nng_pipe_notify(s->socket, NNG_PIPE_EV_REM_POST, pipe_event, s));
	if (r == 0)
		r = net_error(nng_socket_set(s->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0));
	if (r < 0)
		return r;
	net_inbox_start(&s->inbox);
	return net_dial(s->socket, url, tls);
}

int net_sub_new(struct net_sub **out, const char *url, const struct net_tls *tls)
{
	cleanup_(net_sub_free) struct net_sub *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->inbox.fd = -1;
	r = sub_open(s, url, tls);
	if (r < 0)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

void net_sub_free(struct net_sub **sub)
{
	struct net_sub *s = *sub;

	if (!s)
		return;
	*sub = NULL;
	/* Pipe events kick the inbox: the socket goes first, and with it the last event. */
	if (s->open && !net_close(s->socket))
		return;
	net_inbox_fini(&s->inbox);
	if (s->given)
		nng_msg_free(s->given);
	free(s);
}

int net_sub_fd(const struct net_sub *s)
{
	return s->inbox.fd;
}

bool net_sub_next(struct net_sub *s, struct bytes *message)
{
	if (s->given)
		nng_msg_free(TAKE_PTR(s->given));
	s->given = net_inbox_take(&s->inbox);
	if (!s->given)
		return false;
	*message = (struct bytes){ nng_msg_body(s->given), nng_msg_len(s->given) };
	return true;
}

bool net_sub_connected(const struct net_sub *s)
{
	return atomic_load(&s->connections) > 0;
}
