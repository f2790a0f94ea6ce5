/* SPDX-License-Identifier: Apache-2.0 */
/* May a host that nobody knows attest? From what it says of its keys and the rules of enrolment to one answer. No state, no
 * store, no clock: admit.c asks, and does what the answer says. */
#pragma once

#include "tpm/certificate.h"
#include "verifier/enrol.h"

/* --enrol: tried in the order in which they were given; the first that takes or keeps a host waiting decides. */
enum enrol_mode {
	ENROL_MODE_EK_CA,   /* an endorsement (or attestation) certificate of a CA that is trusted */
	ENROL_MODE_PREAUTH, /* its endorsement key or attestation key is on a list */
	ENROL_MODE_MANUAL,  /* somebody approves it */
	ENROL_MODE_TOFU,    /* whoever comes first */
	ENROL_MODES,
};

struct enrol_rules {
	enum enrol_mode modes[ENROL_MODES];
	size_t n_modes;
	struct tpm_cas *ek_cas, *iak_cas; /* owned; NULL: none. Without iak_cas, ek_cas vouch for attestation keys too */
	struct ak_list preauth;		  /* owned */
};
void enrol_rules_clear(struct enrol_rules *r);
/* "ek-ca,manual": each of ek-ca, preauth, manual, tofu at most once. 0, or positive 1: *why static text. */
must_use_ int enrol_modes_parse(const char *list, struct enrol_rules *out, const char **why);
/* What was left out: without a mode ek-ca; tofu as the last one when it is wanted. */
void enrol_rules_complete(struct enrol_rules *r, bool tofu);
/* ---- enrol_load.c ---- */

struct verifier_options;
/* Reads every file that the options name. 0; negative errno: *why says what is wrong, in lines for people, and *out is empty
 * or to be cleared. Shares nothing: any thread may call it. */
must_use_ int enrol_rules_load(const struct verifier_options *o, struct enrol_rules *out, struct writer *why);
/* Logs how those come in that nobody knows, and what was asked for and cannot work. ak_list: there is one. */
void enrol_rules_tell(const struct enrol_rules *e, bool ak_list);

/* ---- enrol_rules.c ---- */

const char *enrol_mode_name(enum enrol_mode m);

/* What a host says of itself. */
struct enrol_facts {
	const uint8_t *id; /* computed, not claimed */
	const struct ak *ak;
	struct bytes ak_public, ek_public, ek_cert, ek_chain, iak_cert;
	uint64_t now_s;
	bool activated; /* it has shown that ak is in the TPM of ek_public */
};

enum enrol_answer {
	ENROL_SAY_TAKE,
	ENROL_SAY_CHALLENGE, /* it would be taken, or wait: first it has to show that its keys belong together */
	ENROL_SAY_WAIT,	     /* until somebody approves it */
	ENROL_SAY_REFUSE,
};

struct enrol_decision {
	enum enrol_answer answer;
	const char *how;      /* TAKE, CHALLENGE, WAIT: "ak-list" "ek-ca" "iak-ca" "preauth" "manual" "first-use" */
	enum reason reason;   /* REFUSE: why not; WAIT: why not without a person, REASON_NONE when nothing else was asked */
	const char *detail;   /* static text or NULL */
	const char *label;    /* of a list, else NULL; lives as long as the list */
	struct tpm_cert_facts cert; /* of a certificate that was found good */
	bool has_cert;
};
/* ak_list: keys that are taken as they are. Negative errno, or 0 and *out. */
must_use_ int enrol_decide(const struct enrol_rules *rules, const struct ak_list *ak_list, const struct enrol_facts *f,
			   struct enrol_decision *out);
