// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include "collector/sched.h"

#define MS 1000ull
#define S 1000000ull
#define NEVER UINT64_MAX

/* A quote from `at` that takes `took`. */
static void quote(struct sched *s, uint64_t at, uint64_t took, bool good)
{
	sched_started(s, at);
	sched_finished(s, at + took, good);
}

static void nobody_wants_one(void **state unused_)
{
	struct sched s;

	sched_init(&s, 20, S);
	assert_true(sched_start_at(&s, 0) == NEVER);
	quote(&s, 100 * S, 5 * MS, true);
	assert_true(sched_start_at(&s, 0) == NEVER);
}

static void idle_is_immediate(void **state unused_)
{
	struct sched s;

	sched_init(&s, 20, S);
	assert_true(sched_start_at(&s, 100 * S) == 100 * S); /* the first ever */
	quote(&s, 100 * S, 5 * MS, true);
	/* long after the last one */
	assert_true(sched_start_at(&s, 200 * S) == 200 * S);
	/* just when the rest is over: 5 ms * 4 */
	assert_true(sched_start_at(&s, 100 * S + 25 * MS) == 100 * S + 25 * MS);
}

static void one_at_a_time(void **state unused_)
{
	struct sched s;

	sched_init(&s, 20, S);
	sched_started(&s, 100 * S);
	assert_true(sched_start_at(&s, 100 * S + 1) == NEVER);
	sched_finished(&s, 100 * S + 5 * MS, true);
	/* the dirty mark: wanted while it ran */
	assert_true(sched_start_at(&s, 100 * S + 1) == 100 * S + 25 * MS);
}

static void duty_is_kept(void **state unused_)
{
	static const unsigned int duties[] = { 1, 5, 20, 50, 99, 100 };

	for (size_t i = 0; i < ARRAY_SIZE(duties); i++) {
		uint64_t now = 100 * S, busy = 0, begin = now, took = 3 * MS;
		struct sched s;

		sched_init(&s, duties[i], 3600 * S);
		for (int n = 0; n < 200; n++) {
			uint64_t at = sched_start_at(&s, now); /* wanted all the time */

			assert_true(at >= now && at != NEVER);
			quote(&s, at, took, true);
			busy += took;
			now = at + took;
		}
		assert_true(busy * 100 <= (now - begin + took * 100 / duties[i]) * duties[i]);
		/* and not much less than allowed either */
		assert_true(busy * 100 >= (now - begin) * duties[i] * 9 / 10);
	}
}

static void proof_delay_goes_before_duty(void **state unused_)
{
	struct sched s;
	uint64_t wanted;

	sched_init(&s, 20, S);
	quote(&s, 100 * S, 500 * MS, true); /* hardware: the rest would be 2 s */
	wanted = 100 * S + 600 * MS;
	/* proven by wanted + 1 s, so started 500 ms earlier */
	assert_true(sched_start_at(&s, wanted) == wanted + S - 500 * MS);
	/* wanted since the middle of the last quote: it has to start at once */
	assert_true(sched_start_at(&s, 100 * S + 1) <= 100 * S + 500 * MS + 1);
	/* a quote that takes longer than the promise: back to back, not in the past of its wish */
	quote(&s, 200 * S, 3 * S, true);
	assert_true(sched_start_at(&s, 203 * S) == 203 * S);
}

static void expectation_decays(void **state unused_)
{
	uint64_t now = 100 * S, expected;
	struct sched s;

	sched_init(&s, 20, S);
	quote(&s, now, 400 * MS, true);
	assert_true(s.expected_us == 400 * MS);
	for (int i = 0; i < 40; i++) {
		expected = s.expected_us;
		now += 10 * S;
		quote(&s, now, 10 * MS, true);
		assert_true(s.expected_us <= expected);
	}
	assert_in_range(s.expected_us, 10 * MS, 11 * MS);
}

static void failure_backs_off_and_recovers(void **state unused_)
{
	uint64_t now = 100 * S, pause, last = 0;
	struct sched s;

	sched_init(&s, 20, S);
	for (int i = 0; i < 20; i++) {
		quote(&s, now, 1, false);
		pause = sched_start_at(&s, now) - (now + 1);
		assert_true(pause >= last);
		assert_in_range(pause, SCHED_RETRY_FIRST_US, SCHED_RETRY_MAX_US);
		last = pause;
		now = sched_start_at(&s, now);
	}
	assert_int_equal(last, SCHED_RETRY_MAX_US);
	quote(&s, now, 1, true);
	assert_true(sched_start_at(&s, now + S) == now + S);
	/* the next failure starts from the first pause again */
	quote(&s, now + S, 1, false);
	assert_true(sched_start_at(&s, now + S) == now + S + 1 + SCHED_RETRY_FIRST_US);
}

/* Isolated events that are far apart are all immediate, whatever the duty. */
static void isolated_events(void **state unused_)
{
	struct sched s;

	sched_init(&s, 1, S);
	for (uint64_t i = 1; i < 50; i++) {
		uint64_t at = i * 100 * S;

		assert_true(sched_start_at(&s, at) == at);
		quote(&s, at, 300 * MS, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_wants_one),
		cmocka_unit_test(idle_is_immediate),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(duty_is_kept),
		cmocka_unit_test(proof_delay_goes_before_duty),
		cmocka_unit_test(expectation_decays),
		cmocka_unit_test(failure_backs_off_and_recovers),
		cmocka_unit_test(isolated_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
