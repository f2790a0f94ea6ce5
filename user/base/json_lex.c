// SPDX-License-Identifier: Apache-2.0
/* RFC 8259 sections 2, 6 and 7; UTF-8 as RFC 3629 section 4. */
#include "base/json_lex.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define EVERY_BYTE 0x0101010101010101ull
#define HIGH_BITS 0x8080808080808080ull

/* The byte under the cursor, -1 at the end. */
static inline int peek(const struct jp *j)
{
	return j->text.pos < j->text.size ? j->text.base[j->text.pos] : -1;
}

static inline void advance(struct jp *j)
{
	if (j->text.pos < j->text.size)
		j->text.pos++;
}

static printf_(2, 3) enum jp_lexed refuse(struct jp *j, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(j->error, sizeof(j->error), fmt, args);
	va_end(args);
	j->error_at = j->text.pos;
	return JP_LEX_BAD;
}

static struct bytes from(const struct jp *j, size_t start)
{
	struct reader r = reader_over(j->text.base, j->text.size);

	(void)read_bytes(&r, start);
	return read_bytes(&r, j->text.pos - start);
}

static enum jp_lexed word(struct jp *j, size_t start, const char *rest, enum jp_lexed t)
{
	for (; *rest; rest++) {
		if (peek(j) != (uint8_t)*rest)
			break;
		advance(j);
	}
	if (*rest || (peek(j) >= 'a' && peek(j) <= 'z') || (peek(j) >= 'A' && peek(j) <= 'Z')) {
		j->raw = from(j, start);
		return refuse(j, "invalid token");
	}
	j->raw = from(j, start);
	return t;
}

static bool digits(struct jp *j)
{
	size_t before = j->text.pos;

	while (peek(j) >= '0' && peek(j) <= '9')
		advance(j);
	return j->text.pos > before;
}

