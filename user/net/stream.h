/* SPDX-License-Identifier: Apache-2.0 */
/* A non-blocking socket, with TLS or without: bytes in and out, for both ends. */
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include "base/common.h"

struct stream {
	int fd;		 /* owned; -1: none */
	SSL *ssl;	 /* owned; NULL: no TLS */
	bool want_write; /* set when something waits for room in the socket; the owner clears it before it tries again */
};

/* As recv(): bytes, 0 at the end, negative errno; -EAGAIN: nothing now. */
must_use_ ssize_t stream_recv(struct stream *s, void *p, size_t n);
/* Sends what is behind the first *sent bytes, and counts on. 1: all is sent; 0: later; negative errno. What has begun must be sent
 * whole, with these bytes. */
must_use_ int stream_send_rest(struct stream *s, struct bytes b, size_t *sent);
void stream_close(struct stream *s);
