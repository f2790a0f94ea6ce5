// SPDX-License-Identifier: Apache-2.0
/* OpenSSL under nng's TLS streams (nng/supplemental/tls/engine.h), instead of the mbedTLS 2.28 that Debian's nng is built with: TLS
 * 1.3, IP addresses as server names, one library for both ends, and private keys that stay in the keeper. nng calls an
 * engine with the connection's lock held; it never blocks. */
#include "net/internal.h"

#include <nng/supplemental/tls/engine.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "net/keeper.h"
#include "net/stream_tls.h"

struct nng_tls_engine_config {
	SSL_CTX *ctx;
	nng_tls_mode mode;
	char *server_name;
};

struct nng_tls_engine_conn {
	SSL *ssl;
	void *stream; /* nng's, for its send and receive */
};

static struct {
	pthread_once_t once;
	BIO_METHOD *bio;
	int result;
} engine_state = { .once = PTHREAD_ONCE_INIT, .result = NNG_ENOMEM };

static _Thread_local struct keeper *key_holder;

static int done(bool good, int otherwise)
{
	ERR_clear_error();
	return good ? 0 : otherwise;
}

/* --- bytes to and from nng ---- */

static int bio_write(BIO *bio, const char *p, size_t n, size_t *written)
{
	struct nng_tls_engine_conn *c = BIO_get_data(bio);
	int r;

	BIO_clear_retry_flags(bio);
	*written = n;
	r = nng_tls_engine_send(c->stream, (const uint8_t *)p, written);
	if (r == NNG_EAGAIN)
		BIO_set_retry_write(bio);
	return r == 0;
}

static int bio_read(BIO *bio, char *p, size_t n, size_t *got)
{
	struct nng_tls_engine_conn *c = BIO_get_data(bio);
	int r;

	BIO_clear_retry_flags(bio);
	*got = n;
	r = nng_tls_engine_recv(c->stream, (uint8_t *)p, got);
	if (r == NNG_EAGAIN)
		BIO_set_retry_read(bio);
	return r == 0 && *got > 0;
}

static long bio_ctrl(BIO *bio, int command, long number, void *p)
{
	(void)bio, (void)number, (void)p;
	return command == BIO_CTRL_FLUSH; /* nng sends what it has */
}

/* --- connections ---- */

/* What a result of OpenSSL that is not good means to nng. */
static int failure(SSL *ssl, int result)
{
	int why = SSL_get_error(ssl, result);
	bool distrust = SSL_get_verify_result(ssl) != X509_V_OK;

	ERR_clear_error();
	switch (why) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return NNG_EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return NNG_ECLOSED;
	}
	SSL_set_quiet_shutdown(ssl, 1); /* after an error SSL_shutdown() must not be called */
	return distrust ? NNG_EPEERAUTH : NNG_ECRYPTO;
}

static int conn_init(nng_tls_engine_conn *c, void *stream, nng_tls_engine_config *config)
{
	BIO *bio = BIO_new(engine_state.bio);
	SSL *ssl = SSL_new(config->ctx);

	if (!bio || !ssl || (config->server_name && !net_tls_expect(ssl, config->server_name))) {
		BIO_free(bio);
		SSL_free(ssl);
		return done(false, NNG_ENOMEM);
	}
	c->stream = stream;
	c->ssl = ssl;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	if (config->mode == NNG_TLS_MODE_SERVER)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return 0;
}

static void conn_fini(nng_tls_engine_conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
}

static void conn_close(nng_tls_engine_conn *c)
{
	if (!SSL_in_init(c->ssl))
		SSL_shutdown(c->ssl);
	ERR_clear_error();
}

static int conn_handshake(nng_tls_engine_conn *c)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(c->ssl);
	return result == 1 ? 0 : failure(c->ssl, result);
}

static int conn_recv(nng_tls_engine_conn *c, uint8_t *p, size_t *n)
{
	size_t got;
	int result;

	ERR_clear_error();
	result = SSL_read_ex(c->ssl, p, *n, &got);
	if (result != 1)
		return failure(c->ssl, result);
	*n = got;
	return 0;
}

static int conn_send(nng_tls_engine_conn *c, const uint8_t *p, size_t *n)
{
	size_t sent;
	int result;

	ERR_clear_error();
	result = SSL_write_ex(c->ssl, p, *n, &sent);
	if (result != 1)
		return failure(c->ssl, result);
	*n = sent;
	return 0;
}

static bool conn_verified(nng_tls_engine_conn *c)
{
	return SSL_get0_peer_certificate(c->ssl) && SSL_get_verify_result(c->ssl) == X509_V_OK;
}

/* --- configurations ---- */

static int config_init(nng_tls_engine_config *config, nng_tls_mode mode)
{
	SSL_CTX *ctx = SSL_CTX_new(mode == NNG_TLS_MODE_SERVER ? TLS_server_method() : TLS_client_method());

	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, NET_TLS_CIPHERS) != 1) {
		SSL_CTX_free(ctx);
		return done(false, NNG_ENOMEM);
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, mode == NNG_TLS_MODE_CLIENT ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	config->ctx = ctx;
	config->mode = mode;
	return 0;
}

static void config_fini(nng_tls_engine_config *config)
{
	SSL_CTX_free(config->ctx); /* connections have references of their own */
	free(config->server_name);
	config->ctx = NULL;
	config->server_name = NULL;
}

static int config_server(nng_tls_engine_config *config, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return NNG_ENOMEM;
	free(config->server_name);
	config->server_name = copy;
	return 0;
}

