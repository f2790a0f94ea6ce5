// SPDX-License-Identifier: Apache-2.0
/* Many threads at once, for VARIANT=tsan; and the limits of the inbox. */
#include "net/internal.h"

#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdatomic.h>

#include "unit/net/net_helper.h"

#define CLIENTS 8
#define ROUNDS 150

static char url[80];
static atomic_bool stop;
static atomic_uint failures;


/* Answers, holds some requests for a while and answers them out of order, drops a few. */
static void *serve(void *arg)
{
	struct net_server *s = arg;
	struct net_request *held[32] = { 0 };
	unsigned int n = 0;

	while (!atomic_load(&stop)) {
		struct net_request *r = net_server_next(s);
		struct net_request **place;
		char address[80], copy[16];
		struct bytes m;

		if (!r) {
			is_readable(net_server_fd(s), 20);
			continue;
		}
		net_request_address(r, address, sizeof(address));
		place = &held[n++ % ARRAY_SIZE(held)];
		if (n % 50 == 0) {
			net_request_drop(&r);
			continue;
		}
		if (n % 3 == 0) {
			struct net_request *old = *place;

			*place = r;
			r = old;
		}
		if (!r)
			continue;
		m = net_request_message(r);
		bytes_copy(copy, m.p, MIN(m.n, sizeof(copy)));
		net_request_reply(s, &r, (struct bytes){ (uint8_t *)copy, MIN(m.n, sizeof(copy)) });
	}
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		net_request_drop(&held[i]);
	return NULL;
}

/* Requests in both slots; cancels, redials and starts anew now and then; what comes back is what was asked. */
static void *ask(void *arg)
{
	unsigned int id = *(unsigned int *)arg, asked = 0;
	struct net_client *c = NULL;
	char question[NET_SLOTS][16];

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct net_completion done;

		if (!c && net_client_new(&c, url, NULL) != 0) {
			atomic_fetch_add(&failures, 1);
			return NULL;
		}
		for (unsigned int slot = 0; slot < NET_SLOTS; slot++) {
			if (net_client_busy(c, slot))
				continue;
			snprintf(question[slot], sizeof(question[slot]), "%u-%u", id, asked++);
			if (net_client_request(c, slot, text(question[slot]), 50) != 0)
				atomic_fetch_add(&failures, 1);
		}
		if (round % 7 == 3)
			net_client_cancel(c, round % NET_SLOTS);
		if (round % 31 == 30)
			net_client_redial(c);
		if (round % 47 == 46) {
			net_client_free(&c);
			continue;
		}
		is_readable(net_client_fd(c), 20);
		while (net_client_next(c, &done)) {
			if (done.status == -ETIMEDOUT)
				continue;
			if (done.status != 0 || done.message.n != strlen(question[done.slot]) ||
			    memcmp(done.message.p, question[done.slot], done.message.n) != 0)
				atomic_fetch_add(&failures, 1);
		}
	}
	net_client_free(&c);
	return NULL;
}

static void test_threads(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	pthread_t server, clients[CLIENTS];
	unsigned int ids[CLIENTS];

	(void)state;
	snprintf(url, sizeof(url), "%s", net_server_url(s, 0));
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&server, NULL, serve, s), 0);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		ids[i] = i;
		assert_int_equal(pthread_create(&clients[i], NULL, ask, &ids[i]), 0);
	}
	for (unsigned int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	atomic_store(&stop, true);
	pthread_join(server, NULL);
	assert_int_equal(atomic_load(&failures), 0);
	net_server_free(&s);
}

/* Objects that come and go while the other side sends. */
static void test_lifetimes(void **state)
{
	char dir[64], place[100];

	(void)state;
	temp_dir(dir);
	snprintf(place, sizeof(place), "ipc://%s/s", dir);
	for (int i = 0; i < 40; i++) {
		struct net_server *s = new_server(place, NULL);
		struct net_client *c = new_client(place, NULL);

		if (i % 5)
			await_connected(c, true);
		assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("x"), 0), 0);
		if (i % 2 && i % 5)
			is_readable(net_server_fd(s), PATIENCE_MS);
		if (i % 3)
			net_client_free(&c);
		net_server_free(&s);
		net_client_free(&c);
	}
	assert_int_equal(rmdir(dir), 0);
}

static size_t waiting(struct inbox *in)
{
	size_t n;

	pthread_mutex_lock(&in->lock);
	n = in->count;
	pthread_mutex_unlock(&in->lock);
	return n;
}

static bool is_paused(struct inbox *in)
{
	bool paused;

	pthread_mutex_lock(&in->lock);
	paused = in->paused;
	pthread_mutex_unlock(&in->lock);
	return paused;
}

static void push(nng_socket s, size_t size)
{
	nng_msg *m;

	assert_int_equal(nng_msg_alloc(&m, size), 0);
	assert_int_equal(nng_sendmsg(s, m, 0), 0);
}

/* The inbox takes what it may, then no more until it is half empty; nothing is lost. */
static void inbox_limit(size_t max_count, size_t max_bytes, size_t size, size_t expected)
{
	nng_socket from, to;
	struct inbox in;
	nng_msg *m;

	assert_int_equal(nng_push0_open(&from), 0);
	assert_int_equal(nng_pull0_open(&to), 0);
	assert_int_equal(nng_socket_set_int(from, NNG_OPT_SENDBUF, 100), 0);
	assert_int_equal(nng_listen(to, "inproc://inbox", NULL, 0), 0);
	assert_int_equal(nng_dial(from, "inproc://inbox", NULL, 0), 0);
	assert_int_equal(net_inbox_init(&in, to, max_count, max_bytes), 0);
	net_inbox_start(&in);
	for (size_t i = 0; i < 3 * expected; i++)
		push(from, size);
	while (!is_paused(&in))
		usleep(1000);
	assert_int_equal(waiting(&in), expected);
	for (size_t i = 0; i < expected / 2 - 1; i++) {
		m = net_inbox_take(&in);
		assert_non_null(m);
		nng_msg_free(m);
		assert_true(is_paused(&in));
	}
	for (size_t i = expected / 2 - 1; i < 3 * expected; i++) {
		while (!(m = net_inbox_take(&in)))
			assert_true(is_readable(in.fd, PATIENCE_MS));
		assert_int_equal(nng_msg_len(m), size);
		nng_msg_free(m);
		assert_true(waiting(&in) <= expected);
	}
	assert_null(net_inbox_take(&in));
	assert_false(is_readable(in.fd, 0));
	push(from, size); /* left in the inbox: freed with it */
	assert_true(is_readable(in.fd, PATIENCE_MS));
	net_inbox_fini(&in);
	net_inbox_fini(&in);
	nng_close(from);
	nng_close(to);
}

static void test_inbox_count(void **state)
{
	(void)state;
	inbox_limit(8, 1u << 20, 10, 8);
}

static void test_inbox_bytes(void **state)
{
	(void)state;
	inbox_limit(100, 800, 100, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: they close nng sockets themselves, and what follows can leave nng's one thread that takes connections
		 * down waiting for ever (docs/adr/0008-nng-close.md), for the whole process */
		cmocka_unit_test(test_inbox_count),
		cmocka_unit_test(test_inbox_bytes),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_lifetimes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
