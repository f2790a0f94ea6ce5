/* SPDX-License-Identifier: Apache-2.0 */
/* Did the files of the policies change? Folders are watched (inotify), so that a file that is replaced by a rename is seen
 * like one that is written. Says so once it has been quiet for a moment. */
#pragma once

#include "base/loop.h"
#include "verifier/options.h"

struct policy_watch;

/* Calls `changed` from the loop. What cannot be watched is left out: a line in *why (may be NULL), SIGHUP works anyway. */
must_use_ int policy_watch_new(struct policy_watch **out, const struct verifier_options *o, struct loop *loop,
			       loop_fn changed, void *user, struct writer *why);
void policy_watch_free(struct policy_watch **w);
