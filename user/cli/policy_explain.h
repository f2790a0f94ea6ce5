/* SPDX-License-Identifier: Apache-2.0 */
/* Says how entries were judged; for policy_explain.c. The judgement itself is appraise_entry()'s, and nobody else's. */
#pragma once

#include "base/json.h"
#include "cli/policy_cmd.h"

struct explain {
	const struct policy *policy;
	const struct keyring *keyring; /* NULL: none was given */
	const struct keyring *learned; /* NULL, or keys of the list's .ima entries so far */
	struct writer out;
	struct json json;
	bool as_json;
	uint64_t judged, failed;
};

/* What the policy says about a name: digests, keys, buffers, the exclude rule that covers it. */
void explain_name(struct explain *x, struct bytes name);
/* Where the policy has this digest. alg: the kernel's name. 0 or negative errno. */
must_use_ int explain_digest(struct explain *x, const char *alg, struct bytes digest);
/* Judges one entry and says, step by step, how. number: from 1; 0: not from a list. with_hash: the list's digest counts. */
void explain_entry(struct explain *x, const struct ima_entry *e, uint64_t index, uint64_t number, bool with_hash);
