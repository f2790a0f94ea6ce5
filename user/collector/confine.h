/* SPDX-License-Identifier: Apache-2.0 */
/* What the collector may do once it runs, from its options (docs/sandbox.md). */
#pragma once

#include "base/sandbox.h"
#include "collector/options.h"

/* Fills *s (zeroed; release with sandbox_clear()). A failure is told in why. */
must_use_ int collector_sandbox(struct sandbox *s, const struct collector_options *o, struct writer *why);
/* Applies it and logs what is in force and what is missing. There must be one thread. */
must_use_ int collector_confine(const struct sandbox *s, const struct collector_options *o, struct sandbox_report *out,
				 struct writer *why);
