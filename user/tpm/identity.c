// SPDX-License-Identifier: Apache-2.0
/* Who this TPM is: the attestation key, and with ek.c and nv.c the endorsement key and the certificates. */
#include <tss2/tss2_mu.h>

#include "tpm/identity_impl.h"

/* tpm2-tss writes these with a shift of a signed 0x80 into the sign bit, which C does not define. */
#define LOADED_SESSION_FIRST 0x02000000u
#define TRANSIENT_FIRST 0x80000000u
#define PERSISTENT_FIRST 0x81000000u
#define PERSISTENT_LAST 0x81ffffffu

/* Goes into the unique field of the AK's template, so that this key is nobody else's (part 1, "Primary Object Creation":
 * the template, with unique, seeds the key). Changing it changes the key of every enrolled host. */
static const char ak_label[] = "imastream attestation key 1";

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
	if (alg == AK_RSA_2048) {
		p->type = TPM2_ALG_RSA;
		p->parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
		p->parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSASSA;
		p->parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
		p->parameters.rsaDetail.keyBits = 2048;
		p->unique.rsa.size = 256;
	} else {
		p->type = TPM2_ALG_ECC;
		p->parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
		p->parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
		p->parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
		p->parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
		p->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
		p->unique.ecc.x.size = 32;
		p->unique.ecc.y.size = 32;
	}
	hash_one(HASH_SHA256, ak_label, sizeof(ak_label) - 1, unique);
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

/* Flushes what stands in one range of handles, but the AK. */
static void flush_range(struct tpm *t, uint32_t first, TPM2_HANDLE keep)
{
	cleanup_esys_ TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;

	if (TPM_CALL(t, "TPM2_GetCapability",
		     Esys_GetCapability(t->esys, NO_SESSIONS, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &more,
					&data)) < 0)
		return;
	for (uint32_t i = 0; i < data->data.handles.count; i++) {
		ESYS_TR handle;

		if (data->data.handles.handle[i] == keep ||
		    TPM_CALL(t, "TPM2_ReadPublic",
			     Esys_TR_FromTPMPublic(t->esys, data->data.handles.handle[i], NO_SESSIONS, &handle)) < 0)
			continue;
		if (TPM_CALL(t, "TPM2_FlushContext", Esys_FlushContext(t->esys, handle)) < 0)
			Esys_TR_Close(t->esys, &handle);
	}
}

/* Only for software TPMs that nobody shares through a resource manager: there, what a killed process left behind would fill
 * the three slots for ever. */
void tpm_flush_leftovers(struct tpm *t)
{
	TPM2_HANDLE keep = 0;

	if (t->ak != ESYS_TR_NONE && Esys_TR_GetTpmHandle(t->esys, t->ak, &keep) != TSS2_RC_SUCCESS)
		return;
	flush_range(t, TRANSIENT_FIRST, keep);
	flush_range(t, LOADED_SESSION_FIRST, keep);
}

int tpm_create_primary(struct tpm *t, const TPM2B_PUBLIC *template, ESYS_TR *handle, TPM2B_PUBLIC **public)
{
	int r = create(t, template, handle, public);

	if (r < 0 && t->simulator && tpm_response(t->last) == TPM2_RC_OBJECT_MEMORY) {
		tpm_flush_leftovers(t);
		r = create(t, template, handle, public);
	}
	return r;
}

int tpm_marshal_public(struct tpm *t, const TPM2B_PUBLIC *public, uint8_t out[LIMIT_PUBLIC], size_t *n)
{
	size_t offset = 0;
	int r = tpm_note(t, "marshalling a public area",
			 Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, out, LIMIT_PUBLIC, &offset));

	if (r == 0)
		*n = offset;
	return r;
}

static int make_ak(struct tpm *t, enum ak_alg alg, struct tpm_identity *id)
{
	cleanup_esys_ TPM2B_PUBLIC *public = NULL;
	TPM2B_PUBLIC template;
	int r;

	ak_template(alg, &template);
	r = tpm_create_primary(t, &template, &t->ak, &public);
	if (r < 0) {
		t->ak = ESYS_TR_NONE;
		return r;
	}
	return tpm_marshal_public(t, public, id->ak_public, &id->ak_public_n);
}

