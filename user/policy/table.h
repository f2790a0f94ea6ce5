/* SPDX-License-Identifier: Apache-2.0 */
/* The compact set behind a policy: (section, key) -> digests, in two flat arrays without pointers, so that the same
 * bytes can be written to a file and used as they are read. Look-up cost does not grow with size. Immutable once built. Pure.
 *
 *   slots    u64[n], little-endian, open addressing, linear probing from (hash * n) >> 64, at most `probes` of them
 *            ┌ 24 bits: low end of the hash ┬ 40 bits: offset of a record + 1; 0 = free ┐
 *   records  ┌ u8 section │ u32 key length │ key │ u8 groups │ group ... ┐   one behind the other, integers little-endian
 *   group    ┌ u8 algorithm │ u32 count │ count digests, ascending ┐         one for each algorithm of the key
 */
#pragma once

#include "base/buf.h"
#include "policy/algo.h"
#include "base/siphash.h"

enum table_section {
	TABLE_FILES = 'f',	/* path -> file digests */
	TABLE_KEYRINGS = 'k',	/* keyring name -> digests of keys */
	TABLE_BUFFERS = 'b',	/* ima-buf name -> digests of buffers */
	TABLE_DENY = 'x',	/* digest bytes, no digests behind them */
	TABLE_IGNORED_KEYRINGS = 'i', /* keyring name, no digests behind it */
};

struct table {
	uint8_t seed[SIPHASH_KEY_SIZE];
	const uint64_t *slots;
	size_t n_slots;
	const uint8_t *records;
	size_t n_records; /* bytes */
	unsigned int probes; /* slots that a look-up sees at most; 0: no key is found */
	bool borrowed;	     /* slots and records are someone else's memory, and foreign: every access is bounded */
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
/* New slots over these records, which stay the caller's, with this seed. `count`: at least the keys. The slots are the
 * caller's to free. 0; -ENOMEM; -EAGAIN: some key is more than LIMIT_POLICY_PROBES from its place, take another seed;
 * -EIO: the records are not of the form above. *out untouched unless 0. */
must_use_ int table_index(struct bytes records, size_t count, const uint8_t seed[SIPHASH_KEY_SIZE], struct table *out);
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

/* Look-ups of many keys, whose waits for memory then overlap: the hash of each key; then its slot is asked for, then its
 * record, then it is looked up. Asking is a hint to the processor. */
uint64_t table_hash(const struct table *t, enum table_section section, struct bytes key);
void table_hash_two(const struct table *t, enum table_section section, const struct bytes key[2], uint64_t out[2]);
void table_ask_slot(const struct table *t, uint64_t hash);
/* The slot that it believes to be the key's; 0: none. */
uint64_t table_ask_record(const struct table *t, uint64_t hash);
#define TABLE_OFFSET_BITS 40
#define TABLE_OFFSET_MASK ((UINT64_C(1) << TABLE_OFFSET_BITS) - 1)
#define TABLE_ASKED ((size_t)128) /* bytes of a record: most paths with a digest */
/* What is asked for: the begin of the record at this slot (not 0); cut off at the table's end. */
static inline struct bytes table_record_start(const struct table *t, uint64_t slot)
{
	struct reader r = reader_over(t->records, t->n_records);

	(void)read_bytes(&r, (slot & TABLE_OFFSET_MASK) - 1);
	return read_bytes(&r, MIN(reader_left(&r), TABLE_ASKED));
}
/* table_find() of a key whose table_hash() is known. */
enum table_match table_find_hashed(const struct table *t, uint64_t hash, enum table_section section, struct bytes key, uint8_t alg,
				   struct bytes digest);
/* The same when table_ask_record() said `slot`: the slots are only read again where it is not the key's. */
enum table_match table_find_asked(const struct table *t, uint64_t hash, uint64_t slot, enum table_section section, struct bytes key,
				  uint8_t alg, struct bytes digest);

/* Calls back for each group of each key, in the order of the records (keys without digests: once, alg FILE_ALG_NONE):
 * digests are file_alg_size(alg) bytes each, ascending, all views of the table. Stops at the first result that is not 0
 * and returns it; -EIO when the records are not of the form above. */
must_use_ int table_each(const struct table *t,
			 int (*each)(void *user, uint8_t section, struct bytes key, uint8_t alg, struct bytes digests),
			 void *user);
/* The same for the groups of one key; nothing is called when the table has it not. */
must_use_ int table_each_of(const struct table *t, enum table_section section, struct bytes key,
			    int (*each)(void *user, uint8_t section, struct bytes key, uint8_t alg, struct bytes digests),
			    void *user);
