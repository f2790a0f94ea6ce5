/* SPDX-License-Identifier: Apache-2.0 */
/* A verifier's state machine (peer.h) together with its socket, its group of URLs and its own place in the list. */
#pragma once

#include "base/log.h"
#include "base/loop.h"
#include "collector/batch.h"
#include "collector/options.h"
#include "collector/peer.h"
#include "collector/set_cache.h"
#include "collector/trim.h"
#include "net/net.h"

struct member {
	struct keeper *keeper; /* of --tls-key; not ours, NULL: none */
	struct peer peer;
	struct net_client *client;
	char *urls[LIMIT_VERIFIERS];
	size_t n_urls, url_at;
	struct feed feed;
	struct set_cache *cache; /* not ours */
	const struct wire_reference *set; /* that its blocks may use; NULL: none */
	size_t reserved; /* in the cache, for one that is being fetched */
	struct log_limit set_log; /* a verifier can name one set after the other */
	struct trim_group trim;
	uint64_t reported, proven; /* entries whose latency was counted */
	uint64_t bytes_sent, bytes_received; /* of clients that are closed */
	/* When a request fails for want of an answer; 0: none. By the caller's clock, which tests step. */
	uint64_t deadline_us[NET_SLOTS];
	struct loop *loop;
	loop_fn readable;
	void *user;
};

/* group: URLs separated by commas. `readable` is called by the loop with `user` when member_next() has something. */
must_use_ int member_open(struct member *m, const char *group, const struct collector_options *o,
			  struct keeper *keeper, struct set_cache *cache, struct loop *loop, loop_fn readable, void *user, struct writer *why);
void member_close(struct member *m);
/* Does what the state machine left to do: cancels void requests, dials again, takes the next URL of the group. */
must_use_ int member_tidy(struct member *m, const struct collector_options *o);
/* Takes the reference set that the verifier named from the cache, or lets it be fetched; puts one that came into it. */
void member_set(struct member *m, uint64_t now);
/* Requests that nobody has answered in time fail. */
void member_expire(struct member *m, uint64_t now);
/* When member_expire() has something to do; 0: never. */
uint64_t member_wake_at(const struct member *m);
must_use_ int member_send(struct member *m, enum peer_request request, struct bytes message, uint64_t next,
			  uint64_t now);
/* Takes one completion into the state machine. false: there is none. */
bool member_next(struct member *m, uint64_t now);
void member_bytes(const struct member *m, uint64_t *sent, uint64_t *received);
