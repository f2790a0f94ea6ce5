/* SPDX-License-Identifier: Apache-2.0 */
/* One measured entry on its way through the collector. */
#pragma once

#include "ima/entry.h"

struct item {
	struct ima_entry entry;	 /* borrowed views */
	uint64_t index;		 /* of the entry; set by its source */
	uint64_t arrived_us;	 /* CLOCK_MONOTONIC when this program got it */
	uint64_t measured_us;	 /* CLOCK_MONOTONIC of the measurement; 0: not known (read from the list) */
	bool has_context;	 /* what follows is known: unattested, for people */
	uint32_t pid, uid;
	uint64_t cgroup, mntns;
	char comm[17];		 /* NUL-terminated foreign bytes */
};
