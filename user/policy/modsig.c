// SPDX-License-Identifier: Apache-2.0
/* Appended signatures (template ima-modsig): a PKCS#7 signed over the file without it, whose digest is the field d-modsig.
 * Source: security/integrity/ima/ima_modsig.c; scripts/sign-file.c, which makes it detached and without attributes. */
#include <openssl/cms.h>
#include <openssl/err.h>

#include "policy/algo.h"
#include "policy/keyring_private.h"

/* The algorithm of OpenSSL's digest; FILE_ALG_NONE for one that nobody should sign with. */
static uint8_t alg_of(const X509_ALGOR *digest)
{
	const ASN1_OBJECT *oid;

	X509_ALGOR_get0(&oid, NULL, NULL, digest);
	switch (OBJ_obj2nid(oid)) {
	case NID_sha256:
		return FILE_ALG_SHA256;
	case NID_sha384:
		return FILE_ALG_SHA384;
	case NID_sha512:
		return FILE_ALG_SHA512;
	case NID_sha224:
		return FILE_ALG_SHA224;
	case NID_sha3_256:
		return FILE_ALG_SHA3_256;
	case NID_sha3_384:
		return FILE_ALG_SHA3_384;
	case NID_sha3_512:
		return FILE_ALG_SHA3_512;
	default:
		return FILE_ALG_NONE;
	}
}

static enum imasig_outcome check_signer(const struct keyring *k, struct sigcache *cache, CMS_SignerInfo *si, uint8_t alg,
					struct bytes digest)
{
	const ASN1_OCTET_STRING *value = CMS_SignerInfo_get0_signature(si);
	X509_ALGOR *hash = NULL;

	/* With attributes the signature is over them, and says the digest in one: sign-file leaves them out. */
	CMS_SignerInfo_get0_algs(si, NULL, NULL, &hash, NULL);
	if (CMS_signed_get_attr_count(si) >= 0 || !value || !hash)
		return IMASIG_MALFORMED;
	if (alg_of(hash) != alg)
		return IMASIG_INVALID;
	return keyring_verify_any(k, cache, alg, digest,
				  (struct bytes){ ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value) });
}

enum imasig_outcome modsig_verify(const struct keyring *k, struct sigcache *cache, struct bytes pkcs7, struct bytes alg,
				  struct bytes digest)
{
	enum imasig_outcome outcome = IMASIG_MALFORMED;
	uint8_t number = file_alg_from_name(alg);
	const unsigned char *p = pkcs7.p;
	STACK_OF(CMS_SignerInfo) *signers;
	CMS_ContentInfo *cms;

	if (pkcs7.n == 0 || pkcs7.n > LIMIT_PEM || digest.n == 0 || digest.n != file_alg_size(number))
		return IMASIG_MALFORMED;
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)pkcs7.n);
	/* one signer and nothing behind: a second one could be anybody */
	if (cms && p == pkcs7.p + pkcs7.n && OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_signed &&
	    (signers = CMS_get0_SignerInfos(cms)) && sk_CMS_SignerInfo_num(signers) == 1)
		outcome = check_signer(k, cache, sk_CMS_SignerInfo_value(signers, 0), number, digest);
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
	return outcome;
}
