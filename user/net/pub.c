// SPDX-License-Identifier: Apache-2.0
#include "net/internal.h" /* first: the headers of nng's protocols need nng.h before them */

#include <nng/protocol/pubsub0/pub.h>

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
