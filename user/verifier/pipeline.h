/* SPDX-License-Identifier: Apache-2.0 */
/* The flow of the verifier: batches of requests in, replies out, with a store in between. No sockets and no clock of
 * its own: receive.c brings requests, main.c the time. pipeline.c is the only caller of the stages. One thread owns it.
 */
#pragma once

#include "verifier/challenge.h"
#include "verifier/fleet.h"
#include "verifier/journal.h"
#include "verifier/references.h"
#include "verifier/refusals.h"
#include "verifier/rejudge.h"
#include "verifier/rules.h"
#include "verifier/strangers.h"

/* How replies leave; tokens are the caller's (net.h requests). Exactly one call for each token. */
struct pipeline_io {
	void *user;
	void (*reply)(void *user, void *token, struct bytes message);
	void (*drop)(void *user, void *token); /* the peer asks again */
	int (*random)(void *user, uint8_t *dst, size_t n); /* 0 or negative errno */
	bool (*open)(void *user, void *token); /* false: the peer of this request is gone. NULL: nobody knows */
};

/* One request of a batch. */
struct exchange {
	void *token;
	struct bytes message;
	uint64_t peer; /* its connection, for budgets */
	struct writer reply; /* filled by pipeline_batch(), sent after the commit */
	bool held;	     /* a WAIT: the session keeps the token */
};

struct pipeline {
	struct rules rules;
	struct pipeline_io io;
	char sandbox[256]; /* what the process is confined by, for people; set by main.c */
	struct store *store; /* borrowed */
	struct fleet fleet;
	struct journal journal;
	struct rejudge rejudge;
	struct sigcache *signatures; /* that verified, of all attesters */
	struct references references;
	struct wire_pack *repack; /* blocks as they are stored, without a reference set; made when one is needed */
	struct challenger challenger;
	struct strangers strangers;
	struct refusals refusals; /* of hosts that nobody knows; for people */
	size_t waiting;		/* attesters whose enrolment is pending */
	bool has_squatter;	/* one to be forgotten when the batch is done (admit.c) */
	uint8_t squatter[WIRE_DIGEST_SIZE];
	struct instant now;	/* of the batch that is open */
	uint64_t started_real;
	uint64_t policy_set;	/* counts sets of rules: what attesters remember of an older one is void */
	uint64_t batches, requests, rejected_in_window, rejected_window_mono;
	uint64_t failures; /* messages that failed alone, in batches that did not */
	int failure;	   /* the errno of the last one, negative */
	int broken;	   /* negative errno: memory and store are apart, and only another start brings them together; 0: they are not */
};

/* Takes the rules. Reads the store; what passed its deadline while nobody looked is stale after the first tick. */
must_use_ int pipeline_new(struct pipeline **out, struct store *store, struct rules *rules,
			   const struct pipeline_io *io, const struct instant *now, uint64_t seed);
void pipeline_free(struct pipeline **p);

/* [7] to [11] for each request, one transaction, then the replies. A request that fails alone is answered with REJECT(busy) and
 * counted in `failures`: nothing of it was stored, and its session is over. Negative errno: that goes for all of them; but for
 * its sessions the pipeline is as before and may go on, unless it is `broken`. */
must_use_ int pipeline_batch(struct pipeline *p, struct exchange *ex, size_t n, const struct instant *now);
/* Deadlines and heartbeats that are due. */
must_use_ int pipeline_tick(struct pipeline *p, const struct instant *now);
/* `mono` of the next tick, 0: none. */
uint64_t pipeline_next_tick(const struct pipeline *p);
/* Other rules (taken): they judge from now on, collectors hear of it. What is stored is judged again by the next ticks, a
 * slice each (rejudge.h). Negative errno: the rules are in force, but nobody is queued. */
must_use_ int pipeline_set_rules(struct pipeline *p, struct rules *rules, const struct instant *now);
/* Same, only the policies are others (taken). */
must_use_ int pipeline_set_policies(struct pipeline *p, struct policies *policies, const struct instant *now);
/* The policy that judges an attester; NULL: none. */
const struct named_policy *pipeline_policy(const struct pipeline *p, struct attester *a);
/* The policy of this name and id has this reference set (taken; NULL: none). Who waits is told at once, others with their next
 * WAIT. 0 or -ENOMEM. */
must_use_ int pipeline_set_reference(struct pipeline *p, const char *name, const char *policy, struct reference_set **set,
				     const struct instant *now);
/* Says goodbye to all who wait. */
void pipeline_goodbye(struct pipeline *p);
/* What a person decides about an attester. */
enum enrol_action { ENROL_APPROVE, ENROL_REJECT, ENROL_REVOKE, ENROL_FORGET, ENROL_ACTIONS };
const char *enrol_action_name(enum enrol_action a);
/* 0: done and stored; positive 1: it cannot be done now, *refusal (static text) says why; negative errno. who, why: for the
 * log, any text. */
must_use_ int pipeline_enrolment(struct pipeline *p, enum enrol_action action, const uint8_t id[WIRE_DIGEST_SIZE],
				 const char *who, const char *why, const struct instant *now, const char **refusal);
/* An event of the verifier itself ("started", "stopped"), in its own transaction. */
must_use_ int pipeline_note(struct pipeline *p, const char *kind, const char *text, const struct instant *now);
must_use_ int pipeline_warn(struct pipeline *p, const char *kind, const char *text, const struct instant *now);
