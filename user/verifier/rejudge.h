/* SPDX-License-Identifier: Apache-2.0 */
/* Other rules: every entry of the current boots is judged again, a bounded slice at a time, so that a fleet's entries do
 * not hold up its evidence. New evidence is judged under the new rules at once. An attester's stored entries were judged
 * by the rules that attester.judged names; where that is not what judges it now, it is queued: after other rules, at the
 * end of an overlap, and at start (the rules changed while nobody looked, or an ending cut a queue short). */
#pragma once

#include "verifier/stages.h"

#define REJUDGE_SLICE 4096u /* entries between two looks at the sockets; a block is judged as a whole */

struct pipeline;
struct ima_entry;

struct verdict_key {
	uint64_t index;
	uint32_t reason;
	bool still;
};

struct rejudge {
	uint8_t (*ids)[WIRE_DIGEST_SIZE]; /* who waits */
	size_t n, at;
	/* the one at ids[at], once begun */
	bool begun;
	uint64_t boot;		 /* 0: choose the next one */
	uint64_t boots_done;	 /* bit 0: the confirmed one, bit 1: the announced one */
	uint64_t next, end;	 /* entries; those from `end` on came under the new rules */
	struct verdict_key *old; /* what the old rules found, ascending */
	size_t n_old, capacity, dropped;
};

void rejudge_clear(struct rejudge *j);
/* Whom these rules have not judged yet, in place of an older queue. 0 or -ENOMEM. */
must_use_ int rejudge_queue(struct pipeline *p);
static inline bool rejudge_pending(const struct rejudge *j)
{
	return j->at < j->n;
}
/* One slice, in a transaction of its own. Negative errno: nothing was stored, the same slice comes again. */
must_use_ int rejudge_slice(struct pipeline *p);
/* What judges this attester now, as attester.judged has it. */
void rejudge_basis(struct pipeline *p, struct attester *a, uint8_t out[WIRE_DIGEST_SIZE]);
