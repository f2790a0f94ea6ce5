// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include "collector/trim.h"

#define MS 1000ull
#define S 1000000ull
#define NEVER UINT64_MAX
#define NONE UINT64_MAX /* no group was asked yet */

/* When, without looking at how far. */
static uint64_t at(const struct trim *t, uint64_t lowest, uint64_t first, uint64_t now)
{
	uint64_t upto;

	return trim_at(t, lowest, first, now, &upto);
}

static struct peer peer_with(enum peer_state state, bool authenticated, uint64_t cursor, uint64_t proven)
{
	struct peer p = { .state = state, .authenticated = authenticated, .cursor = cursor, .proven = proven };

	return p;
}

static void hear(struct trim_group *g, size_t place, enum peer_state state, bool authenticated, uint64_t cursor, uint64_t proven)
{
	struct peer p = peer_with(state, authenticated, cursor, proven);

	trim_heard(g, place, &p);
}

/* --- how far -------------------------------------------------------------------------------------------------------- */

static void only_what_is_proven(void **state unused_)
{
	struct trim_group g = { .n = 1 };

	assert_int_equal(trim_lowest(NONE, &g), 0);
	hear(&g, 0, PEER_GREETING, false, 0, 0);
	assert_int_equal(trim_lowest(NONE, &g), 0);
	/* WELCOME: it stores 500 and has said nothing of what is proven in this session */
	hear(&g, 0, PEER_STREAMING, false, 500, 0);
	assert_int_equal(trim_lowest(NONE, &g), 0);
	hear(&g, 0, PEER_STREAMING, true, 500, 300);
	assert_int_equal(trim_lowest(NONE, &g), 300);
	hear(&g, 0, PEER_STREAMING, true, 700, 650);
	assert_int_equal(trim_lowest(NONE, &g), 650);
}

static void what_was_proven_stays_proven_while_it_is_away(void **state unused_)
{
	struct trim_group g = { .n = 1 };

	hear(&g, 0, PEER_STREAMING, true, 500, 500);
	hear(&g, 0, PEER_WAITING, false, 0, 0);
	hear(&g, 0, PEER_GREETING, false, 0, 0);
	assert_int_equal(trim_lowest(NONE, &g), 500);
	/* the same store in a new session */
	hear(&g, 0, PEER_STREAMING, false, 500, 0);
	assert_int_equal(trim_lowest(NONE, &g), 500);
}

static void a_store_that_was_set_back_needs_them_again(void **state unused_)
{
	struct trim_group g = { .n = 1 };

	hear(&g, 0, PEER_STREAMING, true, 500, 500);
	hear(&g, 0, PEER_STREAMING, false, 120, 0);
	assert_int_equal(trim_lowest(NONE, &g), 120);
	hear(&g, 0, PEER_STREAMING, true, 200, 90);
	assert_int_equal(trim_lowest(NONE, &g), 90);
	/* RESUME within a session */
	hear(&g, 0, PEER_STREAMING, true, 40, 90);
	assert_int_equal(trim_lowest(NONE, &g), 40);
}

static void the_lowest_of_all_verifiers(void **state unused_)
{
	struct trim_group a = { .n = 1 }, b = { .n = 1 }, c = { .n = 1 };
	uint64_t lowest;

	hear(&a, 0, PEER_STREAMING, true, 900, 900);
	hear(&b, 0, PEER_STREAMING, true, 900, 40);
	hear(&c, 0, PEER_STREAMING, true, 900, 700);
	lowest = trim_lowest(trim_lowest(trim_lowest(NONE, &a), &b), &c);
	assert_int_equal(lowest, 40);
	lowest = trim_lowest(trim_lowest(trim_lowest(NONE, &b), &c), &a); /* in whatever order */
	assert_int_equal(lowest, 40);
	b = (struct trim_group){ .n = 1 }; /* never there */
	assert_int_equal(trim_lowest(trim_lowest(NONE, &a), &b), 0);
}

static void each_address_of_a_group_for_itself(void **state unused_)
{
	struct trim_group g = { .n = 3 };

	hear(&g, 0, PEER_STREAMING, true, 900, 900);
	hear(&g, 1, PEER_STREAMING, true, 900, 800);
	assert_int_equal(trim_lowest(NONE, &g), 0); /* the third was never spoken to */
	hear(&g, 2, PEER_STREAMING, true, 300, 300);
	assert_int_equal(trim_lowest(NONE, &g), 300);
	/* what one says is not taken for another's word */
	hear(&g, 0, PEER_STREAMING, true, 2000, 2000);
	assert_int_equal(trim_lowest(NONE, &g), 300);
	hear(&g, 2, PEER_STREAMING, true, 2000, 1500);
	assert_int_equal(trim_lowest(NONE, &g), 800);
}

static void as_many_addresses_as_a_group_can_have(void **state unused_)
{
	struct trim_group g = { .n = LIMIT_VERIFIERS };

	for (size_t i = 0; i < LIMIT_VERIFIERS; i++) {
		assert_int_equal(trim_lowest(NONE, &g), 0);
		hear(&g, i, PEER_STREAMING, true, 5000, 5000 - i);
	}
	assert_int_equal(trim_lowest(NONE, &g), 5000 - (LIMIT_VERIFIERS - 1));
}

