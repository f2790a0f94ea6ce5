/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime policies: reference values for file digests. Native input: Keylime runtime policy v1 JSON. */
#pragma once

#include "ima/entry.h"
#include "imastream/limits.h"
#include "imastream/reason.h"
#include "policy/keyring.h"

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
/* The policy's own verification-keys, NULL when it has none. appraise_entry() uses them beside appraisal.keyring. */
const struct keyring *policy_keyring(const struct policy *p);

/* One finding about one entry. */
struct finding {
	uint64_t index;		/* entry, from 0 (people see index + 1) */
	enum reason reason;	/* REASON_NONE: nothing found */
	enum severity severity;
};

struct appraisal {
	const struct policy *policy;	/* NULL: no digests are judged */
	const struct keyring *keyring;	/* NULL: signatures are not judged; an empty keyring judges them */
	enum violation_rule violations; /* used when policy is NULL */
	bool check_template_hash;	/* the source carries the list's digest column: compare it (offline lists) */
};

/* Judges one entry: at most 4 findings, worst first, returns how many. Never stops, never fails: an entry that cannot
 * be judged is a finding. `fields` may be given by the caller that already parsed them, else NULL. Order of judgement:
 * docs/policy.md. Thread-safe. */
size_t appraise_entry(const struct appraisal *a, const struct ima_entry *e, const struct ima_fields *fields,
		      uint64_t index, struct finding out[4]);
