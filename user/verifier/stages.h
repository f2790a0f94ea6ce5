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
/* All checks of a quote but the PCR digest, in the order of docs/WIRE.md. Changes nothing. */
must_use_ int quote_judge(struct session *s, const struct wire_quote *q, struct quote_result *out);
/* replay_test_fn: is the quoted digest that of these values? */
struct quote_test {
	const struct session *session;
	const struct quote_result *result;
};
bool quote_test_values(void *quote_test, const struct replay_view *v);

/* ---- appraise.c, stage [10] ---- */

struct entry_findings {
	struct finding list[5];
	size_t n;
	struct ima_fields fields;
};
/* Judges one entry and remembers boot_aggregate. pcr_mask: PCRs that the quotes cover. */
void appraise_stage(const struct appraisal *rules, struct boot *b, uint32_t pcr_mask, const struct ima_entry *e,
		    uint64_t index, struct entry_findings *out);
/* After a proof: is boot_aggregate the digest of the boot PCRs (now authentic)? REASON_NONE also when it cannot be judged
 * and the policy does not count on it. */
must_use_ enum reason appraise_boot_aggregate(const struct appraisal *rules, const struct session *s);

/* ---- verdict.c, stage [11] ---- */

/* Counts one more finding of this boot. */
void verdict_count(struct boot *b, enum reason reason, enum severity severity);
/* The state that follows from what is known now, and the reason that weighs most (REASON_NONE when trusted). */
enum wire_state verdict_state(const struct attester *a, enum reason *why);
const char *verdict_state_name(enum wire_state s);
