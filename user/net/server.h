/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the server_*.c files; nothing else includes it (but its own tests).
 *
 * One thread of the server, the I/O thread, owns all connections; it never runs code of the program. Between it and the
 * threads of the program stands the hub: requests go out through its inbox, and come back answered or dropped. */
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "imastream/limits.h"
#include "net/net.h"
#include "net/frame.h"
#include "net/stream.h"

TAILQ_HEAD(conn_list, conn);

union peer_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct net_request {
	struct hub *hub;
	struct conn *conn; /* for the I/O thread; it stays until all its requests are back */
	uint64_t peer;
	union peer_address address;
	bool verified, ipc, has_uid;
	uint32_t uid;
	struct writer body;
	size_t return_address; /* size, at the start of body */
	struct writer reply;   /* as it goes over the stream; empty: dropped */
	struct net_request *next;
};

struct request_queue {
	struct net_request *first, *last;
};
void request_append(struct request_queue *q, struct net_request *r);
struct net_request *request_pop(struct request_queue *q);
void request_free(struct net_request *r);

/* Outlives the server while the program still holds requests. */
struct hub {
	int ready_fd; /* eventfd of the program: readable while inbox is not empty */
	int io_fd;    /* eventfd of the I/O thread */
	pthread_mutex_t lock; /* all below */
	unsigned int refs;    /* the server, and each request in the program's hands */
	bool closed;	      /* no I/O thread any more */
	bool stop, resume;    /* wishes to the I/O thread */
	bool full;	      /* the inbox takes no more until it is half empty */
	struct request_queue inbox, returned;
	size_t count, bytes; /* of inbox */
};

enum source_kind {
	SOURCE_WAKE,
	SOURCE_LISTENER,
	SOURCE_CONN,
};

struct source { /* what epoll points to; first member of its owner */
	enum source_kind kind;
};

struct listener {
	struct source source;
	int fd;
	bool ipc;
	SSL_CTX *tls; /* NULL: none */
	char *url;
	char *path; /* socket file to remove at the end */
};

enum conn_stage {
	CONN_TLS,   /* handshake */
	CONN_OPEN,
	CONN_DEAD,  /* closed; waits for its requests to come back */
};

enum conn_place {
	PLACE_NONE,
	PLACE_RUN,     /* has something to do without an event */
	PLACE_STALLED, /* the inbox is full */
	PLACE_GONE,    /* dead and without requests: freed at the end of the round */
};

/* A limit in time that is longer for who moves many bytes. */
struct patience {
	uint64_t since_us; /* 0: nobody waits */
	uint64_t bytes;
};

struct conn {
	struct source source;
	enum conn_stage stage;
	enum conn_place place;
	bool ipc, verified, counted, timed, has_uid;
	uint32_t uid;	 /* of the peer, ipc only */
	atomic_bool gone; /* stage is CONN_DEAD, for other threads; a request in their hands keeps this struct alive */
	bool choked;	 /* too many requests unanswered */
	struct stream stream;
	uint32_t events; /* that epoll watches */
	struct net_server *server;
	uint64_t id;
	union peer_address address;
	TAILQ_ENTRY(conn) all_link, place_link, timed_link, idle_link;
	bool idle;		/* no request of it is open: it may have to make room */
	uint64_t idle_since_us;
	struct sp_decoder in;
	struct bytes left; /* received and not looked at because receiving stopped; the memory is ours */
	struct patience in_wait, out_wait;
	unsigned int hello_sent;
	unsigned int outstanding; /* requests that are with the program, or in out */
	struct request_queue out; /* answers */
	size_t out_sent;	  /* of the first */
};

struct net_server {
	struct hub *hub;
	struct net_tls tls;
	char *tls_text[4];
	pthread_t thread;
	bool started;
	int epoll_fd;
	struct source wake;
	unsigned int max_connections; /* fixed before the first listener, as the next one */
	uint64_t patience_us;
	atomic_uint established; /* connections whose hello is done */
	pthread_mutex_t lock;	  /* listeners */
	struct listener *listeners[LIMIT_LISTENERS];
	unsigned int n_listeners;
	/* the I/O thread's */
	uint64_t now_us, next_id;
	uint64_t accept_again_us; /* listeners rest until then; 0: they do not */
	uint64_t sweep_us;	  /* next look at timed */
	bool full;		  /* its copy of hub->full */
	unsigned int n_conns;
	size_t partial_bytes; /* memory behind all unfinished messages */
	struct conn_list all, run, stalled, gone, timed;
	struct conn_list idle; /* the longest first */
	uint8_t scratch[65536];
};

/* ---- server_hub.c: any thread ---- */
must_use_ int hub_new(struct hub **out);
/* For the thread that ends the server; the I/O thread is gone. */
void hub_close(struct hub **hub);
/* I/O thread: hands a request to the program. true: that was the last one for now. */
must_use_ bool hub_push(struct hub *h, struct net_request *r);
struct hub_wishes {
	bool stop, resume;
	struct request_queue returned;
};
/* I/O thread: takes what the program wants, and clears io_fd. */
struct hub_wishes hub_collect(struct hub *h);
void hub_stop(struct hub *h);

/* ---- server_listen.c ---- */
must_use_ int listener_new(struct listener **out, const char *url, const struct net_tls *tls, const char **why);
void listener_free(struct listener **l);

/* ---- server_conn.c: I/O thread ---- */
/* Closes the connection that has had no request open for longest, if that is longer than the patience. true: a place and a
 * descriptor are free. */
bool conn_make_place(struct net_server *s);
/* Takes fd in any case. */
void conn_start(struct net_server *s, const struct listener *l, int fd);
void conn_event(struct conn *c, uint32_t events);
/* A turn for a connection on s->run. */
void conn_turn(struct conn *c);
/* Takes a request that the program has answered or dropped. */
void conn_returned(struct net_request *r);
/* The inbox has room again. */
void conn_resume_all(struct net_server *s);
/* Closes those that have kept us waiting for too long. */
void conn_sweep(struct net_server *s);
/* Frees those that are gone; no event of this round may point to one any more. */
void conn_reap(struct net_server *s);
/* All, whatever their state. */
void conn_free_all(struct net_server *s);
