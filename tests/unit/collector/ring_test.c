// SPDX-License-Identifier: Apache-2.0
/* What of the ring needs no kernel: decoding, names, options. The rest: tests/vm/ring_probe.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collector/ring.h"
#include "imastream/limits.h"

struct built {
	uint8_t bytes[sizeof(struct event_entry) + EVENT_NAME_MAX + 1 + EVENT_DATA_MAX + 1];
	struct event_entry *head;
	size_t n;
};

/* A record as on_append sends it: `fields` fields of `len` bytes each. */
static void build(struct built *b, enum event_type type, const char *name, uint32_t fields, uint32_t len)
{
	*b = (struct built){ .head = (struct event_entry *)b->bytes, .n = sizeof(*b->head) };
	*b->head = (struct event_entry){
		.header = { .type = type, .seq = 7 },
		.position = 42,
		.total = 50,
		.ktime_ns = 1000,
		.cgroup_id = 5,
		.pid = 101,
		.tgid = 100,
		.uid = 33,
		.mnt_ns = 4026531840u,
		.pcr = 10,
		.flags = EVENT_FLAG_POSITION | EVENT_FLAG_TOTAL,
		.drop = type == EVENT_BARE ? EVENT_DROP_OVERSIZED : 0,
		.data_len = fields * (4 + len),
		.field_count = fields,
		.name_len = strlen(name),
		.comm = "curl",
	};
	memcpy(b->bytes + b->n, name, strlen(name));
	b->n += strlen(name);
	for (uint32_t i = 0; type == EVENT_ENTRY && i < fields; i++) {
		memcpy(b->bytes + b->n, &len, 4);
		memset(b->bytes + b->n + 4, 'a' + (int)i, len);
		b->n += 4 + len;
	}
	b->head->header.size = b->n;
}

static int decode(struct built *b, struct ring_record *out)
{
	return ring_record_decode(b->bytes, b->n, out);
}

/* The record must be refused, and *out left as it was. */
static void refused(struct built *b)
{
	struct ring_record r, untouched;

	memset(&r, 0x5a, sizeof(r));
	memset(&untouched, 0x5a, sizeof(untouched));
	assert_int_equal(decode(b, &r), -EBADMSG);
	assert_memory_equal(&r, &untouched, sizeof(r));
}

static void test_entry(void **state unused_)
{
	struct built b;
	struct ring_record r;

	build(&b, EVENT_ENTRY, "ima-ng", 2, 40);
	assert_int_equal(decode(&b, &r), 0);
	assert_int_equal(r.type, EVENT_ENTRY);
	assert_int_equal(r.seq, 7);
	assert_int_equal(r.position, 42);
	assert_int_equal(r.total, 50);
	assert_int_equal(r.drop, EVENT_DROP_NONE);
	assert_int_equal(r.data_len, 88);
	assert_int_equal(r.field_count, 2);
	assert_int_equal(r.entry.pcr, 10);
	assert_false(r.entry.violation);
	assert_int_equal(r.entry.name.n, 6);
	assert_memory_equal(r.entry.name.p, "ima-ng", 6);
	assert_int_equal(r.entry.data.n, 88);
	assert_ptr_equal(r.entry.data.p + 88, b.bytes + b.n);
	assert_int_equal(r.entry.digest.n, 0);
	assert_int_equal(r.context.pid, 101);
	assert_int_equal(r.context.tgid, 100);
	assert_int_equal(r.context.uid, 33);
	assert_int_equal(r.context.mnt_ns, 4026531840u);
	assert_int_equal(r.context.cgroup_id, 5);
	assert_int_equal(r.context.ktime_ns, 1000);
	assert_string_equal(r.context.comm, "curl");

	b.head->flags = EVENT_FLAG_VIOLATION;
	assert_int_equal(decode(&b, &r), 0);
	assert_true(r.entry.violation);
	assert_int_equal(r.position, 0);
	assert_int_equal(r.total, 0);
}

static void test_comm_is_terminated(void **state unused_)
{
	struct built b;
	struct ring_record r;

	build(&b, EVENT_ENTRY, "ima", 1, 1);
	memset(b.head->comm, 'x', sizeof(b.head->comm));
	assert_int_equal(decode(&b, &r), 0);
	assert_int_equal(strlen(r.context.comm), EVENT_COMM_LEN - 1);
}

static void test_bare(void **state unused_)
{
	struct built b;
	struct ring_record r;

	build(&b, EVENT_BARE, "ima-sig", 3, 70000);
	assert_int_equal(decode(&b, &r), 0);
	assert_int_equal(r.type, EVENT_BARE);
	assert_int_equal(r.drop, EVENT_DROP_OVERSIZED);
	assert_int_equal(r.data_len, 3 * 70004);
	assert_int_equal(r.entry.data.n, 0);
	build(&b, EVENT_BARE, "", 3, 10); /* the name could not be read */
	assert_int_equal(decode(&b, &r), 0);
	b.head->drop = EVENT_DROP_NONE;
	refused(&b);
	b.head->drop = EVENT_DROP_MALFORMED; /* user space's own number */
	refused(&b);
}

static void test_wake(void **state unused_)
{
	struct event_wake w = { .header = { .type = EVENT_WAKE, .size = sizeof(w), .seq = 9 }, .extended_seq = 8 };
	uint8_t longer[sizeof(w) + 1] = { 0 };
	struct ring_record r;

	assert_int_equal(ring_record_decode(&w, sizeof(w), &r), 0);
	assert_int_equal(r.type, EVENT_WAKE);
	assert_int_equal(r.seq, 9);
	assert_int_equal(r.extended_seq, 8);
	assert_int_equal(r.entry.name.n, 0);
	assert_int_equal(ring_record_decode(&w, sizeof(w) - 1, &r), -EBADMSG);
	w.header.size++;
	memcpy(longer, &w, sizeof(w));
	assert_int_equal(ring_record_decode(longer, sizeof(longer), &r), -EBADMSG);
}