/* --- when ----------------------------------------------------------------------------------------------------------- */

static void nobody_asked_is_nothing_to_forget(void **state unused_)
{
	const struct trim t = { 0 };
	uint64_t upto = 7;

	assert_true(trim_at(&t, NONE, 0, 1000 * S, &upto) == NEVER);
	assert_int_equal(upto, 0);
	assert_true(trim_at(&t, 0, 0, 1000 * S, &upto) == NEVER);
	assert_int_equal(upto, 0);
}

static void the_newest_proven_one_stays(void **state unused_)
{
	const struct trim t = { 0 };
	uint64_t upto;

	assert_true(trim_at(&t, 5000, 0, 1000 * S, &upto) == 1000 * S);
	assert_int_equal(upto, 4999);
	assert_true(at(&t, 1, 0, 1000 * S) == NEVER);
	assert_true(at(&t, 2, 0, 1000 * S) == 1000 * S);
	/* the same behind earlier trims, and behind somebody else's */
	assert_true(at(&t, 5000, 4999, 1000 * S) == NEVER);
	assert_true(at(&t, 5000, 4998, 1000 * S) == 1000 * S);
	assert_true(at(&t, 5000, 6000, 1000 * S) == NEVER);
}

static void many_at_any_time(void **state unused_)
{
	struct trim t = { 0 };

	trim_tried(&t, 0, 1000 * S);
	assert_true(at(&t, TRIM_ENTRIES, 0, 1000 * S + 1) == NEVER); /* the newest stays: one short */
	assert_true(at(&t, TRIM_ENTRIES + 1, 0, 1000 * S + 1) == 1000 * S + 1);
	assert_true(at(&t, 7000 + TRIM_ENTRIES, 7000, 1000 * S + 1) == NEVER);
	assert_true(at(&t, 7000 + TRIM_ENTRIES + 1, 7000, 1000 * S + 1) == 1000 * S + 1);
}

static void few_once_in_a_while(void **state unused_)
{
	struct trim t = { 0 };

	assert_true(at(&t, 10, 0, TRIM_PERIOD_US - 1) == NEVER); /* just booted */
	assert_true(at(&t, 10, 0, TRIM_PERIOD_US) == TRIM_PERIOD_US);
	trim_tried(&t, 0, 1000 * S);
	/* and nobody is woken for it */
	assert_true(at(&t, 10, 0, 1000 * S + TRIM_PERIOD_US - 1) == NEVER);
	assert_true(at(&t, 10, 0, 1000 * S + TRIM_PERIOD_US) == 1000 * S + TRIM_PERIOD_US);
}

static void somebody_else_has_it_open(void **state unused_)
{
	struct trim t = { 0 };
	uint64_t now = 1000 * S, pause = 100 * MS, sum = 0;

	for (unsigned int i = 0; i < 40; i++) {
		trim_tried(&t, -EBUSY, now);
		assert_true(at(&t, 5000, 0, now) == now + pause);
		assert_true(at(&t, 5000, 0, now + pause - 1) == now + pause);
		assert_true(at(&t, 5000, 0, now + pause) == now + pause);
		now += pause;
		sum += pause;
		pause = MIN(pause * 2, (uint64_t)TRIM_PERIOD_US);
	}
	assert_true(sum > 20 * (uint64_t)TRIM_PERIOD_US); /* it did grow to the period */
	trim_tried(&t, 0, now);
	assert_true(at(&t, 5000, 0, now) == now);
	trim_tried(&t, -EBUSY, now);
	assert_true(at(&t, 5000, 0, now) == now + 100 * MS); /* and begins anew */
}

static void a_refusal_is_asked_again_rarely(void **state unused_)
{
	static const int refusals[] = { -ESTALE, -EINVAL, -EPERM, -EIO };

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct trim t = { 0 };

		trim_tried(&t, refusals[i], 1000 * S);
		assert_true(at(&t, 5000, 0, 1000 * S) == 1000 * S + TRIM_PERIOD_US);
		trim_tried(&t, refusals[i], 1100 * S);
		assert_true(at(&t, 5000, 0, 1100 * S) == 1100 * S + TRIM_PERIOD_US);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_proven),
		cmocka_unit_test(what_was_proven_stays_proven_while_it_is_away),
		cmocka_unit_test(a_store_that_was_set_back_needs_them_again),
		cmocka_unit_test(the_lowest_of_all_verifiers),
		cmocka_unit_test(each_address_of_a_group_for_itself),
		cmocka_unit_test(as_many_addresses_as_a_group_can_have),
		cmocka_unit_test(nobody_asked_is_nothing_to_forget),
		cmocka_unit_test(the_newest_proven_one_stays),
		cmocka_unit_test(many_at_any_time),
		cmocka_unit_test(few_once_in_a_while),
		cmocka_unit_test(somebody_else_has_it_open),
		cmocka_unit_test(a_refusal_is_asked_again_rarely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
