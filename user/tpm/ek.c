// SPDX-License-Identifier: Apache-2.0
/* Endorsement keys. Source: TCG EK Credential Profile for TPM Family 2.0, level 0, version 2.5: NV indices 2.2.1.4 and
 * 2.2.1.5, templates annex B.3 (low range) and B.4 (high range), policies B.6. */
#include "tpm/identity_impl.h"

#define LOW_ATTRIBUTES                                                                                         \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |                    \
	 TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)
#define HIGH_ATTRIBUTES (LOW_ATTRIBUTES | TPMA_OBJECT_USERWITHAUTH)

/* I-1 of the profile: the NV index that PolicyC names, by name hash. Nobody needs to have it. */
#define POLICY_NV_SHA256 0x01c07f01u
#define POLICY_NV_SHA384 0x01c07f02u
#define POLICY_NV_ATTRIBUTES                                                                                   \
	(TPMA_NV_POLICYWRITE | TPMA_NV_WRITEALL | TPMA_NV_PPREAD | TPMA_NV_OWNERREAD | TPMA_NV_AUTHREAD |      \
	 TPMA_NV_POLICYREAD | TPMA_NV_NO_DA | TPMA_NV_WRITTEN)

struct ek_kind {
	uint32_t cert;	     /* NV index of its certificate */
	uint32_t persistent; /* where the profile keeps the key */
	bool high;	     /* policy B, empty unique */
	bool rsa;
	enum hash_alg name_hash;
	TPM2_ECC_CURVE curve;
	uint16_t aes_bits;
};

/* Order of preference. The first two came first, and an attester's id is the hash of its EK: a TPM that has one of them must
 * go on using it. */
static const struct ek_kind kinds[] = {
	{ 0x01c00002, 0x81010001, false, true, HASH_SHA256, 0, 128 },			/* L-1 */
	{ 0x01c0000a, 0x81010002, false, false, HASH_SHA256, TPM2_ECC_NIST_P256, 128 }, /* L-2 */
	{ 0x01c00012, 0x81010012, true, true, HASH_SHA256, 0, 128 },			/* H-1 */
	{ 0x01c00014, 0x81010014, true, false, HASH_SHA256, TPM2_ECC_NIST_P256, 128 },	/* H-2 */
	{ 0x01c00016, 0x81010016, true, false, HASH_SHA384, TPM2_ECC_NIST_P384, 256 },	/* H-3 */
};
#define KINDS_WITHOUT_CERT 2u /* so many of them are tried when there is no certificate */

/* --- policies (TPM 2.0 Library part 3: TPM2_PolicySecret, TPM2_PolicyAuthorizeNV, TPM2_PolicyOR) --------------------- */

static void add_u32(struct hash *h, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	hash_add(h, b, sizeof(b));
}

static void add_u16(struct hash *h, size_t v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	hash_add(h, b, sizeof(b));
}

static const uint8_t zeros[HASH_MAX_SIZE];

/* PolicySecret of the endorsement hierarchy, whose Name is its handle; no policyRef. */
static void policy_a(enum hash_alg a, uint8_t out[HASH_MAX_SIZE])
{
	struct hash h;

	hash_begin(&h, a);
	hash_add(&h, zeros, hash_size(a));
	add_u32(&h, TPM2_CC_PolicySecret);
	add_u32(&h, TPM2_RH_ENDORSEMENT);
	hash_end(&h, out);
	hash_one(a, out, hash_size(a), out);
}

/* PolicyAuthorizeNV of index I-1: its Name is the hash of its TPMS_NV_PUBLIC. */
static void policy_c(enum hash_alg a, uint8_t out[HASH_MAX_SIZE])
{
	uint8_t access[HASH_MAX_SIZE], name[HASH_MAX_SIZE];
	size_t n = hash_size(a);
	struct hash h;

	policy_a(a, access);
	hash_begin(&h, a);
	add_u32(&h, a == HASH_SHA384 ? POLICY_NV_SHA384 : POLICY_NV_SHA256);
	add_u16(&h, hash_tpm_alg(a));
	add_u32(&h, POLICY_NV_ATTRIBUTES);
	add_u16(&h, n);
	hash_add(&h, access, n);
	add_u16(&h, 2 + n);
	hash_end(&h, name);
	hash_begin(&h, a);
	hash_add(&h, zeros, n);
	add_u32(&h, TPM2_CC_PolicyAuthorizeNV);
	add_u16(&h, hash_tpm_alg(a));
	hash_add(&h, name, n);
	hash_end(&h, out);
}

