// SPDX-License-Identifier: Apache-2.0
/* The bytes of a TPMT_PUBLIC. */
#include "tpm/public_area.h"

/* TPMT_SYM_DEF_OBJECT, part 2 section 11.1.7 */
static void read_symmetric(struct reader *r, struct public_area *p)
{
	p->symmetric = read_u16be(r);
	p->has_symmetric = p->symmetric != ALG_NULL;
	if (p->has_symmetric) {
		p->symmetric_bits = read_u16be(r);
		p->symmetric_mode = read_u16be(r);
	}
}

/* TPMT_RSA_SCHEME 11.2.4.2, TPMT_ECC_SCHEME 11.2.5.6. False for a scheme whose form is not known. */
static bool read_scheme(struct reader *r, struct public_area *p)
{
	p->scheme = read_u16be(r);
	switch (p->scheme) {
	case ALG_NULL:
	case ALG_RSAES:
		return true;
	case ALG_RSASSA:
	case ALG_RSAPSS:
	case ALG_OAEP:
	case ALG_ECDSA:
	case ALG_ECDH:
	case ALG_SM2:
	case ALG_ECSCHNORR:
	case ALG_ECMQV:
		p->scheme_hash = read_u16be(r);
		return true;
	case ALG_ECDAA:
		p->scheme_hash = read_u16be(r);
		read_u16be(r); /* count */
		return true;
	default:
		return false;
	}
}

static enum quote_outcome read_rsa(struct reader *r, struct public_area *p)
{
	read_symmetric(r, p);
	if (!read_scheme(r, p))
		return reader_ok(r) ? QUOTE_UNSUPPORTED : QUOTE_MALFORMED;
	p->rsa_bits = read_u16be(r);
	p->rsa_exponent = read_u32be(r);
	p->modulus = read_tpm2b(r, LIMIT_RSA_BITS / 8);
	return QUOTE_OK;
}

static enum quote_outcome read_ecc(struct reader *r, struct public_area *p)
{
	read_symmetric(r, p);
	if (!read_scheme(r, p))
		return reader_ok(r) ? QUOTE_UNSUPPORTED : QUOTE_MALFORMED;
	p->curve_id = read_u16be(r);
	p->kdf = read_u16be(r);
	if (p->kdf != ALG_NULL)
		read_u16be(r);
	p->x = read_tpm2b(r, ECC_MAX_BYTES);
	p->y = read_tpm2b(r, ECC_MAX_BYTES);
	return QUOTE_OK;
}

enum quote_outcome tpm_public_parse(struct bytes b, struct public_area *out)
{
	struct reader r = reader_of(b);
	struct public_area p = { 0 };
	enum quote_outcome o;

	if (b.n > LIMIT_PUBLIC)
		return QUOTE_MALFORMED;
	p.type = read_u16be(&r);
	p.name_alg = read_u16be(&r);
	p.attributes = read_u32be(&r);
	read_tpm2b(&r, HASH_MAX_SIZE); /* authPolicy */
	if (!reader_ok(&r))
		return QUOTE_MALFORMED;
	if (p.type == ALG_RSA)
		o = read_rsa(&r, &p);
	else if (p.type == ALG_ECC)
		o = read_ecc(&r, &p);
	else
		o = QUOTE_UNSUPPORTED;
	if (o != QUOTE_OK)
		return o;
	if (!reader_done(&r))
		return QUOTE_MALFORMED;
	*out = p;
	return QUOTE_OK;
}

/* With its length, without leading zeros. */
static void add_number(struct hash *h, struct bytes n)
{
	struct reader r = reader_of(n);
	size_t zeros = 0;
	uint8_t size[2];

	while (zeros < n.n && n.p[zeros] == 0)
		zeros++;
	(void)read_bytes(&r, zeros);
	n = read_rest(&r);
	size[0] = (uint8_t)(n.n >> 8);
	size[1] = (uint8_t)n.n;
	hash_add(h, size, sizeof(size));
	hash_add(h, n.p, n.n);
}

enum quote_outcome tpm_public_numbers(struct bytes tpmt_public, uint8_t out[32])
{
	struct public_area p;
	enum quote_outcome o = tpm_public_parse(tpmt_public, &p);
	uint8_t kind[4];
	struct hash h;

	if (o != QUOTE_OK)
		return o;
	kind[0] = (uint8_t)(p.type >> 8);
	kind[1] = (uint8_t)p.type;
	kind[2] = (uint8_t)(p.curve_id >> 8);
	kind[3] = (uint8_t)p.curve_id;
	hash_begin(&h, HASH_SHA256);
	hash_add(&h, kind, sizeof(kind));
	add_number(&h, p.type == ALG_RSA ? p.modulus : p.x);
	add_number(&h, p.y);
	hash_end(&h, out);
	return QUOTE_OK;
}
