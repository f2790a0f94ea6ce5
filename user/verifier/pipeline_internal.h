/* SPDX-License-Identifier: Apache-2.0 */
/* Between pipeline.c (requests), entries.c (blocks of entries), fetch.c (reference sets), admit.c (HELLO), takeover.c (which
 * session counts), enrolments.c (what people decide), rounds.c (time, rules, life of the pipeline) and rejudge.c only. */
#pragma once

#include "verifier/judge.h"
#include "verifier/pipeline.h"

/* The rules for an attester's entries: what is common to all, with its policy and the one before. */
struct judgement pipeline_judgement(const struct pipeline *p, struct attester *a);
/* There are policies, and none is for this attester: never trusted in silence. */
bool pipeline_policy_missing(const struct pipeline *p, struct attester *a);
must_use_ int pipeline_tell_missing(struct pipeline *p, struct attester *a, struct boot *b);
/* The policy id that a collector is told; empty without a policy. */
struct bytes pipeline_policy_id(const struct pipeline *p, struct attester *a);
/* Answers (NULL: drops) the WAIT that the session holds, if any. */
void pipeline_release_wait(struct pipeline *p, struct session *s, const struct wire_message *answer);
/* Sets the next time to look at an attester. */
void pipeline_arm(struct pipeline *p, struct attester *a);
/* Proof is due again `deadline` after `from`. */
void pipeline_extend_deadline(struct pipeline *p, struct attester *a, const struct instant *from);
/* Ends a transaction: settles memory, or takes it back to what is stored. */
void pipeline_close_batch(struct pipeline *p, bool committed);
/* The same for one message of it, after the roll-back to its savepoint. Negative errno: the pipeline is broken. */
must_use_ int pipeline_revert_message(struct pipeline *p);

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
/* secret: of an ACTIVATE, empty for a HELLO. */
must_use_ int pipeline_hello(struct pipeline *p, struct exchange *ex, const struct wire_hello *h, struct bytes secret);
/* Answers the WAIT that a session holds, if any, with a fresh nonce and the wish for a quote. */
must_use_ int pipeline_challenge(struct pipeline *p, struct session *s);
/* A session that has not shown its key yet; its WAIT gets this answer, NULL: session-unknown. */
void pipeline_close_pending(struct pipeline *p, struct session *s, const struct wire_message *answer);
/* Those of an attester that are on this boot, NULL: all. */
void pipeline_close_pendings(struct pipeline *p, struct attester *a, const struct boot *boot);
/* An event "rejected", but not more of them than a person could read. */
must_use_ int pipeline_tell_rejected(struct pipeline *p, const struct event_facts *f);
/* It asks again and again, people are to hear of it once in a while. true counts as told. */
must_use_ bool pipeline_refusal_is_new(const struct pipeline *p, struct attester *a, enum refused kind);

/* ---- fetch.c ---- */

/* The reference set that this session is told of; false: there is none. It counts as told. */
must_use_ bool pipeline_name_reference(const struct pipeline *p, struct session *s, uint8_t digest[WIRE_DIGEST_SIZE],
				       uint32_t *size);
/* Answers the held WAIT when another set is to be named than the session was told of. */
void pipeline_tell_reference(struct pipeline *p, struct session *s);
/* The sets that its blocks may need; how many. */
size_t pipeline_known_sets(const struct pipeline *p, struct attester *a, struct wire_known out[REFERENCES_HELD]);
int pipeline_fetch(struct pipeline *p, struct exchange *ex, struct session *s, const struct wire_fetch *m);

/* ---- entries.c ---- */

struct incoming_block {
	uint64_t first; /* index of its first entry */
	struct bytes block;
	uint32_t rtt_us;
};
/* Takes the entries behind s->boot->next. 0; a positive enum wire_block_outcome: nothing was taken; or negative errno. */
must_use_ int pipeline_take_block(struct pipeline *p, struct session *s, const struct incoming_block *in);

/* ---- enrolments.c ---- */

must_use_ int pipeline_log_enrolment(struct pipeline *p, const struct attester *a, const char *action, const char *who,
				     const char *why);
/* Changes the status, in memory and in the store; how and cert NULL: as they are. */
must_use_ int pipeline_set_enrolment(struct pipeline *p, struct attester *a, enum enrol_status status, const char *how,
				     const struct cert_row *cert);

/* ---- takeover.c ---- */

/* A newcomer said HELLO: the session in use, if it lives, is asked to prove itself. */
must_use_ int pipeline_contest(struct pipeline *p, struct attester *a);
/* A session in use answers, or is asked to: what a HELLO says of this host may be anybody's word. */
must_use_ int pipeline_is_heard(struct pipeline *p, struct attester *a, bool *out);
/* The first QUOTE of a pending session was judged: why is quote_judge()'s positive answer (REASON_NONE: it is good), vouched
 * says that the key signed it. 1: the session took over; 0: it did not and is closed, the answer is written; negative errno. */
must_use_ int pipeline_take_over(struct pipeline *p, struct exchange *ex, struct session *s, enum reason why,
				 bool vouched);
/* Forgets the announced boot, in memory and in the store. */
must_use_ int pipeline_drop_claim(struct pipeline *p, struct attester *a);

/* boots.c: what quotes say of a boot. */
/* Forgets learned keys that the policies in force do not allow. */
void pipeline_keep_allowed_keys(const struct pipeline *p, struct attester *a, struct boot *b);
/* A finding about a quote, a list or a PCR. */
must_use_ int pipeline_finding(struct pipeline *p, struct attester *a, struct boot *b, enum reason reason, uint64_t index,
			       const struct finding_source *source, bool *fresh);
/* The quote's signature and freshness hold: what it says of resets, restarts and clock is true from now on. */
must_use_ int pipeline_accept_boot(struct pipeline *p, struct session *s, const struct attest *q);
/* After a proof: boot PCRs against what they were, and against the policy. */
must_use_ int pipeline_judge_boot(struct pipeline *p, struct session *s);
/* Once more, by other rules. found(user, PCR) is told each PCR that is found wanting; may be NULL. */
must_use_ int pipeline_judge_boot_pcrs(struct pipeline *p, struct attester *a, struct boot *b,
				       void (*found)(void *user, uint64_t index), void *user);
/* IMA rules are required, and the list, proven, names none: a finding without an entry, its index is 0. */
bool pipeline_ima_policy_missing(const struct pipeline *p, const struct boot *b);
must_use_ int pipeline_tell_ima_policy(struct pipeline *p, struct attester *a, struct boot *b);
#define BOOT_PCR_CHANGED_INDEX 32u /* index of a boot-pcr finding: the PCR; with this added: it changed within the boot */
