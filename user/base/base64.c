// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define NO_DIGIT 0xffu

/* Value of each character; '-' and '_' stand for '+' and '/'. */
struct table {
	uint8_t value[256];
};

static void table_make(struct table *t, enum base64_alphabet alphabet, bool url)
{
	for (size_t i = 0; i < sizeof(t->value); i++)
		t->value[i] = NO_DIGIT;
	for (uint8_t i = 0; i < 64; i++)
		t->value[(uint8_t)digits[i]] = i;
	if (alphabet == BASE64_EITHER && url) {
		t->value['+'] = t->value['/'] = NO_DIGIT;
		t->value['-'] = 62;
		t->value['_'] = 63;
	}
}

static bool has_url_digit(struct bytes text)
{
	return text.n && (memchr(text.p, '-', text.n) || memchr(text.p, '_', text.n));
}

int base64_decode_to(struct writer *w, struct bytes text, enum base64_alphabet alphabet)
{
	size_t padding = 0, before = w->n, groups = text.n / 4, at = 0;
	struct reader r = reader_of(text);
	struct table t;
	uint8_t *out;

	if (writer_status(w) < 0)
		return writer_status(w);
	if (text.n % 4)
		return -EINVAL;
	if (text.n == 0)
		return 0;
	while (padding < 2 && text.p[text.n - 1 - padding] == '=')
		padding++;
	table_make(&t, alphabet, has_url_digit(text));
	out = write_space(w, groups * 3 - padding);
	if (!out)
		return writer_status(w);
	for (size_t g = 0; g < groups; g++) {
		struct bytes four = read_bytes(&r, 4);
		size_t pad = g + 1 == groups ? padding : 0;
		uint32_t bits = 0;

		for (size_t i = 0; i < 4; i++) {
			uint8_t v = i < 4 - pad ? t.value[four.p[i]] : 0;

			if (v == NO_DIGIT)
				goto refuse;
			bits = bits << 6 | v;
		}
		if ((pad == 1 && bits & 0xff) || (pad == 2 && bits & 0xffff))
			goto refuse;
		for (size_t i = 0; i < 3 - pad; i++)
			out[at++] = (uint8_t)(bits >> (16 - 8 * i));
	}
	return 0;
refuse:
	w->n = before;
	return -EINVAL;
}

void write_base64(struct writer *w, struct bytes b)
{
	struct reader r = reader_of(b);

	while (reader_left(&r)) {
		struct bytes run = read_bytes(&r, MIN(reader_left(&r), (size_t)3));
		uint32_t bits = (uint32_t)run.p[0] << 16 | (run.n > 1 ? (uint32_t)run.p[1] << 8 : 0) | (run.n > 2 ? run.p[2] : 0);

		write_u8(w, (uint8_t)digits[bits >> 18 & 63]);
		write_u8(w, (uint8_t)digits[bits >> 12 & 63]);
		write_u8(w, run.n > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=');
		write_u8(w, run.n > 2 ? (uint8_t)digits[bits & 63] : '=');
	}
}
