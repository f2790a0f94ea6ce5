/* SPDX-License-Identifier: Apache-2.0 */
/* A policy as the JSON document that people keep: for the files of this folder that make, merge and compare policies.
 * A verifier does not use it: policy_load_json() reads without building a document. */
#pragma once

#include <jansson.h>

#include "policy/policy.h"

static inline void document_free(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}
#define cleanup_json_ cleanup_(document_free)

/* Checked as a verifier does, digests in lower case. 0; 1: no good policy, see the report; negative errno. *checked may be
 * NULL, else it gets the loaded policy. */
must_use_ int document_load(json_t **out, struct policy **checked, struct bytes json, struct policy_report *report);
/* Adds the members that Keylime asks for, where they are missing. 0 or -ENOMEM. */
must_use_ int document_fill(json_t *root);
/* Sorts every array of digests and drops what is there twice. How many digests of digests, keyrings and ima-buf there are,
 * or -ENOMEM. */
must_use_ int64_t document_sort(json_t *root);
/* The text, members sorted, a line feed at the end. 0 or negative errno. */
must_use_ int document_write(const json_t *root, struct writer *w);
