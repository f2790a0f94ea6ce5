/* SPDX-License-Identifier: Apache-2.0 */
/* Inside user/tpm only: what the files that talk to the TPM share. */
#pragma once

#include <tss2/tss2_esys.h>

#include "tpm/device.h"

struct tpm {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR ak; /* ESYS_TR_NONE before tpm_identify() */
	uint32_t ak_handle; /* a persistent key to use as the AK; 0: ours */
	const struct ek_kind *ek; /* which endorsement key tpm_identify() found; NULL: none */
	uint8_t ek_public[LIMIT_PUBLIC];
	size_t ek_public_n;
	bool simulator; /* a software TPM without a resource manager in front */
	uint64_t commands;
	TSS2_RC last;
	char error[256];
};

/* True when the TPM asked to be asked again; sleeps before it says so. */
bool tpm_retry_later(TSS2_RC rc, unsigned int *attempt);
/* Files the failure's text and gives the errno; 0 for success. */
int tpm_note(struct tpm *t, const char *command, TSS2_RC rc);
/* Files an own text; gives err back. */
int tpm_fail(struct tpm *t, int err, const char *text);

/* Flushes what was loaded, or lets a persistent AK go. Counts, files nothing; *handle becomes ESYS_TR_NONE. */
void tpm_flush(struct tpm *t, ESYS_TR *handle);
void tpm_release_ak(struct tpm *t);

/* Runs one ESYS call, counts it, asks again as long as the TPM wants that, files the failure. 0 or negative errno. */
#define TPM_CALL(t, command, call)                                 \
	({                                                         \
		unsigned int _attempt = 0;                         \
		TSS2_RC _rc;                                       \
		do {                                               \
			(t)->commands++;                           \
			_rc = (call);                              \
		} while (tpm_retry_later(_rc, &_attempt));         \
		tpm_note(t, command, _rc);                         \
	})

/* No authorisation sessions at all, and the empty password for the first handle. */
#define NO_SESSIONS ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
#define EMPTY_PASSWORD ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE

/* A response code of the TPM itself (also through a resource manager), without its layer; 0 for one of the TSS. */
static inline TSS2_RC tpm_response(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER ? rc & ~TSS2_RC_LAYER_MASK : 0;
}

/* Frees what ESYS allocated. */
static inline void esys_free_cleanup(void *p)
{
	Esys_Free(*(void **)p);
	*(void **)p = NULL;
}
#define cleanup_esys_ cleanup_(esys_free_cleanup)
