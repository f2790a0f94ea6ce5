// SPDX-License-Identifier: Apache-2.0
#include "policy/table.h"

#include <endian.h>
#include <sys/random.h>

#include "imastream/limits.h"

#define MIN_SLOTS 16u
#define SEEDS 16u /* tries; one is enough but for a chance of 2^-40 and less */

void table_builder_init(struct table_builder *b)
{
	*b = (struct table_builder){ .records = WRITER(LIMIT_POLICY_RECORDS) };
}

void table_builder_free(struct table_builder *b)
{
	writer_free(&b->records);
}

static int compare_digests(const void *x, const void *y)
{
	const struct table_digest *a = x, *b = y;

	if (a->alg != b->alg)
		return a->alg < b->alg ? -1 : 1;
	return memcmp(a->value, b->value, a->size); /* order; one algorithm, one size. lint: allow */
}

int table_add(struct table_builder *b, enum table_section section, struct bytes key, struct table_digest *digests, size_t n,
	      size_t *unique)
{
	size_t left = 0;
	uint8_t groups = 0;

	if (n > 1)
		qsort(digests, n, sizeof(*digests), compare_digests);
	for (size_t i = 0; i < n; i++) {
		if (left && compare_digests(&digests[left - 1], &digests[i]) == 0)
			continue;
		if (!left || digests[left - 1].alg != digests[i].alg)
			groups++;
		if (left != i)
			digests[left] = digests[i];
		left++;
	}
	if (key.n > UINT32_MAX || left > UINT32_MAX)
		return -EMSGSIZE;
	write_u8(&b->records, (uint8_t)section);
	write_u32le(&b->records, (uint32_t)key.n);
	write_bytes(&b->records, key.p, key.n);
	write_u8(&b->records, groups);
	for (size_t i = 0, end; i < left; i = end) {
		for (end = i; end < left && digests[end].alg == digests[i].alg; end++)
			;
		write_u8(&b->records, digests[i].alg);
		write_u32le(&b->records, (uint32_t)(end - i));
		for (size_t d = i; d < end; d++)
			write_bytes(&b->records, digests[d].value, digests[d].size);
	}
	if (unique)
		*unique = left;
	b->count++;
	return writer_status(&b->records);
}

static uint64_t hash_key(const uint8_t *seed, uint8_t section, struct bytes key)
{
	return siphash_prefixed(seed, section, key);
}

struct record {
	uint8_t section;
	struct bytes key;
	uint8_t groups;
};

/* The head of the record under the reader, which is left at its first group. */
static bool read_record(struct reader *r, struct record *out)
{
	out->section = read_u8(r);
	out->key = read_bytes(r, read_u32le(r));
	out->groups = read_u8(r);
	return reader_ok(r);
}

static bool read_group(struct reader *r, uint8_t *alg, struct bytes *digests)
{
	uint32_t count;

	*alg = read_u8(r);
	count = read_u32le(r);
	*digests = read_bytes(r, (size_t)count * file_alg_size(*alg));
	return reader_ok(r);
}

/* Where the look-up of a hash starts. */
static size_t home(uint64_t h, size_t n_slots)
{
	return (size_t)((unsigned __int128)h * n_slots >> 64);
}

static uint64_t slot_of(uint64_t h, uint64_t offset)
{
	return h << TABLE_OFFSET_BITS | (offset + 1);
}

static bool slot_may_be(uint64_t slot, uint64_t h)
{
	return slot >> TABLE_OFFSET_BITS == (h & ((UINT64_C(1) << (64 - TABLE_OFFSET_BITS)) - 1));
}

/* The record that a slot points at. */
static bool at_slot(const struct table *t, uint64_t slot, struct reader *r, struct record *out)
{
	*r = reader_over(t->records, t->n_records);
	(void)read_bytes(r, (slot & TABLE_OFFSET_MASK) - 1);
	return read_record(r, out);
}

static bool same_key(const struct record *a, uint8_t section, struct bytes key)
{
	return a->section == section && a->key.n == key.n && bytes_equal(a->key.p, key.p, key.n);
}

