// SPDX-License-Identifier: Apache-2.0
/* The window at its maximum and one past it, marks, saving and loading; the map and the heap beside it. */
#include "lib/test.h"
#include "verifier/deadline.h"
#include "verifier/idmap.h"
#include "verifier/replay.h"

static const uint8_t data[] = { 8, 0, 0, 0, 's', 'h', 'a', '1', ':', 0, 1, 2, 0, 0, 0, 0 };

static void extend(struct replay *r, uint32_t pcr, size_t n)
{
	struct ima_entry e = { .pcr = pcr, .name = BYTES("ima-ng"), .data = { data, sizeof(data) } };

	struct ima_entry batch[100];
	uint32_t random = 1;

	for (size_t i = 0; i < ARRAY_SIZE(batch); i++)
		batch[i] = e;
	for (size_t done = 0, part; done < n; done += part) { /* any number at once is the same */
		random = random * 1103515245u + 12345u;
		part = MIN(n - done, (size_t)(random >> 16) % ARRAY_SIZE(batch) + 1);
		assert_int_equal(replay_entries(r, batch, part), 0);
	}
}

struct wanted {
	uint8_t value[32];
	unsigned int tests;
};

static bool is_wanted(void *user, const struct replay_view *v)
{
	struct wanted *w = user;

	w->tests++;
	return bytes_equal(replay_view_value(v, 10), w->value, sizeof(w->value));
}

static struct wanted value_now(const struct replay *r)
{
	struct wanted w = { .tests = 0 };

	bytes_copy(w.value, replay_value(r, 10), sizeof(w.value));
	return w;
}

static void only_candidates_are_tested(void **state unused_)
{
	struct replay r;
	struct replay_match m;
	struct wanted w;

	assert_int_equal(replay_init(&r, HASH_SHA256, REPLAY_NATIVE, 0), 0);
	extend(&r, 10, 1000);
	w = value_now(&r);
	assert_int_equal(replay_find(&r, 1000, true, is_wanted, &w, &m), REPLAY_MATCH);
	assert_int_equal(m.index, 1000);
	assert_int_equal(w.tests, 1);
	replay_clear(&r);
}

static void window_at_its_maximum(void **state unused_)
{
	struct replay r;
	struct replay_match m;
	struct wanted first, second;

	assert_int_equal(replay_init(&r, HASH_SHA256, REPLAY_NATIVE, 0), 0);
	first = value_now(&r);
	extend(&r, 10, 1);
	second = value_now(&r);
	extend(&r, 10, LIMIT_UNPROVEN_WINDOW - 1);
	assert_int_equal(replay_find(&r, 0, false, is_wanted, &first, &m), REPLAY_MATCH);
	assert_int_equal(m.index, 0);
	extend(&r, 10, 1); /* one past it: the value after no entry is gone */
	assert_int_equal(r.next - r.first, LIMIT_UNPROVEN_WINDOW);
	assert_int_equal(replay_find(&r, 0, false, is_wanted, &first, &m), REPLAY_WINDOW);
	assert_int_equal(replay_find(&r, 1, false, is_wanted, &first, &m), REPLAY_NO_MATCH);
	assert_int_equal(replay_find(&r, 0, false, is_wanted, &second, &m), REPLAY_MATCH);
	assert_int_equal(m.index, 1);
	replay_clear(&r);
}

static void mark_and_restore(void **state unused_)
{
	struct replay r;
	struct replay_mark mark;
	struct wanted before;

	assert_int_equal(replay_init(&r, HASH_SHA256, REPLAY_UNDECIDED, 0), 0);
	extend(&r, 10, 5);
	before = value_now(&r);
	mark = replay_mark(&r);
	extend(&r, 11, 3);
	extend(&r, 10, 3);
	replay_restore(&r, mark);
	assert_int_equal(r.next, 5);
	assert_int_equal(r.used, 1u << 10);
	assert_memory_equal(replay_value(&r, 10), before.value, 32);
	replay_clear(&r);
}

