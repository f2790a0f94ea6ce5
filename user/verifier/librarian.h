/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the reference sets of policies in a thread of its own, one after the other: at start, and when policies change. A large
 * policy takes half a second, and nobody waits for it: until its set is there, entries come as without one. */
#pragma once

#include "base/loop.h"
#include "verifier/pipeline.h"

struct librarian;

/* The loop's thread owns it; pipeline must outlive it. after(user) follows each set that was put in force. */
must_use_ int librarian_new(struct librarian **out, struct loop *loop, struct pipeline *pipeline,
			    void (*after)(void *user), void *user);
void librarian_free(struct librarian **l);
/* Policies may have changed. */
void librarian_look(struct librarian *l);
