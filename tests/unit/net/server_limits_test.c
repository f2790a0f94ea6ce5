// SPDX-License-Identifier: Apache-2.0
/* Every limit of the server at its maximum and one past it, with peers that go to it. */
#include "unit/net/hostile_helper.h"

/* A payload of LIMIT_MESSAGE + 1 behind one id fits the size on the stream, and is still too large. */
static void test_payload_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE + 100);
	struct desk d;
	uint8_t answer[12 + 256];
	int fd;

	(void)state;
	desk_open(&d);
	fd = greet(&d);
	add_request(&w, 1, LIMIT_MESSAGE);
	say(fd, w.p, w.n);
	assert_int_equal(recv(fd, answer, sizeof(answer), MSG_WAITALL), sizeof(answer));
	writer_reset(&w);
	add_request(&w, 1, LIMIT_MESSAGE + 1);
	say(fd, w.p, w.n);
	assert_closed(fd);
	desk_close(&d);
}

/* Never reads its answers: the server stops reading its questions, keeps few, and ends it when nothing moves. */
static void test_never_reads(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct net_request *held[LIMIT_SERVER_OUTSTANDING], *r;
	uint8_t *large = calloc(1, LIMIT_MESSAGE);
	struct net_server *s;
	struct desk d;
	int fd;

	(void)state;
	assert_non_null(large);
	desk_prepare(&d);
	s = d.server;
	s->patience_us = 500000;
	desk_listen(&d);
	fd = greet(&d);
	for (uint32_t i = 0; i < 3 * LIMIT_SERVER_OUTSTANDING; i++)
		add_request(&w, i, 100);
	say(fd, w.p, w.n);
	for (size_t i = 0; i < LIMIT_SERVER_OUTSTANDING; i++)
		held[i] = await_request(s);
	assert_false(is_readable(net_server_fd(s), 0) && (r = net_server_next(s)));
	/* half of them back: the next ones come */
	for (size_t i = 0; i < LIMIT_SERVER_OUTSTANDING / 2; i++)
		net_request_drop(&held[i]);
	for (size_t i = 0; i < LIMIT_SERVER_OUTSTANDING / 2; i++)
		held[i] = await_request(s);
	/* large answers, in any order, that nobody reads */
	for (size_t i = LIMIT_SERVER_OUTSTANDING; i > 0; i--)
		net_request_reply(s, &held[i - 1], (struct bytes){ large, LIMIT_MESSAGE });
	await_connections(s, 0);
	for (;;) {
		r = net_server_next(s);
		if (!r)
			break;
		net_request_drop(&r);
	}
	free(large);
	close(fd);
	net_server_free(&s);
}

static void test_connection_limit(void **state)
{
	struct desk d;
	int fds[20], other;

	(void)state;
	desk_prepare(&d);
	d.server->max_connections = ARRAY_SIZE(fds);
	desk_listen(&d);
	assert_int_equal(pthread_create(&d.thread, NULL, answer_all, &d), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = greet(&d);
	await_connections(d.server, ARRAY_SIZE(fds));
	other = dial(&d);
	assert_closed(other);
	close(fds[0]);
	await_connections(d.server, ARRAY_SIZE(fds) - 1);
	fds[0] = greet(&d);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	await_connections(d.server, 0);
	assert_serves(&d);
	desk_close(&d);
}

/* All places are taken by such as say nothing: after a while the one that has been silent longest has to go for whoever
 * comes, but nobody who waits for an answer. */
static void test_silent_make_place(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct net_request *held;
	struct desk d;
	uint8_t byte;
	int fds[4], other;

	(void)state;
	desk_prepare(&d);
	d.server->max_connections = ARRAY_SIZE(fds);
	d.server->patience_us = 300000;
	desk_listen(&d);
	fds[0] = greet(&d);
	add_request(&w, 1, 100);
	say(fds[0], w.p, w.n);
	held = await_request(d.server);
	for (size_t i = 1; i < ARRAY_SIZE(fds); i++) {
		fds[i] = greet(&d);
		usleep(20000);
	}
	await_connections(d.server, ARRAY_SIZE(fds));
	other = dial(&d); /* too early */
	assert_closed(other);
	usleep(400000);
	other = greet(&d); /* in place of the first of the silent ones */
	assert_closed(fds[1]);
	for (size_t i = 2; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(recv(fds[i], &byte, 1, MSG_DONTWAIT), -1);
	net_request_reply(d.server, &held, (struct bytes){ (const uint8_t *)"still here", 10 });
	assert_true(recv(fds[0], &byte, 1, 0) == 1);
	await_connections(d.server, ARRAY_SIZE(fds));
	close(other);
	close(fds[0]);
	close(fds[2]);
	close(fds[3]);
	await_connections(d.server, 0);
	net_server_free(&d.server);
}

/* No descriptor is left: the others wait in the kernel's queue, and are served when there is one again. */
static void test_no_descriptors(void **state)
{
	struct rlimit before, few;
	struct desk d;
	uint8_t theirs[SP_HELLO_SIZE];
	int fds[30], lowest;

	(void)state;
	desk_open(&d);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	lowest = dup(fds[0]);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)lowest + 5;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_int_equal(connect(fds[i], (struct sockaddr *)&d.address, sizeof(d.address)), 0);
		say(fds[i], hello, sizeof(hello));
	}
	await_connections(d.server, 5);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) { /* each one that goes makes room for another */
		assert_int_equal(recv(fds[i], theirs, sizeof(theirs), MSG_WAITALL), sizeof(theirs));
		close(fds[i]);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	await_connections(d.server, 0);
	assert_serves(&d);
	desk_close(&d);
}

