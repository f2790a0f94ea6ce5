// SPDX-License-Identifier: Apache-2.0
/* A whole quote as files hold it. */
#include "tpm/attest.h"

static bool hash_of_size(size_t n, enum hash_alg *out)
{
	for (int a = HASH_SHA256; a < HASH_COUNT; a++) {
		if (hash_size((enum hash_alg)a) == n) {
			*out = (enum hash_alg)a;
			return true;
		}
	}
	return false;
}

static void note_signature(struct bytes tpmt_signature, struct quote_facts *facts)
{
	struct tpm_signature sig;

	if (tpm_signature_parse(tpmt_signature, &sig) != QUOTE_OK)
		return;
	facts->has_signature = true;
	facts->scheme = sig.scheme;
	facts->hash = sig.hash;
}

/* One guess at what a plain signature is. */
static int check_plain(struct bytes msg, struct bytes plain, const struct ak *ak, enum sig_scheme rsa_scheme, enum hash_alg h,
		       struct quote_facts *facts)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_SIGNATURE);
	int r = tpm_signature_from_plain(plain, ak, rsa_scheme, h, &w);

	if (r == QUOTE_OK)
		r = quote_check_signature(msg, writer_view(&w), ak);
	if (r == QUOTE_OK || r == QUOTE_BAD_SIGNATURE)
		note_signature(writer_view(&w), facts);
	return r;
}

static int check_signature(struct bytes msg, struct bytes signature, const struct ak *ak, struct quote_facts *facts)
{
	int as_structure = quote_check_signature(msg, signature, ak), r;
	enum hash_alg h;

	note_signature(signature, facts);
	if (facts->has_signature || as_structure < 0 || !hash_of_size(facts->attest.pcr_digest.n, &h))
		return as_structure;
	r = check_plain(msg, signature, ak, SIG_RSAPSS, h, facts);
	if (r == QUOTE_BAD_SIGNATURE && facts->scheme == SIG_RSAPSS)
		r = check_plain(msg, signature, ak, SIG_RSASSA, h, facts);
	return r == QUOTE_MALFORMED ? as_structure : r;
}

int quote_verify(struct bytes msg, struct bytes signature, const struct ak *ak, const struct bytes *nonce,
		 struct quote_facts *out)
{
	enum quote_outcome o;
	int r;

	*out = (struct quote_facts){ 0 };
	o = attest_parse(msg, &out->attest);
	if (o != QUOTE_OK) {
		note_signature(signature, out);
		return (int)o;
	}
	out->parsed = true;
	r = check_signature(msg, signature, ak, out);
	if (r != QUOTE_OK)
		return r;
	return nonce ? (int)attest_check_nonce(&out->attest, *nonce) : QUOTE_OK;
}
