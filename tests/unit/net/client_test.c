// SPDX-License-Identifier: Apache-2.0
/* The client's own side of the protocol: with nng at the other end, and with peers that do not keep to it. */
#include "base/clock.h"
#include "net/internal.h"

#include <arpa/inet.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <sys/socket.h>

#include "unit/net/net_helper.h"

/* --- nng ---- */

static void with_nng_rep(const char *url)
{
	nng_socket rep = NNG_SOCKET_INITIALIZER;
	nng_listener l;
	struct net_client *c;
	struct net_completion done;
	char bound[100];
	int port = 0;

	assert_int_equal(nng_rep0_open(&rep), 0);
	assert_int_equal(nng_listen(rep, url, &l, 0), 0);
	snprintf(bound, sizeof(bound), "%s", url);
	if (nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &port) == 0)
		snprintf(bound, sizeof(bound), "tcp://127.0.0.1:%d", port);
	c = new_client(bound, NULL);
	for (int i = 0; i < 100; i++) {
		nng_msg *m = NULL;

		assert_int_equal(net_client_request(c, i % NET_SLOTS, text("question"), PATIENCE_MS), 0);
		while (nng_recvmsg(rep, &m, NNG_FLAG_NONBLOCK) != 0) {
			is_readable(net_client_fd(c), 5);
			assert_false(net_client_next(c, &done));
		}
		assert_bytes((struct bytes){ nng_msg_body(m), nng_msg_len(m) }, "question");
		assert_int_equal(nng_msg_append(m, "?", 1), 0);
		assert_int_equal(nng_sendmsg(rep, m, 0), 0);
		done = await_completion(c);
		assert_int_equal(done.slot, i % NET_SLOTS);
		assert_int_equal(done.status, 0);
		assert_bytes(done.message, "question?");
	}
	net_client_free(&c);
	assert_true(net_close(rep));
}

static void test_nng_rep(void **state)
{
	char dir[64], url[100];

	(void)state;
	with_nng_rep("tcp://127.0.0.1:0");
	temp_dir(dir);
	snprintf(url, sizeof(url), "ipc://%s/s", dir);
	with_nng_rep(url);
	assert_int_equal(rmdir(dir), 0);
}

static void test_nng_req(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	nng_socket req = NNG_SOCKET_INITIALIZER;

	(void)state;
	assert_int_equal(nng_req0_open(&req), 0);
	assert_int_equal(nng_dial(req, net_server_url(s, 0), NULL, 0), 0);
	for (int i = 0; i < 100; i++) {
		nng_msg *m;
		struct net_request *r;

		assert_int_equal(nng_msg_alloc(&m, 0), 0);
		assert_int_equal(nng_msg_append(m, "question", 8), 0);
		assert_int_equal(nng_sendmsg(req, m, 0), 0);
		r = await_request(s);
		assert_bytes(net_request_message(r), "question");
		net_request_reply(s, &r, text("answer"));
		assert_int_equal(nng_recvmsg(req, &m, 0), 0);
		assert_bytes((struct bytes){ nng_msg_body(m), nng_msg_len(m) }, "answer");
		nng_msg_free(m);
	}
	assert_true(net_close(req));
	net_server_free(&s);
}

/* --- peers that do not keep to it ---- */

/* Lets the client do what it does until fd is readable; nothing is reported meanwhile. */
static void run_until(struct net_client *c, int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = net_client_fd(c), .events = POLLIN } };
	struct net_completion done;

	for (;;) {
		assert_true(poll(p, 2, PATIENCE_MS) > 0);
		if (p[0].revents)
			return;
		assert_false(net_client_next(c, &done));
	}
}

static void expect_bytes(struct net_client *c, int fd, void *p, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t r;

		run_until(c, fd);
		r = recv(fd, (uint8_t *)p + got, n - got, 0);
		assert_true(r > 0);
		got += (size_t)r;
	}
}

struct heard {
	uint8_t hello[8], size[8], id[4];
	char text[8];
};

static void hear_question(struct net_client *c, int fd, struct heard *h)
{
	expect_bytes(c, fd, h->size, sizeof(h->size));
	assert_memory_equal(h->size, "\0\0\0\0\0\0\0\x0c", 8);
	expect_bytes(c, fd, h->id, sizeof(h->id));
	assert_true(h->id[0] & 0x80);
	expect_bytes(c, fd, h->text, sizeof(h->text));
	assert_memory_equal(h->text, "question", 8);
}

