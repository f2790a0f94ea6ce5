/* SPDX-License-Identifier: Apache-2.0 */
/* Events leave the outbox: one JSON line each to a file descriptor, and to subscribers over nng. In order; each once,
 * or, after a crash, once more with the same number. Subscribers that are slow or not there lose events; the descriptor
 * does not: while it does not take more, events wait in the store. One thread owns a publisher. */
#pragma once

#include "net/net.h"
#include "verifier/store.h"

#define PUBLISH_BACKLOG (1u << 20) /* bytes that wait for the descriptor, in memory */
#define PUBLISH_MARKS 256u	   /* published, not yet marked in the store */

struct publisher {
	struct store *store; /* borrowed */
	struct net_pub *pub; /* owned, NULL: none */
	int fd;		     /* not owned, -1: none */
	bool failed;	     /* the descriptor's reader is gone */
	int stuck;	     /* errno of a file that does not take more now, such as on a full disk; 0: it does */
	uint64_t cursor;
	struct {
		uint64_t seq, real, end; /* end: of its line, in the bytes that went to the descriptor since the start */
	} marks[PUBLISH_MARKS];
	size_t n_marks;
	struct writer backlog, line;
	size_t backlog_sent;
	uint64_t queued, drained; /* bytes for the descriptor, and of these, what it took */
};

void publisher_init(struct publisher *p, struct store *store, struct net_pub *pub, int fd);
void publisher_clear(struct publisher *p);
/* Sends what the outbox holds. *waiting: the descriptor takes no more now; come again. 0 or the store's errno. */
must_use_ int publisher_pump(struct publisher *p, uint64_t now_real, bool *waiting);
/* Marks what was published and, where there is a descriptor, has gone into it whole. Without it, after a crash, the same events
 * are published again. */
must_use_ int publisher_mark(struct publisher *p);