/* Outside of the endorsement and platform hierarchies a TPM hides its counters in what it signs (part 1, 36.7): a quote tells
 * where the key stands. */
static int check_hierarchy(struct tpm *t)
{
	struct tpm_clock clock;
	struct tpm_quote q;
	struct attest a;
	int r = tpm_quote(t, &(struct pcr_selection){ .alg = TPM2_ALG_SHA256 }, (struct bytes){ 0 }, &q);

	if (r == 0)
		r = tpm_read_clock(t, &clock);
	if (r < 0)
		return r;
	if (attest_parse((struct bytes){ q.attest, q.attest_n }, &a) != QUOTE_OK || a.reset_count != clock.reset_count ||
	    a.restart_count != clock.restart_count)
		return tpm_fail(t, -EPROTO, "the persistent key is not under the endorsement hierarchy: its quotes hide the "
					    "TPM's reset count");
	return 0;
}

static int take_ak(struct tpm *t, struct tpm_identity *id)
{
	cleanup_esys_ TPM2B_PUBLIC *public = NULL;
	cleanup_esys_ TPM2B_NAME *name = NULL, *qualified = NULL;
	cleanup_ak_ struct ak ak = { 0 };
	int r = TPM_CALL(t, "TPM2_ReadPublic", Esys_TR_FromTPMPublic(t->esys, t->ak_handle, NO_SESSIONS, &t->ak));

	if (r < 0) {
		t->ak = ESYS_TR_NONE;
		return r;
	}
	r = TPM_CALL(t, "TPM2_ReadPublic", Esys_ReadPublic(t->esys, t->ak, NO_SESSIONS, &public, &name, &qualified));
	if (r == 0)
		r = tpm_marshal_public(t, public, id->ak_public, &id->ak_public_n);
	if (r == 0)
		r = ak_from_public((struct bytes){ id->ak_public, id->ak_public_n }, &ak);
	if (r > 0)
		return tpm_fail(t, -EPROTO, "the persistent key is no attestation key: restricted, for signing only, fixedTPM, "
					    "fixedParent, sensitiveDataOrigin, name hash SHA-256, signing scheme with SHA-256 "
					    "or larger");
	return r == 0 ? check_hierarchy(t) : r;
}

static int load_ak(struct tpm *t, enum ak_alg alg, struct tpm_identity *id, uint8_t name[34])
{
	int r = t->ak_handle ? take_ak(t, id) : make_ak(t, alg, id);

	if (r == 0 && tpm_public_name((struct bytes){ id->ak_public, id->ak_public_n }, name) != QUOTE_OK)
		r = tpm_fail(t, -EPROTO, "the TPM made an attestation key of another form than asked for");
	if (r == 0)
		r = nv_read_iak_cert(t, (struct bytes){ id->ak_public, id->ak_public_n }, id->iak_cert, &id->iak_cert_n);
	if (r < 0)
		tpm_release_ak(t);
	return r;
}

int tpm_set_ak(struct tpm *t, uint32_t handle)
{
	if (handle && (handle < PERSISTENT_FIRST || handle > PERSISTENT_LAST))
		return tpm_fail(t, -EINVAL, "not the handle of a persistent key (0x81000000 to 0x81ffffff)");
	tpm_release_ak(t);
	t->ak_handle = handle;
	return 0;
}

int tpm_identify(struct tpm *t, enum ak_alg alg, struct tpm_identity *out)
{
	cleanup_free_ struct tpm_identity *id = calloc(1, sizeof(*id));
	uint8_t name[34];
	int r;

	if (!id)
		return -ENOMEM;
	tpm_release_ak(t);
	/* the EK first: its key takes a slot only for a moment, and no slot is held when it fails */
	r = ek_find(t, id);
	if (r == 0)
		r = load_ak(t, alg, id, name);
	if (r < 0)
		return r;
	tpm_attester_id((struct bytes){ id->ek_public, id->ek_public_n }, name, id->attester_id);
	t->error[0] = 0;
	*out = *id;
	return 0;
}
