// SPDX-License-Identifier: Apache-2.0
#include "wire/cbor.h"

#include "imastream/limits.h"

/* Additional information of the initial byte: RFC 8949 section 3. Below 24 it is the value itself. */
enum {
	INFO_U8 = 24,
	INFO_U16 = 25,
	INFO_U32 = 26,
	INFO_U64 = 27,
};

static bool refuse(struct reader *r)
{
	r->bad = true;
	return false;
}

/* The argument of a head; false when it is not in its shortest form (RFC 8949 section 4.2.1). */
static bool read_argument(struct reader *r, uint8_t info, uint64_t *out)
{
	uint64_t v, least;

	switch (info) {
	case INFO_U8:
		v = read_u8(r);
		least = INFO_U8;
		break;
	case INFO_U16:
		v = read_u16be(r);
		least = UINT64_C(1) << 8;
		break;
	case INFO_U32:
		v = read_u32be(r);
		least = UINT64_C(1) << 16;
		break;
	case INFO_U64:
		v = read_u64be(r);
		least = UINT64_C(1) << 32;
		break;
	default:
		if (info > INFO_U64) /* reserved, or an indefinite length */
			return refuse(r);
		*out = info;
		return reader_ok(r);
	}
	if (!reader_ok(r) || v < least)
		return refuse(r);
	*out = v;
	return true;
}

bool cbor_next(struct reader *r, struct cbor_item *out)
{
	uint8_t initial = read_u8(r);
	uint8_t info = initial & 0x1f;
	struct cbor_item item = { .major = (enum cbor_major)(initial >> 5) };

	if (!reader_ok(r) || !read_argument(r, info, &item.value))
		return refuse(r);
	switch (item.major) {
	case CBOR_UINT:
	case CBOR_NINT:
		break;
	case CBOR_BYTES:
	case CBOR_TEXT:
		if (item.value > reader_left(r))
			return refuse(r);
		item.bytes = read_bytes(r, (size_t)item.value);
		break;
	case CBOR_ARRAY:
	case CBOR_MAP:
		if (item.value > LIMIT_CBOR_ITEMS)
			return refuse(r);
		break;
	case CBOR_SIMPLE:
		/* Behind INFO_U8 are other simple values, behind the rest floating point numbers. */
		if (info < CBOR_FALSE || info > CBOR_NULL)
			return refuse(r);
		break;
	case CBOR_TAG:
	default:
		return refuse(r);
	}
	*out = item;
	return true;
}

bool cbor_next_key(struct reader *r, uint64_t *last, bool first)
{
	struct cbor_item key;

	if (!cbor_next(r, &key))
		return false;
	if (key.major != CBOR_UINT || (!first && key.value <= *last))
		return refuse(r);
	*last = key.value;
	return true;
}

bool cbor_skip(struct reader *r, unsigned int depth)
{
	/* One level for each array or map that is still open. */
	struct {
		uint64_t left, last_key;
		bool is_map, first;
	} open[LIMIT_CBOR_DEPTH];
	unsigned int n = 0;

	do {
		struct cbor_item item;

		if (n > 0) {
			open[n - 1].left--;
			if (open[n - 1].is_map) {
				if (!cbor_next_key(r, &open[n - 1].last_key, open[n - 1].first))
					return false;
				open[n - 1].first = false;
			}
		}
		if (!cbor_next(r, &item))
			return false;
		if (item.major == CBOR_ARRAY || item.major == CBOR_MAP) {
			if (depth + n >= LIMIT_CBOR_DEPTH)
				return refuse(r);
			open[n].left = item.value;
			open[n].last_key = 0;
			open[n].is_map = item.major == CBOR_MAP;
			open[n].first = true;
			n++;
		}
		while (n > 0 && open[n - 1].left == 0)
			n--;
	} while (n > 0);
	return true;
}

static void write_head(struct writer *w, enum cbor_major major, uint64_t v)
{
	uint8_t top = (uint8_t)(major << 5);

	if (v < INFO_U8) {
		write_u8(w, top | (uint8_t)v);
	} else if (v <= UINT8_MAX) {
		write_u8(w, top | INFO_U8);
		write_u8(w, (uint8_t)v);
	} else if (v <= UINT16_MAX) {
		write_u8(w, top | INFO_U16);
		write_u16be(w, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		write_u8(w, top | INFO_U32);
		write_u32be(w, (uint32_t)v);
	} else {
		write_u8(w, top | INFO_U64);
		write_u64be(w, v);
	}
}

void cbor_write_uint(struct writer *w, uint64_t v)
{
	write_head(w, CBOR_UINT, v);
}

void cbor_write_bytes(struct writer *w, struct bytes b)
{
	write_head(w, CBOR_BYTES, b.n);
	write_bytes(w, b.p, b.n);
}

void cbor_write_array(struct writer *w, size_t members)
{
	write_head(w, CBOR_ARRAY, members);
}

void cbor_write_map(struct writer *w, size_t members)
{
	write_head(w, CBOR_MAP, members);
}

void cbor_write_bool(struct writer *w, bool v)
{
	write_head(w, CBOR_SIMPLE, v ? CBOR_TRUE : CBOR_FALSE);
}
