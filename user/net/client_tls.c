// SPDX-License-Identifier: Apache-2.0
#include "net/client_tls.h"

#include <openssl/tls1.h>

static int copy_text(const char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return text && !*out ? -ENOMEM : 0;
}

int client_tls_init(struct client_tls *t, const struct net_tls *tls, const char *url_host)
{
	const char *name = tls && tls->server_name ? tls->server_name : url_host;
	int r = stream_tls_client(&t->ctx, tls);

	if (r < 0)
		return r;
	if (!*name || strlen(name) > TLSEXT_MAXLEN_host_name)
		return -EINVAL;
	t->files.keeper = tls->keeper;
	r = copy_text(&t->files.ca, tls->ca);
	if (r == 0)
		r = copy_text(&t->files.cert, tls->cert);
	if (r == 0)
		r = copy_text(&t->files.key, tls->key);
	return r == 0 ? copy_text(&t->files.server_name, name) : r;
}

void client_tls_renew(struct client_tls *t)
{
	SSL_CTX *fresh = NULL;

	if (!t->ctx || stream_tls_client(&fresh, &t->files) < 0)
		return;
	SSL_CTX_free(t->ctx);
	t->ctx = fresh;
}

void client_tls_free(struct client_tls *t)
{
	SSL_CTX_free(t->ctx);
	free((void *)t->files.ca);
	free((void *)t->files.cert);
	free((void *)t->files.key);
	free((void *)t->files.server_name);
	*t = (struct client_tls){ 0 };
}
