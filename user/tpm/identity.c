// SPDX-License-Identifier: Apache-2.0
/* The attestation key, the endorsement key and its certificate. */
#include <tss2/tss2_mu.h>

#include "tpm/device.h"
#include "tpm/device_impl.h"

/* Where the EK certificates live, and the templates they are for: TCG EK Credential Profile for TPM Family 2.0, level 0,
 * version 2.5, table 2 and annex B.3. */
#define NV_EK_CERT_RSA 0x01c00002u
#define NV_EK_CERT_ECC 0x01c0000au

/* TPM2_TRANSIENT_FIRST of tpm2-tss shifts a signed 0x80 into the sign bit, which C does not define. */
#define TRANSIENT_FIRST 0x80000000u

/* PolicyA of that profile, annex B.6.2: PolicySecret(TPM_RH_ENDORSEMENT) */
static const uint8_t ek_policy_a[32] = {
	0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
	0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};

/* Goes into the unique field of the AK's template, so that this key is nobody else's (part 1, "Primary Object Creation":
 * the template, with unique, seeds the key). Changing it changes the key of every enrolled host. */
static const char ak_label[] = "imastream attestation key 1";

static const TPMT_SYM_DEF_OBJECT aes128_cfb = {
	.algorithm = TPM2_ALG_AES,
	.keyBits.aes = 128,
	.mode.aes = TPM2_ALG_CFB,
};
static const TPMT_SYM_DEF_OBJECT no_symmetric = { .algorithm = TPM2_ALG_NULL };

static void rsa_template(TPMT_PUBLIC *p, TPMT_SYM_DEF_OBJECT symmetric, TPMT_RSA_SCHEME scheme)
{
	p->type = TPM2_ALG_RSA;
	p->parameters.rsaDetail.symmetric = symmetric;
	p->parameters.rsaDetail.scheme = scheme;
	p->parameters.rsaDetail.keyBits = 2048;
	p->unique.rsa.size = 256;
}

static void ecc_template(TPMT_PUBLIC *p, TPMT_SYM_DEF_OBJECT symmetric, TPMT_ECC_SCHEME scheme)
{
	p->type = TPM2_ALG_ECC;
	p->parameters.eccDetail.symmetric = symmetric;
	p->parameters.eccDetail.scheme = scheme;
	p->parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
	p->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
	p->unique.ecc.x.size = 32;
	p->unique.ecc.y.size = 32;
}

/* noDA: somebody who guesses passwords of other objects until the TPM locks out must not stop attestation; the AK has an
 * empty password, there is nothing to guess. */
static void ak_template(enum ak_alg alg, TPM2B_PUBLIC *out)
{
	TPMT_PUBLIC *p = &out->publicArea;
	uint8_t *unique = alg == AK_RSA_2048 ? p->unique.rsa.buffer : p->unique.ecc.x.buffer;

	*out = (TPM2B_PUBLIC){ 0 };
	p->nameAlg = TPM2_ALG_SHA256;
	p->objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
			      TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
			      TPMA_OBJECT_SIGN_ENCRYPT;
	if (alg == AK_RSA_2048)
		rsa_template(p, no_symmetric,
			     (TPMT_RSA_SCHEME){ .scheme = TPM2_ALG_RSASSA, .details.rsassa.hashAlg = TPM2_ALG_SHA256 });
	else
		ecc_template(p, no_symmetric,
			     (TPMT_ECC_SCHEME){ .scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256 });
	hash_one(HASH_SHA256, ak_label, sizeof(ak_label) - 1, unique);
}

/* Templates L-1 (RSA-2048) and L-2 (ECC P-256) */
static void ek_template(bool rsa, TPM2B_PUBLIC *out)
{
	TPMT_PUBLIC *p = &out->publicArea;

	*out = (TPM2B_PUBLIC){ 0 };
	p->nameAlg = TPM2_ALG_SHA256;
	p->objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
			      TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
	p->authPolicy.size = sizeof(ek_policy_a);
	bytes_copy(p->authPolicy.buffer, ek_policy_a, sizeof(ek_policy_a));
	if (rsa)
		rsa_template(p, aes128_cfb, (TPMT_RSA_SCHEME){ .scheme = TPM2_ALG_NULL });
	else
		ecc_template(p, aes128_cfb, (TPMT_ECC_SCHEME){ .scheme = TPM2_ALG_NULL });
}

