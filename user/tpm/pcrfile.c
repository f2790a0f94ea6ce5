// SPDX-License-Identifier: Apache-2.0
#include "tpm/pcrfile.h"

#define FILE_SELECTIONS 16u /* TPM2_NUM_PCR_BANKS of tpm2-tss: room in the structure */
#define FILE_LIST_DIGESTS 8u
#define FILE_DIGEST_ROOM 64u

static uint16_t read_u16le(struct reader *r)
{
	uint16_t low = read_u8(r);

	return (uint16_t)(low | read_u8(r) << 8);
}

static size_t mask_count(uint32_t mask)
{
	return (size_t)__builtin_popcount(mask);
}

/* Files one value. A PCR may be selected twice, but has only one value. */
static bool keep(struct tpm_pcr_file *f, enum hash_alg bank, unsigned int pcr, struct bytes value)
{
	uint8_t *room = f->value[bank][pcr];

	if (value.n != hash_size(bank))
		return false;
	if (f->present[bank] & 1u << pcr)
		return bytes_equal(room, value.p, value.n);
	bytes_copy(room, value.p, value.n);
	f->present[bank] |= 1u << pcr;
	return true;
}

struct selections {
	struct pcr_selection s[FILE_SELECTIONS];
	size_t n;
	size_t values; /* selected PCRs in all */
};

static enum quote_outcome read_selections(struct reader *r, struct selections *out)
{
	out->n = read_u32le(r);
	out->values = 0;
	if (out->n > FILE_SELECTIONS)
		return QUOTE_MALFORMED;
	for (size_t i = 0; i < FILE_SELECTIONS; i++) {
		uint16_t alg = read_u16le(r);
		uint8_t size = read_u8(r);
		uint32_t mask = read_u32le(r);

		read_u8(r);
		if (i >= out->n)
			continue; /* unused room of the structure */
		if (size > 4)
			return QUOTE_MALFORMED;
		mask &= (uint32_t)((1ull << (8 * size)) - 1);
		if (mask >> TPM_PCR_COUNT)
			return QUOTE_MALFORMED;
		out->s[i] = (struct pcr_selection){ .alg = alg, .mask = mask };
		out->values += mask_count(mask);
	}
	return reader_ok(r) ? QUOTE_OK : QUOTE_MALFORMED;
}

/* All values in file order, as views. */
struct values {
	struct bytes v[LIMIT_PCR_FILE_LISTS * FILE_LIST_DIGESTS];
	size_t n;
};

static enum quote_outcome read_values(struct reader *r, struct values *out)
{
	uint32_t lists = read_u32le(r);

	out->n = 0;
	if (lists > LIMIT_PCR_FILE_LISTS)
		return QUOTE_MALFORMED;
	for (uint32_t l = 0; l < lists; l++) {
		uint32_t count = read_u32le(r);

		if (count > FILE_LIST_DIGESTS)
			return QUOTE_MALFORMED;
		for (uint32_t i = 0; i < FILE_LIST_DIGESTS; i++) {
			uint16_t size = read_u16le(r);
			struct reader room = reader_of(read_bytes(r, FILE_DIGEST_ROOM));

			if (!reader_ok(r))
				return QUOTE_MALFORMED;
			if (i >= count)
				continue;
			out->v[out->n++] = read_bytes(&room, size);
			if (!reader_ok(&room))
				return QUOTE_MALFORMED;
		}
	}
	return reader_done(r) ? QUOTE_OK : QUOTE_MALFORMED;
}

enum quote_outcome tpm_pcr_file_parse(struct bytes file, struct tpm_pcr_file *out)
{
	struct reader r = reader_of(file);
	struct tpm_pcr_file f = { 0 };
	struct selections selections;
	struct values values;
	size_t next = 0;

	if (file.n > LIMIT_PCR_FILE || read_selections(&r, &selections) != QUOTE_OK || read_values(&r, &values) != QUOTE_OK ||
	    values.n != selections.values)
		return QUOTE_MALFORMED;
	for (size_t i = 0; i < selections.n; i++) {
		enum hash_alg bank;
		bool known = hash_from_tpm_alg(selections.s[i].alg, &bank);

		for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++) {
			if (!(selections.s[i].mask & 1u << pcr))
				continue;
			if (known && !keep(&f, bank, pcr, values.v[next]))
				return QUOTE_MALFORMED;
			next++;
		}
	}
	*out = f;
	return QUOTE_OK;
}

enum quote_outcome tpm_pcr_values_parse(struct bytes file, const struct attest *quote, struct tpm_pcr_file *out)
{
	struct reader r = reader_of(file);
	struct tpm_pcr_file f = { 0 };

	if (file.n > LIMIT_PCR_FILE)
		return QUOTE_MALFORMED;
	for (size_t i = 0; i < quote->n_selections; i++) {
		enum hash_alg bank;

		if (quote->selection[i].mask == 0)
			continue;
		if (!hash_from_tpm_alg(quote->selection[i].alg, &bank))
			return QUOTE_UNSUPPORTED;
		for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++)
			if (quote->selection[i].mask & 1u << pcr && !keep(&f, bank, pcr, read_bytes(&r, hash_size(bank))))
				return QUOTE_MALFORMED;
	}
	if (!reader_done(&r))
		return QUOTE_MALFORMED;
	*out = f;
	return QUOTE_OK;
}

const uint8_t *tpm_pcr_file_value(void *user, uint16_t alg, unsigned int index)
{
	const struct tpm_pcr_file *f = user;
	enum hash_alg bank;

	if (index >= TPM_PCR_COUNT || !hash_from_tpm_alg(alg, &bank) || !(f->present[bank] & 1u << index))
		return NULL;
	return f->value[bank][index];
}