static void test_limits(void **state unused_)
{
	char name[EVENT_NAME_MAX + 2] = { 0 };
	struct built b;
	struct ring_record r;

	memset(name, 'n', EVENT_NAME_MAX);
	build(&b, EVENT_ENTRY, name, 1, 4);
	assert_int_equal(decode(&b, &r), 0);
	memset(name, 'n', EVENT_NAME_MAX + 1);
	build(&b, EVENT_ENTRY, name, 1, 4);
	refused(&b);

	build(&b, EVENT_ENTRY, "x", 1, EVENT_DATA_MAX - 4);
	assert_int_equal(decode(&b, &r), 0);
	build(&b, EVENT_ENTRY, "x", 1, EVENT_DATA_MAX - 3);
	refused(&b);

	build(&b, EVENT_ENTRY, "x", EVENT_FIELDS_MAX, 1);
	assert_int_equal(decode(&b, &r), 0);
	build(&b, EVENT_ENTRY, "x", EVENT_FIELDS_MAX + 1, 1);
	refused(&b);

	build(&b, EVENT_ENTRY, "x", 3, 0); /* empty fields are normal: no signature */
	assert_int_equal(decode(&b, &r), 0);
	build(&b, EVENT_ENTRY, "x", 0, 0);
	assert_int_equal(decode(&b, &r), 0);
}

static void test_malformed(void **state unused_)
{
	struct built b;

	build(&b, EVENT_ENTRY, "", 1, 1);
	refused(&b);
	build(&b, EVENT_ENTRY, "ima-ng", 2, 8);
	b.head->header.seq = 0;
	refused(&b);
	build(&b, EVENT_ENTRY, "ima-ng", 2, 8);
	b.head->header.type = 0;
	refused(&b);
	b.head->header.type = 4;
	refused(&b);
	build(&b, EVENT_ENTRY, "ima-ng", 2, 8);
	b.head->flags |= 8;
	refused(&b);
	build(&b, EVENT_ENTRY, "ima-ng", 2, 8);
	b.head->drop = EVENT_DROP_OVERSIZED;
	refused(&b);
	build(&b, EVENT_ENTRY, "ima-ng", 2, 8);
	b.head->field_count = 1; /* bytes behind the last field */
	refused(&b);
	b.head->field_count = 3;
	refused(&b);
	build(&b, EVENT_ENTRY, "ima-ng", 2, 8);
	b.head->data_len--;
	refused(&b);
	b.head->data_len = UINT32_MAX;
	refused(&b);
	build(&b, EVENT_ENTRY, "ima-ng", 2, 8);
	b.bytes[sizeof(*b.head) + 6 + 3] = 0xff; /* first field: 4 GB */
	refused(&b);
}

/* Cut anywhere, with the size word as it was or made to fit: never accepted. */
static void test_truncated(void **state unused_)
{
	struct built b;
	size_t whole;

	build(&b, EVENT_ENTRY, "ima-ng", 2, 8);
	whole = b.n;
	for (b.n = 0; b.n < whole; b.n++) {
		b.head->header.size = whole;
		refused(&b);
		b.head->header.size = b.n;
		refused(&b);
	}
}

static void test_options(void **state unused_)
{
	static const uint32_t bad[] = { 1, EVENT_RING_MIN - 1, EVENT_RING_MIN + 1, 3 * EVENT_RING_MIN, EVENT_RING_MAX + 1,
					2 * EVENT_RING_MAX };
	struct ring *ring = NULL;
	struct ring_probe probe;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(ring_open(&ring, &(struct ring_options){ .ring_bytes = bad[i] }, &probe), -EINVAL);
		assert_null(ring);
	}
	ring_close(&ring);
}

/* The poll level needs nothing of the machine: no descriptor, no records, counters at zero. */
static void test_poll_level(void **state unused_)
{
	cleanup_ring_ struct ring *ring = NULL;
	struct ring_counters c;
	struct ring_counts counts = { .live = 17 };

	assert_int_equal(ring_open(&ring, &(struct ring_options){ .want = EVENT_SUPPORT_POLL }, NULL), 0);
	assert_int_equal(ring_support(ring), EVENT_SUPPORT_POLL);
	assert_int_equal(ring_fd(ring), -1);
	assert_int_equal(ring_consume(ring, NULL, NULL), 0);
	ring_check_missed(ring);
	ring_snapshot(ring, &c);
	assert_int_equal(c.seq, 0);
	for (int i = 0; i < EVENT_DROP_COUNT; i++)
		assert_int_equal(c.drops[i], 0);
	assert_int_equal(ring_counts(ring, &counts), -EOPNOTSUPP);
	assert_int_equal(counts.live, 17);
}

static void test_names(void **state unused_)
{
	assert_string_equal(ring_support_name(EVENT_SUPPORT_POLL), "poll");
	assert_string_equal(ring_support_name(EVENT_SUPPORT_SIGNAL), "signal");
	assert_string_equal(ring_support_name(EVENT_SUPPORT_ORDERED), "ordered");
	assert_string_equal(ring_support_name(0), "unknown");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry),	   cmocka_unit_test(test_comm_is_terminated),
		cmocka_unit_test(test_bare),	   cmocka_unit_test(test_wake),
		cmocka_unit_test(test_limits),	   cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_truncated),  cmocka_unit_test(test_options),
		cmocka_unit_test(test_poll_level), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
