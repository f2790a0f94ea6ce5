// SPDX-License-Identifier: Apache-2.0
/* Requests and answers: transports, slots, time-outs, cancelling, lost connections, sizes. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "imastream/limits.h"
#include "unit/net/net_helper.h"

static void echo_over(const char *url, bool has_address)
{
	struct net_server *s = new_server(url, NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	struct net_completion done;
	struct net_request *r;
	char address[80];
	uint64_t sent, received;

	exchange(c, s, "question", "answer!");
	await_connected(c, true);
	assert_int_equal(net_server_connections(s), 1);
	net_client_bytes(c, &sent, &received);
	assert_int_equal(sent, 8);
	assert_int_equal(received, 7);

	assert_int_equal(net_client_request(c, NET_SLOT_WAIT, text("who"), PATIENCE_MS), 0);
	r = await_request_of(c, s);
	assert_true(net_request_peer(r) > 0);
	assert_false(net_request_peer_verified(r));
	net_request_address(r, address, sizeof(address));
	if (has_address)
		assert_memory_equal(address, "127.0.0.1:", 10);
	else
		assert_string_equal(address, "-");
	net_request_reply(s, &r, text(""));
	done = await_completion(c);
	assert_int_equal(done.slot, NET_SLOT_WAIT);
	assert_int_equal(done.message.n, 0);

	/* Idle: nothing wakes either loop. */
	assert_false(net_client_next(c, &done));
	assert_null(net_server_next(s));
	assert_false(is_readable(net_client_fd(c), 0));
	assert_false(is_readable(net_server_fd(s), 0));

	net_client_free(&c);
	assert_null(c);
	net_client_free(&c);
	net_server_free(&s);
	assert_null(s);
	net_server_free(&s);
}

static void test_tcp(void **state)
{
	(void)state;
	echo_over("tcp://127.0.0.1:0", true);
}

static void test_ipc(void **state)
{
	char dir[64], url[100], path[100];
	struct stat st;

	(void)state;
	temp_dir(dir);
	snprintf(url, sizeof(url), "ipc://%s/s", dir);
	snprintf(path, sizeof(path), "%s/s", dir);
	echo_over(url, false);
	assert_int_not_equal(stat(path, &st), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* A server that was killed leaves its socket file behind. */
static void test_ipc_stale_file(void **state)
{
	struct sockaddr_un { sa_family_t family; char path[108]; } sa = { .family = AF_UNIX };
	char dir[64], url[100];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	temp_dir(dir);
	snprintf(url, sizeof(url), "ipc://%s/s", dir);
	snprintf(sa.path, sizeof(sa.path), "%s/s", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	echo_over(url, false);
	assert_int_equal(rmdir(dir), 0);
}

static void test_two_listeners(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *a, *b;
	const char *why = NULL;
	char dir[64], url[100];

	(void)state;
	temp_dir(dir);
	snprintf(url, sizeof(url), "ipc://%s/s", dir);
	assert_int_equal(net_server_listen(s, url, &why), 0);
	assert_string_equal(net_server_url(s, 1), url);
	assert_null(net_server_url(s, 2));
	a = new_client(net_server_url(s, 0), NULL);
	b = new_client(net_server_url(s, 1), NULL);
	exchange(a, s, "a", "A");
	exchange(b, s, "b", "B");
	assert_int_equal(net_server_connections(s), 2);
	net_client_free(&a);
	net_client_free(&b);
	net_server_free(&s);
	assert_int_equal(rmdir(dir), 0);
}

static void test_listen_failures(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL), *other = NULL;
	struct net_client *c = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(net_server_new(&other, NULL), 0);
	assert_int_equal(net_server_listen(other, net_server_url(s, 0), &why), -EADDRINUSE);
	assert_non_null(why);
	assert_true(net_server_listen(other, "no-such-transport://x", &why) < 0);
	assert_true(net_server_listen(other, "", &why) < 0);
	assert_int_equal(net_server_listen(other, "inproc://x", &why), -EOPNOTSUPP); /* a stream cannot be had of it */
	assert_int_equal(net_server_listen(other, "tls+tcp://127.0.0.1:0", &why), -EINVAL);
	assert_null(net_server_url(other, 0));
	assert_int_equal(net_client_new(&c, "tls+tcp://127.0.0.1:1", NULL), -EINVAL);
	assert_true(net_client_new(&c, "rubbish", NULL) < 0);
	assert_null(c);
	for (unsigned int i = 0; i < LIMIT_LISTENERS; i++)
		assert_int_equal(net_server_listen(other, "tcp://127.0.0.1:0", &why), 0);
	assert_int_equal(net_server_listen(other, "tcp://127.0.0.1:0", &why), -E2BIG);
	net_server_free(&other);
	net_server_free(&s);
}

/* The long poll is held while evidence flows through the other slot; then it is answered. */
static void test_held_request(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	struct net_request *held;
	struct net_completion done;

	(void)state;
	assert_int_equal(net_client_request(c, NET_SLOT_WAIT, text("wait"), 0), 0);
	held = await_request_of(c, s);
	for (int i = 0; i < 50; i++)
		exchange(c, s, "evidence", "ack");
	assert_true(net_client_busy(c, NET_SLOT_WAIT));
	assert_false(net_client_busy(c, NET_SLOT_EVIDENCE));
	assert_int_equal(net_client_request(c, NET_SLOT_WAIT, text("again"), 0), -EBUSY);
	net_request_reply(s, &held, text("directive"));
	done = await_completion(c);
	assert_int_equal(done.slot, NET_SLOT_WAIT);
	assert_bytes(done.message, "directive");
	assert_false(net_client_busy(c, NET_SLOT_WAIT));
	net_client_free(&c);
	net_server_free(&s);
}

static void test_timeout(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL), *alone = new_client("ipc:///nobody/is/there", NULL);
	struct net_request *late;
	struct net_completion done;

	(void)state;
	/* nobody listens */
	assert_int_equal(net_client_request(alone, NET_SLOT_EVIDENCE, text("x"), 20), 0);
	done = await_completion(alone);
	assert_int_equal(done.status, -ETIMEDOUT);
	assert_false(net_client_connected(alone));
	net_client_free(&alone);

	/* somebody listens and does not answer; what comes late is not taken for the next answer */
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("slow"), 2000), 0);
	late = await_request_of(c, s);
	done = await_completion(c);
	assert_int_equal(done.status, -ETIMEDOUT);
	assert_int_equal(done.message.n, 0);
	net_request_reply(s, &late, text("too late"));
	exchange(c, s, "next", "right");
	net_client_free(&c);
	net_server_free(&s);
}

