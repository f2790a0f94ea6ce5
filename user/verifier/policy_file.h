/* SPDX-License-Identifier: Apache-2.0 */
/* One policy: its file, who vouches for it, what it says. Shares nothing: any thread may call it. */
#pragma once

#include "policy/signed.h"
#include "verifier/policies.h"

struct policy_opener {
	const struct policy_trust *trust; /* NULL or empty: no signature is asked for */
	const struct policies *known;	  /* what was loaded before: the same bytes are not read again; may be NULL */
	uint64_t now_s;
	struct writer *why, *notes;	  /* lines for people; safe for a terminal */
};

/* As it is kept in the store: Zstandard, appended to *out, which is empty. What is larger than out->max is left out: it is
 * in force like any other, only not rolled back to. 0, -ENOMEM. */
must_use_ int policy_file_pack(struct bytes file, struct writer *out);

/* Reads FILE and the signature beside it: FILE.sigstore.json, else FILE.sig, else none. Fills *out (zeros before) but for
 * its name and generations. 0; negative errno with a line in *why, *out untouched: -EINVAL the policy is bad, -EACCES
 * nobody who counts vouches for it. */
must_use_ int policy_file_open(const struct policy_opener *o, const char *path, struct named_policy *out);
/* Same, from what the store kept: `packed` as in struct policy_source. what: for messages. */
must_use_ int policy_kept_open(const struct policy_opener *o, const char *what, struct bytes packed, struct bytes detached,
			       struct named_policy *out);
