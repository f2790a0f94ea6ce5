// SPDX-License-Identifier: Apache-2.0
/* TPM2_ActivateCredential: TPM 2.0 Library part 3. */
#include <openssl/crypto.h>

#include "tpm/identity_impl.h"

/* A TPM2B as a whole: size and as many bytes, at most max. */
static bool take_tpm2b(struct bytes b, uint16_t *size, uint8_t *buffer, size_t max)
{
	struct reader r = reader_of(b);
	size_t n = read_u16be(&r);
	struct bytes inner = read_bytes(&r, n);

	if (!reader_done(&r) || n > max)
		return false;
	*size = (uint16_t)n;
	bytes_copy(buffer, inner.p, inner.n);
	return true;
}

/* The TPM found fault with one of the two parameters: their size, their integrity value, a point that is not on the curve.
 * Everything else (a session, a handle, a lockout) is not the credential's fault. libtpms calls it a failure of the TPM when
 * the seed cannot be decrypted (another EK's); one that has really failed answers nothing else any more, so it is asked. */
static bool refused(struct tpm *t)
{
	TSS2_RC response = tpm_response(t->last);
	struct tpm_clock clock;

	if (response & TPM2_RC_FMT1)
		return response & TPM2_RC_P;
	if (response != TPM2_RC_FAILURE || tpm_read_clock(t, &clock) < 0)
		return false;
	tpm_fail(t, 0, "TPM2_ActivateCredential: the TPM cannot decrypt the credential's seed");
	return true;
}

static int activate(struct tpm *t, ESYS_TR ek, const TPM2B_ID_OBJECT *blob, const TPM2B_ENCRYPTED_SECRET *encrypted,
		    uint8_t *secret, size_t *secret_n)
{
	TPM2B_DIGEST *out = NULL;
	ESYS_TR session;
	int r = ek_session(t, &session);

	if (r < 0)
		return r;
	r = TPM_CALL(t, "TPM2_ActivateCredential",
		     Esys_ActivateCredential(t->esys, t->ak, ek, ESYS_TR_PASSWORD, session, ESYS_TR_NONE, blob, encrypted, &out));
	if (r < 0 && refused(t))
		r = 1;
	tpm_flush(t, &session);
	if (r == 0 && out->size > LIMIT_CREDENTIAL_SECRET)
		r = tpm_fail(t, -EMSGSIZE, "TPM2_ActivateCredential: answer larger than expected");
	if (r == 0) {
		bytes_copy(secret, out->buffer, out->size);
		*secret_n = out->size;
	}
	if (out)
		OPENSSL_cleanse(out->buffer, sizeof(out->buffer));
	Esys_Free(out);
	return r;
}

int tpm_activate_credential(struct tpm *t, struct bytes blob, struct bytes encrypted, uint8_t *secret, size_t *secret_n)
{
	TPM2B_ID_OBJECT object = { 0 };
	TPM2B_ENCRYPTED_SECRET seed = { 0 };
	ESYS_TR ek = ESYS_TR_NONE;
	bool transient = false;
	int r;

	if (t->ak == ESYS_TR_NONE)
		return tpm_fail(t, -EINVAL, "no attestation key: tpm_identify() comes first");
	if (!take_tpm2b(blob, &object.size, object.credential, sizeof(object.credential)) ||
	    !take_tpm2b(encrypted, &seed.size, seed.secret, sizeof(seed.secret)))
		return tpm_fail(t, 1, "not a TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET");
	r = ek_load(t, &ek, &transient);
	if (r < 0)
		return r;
	r = activate(t, ek, &object, &seed, secret, secret_n);
	if (transient)
		tpm_flush(t, &ek);
	else
		Esys_TR_Close(t->esys, &ek);
	return r;
}