/* Of a key that is there twice only the first gets a slot: many equal keys do not make a long run. */
static int insert(struct table *t, uint64_t *slots, const struct record *record, uint64_t offset)
{
	uint64_t h = hash_key(t->seed, record->section, record->key), slot;
	size_t i = home(h, t->n_slots);
	unsigned int probes = 1;

	for (; (slot = le64toh(slots[i])); i = i + 1 == t->n_slots ? 0 : i + 1) {
		struct record other;
		struct reader r;

		if (slot_may_be(slot, h) && at_slot(t, slot, &r, &other) && same_key(&other, record->section, record->key))
			return 0;
		if (++probes > LIMIT_POLICY_PROBES)
			return -EAGAIN;
	}
	slots[i] = htole64(slot_of(h, offset));
	t->probes = MAX(t->probes, probes);
	return 0;
}

static int insert_all(struct table *t, uint64_t *slots)
{
	struct reader r = reader_over(t->records, t->n_records);

	while (!reader_done(&r)) {
		uint64_t offset = r.pos;
		struct record record;
		struct bytes skipped;
		uint8_t alg;
		int result;

		if (!read_record(&r, &record) || offset >= TABLE_OFFSET_MASK)
			return -EIO; /* not reached: we wrote these bytes */
		for (unsigned int g = 0; g < record.groups; g++)
			if (!read_group(&r, &alg, &skipped))
				return -EIO;
		result = insert(t, slots, &record, offset);
		if (result < 0)
			return result;
	}
	return 0;
}

int table_index(struct bytes records, size_t count, const uint8_t seed[SIPHASH_KEY_SIZE], struct table *out)
{
	struct table t = { .n_slots = MAX(count + count / 2 + count / 8, (size_t)MIN_SLOTS), .records = records.p, .n_records = records.n };
	uint64_t *slots = calloc(t.n_slots, sizeof(*slots));
	int r;

	if (!slots)
		return -ENOMEM;
	bytes_copy(t.seed, seed, sizeof(t.seed));
	r = insert_all(&t, slots);
	if (r < 0) {
		free(slots);
		return r;
	}
	t.slots = slots;
	*out = t;
	return 0;
}

int table_finish(struct table_builder *b, struct table *out)
{
	struct table t = { .n_slots = 0 };
	uint8_t seed[SIPHASH_KEY_SIZE], *shrunk;
	int r = writer_status(&b->records);

	if (r == 0)
		r = -EAGAIN;
	for (unsigned int i = 0; i < SEEDS && r == -EAGAIN; i++) {
		if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
			return -EIO;
		r = table_index(writer_view(&b->records), b->count, seed, &t);
	}
	if (r < 0)
		return r;
	shrunk = realloc(b->records.p, t.n_records ? t.n_records : 1);
	t.records = shrunk ? shrunk : b->records.p;
	b->records = WRITER(LIMIT_POLICY_RECORDS);
	b->count = 0;
	*out = t;
	return 0;
}

void table_clear(struct table *t)
{
	if (!t->borrowed) {
		free((void *)t->slots);
		free((void *)t->records);
	}
	*t = (struct table){ .slots = NULL };
}

/* Leaves *r at the first group of the key's record. Slots and records may be anything: what they say is only believed as
 * far as it stays inside, and no look-up sees more than t->probes slots. */
static bool find_record(const struct table *t, uint64_t h, uint8_t section, struct bytes key, struct reader *r, struct record *out)
{
	uint64_t slot;
	size_t i;

	if (!t->n_slots)
		return false;
	i = home(h, t->n_slots);
	for (unsigned int probe = 0; probe < t->probes && (slot = le64toh(t->slots[i])); probe++) {
		if (slot_may_be(slot, h) && at_slot(t, slot, r, out) && same_key(out, section, key))
			return true;
		i = i + 1 == t->n_slots ? 0 : i + 1;
	}
	return false;
}

