/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier may do once it runs, from its options (docs/sandbox.md). */
#pragma once

#include "base/sandbox.h"
#include "verifier/options.h"

/* Fills *s (zeroed; release with sandbox_clear()). -ENOENT, -EPERM: --user is not possible, *why says why (static text). */
must_use_ int verifier_sandbox(struct sandbox *s, const struct verifier_options *o, const char **why);
/* Before it: gives what it must own to the user that it will be. */
must_use_ int confine_give(const struct sandbox *s, const struct verifier_options *o);
/* Applies it and logs what is in force and what is missing. There must be one thread. */
must_use_ int confine(const struct sandbox *s, const struct verifier_options *o, struct sandbox_report *out);
