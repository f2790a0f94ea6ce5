/* SPDX-License-Identifier: Apache-2.0 */
/* The PCR files of tpm2-tools: what `tpm2_quote -o` and `tpm2_pcrread -o` write. Pure, no state, thread-safe.
 *
 * "serialized" (tpm2_quote's default; learnt from the output of 5.4): the memory image of three C structures, integers
 * little-endian, unused room left in:
 *   TPML_PCR_SELECTION  u32 count, then 16 times { u16 hash, u8 sizeofSelect, u8 pcrSelect[4], u8 unused }      132 bytes
 *   u32 number of lists (at most 32)
 *   TPML_DIGEST         u32 count (at most 8), then 8 times { u16 size, u8 value[64] }; as often as said   532 bytes each
 * The values stand in order of selection and index, spread over the lists as TPM2_PCR_Read gave them.
 * "values" (-F values, tpm2_pcrread): the values alone, in the same order. */
#pragma once

#include "tpm/attest.h"

struct tpm_pcr_file {
	uint32_t present[HASH_COUNT]; /* bit per PCR */
	uint8_t value[HASH_COUNT][TPM_PCR_COUNT][HASH_MAX_SIZE];
};

/* "serialized". Banks that we do not know are read over. QUOTE_OK or QUOTE_MALFORMED: also when a PCR occurs twice with
 * two values, when a value has not the length of its bank, or when there are more or fewer values than selected. */
must_use_ enum quote_outcome tpm_pcr_file_parse(struct bytes file, struct tpm_pcr_file *out);

/* "values": which PCRs they are is known only from the quote. QUOTE_OK, QUOTE_MALFORMED, or QUOTE_UNSUPPORTED when the
 * quote covers a bank that we do not know. */
must_use_ enum quote_outcome tpm_pcr_values_parse(struct bytes file, const struct attest *quote, struct tpm_pcr_file *out);

/* For quote_composite(): user is a const struct tpm_pcr_file *. */
const uint8_t *tpm_pcr_file_value(void *user, uint16_t alg, unsigned int index);
