/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [5], the work: everything that the TPM does, in a thread of its own, one job at a time. The only part of the
 * collector that sees user/tpm/device.h. */
#pragma once

#include "collector/source.h"
#include "tpm/device.h"

enum quoter_job_kind { QUOTER_NONE, QUOTER_QUOTE, QUOTER_SURVEY, QUOTER_EXTEND, QUOTER_ACTIVATE };

/* What HELLO says about the TPM's state, and the test source starts from. */
struct quoter_survey {
	struct tpm_clock clock;
	uint8_t pcrs[TPM_PCR_COUNT][HASH_MAX_SIZE];
};

struct quoter_result {
	enum quoter_job_kind kind;
	int status;	     /* 0 or negative errno; QUOTER_ACTIVATE also positive: refused. quoter_error() */
	uint64_t started_us, ended_us;
	size_t extended;     /* QUOTER_EXTEND: how many, also on failure */
	struct tpm_quote quote;
	struct quoter_survey survey;
	uint8_t secret[LIMIT_CREDENTIAL_SECRET]; /* QUOTER_ACTIVATE */
	size_t secret_n;
};

struct quoter;

struct quoter_options {
	const char *tcti; /* NULL: the kernel's resource manager device */
	enum ak_alg ak_alg;
	uint32_t ak_handle;   /* a persistent key to use as AK; 0: our own */
	const char *iak_cert; /* file with the AK's certificate; NULL: from the TPM, if it has one */
	bool bank_auto;	    /* the best allocated one */
	enum hash_alg bank; /* !bank_auto */
	uint32_t pcr_mask;  /* with PCR 10 */
	bool read_pcr_10;   /* test source only: the survey reads PCR 10 too */
};

/* Opens the TPM, makes the AK, chooses the bank, takes the first survey: blocks. Then starts the thread. `why` gets what
 * to do about a failure. */
must_use_ int quoter_open(struct quoter **out, const struct quoter_options *o, struct writer *why);
/* Waits for the job that is running. */
void quoter_close(struct quoter **q);
const struct tpm_identity *quoter_identity(const struct quoter *q);
enum hash_alg quoter_bank(const struct quoter *q);
unsigned int quoter_banks(const struct quoter *q);
const char *quoter_describe(const struct quoter *q);
/* Of the last survey that succeeded. */
const struct quoter_survey *quoter_survey(const struct quoter *q);

/* Readable when a result is there. */
int quoter_fd(const struct quoter *q);
bool quoter_busy(const struct quoter *q);
/* One of these may run at a time: -EBUSY. The pointers must stay valid until the result. A job after a failed one opens
 * the TPM again first; -EUCLEAN then means that another TPM answered. */
must_use_ int quoter_quote(struct quoter *q, const uint8_t qualifying[32]);
must_use_ int quoter_start_survey(struct quoter *q);
/* Copies both. The secret in the result is the caller's to wipe: quoter_forget(). */
must_use_ int quoter_activate(struct quoter *q, struct bytes blob, struct bytes encrypted);
void quoter_forget(struct quoter *q);
must_use_ int quoter_extend(struct quoter *q, const struct source_extend *work);
/* true: *out points to the result, valid until the next job is started. */
bool quoter_result(struct quoter *q, const struct quoter_result **out);
const char *quoter_error(const struct quoter *q);
/* TPM commands sent, as of the last result. */
uint64_t quoter_commands(const struct quoter *q);
