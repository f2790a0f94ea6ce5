// SPDX-License-Identifier: Apache-2.0
#include "tpm/der.h"

#define TAG_SEQUENCE 0x30u
#define CONSTRUCTED 0x20u
#define DEPTH_MAX 16u

/* Identifier and length. Identifiers of more than one byte (tag numbers from 31) do not occur in certificates. */
static size_t read_header(struct reader *r, uint8_t *tag)
{
	size_t n, least = 0x80;

	*tag = read_u8(r);
	n = read_u8(r);
	if (n == 0x81) {
		n = read_u8(r);
	} else if (n == 0x82) {
		n = read_u16be(r);
		least = 0x100;
	} else if (n > 0x7f) {
		r->bad = true; /* indefinite, or larger than all that we take */
	} else {
		least = 0;
	}
	if (n < least || (*tag & 0x1f) == 0x1f)
		r->bad = true;
	return n;
}

size_t der_length(struct bytes b)
{
	struct reader r = reader_of(b);
	uint8_t tag;
	size_t n = read_header(&r, &tag);

	read_bytes(&r, r.bad ? 0 : n);
	return tag == TAG_SEQUENCE && reader_ok(&r) ? r.pos : 0;
}

/* Every value up to the end of r, in depth. */
static bool strict(struct reader *r, unsigned int depth)
{
	while (reader_ok(r) && reader_left(r)) {
		uint8_t tag;
		size_t n = read_header(r, &tag);
		struct bytes value = read_bytes(r, r->bad ? 0 : n);
		struct reader inner = reader_of(value);

		if (reader_ok(r) && tag & CONSTRUCTED && (depth == DEPTH_MAX || !strict(&inner, depth + 1)))
			return false;
	}
	return reader_ok(r);
}

bool der_strict(struct bytes b)
{
	struct reader r = reader_of(b);

	return b.n > 0 && der_length(b) == b.n && strict(&r, 0);
}

void der_take_certs(struct writer *pending, size_t *certs, uint8_t out[LIMIT_EK_CHAIN], size_t *n)
{
	size_t taken = 0, len;

	while ((len = der_length((struct bytes){ pending->p + taken, pending->n - taken })) > 0) {
		if (*certs < LIMIT_EK_CHAIN_CERTS && len <= LIMIT_CERT && *n + len <= LIMIT_EK_CHAIN) {
			bytes_copy(out + *n, pending->p + taken, len);
			*n += len;
			(*certs)++;
		}
		taken += len;
	}
	if (pending->n > taken && pending->p[taken] == TAG_SEQUENCE) {
		memmove(pending->p, pending->p + taken, pending->n - taken);
		pending->n -= taken;
	} else {
		pending->n = 0;
	}
}
