// SPDX-License-Identifier: Apache-2.0
/* A tpm2-tools PCR file from outside, in both of its forms. */
#include "tpm/pcrfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void consistent(struct tpm_pcr_file *f)
{
	for (int h = 0; h < HASH_COUNT; h++)
		for (unsigned int pcr = 0; pcr <= TPM_PCR_COUNT; pcr++)
			must((tpm_pcr_file_value(f, hash_tpm_alg((enum hash_alg)h), pcr) != NULL) ==
			     (pcr < TPM_PCR_COUNT && (f->present[h] & 1u << pcr)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct attest quote = {
		.selection = { { 0x000d, 1u << 10 }, { 0x0004, 1u << 10 | 2 }, { 0x000b, 0x30000 }, { 0x0004, 2 } },
		.n_selections = 4,
	};
	struct tpm_pcr_file f;

	if (tpm_pcr_file_parse((struct bytes){ data, size }, &f) == QUOTE_OK)
		consistent(&f);
	if (tpm_pcr_values_parse((struct bytes){ data, size }, &quote, &f) == QUOTE_OK) {
		must(size == 64 + 40 + 64 + 20);
		consistent(&f);
	}
	return 0;
}