static bool group_has(struct bytes digests, struct bytes digest)
{
	size_t low = 0, high = digest.n ? digests.n / digest.n : 0;

	if (high == 1)
		return bytes_equal(digests.p, digest.p, digest.n);
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct reader r = reader_of(digests);
		struct bytes at;
		int c;

		(void)read_bytes(&r, mid * digest.n);
		at = read_bytes(&r, digest.n);
		c = at.n ? memcmp(at.p, digest.p, digest.n) : 1; /* order. lint: allow */
		if (c == 0)
			return true;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

uint64_t table_hash(const struct table *t, enum table_section section, struct bytes key)
{
	return hash_key(t->seed, (uint8_t)section, key);
}

void table_hash_two(const struct table *t, enum table_section section, const struct bytes key[2], uint64_t out[2])
{
	siphash_prefixed_two(t->seed, (uint8_t)section, key, out);
}

void table_ask_slot(const struct table *t, uint64_t hash)
{
	if (t->n_slots)
		__builtin_prefetch(&t->slots[home(hash, t->n_slots)]);
}

/* As find_record(), but believing the slot. */
uint64_t table_ask_record(const struct table *t, uint64_t hash)
{
	uint64_t slot;
	size_t i;

	if (!t->n_slots)
		return 0;
	i = home(hash, t->n_slots);
	for (unsigned int probe = 0; probe < t->probes && (slot = le64toh(t->slots[i])); probe++) {
		if (slot_may_be(slot, hash)) {
			memory_ask(table_record_start(t, slot));
			return slot;
		}
		i = i + 1 == t->n_slots ? 0 : i + 1;
	}
	return 0;
}

/* *r: at the first group of the record. */
static enum table_match find_digest(struct reader *r, const struct record *record, uint8_t alg, struct bytes digest)
{
	enum table_match match = TABLE_OTHER;
	struct bytes digests;
	uint8_t group_alg;

	for (unsigned int g = 0; g < record->groups && read_group(r, &group_alg, &digests); g++) {
		if (file_alg_size(group_alg) != digest.n || !group_has(digests, digest))
			continue;
		if (group_alg == alg)
			return TABLE_MATCH;
		match = TABLE_ALGORITHM;
	}
	return match;
}

enum table_match table_find_hashed(const struct table *t, uint64_t hash, enum table_section section, struct bytes key, uint8_t alg,
				   struct bytes digest)
{
	return table_find_asked(t, hash, 0, section, key, alg, digest);
}

/* The first slot that may be the key's is it when the key is there: else all are looked at. */
enum table_match table_find_asked(const struct table *t, uint64_t hash, uint64_t slot, enum table_section section, struct bytes key,
				  uint8_t alg, struct bytes digest)
{
	struct record record;
	struct reader r;

	if ((slot && at_slot(t, slot, &r, &record) && same_key(&record, (uint8_t)section, key)) ||
	    find_record(t, hash, (uint8_t)section, key, &r, &record))
		return find_digest(&r, &record, alg, digest);
	return TABLE_NO_KEY;
}

enum table_match table_find(const struct table *t, enum table_section section, struct bytes key, uint8_t alg,
			    struct bytes digest)
{
	return table_find_hashed(t, table_hash(t, section, key), section, key, alg, digest);
}

bool table_has(const struct table *t, enum table_section section, struct bytes key)
{
	struct record record;
	struct reader r;

	return find_record(t, table_hash(t, section, key), (uint8_t)section, key, &r, &record);
}

/* *r is at the first group of the record, and left behind its last. */
static int each_group(struct reader *r, const struct record *record,
		      int (*each)(void *user, uint8_t section, struct bytes key, uint8_t alg, struct bytes digests), void *user)
{
	struct bytes digests = { NULL, 0 };
	uint8_t alg;
	int result;

	if (!record->groups)
		return each(user, record->section, record->key, FILE_ALG_NONE, digests);
	for (unsigned int g = 0; g < record->groups; g++) {
		if (!read_group(r, &alg, &digests))
			return -EIO;
		result = each(user, record->section, record->key, alg, digests);
		if (result != 0)
			return result;
	}
	return 0;
}

int table_each(const struct table *t,
	       int (*each)(void *user, uint8_t section, struct bytes key, uint8_t alg, struct bytes digests), void *user)
{
	struct reader r = reader_over(t->records, t->n_records);
	struct record record;
	int result;

	while (reader_left(&r)) {
		if (!read_record(&r, &record))
			return -EIO;
		result = each_group(&r, &record, each, user);
		if (result != 0)
			return result;
	}
	return 0;
}

int table_each_of(const struct table *t, enum table_section section, struct bytes key,
		  int (*each)(void *user, uint8_t section, struct bytes key, uint8_t alg, struct bytes digests), void *user)
{
	struct record record;
	struct reader r;

	return find_record(t, table_hash(t, section, key), (uint8_t)section, key, &r, &record) ? each_group(&r, &record, each, user) : 0;
}
