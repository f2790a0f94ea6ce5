/* SPDX-License-Identifier: Apache-2.0 */
/* From a URL to a connected stream socket, never blocking: the address is tried again each time, and a name is looked up again,
 * on a thread of its own. Any number of addresses behind a name, one after the other. Only connection.c uses it. */
#pragma once

#include <netdb.h>
#include <sys/un.h>

#include "base/common.h"

struct lookup;

struct dialer {
	bool ipc, tls;
	int family;		/* AF_UNSPEC: both */
	char *host, *port;	/* tcp */
	struct sockaddr_un path; /* ipc */
	struct addrinfo *addresses, *next; /* of this attempt */
	struct lookup *lookup;	/* under way; shared with its thread */
};

/* -EINVAL: not an address of ours (net_url_known()), or one without a port; -EOPNOTSUPP: no such transport. */
must_use_ int dialer_init(struct dialer *d, const char *url);
void dialer_free(struct dialer *d);

enum dial_state {
	DIAL_CONNECTED, /* *fd is the caller's */
	DIAL_UNDER_WAY, /* *fd is the caller's: writable when it is decided, see dialer_outcome() */
	DIAL_LOOKUP,	/* wait until dialer_lookup_fd() is readable, then call dialer_looked_up() */
};
/* A new attempt. An enum dial_state, or negative errno: none of the addresses can be reached now. */
must_use_ int dialer_start(struct dialer *d, int *fd);
/* The next address of the same attempt, likewise; -EHOSTUNREACH: there is none. */
must_use_ int dialer_next(struct dialer *d, int *fd);
int dialer_lookup_fd(const struct dialer *d);
/* As dialer_start(). */
must_use_ int dialer_looked_up(struct dialer *d, int *fd);
/* 0, or why the connection could not be made, of a socket that was under way. */
must_use_ int dialer_outcome(int fd);
