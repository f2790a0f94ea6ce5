// SPDX-License-Identifier: Apache-2.0
#include "net/dialer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "net/internal.h"

/* getaddrinfo() blocks, for seconds when nobody answers, and cannot be ended: whoever is tired of waiting leaves it to its thread. */
struct lookup {
	atomic_uint refs; /* the dialer, the thread */
	int fd;		  /* eventfd: kicked when it is done */
	struct addrinfo hints;
	char *host, *port;
	struct addrinfo *found; /* when done */
};

static void lookup_unref(struct lookup **lookup)
{
	struct lookup *l = TAKE_PTR(*lookup);

	if (!l || atomic_fetch_sub(&l->refs, 1) > 1)
		return;
	if (l->found)
		freeaddrinfo(l->found);
	fd_cleanup(&l->fd);
	free(l->host);
	free(l->port);
	free(l);
}

static void *look_up(void *arg)
{
	struct lookup *l = arg;

	if (getaddrinfo(l->host, l->port, &l->hints, &l->found) != 0)
		l->found = NULL;
	wake_fd_kick(l->fd);
	lookup_unref(&l);
	return NULL;
}

static int start_thread(struct lookup *l)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	sigfillset(&all); /* signals are the loop's */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_store(&l->refs, 2);
	r = pthread_create(&thread, &attr, look_up, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (r != 0)
		atomic_store(&l->refs, 1);
	return -r;
}

static int lookup_start(struct lookup **out, const struct dialer *d, const struct addrinfo *hints)
{
	cleanup_(lookup_unref) struct lookup *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	atomic_init(&l->refs, 1);
	l->hints = *hints;
	l->fd = wake_fd_new();
	if (l->fd < 0)
		return l->fd;
	l->host = strdup(d->host);
	l->port = strdup(d->port);
	if (!l->host || !l->port)
		return -ENOMEM;
	r = start_thread(l);
	if (r < 0)
		return r;
	*out = TAKE_PTR(l);
	return 0;
}

static int use_path(struct dialer *d, const char *path)
{
	d->ipc = true;
	d->path.sun_family = AF_UNIX;
	if (!*path || strlen(path) >= sizeof(d->path.sun_path))
		return -EINVAL;
	bytes_copy(d->path.sun_path, path, strlen(path));
	return 0;
}

static bool good_port(const char *text)
{
	unsigned long port = strlen(text) <= 5 && strspn(text, "0123456789") == strlen(text) ? strtoul(text, NULL, 10) : 0;

	return port > 0 && port <= UINT16_MAX;
}

static int use_host(struct dialer *d, const nng_url *parts)
{
	if (!parts->u_hostname || !*parts->u_hostname || !parts->u_port || !good_port(parts->u_port))
		return -EINVAL;
	d->host = strdup(parts->u_hostname);
	d->port = strdup(parts->u_port);
	return d->host && d->port ? 0 : -ENOMEM;
}

int dialer_init(struct dialer *d, const char *url)
{
	static const struct { const char *scheme; int family; } schemes[] = {
		{ "tcp", AF_UNSPEC }, { "tcp4", AF_INET }, { "tcp6", AF_INET6 },
	};
	cleanup_(net_url_cleanup) nng_url *parts = NULL;
	const char *scheme;
	int r;

	*d = (struct dialer){ .tls = net_url_is_tls(url) };
	if (strncmp(url, "ipc://", 6) == 0)
		return use_path(d, strchr(url, '/') + 2);
	r = net_error(nng_url_parse(&parts, url));
	if (r < 0)
		return r;
	scheme = d->tls ? strchr(parts->u_scheme, '+') + 1 : parts->u_scheme;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (strcmp(scheme, schemes[i].scheme) != 0)
			continue;
		d->family = schemes[i].family;
		return use_host(d, parts);
	}
	return -EOPNOTSUPP;
}

static void forget(struct dialer *d)
{
	if (d->addresses)
		freeaddrinfo(d->addresses);
	d->addresses = d->next = NULL;
	lookup_unref(&d->lookup);
}

void dialer_free(struct dialer *d)
{
	forget(d);
	free(d->host);
	free(d->port);
	d->host = d->port = NULL;
}

static int dial_one(int family, const struct sockaddr *sa, socklen_t n, int *out)
{
	cleanup_fd_ int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (family != AF_UNIX)
		net_tcp_options(fd);
	r = connect(fd, sa, n);
	if (r < 0 && errno != EINPROGRESS)
		return -errno;
	*out = TAKE_FD(fd);
	return r == 0 ? DIAL_CONNECTED : DIAL_UNDER_WAY;
}

int dialer_next(struct dialer *d, int *fd)
{
	int r = -EHOSTUNREACH;

	while (r < 0 && d->next) {
		const struct addrinfo *a = d->next;

		d->next = a->ai_next;
		r = dial_one(a->ai_family, a->ai_addr, a->ai_addrlen, fd);
	}
	return r;
}

int dialer_start(struct dialer *d, int *fd)
{
	struct addrinfo hints = { .ai_family = d->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	int r;

	forget(d);
	if (d->ipc)
		return dial_one(AF_UNIX, (const struct sockaddr *)&d->path, sizeof(d->path), fd);
	if (getaddrinfo(d->host, d->port, &hints, &d->addresses) == 0) {
		d->next = d->addresses;
		return dialer_next(d, fd);
	}
	d->addresses = NULL;
	hints.ai_flags = 0;
	r = lookup_start(&d->lookup, d, &hints);
	return r < 0 ? r : DIAL_LOOKUP;
}

int dialer_lookup_fd(const struct dialer *d)
{
	return d->lookup ? d->lookup->fd : -1;
}

int dialer_looked_up(struct dialer *d, int *fd)
{
	if (!d->lookup || wake_fd_clear(d->lookup->fd) == 0)
		return DIAL_LOOKUP;
	d->addresses = d->next = TAKE_PTR(d->lookup->found);
	lookup_unref(&d->lookup);
	return dialer_next(d, fd);
}

int dialer_outcome(int fd)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		return -errno;
	return -error;
}
