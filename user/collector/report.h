/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [4]: ENTRIES, unproven, at once. */
#pragma once

#include "collector/peer.h"
#include "collector/source.h"

/* Appends the message. `surely`: entries that are extended for sure, now; `measured`: entries that the kernel counts. */
void report_entries(struct writer *w, const struct peer *p, uint64_t first, struct bytes block, uint64_t surely,
		    uint64_t measured, const struct source_status *status);
