/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [5], the decision: when to take the next quote. A pure state machine: no clock, no I/O; times are
 * CLOCK_MONOTONIC microseconds handed in.
 *
 * A running quote delays every PCR extend of the host, inside other processes' execve. So:
 *   - after idleness a quote starts at once;
 *   - one at a time; what arrives meanwhile waits for its end (the caller's `wanted_since` is the dirty mark);
 *   - after a quote that took q the next one waits q * (100 / duty - 1), so that quotes take at most duty per cent;
 *   - but never so long that the oldest unproven entry would be proven later than max_proof_delay: then it starts
 *     earlier, by the time that a quote is expected to take;
 *   - a failed quote is tried again with a growing pause. */
#pragma once

#include "base/common.h"

#define SCHED_RETRY_FIRST_US 50000u
#define SCHED_RETRY_MAX_US 10000000u

struct sched {
	unsigned int duty_percent;    /* 1 to 100 */
	uint64_t max_proof_delay_us;
	bool in_flight;
	uint64_t started_us;
	uint64_t ended_us;    /* of the last quote; 0: none yet */
	uint64_t last_us;     /* what it took */
	uint64_t expected_us; /* decaying maximum of what quotes take */
	unsigned int failures; /* in a row */
	uint64_t retry_us;     /* not before this time */
};

void sched_init(struct sched *s, unsigned int duty_percent, uint64_t max_proof_delay_us);
/* When the next quote should start, given that it is wanted since `wanted_since` (0: nobody wants one): UINT64_MAX
 * means never, or not before sched_finished(). A time that has passed means now. */
uint64_t sched_start_at(const struct sched *s, uint64_t wanted_since);
void sched_started(struct sched *s, uint64_t now);
void sched_finished(struct sched *s, uint64_t now, bool good);
