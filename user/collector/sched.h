/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [5], the decision: when to take the next quote. A pure state machine: no clock, no I/O; times are
 * CLOCK_MONOTONIC microseconds handed in.
 *
 * A running quote delays every PCR extend of the host, inside other processes' execve. So:
 *   - after idleness a quote starts at once;
 *   - one at a time; what arrives meanwhile waits for its end (the caller's `wanted_since` is the dirty mark);
 *   - after a quote that took q the next one waits q * (100 / duty - 1), so that quotes take at most duty per cent;
 *   - a quote that covers many costs no more than one that covers few, so in a burst (SCHED_BURST entries came faster than
 *     SCHED_BURST_PER_S) each waits half as long again as the one before, up to three quarters of max_proof_delay, or until
 *     nothing came for SCHED_QUIET_US, because then the burst is over;
 *   - but never so long that the oldest unproven entry would be proven later than max_proof_delay: then it starts
 *     earlier, by the time that a quote is expected to take and by SCHED_MARGIN for the way to the verifier and back;
 *   - a failed quote is tried again with a growing pause. */
#pragma once

#include "base/common.h"

#define SCHED_RETRY_FIRST_US 50000u
#define SCHED_RETRY_MAX_US 10000000u
#define SCHED_BURST 16u
#define SCHED_BURST_PER_S 100u
#define SCHED_SPACING_FIRST_US 10000u
#define SCHED_QUIET_US 25000u
#define SCHED_MARGIN 16u /* a part of max_proof_delay */

struct sched {
	unsigned int duty_percent;    /* 1 to 100 */
	uint64_t max_proof_delay_us;
	bool in_flight;
	uint64_t started_us;
	uint64_t ended_us;    /* of the last quote; 0: none yet */
	uint64_t last_us;     /* what it took */
	uint64_t expected_us; /* decaying maximum of what quotes take */
	uint64_t counted, counted_since_us; /* entries that came since then */
	bool burst;
	uint64_t spacing_us;  /* in a burst: between the end of a quote and the start of the next; 0: no burst */
	unsigned int failures; /* in a row */
	uint64_t retry_us;     /* not before this time */
};

/* What waits for a quote. */
struct sched_want {
	uint64_t since_us;  /* the first wish; 0: nobody wants one */
	uint64_t waiting;   /* entries that no quote covers */
	uint64_t newest_us; /* arrival of the last of them */
};

void sched_init(struct sched *s, unsigned int duty_percent, uint64_t max_proof_delay_us);
/* When the next quote should start: UINT64_MAX means never, or not before sched_finished(). A time that has passed means
 * now. */
uint64_t sched_start_at(const struct sched *s, const struct sched_want *want);
/* waiting: entries that it is the first to cover. */
void sched_started(struct sched *s, uint64_t now, uint64_t waiting);
void sched_finished(struct sched *s, uint64_t now, bool good);
