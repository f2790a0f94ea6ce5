/* SPDX-License-Identifier: Apache-2.0 */
/* What the members of each message are. The encoder and the decoder (msg.c) walk the same tables, so what one writes the
 * other reads; docs/wire.cddl is the same for people. Private to user/wire. */
#pragma once

#include "wire/msg.h"

enum kind {
	KIND_UINT,     /* `size` bytes wide, in [min, max] */
	KIND_BOOL,
	KIND_FIXED,    /* uint8_t[max] */
	KIND_BYTES,    /* struct bytes, min..max bytes */
	KIND_COUNTERS, /* uint64_t[max], count beside it */
	KIND_DIGESTS,  /* uint8_t[max][32], count beside it */
	KIND_PCRS,     /* struct wire_pcr[max], count beside it */
	KIND_HELLO,    /* struct wire_hello */
};

struct member {
	const char *name;
	enum kind kind;
	uint8_t key;
	uint8_t size;
	bool required;
	uint16_t offset;
	uint16_t beside; /* KIND_FIXED: bool that says it is there, 0 = always; arrays: size_t count */
	uint64_t min, max;
};

struct table {
	const struct member *members;
	size_t n;
};

extern const struct table wire_hello_table;

/* The members of a message type; NULL for a number that does not exist. */
const struct table *wire_table_of(uint64_t type);
