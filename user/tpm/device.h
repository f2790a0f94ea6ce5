/* SPDX-License-Identifier: Apache-2.0 */
/* The TPM through ESYS. Only user/tpm/, collector/quote.c, the command's doctor (and tests) use this. Not thread-safe: one
 * thread owns a struct tpm. Calls block (20-500 ms on hardware). Failures: negative errno; tpm_error() has the TSS2 text.
 *
 * errno values: -ENOMEM; -EIO for what goes wrong on the way to the TPM (close and open again: the connection may be
 * gone, a software TPM may have been restarted); -EBUSY when the TPM kept saying "later"; -EACCES when it wants an
 * authorisation that we do not have; -EPROTO for any other refusal. */
#pragma once

#include "tpm/attest.h"

enum ak_alg { AK_ECC_P256, AK_RSA_2048 };

struct tpm;
/* tcti: a TCTI string such as "device:/dev/tpmrm0" (the default when NULL) or "swtpm:port=2321". Sends nothing to the TPM.
 * On failure there is no struct to ask, so the text goes to why (may be NULL), at most why_n bytes with the NUL.
 * Silences the TSS2 libraries' own messages on standard error unless TSS2_LOG is set; that is a setenv(): call it before
 * other threads read the environment. */
must_use_ int tpm_open(struct tpm **out, const char *tcti, char *why, size_t why_n);
/* Flushes the AK and closes. */
void tpm_close(struct tpm **t);
#define cleanup_tpm_ cleanup_(tpm_close)
/* What the last failure was, "" when there was none. Valid until the next call. */
const char *tpm_error(const struct tpm *t);

struct tpm_identity {
	uint8_t ak_public[LIMIT_PUBLIC]; size_t ak_public_n;  /* TPMT_PUBLIC */
	uint8_t ek_public[LIMIT_PUBLIC]; size_t ek_public_n;  /* TPMT_PUBLIC; 0 when there is no EK */
	uint8_t ek_cert[LIMIT_CERT]; size_t ek_cert_n;	      /* DER from NV; 0 when absent */
	uint8_t ek_chain[LIMIT_EK_CHAIN]; size_t ek_chain_n;  /* DER certificates one behind the other, from NV; 0: none */
	uint8_t iak_cert[LIMIT_CERT]; size_t iak_cert_n;      /* DER, of the AK; 0: none */
	uint8_t attester_id[32]; /* tpm_attester_id() */
};
/* A persistent restricted signing key to use as AK instead of our own, such as the IAK; it must be under the endorsement
 * hierarchy (only then a quote tells the real reset count) and have an empty password. Before tpm_identify(), which refuses
 * one that does not fit with -EPROTO. handle: 0x81000000 to 0x81ffffff, else -EINVAL; 0: our own. */
must_use_ int tpm_set_ak(struct tpm *t, uint32_t handle);
/* Creates the primary AK under the endorsement hierarchy (restricted signing key; the same key at every boot because
 * the primary seed and the template are the same), or takes the one of tpm_set_ak(). Reads the EK public, its certificate and
 * those above it, and the certificate of the AK, from NV (padding behind the DER is cut off; what is larger than its limit or
 * no DER counts as absent). The EK is the first of the templates L-1 (RSA-2048), L-2 (ECC P-256), H-1, H-2 and H-3 (ECC P-384)
 * that has a certificate, else L-1, else L-2. Keeps only the AK loaded. May be called again: the old AK is flushed. */
must_use_ int tpm_identify(struct tpm *t, enum ak_alg alg, struct tpm_identity *out);

/* TPM2_ActivateCredential: the secret of a credential that was made for our EK and the AK that is loaded (user/tpm/
 * credential.h; a whole TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET). At most LIMIT_CREDENTIAL_SECRET bytes to secret. 0;
 * positive 1: the TPM refuses it (made for another EK, for another AK, or changed), tpm_error() says what it said;
 * negative errno: as everywhere here, -EINVAL before tpm_identify() or without an EK. Leaves nothing loaded but the AK. */
must_use_ int tpm_activate_credential(struct tpm *t, struct bytes blob, struct bytes encrypted, uint8_t *secret,
				      size_t *secret_n);

struct tpm_quote {
	uint8_t attest[LIMIT_ATTEST]; size_t attest_n;
	uint8_t signature[LIMIT_SIGNATURE]; size_t signature_n; /* TPMT_SIGNATURE, marshalled */
};
/* TPM2_Quote with the AK over the PCRs in mask of one bank. qualifying: at most 32 bytes, else -EINVAL; -EINVAL too before
 * tpm_identify(). Retries TPM_RC_RETRY, TPM_RC_YIELDED, TPM_RC_TESTING with a bounded back-off, as every call here does. */
must_use_ int tpm_quote(struct tpm *t, const struct pcr_selection *sel, struct bytes qualifying, struct tpm_quote *out);
/* Reads PCR values of one bank; values[i] for each bit of mask, all from one moment (read again when a PCR was extended
 * between two commands; -EBUSY when that never ends). -ENODATA when the bank is not allocated. */
must_use_ int tpm_pcr_read(struct tpm *t, const struct pcr_selection *sel, uint8_t values[TPM_PCR_COUNT][HASH_MAX_SIZE]);
/* Extends one PCR in the given banks at once (test sources only). digests[a] for each bit a of banks (enum hash_alg). */
must_use_ int tpm_pcr_extend(struct tpm *t, unsigned int pcr, unsigned int banks, const uint8_t digests[HASH_COUNT][HASH_MAX_SIZE]);
/* Allocated banks as a bit mask of enum hash_alg that have PCR 10. */
must_use_ int tpm_banks(struct tpm *t, unsigned int *out);
struct tpm_clock { uint64_t clock_ms; uint32_t reset_count, restart_count; bool safe; };
must_use_ int tpm_read_clock(struct tpm *t, struct tpm_clock *out);
/* Commands sent so far: an idle collector's count stands still. */
uint64_t tpm_commands(const struct tpm *t);
/* Vendor and firmware for doctor: "IBM SW TPM 20191023". Printable ASCII only. */
must_use_ int tpm_describe(struct tpm *t, char *buf, size_t n);