/* Unfinished messages of many peers: their memory has one limit, and the slowest pay for it. */
static void test_partial_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(2 * LIMIT_MESSAGE);
	struct desk d;
	int fds[2 * LIMIT_SERVER_PARTIAL_BYTES / LIMIT_MESSAGE];
	unsigned int alive = 0;

	(void)state;
	desk_open(&d);
	add_request(&w, 1, LIMIT_MESSAGE);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = greet(&d);
		say(fds[i], w.p, w.n - 1);
	}
	assert_serves(&d);
	alive = net_server_connections(d.server);
	assert_true(alive < ARRAY_SIZE(fds));
	say(fds[ARRAY_SIZE(fds) - 1], "x", 1); /* the newest is still there */
	assert_int_equal(recv(fds[ARRAY_SIZE(fds) - 1], w.p, 12, MSG_WAITALL), 12);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	await_connections(d.server, 0);
	desk_close(&d);
}

/* The inbox is full of one server's work: it holds the limit, and goes on when there is room. */
static void test_full_inbox(void **state)
{
	enum { PEERS = 2 * LIMIT_SERVER_QUEUE / LIMIT_SERVER_OUTSTANDING };
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct desk d = { .server = s };
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	int fds[PEERS];
	unsigned int got = 0;

	(void)state;
	desk_address(&d);
	for (uint32_t i = 0; i < LIMIT_SERVER_OUTSTANDING; i++)
		add_request(&w, i, 50);
	for (size_t i = 0; i < PEERS; i++) {
		fds[i] = greet(&d);
		say(fds[i], w.p, w.n);
	}
	for (bool full = false; !full;) {
		pthread_mutex_lock(&s->hub->lock);
		full = s->hub->full;
		assert_true(s->hub->count <= LIMIT_SERVER_QUEUE);
		pthread_mutex_unlock(&s->hub->lock);
		usleep(1000);
	}
	while (got < PEERS * LIMIT_SERVER_OUTSTANDING) {
		struct net_request *r = await_request(s);

		pthread_mutex_lock(&s->hub->lock);
		assert_true(s->hub->count < LIMIT_SERVER_QUEUE + 1);
		pthread_mutex_unlock(&s->hub->lock);
		net_request_reply(s, &r, text("ok"));
		got++;
	}
	for (size_t i = 0; i < PEERS; i++) {
		uint8_t answers[LIMIT_SERVER_OUTSTANDING * 14];

		assert_int_equal(recv(fds[i], answers, sizeof(answers), MSG_WAITALL), sizeof(answers));
		close(fds[i]);
	}
	await_connections(s, 0);
	net_server_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payload_limit),
		cmocka_unit_test(test_never_reads),
		cmocka_unit_test(test_connection_limit),
		cmocka_unit_test(test_silent_make_place),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_partial_limit),
		cmocka_unit_test(test_full_inbox),
	};

	return cmocka_run_group_tests(tests, warm_up, NULL);
}
