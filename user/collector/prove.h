/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [6]: QUOTE, with the entries that are still owed. */
#pragma once

#include "collector/peer.h"

/* Appends the message for p->quote, which is ready. block.n == 0: no entries ride along. */
void prove_quote(struct writer *w, const struct peer *p, uint64_t first, struct bytes block, uint64_t now_us);