static int create(struct tpm *t, const TPM2B_PUBLIC *template, ESYS_TR *handle, TPM2B_PUBLIC **public)
{
	const TPM2B_SENSITIVE_CREATE no_secret = { 0 };
	const TPM2B_DATA no_info = { 0 };
	const TPML_PCR_SELECTION no_pcrs = { 0 };

	return TPM_CALL(t, "TPM2_CreatePrimary",
			Esys_CreatePrimary(t->esys, ESYS_TR_RH_ENDORSEMENT, EMPTY_PASSWORD, &no_secret, template, &no_info,
					   &no_pcrs, handle, public, NULL, NULL, NULL));
}

/* Flushes every transient object. Only for software TPMs that nobody shares through a resource manager: there, what a
 * killed process left behind would fill the three slots for ever. */
static void flush_leftovers(struct tpm *t)
{
	cleanup_esys_ TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;

	if (TPM_CALL(t, "TPM2_GetCapability",
		     Esys_GetCapability(t->esys, NO_SESSIONS, TPM2_CAP_HANDLES, TRANSIENT_FIRST, TPM2_MAX_CAP_HANDLES,
					&more, &data)) < 0)
		return;
	for (uint32_t i = 0; i < data->data.handles.count; i++) {
		ESYS_TR handle;

		if (TPM_CALL(t, "TPM2_ReadPublic",
			     Esys_TR_FromTPMPublic(t->esys, data->data.handles.handle[i], NO_SESSIONS, &handle)) < 0)
			continue;
		if (TPM_CALL(t, "TPM2_FlushContext", Esys_FlushContext(t->esys, handle)) < 0)
			Esys_TR_Close(t->esys, &handle);
	}
}

static int create_primary(struct tpm *t, const TPM2B_PUBLIC *template, ESYS_TR *handle, TPM2B_PUBLIC **public)
{
	int r = create(t, template, handle, public);

	if (r < 0 && t->simulator && tpm_response(t->last) == TPM2_RC_OBJECT_MEMORY) {
		flush_leftovers(t);
		r = create(t, template, handle, public);
	}
	return r;
}

static int marshal_public(struct tpm *t, const TPM2B_PUBLIC *public, uint8_t out[LIMIT_PUBLIC], size_t *n)
{
	size_t offset = 0;
	int r = tpm_note(t, "marshalling a public area",
			 Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, out, LIMIT_PUBLIC, &offset));

	if (r == 0)
		*n = offset;
	return r;
}

static void flush_ak(struct tpm *t)
{
	if (t->ak != ESYS_TR_NONE)
		Esys_FlushContext(t->esys, t->ak);
	t->ak = ESYS_TR_NONE;
}

static int load_ak(struct tpm *t, enum ak_alg alg, struct tpm_identity *id)
{
	cleanup_esys_ TPM2B_PUBLIC *public = NULL;
	TPM2B_PUBLIC template;
	int r;

	ak_template(alg, &template);
	r = create_primary(t, &template, &t->ak, &public);
	if (r < 0) {
		t->ak = ESYS_TR_NONE;
		return r;
	}
	r = marshal_public(t, public, id->ak_public, &id->ak_public_n);
	if (r < 0)
		flush_ak(t);
	return r;
}

/* 1: done; 0: this TPM does not do such a key; negative errno. */
static int try_ek(struct tpm *t, bool rsa, struct tpm_identity *id)
{
	cleanup_esys_ TPM2B_PUBLIC *public = NULL;
	TPM2B_PUBLIC template;
	ESYS_TR handle;
	int r;

	ek_template(rsa, &template);
	r = create_primary(t, &template, &handle, &public);
	if (r < 0) {
		/* only "I do not accept this template" may lead to another identity; every other failure must not */
		TSS2_RC response = tpm_response(t->last);

		return response & TPM2_RC_FMT1 && response & TPM2_RC_P ? 0 : r;
	}
	r = marshal_public(t, public, id->ek_public, &id->ek_public_n);
	if (r < 0) {
		Esys_FlushContext(t->esys, handle);
		return r;
	}
	r = TPM_CALL(t, "TPM2_FlushContext", Esys_FlushContext(t->esys, handle));
	return r < 0 ? r : 1;
}

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

