/* SPDX-License-Identifier: Apache-2.0 */
/* How much work hosts that nobody knows may ask for: a token bucket for all of them, and one for each connection. Bounded
 * memory: two connections that share a place share its bucket. */
#pragma once

#include "base/common.h"
#include "imastream/limits.h"

#define STRANGERS_PLACES 4096u

struct bucket {
	uint64_t at_mono;  /* when `level` was true */
	uint64_t level_us; /* time saved up: a check costs a second by its rate */
};

struct strangers {
	struct bucket all, of_peer[STRANGERS_PLACES];
};

/* May this connection (net_request_peer()) ask for one more check? Counts it. */
must_use_ bool strangers_take(struct strangers *s, uint64_t peer, uint64_t now_mono);
/* The same, when only what the connection asked for counts, not what all of them did. */
must_use_ bool strangers_take_own(struct strangers *s, uint64_t peer, uint64_t now_mono);
