/* SPDX-License-Identifier: Apache-2.0 */
/* One event of the verifier (a JSON line) as one line for people. */
#pragma once

#include "base/buf.h"

struct event_filter {
	const char *attester; /* id prefix or label; NULL: all */
	bool verbose;	      /* also events without a finding, and a second line with the digest */
};

/* Appends the line, or nothing when the filter leaves it out. 0, or -EINVAL: not an event. */
must_use_ int event_line(struct writer *w, struct bytes json, const struct event_filter *filter);
