// SPDX-License-Identifier: Apache-2.0
#include "net/stream.h"

#include <sys/socket.h>

#include "base/buf.h"
#include "net/stream_tls.h"

ssize_t stream_recv(struct stream *s, void *p, size_t n)
{
	ssize_t r;

	if (s->ssl)
		return stream_tls_recv(s->ssl, p, n, &s->want_write);
	do
		r = recv(s->fd, p, n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t stream_send(struct stream *s, struct bytes b)
{
	ssize_t r;

	if (s->ssl)
		return stream_tls_send(s->ssl, b.p, b.n, &s->want_write);
	do
		r = send(s->fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return r;
	s->want_write |= errno == EAGAIN;
	return -errno;
}

int stream_send_rest(struct stream *s, struct bytes b, size_t *sent)
{
	while (*sent < b.n) {
		struct reader rest = reader_of(b);
		ssize_t n;

		read_bytes(&rest, *sent);
		n = stream_send(s, read_rest(&rest));
		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return (int)n;
		*sent += (size_t)n;
	}
	return 1;
}

void stream_close(struct stream *s)
{
	stream_tls_free(&s->ssl);
	fd_cleanup(&s->fd);
	s->want_write = false;
}
