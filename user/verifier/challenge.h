/* SPDX-License-Identifier: Apache-2.0 */
/* Credential activation without a memory of strangers: the secret follows from a key of the process, the keys of the host
 * and the time, so that it can be computed again when the host brings it back. */
#pragma once

#include "tpm/credential.h"

#define CHALLENGE_KEY 32u
#define CHALLENGE_SECRET 32u /* of which the first CHALLENGE_STAMP bytes tell process and slot, the others are the MAC */
#define CHALLENGE_STAMP 8u
#define CHALLENGE_SLOT_US 60000000u /* a secret is good in the slot in which it was made, and in the next */

struct challenger {
	uint8_t key[CHALLENGE_KEY]; /* random, never leaves the process */
};

struct challenge_subject {
	const uint8_t *id;	/* WIRE_DIGEST_SIZE */
	const uint8_t *ak_name; /* 34 bytes */
	struct bytes ek_public;
};

/* A credential that only the TPM of ek_public opens, and only while it holds the key of that name. Results of
 * credential_make(). */
must_use_ int challenge_make(const struct challenger *c, const struct challenge_subject *s, uint64_t now_mono,
			     struct credential *out, const char **why);
/* LATE: not made by this process, or too long ago: nobody's fault, it is made again. */
enum challenge_answer { CHALLENGE_WRONG = 0, CHALLENGE_GOOD = 1, CHALLENGE_LATE = 2 };
/* Was this the secret? enum challenge_answer, or negative errno. */
must_use_ int challenge_check(const struct challenger *c, const struct challenge_subject *s, struct bytes secret,
			      uint64_t now_mono);
