/* SPDX-License-Identifier: Apache-2.0 */
/* The collector put together: the only caller of the stages. */
#pragma once

#include "collector/options.h"

struct pipeline;

/* Opens TPM, source and verifiers' sockets. `why` gets what to do about a failure. The options
 * must outlive the pipeline. */
must_use_ int pipeline_new(struct pipeline **out, const struct collector_options *o, struct writer *why);
void pipeline_free(struct pipeline **p);
/* Until SIGTERM or SIGINT (0), or a failure that a restart might cure (negative errno, logged). */
must_use_ int pipeline_run(struct pipeline *p);
