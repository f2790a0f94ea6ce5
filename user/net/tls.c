// SPDX-License-Identifier: Apache-2.0
/* What both ends share: nng's error numbers, options of TCP sockets; and of nng: TLS configuration, listeners and dialers with our
 * limits on them. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/text.h"
#include "net/internal.h"

#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_PROBES 4
/* nng counts the protocol header (a request id for each hop) into the message size. */
#define HEADER_SLACK 64u

int net_error(int result)
{
	if (result == 0)
		return 0;
	if (result & NNG_ESYSERR)
		return -(result & ~NNG_ESYSERR);
	switch (result) {
	case NNG_EINTR:
		return -EINTR;
	case NNG_ENOMEM:
		return -ENOMEM;
	case NNG_EINVAL:
	case NNG_EADDRINVAL:
		return -EINVAL;
	case NNG_EBUSY:
		return -EBUSY;
	case NNG_ETIMEDOUT:
		return -ETIMEDOUT;
	case NNG_ECONNREFUSED:
		return -ECONNREFUSED;
	case NNG_ECLOSED:
	case NNG_ECONNSHUT:
		return -ESHUTDOWN;
	case NNG_EAGAIN:
		return -EAGAIN;
	case NNG_ENOTSUP:
		return -EOPNOTSUPP;
	case NNG_EADDRINUSE:
		return -EADDRINUSE;
	case NNG_ENOENT:
		return -ENOENT;
	case NNG_EPERM:
	case NNG_EPEERAUTH:
		return -EPERM;
	case NNG_EMSGSIZE:
		return -EMSGSIZE;
	case NNG_ECONNABORTED:
		return -ECONNABORTED;
	case NNG_ECONNRESET:
		return -ECONNRESET;
	case NNG_ECANCELED:
		return -ECANCELED;
	case NNG_ENOFILES:
		return -EMFILE;
	case NNG_EUNREACHABLE:
		return -EHOSTUNREACH;
	case NNG_EPROTO:
	case NNG_ECRYPTO:
		return -EPROTO;
	default:
		return -EIO;
	}
}

void net_tcp_options(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0)
			return; /* what is wrong with it shows when it is used */
}

bool net_url_is_tls(const char *url)
{
	return strncmp(url, "tls+", 4) == 0;
}

bool net_url_known(const char *url)
{
	static const char *const schemes[] = { "ipc://",  "tcp://",	"tcp4://",     "tcp6://",
					       "tls+tcp://", "tls+tcp4://", "tls+tcp6://" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (strncmp(url, schemes[i], n) == 0 && url[n])
			return true;
	}
	return false;
}

static void writer_wipe(struct writer *w)
{
	if (w->p)
		OPENSSL_cleanse(w->p, w->n);
	writer_free(w);
}

static int use_own_cert(nng_tls_config *config, const struct net_tls *tls)
{
	cleanup_writer_ struct writer cert = WRITER(LIMIT_PEM);
	cleanup_(writer_wipe) struct writer key = WRITER(LIMIT_PEM);
	int r = read_file(tls->cert, &cert);

	if (r == 0 && tls->keeper)
		return writer_cstr(&cert) ? net_tls_own_cert(config, (const char *)cert.p, NULL, tls->keeper) : -ENOMEM;
	/* Room for all at once: growing would leave copies of the key behind. */
	if (r == 0 && write_space(&key, LIMIT_PEM))
		writer_reset(&key);
	if (r == 0)
		r = read_file(tls->key, &key);
	if (r < 0)
		return r;
	if (!writer_cstr(&cert) || !writer_cstr(&key))
		return -ENOMEM;
	return net_tls_own_cert(config, (const char *)cert.p, (const char *)key.p, NULL);
}

static void config_cleanup(nng_tls_config **config)
{
	if (*config)
		nng_tls_config_free(*config);
}

/* Of a listener; *out is released with nng_tls_config_free(). -EINVAL without a certificate: there is no TLS without
 * authentication of the server; or when a file holds no PEM. */
static int listener_config(nng_tls_config **out, const struct net_tls *tls)
{
	cleanup_(config_cleanup) nng_tls_config *config = NULL;
	nng_tls_auth_mode auth = NNG_TLS_AUTH_MODE_REQUIRED;
	int r;

	if (!tls || !tls->cert || !tls->key || (tls->require_peer_cert && !tls->ca))
		return -EINVAL;
	if (!tls->require_peer_cert)
		auth = tls->ca ? NNG_TLS_AUTH_MODE_OPTIONAL : NNG_TLS_AUTH_MODE_NONE;
	r = net_tls_engine();
	if (r == 0)
		r = net_error(nng_tls_config_alloc(&config, NNG_TLS_MODE_SERVER));
	if (r == 0)
		r = net_error(nng_tls_config_version(config, NNG_TLS_1_2, NNG_TLS_1_3));
	if (r == 0)
		r = net_error(nng_tls_config_auth_mode(config, auth));
	if (r == 0 && tls->ca)
		r = net_error(nng_tls_config_ca_file(config, tls->ca));
	if (r == 0)
		r = use_own_cert(config, tls);
	if (r < 0)
		return r;
	*out = TAKE_PTR(config);
	return 0;
}

/* The URL with the bound port put in where it asked for port 0. */
static int bound_url(nng_listener l, const char *url, char **out)
{
	cleanup_(net_url_cleanup) nng_url *parts = NULL;
	char *text = NULL;
	int port, r;

	if (nng_url_parse(&parts, url) != 0 || !parts->u_port || strcmp(parts->u_port, "0") != 0) {
		*out = strdup(url);
		return *out ? 0 : -ENOMEM;
	}
	r = net_error(nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &port));
	if (r < 0)
		return r;
	r = strchr(parts->u_hostname, ':') ? asprintf(&text, "%s://[%s]:%d", parts->u_scheme, parts->u_hostname, port)
					   : asprintf(&text, "%s://%s:%d", parts->u_scheme, parts->u_hostname, port);
	if (r < 0)
		return -ENOMEM;
	*out = text;
	return 0;
}

static int start_listener(nng_listener l, const char *url, const struct net_tls *tls, char **bound, const char **why)
{
	int result;

	if (net_url_is_tls(url)) {
		nng_tls_config *config = NULL;
		int r = listener_config(&config, tls);

		if (r < 0) {
			*why = "TLS needs a certificate, its key, and files that can be read";
			return r;
		}
		result = nng_listener_set_ptr(l, NNG_OPT_TLS_CONFIG, config);
		config_cleanup(&config);
		if (result != 0)
			goto failed;
	}
	result = nng_listener_set_size(l, NNG_OPT_RECVMAXSZ, LIMIT_MESSAGE + HEADER_SLACK);
	if (result == 0)
		result = nng_listener_start(l, 0);
	if (result == 0)
		return bound_url(l, url, bound);
failed:
	*why = nng_strerror(result);
	return net_error(result);
}

int net_listen(nng_socket s, const char *url, const struct net_tls *tls, char **bound, const char **why)
{
	nng_listener l;
	int r = net_url_is_tls(url) ? net_tls_engine() : 0;

	if (r < 0) {
		*why = "TLS cannot be used";
		return r;
	}
	r = nng_listener_create(&l, s, url);

	if (r != 0) {
		*why = nng_strerror(r);
		return net_error(r);
	}
	*why = "out of memory";
	r = start_listener(l, url, tls, bound, why);
	if (r < 0)
		nng_listener_close(l);
	return r;
}
