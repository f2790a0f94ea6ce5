// SPDX-License-Identifier: Apache-2.0
#include "wire/msg.h"

#include "base/hash.h"

static void add_text(struct hash *h, const char *text)
{
	hash_add_field(h, text, strlen(text));
}

static void add_number(struct hash *h, uint64_t v, size_t size)
{
	uint8_t be[8];

	for (size_t i = size; i > 0; i--, v >>= 8)
		be[i - 1] = (uint8_t)v;
	hash_add_field(h, be, size);
}

void wire_commitment(const struct wire_commitment_inputs *in, uint8_t out[32])
{
	struct hash h;

	hash_begin(&h, HASH_SHA256);
	add_text(&h, WIRE_DOMAIN_COMMITMENT);
	add_number(&h, WIRE_VERSION, 4);
	hash_add_field(&h, in->attester, sizeof(in->attester));
	hash_add_field(&h, in->session, sizeof(in->session));
	hash_add_field(&h, in->nonce, sizeof(in->nonce));
	add_number(&h, in->seq, 8);
	hash_add_field(&h, in->previous, sizeof(in->previous));
	add_number(&h, in->surely, 8);
	hash_end(&h, out);
}

void wire_qualifying(const uint8_t (*commitments)[32], size_t n, uint8_t out[32])
{
	struct hash h;

	hash_begin(&h, HASH_SHA256);
	add_text(&h, WIRE_DOMAIN_QUALIFYING);
	add_number(&h, n, 4);
	for (size_t i = 0; i < n; i++)
		hash_add_field(&h, commitments[i], sizeof(commitments[i]));
	hash_end(&h, out);
}
