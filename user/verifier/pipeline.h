/* SPDX-License-Identifier: Apache-2.0 */
/* The flow of the verifier: batches of requests in, replies out, with a store in between. No sockets and no clock of
 * its own: receive.c brings requests, main.c the time. pipeline.c is the only caller of the stages. One thread owns it.
 */
#pragma once

#include "verifier/enrol.h"
#include "verifier/fleet.h"
#include "verifier/journal.h"

struct rules {
	struct appraisal appraisal;
	struct policy *policy;	 /* owned reference, NULL: none */
	struct keyring *keyring; /* owned, NULL: none */
	struct ak_list ak_list;	 /* owned */
	bool trust_on_first_use, allow_test_sources;
	uint64_t heartbeat_us, deadline_us;
};
void rules_clear(struct rules *r);

/* How replies leave; tokens are the caller's (net.h requests). Exactly one call for each token. */
struct pipeline_io {
	void *user;
	void (*reply)(void *user, void *token, struct bytes message);
	void (*drop)(void *user, void *token); /* the peer asks again */
	int (*random)(void *user, uint8_t *dst, size_t n); /* 0 or negative errno */
};

/* One request of a batch. */
struct exchange {
	void *token;
	struct bytes message;
	struct writer reply; /* filled by pipeline_batch(), sent after the commit */
	bool held;	     /* a WAIT: the session keeps the token */
};

struct pipeline {
	struct rules rules;
	struct pipeline_io io;
	struct store *store; /* borrowed */
	struct fleet fleet;
	struct journal journal;
	struct instant now;	/* of the batch that is open */
	uint64_t started_real;
	uint64_t batches, requests, rejected_in_window, rejected_window_mono;
};

/* Takes the rules. Reads the store; what passed its deadline while nobody looked is stale after the first tick. */
must_use_ int pipeline_new(struct pipeline **out, struct store *store, struct rules *rules,
			   const struct pipeline_io *io, const struct instant *now, uint64_t seed);
void pipeline_free(struct pipeline **p);

/* [7] to [11] for each request, one transaction, then the replies. Negative errno: nothing was stored, and nothing
 * acknowledged; the requests were answered with REJECT(busy); the pipeline is as before and may go on. */
must_use_ int pipeline_batch(struct pipeline *p, struct exchange *ex, size_t n, const struct instant *now);
/* Deadlines and heartbeats that are due. */
must_use_ int pipeline_tick(struct pipeline *p, const struct instant *now);
/* CLOCK_MONOTONIC of the next tick, 0: none. */
uint64_t pipeline_next_tick(const struct pipeline *p);
/* Other rules (taken): every entry of the current boots is judged again, collectors hear of it. */
must_use_ int pipeline_set_rules(struct pipeline *p, struct rules *rules, const struct instant *now);
/* Says goodbye to all who wait. */
void pipeline_goodbye(struct pipeline *p);
/* An event of the verifier itself ("started", "stopped"), in its own transaction. */
must_use_ int pipeline_note(struct pipeline *p, const char *kind, const char *text, const struct instant *now);
