// SPDX-License-Identifier: Apache-2.0
/* Finding where a list meets a value, by each rule of the banks; single faults, and where the search for them ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "ima/match.h"
#include "imastream/limits.h"

/* Entry number n with data of its own; every seventh is a violation, every fifth of PCR 11. */
static void put_entry(struct writer *w, uint32_t n)
{
	struct ima_entry e = { .pcr = n % 5 ? 10 : 11, .name = { (const uint8_t *)"n-ng", 4 }, .violation = n % 7 == 0 };
	cleanup_writer_ struct writer data = WRITER(64);

	write_u32le(&data, 9);
	write_fmt(&data, "%08u", n);
	write_u8(&data, 0);
	e.data = writer_view(&data);
	ima_list_write_entry(w, &e, HASH_SHA1);
	assert_int_equal(writer_status(w), 0);
}

static void put_range(struct writer *w, uint32_t first, uint32_t last)
{
	for (uint32_t n = first; n <= last; n++)
		put_entry(w, n);
}

static struct ima_whole_list whole(const struct writer *w)
{
	struct ima_whole_list l = { .bytes = { w->p, w->n }, .format = IMA_LIST_BINARY, .digest_size = 20 };
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct ima_entry e;

	assert_int_equal(ima_list_new(&list, l.format, l.digest_size), 0);
	assert_int_equal(ima_list_lend(list, l.bytes), 0);
	while (ima_list_next(list, &e) == IMA_LIST_ENTRY)
		;
	l.entries = ima_list_count(list);
	return l;
}

/* PCR 10 and 11 in the wanted banks. */
struct wanted {
	struct ima_replay state;
	unsigned int banks;
};

static bool reached(const void *user, const struct ima_replay *state)
{
	const struct wanted *w = user;

	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		for (unsigned int pcr = 10; pcr <= 11; pcr++)
			if (w->banks & 1u << a && !bytes_equal(state->pcr[pcr][a], w->state.pcr[pcr][a], hash_size(a)))
				return false;
	return true;
}

/* The values that the first n entries of w give by these rules. */
static struct wanted want(const struct writer *w, uint64_t n, unsigned int banks, const enum ima_bank_rule *rule)
{
	struct wanted v = { .banks = banks };
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct ima_entry e;

	ima_replay_init(&v.state);
	for (enum hash_alg a = 0; rule && a < HASH_COUNT; a++)
		v.state.rule[a] = rule[a];
	assert_int_equal(ima_list_new(&list, IMA_LIST_BINARY, 20), 0);
	assert_int_equal(ima_list_lend(list, (struct bytes){ w->p, w->n }), 0);
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(ima_list_next(list, &e), IMA_LIST_ENTRY);
		ima_replay_entry(&v.state, &e, banks);
	}
	return v;
}

static struct ima_target target(const struct wanted *v)
{
	return (struct ima_target){ .pcrs = 3u << 10, .banks = v->banks, .reached = reached, .user = v };
}

static const enum ima_bank_rule own[HASH_COUNT];

static void test_every_prefix(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct ima_whole_list l;

	(void)state;
	put_range(&w, 1, 40);
	l = whole(&w);
	for (uint64_t n = 0; n <= 40; n++) {
		struct wanted v = want(&w, n, 1u << HASH_SHA256 | 1u << HASH_SHA1, NULL);
		struct ima_target t = target(&v);
		struct ima_match m;

		assert_int_equal(ima_match_rules(&l, &t, own, &m), 0);
		assert_true(m.reached);
		assert_int_equal(m.at_entry, n);
	}
}

static void test_padded_banks(void **state)
{
	/* one bank has its own hash, another not */
	static const enum ima_bank_rule rules[][HASH_COUNT] = {
		{ [HASH_SHA256] = IMA_BANK_PADDED, [HASH_SHA384] = IMA_BANK_PADDED, [HASH_SHA512] = IMA_BANK_PADDED },
		{ [HASH_SHA256] = IMA_BANK_PADDED_OLD, [HASH_SHA384] = IMA_BANK_PADDED_OLD, [HASH_SHA512] = IMA_BANK_PADDED_OLD },
		{ [HASH_SHA384] = IMA_BANK_PADDED },
	};
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct ima_whole_list l;

	(void)state;
	put_range(&w, 1, 20);
	l = whole(&w);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct wanted v = want(&w, 15, 15, rules[i]);
		struct ima_target t = target(&v);
		struct ima_match m;

		assert_int_equal(ima_match_rules(&l, &t, own, &m), 0);
		assert_false(m.reached);
		assert_int_equal(ima_match_padded(&l, &t, &m), 0);
		assert_true(m.reached);
		assert_int_equal(m.at_entry, 15);
		assert_memory_equal(m.rule, rules[i], sizeof(m.rule));
	}
}

