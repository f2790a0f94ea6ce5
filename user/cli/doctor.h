/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of `imastream doctor`. */
#pragma once

#include "base/common.h"

enum check_result { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct doctor;
/* One more numbered line; remedy: static text, NULL: none, and not shown when the result is OK. */
void doctor_report(struct doctor *d, const char *name, enum check_result result, const char *remedy, const char *fmt, ...)
	printf_(5, 6);

/* ---- doctor_sandbox.c ---- */
/* What this host has to confine the daemons with, and what is in force in those that run. */
void doctor_sandbox(struct doctor *d);
