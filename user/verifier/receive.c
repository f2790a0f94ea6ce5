// SPDX-License-Identifier: Apache-2.0
#include "verifier/receive.h"

#include <openssl/rand.h>

#include "base/clock.h"

#define RANDOM_POOL 4096u /* bytes drawn at once: OpenSSL asks the kernel for its process id at each call */

struct receiver {
	struct net_server *server;
	uint8_t random[RANDOM_POOL]; /* the first n_random of it are not given yet; what was given is wiped */
	size_t n_random;
	struct exchange exchanges[RECEIVE_BATCH];
};

struct instant instant_now(void)
{
	return (struct instant){ .mono = clock_boot_us(), .real = clock_real_us() };
}

int receiver_new(struct receiver **out, const struct net_tls *tls)
{
	struct receiver *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return -ENOMEM;
	for (size_t i = 0; i < RECEIVE_BATCH; i++)
		r->exchanges[i].reply = WRITER(LIMIT_MESSAGE);
	ret = net_server_prepare(&r->server, tls);
	if (ret < 0) {
		free(r);
		return ret;
	}
	*out = r;
	return 0;
}

void receiver_free(struct receiver **r)
{
	struct receiver *old = TAKE_PTR(*r);

	if (!old)
		return;
	net_server_free(&old->server);
	for (size_t i = 0; i < RECEIVE_BATCH; i++)
		writer_free(&old->exchanges[i].reply);
	explicit_bzero(old->random, sizeof(old->random));
	free(old);
}

struct net_server *receiver_server(struct receiver *r)
{
	return r->server;
}

static void io_reply(void *user, void *token, struct bytes message)
{
	struct receiver *r = user;
	struct net_request *request = token;

	net_request_reply(r->server, &request, message);
}

static void io_drop(void *user unused_, void *token)
{
	struct net_request *request = token;

	net_request_drop(&request);
}

static bool io_open(void *user unused_, void *token)
{
	return net_request_open(token);
}

static int io_random(void *user, uint8_t *dst, size_t n)
{
	struct receiver *r = user;

	if (n > sizeof(r->random))
		return RAND_bytes(dst, (int)n) == 1 ? 0 : -EIO;
	if (n > r->n_random) {
		r->n_random = 0;
		if (RAND_bytes(r->random, sizeof(r->random)) != 1)
			return -EIO;
		r->n_random = sizeof(r->random);
	}
	r->n_random -= n;
	bytes_copy(dst, r->random + r->n_random, n);
	explicit_bzero(r->random + r->n_random, n);
	return 0;
}

struct pipeline_io receiver_io(struct receiver *r)
{
	return (struct pipeline_io){ .user = r, .reply = io_reply, .drop = io_drop, .random = io_random,
				     .open = io_open };
}

int receiver_run(struct receiver *r, struct pipeline *p, bool *more)
{
	struct instant now;
	size_t n = 0, bytes = 0;

	*more = true;
	while (n < RECEIVE_BATCH && bytes < RECEIVE_BATCH_BYTES) {
		struct net_request *request = net_server_next(r->server);
		struct exchange *ex = &r->exchanges[n];

		if (!request) {
			*more = false;
			break;
		}
		ex->token = request;
		ex->message = net_request_message(request);
		ex->peer = net_request_peer(request);
		ex->held = false;
		writer_reset(&ex->reply);
		bytes += ex->message.n;
		n++;
	}
	if (!n)
		return 0;
	now = instant_now();
	return pipeline_batch(p, r->exchanges, n, &now);
}
