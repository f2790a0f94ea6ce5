// SPDX-License-Identifier: Apache-2.0
#include "cli/tar.h"

/* Octal digits with spaces before and a space or NUL behind; or, GNU, 0x80 and a binary number. */
static bool number(struct bytes field, uint64_t *out)
{
	struct reader r = reader_of(field);
	uint64_t v = 0;
	bool digits = false, over = false;

	if (field.n && field.p[0] & 0x80) {
		if (read_u8(&r) != 0x80)
			return false; /* negative, or more than 63 bits */
		while (reader_left(&r)) {
			if (v >> 55)
				return false;
			v = v << 8 | read_u8(&r);
		}
		*out = v;
		return true;
	}
	while (reader_left(&r)) {
		uint8_t c = read_u8(&r);

		if (c == ' ' || c == 0) {
			over = digits;
			continue;
		}
		if (over || c < '0' || c > '7' || v >> 60)
			return false;
		v = v << 3 | (uint64_t)(c - '0');
		digits = true;
	}
	*out = v;
	return true;
}

static size_t text_length(struct bytes field)
{
	const uint8_t *end = field.n ? memchr(field.p, 0, field.n) : NULL;

	return end ? (size_t)(end - field.p) : field.n;
}

/* The sum of all bytes, its own field taken as spaces. */
static bool sum_matches(struct bytes block)
{
	struct reader r = reader_of(block);
	uint64_t sum = 0, given = 0;
	struct bytes field;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t v = read_u8(&r);

		sum += i >= 148 && i < 156 ? ' ' : v;
	}
	r = reader_of(block);
	(void)read_bytes(&r, 148);
	field = read_bytes(&r, 8);
	return number(field, &given) && given == sum;
}

static enum tar_kind kind_of(uint8_t type)
{
	switch (type) {
	case 0:
	case '0':
	case '7':
		return TAR_FILE;
	case '1':
		return TAR_HARD_LINK;
	case 'L':
		return TAR_LONG_NAME;
	case 'K':
		return TAR_LONG_LINK;
	default:
		return TAR_OTHER;
	}
}

enum tar_result tar_parse(struct bytes block, struct tar_header *out, const char **why)
{
	struct reader r = reader_of(block);
	struct bytes name, mode, size, link, magic, prefix;
	struct tar_header h = { .kind = TAR_OTHER };
	size_t at = 0, n;
	uint64_t bits;
	uint8_t type, any = 0;

	*why = "not a tar header";
	if (block.n != TAR_BLOCK)
		return TAR_BAD;
	for (size_t i = 0; i < TAR_BLOCK; i++)
		any |= read_u8(&r);
	if (!any)
		return TAR_END;
	if (!sum_matches(block))
		return TAR_BAD;
	r = reader_of(block);
	name = read_bytes(&r, 100);
	mode = read_bytes(&r, 8);
	(void)read_bytes(&r, 16); /* owner, group */
	size = read_bytes(&r, 12);
	(void)read_bytes(&r, 20); /* time, checksum */
	type = read_u8(&r);
	link = read_bytes(&r, 100);
	magic = read_bytes(&r, 6);
	(void)read_bytes(&r, 82);
	prefix = read_bytes(&r, 155);
	if (!reader_ok(&r) || !number(mode, &bits) || !number(size, &h.size))
		return TAR_BAD;
	if (type == 'x' || type == 'g') {
		*why = "pax headers, which dpkg does not take either";
		return TAR_BAD;
	}
	h.kind = kind_of(type);
	h.mode = (uint32_t)bits & 07777u;
	n = text_length(prefix);
	if (n && bytes_equal(magic.p, "ustar", 6)) {
		bytes_copy(h.name, prefix.p, n);
		h.name[n] = '/';
		at = n + 1;
	}
	n = text_length(name);
	bytes_copy(&h.name[at], name.p, n);
	bytes_copy(h.link, link.p, text_length(link));
	if (h.kind == TAR_HARD_LINK || (h.kind == TAR_OTHER && type >= '2' && type <= '6'))
		h.size = 0; /* nothing behind these, whatever the field says */
	*out = h;
	return TAR_MEMBER;
}
