/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the operator's command, as JSON over the control socket; README.md has the documents. control_enrol.c changes. */
#pragma once

#include <jansson.h>

#include "verifier/asker.h"
#include "verifier/pipeline.h"

#define CONTROL_REQUEST_MAX 4096u
#define CONTROL_ANSWER_MAX (64u << 20)
#define CONTROL_EVENTS 1000u /* events in one answer */
#define CONTROL_NO_CHANGE "changes are taken from the Unix socket of this machine only (--control ipc://PATH)"

/* Always answers: {"schema":1,"error":TEXT} for what it does not understand. The writer's failure is the only one. */
void control_answer(struct pipeline *p, struct bytes request, const struct asker *asker, const struct instant *now,
		    struct writer *out);
/* Members "policy" and "policies": those in force. */
struct json;
void control_write_policies(struct json *j, const struct pipeline *p);

/* ---- control_enrol.c ---- */

/* doc: the request, whose members these add the answer of. {"get":"enrolments"} */
/* "refused": hosts that nobody knows and that were refused of late, the last one first. */
void control_write_refused(struct json *j, const struct pipeline *p);
void control_write_enrolments(struct json *j, struct pipeline *p);
/* {"get":"enrolment-log","attester":ID}: ID optional */
void control_write_enrol_log(struct json *j, struct pipeline *p, const json_t *doc);
/* {"enrol":ACTION,"attester":ID,"why":TEXT}: why optional */
void control_enrol(struct json *j, struct pipeline *p, const json_t *doc, const struct asker *asker,
		   const struct instant *now);
const char *enrol_status_name(enum enrol_status s);