/* Length of the DER SEQUENCE at the front of b with its header; 0 when there is none that fits (X.690 8.1.3). */
static size_t der_length(struct bytes b)
{
	struct reader r = reader_of(b);
	bool sequence = read_u8(&r) == 0x30;
	uint8_t first = read_u8(&r);
	size_t n = first;

	if (first == 0x81)
		n = read_u8(&r);
	else if (first == 0x82)
		n = read_u16be(&r);
	else if (first > 0x7f)
		return 0;
	read_bytes(&r, n);
	return sequence && reader_ok(&r) ? r.pos : 0;
}

static int nv_read(struct tpm *t, ESYS_TR nv, struct tpm_identity *id)
{
	cleanup_esys_ TPM2B_NV_PUBLIC *public = NULL;
	cleanup_esys_ TPM2B_NAME *name = NULL;
	uint8_t cert[LIMIT_CERT];
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
	if (size > sizeof(cert))
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
		bytes_copy(cert + done, piece->buffer, want);
		done += want;
	}
	id->ek_cert_n = der_length((struct bytes){ cert, size });
	bytes_copy(id->ek_cert, cert, id->ek_cert_n);
	return 0;
}

/* Reads the certificate at an NV index when there is one. 0 also when there is none; negative errno. */
static int read_cert(struct tpm *t, uint32_t index, struct tpm_identity *id)
{
	ESYS_TR nv;
	int r = TPM_CALL(t, "TPM2_NV_ReadPublic", Esys_TR_FromTPMPublic(t->esys, index, NO_SESSIONS, &nv));

	if (r < 0)
		return (tpm_response(t->last) & 0xbfu) == TPM2_RC_HANDLE ? 0 : r;
	r = nv_read(t, nv, id);
	Esys_TR_Close(t->esys, &nv);
	/* a certificate that cannot be read (never written, other authorisation) is an absent one; a broken connection not */
	return r == -EIO || r == -ENOMEM || r == -EBUSY ? r : 0;
}

static int find_ek(struct tpm *t, struct tpm_identity *id)
{
	bool rsa;
	int r = read_cert(t, NV_EK_CERT_RSA, id);

	if (r < 0)
		return r;
	rsa = id->ek_cert_n > 0;
	if (!rsa) {
		r = read_cert(t, NV_EK_CERT_ECC, id);
		if (r < 0)
			return r;
		rsa = id->ek_cert_n == 0;
	}
	r = try_ek(t, rsa, id);
	if (r == 0 && id->ek_cert_n == 0)
		r = try_ek(t, false, id);
	if (r == 0)
		id->ek_cert_n = 0; /* a certificate for a key that cannot be made is none */
	return r < 0 ? r : 0;
}

int tpm_identify(struct tpm *t, enum ak_alg alg, struct tpm_identity *out)
{
	cleanup_free_ struct tpm_identity *id = calloc(1, sizeof(*id));
	uint8_t name[34];
	int r;

	if (!id)
		return -ENOMEM;
	flush_ak(t);
	/* the EK first: its key takes a slot only for a moment, and no slot is held when it fails */
	r = find_ek(t, id);
	if (r == 0)
		r = load_ak(t, alg, id);
	if (r < 0)
		return r;
	if (tpm_public_name((struct bytes){ id->ak_public, id->ak_public_n }, name) != QUOTE_OK) {
		flush_ak(t);
		return tpm_fail(t, -EPROTO, "the TPM made an attestation key of another form than asked for");
	}
	tpm_attester_id((struct bytes){ id->ek_public, id->ek_public_n }, name, id->attester_id);
	t->error[0] = 0;
	*out = *id;
	return 0;
}
