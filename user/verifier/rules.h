/* SPDX-License-Identifier: Apache-2.0 */
/* By what attesters are let in and judged: read from files as the options say, as a whole or not at all. */
#pragma once

#include "policy/signed.h"
#include "policy/imapolicy.h"
#include "verifier/enrol_rules.h"
#include "verifier/policies.h"

struct rules {
	struct appraisal appraisal; /* what is common to all attesters; its policy is set for each: pipeline_appraisal() */
	struct policies policies;   /* owned */
	struct keyring *keyring;    /* owned, NULL: none */
	struct imapolicies *ima_policies; /* owned, NULL: nothing is required of the hosts' own IMA policies */
	struct ak_list ak_list;	    /* owned */
	struct policy_trust *trust; /* owned: who must have signed policies; NULL: nobody */
	uint8_t basis[WIRE_DIGEST_SIZE]; /* over all else that judges entries (the keyring): attester.judged */
	struct enrol_rules enrol;   /* owned; without a mode: ek-ca */
	bool trust_on_first_use;    /* the same as a last mode tofu */
	bool allow_test_sources;
	uint64_t heartbeat_us, deadline_us;
};
void rules_clear(struct rules *r);

/* What was noticed while loading, for people. */
struct rules_report {
	struct writer why, notes; /* lines: what is wrong; what is worth knowing of good files */
	char *failed;		  /* owned: the policy file that was refused, NULL: it was something else */
};
#define RULES_REPORT ((struct rules_report){ .why = WRITER(1u << 20), .notes = WRITER(1u << 20) })
void rules_report_clear(struct rules_report *r);
#define cleanup_rules_report_ cleanup_(rules_report_clear)

/* Reads every file that the options name. known: policies that need not be read again when their file did not change; may
 * be NULL. 0; negative errno: report->why says what could not be read or what is wrong with it, *out untouched. Does not
 * log and shares nothing but references of policies: any thread may call it. */
struct verifier_options;
must_use_ int rules_load(const struct verifier_options *o, const struct policies *known, struct rules *out,
			 struct rules_report *report);
/* Only out->trust: today's keys, for what is opened from the store. */
must_use_ int rules_load_trust(const struct verifier_options *o, struct rules *out, struct rules_report *report);
/* Part of it, rules_ima.c: --require-ima-policy and --ima-policy into r, and into its basis. */
must_use_ int rules_load_ima_policies(const struct verifier_options *o, struct rules *r, struct writer *why);
/* Logs what is in force. */
void rules_tell(const struct rules *r);