static void branches_of_b(enum hash_alg a, TPML_DIGEST *out)
{
	*out = (TPML_DIGEST){ .count = 2 };
	for (uint32_t i = 0; i < out->count; i++)
		out->digests[i].size = (UINT16)hash_size(a);
	policy_a(a, out->digests[0].buffer);
	policy_c(a, out->digests[1].buffer);
}

static void policy_b(enum hash_alg a, uint8_t out[HASH_MAX_SIZE])
{
	TPML_DIGEST branches;
	struct hash h;

	branches_of_b(a, &branches);
	hash_begin(&h, a);
	hash_add(&h, zeros, hash_size(a));
	add_u32(&h, TPM2_CC_PolicyOR);
	for (uint32_t i = 0; i < branches.count; i++)
		hash_add(&h, branches.digests[i].buffer, branches.digests[i].size);
	hash_end(&h, out);
}

/* --- templates ------------------------------------------------------------------------------------------------------ */

static void template_of(const struct ek_kind *k, TPM2B_PUBLIC *out)
{
	const TPMT_SYM_DEF_OBJECT aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = k->aes_bits, .mode.aes = TPM2_ALG_CFB };
	TPMT_PUBLIC *p = &out->publicArea;

	*out = (TPM2B_PUBLIC){ 0 };
	p->nameAlg = hash_tpm_alg(k->name_hash);
	p->objectAttributes = k->high ? HIGH_ATTRIBUTES : LOW_ATTRIBUTES;
	p->authPolicy.size = (UINT16)hash_size(k->name_hash);
	if (k->high)
		policy_b(k->name_hash, p->authPolicy.buffer);
	else
		policy_a(k->name_hash, p->authPolicy.buffer);
	if (k->rsa) {
		p->type = TPM2_ALG_RSA;
		p->parameters.rsaDetail.symmetric = aes;
		p->parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
		p->parameters.rsaDetail.keyBits = 2048;
		p->unique.rsa.size = k->high ? 0 : 256;
		return;
	}
	p->type = TPM2_ALG_ECC;
	p->parameters.eccDetail.symmetric = aes;
	p->parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
	p->parameters.eccDetail.curveID = k->curve;
	p->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
	p->unique.ecc.x.size = p->unique.ecc.y.size = k->high ? 0 : 32;
}

/* 1: done; 0: this TPM does not do such a key; negative errno. */
static int try_kind(struct tpm *t, const struct ek_kind *k, struct tpm_identity *id)
{
	cleanup_esys_ TPM2B_PUBLIC *public = NULL;
	TPM2B_PUBLIC template;
	ESYS_TR handle;
	int r;

	template_of(k, &template);
	r = tpm_create_primary(t, &template, &handle, &public);
	if (r < 0) {
		/* only "I do not accept this template" may lead to another identity; every other failure must not */
		TSS2_RC response = tpm_response(t->last);

		return response & TPM2_RC_FMT1 && response & TPM2_RC_P ? 0 : r;
	}
	r = tpm_marshal_public(t, public, id->ek_public, &id->ek_public_n);
	if (r < 0) {
		tpm_flush(t, &handle);
		return r;
	}
	t->ek = k;
	r = TPM_CALL(t, "TPM2_FlushContext", Esys_FlushContext(t->esys, handle));
	return r < 0 ? r : 1;
}

static int find_with_cert(struct tpm *t, struct tpm_identity *id)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int r = nv_read_cert(t, kinds[i].cert, id->ek_cert, sizeof(id->ek_cert), &id->ek_cert_n);

		if (r < 0)
			return r;
		r = id->ek_cert_n ? try_kind(t, &kinds[i], id) : 0;
		if (r != 0)
			return r;
	}
	id->ek_cert_n = 0; /* a certificate for a key that cannot be made is none */
	return 0;
}

