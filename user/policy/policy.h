/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime policies: reference values for file digests. Native input: Keylime runtime policy v1 JSON. */
#pragma once

#include "ima/entry.h"
#include "imastream/limits.h"
#include "imastream/reason.h"
#include "policy/keyring.h"

struct imapolicies; /* imapolicy.h */
struct policy; /* immutable once loaded; shared by threads; counted references */

enum violation_rule { VIOLATION_IGNORE, VIOLATION_WARN, VIOLATION_FAIL };

/* What was noticed while loading: errors (the policy is refused) and notes (defaulted fields), one text line each, safe
 * for a terminal. Start from zeros ({ .errors = 0 }): the text then keeps up to LIMIT_POLICY_REPORT bytes; beyond, lines
 * are counted only. */
struct policy_report {
	struct writer text;	/* "error: /excludes/3: missing ) at offset 7 in '(foo'\n" ... */
	unsigned int errors, notes;
};
/* Frees the text; the report can be used again. */
void policy_report_clear(struct policy_report *r);

/* From Keylime v1 JSON. 0; negative errno (ours: -ENOMEM); positive 1 = the policy is bad: see the report. *out untouched unless 0. */
must_use_ int policy_load_json(struct policy **out, struct bytes json, struct policy_report *report);
/* From JSON or from a compiled policy (compiled.h), which is copied. Same results. */
must_use_ int policy_load(struct policy **out, struct bytes file, struct policy_report *report);
/* The same from a file, "-" is standard input. Also -EMSGSIZE, and what open() and read() say. */
must_use_ int policy_load_file(struct policy **out, const char *path, struct policy_report *report);
/* Counted with atomics: any thread may take and drop references; everything else only reads. */
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy **p);
#define cleanup_policy_ cleanup_(policy_unref)

/* "sha256:<hex>" over the file as given. */
const char *policy_id(const struct policy *p);
/* Of "digests": how many, each once for its path; and for how many paths. */
size_t policy_digest_count(const struct policy *p);
size_t policy_path_count(const struct policy *p);
size_t policy_exclude_count(const struct policy *p);
size_t policy_deny_count(const struct policy *p);
bool policy_has_boot_aggregate(const struct policy *p); /* reference values for the first entry */
enum violation_rule policy_violation_rule(const struct policy *p);
const char *violation_rule_name(enum violation_rule rule); /* "ignore" "warn" "fail" */
must_use_ bool violation_rule_from_name(const char *name, enum violation_rule *out);
/* Boot PCRs that the policy pins ("boot-pcrs"): a bit each, in one bank, or (HASH_COUNT) in any. */
uint32_t policy_boot_pcrs(const struct policy *p, enum hash_alg bank);
/* True when the policy knows this value (hash_size(bank) bytes) of a PCR that it pins in this bank. */
must_use_ bool policy_boot_pcr_known(const struct policy *p, enum hash_alg bank, unsigned int pcr, const uint8_t *value);
/* The policy's own verification-keys, NULL when it has none. appraise_entry() uses them beside appraisal.keyring. */
const struct keyring *policy_keyring(const struct policy *p);

/* One finding about one entry. */
struct finding {
	uint64_t index;		/* entry, from 0 (people see index + 1) */
	enum reason reason;	/* REASON_NONE: nothing found */
	enum severity severity;
};

/* The steps of the order of judgement; the numbers are those of docs/policy.md. */
enum appraisal_step {
	APPRAISAL_TEMPLATE_HASH = 1,
	APPRAISAL_VIOLATION,
	APPRAISAL_FORM,
	APPRAISAL_DENY,
	APPRAISAL_TEMPLATE,
	APPRAISAL_BUFFER,
	APPRAISAL_NO_REFERENCE,
	APPRAISAL_BOOT_AGGREGATE,
	APPRAISAL_EXCLUDES,
	APPRAISAL_DIGEST,
	APPRAISAL_SIGNATURE,
	APPRAISAL_NOTHING_VOUCHED,
	APPRAISAL_STEPS, /* one more than the last */
};

enum appraisal_answer {
	APPRAISAL_PASSED_ON, /* nothing to say here, or a finding that does not end the judgement */
	APPRAISAL_DECIDED,   /* the last step: fine, or with findings */
};

/* How one entry was judged, for people who ask why. Written anew by each appraise_entry(). */
struct appraisal_trace {
	struct {
		enum appraisal_step step;
		enum appraisal_answer answer;
	} steps[APPRAISAL_STEPS];
	size_t n;
	struct ima_fields fields; /* as judged: by the template's name, or by the form of the data */
	bool signature_checked;
	enum imasig_outcome signature;
};

/* A look-up that policy_look_ahead() prepared. Only a hint: for another path or policy it is not used. */
struct policy_hint {
	const struct policy *policy;
	struct bytes path;
	struct bytes digest; /* the field: "sha256:", NUL, digest. Empty: not known to be listed */
	uint64_t hash, slot; /* when it is not: table_hash() and table_ask_record() */
};

struct appraisal {
	const struct policy *policy;	/* NULL: no digests are judged */
	const struct keyring *keyring;	/* NULL: signatures are not judged; an empty keyring judges them */
	enum violation_rule violations; /* used when policy is NULL */
	const struct keyring *learned;	/* NULL, or keys learned from this boot's list (learned.h): they vouch too */
	struct sigcache *signatures;	/* NULL, or verified signatures: one thread only */
	/* Of the boot: what its first entry, boot_aggregate, said; empty: nothing. After a kexec the kernel measures it again. */
	struct bytes boot_aggregate_alg, boot_aggregate;
	const struct imapolicies *ima_policies; /* NULL, or what is known and required of the host's own IMA policy */
	bool check_template_hash;	/* the source carries the list's digest column: compare it (offline lists) */
	struct appraisal_trace *trace;	/* NULL, or filled: one thread only */
	const struct policy_hint *hint; /* NULL, or of this entry */
};

/* Entries that are judged soon: asks for the memory in which the policy (NULL: none) has their paths, so that the waits
 * overlap. out: one hint each. listed: NULL, or which entries have in their first two fields a digest, as "NAME:", NUL, digest, and
 * a path for which policy_lists() is true, because they were put together from such a file: these are not looked up again. */
void policy_look_ahead(const struct policy *p, const struct ima_entry *e, size_t n, const bool *listed, struct policy_hint *out);
/* Then, with other work between, before the first of them is judged: fetches what is not there by now. */
void policy_look_up_ahead(const struct policy_hint *hints, size_t n);

/* Judges one entry: at most 4 findings, worst first, returns how many. Never stops, never fails: an entry that cannot
 * be judged is a finding. `fields` may be given by the caller that already parsed them, else NULL. Order of judgement:
 * docs/policy.md. Thread-safe. */
size_t appraise_entry(const struct appraisal *a, const struct ima_entry *e, const struct ima_fields *fields,
		      uint64_t index, struct finding out[4]);
/* True for an entry in which appraise_entry() finds nothing, and which is nothing but a file that the policy lists: no buffer, no key,
 * not boot_aggregate, no rules of IMA. False says nothing. Several times as fast; only with a hint. Thread-safe. */
must_use_ bool appraise_is_usual(const struct appraisal *a, const struct ima_entry *e);
/* True when the path is "boot_aggregate". */
must_use_ bool appraise_is_boot_aggregate(const struct ima_fields *f);
