/* SPDX-License-Identifier: Apache-2.0 */
/* IMA's own policy, the rules by which a host's kernel measures: read, and compared with rules that a verifier requires.
 * Pure. Source: Documentation/ABI/testing/ima_policy; security/integrity/ima/ima_policy.c. docs/policy.md has the meaning. */
#pragma once

#include "ima/entry.h"
#include "imastream/limits.h"

struct imapolicy;

/* A policy's text as it is written to /sys/kernel/security/ima/policy. Rules that do not measure (appraise, audit, hash) are
 * read and have no effect here. A condition that is not known makes a measure rule narrower and a dont_measure rule count.
 * 0; -ENOMEM; positive 1: not such a text: *line (from 1) and *why, a constant, say where and what. */
must_use_ int imapolicy_parse(struct imapolicy **out, struct bytes text, unsigned int *line, const char **why);
void imapolicy_free(struct imapolicy **p);
#define cleanup_imapolicy_ cleanup_(imapolicy_free)
size_t imapolicy_rules(const struct imapolicy *p); /* measure and dont_measure rules */

/* True when every event that `required` measures is measured by p as well. Else *missing: the number (from 0, as
 * imapolicy_rules() counts) of the first required rule that p does not keep. */
must_use_ bool imapolicy_covers(const struct imapolicy *p, const struct imapolicy *required, size_t *missing);
/* The text of a rule, for people: foreign bytes, borrowed. */
struct bytes imapolicy_rule(const struct imapolicy *p, size_t i);

/* "tcb-exec": the requirement that comes with imastream, as text; NULL for another name. */
const char *imapolicy_builtin(const char *name);

/* What a verifier knows of IMA policies, and what it requires. Owns its texts. */
struct imapolicies;
must_use_ int imapolicies_new(struct imapolicies **out);
void imapolicies_free(struct imapolicies **p);
/* The requirement, and one more known text. As imapolicy_parse(); also 1: more than LIMIT_IMA_POLICIES. */
must_use_ int imapolicies_require(struct imapolicies *p, struct bytes text, unsigned int *line, const char **why);
must_use_ int imapolicies_know(struct imapolicies *p, struct bytes text, unsigned int *line, const char **why);
bool imapolicies_required(const struct imapolicies *p);

enum imapolicy_answer {
	IMAPOLICY_NONE,	   /* the entry is no measured IMA policy */
	IMAPOLICY_FINE,	   /* it is one, and it measures what is required */
	IMAPOLICY_WEAK,	   /* one that measures less */
	IMAPOLICY_UNKNOWN, /* one whose rules are not known */
};
/* Is this entry an IMA policy, and what of it? fields: as ima_fields_parse() gave them, known. */
must_use_ enum imapolicy_answer imapolicies_judge(const struct imapolicies *p, const struct ima_entry *e,
						  const struct ima_fields *fields);
