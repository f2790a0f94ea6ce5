/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to a verifier, the REQ side of nng's protocol (user/net/server_frame.h has its bytes), for any number of
 * attesters: a request's id says whose it is. Many connections in one thread, which nng's sockets could not be. */
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include "base/buf.h"

struct link {
	int fd;
	SSL *ssl; /* NULL: none */
	struct writer out, in; /* not sent yet; not whole yet */
	size_t out_sent;
	bool want_write;
};

/* Connects, shakes hands, says hello; waits for each. 0 or negative errno. */
must_use_ int link_open(struct link *l, const struct sockaddr_in *to, SSL_CTX *tls);
void link_close(struct link *l);
/* Sends a request, or as much of it as the socket takes; the rest with link_flush(). */
must_use_ int link_send(struct link *l, uint32_t id, struct bytes message);
must_use_ int link_flush(struct link *l);
/* Reads what is there; calls back for each whole answer. 0 or negative errno (-ECONNRESET: the end). */
typedef void (*link_answer_fn)(void *user, struct link *l, uint32_t id, struct bytes message);
must_use_ int link_read(struct link *l, link_answer_fn fn, void *user);
