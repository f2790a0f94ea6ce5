// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void read_copy(struct reader *r, void *dst, size_t n)
{
	struct bytes b = read_bytes(r, n);

	if (b.n == n)
		bytes_copy(dst, b.p, n);
	else
		memset(dst, 0, n);
}

struct bytes read_rest(struct reader *r)
{
	return read_bytes(r, reader_left(r));
}

static uint64_t read_be(struct reader *r, size_t n)
{
	struct bytes b = read_bytes(r, n);
	uint64_t v = 0;

	for (size_t i = 0; i < b.n; i++)
		v = v << 8 | b.p[i];
	return v;
}

static uint64_t read_le(struct reader *r, size_t n)
{
	struct bytes b = read_bytes(r, n);
	uint64_t v = 0;

	for (size_t i = b.n; i > 0; i--)
		v = v << 8 | b.p[i - 1];
	return v;
}

uint16_t read_u16be(struct reader *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t read_u32be(struct reader *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t read_u64be(struct reader *r)
{
	return read_be(r, 8);
}

uint64_t read_u64le(struct reader *r)
{
	return read_le(r, 8);
}

uint64_t read_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t b = read_u8(r);

		if (r->bad)
			return 0;
		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			if (b == 0 && shift != 0)
				break; /* not the shortest form */
			return v;
		}
	}
	r->bad = true;
	return 0;
}

struct bytes read_until(struct reader *r, uint8_t stop)
{
	const uint8_t *hit;
	struct bytes view;

	if (reader_left(r) == 0 || !(hit = memchr(r->base + r->pos, stop, r->size - r->pos))) {
		r->bad = true;
		return (struct bytes){ NULL, 0 };
	}
	view = read_bytes(r, (size_t)(hit - (r->base + r->pos)));
	r->pos++;
	return view;
}

void writer_free(struct writer *w)
{
	free(w->p);
	w->p = NULL;
	w->n = w->cap = 0;
}

static bool writer_reserve(struct writer *w, size_t n)
{
	size_t want, cap;
	uint8_t *p;

	if (w->bad)
		return false;
	if (w->n > w->max || n > w->max - w->n) {
		w->bad = -EMSGSIZE;
		return false;
	}
	want = w->n + n;
	if (want < w->cap)
		return true;
	cap = w->cap ? w->cap : 128;
	while (cap <= want)
		cap *= 2;
	p = realloc(w->p, cap); /* one byte more than `want` at least: writer_cstr() needs it */
	if (!p) {
		w->bad = -ENOMEM;
		return false;
	}
	w->p = p;
	w->cap = cap;
	return true;
}

uint8_t *write_space(struct writer *w, size_t n)
{
	uint8_t *at;

	if (!writer_reserve(w, n))
		return NULL;
	at = w->p + w->n;
	w->n += n;
	return at;
}

void write_bytes(struct writer *w, const void *p, size_t n)
{
	uint8_t *at = write_space(w, n);

	if (at)
		bytes_copy(at, p, n);
}

static void write_be(struct writer *w, uint64_t v, size_t n)
{
	uint8_t *at = write_space(w, n);

	for (size_t i = n; at && i > 0; i--, v >>= 8)
		at[i - 1] = (uint8_t)v;
}

static void write_le(struct writer *w, uint64_t v, size_t n)
{
	uint8_t *at = write_space(w, n);

	for (size_t i = 0; at && i < n; i++, v >>= 8)
		at[i] = (uint8_t)v;
}

void write_u8(struct writer *w, uint8_t v)
{
	write_be(w, v, 1);
}

void write_u16be(struct writer *w, uint16_t v)
{
	write_be(w, v, 2);
}

void write_u32be(struct writer *w, uint32_t v)
{
	write_be(w, v, 4);
}

void write_u64be(struct writer *w, uint64_t v)
{
	write_be(w, v, 8);
}

void write_u32le(struct writer *w, uint32_t v)
{
	write_le(w, v, 4);
}

void write_u64le(struct writer *w, uint64_t v)
{
	write_le(w, v, 8);
}

void write_varint(struct writer *w, uint64_t v)
{
	while (v >= 0x80) {
		write_u8(w, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	write_u8(w, (uint8_t)v);
}

void write_fmt(struct writer *w, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0) {
		if (!w->bad)
			w->bad = -EINVAL;
		return;
	}
	if (!writer_reserve(w, (size_t)len + 1))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)w->p + w->n, (size_t)len + 1, fmt, ap);
	va_end(ap);
	w->n += (size_t)len;
}

const char *writer_cstr(struct writer *w)
{
	if (!writer_reserve(w, 0))
		return NULL;
	w->p[w->n] = 0;
	return (const char *)w->p;
}
