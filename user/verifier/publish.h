/* SPDX-License-Identifier: Apache-2.0 */
/* Events leave the outbox: one JSON line each to a file descriptor, and to subscribers. In order; each once. Subscribers that are
 * slow or not there lose events; the descriptor does not: while it does not take more, events wait in the store, and subscribers go
 * on without it. The store knows of the descriptor only: what that had not taken (or not been marked for) when the program ended is
 * published again at the next start, to both, with the same numbers. One thread owns a publisher. */
#pragma once

#include "verifier/store.h"

#define PUBLISH_BACKLOG (1u << 20) /* bytes that wait for the descriptor, in memory */
#define PUBLISH_MARKS 256u	   /* published, not yet marked in the store */

/* To all who listen now; never blocks. */
typedef void (*publish_fn)(void *user, struct bytes line);

struct publisher {
	struct store *store; /* borrowed */
	publish_fn tell;     /* subscribers; NULL: none */
	void *user;
	int fd;		     /* not owned, -1: none */
	bool failed;	     /* the descriptor's reader is gone */
	int stuck;	     /* errno of a file that does not take more now, such as on a full disk; 0: it does */
	uint64_t cursor, told; /* number of the last event for the descriptor, and for subscribers; the first is never ahead */
	struct {
		uint64_t seq, real;
	} times[PUBLISH_MARKS]; /* of the newest events: when they were published first */
	struct {
		uint64_t seq, real, end; /* end: of its line, in the bytes that went to the descriptor since the start */
	} marks[PUBLISH_MARKS];
	size_t n_marks;
	struct writer backlog, line;
	size_t backlog_sent;
	uint64_t queued, drained; /* bytes for the descriptor, and of these, what it took */
};

void publisher_init(struct publisher *p, struct store *store, publish_fn tell, void *user, int fd);
void publisher_clear(struct publisher *p);
/* Sends what the outbox holds. *waiting: the descriptor takes no more now; come again. 0 or the store's errno: then, too, subscribers
 * were told what could be read. */
must_use_ int publisher_pump(struct publisher *p, uint64_t now_real, bool *waiting);
/* Marks what was published and, where there is a descriptor, has gone into it whole. Without it, after a crash, the same events
 * are published again. */
must_use_ int publisher_mark(struct publisher *p);
