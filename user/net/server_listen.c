// SPDX-License-Identifier: Apache-2.0
/* Addresses to listen on. URLs mean what they mean to nng, so that one text serves both ends. */
#include "net/internal.h"
#include "net/server.h"
#include "net/stream_tls.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 4096

static void addresses_cleanup(struct addrinfo **a)
{
	if (*a)
		freeaddrinfo(*a);
}

static int failed(int error, const char **why)
{
	*why = strerrordesc_np(error);
	return -error;
}

static int listen_at(int fd, const struct sockaddr *sa, socklen_t n, const char **why)
{
	if (bind(fd, sa, n) < 0 || listen(fd, BACKLOG) < 0)
		return failed(errno, why);
	return 0;
}

/* The URL, with the port that was bound where it asked for port 0. */
static int bound_url(struct listener *l, const nng_url *parts, const char *url)
{
	union peer_address a;
	socklen_t n = sizeof(a);
	int r;

	if (strcmp(parts->u_port, "0") != 0) {
		l->url = strdup(url);
		return l->url ? 0 : -ENOMEM;
	}
	if (getsockname(l->fd, &a.sa, &n) < 0)
		return -errno;
	/* the port is at the same place for both families */
	r = asprintf(&l->url, strchr(parts->u_hostname, ':') ? "%s://[%s]:%u" : "%s://%s:%u", parts->u_scheme,
		     parts->u_hostname, ntohs(a.in.sin_port));
	if (r >= 0)
		return 0;
	l->url = NULL;
	return -ENOMEM;
}

static int listen_tcp(struct listener *l, const char *url, const nng_url *parts, int family, const char **why)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	cleanup_(addresses_cleanup) struct addrinfo *a = NULL;
	bool any = !parts->u_hostname || !*parts->u_hostname || strcmp(parts->u_hostname, "*") == 0;
	const int on = 1;
	int r;

	if (!parts->u_port || !*parts->u_port) {
		*why = "the address has no port";
		return -EINVAL;
	}
	r = getaddrinfo(any ? NULL : parts->u_hostname, parts->u_port, &hints, &a);
	if (r != 0) {
		*why = gai_strerror(r);
		return r == EAI_SYSTEM ? -errno : r == EAI_MEMORY ? -ENOMEM : -EINVAL;
	}
	l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return failed(errno, why);
	if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return failed(errno, why);
	r = listen_at(l->fd, a->ai_addr, a->ai_addrlen, why);
	return r < 0 ? r : bound_url(l, parts, url);
}

/* A server that was killed leaves its socket file behind: nobody answers there. Nor in a file that is no socket. */
static bool is_abandoned(const struct sockaddr_un *sa)
{
	cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;

	return fd >= 0 && lstat(sa->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 && errno == ECONNREFUSED;
}

void net_remove_abandoned(const char *url)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = strncmp(url, "ipc://", 6) == 0 ? strchr(url, '/') + 2 : "";

	if (!*path || strlen(path) >= sizeof(sa.sun_path))
		return;
	bytes_copy(sa.sun_path, path, strlen(path));
	if (is_abandoned(&sa))
		(void)unlink(path);
}

static int listen_ipc(struct listener *l, const char *url, const char *path, const char **why)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int r;

	if (!*path || strlen(path) >= sizeof(sa.sun_path)) {
		*why = "the path of the socket is empty or too long";
		return -EINVAL;
	}
	bytes_copy(sa.sun_path, path, strlen(path));
	l->ipc = true;
	l->url = strdup(url);
	if (!l->url)
		return -ENOMEM;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return failed(errno, why);
	r = listen_at(l->fd, (struct sockaddr *)&sa, sizeof(sa), why);
	if (r == -EADDRINUSE && is_abandoned(&sa) && unlink(path) == 0)
		r = listen_at(l->fd, (struct sockaddr *)&sa, sizeof(sa), why);
	if (r < 0)
		return r;
	l->path = strdup(path);
	return l->path ? 0 : -ENOMEM;
}

static int listen_url(struct listener *l, const char *url, const struct net_tls *tls, const char **why)
{
	static const struct { const char *scheme; int family; } schemes[] = {
		{ "tcp", AF_UNSPEC }, { "tcp4", AF_INET }, { "tcp6", AF_INET6 },
	};
	cleanup_(net_url_cleanup) nng_url *parts = NULL;
	const char *scheme;
	int r;

	if (strncmp(url, "ipc://", 6) == 0)
		return listen_ipc(l, url, strchr(url, '/') + 2, why);
	r = nng_url_parse(&parts, url);
	if (r != 0) {
		*why = nng_strerror(r);
		return net_error(r);
	}
	scheme = parts->u_scheme;
	if (net_url_is_tls(url)) {
		r = stream_tls_server(&l->tls, tls);
		if (r < 0) {
			*why = "TLS needs a certificate, its key, and files that can be read";
			return r;
		}
		scheme = strchr(scheme, '+') + 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strcmp(scheme, schemes[i].scheme) == 0)
			return listen_tcp(l, url, parts, schemes[i].family, why);
	*why = "no such transport: use tcp, tls+tcp or ipc";
	return -EOPNOTSUPP;
}

int listener_new(struct listener **out, const char *url, const struct net_tls *tls, const char **why)
{
	cleanup_(listener_free) struct listener *l = calloc(1, sizeof(*l));
	int r;

	*why = "out of memory";
	if (!l)
		return -ENOMEM;
	*l = (struct listener){ .source = { SOURCE_LISTENER }, .fd = -1 };
	r = listen_url(l, url, tls, why);
	if (r < 0)
		return r;
	*out = TAKE_PTR(l);
	return 0;
}

void listener_free(struct listener **listener)
{
	struct listener *l = TAKE_PTR(*listener);

	if (!l)
		return;
	if (l->path)
		unlink(l->path);
	fd_cleanup(&l->fd);
	SSL_CTX_free(l->tls);
	free(l->path);
	free(l->url);
	free(l);
}

void net_request_address(const struct net_request *r, char *buf, size_t n)
{
	char host[INET6_ADDRSTRLEN];

	snprintf(buf, n, "-");
	if (r->address.sa.sa_family == AF_INET && inet_ntop(AF_INET, &r->address.in.sin_addr, host, sizeof(host)))
		snprintf(buf, n, "%s:%u", host, ntohs(r->address.in.sin_port));
	else if (r->address.sa.sa_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &r->address.in6.sin6_addr, host, sizeof(host)))
		snprintf(buf, n, "[%s]:%u", host, ntohs(r->address.in6.sin6_port));
}
