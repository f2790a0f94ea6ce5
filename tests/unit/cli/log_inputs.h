/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of `log verify` share. */
#pragma once

#include "cli/log_verify.h"
#include "lib/recording.h"

/* A recorded list and its quote, with nonce, key and PCRs; borrows from v. */
static inline struct log_inputs inputs(const struct evidence *v)
{
	return (struct log_inputs){ .list = { v->list.p, v->list.n },
				    .quote_given = true,
				    .message = { v->message.p, v->message.n },
				    .signature = { v->signature.p, v->signature.n },
				    .nonce_given = true,
				    .nonce = { v->nonce.p, v->nonce.n },
				    .ak = &v->ak,
				    .pcrs = v->pcrs };
}
