/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a policy as a reference set (docs/WIRE.md, "Reference sets"): what collectors fetch, and the way back from the
 * number of a record to its file. Immutable once made, shared by counted references (atomics): any thread. */
#pragma once

#include "policy/policy.h"
#include "wire/reference.h"

struct reference_set;

/* Takes a reference on the policy: records are views of it. Nearly a microsecond for each file. 0; 1: there is no file in it that
 * could be a record; -ENOMEM. */
must_use_ int reference_set_new(struct reference_set **out, struct policy *policy);
struct reference_set *reference_set_ref(struct reference_set *s);
void reference_set_unref(struct reference_set **s);
#define cleanup_reference_set_ cleanup_(reference_set_unref)

/* What travels, as long as the set is there. */
struct bytes reference_set_bytes(const struct reference_set *s);
const uint8_t *reference_set_digest(const struct reference_set *s);
/* True when records are files of this very policy: policy_lists() says yes to each. */
bool reference_set_is_of(const struct reference_set *s, const struct policy *policy);
/* policy_id() of the policy that it was made of. */
const char *reference_set_policy(const struct reference_set *s);
/* For wire_unpack_begin_known(). */
struct wire_known reference_set_known(const struct reference_set *s);
