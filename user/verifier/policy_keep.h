/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of large policies, for the history: a thread packs them, the loop stores a part at a time between its other
 * work. Nobody waits for it. A verifier that ends before it is done begins again when it starts. One thread owns it. */
#pragma once

#include "base/loop.h"
#include "verifier/history.h"

struct policy_keep;

/* keep: generations whose bytes stay, as in struct history_how. */
must_use_ int policy_keep_new(struct policy_keep **out, struct loop *loop, struct store *store, uint64_t keep);
/* Waits for the thread; what is not stored yet is left. */
void policy_keep_free(struct policy_keep **k);
/* Takes on what history_adopt() left (policy_source.keep) in these policies. */
must_use_ int policy_keep_add(struct policy_keep *k, struct policies *set);
/* Files that are not stored yet. */
size_t policy_keep_left(const struct policy_keep *k);
