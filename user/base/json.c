// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <inttypes.h>

#include "base/text.h"

void jw_begin(struct json *j, struct writer *w, bool pretty)
{
	*j = (struct json){ .w = w, .pretty = pretty };
}

static void json_newline(struct json *j)
{
	if (!j->pretty)
		return;
	write_u8(j->w, '\n');
	for (unsigned int i = 0; i < j->depth; i++)
		write_bytes(j->w, "  ", 2);
}

/* Comma, line break and key in front of a value. */
static void json_lead(struct json *j, const char *key)
{
	uint16_t bit = (uint16_t)(1u << j->depth);

	if (j->has_member & bit)
		write_u8(j->w, ',');
	if (j->depth > 0)
		json_newline(j);
	j->has_member |= bit;
	if (key)
		write_fmt(j->w, j->pretty ? "\"%s\": " : "\"%s\":", key);
}

static void json_open(struct json *j, const char *key, char bracket)
{
	json_lead(j, key);
	write_u8(j->w, (uint8_t)bracket);
	if (j->depth >= 15) {
		j->w->bad = -E2BIG;
		return;
	}
	j->depth++;
	j->has_member &= (uint16_t)~(1u << j->depth);
}

static void json_close(struct json *j, char bracket)
{
	bool any = j->has_member & (1u << j->depth);

	if (j->depth == 0) {
		j->w->bad = -EINVAL;
		return;
	}
	j->depth--;
	if (any)
		json_newline(j);
	write_u8(j->w, (uint8_t)bracket);
}

void jw_object(struct json *j, const char *key)
{
	json_open(j, key, '{');
}

void jw_object_end(struct json *j)
{
	json_close(j, '}');
}

void jw_array(struct json *j, const char *key)
{
	json_open(j, key, '[');
}

void jw_array_end(struct json *j)
{
	json_close(j, ']');
}

void jw_bytes(struct json *j, const char *key, struct bytes b)
{
	cleanup_writer_ struct writer text = WRITER(j->w->max);

	json_lead(j, key);
	write_utf8_lossy(&text, b);
	if (text.bad) {
		j->w->bad = text.bad;
		return;
	}
	write_u8(j->w, '"');
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c == '"' || c == '\\') {
			write_u8(j->w, '\\');
			write_u8(j->w, c);
		} else if (c < 0x20 || c == 0x7f) {
			write_fmt(j->w, "\\u%04x", c);
		} else {
			write_u8(j->w, c);
		}
	}
	write_u8(j->w, '"');
}

void jw_string(struct json *j, const char *key, const char *s)
{
	if (s)
		jw_bytes(j, key, (struct bytes){ (const uint8_t *)s, strlen(s) });
	else
		jw_null(j, key);
}

void jw_hex(struct json *j, const char *key, const void *p, size_t n)
{
	json_lead(j, key);
	write_u8(j->w, '"');
	write_hex(j->w, p, n);
	write_u8(j->w, '"');
}

void jw_u64(struct json *j, const char *key, uint64_t v)
{
	json_lead(j, key);
	write_fmt(j->w, "%" PRIu64, v);
}

void jw_i64(struct json *j, const char *key, int64_t v)
{
	json_lead(j, key);
	write_fmt(j->w, "%" PRId64, v);
}

void jw_double(struct json *j, const char *key, double v, int decimals)
{
	json_lead(j, key);
	if (v != v || v - v != 0) /* NaN and infinities are not JSON */
		write_fmt(j->w, "null");
	else
		write_fmt(j->w, "%.*f", decimals, v);
}

void jw_bool(struct json *j, const char *key, bool v)
{
	json_lead(j, key);
	write_fmt(j->w, "%s", v ? "true" : "false");
}

void jw_null(struct json *j, const char *key)
{
	json_lead(j, key);
	write_fmt(j->w, "null");
}
