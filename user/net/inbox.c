// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"
#include "net/internal.h"

/* Runs on a thread of nng. */
static void received(void *arg)
{
	struct inbox *in = arg;
	int result = nng_aio_result(in->aio);
	bool again;

	pthread_mutex_lock(&in->lock);
	if (result == 0) {
		nng_msg *m = nng_aio_get_msg(in->aio);

		in->ring[(in->head + in->count) % in->max_count] = m;
		in->count++;
		in->bytes += nng_msg_len(m);
		wake_fd_kick(in->fd);
	}
	in->paused = in->count >= in->max_count || in->bytes >= in->max_bytes;
	again = !in->paused && !in->closing && result != NNG_ECLOSED && result != NNG_ECANCELED;
	pthread_mutex_unlock(&in->lock);
	if (again)
		nng_recv_aio(in->socket, in->aio);
}

int net_inbox_init(struct inbox *in, nng_socket s, size_t max_count, size_t max_bytes)
{
	int r;

	*in = (struct inbox){ .socket = s, .fd = -1, .max_count = max_count, .max_bytes = max_bytes };
	pthread_mutex_init(&in->lock, NULL);
	in->ring = calloc(max_count, sizeof(nng_msg *));
	r = in->ring ? wake_fd_new() : -ENOMEM;
	if (r >= 0) {
		in->fd = r;
		r = net_error(nng_aio_alloc(&in->aio, received, in));
	}
	if (r < 0)
		net_inbox_fini(in);
	return r;
}

void net_inbox_start(struct inbox *in)
{
	nng_recv_aio(in->socket, in->aio);
}

nng_msg *net_inbox_take(struct inbox *in)
{
	nng_msg *m = NULL;
	bool again = false;

	pthread_mutex_lock(&in->lock);
	if (in->count > 0) {
		m = in->ring[in->head];
		in->head = (in->head + 1) % in->max_count;
		in->count--;
		in->bytes -= nng_msg_len(m);
		/* Half empty before receiving starts again: not one switch of threads for each message. */
		again = in->paused && in->count <= in->max_count / 2 && in->bytes <= in->max_bytes / 2;
		if (again)
			in->paused = false;
	} else {
		wake_fd_clear(in->fd); /* under the lock: a kick belongs to a message that is in the ring */
	}
	pthread_mutex_unlock(&in->lock);
	if (again)
		nng_recv_aio(in->socket, in->aio);
	return m;
}

void net_inbox_kick(struct inbox *in)
{
	wake_fd_kick(in->fd);
}

void net_inbox_fini(struct inbox *in)
{
	if (!in->ring && in->fd < 0 && !in->aio)
		return;
	pthread_mutex_lock(&in->lock);
	in->closing = true;
	pthread_mutex_unlock(&in->lock);
	if (in->aio) {
		nng_aio_stop(in->aio); /* waits for the callback; none comes after it */
		nng_aio_free(in->aio);
		in->aio = NULL;
	}
	while (in->count > 0) {
		nng_msg_free(in->ring[in->head]);
		in->head = (in->head + 1) % in->max_count;
		in->count--;
	}
	free(in->ring);
	in->ring = NULL;
	fd_cleanup(&in->fd);
	pthread_mutex_destroy(&in->lock);
}
