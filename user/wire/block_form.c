// SPDX-License-Identifier: Apache-2.0
#include "wire/block_form.h"

static const struct {
	uint8_t number;
	uint8_t name_n;
	uint8_t size;
	char name[10];
} digests[] = {
#define X(number, name, size) { number, sizeof(name) - 1, size, name },
	WIRE_DIGESTS(X)
#undef X
};

static const char *const prefixes[FORM_PREFIX_COUNT] = {
	[FORM_PLAIN] = "",
	[FORM_IMA] = "ima:",
	[FORM_VERITY] = "verity:",
};

bool form_head(uint8_t prefix, uint8_t alg, uint8_t head[FORM_HEAD_MAX], size_t *head_n, size_t *digest_n)
{
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++) {
		size_t n;

		if (digests[i].number != alg || prefix >= FORM_PREFIX_COUNT)
			continue;
		*digest_n = digests[i].size;
		*head_n = 0;
		if (prefix == FORM_BARE)
			return true;
		n = strlen(prefixes[prefix]);
		bytes_copy(head, prefixes[prefix], n);
		bytes_copy(head + n, digests[i].name, digests[i].name_n);
		n += digests[i].name_n;
		head[n++] = ':';
		head[n++] = 0;
		*head_n = n;
		return true;
	}
	return false;
}

/* A digest field in one of the forms: its numbers and the view of the digest. */
static bool digest_form(struct bytes field, struct form *form, struct bytes *digest)
{
	for (uint8_t prefix = 0; prefix < FORM_PREFIX_COUNT; prefix++) {
		for (size_t i = 0; i < ARRAY_SIZE(digests); i++) {
			struct reader r = reader_of(field);
			uint8_t head[FORM_HEAD_MAX];
			size_t head_n, digest_n;

			if (!form_head(prefix, digests[i].number, head, &head_n, &digest_n) ||
			    field.n != head_n + digest_n || !bytes_equal(read_bytes(&r, head_n).p, head, head_n))
				continue;
			*digest = read_rest(&r);
			form->prefix = prefix;
			form->alg = digests[i].number;
			return true;
		}
	}
	return false;
}

static bool all_zero(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i])
			return false;
	return true;
}

bool form_take_apart(struct bytes data, struct form *form, struct form_parts *parts)
{
	struct reader r = reader_of(data);
	struct bytes digest_field = read_bytes(&r, read_u32le(&r));
	struct bytes name_field = read_bytes(&r, read_u32le(&r));
	struct bytes rest;
	struct form f = { .flags = SHAPE_STRUCTURED };
	struct form_parts p = { 0 };

	if (!reader_ok(&r) || digest_field.n == 0 || !digest_form(digest_field, &f, &p.digest))
		return false;
	p.path = name_field;
	if (name_field.n > 0 && name_field.p[name_field.n - 1] == 0) {
		f.flags |= SHAPE_PATH_NUL;
		p.path.n--;
	}
	if (p.path.n > 0 && memchr(p.path.p, 0, p.path.n))
		return false;
	rest = read_rest(&r);
	if (rest.n % 4 == 0 && rest.n / 4 <= FORM_REST_EMPTY_MAX && all_zero(rest)) {
		f.rest = (uint8_t)(rest.n / 4);
	} else {
		f.rest = FORM_REST_RAW;
		p.rest = rest;
	}
	*form = f;
	*parts = p;
	return true;
}
