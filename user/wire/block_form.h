/* SPDX-License-Identifier: Apache-2.0 */
/* What both directions of user/wire/block_*.c share: the structured form of template data. Private to user/wire.
 *
 * Template data that begins with a digest field and a name field, each in exactly the form that the kernel writes
 * (security/integrity/ima/ima_template_lib.c), is taken apart into digest, path and rest. Putting these together again
 * gives the same bytes, because the form holds everything else. All other data travels as it is. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"
#include "imastream/wire.h"

/* First byte of a shape */
#define SHAPE_VIOLATION 1u
#define SHAPE_STRUCTURED 2u
#define SHAPE_PATH_NUL 4u /* the name field ends with a NUL that is not part of the path */
#define SHAPE_KNOWN 8u	    /* digest and path are those of a record of the reference set; only in formats 2 and 4 */
#define SHAPE_FLAGS 15u

/* How the digest field begins: ima_template_lib.c, ima_eventdigest_init_common(). */
enum form_prefix {
	FORM_PLAIN = 0,	 /* "sha256:\0" + digest: d-ng */
	FORM_IMA = 1,	 /* "ima:sha256:\0" + digest: d-ngv2 */
	FORM_VERITY = 2, /* "verity:sha256:\0" + digest: d-ngv2 */
	FORM_BARE = 3,	 /* digest only: d */
	FORM_PREFIX_COUNT,
};

/* Fields behind the name: this many empty ones and nothing else, or what FORM_REST_RAW says. */
#define FORM_REST_EMPTY_MAX (LIMIT_TEMPLATE_FIELDS - 2)
#define FORM_REST_RAW 255u /* any bytes, sent with their length */

/* "verity:" + "sha3-512" + ":\0" with room to spare; the digest behind it */
#define FORM_HEAD_MAX 24u
#define FORM_DIGEST_MAX 64u

struct form {
	uint8_t flags; /* SHAPE_* */
	uint8_t prefix, alg, rest;
};

/* The views into data of one entry. */
struct form_parts {
	struct bytes digest, path, rest; /* rest: only with FORM_REST_RAW */
};

/* true, *form (SHAPE_VIOLATION is left to the caller) and *parts; or false: the data has no structured form. */
must_use_ bool form_take_apart(struct bytes data, struct form *form, struct form_parts *parts);

/* What stands before the digest in its field, at most FORM_HEAD_MAX bytes, and the digest's size. false for numbers
 * that do not exist. */
must_use_ bool form_head(uint8_t prefix, uint8_t alg, uint8_t head[FORM_HEAD_MAX], size_t *head_n, size_t *digest_n);