static void save_and_load(void **state unused_)
{
	struct replay r, again;
	struct writer saved = WRITER(4096);
	struct wanted w;

	assert_int_equal(replay_init(&r, HASH_SHA256, REPLAY_NATIVE, 0), 0);
	extend(&r, 10, 5);
	extend(&r, 14, 2);
	w = value_now(&r);
	replay_forget(&r, 100); /* clamped */
	assert_int_equal(r.first, 7);
	replay_save(&r, &saved);
	assert_int_equal(replay_init(&again, HASH_SHA256, REPLAY_NATIVE, 7), 0);
	assert_int_equal(replay_load(&again, writer_view(&saved)), 0);
	assert_memory_equal(replay_value(&again, 10), w.value, 32);
	assert_memory_equal(replay_value(&again, 14), replay_value(&r, 14), 32);
	saved.n--;
	assert_int_equal(replay_load(&again, writer_view(&saved)), -EBADMSG);
	replay_clear(&r);
	replay_clear(&again);
	writer_free(&saved);
}

static void a_pcr_too_high(void **state unused_)
{
	struct ima_entry e = { .pcr = LIMIT_PCR + 1, .name = BYTES("ima-ng"), .data = { data, sizeof(data) } };
	struct replay r;

	assert_int_equal(replay_init(&r, HASH_SHA256, REPLAY_NATIVE, 0), 0);
	assert_int_equal(replay_entries(&r, &e, 1), -EINVAL);
	e.pcr = LIMIT_PCR;
	assert_int_equal(replay_entries(&r, &e, 1), 0);
	replay_clear(&r);
}

static void map(void **state unused_)
{
	static uint8_t keys[5000][32];
	struct idmap m;
	size_t at = 0, n = 0;

	idmap_init(&m, 32, 42);
	assert_null(idmap_get(&m, keys[0]));
	for (uint32_t i = 0; i < 5000; i++) {
		memcpy(keys[i], &i, sizeof(i));
		assert_int_equal(idmap_put(&m, keys[i], keys[i]), 0);
	}
	assert_int_equal(idmap_put(&m, keys[7], keys[8]), 0); /* replaces */
	assert_ptr_equal(idmap_get(&m, keys[7]), keys[8]);
	idmap_del(&m, keys[7], keys[7]); /* not his */
	assert_non_null(idmap_get(&m, keys[7]));
	for (uint32_t i = 0; i < 5000; i += 2)
		idmap_del(&m, keys[i], NULL);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(idmap_get(&m, keys[i]) != NULL, i % 2);
	while (idmap_next(&m, &at))
		n++;
	assert_int_equal(n, 2500);
	idmap_clear(&m);
}

static void heap(void **state unused_)
{
	static struct attester a[500];
	struct deadlines d = { 0 };
	uint64_t last = 0;
	uint32_t x = 1;

	assert_null(deadlines_first(&d));
	assert_int_equal(deadlines_reserve(&d, 500), 0);
	for (size_t i = 0; i < 500; i++) {
		x = x * 1664525u + 1013904223u;
		deadlines_set(&d, &a[i], 1 + x % 10000);
	}
	for (size_t i = 0; i < 500; i += 3) {
		x = x * 1664525u + 1013904223u;
		deadlines_set(&d, &a[i], i % 2 ? 0 : 1 + x % 10000);
	}
	for (struct attester *first; (first = deadlines_first(&d)); deadlines_set(&d, first, 0)) {
		assert_true(first->due_mono >= last);
		last = first->due_mono;
	}
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(a[i].due_slot, 0);
	deadlines_clear(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_candidates_are_tested), cmocka_unit_test(window_at_its_maximum),
		cmocka_unit_test(mark_and_restore), cmocka_unit_test(save_and_load), cmocka_unit_test(a_pcr_too_high),
		cmocka_unit_test(map), cmocka_unit_test(heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
