// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include "lib/allocator.h"
#include "unit/net/net_helper.h"

static struct bytes await_event(struct net_sub *s)
{
	struct bytes b;

	while (!net_sub_next(s, &b))
		assert_true(is_readable(net_sub_fd(s), PATIENCE_MS));
	return b;
}

static void await_sub(struct net_sub *s, bool want)
{
	struct bytes b;

	while (net_sub_connected(s) != want) {
		assert_true(is_readable(net_sub_fd(s), PATIENCE_MS));
		while (net_sub_next(s, &b))
			assert_bytes(b, "first");
	}
}

static struct net_sub *new_sub(const char *url)
{
	struct net_sub *s = NULL;

	assert_int_equal(net_sub_new(&s, url, NULL), 0);
	await_sub(s, true);
	return s;
}

/* A subscription reaches the publisher's nng by itself, a little later than the connection: send until it is there. */
static void first_event(struct net_pub *p, struct net_sub *s)
{
	struct bytes b;

	for (;;) {
		net_pub_send(p, text("first"));
		if (is_readable(net_sub_fd(s), 50) && net_sub_next(s, &b))
			return;
	}
}

static void test_events(void **state)
{
	const char *why = NULL;
	struct net_pub *p = NULL;
	struct net_sub *a, *b;
	struct bytes event;

	(void)state;
	assert_int_equal(net_pub_new(&p, "tcp://127.0.0.1:0", NULL, &why), 0);
	a = new_sub(net_pub_url(p));
	b = new_sub(net_pub_url(p));
	first_event(p, a);
	first_event(p, b);
	net_pub_send(p, text("{\"event\":1}"));
	do
		event = await_event(a);
	while (event.n == strlen("first"));
	assert_bytes(event, "{\"event\":1}");
	do
		event = await_event(b);
	while (event.n == strlen("first"));
	assert_bytes(event, "{\"event\":1}");
	assert_false(net_sub_next(a, &event));
	assert_false(is_readable(net_sub_fd(a), 0));

	/* 200 at once, in order */
	for (int i = 0; i < 200; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %d", i);
		net_pub_send(p, text(line));
	}
	for (int i = 0; i < 200; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %d", i);
		assert_bytes(await_event(a), line);
	}
	net_sub_free(&a);
	net_sub_free(&a);
	/* nobody reads b: the publisher goes on */
	for (int i = 0; i < 20000; i++)
		net_pub_send(p, text("flood"));
	net_pub_free(&p);
	net_pub_free(&p);
	net_sub_free(&b);
}

static void test_publisher_restart(void **state)
{
	const char *why = NULL;
	struct net_pub *p = NULL;
	struct net_sub *s;
	char url[80];

	(void)state;
	assert_int_equal(net_pub_new(&p, "tcp://127.0.0.1:0", NULL, &why), 0);
	snprintf(url, sizeof(url), "%s", net_pub_url(p));
	s = new_sub(url);
	first_event(p, s); /* nng 1.5.2 does not survive a connection that ends as it begins (user/net/close.c) */
	net_pub_free(&p);
	await_sub(s, false);
	assert_int_equal(net_pub_new(&p, url, NULL, &why), 0);
	await_sub(s, true);
	first_event(p, s);
	net_sub_free(&s);
	net_pub_free(&p);
}

/* --- publishers that do not keep to the protocol ---- */

#define HELLO "\0SP\0\0\x20\0"

/* The next connection of s, whose hello is right. */
static int accept_sub(struct net_sub *s, int listening)
{
	struct pollfd p[2] = { { .fd = listening, .events = POLLIN }, { .fd = net_sub_fd(s), .events = POLLIN } };
	uint8_t hello[8];
	struct bytes b;
	int fd;

	while (assert_true(poll(p, 2, PATIENCE_MS) > 0), !p[0].revents)
		assert_false(net_sub_next(s, &b));
	fd = accept(listening, NULL, NULL);
	assert_true(fd >= 0);
	p[0].fd = fd;
	while (assert_true(poll(p, 2, PATIENCE_MS) > 0), !p[0].revents)
		assert_false(net_sub_next(s, &b));
	assert_int_equal(recv(fd, hello, sizeof(hello), MSG_WAITALL), sizeof(hello));
	assert_memory_equal(hello, "\0SP\0\0\x21\0\0", 8);
	return fd;
}