static void test_cancel(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	struct net_request *r;
	struct net_completion done;

	(void)state;
	exchange(c, s, "warm", "up");
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("old"), 0), 0);
	r = await_request_of(c, s);
	net_client_cancel(c, NET_SLOT_EVIDENCE);
	assert_false(net_client_busy(c, NET_SLOT_EVIDENCE));
	assert_false(net_client_next(c, &done));
	net_request_reply(s, &r, text("old answer"));
	exchange(c, s, "new", "new answer");

	/* right behind the request, where the send may still be under way */
	for (int i = 0; i < 200; i++) {
		assert_int_equal(net_client_request(c, NET_SLOT_WAIT, text("dropped"), 0), 0);
		net_client_cancel(c, NET_SLOT_WAIT);
		assert_false(net_client_busy(c, NET_SLOT_WAIT));
	}
	net_client_cancel(c, NET_SLOT_WAIT); /* nothing to cancel */
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("kept"), PATIENCE_MS), 0);
	for (;;) {
		r = await_request_of(c, s);
		if (net_request_message(r).n == strlen("kept"))
			break;
		net_request_drop(&r);
		assert_null(r);
	}
	net_request_reply(s, &r, text("fine"));
	done = await_completion(c);
	assert_int_equal(done.slot, NET_SLOT_EVIDENCE);
	assert_bytes(done.message, "fine");
	net_client_free(&c);
	net_server_free(&s);
}

/* Answered, but cancelled before anybody looked. */
static void test_cancel_after_answer(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	struct net_request *r;
	struct net_completion done;

	(void)state;
	exchange(c, s, "warm", "up");
	assert_false(net_client_next(c, &done));
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("q"), 0), 0);
	r = await_request_of(c, s);
	net_request_reply(s, &r, text("a"));
	assert_true(is_readable(net_client_fd(c), PATIENCE_MS));
	net_client_cancel(c, NET_SLOT_EVIDENCE);
	assert_false(net_client_next(c, &done));
	assert_false(is_readable(net_client_fd(c), 0));
	exchange(c, s, "more", "more");
	net_client_free(&c);
	net_server_free(&s);
}

