/* SPDX-License-Identifier: Apache-2.0 */
/* The compact set behind a policy: (section, key) -> digests, in two flat arrays without pointers, so that the same
 * bytes can be written to a file and mapped. Look-up cost does not grow with size. Immutable once built. Pure.
 *
 *   slots    u64[2^k], open addressing, linear probing
 *            ┌ 24 bits: top of the hash ┬ 40 bits: offset of a record + 1; 0 = free ┐
 *   records  ┌ u8 section │ u32 key length │ key │ u8 groups │ group ... ┐   one behind the other, integers little-endian
 *   group    ┌ u8 algorithm │ u32 count │ count digests, ascending ┐         one for each algorithm of the key
 */
#pragma once

#include "base/buf.h"
#include "policy/algo.h"
#include "policy/siphash.h"

enum table_section {
	TABLE_FILES = 'f',	/* path -> file digests */
	TABLE_KEYRINGS = 'k',	/* keyring name -> digests of keys */
	TABLE_BUFFERS = 'b',	/* ima-buf name -> digests of buffers */
	TABLE_DENY = 'x',	/* digest bytes, no digests behind them */
	TABLE_IGNORED_KEYRINGS = 'i', /* keyring name, no digests behind it */
};

struct table {
	uint8_t seed[SIPHASH_KEY_SIZE];
	uint64_t *slots;
	size_t n_slots;
	uint8_t *records;
	size_t n_records; /* bytes */
};

struct table_digest {
	uint8_t alg; /* enum file_alg */
	uint8_t size;
	uint8_t value[FILE_ALG_MAX_SIZE];
};

struct table_builder {
	struct writer records;
	size_t count; /* keys */
};

void table_builder_init(struct table_builder *b);
void table_builder_free(struct table_builder *b);
#define cleanup_table_builder_ cleanup_(table_builder_free)
/* Adds one key with its digests (sorted and made unique in place; *unique gets how many are left, may be NULL). Of a key
 * added twice to a section only one is found. 0, -ENOMEM, -EMSGSIZE. */
must_use_ int table_add(struct table_builder *b, enum table_section section, struct bytes key, struct table_digest *digests,
			size_t n, size_t *unique);
/* Hands the records over to *out, with a fresh random seed. 0 or negative errno; *out untouched on failure. */
must_use_ int table_finish(struct table_builder *b, struct table *out);
void table_clear(struct table *t);

enum table_match {
	TABLE_MATCH,	 /* the key has this digest under this algorithm */
	TABLE_NO_KEY,	 /* no such key */
	TABLE_OTHER,	 /* the key has other digests */
	TABLE_ALGORITHM, /* the key has these bytes, but under another algorithm */
};
enum table_match table_find(const struct table *t, enum table_section section, struct bytes key, uint8_t alg,
			    struct bytes digest);
bool table_has(const struct table *t, enum table_section section, struct bytes key);
