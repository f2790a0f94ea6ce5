/* SPDX-License-Identifier: Apache-2.0 */
/* Keys learned from a measurement list: a key that the kernel measured when it was put on the keyring .ima, and whose digest
 * the policy's "keyrings" allow there, may vouch for files that the same host measures later in the same boot. */
#pragma once

#include "policy/policy.h"

struct learned;

must_use_ int learned_new(struct learned **out); /* 0 or -ENOMEM */
void learned_free(struct learned **l);
#define cleanup_learned_ cleanup_(learned_free)

/* True when this entry, a measured buffer, is a key to be learned under this policy: keyring .ima, a public key or
 * certificate that we can use, its digest that of the bytes, allowed by "keyrings", not on the deny list, not MD4, MD5 or
 * SHA-1. fields: as ima_fields_parse() gave them. */
must_use_ bool learned_wants(const struct policy *p, const struct ima_entry *e, const struct ima_fields *fields);
/* Takes it (a copy). 1: new; 0: known already, or more than LIMIT_LEARNED_KEYS or LIMIT_LEARNED_BYTES; -ENOMEM. */
must_use_ int learned_add(struct learned *l, const struct ima_fields *fields);
/* For appraisal.learned; valid until the next change. */
const struct keyring *learned_keyring(const struct learned *l);
size_t learned_count(const struct learned *l);
/* Forgets all but the first n. */
void learned_truncate(struct learned *l, size_t n);
/* Forgets those that neither policy allows; NULL: none. */
void learned_keep_allowed(struct learned *l, const struct policy *p, const struct policy *before);

/* As bytes, for the store, and back: for each key its algorithm's number, its digest (u8 length) and DER (u32 length).
 * learned_load: 0, -ENOMEM, -EBADMSG; adds to *l. */
void learned_save(const struct learned *l, struct writer *w);
must_use_ int learned_load(struct learned *l, struct bytes saved);
