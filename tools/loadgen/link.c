// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "imastream/limits.h"

#define HELLO_SIZE 8u
#define HEAD_SIZE 12u /* size, request id */
#define ID_LAST 0x80000000u
#define READ_SIZE 65536u

static ssize_t stream_send(struct link *l, const void *p, size_t n)
{
	ssize_t r = l->ssl ? SSL_write(l->ssl, p, (int)n) : send(l->fd, p, n, MSG_NOSIGNAL);

	if (r > 0)
		return r;
	if (!l->ssl)
		return -errno;
	return SSL_get_error(l->ssl, (int)r) == SSL_ERROR_WANT_WRITE ? -EAGAIN : -EPIPE;
}

static ssize_t stream_recv(struct link *l, void *p, size_t n)
{
	ssize_t r = l->ssl ? SSL_read(l->ssl, p, (int)n) : recv(l->fd, p, n, 0);

	if (r > 0)
		return r;
	if (!l->ssl)
		return r == 0 ? -ECONNRESET : -errno;
	return SSL_get_error(l->ssl, (int)r) == SSL_ERROR_WANT_READ ? -EAGAIN : -ECONNRESET;
}

static int shake_hands(struct link *l, SSL_CTX *tls)
{
	if (!tls)
		return 0;
	l->ssl = SSL_new(tls);
	if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1)
		return -ENOMEM;
	if (SSL_connect(l->ssl) != 1) {
		ERR_clear_error();
		return -EPROTO;
	}
	return 0;
}

static int say_hello(struct link *l)
{
	static const uint8_t ours[HELLO_SIZE] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 }, theirs[HELLO_SIZE] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };
	uint8_t hello[HELLO_SIZE];
	size_t n = 0;

	if (stream_send(l, ours, sizeof(ours)) != (ssize_t)sizeof(ours))
		return -EPIPE;
	while (n < sizeof(hello)) {
		ssize_t r = stream_recv(l, hello + n, sizeof(hello) - n);

		if (r < 0)
			return (int)r;
		n += (size_t)r;
	}
	return bytes_equal(hello, theirs, sizeof(hello)) ? 0 : -EPROTO;
}

int link_open(struct link *l, const struct sockaddr_in *to, SSL_CTX *tls)
{
	int one = 1, r;

	*l = (struct link){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .out = WRITER(64u << 20),
			    .in = WRITER(LIMIT_MESSAGE + HEAD_SIZE + READ_SIZE) };
	if (l->fd < 0)
		return -errno;
	if (connect(l->fd, (const struct sockaddr *)to, sizeof(*to)) < 0 ||
	    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		r = -errno;
	else
		r = shake_hands(l, tls);
	if (r == 0)
		r = say_hello(l);
	if (r == 0 && fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r < 0)
		link_close(l);
	return r;
}

void link_close(struct link *l)
{
	SSL_free(l->ssl);
	l->ssl = NULL;
	fd_cleanup(&l->fd);
	writer_free(&l->out);
	writer_free(&l->in);
}

int link_flush(struct link *l)
{
	l->want_write = false;
	while (l->out_sent < l->out.n) {
		struct reader rest = reader_of(writer_view(&l->out));
		struct bytes b;
		ssize_t r;

		(void)read_bytes(&rest, l->out_sent);
		b = read_rest(&rest);
		r = stream_send(l, b.p, b.n);
		if (r == -EAGAIN) {
			l->want_write = true;
			return 0;
		}
		if (r < 0)
			return (int)r;
		l->out_sent += (size_t)r;
	}
	writer_free(&l->out); /* thousands of connections, few with something to say */
	l->out = WRITER(64u << 20);
	l->out_sent = 0;
	return 0;
}

int link_send(struct link *l, uint32_t id, struct bytes message)
{
	write_u64be(&l->out, message.n + 4u);
	write_u32be(&l->out, id | ID_LAST);
	write_bytes(&l->out, message.p, message.n);
	if (writer_status(&l->out) < 0)
		return writer_status(&l->out);
	return l->want_write ? 0 : link_flush(l);
}

/* Takes whole answers off the front of b; the rest is kept. */
static int take_answers(struct link *l, struct bytes b, link_answer_fn fn, void *user)
{
	struct reader r = reader_of(b);

	while (reader_left(&r) >= HEAD_SIZE) {
		struct reader next = r;
		uint64_t size = read_u64be(&next);
		uint32_t id = read_u32be(&next);

		if (size < 4 || size > LIMIT_MESSAGE + 4u)
			return -EPROTO;
		if (reader_left(&next) < size - 4)
			break;
		fn(user, l, id & ~ID_LAST, read_bytes(&next, (size_t)size - 4));
		r = next;
	}
	b = read_rest(&r);
	if (b.n && b.p != l->in.p) {
		struct writer rest = WRITER(LIMIT_MESSAGE + HEAD_SIZE + READ_SIZE);

		write_bytes(&rest, b.p, b.n);
		writer_free(&l->in);
		l->in = rest;
		return writer_status(&l->in);
	}
	if (!b.n)
		writer_free(&l->in);
	l->in.max = LIMIT_MESSAGE + HEAD_SIZE + READ_SIZE;
	return 0;
}

int link_read(struct link *l, link_answer_fn fn, void *user)
{
	static uint8_t scratch[READ_SIZE];
	ssize_t n;

	do {
		int r;

		n = stream_recv(l, scratch, sizeof(scratch));
		if (n < 0)
			break;
		if (l->in.n) {
			write_bytes(&l->in, scratch, (size_t)n);
			r = writer_status(&l->in);
			if (r == 0)
				r = take_answers(l, writer_view(&l->in), fn, user);
		} else {
			r = take_answers(l, (struct bytes){ scratch, (size_t)n }, fn, user);
		}
		if (r < 0)
			return r;
	} while (l->ssl || n == (ssize_t)sizeof(scratch));
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}
