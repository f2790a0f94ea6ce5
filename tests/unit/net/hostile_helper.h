/* SPDX-License-Identifier: Apache-2.0 */
/* Peers without nng, and a program that answers all it gets. */
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "net/server.h"
#include "unit/net/net_helper.h"

static const uint8_t hello[SP_HELLO_SIZE] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };

struct desk { /* a program that answers all it gets */
	struct net_server *server;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint served;
	char url[80];
	struct sockaddr_in address;
};

static inline void *answer_all(void *arg)
{
	struct desk *d = arg;

	while (!atomic_load(&d->stop)) {
		struct net_request *r = net_server_next(d->server);
		uint8_t copy[256] = { 0 };
		size_t n;

		if (!r) {
			is_readable(net_server_fd(d->server), 50);
			continue;
		}
		n = MIN(net_request_message(r).n, sizeof(copy));
		bytes_copy(copy, net_request_message(r).p, n);
		net_request_reply(d->server, &r, (struct bytes){ copy, n });
		atomic_fetch_add(&d->served, 1);
	}
	return NULL;
}

static inline void desk_address(struct desk *d)
{
	snprintf(d->url, sizeof(d->url), "%s", net_server_url(d->server, 0));
	d->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	d->address.sin_port = htons((uint16_t)atoi(strrchr(d->url, ':') + 1));
}

static inline void desk_prepare(struct desk *d)
{
	*d = (struct desk){ 0 };
	assert_int_equal(net_server_new(&d->server, NULL), 0);
	assert_int_equal(d->server->max_connections, LIMIT_SERVER_CONNECTIONS);
	assert_int_equal(d->server->patience_us, LIMIT_SERVER_PATIENCE_MS * 1000);
}

static inline void desk_listen(struct desk *d)
{
	const char *why;

	assert_int_equal(net_server_listen(d->server, "tcp://127.0.0.1:0", &why), 0);
	desk_address(d);
}

static inline void desk_open(struct desk *d)
{
	desk_prepare(d);
	desk_listen(d);
	assert_int_equal(pthread_create(&d->thread, NULL, answer_all, d), 0);
}

static inline void desk_close(struct desk *d)
{
	atomic_store(&d->stop, true);
	pthread_join(d->thread, NULL);
	net_server_free(&d->server);
}

static inline unsigned int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline void await_connections(struct net_server *s, unsigned int n)
{
	for (int i = 0; i < PATIENCE_MS && net_server_connections(s) != n; i++)
		usleep(1000);
	assert_int_equal(net_server_connections(s), n);
}

static inline void await_descriptors(unsigned int n)
{
	for (int i = 0; i < PATIENCE_MS / 10 && open_descriptors() != n; i++)
		usleep(10000);
	assert_int_equal(open_descriptors(), n);
}

static inline int dial(const struct desk *d)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&d->address, sizeof(d->address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline void say(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

static inline int greet(const struct desk *d)
{
	uint8_t theirs[SP_HELLO_SIZE];
	int fd = dial(d);

	assert_true(fd >= 0);
	say(fd, hello, sizeof(hello));
	assert_int_equal(recv(fd, theirs, sizeof(theirs), MSG_WAITALL), sizeof(theirs));
	assert_memory_equal(theirs, "\0SP\0\0\x31\0\0", sizeof(theirs));
	return fd;
}

static inline void reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static inline void add_request(struct writer *w, uint32_t id, size_t payload)
{
	write_u64be(w, 4 + payload);
	write_u32be(w, 0x80000000u | id);
	for (size_t i = 0; i < payload; i++)
		write_u8(w, 'x');
}

/* The server has closed: nothing more comes, at last. */
static inline void assert_closed(int fd)
{
	uint8_t bytes[4096];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof(bytes), 0);
	while (n > 0);
	assert_true(n == 0 || errno == ECONNRESET);
	close(fd);
}

/* A normal client is served. */
static inline void assert_serves(const struct desk *d)
{
	struct net_client *c = new_client(d->url, NULL);
	struct net_completion done;

	assert_int_equal(net_client_request(c, NET_SLOT_EVIDENCE, text("hello"), PATIENCE_MS), 0);
	done = await_completion(c);
	assert_int_equal(done.status, 0);
	assert_bytes(done.message, "hello");
	net_client_free(&c);
}

/* nng's own threads and descriptors exist before anybody counts. */
static inline int warm_up(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	assert_serves(&d);
	desk_close(&d);
	return 0;
}
