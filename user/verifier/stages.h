/* SPDX-License-Identifier: Apache-2.0 */
/* Stages [7] to [11] on decoded messages: no sockets, no store, no clock of their own. They never call each other; only
 * pipeline.c calls them. Results: 0 fine, negative errno our failure, positive enum reason the peer's fault. */
#pragma once

#include "policy/policy.h"
#include "verifier/attester.h"

/* ---- session.c, stage [7] ---- */

struct hello_facts {
	struct ak ak; /* of HELLO.ak_public; its name is set */
	enum hash_alg bank;
};
#define cleanup_hello_facts_ cleanup_(hello_facts_clear)
void hello_facts_clear(struct hello_facts *f);

/* Judges what needs no state: version, keys, identity, bank, PCR values. *detail gets static text for a reason. */
must_use_ int session_check_hello(const struct wire_hello *h, bool allow_test_sources, struct hello_facts *out,
				  const char **detail);

enum boot_choice {
	BOOT_CURRENT,	/* same reset count as stored: go on at `next` */
	BOOT_CLAIMED,	/* same as the announced one: go on there */
	BOOT_NEW,	/* another: from entry 0 */
	BOOT_OTHER_BANK, /* the same boot cannot change its bank: what is stored was replayed in the other */
};
enum boot_choice session_choose_boot(const struct attester *a, const struct wire_hello *h, enum hash_alg bank);
/* A session on that boot. Takes facts->ak. id and nonce are random bytes from the caller. 0 or -ENOMEM. */
must_use_ int session_new(struct session **out, struct attester *a, struct boot *boot, const struct wire_hello *h,
			  struct hello_facts *facts, const uint8_t id[WIRE_SESSION_SIZE]);
/* What the collector dropped, each kind for itself. 0 or -ENOMEM. */
must_use_ int session_keep_drops(struct session *s, const uint64_t *drops, size_t n);
/* Makes `value` the newest nonce; the one before stays good until it is used. */
void session_give_nonce(struct session *s, const uint8_t value[WIRE_NONCE_SIZE], bool challenge,
			const struct instant *now);

/* ---- quote.c, stage [8] ---- */

struct quote_result {
	struct attest attest; /* views into the message */
	enum hash_alg digest_alg; /* of the composite: the signature scheme's hash */
	uint8_t commitment[WIRE_DIGEST_SIZE];
	struct nonce *nonce;  /* of the session: the one it answers */
	bool resend;	      /* the newest quote once more: answer as before, nothing else in here is set */
};
/* All checks of a quote but the PCR digest, in the order of docs/WIRE.md. Changes nothing. *vouched: the session's key
 * signed it, over this session's commitment; so it speaks for its attester even when a later check refuses it. */
must_use_ int quote_judge(struct session *s, const struct wire_quote *q, struct quote_result *out, bool *vouched);
/* replay_test_fn: is the quoted digest that of these values? */
struct quote_test {
	const struct session *session;
	const struct quote_result *result;
};
bool quote_test_values(void *quote_test, const struct replay_view *v);

/* ---- appraise.c, stage [10] ---- */

struct entry_findings {
	struct finding list[8];
	size_t n;
	struct ima_fields fields;
};
/* Judges one entry, with what its boot's list told so far: boot_aggregate, learned keys; learns from it. again: other rules
 * judge it once more: only what depends on rules. pcr_mask: PCRs that the quotes cover. 0 or -ENOMEM. */
must_use_ int appraise_stage(const struct appraisal *rules, struct boot *b, uint32_t pcr_mask, const struct ima_entry *e,
			     uint64_t index, bool again, struct entry_findings *out);
/* The rules with what the boot's list told: for appraise_entry(). Valid until the boot changes. */
struct appraisal appraise_rules_of(const struct appraisal *rules, const struct boot *b);
/* Learns a key of .ima from the entry, when the policy (NULL: none) allows it. 0 or -ENOMEM. */
must_use_ int appraise_learn(const struct policy *policy, struct boot *b, const struct ima_entry *e,
			     const struct ima_fields *fields);
/* Keeps the values of the PCRs that no entry names, which a quote has just proven. Bits of those that have another value
 * than at an earlier proof of this boot. Negative: -ENOMEM. */
must_use_ int64_t appraise_keep_boot_values(const struct session *s);
enum boot_pcr_answer {
	BOOT_PCR_FINE,	  /* known, or not pinned */
	BOOT_PCR_UNKNOWN, /* the policy knows other values */
	BOOT_PCR_OPEN,	  /* pinned, and not quoted in a bank in which it is pinned */
};
/* By the values that are proven. A PCR that is pinned in several banks needs one of them. */
must_use_ enum boot_pcr_answer appraise_boot_pcr(const struct policy *policy, const struct boot *b, unsigned int pcr);
/* No prefix of the list gives the quoted digest, and there is a kexec in this boot that can have lost entries: the list was
 * lost (it is shorter than what is proven), went on behind a second boot_aggregate, or a kexec was being prepared. */
must_use_ bool appraise_kexec_gap(const struct session *s);
/* After a proof: is boot_aggregate the digest of the boot PCRs (now authentic)? REASON_NONE also when it cannot be judged
 * and the policy does not count on it. */
must_use_ enum reason appraise_boot_aggregate(const struct appraisal *rules, const struct session *s);

/* ---- verdict.c, stage [11] ---- */

/* Counts one more finding of this boot. */
void verdict_count(struct boot *b, enum reason reason, enum severity severity);
/* The state that follows from what is known now, and the reason that weighs most (REASON_NONE when trusted). */
enum wire_state verdict_state(const struct attester *a, enum reason *why);
const char *verdict_state_name(enum wire_state s);
