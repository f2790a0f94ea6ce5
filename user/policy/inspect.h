/* SPDX-License-Identifier: Apache-2.0 */
/* What a loaded policy says, for people: behind `imastream policy explain` and `check`. Judges nothing: that is
 * appraise_entry(). Thread-safe, pure. */
#pragma once

#include "policy/policy.h"

enum policy_section { POLICY_DIGESTS, POLICY_KEYRINGS, POLICY_BUFFERS, POLICY_DENY, POLICY_IGNORED_KEYRINGS };
const char *policy_section_name(enum policy_section s); /* the member's name, "digests" */

/* One digest, or a name without digests (deny: the digest is the name; ignored keyrings). Views of the policy. */
struct policy_item {
	enum policy_section section;
	struct bytes name;
	const char *alg; /* kernel's name; NULL: none */
	struct bytes digest;
};
/* Result other than 0 ends the walk, and is returned. */
typedef int (*policy_item_fn)(void *user, const struct policy_item *item);

/* Each digest of each name; deny and ignored keyrings once each. 0, what each() returned, -EIO. */
must_use_ int policy_each(const struct policy *p, policy_item_fn each, void *user);
/* Those of one name. */
must_use_ int policy_each_of(const struct policy *p, enum policy_section section, struct bytes name, policy_item_fn each, void *user);
/* True when this digest under this path is one of the policy's files (no word about excludes and deny): that a walk shows it does
 * not say so, in a compiled policy that somebody else made. */
must_use_ bool policy_lists(const struct policy *p, struct bytes path, const char *alg, struct bytes digest);
/* False and *rule untouched when no exclude rule covers the path; rules are counted from 0. */
must_use_ bool policy_excluded_by(const struct policy *p, struct bytes path, size_t *rule);
/* i < policy_exclude_count() */
struct bytes policy_exclude_rule(const struct policy *p, size_t i);