static void say(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

static void test_bad_publishers(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{ "HTTP/1.1 400 Bad Request\r\n", 26 },
		{ "\0SP\0\0\x30\0\0", 8 },						/* REQ */
		{ "\0SP\0\0\x21\0\0", 8 },						/* another subscriber */
		{ HELLO "\0\xff\xff\xff\xff\xff\xff\xff\xff", 16 },			/* 2^64 - 1 bytes */
		{ HELLO "\0\0\0\0\0\x7f\xff\xff\xff", 16 },			/* 2 GiB */
	};
	struct net_sub *s = NULL;
	struct bytes b;
	char url[80];
	int listening = bare_listener(url), fd;

	(void)state;
	assert_int_equal(net_sub_new(&s, url, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pollfd p[2] = { { .events = POLLIN }, { .fd = net_sub_fd(s), .events = POLLIN } };
		uint8_t byte;

		fd = accept_sub(s, listening);
		say(fd, bad[i].bytes, bad[i].n);
		p[0].fd = fd;
		while (assert_true(poll(p, 2, PATIENCE_MS) > 0), !p[0].revents)
			assert_false(net_sub_next(s, &b));
		assert_true(recv(fd, &byte, 1, 0) <= 0); /* it hangs up */
		assert_false(net_sub_connected(s));
		close(fd);
	}

	/* an empty event, one in three pieces, and the beginning of one, which is lost with the connection */
	fd = accept_sub(s, listening);
	say(fd, HELLO "\0\0\0\0\0\0\0\0\0\0\0\0", 19);
	assert_bytes(await_event(s), "");
	say(fd, "\0\0\0\0\3ab", 7);
	while (is_readable(net_sub_fd(s), 20))
		assert_false(net_sub_next(s, &b));
	say(fd, "c\0\0\0\0\0\0\0\7half", 13);
	assert_bytes(await_event(s), "abc");
	close(fd);
	await_sub(s, false);
	fd = accept_sub(s, listening);
	say(fd, HELLO "\0\0\0\0\0\0\0\0\5whole", 21);
	assert_bytes(await_event(s), "whole");
	close(fd);
	net_sub_free(&s);
	close(listening);
}

/* Sends pieces, each a number, until the socket takes no more: the last one may be cut. */
static void fill(int fd, size_t *sent_bytes, size_t end)
{
	while (*sent_bytes < end) {
		uint8_t piece[12] = { [7] = 4 };
		uint32_t n = htonl((uint32_t)(*sent_bytes / sizeof(piece)));
		size_t of = *sent_bytes % sizeof(piece);
		ssize_t r;

		memcpy(piece + 8, &n, sizeof(n));
		r = send(fd, piece + of, sizeof(piece) - of, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0)
			return;
		*sent_bytes += (size_t)r;
	}
}

/* What nobody takes stays in the sockets' buffers: one turn's worth at most is in memory. All of it comes, in order. */
static void test_flood(void **state)
{
	enum { EVENTS = 400000, SIZE = 12, TURN_MEMORY = 8 << 20, BUFFER = 8192 };
	const int buffer = BUFFER;
#ifdef TEST_LIBC_MALLOC
	const size_t memory = mallinfo2().uordblks;
#endif
	struct net_sub *s = NULL;
	size_t sent = 0, taken = 0, before;
	struct bytes b;
	char url[80];
	int listening = bare_listener(url), fd;

	(void)state;
	assert_int_equal(setsockopt(listening, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
	assert_int_equal(net_sub_new(&s, url, NULL), 0);
	fd = accept_sub(s, listening);
	say(fd, HELLO "\0", 8);
	for (;;) { /* nothing is taken: it ends, and long before all is sent */
		before = sent;
		fill(fd, &sent, EVENTS * SIZE);
		if (sent == before && sent > 0)
			break;
		usleep(20000);
	}
	assert_true(sent < EVENTS * SIZE / 2);
	while (taken < EVENTS) {
		fill(fd, &sent, EVENTS * SIZE);
		assert_true(is_readable(net_sub_fd(s), PATIENCE_MS));
		for (size_t here = 0; net_sub_next(s, &b); here++) {
			uint32_t n = htonl((uint32_t)taken);

			assert_int_equal(b.n, sizeof(n));
			assert_memory_equal(b.p, &n, sizeof(n));
			taken++;
#ifdef TEST_LIBC_MALLOC
			if (here == 0) /* the rest of this turn waits in memory */
				assert_true(mallinfo2().uordblks < memory + TURN_MEMORY);
#endif
		}
	}
	assert_int_equal(sent, EVENTS * SIZE);
	close(fd);
	close(listening);
	net_sub_free(&s);
}

/* As many subscribers as come and go: nothing is left of them. */
static void test_sub_lifetimes(void **state)
{
	const char *why = NULL;
	struct net_pub *p = NULL;
	char dir[64], place[100];

	(void)state;
	temp_dir(dir);
	snprintf(place, sizeof(place), "ipc://%s/p", dir);
	assert_int_equal(net_pub_new(&p, place, NULL, &why), 0);
	for (int i = 0; i < 20; i++) {
		struct net_sub *s = new_sub(place);

		first_event(p, s);
		net_sub_free(&s);
	}
	net_pub_free(&p);
	assert_int_equal(rmdir(dir), 0);
}

static void test_failures(void **state)
{
	const char *why = NULL;
	struct net_pub *p = NULL, *q = NULL;
	struct net_sub *s = NULL;

	(void)state;
	assert_int_equal(net_pub_new(&p, "tcp://127.0.0.1:0", NULL, &why), 0);
	assert_int_equal(net_pub_new(&q, net_pub_url(p), NULL, &why), -EADDRINUSE);
	assert_non_null(why);
	assert_true(net_pub_new(&q, "rubbish", NULL, &why) < 0);
	assert_int_equal(net_pub_new(&q, "tls+tcp://127.0.0.1:0", NULL, &why), -EINVAL);
	assert_null(q);
	assert_true(net_sub_new(&s, "rubbish", NULL) < 0);
	assert_int_equal(net_sub_new(&s, "tls+tcp://127.0.0.1:1", NULL), -EINVAL);
	assert_null(s);
	net_pub_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_publisher_restart),
		cmocka_unit_test(test_bad_publishers),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_sub_lifetimes),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