/* The server goes away with a request in its hands; the client sends it to the next one at the same address. */
static void test_server_restart(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c;
	struct net_request *r;
	struct net_completion done;
	char url[80];

	(void)state;
	snprintf(url, sizeof(url), "%s", net_server_url(s, 0));
	c = new_client(url, NULL);
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("pending"), 0), 0);
	r = await_request_of(c, s);
	net_request_drop(&r);
	net_server_free(&s);
	s = new_server(url, NULL);
	r = await_request_of(c, s);
	assert_bytes(net_request_message(r), "pending");
	net_request_reply(s, &r, text("from the second"));
	done = await_completion(c);
	assert_int_equal(done.status, 0);
	assert_bytes(done.message, "from the second");
	net_client_free(&c);
	net_server_free(&s);
}

static void test_connection_state(void **state)
{
	struct net_server *s;
	struct net_client *c;
	char dir[64], url[100];

	(void)state;
	temp_dir(dir);
	snprintf(url, sizeof(url), "ipc://%s/s", dir);
	c = new_client(url, NULL);
	assert_false(net_client_connected(c));
	s = new_server(url, NULL);
	await_connected(c, true);
	net_server_free(&s);
	await_connected(c, false);
	net_client_redial(c); /* nothing to give up */
	net_client_free(&c);
	assert_int_equal(rmdir(dir), 0);
}

static void test_redial(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	struct net_request *first, *second;
	struct net_completion done;

	(void)state;
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("again"), 0), 0);
	first = await_request_of(c, s);
	net_client_redial(c);
	second = await_request_of(c, s);
	assert_bytes(net_request_message(second), "again");
	assert_int_not_equal(net_request_peer(first), net_request_peer(second));
	net_request_reply(s, &first, text("into the void"));
	net_request_reply(s, &second, text("heard"));
	done = await_completion(c);
	assert_bytes(done.message, "heard");
	net_client_free(&c);
	net_server_free(&s);
}

static void test_size_limit(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	uint8_t *big = malloc(LIMIT_MESSAGE + 1);
	struct net_request *r;
	struct net_completion done;

	(void)state;
	assert_non_null(big);
	for (size_t i = 0; i <= LIMIT_MESSAGE; i++)
		big[i] = (uint8_t)(i * 7 >> 3);
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, (struct bytes){ big, LIMIT_MESSAGE + 1 }, 0), -EMSGSIZE);
	assert_false(net_client_busy(c, NET_SLOT_EVIDENCE));
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, (struct bytes){ big, LIMIT_MESSAGE }, 0), 0);
	r = await_request_of(c, s);
	assert_int_equal(net_request_message(r).n, LIMIT_MESSAGE);
	assert_memory_equal(net_request_message(r).p, big, LIMIT_MESSAGE);
	net_request_reply(s, &r, (struct bytes){ big, LIMIT_MESSAGE });
	done = await_completion(c);
	assert_int_equal(done.status, 0);
	assert_int_equal(done.message.n, LIMIT_MESSAGE);
	assert_memory_equal(done.message.p, big, LIMIT_MESSAGE);
	free(big);
	net_client_free(&c);
	net_server_free(&s);
}

/* A peer that is not ours: the handshake and one frame of nng's TCP mapping (nng_tcp(7): "\0SP\0", protocol number,
 * then 64-bit length and bytes). */
static int raw_connect(const struct net_server *s)
{
	static const uint8_t hello[8] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
	uint8_t answer[8];
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), port = atoi(strrchr(net_server_url(s, 0), ':') + 1);

	sa.sin_port = htons((uint16_t)port);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(send(fd, hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
	assert_int_equal(recv(fd, answer, sizeof(answer), MSG_WAITALL), sizeof(answer));
	return fd;
}

static void raw_announce(int fd, uint64_t size)
{
	uint8_t be[8];

	for (size_t i = 8; i > 0; i--, size >>= 8)
		be[i - 1] = (uint8_t)size;
	assert_int_equal(send(fd, be, sizeof(be), MSG_NOSIGNAL), sizeof(be));
}

static void test_foreign_oversize(void **state)
{
	static const uint64_t sizes[] = { LIMIT_MESSAGE + 65, UINT64_C(1) << 40, UINT64_MAX };
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	uint8_t byte;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int fd = raw_connect(s);
		ssize_t n;

		raw_announce(fd, sizes[i]);
		n = recv(fd, &byte, 1, 0);
		assert_true(n == 0 || (n < 0 && errno == ECONNRESET)); /* closed: no buffer of that size was made */
		close(fd);
	}
	exchange(c, s, "others", "go on");
	net_client_free(&c);
	net_server_free(&s);
}

