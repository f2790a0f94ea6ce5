/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a policy, for user/policy/ only. */
#pragma once

#include <stdatomic.h>

#include "policy/exclude.h"
#include "policy/policy.h"
#include "policy/table.h"

#define POLICY_ID_SIZE (7 + 64 + 1) /* "sha256:", hex, NUL */

struct policy {
	atomic_uint references;
	char id[POLICY_ID_SIZE];
	struct table table;
	struct exclude_set *excludes;
	struct keyring *keys; /* the policy's verification-keys; NULL when it has none */
	enum violation_rule violations;
	size_t digests, paths, denied; /* of files; of files; deny list */
	bool boot_aggregate;	       /* the policy has reference values for boot_aggregate */
	bool ignore_all_keyrings;      /* "*" in ima.ignored_keyrings */
};

/* A policy with nothing in it and one reference. 0 or -ENOMEM. */
must_use_ int policy_new(struct policy **out);
