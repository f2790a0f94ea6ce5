/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a policy, for user/policy/ only. */
#pragma once

#include <stdatomic.h>

#include "policy/compiled.h"
#include "policy/exclude.h"
#include "policy/table.h"

#define POLICY_ID_SIZE (7 + 64 + 1) /* "sha256:", hex, NUL */

/* A value that a boot PCR may have. Fixed size and without pointers: it can be used as it lies in a file. */
struct boot_pcr_value {
	uint8_t bank; /* enum hash_alg */
	uint8_t pcr;
	uint8_t value[HASH_MAX_SIZE]; /* hash_size(bank) bytes, then zeros */
};

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
	struct boot_pcr_value *boot_pcrs; /* "boot-pcrs", in the order of the file */
	size_t n_boot_pcrs;
	struct policy_image image; /* of a compiled policy: the table is in it */
};

/* A policy with nothing in it and one reference. 0 or -ENOMEM. */
must_use_ int policy_new(struct policy **out);
/* From a SHA-256. Needs no memory: a policy without an id must not be. */
void policy_set_id(struct policy *p, const uint8_t digest[32]);
/* One more value of "boot-pcrs"; value.n is hash_size(bank). A value that is there already is not added again.
 * 0, -ENOMEM, -EMSGSIZE (more than LIMIT_BOOT_PCR_VALUES). */
must_use_ int policy_add_boot_pcr(struct policy *p, enum hash_alg bank, unsigned int pcr, struct bytes value);
/* One line ("error: PLACE: TEXT\n") of the report: counted always, kept while there is room. */
void policy_report_line(struct policy_report *report, bool error, const struct writer *line);
