/* SPDX-License-Identifier: Apache-2.0 */
/* Inside user/tpm only: between identity.c (who this TPM is), ek.c (endorsement keys), nv.c (certificates in the TPM) and
 * activate.c (TPM2_ActivateCredential). */
#pragma once

#include "tpm/device_impl.h"

/* TPM2_CreatePrimary under the endorsement hierarchy. On a software TPM that nobody shares, what a killed process left
 * behind is flushed when there is no slot. */
must_use_ int tpm_create_primary(struct tpm *t, const TPM2B_PUBLIC *template, ESYS_TR *handle, TPM2B_PUBLIC **public);
must_use_ int tpm_marshal_public(struct tpm *t, const TPM2B_PUBLIC *public, uint8_t out[LIMIT_PUBLIC], size_t *n);
/* Flushes every transient object and session but the AK. */
void tpm_flush_leftovers(struct tpm *t);

/* The certificate at an NV index, without the padding behind it. 0, also when there is none (*n = 0): absent, not readable,
 * larger than max, no DER; negative errno: the connection. */
must_use_ int nv_read_cert(struct tpm *t, uint32_t index, uint8_t *out, size_t max, size_t *n);
/* Intermediate certificates of the EK, one behind the other. As above. */
must_use_ int nv_read_chain(struct tpm *t, uint8_t out[LIMIT_EK_CHAIN], size_t *n);
/* The certificate of this key in the range for device identities. As above. */
must_use_ int nv_read_iak_cert(struct tpm *t, struct bytes ak_public, uint8_t out[LIMIT_CERT], size_t *n);

/* One template of the EK profile. */
struct ek_kind;
/* Finds the EK: fills ek_public, ek_cert and ek_chain. 0 also when there is none; negative errno. */
must_use_ int ek_find(struct tpm *t, struct tpm_identity *id);
/* Loads the EK that ek_find() chose: the persistent one if it is the same key, else it is made again. *transient: flush it. */
must_use_ int ek_load(struct tpm *t, ESYS_TR *handle, bool *transient);
/* A policy session in which the EK may be used. The caller flushes it. */
must_use_ int ek_session(struct tpm *t, ESYS_TR *session);