/* The sha1 bank is never padded. */
static void test_no_padding_for_sha1(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct ima_whole_list l;
	struct wanted v;
	struct ima_target t;
	struct ima_match m;

	(void)state;
	put_range(&w, 1, 20);
	l = whole(&w);
	v = want(&w, 15, 1u << HASH_SHA1, NULL);
	v.state.pcr[10][HASH_SHA1][0] ^= 1;
	t = target(&v);
	assert_int_equal(ima_match_padded(&l, &t, &m), 0);
	assert_false(m.reached);
}

static struct ima_diagnosis diagnose(const struct writer *measured, uint64_t n, const struct writer *given)
{
	struct wanted v = want(measured, n, 1u << HASH_SHA256, NULL);
	struct ima_target t = target(&v);
	struct ima_whole_list l = whole(given);
	struct ima_diagnosis d;
	struct ima_match m;

	assert_int_equal(ima_match_rules(&l, &t, own, &m), 0);
	assert_false(m.reached);
	assert_int_equal(ima_diagnose(&l, &t, &d), 0);
	return d;
}

static void test_single_faults(void **state)
{
	cleanup_writer_ struct writer good = WRITER(1u << 20);

	(void)state;
	put_range(&good, 1, 60);
	for (uint32_t k = 1; k <= 50; k++) {
		cleanup_writer_ struct writer extra = WRITER(1u << 20), swapped = WRITER(1u << 20), less = WRITER(1u << 20);
		struct ima_diagnosis d;

		/* an entry that was never extended, before what was k */
		put_range(&extra, 1, k - 1);
		put_entry(&extra, 1003);
		put_range(&extra, k, 60);
		d = diagnose(&good, 50, &extra);
		assert_int_equal(d.suspicion, IMA_SUSPECT_SKIPPED);
		assert_int_equal(d.entry, k);
		assert_int_equal(d.at_entry, 51);

		/* a missing one cannot be found again */
		put_range(&less, 1, k - 1);
		put_range(&less, k + 1, 60);
		d = diagnose(&good, 50, &less);
		assert_int_equal(d.suspicion, IMA_SUSPECT_UNKNOWN);
		assert_int_equal(d.tried, 59);

		/* neighbours in different PCRs may be exchanged without any trace in the PCRs; at the end one may do without */
		if (k == 50 || (k % 5 == 0) != ((k + 1) % 5 == 0) || (k % 7 == 0 && (k + 1) % 7 == 0))
			continue;
		put_range(&swapped, 1, k - 1);
		put_entry(&swapped, k + 1);
		put_entry(&swapped, k);
		put_range(&swapped, k + 2, 60);
		d = diagnose(&good, 50, &swapped);
		assert_int_equal(d.suspicion, IMA_SUSPECT_SWAPPED);
		assert_int_equal(d.entry, k);
		assert_int_equal(d.at_entry, 50);
	}
}

/* With a sha1 target the list's own sha1 column stands in for changed data. */
static void test_changed(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct ima_whole_list l;
	struct wanted v;
	struct ima_target t;
	struct ima_diagnosis d;
	size_t third;

	(void)state;
	put_range(&w, 1, 3);
	third = w.n;
	put_range(&w, 4, 10);
	v = want(&w, 8, 1u << HASH_SHA1, NULL);
	t = target(&v);
	w.p[third - 2] ^= 1;
	l = whole(&w);
	assert_int_equal(ima_diagnose(&l, &t, &d), 0);
	assert_int_equal(d.suspicion, IMA_SUSPECT_CHANGED);
	assert_int_equal(d.entry, 3);
	assert_int_equal(d.count, 1);
	assert_int_equal(d.at_entry, 8);
}

/* A fault in the first entry of the window is found, one entry earlier it is not. */
static void test_window(void **state)
{
	cleanup_writer_ struct writer good = WRITER(4u << 20), inside = WRITER(4u << 20), outside = WRITER(4u << 20);
	struct ima_diagnosis d;

	(void)state;
	put_range(&good, 1, LIMIT_DIAGNOSE_WINDOW + 10);
	put_range(&inside, 1, 11);
	put_entry(&inside, 9001);
	put_range(&inside, 12, LIMIT_DIAGNOSE_WINDOW + 10);
	d = diagnose(&good, LIMIT_DIAGNOSE_WINDOW + 10, &inside);
	assert_int_equal(d.suspicion, IMA_SUSPECT_SKIPPED);
	assert_int_equal(d.entry, 12);
	put_range(&outside, 1, 10);
	put_entry(&outside, 9001);
	put_range(&outside, 11, LIMIT_DIAGNOSE_WINDOW + 10);
	d = diagnose(&good, LIMIT_DIAGNOSE_WINDOW + 10, &outside);
	assert_int_equal(d.suspicion, IMA_SUSPECT_UNKNOWN);
	assert_int_equal(d.tried, LIMIT_DIAGNOSE_WINDOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_padded_banks),
		cmocka_unit_test(test_no_padding_for_sha1), cmocka_unit_test(test_single_faults),
		cmocka_unit_test(test_changed),	     cmocka_unit_test(test_window),
	};

	return cmocka_run_group_tests_name("ima list against values", tests, NULL, NULL);
}
