/* SPDX-License-Identifier: Apache-2.0 */
/* `imastream log verify` without its files and options: judges a list in memory, tells what it found. No output here. */
#pragma once

#include "ima/match.h"
#include "policy/imapolicy.h"
#include "policy/learned.h"
#include "policy/policy.h"
#include "tpm/attest.h"
#include "tpm/pcrfile.h"

#define LOG_EXPECTED_MAX 128u /* --pcr values: more than 24 PCRs in 4 banks */

struct expected_pcr {
	unsigned int index;
	enum hash_alg bank;
	uint8_t value[HASH_MAX_SIZE];
};

struct log_inputs {
	struct bytes list;
	const struct policy *policy;   /* or NULL */
	const struct keyring *keyring; /* or NULL */
	const struct imapolicies *ima_policies; /* or NULL */
	bool violations_given;	       /* else the policy's rule, or a warning */
	enum violation_rule violations;
	struct expected_pcr expected[LOG_EXPECTED_MAX];
	size_t n_expected;
	bool quote_given;
	struct bytes message, signature, nonce;
	bool nonce_given;
	const struct ak *ak;
	const struct tpm_pcr_file *pcrs; /* values of the PCRs that are not in the list, or NULL */
};

/* A piece of log_report.blob. */
struct log_text {
	size_t at, n;
};

struct log_finding {
	uint64_t entry; /* from 1; 0: about the list or the quote as a whole */
	enum reason reason;
	enum severity severity;
	uint32_t pcr;
	bool proven;
	bool has_path, has_digest;
	struct log_text path, template, digest, text;
};

struct log_template {
	char name[LIMIT_TEMPLATE_NAME + 1];
	uint64_t entries;
};

/* One of the two things a list can be compared with. */
struct log_target_result {
	bool given;   /* asked for */
	bool tried;   /* and fit to be compared with */
	bool matched;
	uint64_t at_entry;
	uint32_t pcrs; /* of the list, that it covers */
	enum hash_alg bank;
};

enum log_verdict { LOG_TRUSTED, LOG_WARNING, LOG_UNTRUSTED, LOG_UNPROVEN };

struct log_report {
	struct ima_whole_list list;
	struct ima_replay replay; /* as the TPM has it, where that could be found out */
	struct log_template templates[LIMIT_TEMPLATES];
	size_t n_templates;
	uint64_t other_templates;	/* entries of templates past LIMIT_TEMPLATES names */
	uint64_t per_pcr[LIMIT_PCR + 1], first_of_pcr[LIMIT_PCR + 1];
	struct log_target_result quote, expected;
	bool nonce_checked;
	size_t learned_keys;	/* of .ima, that the policy allows */
	uint64_t signatures_remembered; /* checks that were not made again */
	struct log_finding *findings; /* by entry; those about the whole list behind */
	size_t n_findings, cap_findings;
	struct writer blob;
	size_t failures, warnings;
	uint64_t unproven; /* entries behind the last match */
	const char *next;  /* what to do, where it is not what the reason advises; a constant or NULL */
	enum log_verdict verdict;
};

void log_report_clear(struct log_report *r); /* idempotent */
#define cleanup_log_report_ cleanup_(log_report_clear)

/* Fills *out (all zeros before; to be cleared also on failure). 0 or a negative errno of our own. */
must_use_ int log_verify(const struct log_inputs *in, struct log_report *out);

struct bytes log_report_text(const struct log_report *r, struct log_text t);
const char *log_verdict_name(enum log_verdict v); /* "trusted" "warning" "untrusted" "unproven" */

/* Adds a finding; on lack of memory the blob's status says so. NULL, or the new one. */
struct log_finding *log_add_finding(struct log_report *r, enum reason reason, uint64_t entry);
/* Its text: the reason's, or what is given. */
void log_finding_text(struct log_report *r, struct log_finding *f, const char *fmt, ...) printf_(3, 4);

/* Compares the list with the quote and the expected values (log_compare.c). 0 or a negative errno of our own. */
must_use_ int log_compare(const struct log_inputs *in, struct log_report *r);

/* The two forms of output (log_output.c). */
void log_print_json(struct writer *w, const struct log_report *r);
void log_print_text(struct writer *w, const char *name, const struct log_inputs *in, const struct log_report *r);
