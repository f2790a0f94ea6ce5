/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of user/net; nothing else includes it. */
#pragma once

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>

#include "imastream/limits.h"
#include "net/net.h"

/* Of TLS 1.2: only what signs. The keeper decrypts for nobody, and what was recorded stays secret when a key is lost. */
#define NET_TLS_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* A result of nng as a negative errno; 0 stays 0. */
int net_error(int result);

/* What our TCP sockets have: no delay, and keep-alive, so that a peer that is gone is noticed. */
void net_tcp_options(int fd);

/* For cleanup_(). */
static inline void net_url_cleanup(nng_url **url)
{
	if (*url)
		nng_url_free(*url);
}

/* true for tls+tcp:// URLs. */
bool net_url_is_tls(const char *url);

/* ---- tls_engine.c ---- */
/* Makes OpenSSL nng's TLS. Before the first TLS listener or dialer is made; any number of times. */
must_use_ int net_tls_engine(void);
/* Certificates as PEM text; the key as PEM text, or in a keeper (NULL: none). */
must_use_ int net_tls_own_cert(nng_tls_config *config, const char *cert, const char *key, struct keeper *keeper);

/* Opens a listener on s (NULL tls: none). On failure *why says what was wrong; on success *url is the URL with the port
 * that was bound, to be freed by the caller. */
must_use_ int net_listen(nng_socket s, const char *url, const struct net_tls *tls, char **bound_url, const char **why);

/* Closes s and waits until no callback of it can run any more. false: nng did not end (a mistake of its own, see
 * close.c); then callbacks may still run, so what they use must stay: the caller leaks it. */
must_use_ bool net_close(nng_socket s);
