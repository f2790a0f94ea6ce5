/* SPDX-License-Identifier: Apache-2.0 */
/* What a client needs to speak TLS, for all its connections: certificates, the key or its keeper, the server's name. */
#pragma once

#include "net/stream_tls.h"

struct client_tls {
	SSL_CTX *ctx;
	struct net_tls files; /* the texts are ours; server_name is there */
};

/* -EINVAL: as stream_tls_client(), or no name that a server could have. */
must_use_ int client_tls_init(struct client_tls *t, const struct net_tls *tls, const char *url_host);
/* Reads the files again: certificates may be others by now. What is wrong with them at this moment is no reason to give up what
 * worked. */
void client_tls_renew(struct client_tls *t);
void client_tls_free(struct client_tls *t);