/* The value of a whole integer token; false when it does not fit. */
static bool integer(struct bytes raw, int64_t *out)
{
	bool minus = raw.n && raw.p[0] == '-';
	uint64_t v = 0, max = (uint64_t)INT64_MAX + minus;

	for (size_t i = minus; i < raw.n; i++) {
		uint64_t d = (uint64_t)(raw.p[i] - '0');

		if (v > (max - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* A real beyond what a double holds is refused, as everybody else's parser cannot keep it. */
static enum jp_lexed real(struct jp *j)
{
	const char *text;
	double v;

	writer_reset(&j->scratch);
	write_bytes(&j->scratch, j->raw.p, j->raw.n);
	text = writer_cstr(&j->scratch);
	if (!text) {
		j->failure = writer_status(&j->scratch);
		return JP_LEX_BAD;
	}
	v = strtod(text, NULL);
	return v == HUGE_VAL || v == -HUGE_VAL ? refuse(j, "real number overflow") : JP_LEX_REAL;
}

static enum jp_lexed number(struct jp *j, size_t start)
{
	bool is_real = false, minus = peek(j) == '-', good;

	if (minus)
		advance(j);
	if (peek(j) == '0') {
		advance(j);
		good = !(peek(j) >= '0' && peek(j) <= '9');
	} else {
		good = digits(j);
	}
	if (good && peek(j) == '.') {
		is_real = true;
		advance(j);
		good = digits(j);
	}
	if (good && (peek(j) == 'e' || peek(j) == 'E')) {
		is_real = true;
		advance(j);
		if (peek(j) == '+' || peek(j) == '-')
			advance(j);
		good = digits(j);
	}
	j->raw = from(j, start);
	if (!good)
		return refuse(j, "invalid token");
	if (is_real)
		return real(j);
	return integer(j->raw, &j->integer) ? JP_LEX_INTEGER : refuse(j, minus ? "too big negative integer" : "too big integer");
}

/* ---- strings ---- */

/* Passes over bytes that need no look: not '"', '\\', a control character, or beyond ASCII. */
static void pass_plain(struct jp *j)
{
	while (j->text.size - j->text.pos >= 8) {
		uint64_t v, quote, back;

		memcpy(&v, &j->text.base[j->text.pos], sizeof(v));
		quote = v ^ EVERY_BYTE * '"';
		back = v ^ EVERY_BYTE * '\\';
		/* a borrow can only mark a byte too many: the loop below looks at each */
		if ((v | (v - EVERY_BYTE * 0x20) | (quote - EVERY_BYTE) | (back - EVERY_BYTE)) & HIGH_BITS)
			break;
		j->text.pos += 8;
	}
	while (peek(j) >= 0x20 && peek(j) < 0x80 && peek(j) != '"' && peek(j) != '\\')
		advance(j);
}

/* One character beyond ASCII. */
static bool multibyte(struct jp *j)
{
	int c = peek(j);
	uint32_t cp, min;
	unsigned int more;

	if (c >= 0xc2 && c <= 0xdf) {
		more = 1, cp = (uint32_t)c & 0x1f, min = 0x80;
	} else if (c >= 0xe0 && c <= 0xef) {
		more = 2, cp = (uint32_t)c & 0x0f, min = 0x800;
	} else if (c >= 0xf0 && c <= 0xf4) {
		more = 3, cp = (uint32_t)c & 0x07, min = 0x10000;
	} else {
		return false;
	}
	if (j->text.size - j->text.pos <= more)
		return false;
	for (unsigned int i = 1; i <= more; i++) {
		uint8_t b = j->text.base[j->text.pos + i];

		if ((b & 0xc0) != 0x80)
			return false;
		cp = cp << 6 | (b & 0x3f);
	}
	if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return false;
	j->text.pos += more + 1;
	return true;
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four digits; -1 when they are not. */
static int32_t unit(struct jp *j)
{
	int32_t v = 0;

	for (int i = 0; i < 4; i++) {
		int d = hex_digit(peek(j));

		if (d < 0)
			return -1;
		advance(j);
		v = v << 4 | d;
	}
	return v;
}

/* Behind "\u". The code point, or -1 with the error. */
static int32_t code_point(struct jp *j)
{
	int32_t high = unit(j), low;

	if (high < 0) {
		(void)refuse(j, "invalid Unicode escape");
		return -1;
	}
	if (high == 0) {
		(void)refuse(j, "\\u0000 is not allowed");
		return -1;
	}
	if (high < 0xd800 || high > 0xdfff)
		return high;
	low = -1;
	if (high <= 0xdbff && peek(j) == '\\') {
		advance(j);
		if (peek(j) == 'u') {
			advance(j);
			low = unit(j);
		}
	}
	if (low < 0xdc00 || low > 0xdfff) {
		(void)refuse(j, "half of a Unicode surrogate pair");
		return -1;
	}
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static bool escape(struct jp *j)
{
	int c;

	advance(j); /* the backslash */
	c = peek(j);
	if (c == 'u') {
		advance(j);
		return code_point(j) >= 0;
	}
	if (c < 0 || !strchr("\"\\/bfnrt", c) || c == 0) {
		(void)refuse(j, "invalid escape");
		return false;
	}
	advance(j);
	return true;
}

static enum jp_lexed string(struct jp *j, size_t start)
{
	j->escaped = false;
	advance(j); /* the quote */
	for (;;) {
		int c;

		pass_plain(j);
		c = peek(j);
		if (c == '"') {
			advance(j);
			j->raw = from(j, start);
			return JP_LEX_STRING;
		}
		if (c >= 0x80) {
			if (!multibyte(j)) {
				j->raw = (struct bytes){ NULL, 0 };
				return refuse(j, "unable to decode byte 0x%x", (unsigned int)c);
			}
			continue;
		}
		if (c == '\\') {
			j->escaped = true;
			if (escape(j))
				continue;
			j->raw = from(j, start);
			return JP_LEX_BAD;
		}
		j->raw = from(j, start);
		if (c < 0)
			return refuse(j, "premature end of input");
		return c == '\n' ? refuse(j, "unexpected newline") : refuse(j, "control character 0x%x", (unsigned int)c);
	}
}

static void write_utf8(struct writer *w, uint32_t cp)
{
	if (cp < 0x80) {
		write_u8(w, (uint8_t)cp);
	} else if (cp < 0x800) {
		write_u8(w, (uint8_t)(0xc0 | cp >> 6));
		write_u8(w, (uint8_t)(0x80 | (cp & 0x3f)));
	} else if (cp < 0x10000) {
		write_u8(w, (uint8_t)(0xe0 | cp >> 12));
		write_u8(w, (uint8_t)(0x80 | (cp >> 6 & 0x3f)));
		write_u8(w, (uint8_t)(0x80 | (cp & 0x3f)));
	} else {
		write_u8(w, (uint8_t)(0xf0 | cp >> 18));
		write_u8(w, (uint8_t)(0x80 | (cp >> 12 & 0x3f)));
		write_u8(w, (uint8_t)(0x80 | (cp >> 6 & 0x3f)));
		write_u8(w, (uint8_t)(0x80 | (cp & 0x3f)));
	}
}

/* What a backslash and this letter stand for. */
static uint8_t letter(int c)
{
	switch (c) {
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	default: return (uint8_t)c;
	}
}

void jp_unescape(struct bytes raw, struct writer *w)
{
	struct jp j = { .text = reader_of(raw) };

	advance(&j); /* the quote */
	while (j.text.pos + 1 < j.text.size) {
		size_t start = j.text.pos;

		if (peek(&j) != '\\') {
			while (j.text.pos + 1 < j.text.size && peek(&j) != '\\')
				advance(&j);
			write_bytes(w, from(&j, start).p, j.text.pos - start);
			continue;
		}
		advance(&j);
		if (peek(&j) == 'u') {
			int32_t cp;

			advance(&j);
			cp = code_point(&j);
			if (cp < 0)
				return; /* not reached: the string was read before */
			write_utf8(w, (uint32_t)cp);
		} else {
			write_u8(w, letter(peek(&j)));
			advance(&j);
		}
	}
}

enum jp_lexed jp_lex(struct jp *j)
{
	size_t start;
	int c;

	while ((c = peek(j)) == ' ' || c == '\n' || c == '\t' || c == '\r')
		advance(j);
	start = j->text.pos;
	j->raw = (struct bytes){ NULL, 0 };
	switch (c) {
	case -1: return JP_LEX_EOF;
	case '"': return string(j, start);
	case '-':
	case '0' ... '9': return number(j, start);
	case 't': return word(j, start, "true", JP_LEX_TRUE);
	case 'f': return word(j, start, "false", JP_LEX_FALSE);
	case 'n': return word(j, start, "null", JP_LEX_NULL);
	}
	advance(j);
	j->raw = from(j, start);
	switch (c) {
	case '{': return JP_LEX_OPEN_OBJECT;
	case '}': return JP_LEX_CLOSE_OBJECT;
	case '[': return JP_LEX_OPEN_ARRAY;
	case ']': return JP_LEX_CLOSE_ARRAY;
	case ':': return JP_LEX_COLON;
	case ',': return JP_LEX_COMMA;
	default: return refuse(j, "invalid token");
	}
}