int ek_find(struct tpm *t, struct tpm_identity *id)
{
	int r;

	t->ek = NULL;
	t->ek_public_n = 0;
	r = find_with_cert(t, id);
	for (size_t i = 0; r == 0 && i < KINDS_WITHOUT_CERT; i++)
		r = try_kind(t, &kinds[i], id);
	if (r > 0 && id->ek_cert_n)
		r = nv_read_chain(t, id->ek_chain, &id->ek_chain_n);
	if (r < 0)
		return r;
	bytes_copy(t->ek_public, id->ek_public, id->ek_public_n);
	t->ek_public_n = id->ek_public_n;
	return 0;
}

/* --- use ------------------------------------------------------------------------------------------------------------ */

/* 1: loaded and the same key; 0: not there, or another one; negative errno. */
static int load_persistent(struct tpm *t, ESYS_TR *handle)
{
	cleanup_esys_ TPM2B_PUBLIC *public = NULL;
	cleanup_esys_ TPM2B_NAME *name = NULL, *qualified = NULL;
	uint8_t bytes[LIMIT_PUBLIC];
	size_t n = 0;
	int r = TPM_CALL(t, "TPM2_ReadPublic", Esys_TR_FromTPMPublic(t->esys, t->ek->persistent, NO_SESSIONS, handle));

	if (r < 0)
		return r == -EPROTO ? 0 : r;
	r = TPM_CALL(t, "TPM2_ReadPublic", Esys_ReadPublic(t->esys, *handle, NO_SESSIONS, &public, &name, &qualified));
	if (r == 0)
		r = tpm_marshal_public(t, public, bytes, &n);
	if (r == 0 && n == t->ek_public_n && bytes_equal(bytes, t->ek_public, n))
		return 1;
	Esys_TR_Close(t->esys, handle);
	return r;
}

int ek_load(struct tpm *t, ESYS_TR *handle, bool *transient)
{
	cleanup_esys_ TPM2B_PUBLIC *public = NULL;
	TPM2B_PUBLIC template;
	int r;

	if (!t->ek)
		return tpm_fail(t, -EINVAL, "no endorsement key: tpm_identify() comes first, or the TPM has none");
	*transient = false;
	r = load_persistent(t, handle);
	if (r != 0)
		return r < 0 ? r : 0;
	*transient = true;
	template_of(t->ek, &template);
	return tpm_create_primary(t, &template, handle, &public);
}

static int start_session(struct tpm *t, ESYS_TR *session)
{
	const TPMT_SYM_DEF symmetric = { .algorithm = TPM2_ALG_NULL };

	return TPM_CALL(t, "TPM2_StartAuthSession",
			Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, NO_SESSIONS, NULL, TPM2_SE_POLICY,
					      &symmetric, hash_tpm_alg(t->ek->name_hash), session));
}

static int satisfy(struct tpm *t, ESYS_TR session)
{
	TPML_DIGEST branches;
	int r = TPM_CALL(t, "TPM2_PolicySecret",
			 Esys_PolicySecret(t->esys, ESYS_TR_RH_ENDORSEMENT, session, EMPTY_PASSWORD, NULL, NULL, NULL, 0,
					   NULL, NULL));

	if (r < 0 || !t->ek->high)
		return r;
	branches_of_b(t->ek->name_hash, &branches);
	return TPM_CALL(t, "TPM2_PolicyOR", Esys_PolicyOR(t->esys, session, NO_SESSIONS, &branches));
}

int ek_session(struct tpm *t, ESYS_TR *session)
{
	int r = start_session(t, session);

	if (r < 0 && t->simulator && tpm_response(t->last) == TPM2_RC_SESSION_MEMORY) {
		tpm_flush_leftovers(t);
		r = start_session(t, session);
	}
	if (r < 0)
		return r;
	/* stays until it is flushed, whatever becomes of the command that uses it */
	r = tpm_note(t, "session attributes",
		     Esys_TRSess_SetAttributes(t->esys, *session, TPMA_SESSION_CONTINUESESSION, TPMA_SESSION_CONTINUESESSION));
	if (r == 0)
		r = satisfy(t, *session);
	if (r < 0)
		tpm_flush(t, session);
	return r;
}
