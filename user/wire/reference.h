/* SPDX-License-Identifier: Apache-2.0 */
/* Reference sets: the files of a policy as tags, known to both sides, so that an entry of them travels as its number.
 * docs/WIRE.md, "Reference sets"; docs/adr/0013-reference-sets.md says why tags. Pure. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"
#include "imastream/wire.h"

/* A file at a path, as a structured entry names it. */
struct wire_record {
	uint8_t alg; /* number in WIRE_DIGESTS */
	struct bytes digest, path;
};
void wire_record_tag(const struct wire_record *r, uint8_t out[WIRE_TAG_SIZE]);
/* The number of an algorithm in WIRE_DIGESTS by the kernel's name and the digest's size; 0: none. */
uint8_t wire_digest_number(const char *name, size_t size);

/* What a sender holds. Borrowed: the bytes of the set must stay. */
struct wire_reference {
	uint8_t digest[WIRE_DIGEST_SIZE];
	uint32_t number; /* what blocks call it */
	uint32_t records;
	const uint8_t *tags; /* records times WIRE_TAG_SIZE, ascending */
};

enum wire_reference_outcome {
	WIRE_REFERENCE_OK = 0,
	WIRE_REFERENCE_DIGEST,	  /* other bytes than those that were named */
	WIRE_REFERENCE_MALFORMED,
	WIRE_REFERENCE_TOO_LARGE, /* past LIMIT_REFERENCE_RECORDS */
};
/* Checks all of it; *out is untouched unless WIRE_REFERENCE_OK. */
must_use_ enum wire_reference_outcome wire_reference_open(struct bytes set, const uint8_t digest[WIRE_DIGEST_SIZE],
							   struct wire_reference *out);
/* The number of the record, if it is in the set. */
must_use_ bool wire_reference_find(const struct wire_reference *set, const struct wire_record *r, uint32_t *out);

/* What a receiver holds: the records by number. `user` belongs to whoever made it. */
struct wire_known {
	uint32_t number, records;
	/* false: there is none of this number. The views live as long as the set. */
	bool (*record)(const void *user, uint32_t i, struct wire_record *out);
	void (*ask)(const void *user, uint32_t i); /* NULL, or: record(i) is called soon; for the processor to have it at hand */
	const void *user;
};

/* What stands before the tags. */
void wire_reference_head(struct writer *w, uint32_t records);
/* What blocks call the set with this digest: 1 to 2^28 - 1, a varint of at most four bytes. */
uint32_t wire_reference_number(const uint8_t digest[WIRE_DIGEST_SIZE]);
/* Bytes that the number of a record takes in a block. */
size_t wire_reference_width(uint32_t records);
