// SPDX-License-Identifier: Apache-2.0
#include "policy/table.h"

#include <sys/random.h>

#include "imastream/limits.h"

#define OFFSET_BITS 40
#define OFFSET_MASK ((UINT64_C(1) << OFFSET_BITS) - 1)
#define MIN_SLOTS 16u

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

static uint64_t hash_key(const struct table *t, uint8_t section, struct bytes key)
{
	struct siphash s;

	siphash_begin(&s, t->seed);
	siphash_add(&s, &section, 1);
	siphash_add(&s, key.p, key.n);
	return siphash_end(&s);
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

int table_finish(struct table_builder *b, struct table *out)
{
	struct table t = { .n_slots = MIN_SLOTS, .n_records = b->records.n };
	struct reader r = reader_of(writer_view(&b->records));
	uint8_t *shrunk;

	if (writer_status(&b->records) < 0)
		return writer_status(&b->records);
	while (t.n_slots < b->count + b->count / 2) /* at most two thirds full */
		t.n_slots *= 2;
	if (getrandom(t.seed, sizeof(t.seed), 0) != (ssize_t)sizeof(t.seed))
		return -EIO;
	t.slots = calloc(t.n_slots, sizeof(*t.slots));
	if (!t.slots)
		return -ENOMEM;
	while (!reader_done(&r)) {
		uint64_t offset = r.pos, h;
		struct record record;
		struct bytes skipped;
		uint8_t alg;
		size_t i;

		if (!read_record(&r, &record) || offset >= OFFSET_MASK) {
			free(t.slots);
			return -EIO; /* not reached: we wrote these bytes */
		}
		for (unsigned int g = 0; g < record.groups; g++)
			if (!read_group(&r, &alg, &skipped))
				break;
		h = hash_key(&t, record.section, record.key);
		for (i = h & (t.n_slots - 1); t.slots[i]; i = (i + 1) & (t.n_slots - 1))
			;
		t.slots[i] = (h & ~OFFSET_MASK) | (offset + 1);
	}
	shrunk = realloc(b->records.p, t.n_records ? t.n_records : 1);
	t.records = shrunk ? shrunk : b->records.p;
	b->records = WRITER(LIMIT_POLICY_RECORDS);
	b->count = 0;
	*out = t;
	return 0;
}

void table_clear(struct table *t)
{
	free(t->slots);
	free(t->records);
	*t = (struct table){ .slots = NULL };
}

/* Leaves *r at the first group of the key's record. */
static bool find_record(const struct table *t, uint8_t section, struct bytes key, struct reader *r, struct record *out)
{
	uint64_t h, slot;
	size_t i;

	if (!t->n_slots)
		return false;
	h = hash_key(t, section, key);
	for (i = h & (t->n_slots - 1); (slot = t->slots[i]); i = (i + 1) & (t->n_slots - 1)) {
		if ((slot ^ h) & ~OFFSET_MASK)
			continue;
		*r = reader_over(t->records, t->n_records);
		(void)read_bytes(r, (slot & OFFSET_MASK) - 1);
		if (read_record(r, out) && out->section == section && out->key.n == key.n &&
		    bytes_equal(out->key.p, key.p, key.n))
			return true;
	}
	return false;
}

static bool group_has(struct bytes digests, struct bytes digest)
{
	size_t low = 0, high = digest.n ? digests.n / digest.n : 0;

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

enum table_match table_find(const struct table *t, enum table_section section, struct bytes key, uint8_t alg,
			    struct bytes digest)
{
	enum table_match match = TABLE_OTHER;
	struct record record;
	struct bytes digests;
	struct reader r;
	uint8_t group_alg;

	if (!find_record(t, (uint8_t)section, key, &r, &record))
		return TABLE_NO_KEY;
	for (unsigned int g = 0; g < record.groups && read_group(&r, &group_alg, &digests); g++) {
		if (file_alg_size(group_alg) != digest.n || !group_has(digests, digest))
			continue;
		if (group_alg == alg)
			return TABLE_MATCH;
		match = TABLE_ALGORITHM;
	}
	return match;
}

bool table_has(const struct table *t, enum table_section section, struct bytes key)
{
	struct record record;
	struct reader r;

	return find_record(t, (uint8_t)section, key, &r, &record);
}