static int config_auth(nng_tls_engine_config *config, nng_tls_auth_mode mode)
{
	static const int modes[] = {
		[NNG_TLS_AUTH_MODE_NONE] = SSL_VERIFY_NONE,
		[NNG_TLS_AUTH_MODE_OPTIONAL] = SSL_VERIFY_PEER,
		[NNG_TLS_AUTH_MODE_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};

	if ((size_t)mode >= ARRAY_SIZE(modes))
		return NNG_EINVAL;
	SSL_CTX_set_verify(config->ctx, modes[mode], NULL);
	return 0;
}

/* Each certificate of a PEM text to fn(); false: there is none, or one is bad. */
static bool each_certificate(const char *pem, bool (*fn)(SSL_CTX *ctx, X509 *x, unsigned int i), SSL_CTX *ctx)
{
	BIO *text = BIO_new_mem_buf(pem, -1);
	unsigned int n = 0;
	bool good = text != NULL;
	X509 *x;

	while (good && (x = PEM_read_bio_X509_AUX(text, NULL, NULL, NULL))) {
		good = fn(ctx, x, n++);
		X509_free(x);
	}
	/* the text must have ended where no further certificate begins */
	good = good && n > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	BIO_free(text);
	ERR_clear_error();
	return good;
}

static bool trust(SSL_CTX *ctx, X509 *x, unsigned int i)
{
	(void)i;
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1 && SSL_CTX_add_client_CA(ctx, x) == 1;
}

static bool show(SSL_CTX *ctx, X509 *x, unsigned int i)
{
	return i == 0 ? SSL_CTX_use_certificate(ctx, x) == 1 : SSL_CTX_add1_chain_cert(ctx, x) == 1;
}

static int config_ca_chain(nng_tls_engine_config *config, const char *pem, const char *crl)
{
	if (crl)
		return NNG_ENOTSUP;
	return each_certificate(pem, trust, config->ctx) ? 0 : NNG_EINVAL;
}

static EVP_PKEY *own_key(const char *pem)
{
	EVP_PKEY *key = NULL;
	BIO *text;

	if (key_holder)
		return keeper_key(key_holder, &key) == 0 ? key : NULL;
	text = BIO_new_mem_buf(pem, -1);
	key = text ? PEM_read_bio_PrivateKey(text, NULL, NULL, (void *)"") : NULL;
	BIO_free(text);
	return key;
}

static int config_own_cert(nng_tls_engine_config *config, const char *cert, const char *pem, const char *pass)
{
	EVP_PKEY *key;
	bool good;

	if (pass)
		return NNG_ENOTSUP;
	if (!each_certificate(cert, show, config->ctx))
		return NNG_EINVAL;
	key = own_key(pem);
	good = key && SSL_CTX_use_PrivateKey(config->ctx, key) == 1 && SSL_CTX_check_private_key(config->ctx) == 1;
	EVP_PKEY_free(key);
	return done(good, NNG_EINVAL);
}

static int config_version(nng_tls_engine_config *config, nng_tls_version min, nng_tls_version max)
{
	/* the numbers are those of the protocol, as OpenSSL's */
	if (min > max || max < NNG_TLS_1_2)
		return NNG_ENOTSUP;
	return done(SSL_CTX_set_min_proto_version(config->ctx, min < NNG_TLS_1_2 ? TLS1_2_VERSION : (int)min) == 1 &&
			    SSL_CTX_set_max_proto_version(config->ctx, (int)max) == 1,
		    NNG_ENOTSUP);
}

/* --- the engine ---- */

static nng_tls_engine_conn_ops conn_ops = {
	.size = sizeof(struct nng_tls_engine_conn),
	.init = conn_init,
	.fini = conn_fini,
	.close = conn_close,
	.handshake = conn_handshake,
	.recv = conn_recv,
	.send = conn_send,
	.verified = conn_verified,
};

static nng_tls_engine_config_ops config_ops = {
	.size = sizeof(struct nng_tls_engine_config),
	.init = config_init,
	.fini = config_fini,
	.server = config_server,
	.auth = config_auth,
	.ca_chain = config_ca_chain,
	.own_cert = config_own_cert,
	.version = config_version,
};

static nng_tls_engine engine = {
	.version = NNG_TLS_ENGINE_VERSION,
	.config_ops = &config_ops,
	.conn_ops = &conn_ops,
	.name = "imastream-openssl",
	.description = "OpenSSL, keys in the keeper",
};

static void register_engine(void)
{
	nng_tls_config *first;

	engine_state.bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "nng stream");
	if (!engine_state.bio || BIO_meth_set_write_ex(engine_state.bio, bio_write) != 1 ||
	    BIO_meth_set_read_ex(engine_state.bio, bio_read) != 1 || BIO_meth_set_ctrl(engine_state.bio, bio_ctrl) != 1)
		return;
	/* starting nng registers its own engine: that comes first, so that ours stays */
	engine_state.result = nng_tls_config_alloc(&first, NNG_TLS_MODE_CLIENT);
	if (engine_state.result != 0)
		return;
	nng_tls_config_free(first);
	engine_state.result = nng_tls_engine_register(&engine);
}

int net_tls_engine(void)
{
	pthread_once(&engine_state.once, register_engine);
	return net_error(engine_state.result);
}

int net_tls_own_cert(nng_tls_config *config, const char *cert, const char *key, struct keeper *keeper)
{
	int r;

	key_holder = keeper;
	r = net_error(nng_tls_config_own_cert(config, cert, keeper ? "" : key, NULL));
	key_holder = NULL;
	return r;
}
