/* SPDX-License-Identifier: Apache-2.0 */
/* The part of CBOR that the protocol uses: RFC 8949 with the core deterministic encoding of section 4.2.1, no tags, no
 * floating point numbers, no indefinite lengths, map keys unsigned and ascending. Pure; no allocation; no recursion.
 * Private to user/wire. */
#pragma once

#include "base/buf.h"

/* Major types: RFC 8949 section 3.1. */
enum cbor_major {
	CBOR_UINT = 0,
	CBOR_NINT = 1,
	CBOR_BYTES = 2,
	CBOR_TEXT = 3,
	CBOR_ARRAY = 4,
	CBOR_MAP = 5,
	CBOR_TAG = 6,
	CBOR_SIMPLE = 7,
};

/* Simple values: RFC 8949 section 3.3, table 4. */
#define CBOR_FALSE 20u
#define CBOR_TRUE 21u
#define CBOR_NULL 22u

struct cbor_item {
	enum cbor_major major;
	uint64_t value;	    /* the number, the count of members (arrays, maps), or CBOR_FALSE .. CBOR_NULL */
	struct bytes bytes; /* CBOR_BYTES, CBOR_TEXT: a view; the text is not checked to be UTF-8 */
};

/* The next item's head, and for strings their bytes. false, with r->bad set: the bytes end, or the item is not of the
 * part of CBOR that we take, or an array or map declares more than LIMIT_CBOR_ITEMS members. */
must_use_ bool cbor_next(struct reader *r, struct cbor_item *out);

/* The next key of a map. `*last` is the key before it (start with `first` true); keys ascend. false with r->bad set. */
must_use_ bool cbor_next_key(struct reader *r, uint64_t *last, bool first);

/* Skips one whole item that starts at nesting depth `depth` (0 = outside everything), to LIMIT_CBOR_DEPTH at most. */
must_use_ bool cbor_skip(struct reader *r, unsigned int depth);

void cbor_write_uint(struct writer *w, uint64_t v);
void cbor_write_bytes(struct writer *w, struct bytes b);
void cbor_write_array(struct writer *w, size_t members);
void cbor_write_map(struct writer *w, size_t members);
void cbor_write_bool(struct writer *w, bool v);
