/* SPDX-License-Identifier: Apache-2.0 */
/* The one bounded reader for foreign bytes, and a growing writer.
 *
 * Reader: a cursor with a sticky failure. Reading past the end sets `bad`, yields zeros or an empty view, and every
 * later read stays bad; so a parser may read a whole structure and test once with reader_ok() or reader_done().
 * Nothing else in the tree does pointer arithmetic on bytes it did not make. */
#pragma once

#include <endian.h>

#include "base/common.h"

struct reader {
	const uint8_t *base; /* start of the view, borrowed */
	size_t size;
	size_t pos;
	bool bad;
};

static inline struct reader reader_over(const void *p, size_t n)
{
	return (struct reader){ .base = p, .size = n };
}
static inline struct reader reader_of(struct bytes b)
{
	return reader_over(b.p, b.n);
}
static inline size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : r->size - r->pos;
}
/* True when no read has failed so far. */
static inline must_use_ bool reader_ok(const struct reader *r)
{
	return !r->bad;
}
/* True when nothing failed and nothing is left: trailing bytes are an error. */
static inline must_use_ bool reader_done(const struct reader *r)
{
	return !r->bad && r->pos == r->size;
}

/* The next n bytes as a borrowed view; an empty view with p == NULL and `bad` set when fewer are left. */
static inline struct bytes read_bytes(struct reader *r, size_t n)
{
	struct bytes view = { NULL, 0 };

	if (r->bad || n > r->size - r->pos) {
		r->bad = true;
		return view;
	}
	if (n == 0)
		return view;
	view = (struct bytes){ r->base + r->pos, n };
	r->pos += n;
	return view;
}
static inline uint8_t read_u8(struct reader *r)
{
	struct bytes b = read_bytes(r, 1);

	return b.n ? b.p[0] : 0;
}
uint16_t read_u16be(struct reader *r);
uint32_t read_u32be(struct reader *r);
uint64_t read_u64be(struct reader *r);
static inline uint32_t read_u32le(struct reader *r)
{
	struct bytes b = read_bytes(r, 4);
	uint32_t v = 0;

	if (b.n)
		memcpy(&v, b.p, sizeof(v));
	return le32toh(v);
}
uint64_t read_u64le(struct reader *r);
/* Copies n bytes out; zeros dst on failure. */
void read_copy(struct reader *r, void *dst, size_t n);
/* All that is left. */
struct bytes read_rest(struct reader *r);
/* LEB128 unsigned, at most 10 bytes, non-minimal encodings refused. */
uint64_t read_varint(struct reader *r);
/* The bytes up to (not with) the next `stop` byte; the stop byte is consumed. Bad when there is none. */
struct bytes read_until(struct reader *r, uint8_t stop);

/* Asks the processor for these bytes: they are wanted soon. Changes nothing. */
static inline void memory_ask(struct bytes b)
{
	for (size_t i = 0; i < b.n; i += 64)
		__builtin_prefetch(b.p + i);
	if (b.n)
		__builtin_prefetch(b.p + b.n - 1);
	__asm__ volatile("" : : "r"(b.p)); /* gcc takes a function that only prefetches for one without effect, and drops it */
}

/* Reads a byte of each line of these, for what memory_ask() asked for: the processor may have dropped that, and waits for several
 * such reads at once where it would wait for one comparison after the other. */
static inline void memory_fetch(struct bytes b)
{
	for (size_t i = 0; i < b.n; i += 64)
		__asm__ volatile("" : : "r"(b.p[i]));
	if (b.n)
		__asm__ volatile("" : : "r"(b.p[b.n - 1]));
}

/* A growing byte buffer with a hard maximum and a sticky failure (`bad` holds a negative errno:
 * -ENOMEM or -EMSGSIZE). Owns its memory; writer_free() is idempotent. */
struct writer {
	uint8_t *p;
	size_t n;
	size_t cap;
	size_t max;
	int bad;
};
#define WRITER(maximum) ((struct writer){ .max = (maximum) })
#define cleanup_writer_ cleanup_(writer_free)

void writer_free(struct writer *w);
/* Keeps the memory, forgets the content and the failure. */
static inline void writer_reset(struct writer *w)
{
	w->n = 0;
	w->bad = 0;
}
static inline struct bytes writer_view(const struct writer *w)
{
	return (struct bytes){ w->p, w->n };
}
/* Hands the memory on; w is empty then. */
static inline struct writer writer_take(struct writer *w)
{
	struct writer taken = *w;

	*w = WRITER(w->max);
	return taken;
}
/* 0, or the first failure as a negative errno. */
static inline must_use_ int writer_status(const struct writer *w)
{
	return w->bad;
}
/* Room for n more bytes at the end, already counted as written; NULL on failure. */
uint8_t *write_space(struct writer *w, size_t n);
void write_bytes(struct writer *w, const void *p, size_t n);
void write_u8(struct writer *w, uint8_t v);
void write_u16be(struct writer *w, uint16_t v);
void write_u32be(struct writer *w, uint32_t v);
void write_u64be(struct writer *w, uint64_t v);
void write_u32le(struct writer *w, uint32_t v);
void write_u64le(struct writer *w, uint64_t v);
void write_varint(struct writer *w, uint64_t v);
/* printf into the buffer, without the terminating NUL. */
void write_fmt(struct writer *w, const char *fmt, ...) printf_(2, 3);
/* Appends a NUL that is not counted, and returns the text (owned by the writer); NULL on failure. */
const char *writer_cstr(struct writer *w);
