/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that our side begins, and begins again for ever: look-up, socket, TLS, hello, then messages. No thread: all happens
 * within the calls of the owner, on non-blocking sockets (docs/adr/0008-nng-close.md). Only client.c and sub.c use it. */
#pragma once

#include "net/client_tls.h"
#include "net/dialer.h"
#include "net/frame.h"
#include "net/stream.h"

enum connection_stage { /* in this order; there is a stream from CONNECTING on */
	CONNECTION_RESTING, /* until retry_us */
	CONNECTION_LOOKING_UP,
	CONNECTION_CONNECTING,
	CONNECTION_SHAKING_HANDS, /* TLS */
	CONNECTION_GREETING,
	CONNECTION_OPEN,
};

/* What is said on it; all but `message` may be NULL. `owner` is the argument of connection_init(). None of these may turn or hang up:
 * what they return does. */
struct connection_side {
	enum sp_protocol own, peer;
	/* One has come, in connection.in: sp_take() it. Negative errno: there is nothing to expect from this peer. */
	int (*message)(void *owner);
	/* Sends what waits, with connection_send(). 0, or negative errno. */
	int (*push)(void *owner);
	/* The stream is gone: what was sent on it is lost, unless there is an answer. */
	void (*ended)(void *owner);
	/* When the owner wants connection_fd() to be readable (CLOCK_MONOTONIC, us); 0: not, 1: now. */
	uint64_t (*due)(const void *owner);
};

struct connection {
	const struct connection_side *side;
	void *owner;
	int epoll_fd, timer_fd; /* -1: none; the set holds the socket, the timer, and the look-up of a name while one runs */
	struct stream stream;
	uint64_t armed_us; /* what the timer is set to; 0: it is not */
	uint32_t events;   /* that epoll watches of the stream; 0: it does not yet */
	enum connection_stage stage;
	uint64_t retry_us;    /* RESTING */
	uint64_t patience_us; /* the others but OPEN: then we give up */
	uint64_t open_us;     /* OPEN since */
	unsigned int backoff_ms;
	struct dialer dialer;
	struct client_tls tls; /* when dialer.tls */
	struct sp_decoder in;
	struct writer loose; /* sent first: our hello; what has begun to be sent, and nobody waits for any more */
	size_t sent_of;	     /* bytes of what is being sent that are gone */
};

/* A random number of 32 bits, for what need not be secret. */
uint32_t connection_random(void);

/* -EINVAL: as dialer_init(), client_tls_init(). On failure connection_fini() is still due. */
must_use_ int connection_init(struct connection *c, const struct connection_side *side, void *owner, const char *url, const struct net_tls *tls);
void connection_fini(struct connection *c);
/* The first attempt. */
void connection_start(struct connection *c);
/* Does what can be done now. */
void connection_turn(struct connection *c);
/* After every call that may have changed what `due` says. */
void connection_arm(struct connection *c);
/* Sends what can be sent now. */
void connection_push(struct connection *c);
/* For side->push, the same bytes until all of them are gone. 1: all are sent; 0: later; negative errno. */
must_use_ int connection_send(struct connection *c, struct bytes frame);
/* Takes over what connection_send() has begun, in side->push or since: it must be sent whole. TLS may have begun although no byte is gone. */
void connection_adopt(struct connection *c, struct writer frame);
/* The peer is one of ours: the next time after a failure we need not wait long. */
void connection_good(struct connection *c);
/* Ends it; it will be made again after a while. */
void connection_hang_up(struct connection *c);
/* Readable when connection_turn() has something to do. */
int connection_fd(const struct connection *c);
bool connection_is_open(const struct connection *c);
