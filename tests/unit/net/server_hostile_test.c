// SPDX-License-Identifier: Apache-2.0
/* Peers that break the rules, all of the time, against one server; afterwards a normal client is served at once, and no
 * connection, descriptor or memory (ASan) is left behind. */
#include "unit/net/hostile_helper.h"

struct bully {
	const struct desk *desk;
	unsigned int seed, rounds, failures;
};

/* Many requests at once, perhaps some answers read, then a reset. */
static void *pipeline_and_reset(void *arg)
{
	struct bully *b = arg;

	for (unsigned int i = 0; i < b->rounds; i++) {
		cleanup_writer_ struct writer w = WRITER(1u << 20);
		int fd = dial(b->desk);
		unsigned int n = 1 + (unsigned int)rand_r(&b->seed) % 100;
		uint8_t some[200];

		if (fd < 0) {
			b->failures++;
			continue;
		}
		write_bytes(&w, hello, sizeof(hello));
		for (unsigned int k = 0; k < n; k++)
			add_request(&w, k, 20);
		if (send(fd, w.p, w.n - (i % 3 ? 0 : 5), MSG_NOSIGNAL) < 0)
			b->failures++;
		if (rand_r(&b->seed) % 2 && recv(fd, some, 1 + (size_t)rand_r(&b->seed) % sizeof(some), 0) < 0)
			b->failures++;
		if (i % 4)
			reset(fd);
		else
			close(fd);
	}
	return NULL;
}

static void test_pipelining_and_resetting(void **state)
{
	struct desk d;
	struct bully bullies[6];
	pthread_t threads[ARRAY_SIZE(bullies)];
	struct net_client *c;
	unsigned int before;

	(void)state;
	desk_open(&d);
	before = open_descriptors();
	for (unsigned int i = 0; i < ARRAY_SIZE(bullies); i++) {
		bullies[i] = (struct bully){ .desk = &d, .seed = i, .rounds = 300 };
		assert_int_equal(pthread_create(&threads[i], NULL, pipeline_and_reset, &bullies[i]), 0);
	}
	c = new_client(d.url, NULL);
	for (int i = 0; i < 20; i++) { /* served in the middle of it */
		struct net_completion done;

		assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("fair"), PATIENCE_MS), 0);
		done = await_completion(c);
		assert_int_equal(done.status, 0);
		assert_bytes(done.message, "fair");
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(bullies); i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(bullies[i].failures, 0);
	}
	assert_true(atomic_load(&d.served) > 1800);
	await_connections(d.server, 1);
	net_client_free(&c);
	await_connections(d.server, 0);
	await_descriptors(before);
	assert_serves(&d);
	desk_close(&d);
}

/* What ends a connection at once; and the server says so. */
static void test_nonsense(void **state)
{
	static const struct { uint8_t bytes[24]; size_t n; } after_hello[] = {
		{ { 0, 0, 0, 0, 0, 0, 0, 0 }, 8 },				 /* nothing */
		{ { 0, 0, 0, 0, 0, 0, 0, 3, 0x80, 0, 0 }, 11 },			 /* no room for an id */
		{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 8 },	 /* all there is */
		{ { 0, 0, 0, 1, 0, 0, 0, 8 }, 8 },
		{ { 0, 0, 0, 0, 0, 0x14, 0, 0x21 }, 8 },			 /* one too many */
		{ { 0, 0, 0, 0, 0, 0, 0, 8, 0x7f, 1, 2, 3, 0x7f, 1, 2, 3 }, 16 }, /* no end of the return address */
	};
	static const char *const greetings[] = { "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\x02", "        " };
	struct desk d;
	unsigned int before;

	(void)state;
	assert_int_equal(LIMIT_MESSAGE + 4 * LIMIT_SP_HOPS + 1, 0x140021);
	desk_open(&d);
	before = open_descriptors();
	for (size_t i = 0; i < ARRAY_SIZE(after_hello); i++) {
		int fd = greet(&d);

		say(fd, after_hello[i].bytes, after_hello[i].n);
		assert_closed(fd);
	}
	for (size_t i = 0; i < ARRAY_SIZE(greetings); i++) {
		int fd = dial(&d);

		say(fd, greetings[i], strlen(greetings[i]));
		if (strlen(greetings[i]) < SP_HELLO_SIZE) /* as good as silent: see test_deadlines() */
			close(fd);
		else
			assert_closed(fd);
	}
	await_connections(d.server, 0);
	await_descriptors(before);
	assert_int_equal(atomic_load(&d.served), 0);
	assert_serves(&d);
	desk_close(&d);
}

