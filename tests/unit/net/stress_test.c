// SPDX-License-Identifier: Apache-2.0
/* Many threads at once, for VARIANT=tsan. */
#include <pthread.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_lifetimes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
