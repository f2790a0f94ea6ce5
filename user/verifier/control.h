/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the operator's command, as JSON over the control socket; README.md has the documents. Reads only. */
#pragma once

#include "verifier/pipeline.h"

#define CONTROL_REQUEST_MAX 4096u
#define CONTROL_ANSWER_MAX (64u << 20)
#define CONTROL_EVENTS 1000u /* events in one answer */

/* Always answers: {"schema":1,"error":TEXT} for what it does not understand. The writer's failure is the only one. */
void control_answer(struct pipeline *p, struct bytes request, const struct instant *now, struct writer *out);
