/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting with a limit that only a broken program reaches. */
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/net.h"

#define PATIENCE_MS 60000

static inline struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static inline void assert_bytes(struct bytes got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p, want, got.n);
}

static inline bool is_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static inline struct net_completion await_completion(struct net_client *c)
{
	struct net_completion done;

	while (!net_client_next(c, &done))
		assert_true(is_readable(net_client_fd(c), PATIENCE_MS));
	return done;
}

static inline struct net_request *await_request(struct net_server *s)
{
	struct net_request *r;

	while (!(r = net_server_next(s)))
		assert_true(is_readable(net_server_fd(s), PATIENCE_MS));
	return r;
}

/* The same of a client of ours that has nothing to report meanwhile. */
static inline struct net_request *await_request_of(struct net_client *c, struct net_server *s)
{
	struct pollfd p[2] = { { .fd = net_server_fd(s), .events = POLLIN }, { .fd = net_client_fd(c), .events = POLLIN } };
	struct net_completion done;
	struct net_request *r;

	while (!(r = net_server_next(s))) {
		assert_true(poll(p, 2, PATIENCE_MS) > 0);
		assert_false(net_client_next(c, &done));
	}
	return r;
}

static inline void await_connected(struct net_client *c, bool want)
{
	struct net_completion done;

	while (net_client_connected(c) != want) {
		assert_true(is_readable(net_client_fd(c), PATIENCE_MS));
		assert_false(net_client_next(c, &done)); /* only for tests that have no request under way */
	}
}

static inline struct net_server *new_server(const char *url, const struct net_tls *tls)
{
	struct net_server *s = NULL;
	const char *why = NULL;

	assert_int_equal(net_server_new(&s, tls), 0);
	if (net_server_listen(s, url, &why) != 0)
		fail_msg("%s: %s", url, why);
	return s;
}

static inline struct net_client *new_client(const char *url, const struct net_tls *tls)
{
	struct net_client *c = NULL;

	assert_int_equal(net_client_new(&c, url, tls), 0);
	return c;
}

/* One request and its answer. */
static inline void exchange(struct net_client *c, struct net_server *s, const char *question, const char *answer)
{
	struct net_request *r;
	struct net_completion done;

	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text(question), PATIENCE_MS), 0);
	r = await_request_of(c, s);
	assert_bytes(net_request_message(r), question);
	net_request_reply(s, &r, text(answer));
	assert_null(r);
	done = await_completion(c);
	assert_int_equal(done.slot, NET_SLOT_EVIDENCE);
	assert_int_equal(done.status, 0);
	assert_bytes(done.message, answer);
}

/* A bare socket that listens; its address as a URL. */
static inline int bare_listener(char url[80])
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	snprintf(url, 80, "tcp://127.0.0.1:%u", ntohs(sa.sin_port));
	return fd;
}

static inline void temp_dir(char path[64])
{
	snprintf(path, 64, "/tmp/imastream-test.XXXXXX");
	assert_non_null(mkdtemp(path));
}
