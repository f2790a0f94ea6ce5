/* SPDX-License-Identifier: Apache-2.0 */
/* Between pipeline.c (requests), admit.c (HELLO) and rounds.c (time, rules, life of the pipeline) only. */
#pragma once

#include "verifier/pipeline.h"

/* The policy id that collectors are told; empty without a policy. */
struct bytes pipeline_policy_id(const struct pipeline *p);
/* Answers (NULL: drops) the WAIT that the session holds, if any. */
void pipeline_release_wait(struct pipeline *p, struct session *s, const struct wire_message *answer);
/* Sets the next time to look at an attester. */
void pipeline_arm(struct pipeline *p, struct attester *a);
/* Proof is due again `deadline` after `from`. */
void pipeline_extend_deadline(struct pipeline *p, struct attester *a, const struct instant *from);
/* Ends a transaction: settles memory, or takes it back to what is stored. */
void pipeline_close_batch(struct pipeline *p, bool committed);

/* Milliseconds until a refused collector should come back; 0: not at all. */
#define RETRY_AT_ONCE_MS 1u
#define RETRY_SOON_MS 1000u
#define RETRY_LATER_MS 5000u

/* Writes the answer; it leaves after the commit. */
void pipeline_reply(struct exchange *ex, const struct wire_message *m);
int pipeline_reject(struct exchange *ex, enum reason reason, const char *detail, uint32_t retry_ms);
/* An event when the state is not what it was. */
must_use_ int pipeline_settle_state(struct pipeline *p, struct attester *a, enum wire_state before,
				    enum reason why_before);
void pipeline_close_session(struct pipeline *p, struct attester *a, bool replaced);
must_use_ int pipeline_give_nonce(struct pipeline *p, struct session *s, bool challenge);
must_use_ int pipeline_hello(struct pipeline *p, struct exchange *ex, const struct wire_hello *h);
/* Forgets the announced boot, in memory and in the store. */
must_use_ int pipeline_drop_claim(struct pipeline *p, struct attester *a);
