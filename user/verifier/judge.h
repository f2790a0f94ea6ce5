/* SPDX-License-Identifier: Apache-2.0 */
/* One entry under the policies in force for its attester. While a policy is rolled out there are two: what the new one
 * refuses and the one before accepts makes no alarm until the overlap ends; then all is judged again. What the new one
 * denies by name is denied at once. */
#pragma once

#include "verifier/stages.h"

struct judgement {
	struct appraisal now;
	const struct policy *before; /* accepts too; NULL: no overlap */
};

/* A finding that appraise_entry() makes by the policy: another policy takes it back. */
bool judge_is_of_policy(enum reason reason);
/* Stage [10] for a new entry. 0 or -ENOMEM. */
must_use_ int judge_entry(const struct judgement *j, struct boot *b, uint32_t pcr_mask, const struct ima_entry *e, uint64_t index,
		 struct entry_findings *out);
/* For an entry that was taken in before: only what the policy says of it. */
must_use_ int judge_again(const struct judgement *j, struct boot *b, const struct ima_entry *e, uint64_t index,
		 struct entry_findings *out);
