/* SPDX-License-Identifier: Apache-2.0 */
/* Exclude rules: regular expressions with the meaning of Python's re.match (anchored at the start of the path, not at its
 * end), run by PCRE2 with JIT and limits. Immutable once built; matching is thread-safe. Pure. */
#pragma once

#include "base/buf.h"

struct exclude_set;

must_use_ int exclude_set_new(struct exclude_set **out);
void exclude_set_free(struct exclude_set **s);
#define cleanup_exclude_set_ cleanup_(exclude_set_free)
/* Compiles one rule. 0; -ENOMEM; positive 1: not a rule we take, with the reason appended to `why` ("missing closing
 * parenthesis at offset 7"). */
must_use_ int exclude_add(struct exclude_set *s, struct bytes pattern, struct writer *why);
size_t exclude_count(const struct exclude_set *s);
/* True when the newest rule covers each and every path. */
bool exclude_last_covers_all(const struct exclude_set *s);

/* True when a rule matches at the start of the path. A rule that reaches a limit, or fails, does not exclude: the entry is
 * then appraised, which can only be stricter. */
bool exclude_matches(const struct exclude_set *s, struct bytes path);
/* The first rule that matches, from 0, into *rule; false and *rule untouched when none does. */
must_use_ bool exclude_which(const struct exclude_set *s, struct bytes path, size_t *rule);
/* The text of a rule as it was given; lives as long as the set. i < exclude_count(). */
struct bytes exclude_text(const struct exclude_set *s, size_t i);
