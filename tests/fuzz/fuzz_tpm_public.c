// SPDX-License-Identifier: Apache-2.0
/* A TPMT_PUBLIC from outside, and the same bytes as PEM. What is an AK is also a key, with the same name. */
#include "tpm/attest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	cleanup_ak_ struct ak ak = { 0 }, key = { 0 }, pem = { 0 };
	bool is_ak = ak_from_public(in, &ak) == QUOTE_OK;
	bool is_key = tpm_public_key(in, &key) == QUOTE_OK;
	uint8_t name[34] = { 0 }, fingerprint[32];
	char text[32];

	must(is_ak == (ak.key != NULL) && is_key == (key.key != NULL));
	must(is_key || !is_ak);
	if (is_key) {
		must(tpm_public_name(in, name) == QUOTE_OK);
		must(key.has_name && bytes_equal(key.name, name, sizeof(name)));
		must(strlen(ak_describe(&key, text, sizeof(text))) > 4);
		must(ak_fingerprint(&key, fingerprint) == 0);
	}
	if (is_ak)
		must(EVP_PKEY_eq(ak.key, key.key) == 1 && bytes_equal(ak.name, name, sizeof(name)));
	must((ak_from_pem(in, &pem) == QUOTE_OK) == (pem.key != NULL));
	return 0;
}
