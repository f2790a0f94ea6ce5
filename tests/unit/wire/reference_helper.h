/* SPDX-License-Identifier: Apache-2.0 */
/* Reference sets for tests: records, sorted by tag, as sender and as receiver. */
#pragma once

#include "base/hash.h"
#include "unit/wire/block_helper.h"

struct test_record {
	struct wire_record record;
	uint8_t tag[WIRE_TAG_SIZE];
};

struct test_set {
	struct writer bytes;
	struct wire_reference sender;
	struct wire_known receiver;
	struct test_record *records; /* by number */
};

static inline int by_tag(const void *a, const void *b)
{
	return bytes_compare(((const struct test_record *)a)->tag, ((const struct test_record *)b)->tag, WIRE_TAG_SIZE);
}

/* A number that a block names is never handed on unchecked. */
static inline void test_set_ask(const void *user, uint32_t i)
{
	assert_true(i < ((const struct test_set *)user)->receiver.records);
}

static inline bool test_set_record(const void *user, uint32_t i, struct wire_record *out)
{
	const struct test_set *s = user;

	*out = s->records[i].record;
	return true;
}

/* The records are sorted in place, and stay the caller's. */
static inline void test_set_make(struct test_set *s, struct test_record *records, uint32_t n)
{
	uint8_t digest[32];

	*s = (struct test_set){ .bytes = WRITER(LIMIT_REFERENCE + 64), .records = records };
	for (uint32_t i = 0; i < n; i++)
		wire_record_tag(&records[i].record, records[i].tag);
	qsort(records, n, sizeof(*records), by_tag);
	wire_reference_head(&s->bytes, n);
	for (uint32_t i = 0; i < n; i++)
		write_bytes(&s->bytes, records[i].tag, WIRE_TAG_SIZE);
	assert_int_equal(writer_status(&s->bytes), 0);
	hash_one(HASH_SHA256, s->bytes.p, s->bytes.n, digest);
	assert_int_equal(wire_reference_open(writer_view(&s->bytes), digest, &s->sender), WIRE_REFERENCE_OK);
	s->receiver = (struct wire_known){ .number = s->sender.number, .records = n, .record = test_set_record, .ask = test_set_ask,
					  .user = s };
}

static inline void test_set_clear(struct test_set *s)
{
	writer_free(&s->bytes);
}
