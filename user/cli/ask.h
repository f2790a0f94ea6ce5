/* SPDX-License-Identifier: Apache-2.0 */
/* One question to a verifier's control socket. */
#pragma once

#include "base/buf.h"

/* Asks and waits; the answer is copied to w. 0 or negative errno (-ETIMEDOUT: nobody answered). */
must_use_ int cli_ask(const char *url, const char *question, uint64_t timeout_us, struct writer *w);
/* --control, else IMASTREAM_CONTROL, else the default. */
const char *cli_control_url(void);
/* Says why there was no answer; returns the exit code. */
int cli_not_asked(const char *command, const char *url, int error);
