/* SPDX-License-Identifier: Apache-2.0 */
/* How fast this machine is just now: the check of one signature, as verifiers do it, again and again between other work. What a
 * verifier spends is told beside it: both become slower when other work has the caches, the clock or the other thread of a core. */
#pragma once

#include "lib/fake_quote.h"

struct yardstick {
	struct ak ak;
	struct writer message, signature;
	uint64_t next_us, checks, cpu_ns; /* cpu_ns: of this thread, for all checks */
};

void yardstick_init(struct yardstick *y, struct fake_tpm *tpm);
void yardstick_clear(struct yardstick *y);
/* Some checks, when it is time. */
void yardstick_use(struct yardstick *y, uint64_t now_us);
