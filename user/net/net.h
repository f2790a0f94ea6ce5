/* SPDX-License-Identifier: Apache-2.0 */
/* nng's protocols behind four small objects. All that happens reaches the caller's loop through one descriptor for each; no other
 * thread runs code of the caller's. URLs: tls+tcp://, tcp://, ipc://. Only this folder includes nng headers. */
#pragma once

#include "base/common.h"
#include "base/buf.h"

struct net_tls {		 /* file names, PEM; NULL = not used */
	const char *ca;		 /* who may vouch for the peer */
	const char *cert, *key;	 /* ours; a server must have them */
	struct keeper *keeper;	 /* holds the key: then the file is never read here (keeper.h); must outlive all users */
	const char *server_name; /* client: expected name, default the URL's host */
	bool require_peer_cert;	 /* server: clients must show a certificate of `ca`; else they may, and no other one */
};

/* Has it the form of an address of ours: ipc://PATH, tcp://HOST:PORT, tls+tcp://HOST:PORT (or tcp4, tcp6)? What stands
 * behind the scheme is looked at when it is used. */
bool net_url_known(const char *url);

/* Threads: each object belongs to one thread; different objects may belong to different threads. TLS is never used
 * without authentication of the server: clients need `ca`, servers need `cert` and `key`, else -EINVAL. */

/* ---- client: the REQ side, on a socket of its own, with independent request slots. It does its work, dialling too, within these
 * functions: the owner watches net_client_fd() and calls net_client_next() ---- */
#define NET_SLOTS 3
enum { NET_SLOT_EVIDENCE = 0, NET_SLOT_WAIT = 1, NET_SLOT_FETCH = 2 };
struct net_client;
/* Dials at once (with TLS the files are read again for each new connection, and those of before stay in use when they cannot be), and again with a growing pause (at most 2 s, with jitter) while nobody answers. -EINVAL, -EOPNOTSUPP: not an address
 * to dial. With TLS the caller's program must ignore SIGPIPE. */
must_use_ int net_client_new(struct net_client **out, const char *url, const struct net_tls *tls);
void net_client_free(struct net_client **c);
/* epoll-able: readable when net_client_next() has something to do or to give, and when the connection came or went; stays readable
 * until net_client_next() has returned false. */
int net_client_fd(const struct net_client *c);
/* Starts a request in a free slot; the bytes are copied. The request is sent again when the connection changes (requests are
 * idempotent). -EBUSY when the slot is taken (until net_client_next() has reported it), -EMSGSIZE past
 * LIMIT_MESSAGE. timeout_ms: answer with status -ETIMEDOUT after that, connected or not; 0: no limit. */
must_use_ int net_client_request(struct net_client *c, unsigned int slot, struct bytes message, uint32_t timeout_ms);
bool net_client_busy(const struct net_client *c, unsigned int slot);
/* Gives up a pending request (its completion is not reported). */
void net_client_cancel(struct net_client *c, unsigned int slot);
struct net_completion {
	unsigned int slot;
	int status;	      /* 0, or -ETIMEDOUT */
	struct bytes message; /* valid until the next net_client_next() or net_client_free() */
};
/* Does what is due. true and *out, or false: nothing more now. */
bool net_client_next(struct net_client *c, struct net_completion *out);
/* Gives up the connection and dials again; pending requests are sent again. For a peer that no longer answers. */
void net_client_redial(struct net_client *c);
/* Connected now (the peer has said hello), and bytes sent/received so far (payload). */
bool net_client_connected(const struct net_client *c);
void net_client_bytes(const struct net_client *c, uint64_t *sent, uint64_t *received);

/* ---- server: the REP side, on sockets of its own; a request may be answered later, in any order ---- */
struct net_server;
struct net_request; /* a received message and its return address; may outlive its connection and the server */
must_use_ int net_server_new(struct net_server **out, const struct net_tls *tls);
/* The same in two steps: sockets can be bound while there is one thread, and the server's thread starts when the process is
 * confined. Nothing is answered before net_server_start(). */
must_use_ int net_server_prepare(struct net_server **out, const struct net_tls *tls);
must_use_ int net_server_start(struct net_server *s);
/* Listens on one more URL. tcp://127.0.0.1:0 picks a port: net_server_url() tells. error text in *why (static). */
must_use_ int net_server_listen(struct net_server *s, const char *url, const char **why);
const char *net_server_url(const struct net_server *s, unsigned int i);
void net_server_free(struct net_server **s);
int net_server_fd(const struct net_server *s);
/* Next received request or NULL; the caller owns it and must reply or drop it. Receives stop when LIMIT_SERVER_QUEUE requests
 * or LIMIT_SERVER_QUEUE_BYTES wait, and from one connection while LIMIT_SERVER_OUTSTANDING of its requests are neither
 * answered nor dropped. Call it until NULL: that clears the fd. */
struct net_request *net_server_next(struct net_server *s);
struct bytes net_request_message(const struct net_request *r);
/* The connection's number, for budgets: counts from 1, never used again. */
uint64_t net_request_peer(const struct net_request *r);
/* Address of the peer as text, "-" when the transport has none. */
void net_request_address(const struct net_request *r, char *buf, size_t n);
/* false: the connection that it came over is closed, so no answer can arrive. Any thread. */
bool net_request_open(const struct net_request *r);
/* The user at the other end of an ipc connection when it was made (SO_PEERCRED); false: another transport. */
must_use_ bool net_request_peer_user(const struct net_request *r, uint32_t *uid);
/* The peer showed a certificate of our CA (TLS only). */
bool net_request_peer_verified(const struct net_request *r);
/* Sends and frees r; `message` (at most LIMIT_MESSAGE, else nothing is sent) must not be a view into r. When the peer is
 * gone there is nothing to do. s may be freed already. */
void net_request_reply(struct net_server *s, struct net_request **r, struct bytes message);
void net_request_drop(struct net_request **r);
/* Connections now, whose hello is done. */
unsigned int net_server_connections(const struct net_server *s);

/* Removes the socket file of ipc://PATH when nobody listens there any more; other URLs and other files are left alone. */
void net_remove_abandoned(const char *url);

/* ---- publish / subscribe ---- */
struct net_pub;
must_use_ int net_pub_new(struct net_pub **out, const char *url, const struct net_tls *tls, const char **why);
void net_pub_free(struct net_pub **p);
const char *net_pub_url(const struct net_pub *p);
void net_pub_send(struct net_pub *p, struct bytes message); /* never blocks; slow subscribers lose, counted by nng */
/* The SUB side. As a client, it works only within net_sub_next(), which must be called when net_sub_fd() is readable, until it says
 * false. Connected: as net_client_connected(), and it changes only there. TLS needs SIGPIPE ignored. */
struct net_sub;
must_use_ int net_sub_new(struct net_sub **out, const char *url, const struct net_tls *tls);
void net_sub_free(struct net_sub **s);
int net_sub_fd(const struct net_sub *s);
bool net_sub_next(struct net_sub *s, struct bytes *message);
bool net_sub_connected(const struct net_sub *s);