/* No request id, or rubbish where the return address should be. */
static void test_foreign_rubbish(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	uint8_t bytes[64];
	int fd = raw_connect(s), other = raw_connect(s);

	(void)state;
	memset(bytes, 0x7f, sizeof(bytes)); /* no end of the hop list */
	raw_announce(fd, sizeof(bytes));
	assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
	raw_announce(other, 2);
	assert_int_equal(send(other, bytes, 2, MSG_NOSIGNAL), 2);
	exchange(c, s, "others", "go on");
	close(fd);
	close(other);
	net_client_free(&c);
	net_server_free(&s);
}

static void test_freed_with_work(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL), *d = new_client("tcp://127.0.0.1:9", NULL);
	struct net_completion done;

	(void)state;
	/* pending, unanswered, unread, unsent: nothing leaks (ASan) and nothing hangs */
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("one"), 0), 0);
	assert_int_equal(net_client_request(c, NET_SLOT_WAIT, text("two"), 0), 0);
	assert_int_equal(net_client_request(d, NET_SLOT_WAIT, text("three"), 0), 0);
	while (!is_readable(net_server_fd(s), 0)) {
		is_readable(net_client_fd(c), 20);
		assert_false(net_client_next(c, &done));
	}
	net_server_free(&s);
	net_client_free(&c);
	net_client_free(&d);
}

static void test_answered_and_unread(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	struct net_request *r;

	(void)state;
	await_connected(c, true);
	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("one"), 0), 0);
	r = await_request_of(c, s);
	net_request_reply(s, &r, text("unread"));
	assert_true(is_readable(net_client_fd(c), PATIENCE_MS));
	net_client_free(&c);
	net_server_free(&s);
}

static void test_many_requests(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *c = new_client(net_server_url(s, 0), NULL);
	unsigned int started = 0, done_count = 0;
	char question[NET_SLOTS][32];

	(void)state;
	while (done_count < 4000) {
		struct net_completion done;
		struct net_request *r;

		for (unsigned int i = 0; i < NET_SLOTS; i++) {
			if (net_client_busy(c, i))
				continue;
			snprintf(question[i], sizeof(question[i]), "%u-%u", i, started++);
			assert_int_equal(net_client_request(c, i, text(question[i]), PATIENCE_MS), 0);
		}
		while ((r = net_server_next(s))) {
			char copy[32];
			struct bytes m = net_request_message(r);

			assert_true(m.n < sizeof(copy));
			bytes_copy(copy, m.p, m.n);
			net_request_reply(s, &r, (struct bytes){ (uint8_t *)copy, m.n });
		}
		while (net_client_next(c, &done)) {
			assert_int_equal(done.status, 0);
			assert_bytes(done.message, question[done.slot]);
			done_count++;
		}
	}
	net_client_free(&c);
	net_server_free(&s);
}

/* Whose connection is still there: what a verifier asks before it lets a newcomer wait for an older session. */
static void test_request_open(void **state)
{
	struct net_server *s = new_server("tcp://127.0.0.1:0", NULL);
	struct net_client *gone = new_client(net_server_url(s, 0), NULL), *here = new_client(net_server_url(s, 0), NULL);
	struct net_request *of_gone, *of_here;
	int waited = 0;

	(void)state;
	assert_int_equal(net_client_request(gone, NET_SLOT_WAIT, text("gone"), PATIENCE_MS), 0);
	of_gone = await_request_of(gone, s);
	assert_int_equal(net_client_request(here, NET_SLOT_WAIT, text("here"), PATIENCE_MS), 0);
	of_here = await_request_of(here, s);
	assert_true(net_request_open(of_gone));
	assert_true(net_request_open(of_here));
	net_client_free(&gone);
	while (net_request_open(of_gone)) {
		assert_true(waited++ < PATIENCE_MS / 10);
		poll(NULL, 0, 10);
	}
	assert_bytes(net_request_message(of_gone), "gone"); /* it may still be looked at, and dropped */
	net_request_drop(&of_gone);
	assert_true(net_request_open(of_here));
	net_request_drop(&of_here);
	net_client_free(&here);
	net_server_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_ipc),
		cmocka_unit_test(test_ipc_stale_file),
		cmocka_unit_test(test_two_listeners),
		cmocka_unit_test(test_listen_failures),
		cmocka_unit_test(test_held_request),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_after_answer),
		cmocka_unit_test(test_server_restart),
		cmocka_unit_test(test_connection_state),
		cmocka_unit_test(test_redial),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_foreign_oversize),
		cmocka_unit_test(test_foreign_rubbish),
		cmocka_unit_test(test_freed_with_work),
		cmocka_unit_test(test_answered_and_unread),
		cmocka_unit_test(test_many_requests),
		cmocka_unit_test(test_request_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
