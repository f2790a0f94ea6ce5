/* SPDX-License-Identifier: Apache-2.0 */
/* Functions are jw_*: json_* belongs to jansson, and symbols of one program must differ. Writes JSON (RFC 8259) into a writer; commas and nesting are kept by the object. Depth at most 16.
 * Strings are taken as foreign bytes: what is not valid UTF-8 is written as the text \xNN (escaped backslash). */
#pragma once

#include "base/buf.h"

struct json {
	struct writer *w;
	uint16_t has_member; /* one bit per depth */
	uint8_t depth;
	bool pretty; /* new line and two spaces per depth */
};

void jw_begin(struct json *j, struct writer *w, bool pretty);
/* key is NULL inside arrays and at the top. Keys are our own literals, written as they are. */
void jw_object(struct json *j, const char *key);
void jw_object_end(struct json *j);
void jw_array(struct json *j, const char *key);
void jw_array_end(struct json *j);
void jw_string(struct json *j, const char *key, const char *s); /* NULL writes null */
void jw_bytes(struct json *j, const char *key, struct bytes b);
void jw_hex(struct json *j, const char *key, const void *p, size_t n);
void jw_u64(struct json *j, const char *key, uint64_t v);
void jw_i64(struct json *j, const char *key, int64_t v);
void jw_double(struct json *j, const char *key, double v, int decimals);
void jw_bool(struct json *j, const char *key, bool v);
void jw_null(struct json *j, const char *key);
