// SPDX-License-Identifier: Apache-2.0
/* Certificates in the TPM's non-volatile memory. */
#include "tpm/certificate.h"
#include "tpm/der.h"
#include "tpm/identity_impl.h"

/* TCG EK Credential Profile for TPM Family 2.0, version 2.5, 2.2.1.5: certificates above the EK's, DER, one behind the other
 * over as many indices as they take. */
#define NV_EK_CHAIN_FIRST 0x01c00100u
#define NV_EK_CHAIN_LAST 0x01c001ffu
/* Registry of Reserved TPM 2.0 Handles and Localities, 2.2.2: IDevID and IAK. Which index holds what differs; the key in the
 * certificate tells. */
#define NV_DEVICE_ID_FIRST 0x01c90000u
#define NV_DEVICE_ID_LAST 0x01c900ffu

/* Largest piece that TPM2_NV_Read gives. The least that any TPM may have when it does not say. */
static int nv_chunk(struct tpm *t, uint16_t *out)
{
	cleanup_esys_ TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	uint32_t size = 512;
	int r = TPM_CALL(t, "TPM2_GetCapability",
			 Esys_GetCapability(t->esys, NO_SESSIONS, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, 1, &more,
					    &data));

	if (r < 0)
		return r;
	if (data->data.tpmProperties.count == 1 && data->data.tpmProperties.tpmProperty[0].property == TPM2_PT_NV_BUFFER_MAX)
		size = data->data.tpmProperties.tpmProperty[0].value;
	*out = (uint16_t)MIN(size, (uint32_t)TPM2_MAX_NV_BUFFER_SIZE);
	return *out ? 0 : tpm_fail(t, -EPROTO, "TPM2_PT_NV_BUFFER_MAX is 0");
}

/* All bytes of an index; none when it is larger than max. */
static int read_whole(struct tpm *t, ESYS_TR nv, uint8_t *out, size_t max, size_t *n)
{
	cleanup_esys_ TPM2B_NV_PUBLIC *public = NULL;
	cleanup_esys_ TPM2B_NAME *name = NULL;
	size_t size, done = 0;
	uint16_t chunk = 0;
	ESYS_TR auth;
	int r = TPM_CALL(t, "TPM2_NV_ReadPublic", Esys_NV_ReadPublic(t->esys, nv, NO_SESSIONS, &public, &name));

	if (r == 0)
		r = nv_chunk(t, &chunk);
	if (r < 0)
		return r;
	size = public->nvPublic.dataSize;
	auth = public->nvPublic.attributes & TPMA_NV_AUTHREAD ? nv : ESYS_TR_RH_OWNER;
	if (size > max)
		return 0;
	while (done < size) {
		cleanup_esys_ TPM2B_MAX_NV_BUFFER *piece = NULL;
		uint16_t want = (uint16_t)MIN((size_t)chunk, size - done);

		r = TPM_CALL(t, "TPM2_NV_Read",
			     Esys_NV_Read(t->esys, auth, nv, EMPTY_PASSWORD, want, (UINT16)done, &piece));
		if (r < 0)
			return r;
		if (piece->size != want)
			return tpm_fail(t, -EPROTO, "TPM2_NV_Read: not the length that was asked for");
		bytes_copy(out + done, piece->buffer, want);
		done += want;
	}
	*n = size;
	return 0;
}

/* 0 also when there is no such index, or it cannot be read (never written, other authorisation). */
static int read_index(struct tpm *t, uint32_t index, uint8_t *out, size_t max, size_t *n)
{
	ESYS_TR nv;
	int r = TPM_CALL(t, "TPM2_NV_ReadPublic", Esys_TR_FromTPMPublic(t->esys, index, NO_SESSIONS, &nv));

	*n = 0;
	if (r < 0)
		return (tpm_response(t->last) & 0xbfu) == TPM2_RC_HANDLE ? 0 : r;
	r = read_whole(t, nv, out, max, n);
	Esys_TR_Close(t->esys, &nv);
	return r == -EIO || r == -ENOMEM || r == -EBUSY ? r : 0;
}

int nv_read_cert(struct tpm *t, uint32_t index, uint8_t *out, size_t max, size_t *n)
{
	int r = read_index(t, index, out, max, n);

	if (r == 0)
		*n = der_length((struct bytes){ out, *n });
	return r;
}

/* The indices that exist in a range, ascending, at most max of them. */
static int list_range(struct tpm *t, uint32_t first, uint32_t last, uint32_t *out, size_t max, size_t *n)
{
	cleanup_esys_ TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	int r = TPM_CALL(t, "TPM2_GetCapability",
			 Esys_GetCapability(t->esys, NO_SESSIONS, TPM2_CAP_HANDLES, first, (UINT32)max, &more, &data));

	*n = 0;
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < data->data.handles.count && *n < max; i++)
		if (data->data.handles.handle[i] >= first && data->data.handles.handle[i] <= last)
			out[(*n)++] = data->data.handles.handle[i];
	return 0;
}

int nv_read_chain(struct tpm *t, uint8_t out[LIMIT_EK_CHAIN], size_t *n)
{
	cleanup_writer_ struct writer pending = WRITER(2 * LIMIT_EK_CHAIN);
	uint32_t indices[2 * LIMIT_EK_CHAIN_CERTS];
	uint8_t piece[LIMIT_EK_CHAIN];
	size_t count = 0, size = 0, certs = 0;
	int r = list_range(t, NV_EK_CHAIN_FIRST, NV_EK_CHAIN_LAST, indices, ARRAY_SIZE(indices), &count);

	*n = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = read_index(t, indices[i], piece, sizeof(piece), &size);
		if (r < 0)
			return r;
		write_bytes(&pending, piece, size);
		if (writer_status(&pending) == -ENOMEM)
			return -ENOMEM;
		if (writer_status(&pending) < 0)
			return 0; /* a beginning without end */
		if (pending.n)
			der_take_certs(&pending, &certs, out, n);
	}
	return r;
}

int nv_read_iak_cert(struct tpm *t, struct bytes ak_public, uint8_t out[LIMIT_CERT], size_t *n)
{
	uint32_t indices[64];
	size_t count = 0;
	int r = list_range(t, NV_DEVICE_ID_FIRST, NV_DEVICE_ID_LAST, indices, ARRAY_SIZE(indices), &count);

	*n = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = nv_read_cert(t, indices[i], out, LIMIT_CERT, n);
		if (r == 0 && *n && tpm_cert_is_for((struct bytes){ out, *n }, ak_public))
			return 0;
	}
	*n = 0;
	return r;
}
