/* SPDX-License-Identifier: Apache-2.0 */
/* What another process of this machine costs, from /proc. */
#pragma once

#include "base/common.h"

struct cost {
	uint64_t cpu_ns;	  /* of all its threads, by the scheduler's own count */
	uint64_t user_us, system_us; /* the same by ticks of 10 ms */
	uint64_t rss_kib;	  /* memory of its own: RssAnon */
	uint64_t switches;	  /* of threads, wanted and not */
};

/* 0 or negative errno. pid 0: nothing is looked at, and all is 0. */
must_use_ int cost_of(uint64_t pid, struct cost *out);
