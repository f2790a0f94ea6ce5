/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on a non-blocking socket, by OpenSSL, for both ends; never blocks. OpenSSL writes with write(): SIGPIPE must be ignored or
 * blocked in the thread that calls. */
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include "net/net.h"

/* A configuration; -EINVAL when a file is missing, holds no PEM, or key and certificate are not a pair. Of TLS 1.2 only what signs
 * (NET_TLS_CIPHERS). Released with SSL_CTX_free(). */
must_use_ int stream_tls_server(SSL_CTX **out, const struct net_tls *tls);
must_use_ int stream_tls_client(SSL_CTX **out, const struct net_tls *tls);
/* One end on fd; fd stays the caller's. A client expects a certificate for `name`, a host name or an address. */
must_use_ int stream_tls_accept(SSL **out, SSL_CTX *ctx, int fd);
must_use_ int stream_tls_connect(SSL **out, SSL_CTX *ctx, int fd, const char *name);
/* Whom the certificate must be for: an address as an IP entry, all else as a DNS entry, which is also told to the server
 * (RFC 6066, section 3: addresses are not). The subject's common name is nobody's name (RFC 9525, section 2). */
must_use_ bool net_tls_expect(SSL *ssl, const char *name);

/* 1: done; 0: later (*want_write: when there is room in the socket); negative errno: give up. */
must_use_ int stream_tls_handshake(SSL *ssl, bool *want_write);
bool stream_tls_peer_verified(SSL *ssl);
/* As recv() and send(): bytes, 0 (end, recv only), negative errno. -EAGAIN: later, as above. */
must_use_ ssize_t stream_tls_recv(SSL *ssl, void *p, size_t n, bool *want_write);
must_use_ ssize_t stream_tls_send(SSL *ssl, const void *p, size_t n, bool *want_write);
void stream_tls_free(SSL **ssl);
