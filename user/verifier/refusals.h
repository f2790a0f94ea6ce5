/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that nobody knows and that were refused of late, for people who look why one does not come in. Nothing depends on it: in
 * memory, of fixed size, whoever was refused longest ago goes first. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"
#include "imastream/reason.h"
#include "imastream/wire.h"

struct refusal {
	uint8_t id[WIRE_DIGEST_SIZE];
	char label[LIMIT_LABEL + 1]; /* what it calls itself */
	enum reason reason;	     /* the last one */
	uint64_t times, last_real;   /* CLOCK_REALTIME, microseconds */
};

struct refusals {
	struct refusal list[LIMIT_REFUSALS]; /* the last one last */
	size_t n;
};

void refusals_add(struct refusals *all, const uint8_t id[WIRE_DIGEST_SIZE], struct bytes label, enum reason reason,
		  uint64_t now_real);
