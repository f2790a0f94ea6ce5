/* SPDX-License-Identifier: Apache-2.0 */
/* Many short messages hashed, and a PCR extended by each: what replaying a measurement list is. Where the processor has SHA
 * instructions (x86-64), two messages are worked on at once, so that the extend of one entry, which waits for the one before,
 * runs beside the hash of the next entry's data, which waits for nothing; elsewhere OpenSSL does one after the other.
 * docs/adr/0014. No allocation, cannot fail, no state: any thread. */
#pragma once

#include "base/hash.h"

struct hash_step {
	struct bytes data;	/* its hash goes to *digest; data.p == NULL: *digest is there already */
	uint8_t *digest;	/* hash_size() bytes */
	const uint8_t *before;	/* *after = H(*before || *digest), in the order of the steps; NULL: no extend. Often the */
	uint8_t *after;		/* `after` of an earlier step. May be the same place as before */
};

void hash_steps(enum hash_alg a, const struct hash_step *steps, size_t n);
/* The same by OpenSSL alone. */
void hash_steps_portable(enum hash_alg a, const struct hash_step *steps, size_t n);
/* "sha-ni": two at once; "openssl": one after the other. */
const char *hash_steps_how(enum hash_alg a);