/* The next connection, and the request "question" on it. */
static int hear(struct net_client *c, int listening, struct heard *h)
{
	int fd;

	run_until(c, listening);
	fd = accept(listening, NULL, NULL);
	assert_true(fd >= 0);
	expect_bytes(c, fd, h->hello, sizeof(h->hello));
	assert_memory_equal(h->hello, "\0SP\0\0\x30\0\0", 8);
	hear_question(c, fd, h);
	return fd;
}

/* The client closes the connection, and comes again with the same request. */
static void expect_hang_up(struct net_client *c, int *fd, int listening)
{
	uint8_t byte;

	run_until(c, *fd);
	assert_true(recv(*fd, &byte, 1, 0) <= 0);
	assert_false(net_client_connected(c));
	close(*fd);
	*fd = hear(c, listening, &(struct heard){ 0 });
}

static void test_bad_peers(void **state)
{
	static const uint8_t hello[] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };
	static const struct { const char *p; size_t n; } streams[] = {
		{ "HTTP/1.1 400 Bad Request\r\n", 26 },
		{ "\0SP\0\0\x30\0\0", 8 },				     /* another who asks */
		{ "\0SP\0\0\x31\0\0\0\0\0\0\0\0\0\3", 16 },		     /* no room for an id */
		{ "\0SP\0\0\x31\0\0\0\0\0\1\0\0\0\0", 16 },		     /* 4 GiB */
		{ "\0SP\0\0\x31\0\0\0\0\0\0\0\0\0\4\0\0\0\1", 20 },	     /* an id that is not of an end */
	};
	struct net_completion done;
	struct net_client *c;
	struct heard h;
	char url[80];
	int listening = bare_listener(url), fd;

	(void)state;
	c = new_client(url, NULL);
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("question"), 0), 0);
	fd = hear(c, listening, &h);
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		assert_int_equal(send(fd, streams[i].p, streams[i].n, MSG_NOSIGNAL), streams[i].n);
		expect_hang_up(c, &fd, listening);
	}
	close(fd); /* in the middle of the hello */
	fd = hear(c, listening, &h);
	assert_int_equal(send(fd, hello, 3, MSG_NOSIGNAL), 3);
	close(fd);
	/* answers to nobody and the same answer twice are passed over; byte by byte is as good as whole */
	fd = hear(c, listening, &h);
	assert_int_equal(send(fd, hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
	for (int i = 0; i < 3; i++) {
		uint8_t answer[14] = { [7] = 6 };

		bytes_copy(answer + 8, h.id, 4);
		answer[11] ^= i == 0; /* of somebody else */
		bytes_copy(answer + 12, i == 1 ? "ok" : "no", 2);
		for (size_t b = 0; b < sizeof(answer); b++)
			assert_int_equal(send(fd, answer + b, 1, MSG_NOSIGNAL), 1);
	}
	done = await_completion(c);
	assert_int_equal(done.status, 0);
	assert_bytes(done.message, "ok");
	for (int i = 0; i < 20; i++) {
		is_readable(net_client_fd(c), 5);
		assert_false(net_client_next(c, &done));
	}
	assert_true(net_client_connected(c));
	close(fd);
	close(listening);
	net_client_free(&c);
}

/* One that takes the connection and the request, and does not even say hello, is given up after ten seconds; not before. */
static void test_silent_peer(void **state)
{
	struct net_client *c;
	struct heard h;
	char url[80];
	int listening = bare_listener(url), fd;
	uint64_t began = clock_mono_us();

	(void)state;
	c = new_client(url, NULL);
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("question"), 0), 0);
	fd = hear(c, listening, &h);
	expect_hang_up(c, &fd, listening);
	assert_true(clock_mono_us() - began >= 9000000);
	close(fd);
	close(listening);
	net_client_free(&c);
}

