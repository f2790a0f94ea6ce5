/* SPDX-License-Identifier: Apache-2.0 */
/* --trim-acknowledged, the decision: up to which entry the kernel may forget, and when it is told. Pure: no clock, no I/O; times are
 * CLOCK_MONOTONIC microseconds handed in.
 *
 *   - only what every verifier has stored and proven: each address of a fail-over group for itself, because a stand-in may have
 *     another store; one that was never spoken to has proven nothing;
 *   - and of that not the newest one. The beginning of the list may be read one too low (source_kernel_begins()), then the kernel
 *     deletes one more than was meant: that is to be one which everybody has, too;
 *   - TRIM_ENTRIES at any time, fewer once in a TRIM_PERIOD_US, on the way when something else woke us: an idle host stays idle;
 *   - while somebody else has the list open it is tried again with a growing pause; any other failure pauses for TRIM_PERIOD_US. */
#pragma once

#include "collector/peer.h"

#define TRIM_ENTRIES 1000u
#define TRIM_PERIOD_US 60000000u
#define TRIM_RETRY_FIRST_US 100000u

/* What the verifiers of one fail-over group have proven: the number of entries, by their place in the group. All zeros at first. */
struct trim_group {
	uint64_t proven[LIMIT_VERIFIERS];
	size_t n;
};

struct trim {
	uint64_t done_us; /* the last one; 0: none yet */
	uint64_t not_before_us;
	unsigned int failures; /* in a row */
};

/* What the verifier at this place, the one in use, has said by now. */
void trim_heard(struct trim_group *g, size_t at, const struct peer *p);
/* The lower one of `lowest` (UINT64_MAX: no group was asked yet) and of what every verifier of the group has proven. */
uint64_t trim_lowest(uint64_t lowest, const struct trim_group *g);
/* When to let the kernel forget, and in *upto the index of the first entry that stays. `lowest`: of all groups; `first`: where the
 * list begins. UINT64_MAX: there is nothing, or too little; a time after `now` is to be waited for. */
uint64_t trim_at(const struct trim *t, uint64_t lowest, uint64_t first, uint64_t now, uint64_t *upto);
/* It was tried: 0 or a negative errno. */
void trim_tried(struct trim *t, int result, uint64_t now);
