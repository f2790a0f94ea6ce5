/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings of real kernels (tests/vectors/kernel) for tests: a list, a quote, its key, nonce and PCR values. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "tpm/attest.h"
#include "tpm/pcrfile.h"

/* One quote of a recording with all that belongs to it. */
struct evidence {
	struct writer list, message, signature, nonce;
	struct tpm_pcr_file *pcrs;
	struct ak ak;
	uint64_t at_entry;
};
void evidence_clear(struct evidence *v);
#define cleanup_evidence_ cleanup_(evidence_clear)

/* These end the test when something is missing. A recording is freed with json_decref(). */
void recording_file(const char *dir, const char *file, struct writer *w);
json_t *recording_load(const char *dir);
const char *recording_text(json_t *j, const char *key);
/* Message, signature, key, nonce, PCR values of one of a recording's quotes; not the list. */
void recording_quote(const char *dir, json_t *quote, struct evidence *v);
/* The named list with the quote whose message file is named. */
void recording_evidence(const char *dir, const char *list, const char *message, struct evidence *v);