/* An answer of the largest size, and of one byte more. */
static void test_largest_answer(void **state)
{
	static const uint8_t hello[] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };
	uint8_t *answer = calloc(1, 8 + 4 + LIMIT_MESSAGE + 1);
	struct net_completion done = { 0 };
	struct net_client *c;
	struct heard h;
	char url[80];
	int listening = bare_listener(url), fd;

	(void)state;
	assert_non_null(answer);
	c = new_client(url, NULL);
	for (size_t more = 0; more < 2; more++) {
		uint64_t size = 4 + LIMIT_MESSAGE + more;
		bool got = false, ended = false;
		size_t sent = 0;

		if (!net_client_busy(c, NET_SLOT_EVIDENCE))
			assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("question"), 0), 0);
		if (more == 0)
			fd = hear(c, listening, &h);
		else
			hear_question(c, fd, &h); /* on the same connection */
		for (size_t i = 0; i < 8; i++)
			answer[i] = (uint8_t)(size >> (56 - 8 * i));
		bytes_copy(answer + 8, h.id, 4);
		if (more == 0)
			assert_int_equal(send(fd, hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
		while (!got && !ended) {
			ssize_t n = sent < 8 + size ? send(fd, answer + sent, 8 + size - sent, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
			uint8_t byte;

			sent += n > 0 ? (size_t)n : 0;
			is_readable(net_client_fd(c), 5);
			got = net_client_next(c, &done);
			n = recv(fd, &byte, 1, MSG_DONTWAIT);
			ended = n == 0 || (n < 0 && errno != EAGAIN);
		}
		assert_int_equal(got, more == 0);
		if (got)
			assert_int_equal(done.message.n, LIMIT_MESSAGE);
	}
	assert_true(net_client_busy(c, NET_SLOT_EVIDENCE)); /* it is asked again, elsewhere perhaps */
	close(fd);
	close(listening);
	net_client_free(&c);
	free(answer);
}

/* A connection that ends as it begins, or as the first answer arrives, again and again: nng 1.5.2 could not dial any more after
 * some of these (docs/adr/0008-nng-close.md). */
static void test_ends_as_it_begins(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);

	(void)state;
	for (int i = 0; i < 120; i++) {
		struct net_completion done;
		struct net_request *r;

		if (i % 3 == 0) {
			net_client_free(&c);
			c = new_client(net_server_url(s, 0), NULL);
		}
		assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("x"), PATIENCE_MS), 0);
		r = await_request_of(c, s);
		if (i % 3 == 1)
			net_client_redial(c);
		net_request_reply(s, &r, text("y"));
		if (i % 3 == 1) {
			r = await_request_of(c, s);
			net_request_reply(s, &r, text("y"));
		}
		if (i % 3 == 2) {
			net_client_cancel(c, NET_SLOT_EVIDENCE);
			continue;
		}
		done = await_completion(c);
		assert_int_equal(done.status, 0);
	}
	net_client_free(&c);
	net_server_free(&s);
}

/* A name is looked up; one that nobody has, and an address at which nobody is, are tried for ever. */
static void test_names(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c, *lost[3] = { 0 };
	struct net_completion done;
	char url[80];

	(void)state;
	snprintf(url, sizeof(url), "tcp://localhost:%s", strrchr(net_server_url(s, 0), ':') + 1);
	c = new_client(url, NULL);
	exchange(c, s, "by name", "found");
	net_client_redial(c);
	exchange(c, s, "again", "found");
	net_client_free(&c);
	lost[0] = new_client("tcp://no-such-host.invalid:7900", NULL);
	lost[1] = new_client("tcp6://[::1]:9", NULL);
	lost[2] = new_client("ipc:///nobody/is/there", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(lost); i++)
		assert_int_equal(net_client_request(lost[i], NET_SLOT_EVIDENCE, text("x"), 300), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
		done = await_completion(lost[i]);
		assert_int_equal(done.status, -ETIMEDOUT);
		net_client_free(&lost[i]);
	}
	c = new_client("tcp://no-such-host.invalid:7900", NULL);
	net_client_free(&c); /* while it is looked up */
	net_server_free(&s);
}

static void test_urls(void **state)
{
	static const char *const bad[] = {
		"", "rubbish", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://:7900", "ipc://", "inproc://x", "ws://127.0.0.1:7900/",
		"tls+inproc://x", "tcp://127.0.0.1:70000000",
	};
	struct net_client *c = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int r = net_client_new(&c, bad[i], NULL);

		if (r >= 0)
			fail_msg("taken for an address: %s", bad[i]);
		assert_null(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nng_rep),
		cmocka_unit_test(test_nng_req),
		cmocka_unit_test(test_bad_peers),
		cmocka_unit_test(test_silent_peer),
		cmocka_unit_test(test_largest_answer),
		cmocka_unit_test(test_ends_as_it_begins),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
