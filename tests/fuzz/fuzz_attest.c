// SPDX-License-Identifier: Apache-2.0
/* A TPMS_ATTEST from outside. What is accepted lies inside the input and within its limits. */
#include "tpm/attest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static bool inside(struct bytes view, const uint8_t *data, size_t size)
{
	return view.n == 0 || (view.p >= data && view.p + view.n <= data + size);
}

static const uint8_t *some_value(void *user, uint16_t alg, unsigned int index)
{
	static const uint8_t zeros[HASH_MAX_SIZE];

	must(index < TPM_PCR_COUNT && (attest_selected(user, alg) & 1u << index));
	return zeros;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t digest[HASH_MAX_SIZE];
	enum quote_outcome o;
	struct attest a;

	o = attest_parse((struct bytes){ data, size }, &a);
	if (o != QUOTE_OK) {
		must(o == QUOTE_MALFORMED || o == QUOTE_BAD_MAGIC || o == QUOTE_BAD_TYPE);
		return 0;
	}
	must(inside(a.qualified_signer, data, size) && a.qualified_signer.n <= LIMIT_TPM_NAME);
	must(inside(a.extra_data, data, size) && a.extra_data.n <= LIMIT_TPM_DATA);
	must(inside(a.pcr_digest, data, size) && a.pcr_digest.n <= HASH_MAX_SIZE);
	must(a.n_selections <= LIMIT_PCR_SELECTIONS);
	for (size_t i = 0; i < a.n_selections; i++)
		must(a.selection[i].mask >> TPM_PCR_COUNT == 0);
	must(attest_check_nonce(&a, a.extra_data) == QUOTE_OK);
	for (int h = HASH_SHA256; h < HASH_COUNT; h++) {
		o = quote_composite(&a, (enum hash_alg)h, some_value, &a, digest);
		must(o == QUOTE_OK || o == QUOTE_UNSUPPORTED);
	}
	return 0;
}
