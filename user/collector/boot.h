/* SPDX-License-Identifier: Apache-2.0 */
/* What a session starts with: who we are, which kernel, which boot. */
#pragma once

#include "collector/quote.h"
#include "wire/msg.h"

struct boot {
	char label[LIMIT_LABEL + 1];  /* host label: only a label */
	char kernel[LIMIT_LABEL + 1]; /* kernel release */
};

/* label NULL or empty: the host name. */
must_use_ int boot_read(struct boot *b, const char *label);

/* HELLO with the state of the last survey. `m` borrows from the arguments. */
void boot_hello(struct wire_message *m, const struct boot *b, const struct quoter *q, uint32_t pcr_mask,
		uint64_t list_length, const struct source_status *status, bool poll_mode);
/* Makes an ACTIVATE of that HELLO. */
void boot_activate(struct wire_message *m, struct bytes secret);