/* Silent, slow to greet, stuck in a message, half-closed: none is in the way of others, and none stays. */
static void test_deadlines(void **state)
{
	static const uint8_t announced[12] = { 0, 0, 0, 0, 0, 0x10, 0, 0, 0x80, 0, 0, 1 };
	struct desk d;
	unsigned int before;
	int silent, slow, stuck, idle, half;
	uint8_t byte;

	(void)state;
	desk_prepare(&d);
	d.server->patience_us = 500000; /* nobody can be connected yet */
	desk_listen(&d);
	assert_int_equal(pthread_create(&d.thread, NULL, answer_all, &d), 0);
	before = open_descriptors();
	silent = dial(&d);
	slow = dial(&d);
	say(slow, hello, 5);
	stuck = greet(&d);
	say(stuck, announced, sizeof(announced));
	half = greet(&d);
	assert_int_equal(shutdown(half, SHUT_WR), 0);
	idle = greet(&d);
	assert_closed(half);
	assert_serves(&d);
	assert_int_equal(recv(silent, &byte, 1, MSG_DONTWAIT | MSG_PEEK), 1); /* our hello, and not yet the end */
	assert_closed(silent);
	assert_closed(slow);
	assert_closed(stuck);
	await_connections(d.server, 1); /* idle is no offence: a long poll looks like it */
	assert_int_equal(recv(idle, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(idle);
	await_connections(d.server, 0);
	await_descriptors(before);
	desk_close(&d);
}

/* Requests outlive their connection, and the server. */
static void test_answers_to_nobody(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1000);
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct desk d = { .server = s };
	struct net_request *a, *b, *c;
	uint64_t peer;
	int fd;

	(void)state;
	desk_address(&d);
	fd = greet(&d);
	for (uint32_t i = 0; i < 3; i++)
		add_request(&w, i, 5);
	say(fd, w.p, w.n);
	a = await_request(s);
	b = await_request(s);
	c = await_request(s);
	peer = net_request_peer(a);
	reset(fd);
	await_connections(s, 0);
	net_request_reply(s, &b, text("late"));
	fd = greet(&d);
	writer_reset(&w);
	add_request(&w, 9, 5);
	say(fd, w.p, w.n);
	b = await_request(s);
	assert_true(net_request_peer(b) > peer); /* a new number, though the descriptor may be the old one */
	assert_int_equal(net_request_peer(a), peer);
	net_request_reply(s, &a, text("later"));
	net_server_free(&s);
	assert_bytes(net_request_message(c), "xxxxx");
	net_request_reply(s, &c, text("too late"));
	net_request_drop(&b);
	assert_closed(fd);
}

static void test_thousands(void **state)
{
	struct desk d;
	unsigned int before;

	(void)state;
	desk_open(&d);
	before = open_descriptors();
	for (unsigned int round = 0; round < 10; round++) {
		int fds[400];

		for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
			fds[i] = dial(&d);
			assert_true(fds[i] >= 0);
			if (i % 3 == 0)
				say(fds[i], hello, sizeof(hello));
			if (i % 3 == 1)
				say(fds[i], hello, i % SP_HELLO_SIZE);
		}
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
			if ((i + round) % 2)
				reset(fds[i]);
			else
				close(fds[i]);
		}
	}
	await_connections(d.server, 0);
	await_descriptors(before);
	assert_serves(&d);
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipelining_and_resetting),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_answers_to_nobody),
		cmocka_unit_test(test_thousands),
	};

	return cmocka_run_group_tests(tests, warm_up, NULL);
}
