// SPDX-License-Identifier: Apache-2.0
#include "net/stream_tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/internal.h"
#include "net/keeper.h"

static void ctx_cleanup(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

static int use_ca(SSL_CTX *ctx, bool server, const struct net_tls *tls)
{
	STACK_OF(X509_NAME) *names;

	if (!tls->ca)
		return 0;
	if (SSL_CTX_load_verify_locations(ctx, tls->ca, NULL) != 1)
		return -EINVAL;
	if (!server) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		return 0;
	}
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

static int fill(SSL_CTX *ctx, bool server, const struct net_tls *tls)
{
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(ctx, NET_TLS_CIPHERS) != 1)
		return -EINVAL;
	if (tls->cert && (SSL_CTX_use_certificate_chain_file(ctx, tls->cert) != 1 || use_key(ctx, tls) < 0 ||
			  SSL_CTX_check_private_key(ctx) != 1))
		return -EINVAL;
	/* Nothing is kept for a peer that is not connected, and nobody makes us begin again. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	/* A record without data ends SSL_read(): else a peer that sends such records for ever keeps us in it. */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	return use_ca(ctx, server, tls);
}

static int context_new(SSL_CTX **out, bool server, const struct net_tls *tls)
{
	cleanup_(ctx_cleanup) SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	int r;

	if (!ctx)
		return -ENOMEM;
	r = fill(ctx, server, tls);
	ERR_clear_error();
	if (r < 0)
		return r;
	*out = TAKE_PTR(ctx);
	return 0;
}

int stream_tls_server(SSL_CTX **out, const struct net_tls *tls)
{
	if (!tls || !tls->cert || !tls->key || (tls->require_peer_cert && !tls->ca))
		return -EINVAL;
	return context_new(out, true, tls);
}

int stream_tls_client(SSL_CTX **out, const struct net_tls *tls)
{
	if (!tls || !tls->ca || !tls->cert != !tls->key)
		return -EINVAL;
	return context_new(out, false, tls);
}

static SSL *attach(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl && SSL_set_fd(ssl, fd) == 1)
		return ssl;
	SSL_free(ssl);
	ERR_clear_error();
	return NULL;
}

int stream_tls_accept(SSL **out, SSL_CTX *ctx, int fd)
{
	SSL *ssl = attach(ctx, fd);

	if (!ssl)
		return -ENOMEM;
	SSL_set_accept_state(ssl);
	*out = ssl;
	return 0;
}

bool net_tls_expect(SSL *ssl, const char *name)
{
	uint8_t address[sizeof(struct in6_addr)];

	if (!*name) /* which OpenSSL takes for "any" */
		return false;
	if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

int stream_tls_connect(SSL **out, SSL_CTX *ctx, int fd, const char *name)
{
	SSL *ssl = attach(ctx, fd);

	if (!ssl || !net_tls_expect(ssl, name)) {
		SSL_free(ssl);
		ERR_clear_error();
		return -ENOMEM;
	}
	SSL_set_connect_state(ssl);
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

int stream_tls_handshake(SSL *ssl, bool *want_write)
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

bool stream_tls_peer_verified(SSL *ssl)
{
	return SSL_get0_peer_certificate(ssl) && SSL_get_verify_result(ssl) == X509_V_OK;
}

ssize_t stream_tls_recv(SSL *ssl, void *p, size_t n, bool *want_write)
{
	size_t done;
	int result;

	ERR_clear_error();
	result = SSL_read_ex(ssl, p, n, &done);
	return result == 1 ? (ssize_t)done : failure(ssl, result, want_write);
}

ssize_t stream_tls_send(SSL *ssl, const void *p, size_t n, bool *want_write)
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

void stream_tls_free(SSL **ssl)
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
