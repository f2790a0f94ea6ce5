// SPDX-License-Identifier: Apache-2.0
/* nng 1.5.2 can wait for ever in nng_close(): a connection that is closed by one thread of nng in the moment when another
 * begins to receive on it never ends, and the one thread that takes connections down waits for it (nng issues 1543, 1813;
 * docs/adr/0008-nng-close.md). So the close runs on a thread of its own and is given up after a while: a program can
 * always end, and what nng still holds ends with it. */
#include "net/internal.h"

#include <time.h>

#define PATIENCE_S 2

struct closing {
	nng_socket socket;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	bool abandoned; /* the thread frees this, not the caller */
};

static void closing_free(struct closing *c)
{
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void *close_socket(void *arg)
{
	struct closing *c = arg;
	bool abandoned;

	nng_close(c->socket);
	pthread_mutex_lock(&c->lock);
	c->done = true;
	abandoned = c->abandoned;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (abandoned)
		closing_free(c);
	return NULL;
}

static struct closing *closing_new(nng_socket s)
{
	struct closing *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return NULL;
	c->socket = s;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	return c;
}

bool net_close(nng_socket s)
{
	struct closing *c = closing_new(s);
	struct timespec until;
	pthread_t thread;
	bool done;

	if (!c || pthread_create(&thread, NULL, close_socket, c) != 0) {
		if (c)
			closing_free(c);
		return nng_close(s) == 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&c->lock);
	while (!c->done)
		if (pthread_cond_timedwait(&c->changed, &c->lock, &until) != 0)
			break;
	done = c->done;
	c->abandoned = !done;
	pthread_mutex_unlock(&c->lock);
	if (!done) {
		pthread_detach(thread);
		return false;
	}
	pthread_join(thread, NULL);
	closing_free(c);
	return true;
}
