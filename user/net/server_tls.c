// SPDX-License-Identifier: Apache-2.0
/* TLS for the server, by OpenSSL on non-blocking sockets. Only the I/O thread uses an SSL object. SIGPIPE is blocked in
 * that thread: OpenSSL writes with write(). */
#include <openssl/err.h>

#include "net/internal.h"
#include "net/keeper.h"
#include "net/server.h"

static void ctx_cleanup(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

static int use_ca(SSL_CTX *ctx, const struct net_tls *tls)
{
	STACK_OF(X509_NAME) *names;

	if (!tls->ca)
		return 0;
	if (SSL_CTX_load_verify_locations(ctx, tls->ca, NULL) != 1)
		return -EINVAL;
	names = SSL_load_client_CA_file(tls->ca); /* tells clients which certificates are of use */
	if (!names)
		return -EINVAL;
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (tls->require_peer_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return 0;
}

static int use_key(SSL_CTX *ctx, const struct net_tls *tls)
{
	EVP_PKEY *key = NULL;
	int r;

	if (!tls->keeper)
		return SSL_CTX_use_PrivateKey_file(ctx, tls->key, SSL_FILETYPE_PEM) == 1 ? 0 : -EINVAL;
	r = keeper_key(tls->keeper, &key);
	if (r == 0 && SSL_CTX_use_PrivateKey(ctx, key) != 1)
		r = -EINVAL;
	EVP_PKEY_free(key);
	return r;
}

static int fill(SSL_CTX *ctx, const struct net_tls *tls)
{
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_use_certificate_chain_file(ctx, tls->cert) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, NET_TLS_CIPHERS) != 1 || use_key(ctx, tls) < 0 || SSL_CTX_check_private_key(ctx) != 1)
		return -EINVAL;
	/* Nothing is kept for a peer that is not connected, and nobody makes us begin again. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	return use_ca(ctx, tls);
}

int server_tls_new(SSL_CTX **out, const struct net_tls *tls)
{
	cleanup_(ctx_cleanup) SSL_CTX *ctx = NULL;
	int r;

	if (!tls->cert || !tls->key || (tls->require_peer_cert && !tls->ca))
		return -EINVAL;
	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx)
		return -ENOMEM;
	r = fill(ctx, tls);
	ERR_clear_error();
	if (r < 0)
		return r;
	*out = TAKE_PTR(ctx);
	return 0;
}

int server_tls_attach(SSL **out, SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		ERR_clear_error();
		return -ENOMEM;
	}
	SSL_set_accept_state(ssl);
	*out = ssl;
	return 0;
}

/* What a result of -1 or 0 means, as errno. */
static int failure(SSL *ssl, int result, bool *want_write)
{
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*want_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		ERR_clear_error();
		SSL_set_quiet_shutdown(ssl, 1); /* after an error SSL_shutdown() must not be called */
		return -EPROTO;
	}
}

int server_tls_handshake(SSL *ssl, bool *want_write)
{
	int result, r;

	ERR_clear_error();
	result = SSL_do_handshake(ssl);
	if (result == 1)
		return 1;
	r = failure(ssl, result, want_write);
	if (r == -EAGAIN)
		return 0;
	return r < 0 ? r : -ECONNRESET;
}

bool server_tls_peer_verified(SSL *ssl)
{
	return SSL_get0_peer_certificate(ssl) && SSL_get_verify_result(ssl) == X509_V_OK;
}

ssize_t server_tls_recv(SSL *ssl, void *p, size_t n, bool *want_write)
{
	size_t done;
	int result;

	ERR_clear_error();
	result = SSL_read_ex(ssl, p, n, &done);
	return result == 1 ? (ssize_t)done : failure(ssl, result, want_write);
}

ssize_t server_tls_send(SSL *ssl, const void *p, size_t n, bool *want_write)
{
	size_t done;
	int result, r;

	ERR_clear_error();
	result = SSL_write_ex(ssl, p, n, &done);
	if (result == 1)
		return (ssize_t)done;
	r = failure(ssl, result, want_write);
	return r < 0 ? r : -EPIPE;
}

void server_tls_free(SSL **ssl)
{
	if (!*ssl)
		return;
	/* Tells the peer that this is the end, if the socket takes it; we do not wait for its word. */
	if (!SSL_in_init(*ssl))
		SSL_shutdown(*ssl);
	ERR_clear_error();
	SSL_free(*ssl);
	*ssl = NULL;
}
