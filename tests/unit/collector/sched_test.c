// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include "collector/sched.h"

#define MS 1000ull
#define S 1000000ull
#define NEVER UINT64_MAX

/* One entry waits since then. */
static uint64_t start_at(const struct sched *s, uint64_t since)
{
	const struct sched_want want = { .since_us = since, .waiting = since != 0, .newest_us = since };

	return sched_start_at(s, &want);
}

/* A quote from `at` that takes `took`; for a challenge, say: no entries to count. */
static void quote(struct sched *s, uint64_t at, uint64_t took, bool good)
{
	sched_started(s, at, 0);
	sched_finished(s, at + took, good);
}

static void nobody_wants_one(void **state unused_)
{
	struct sched s;

	sched_init(&s, 20, S);
	assert_true(start_at(&s, 0) == NEVER);
	quote(&s, 100 * S, 5 * MS, true);
	assert_true(start_at(&s, 0) == NEVER);
}

static void idle_is_immediate(void **state unused_)
{
	struct sched s;

	sched_init(&s, 20, S);
	assert_true(start_at(&s, 100 * S) == 100 * S); /* the first ever */
	quote(&s, 100 * S, 5 * MS, true);
	/* long after the last one */
	assert_true(start_at(&s, 200 * S) == 200 * S);
	/* just when the rest is over: 5 ms * 4 */
	assert_true(start_at(&s, 100 * S + 25 * MS) == 100 * S + 25 * MS);
}

static void one_at_a_time(void **state unused_)
{
	struct sched s;

	sched_init(&s, 20, S);
	sched_started(&s, 100 * S, 1);
	assert_true(start_at(&s, 100 * S + 1) == NEVER);
	sched_finished(&s, 100 * S + 5 * MS, true);
	/* the dirty mark: wanted while it ran */
	assert_true(start_at(&s, 100 * S + 1) == 100 * S + 25 * MS);
}

static void duty_is_kept(void **state unused_)
{
	static const unsigned int duties[] = { 1, 5, 20, 50, 99, 100 };

	for (size_t i = 0; i < ARRAY_SIZE(duties); i++) {
		uint64_t now = 100 * S, busy = 0, begin = now, took = 3 * MS;
		struct sched s;

		sched_init(&s, duties[i], 3600 * S);
		for (int n = 0; n < 200; n++) {
			uint64_t at = start_at(&s, now); /* wanted all the time */

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
	/* proven by wanted + 1 s, so started 500 ms earlier, and a bit for the way */
	assert_true(start_at(&s, wanted) == wanted + S - 500 * MS - S / SCHED_MARGIN);
	/* wanted since the middle of the last quote: it has to start at once */
	assert_true(start_at(&s, 100 * S + 1) <= 100 * S + 500 * MS + 1);
	/* a quote that takes longer than the promise: back to back, not in the past of its wish */
	quote(&s, 200 * S, 3 * S, true);
	assert_true(start_at(&s, 203 * S) == 203 * S);
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
		pause = start_at(&s, now) - (now + 1);
		assert_true(pause >= last);
		assert_in_range(pause, SCHED_RETRY_FIRST_US, SCHED_RETRY_MAX_US);
		last = pause;
		now = start_at(&s, now);
	}
	assert_int_equal(last, SCHED_RETRY_MAX_US);
	quote(&s, now, 1, true);
	assert_true(start_at(&s, now + S) == now + S);
	/* the next failure starts from the first pause again */
	quote(&s, now + S, 1, false);
	assert_true(start_at(&s, now + S) == now + S + 1 + SCHED_RETRY_FIRST_US);
}

/* Isolated events that are far apart are all immediate, whatever the duty. */
static void isolated_events(void **state unused_)
{
	struct sched s;

	sched_init(&s, 1, S);
	for (uint64_t i = 1; i < 50; i++) {
		uint64_t at = i * 100 * S;

		assert_true(start_at(&s, at) == at);
		quote(&s, at, 300 * MS, true);
	}
}

/* `rate` entries a second for `seconds`, one quote after the other as the schedule says; how many quotes, and the longest
 * time that an entry waited for the end of its own. */
static unsigned int stream(struct sched *s, uint64_t rate, uint64_t seconds, uint64_t took, uint64_t *longest)
{
	uint64_t begin = 1000 * S, end = begin + seconds * S, every = S / rate, covered = begin, now = begin;
	unsigned int quotes = 0;

	*longest = 0;
	while (covered < end) { /* entries arrive at begin, begin + every, ...; those before `covered` have their quote */
		struct sched_want want = { .since_us = covered };
		uint64_t newest;

		/* nothing changes the schedule but arrivals: look at each */
		for (newest = covered; newest < end; newest += every) {
			want.waiting = (newest - covered) / every + 1;
			want.newest_us = newest;
			now = MAX(newest, sched_start_at(s, &want));
			if (now < newest + every)
				break;
		}
		now = MAX(now, s->ended_us);
		want.waiting = MIN((now - covered) / every + 1, (end - covered + every - 1) / every);
		quotes++;
		*longest = MAX(*longest, now + took - covered);
		sched_started(s, now, want.waiting);
		sched_finished(s, now + took, true);
		covered += want.waiting * every;
	}
	return quotes;
}

/* A quote that covers a thousand costs what one for a single entry costs. */
static void bursts_gather(void **state unused_)
{
	static const struct { uint64_t rate, seconds, took, delay; } bursts[] = {
		{ 10000, 1, 400, S },	   { 2000, 5, 400, S },	       { 333, 30, 20 * MS, S },
		{ 333, 30, 70 * MS, S },   { 333, 30, 200 * MS, 2 * S },
	};
	uint64_t longest;

	for (size_t i = 0; i < ARRAY_SIZE(bursts); i++) {
		struct sched s;

		sched_init(&s, 20, bursts[i].delay);
		assert_in_range(stream(&s, bursts[i].rate, bursts[i].seconds, bursts[i].took, &longest), 5, 60);
		assert_true(longest < bursts[i].delay);
	}
}

/* Fewer are no burst: each is proven as soon as the duty allows. */
static void a_steady_stream_is_no_burst(void **state unused_)
{
	uint64_t longest;
	struct sched s;

	sched_init(&s, 20, S);
	assert_in_range(stream(&s, 50, 20, 20 * MS, &longest), 180, 201);
	assert_true(longest <= 120 * MS + 20 * MS);
	assert_int_equal(s.spacing_us, 0);
}

/* When nothing comes for a while the burst is over: what is left is proven then. */
static void the_end_of_a_burst(void **state unused_)
{
	struct sched_want want = { .since_us = 100 * S + 900 * MS, .waiting = 3, .newest_us = 100 * S + 910 * MS };
	struct sched s;

	sched_init(&s, 20, S);
	quote(&s, 100 * S, MS, true);
	for (int i = 1; i <= 20; i++) {
		sched_started(&s, 100 * S + i * 40 * MS, 100);
		sched_finished(&s, 100 * S + i * 40 * MS + MS, true);
	}
	assert_true(s.spacing_us == 750 * MS);
	assert_true(sched_start_at(&s, &want) == want.newest_us + SCHED_QUIET_US);
	/* they go on coming: as the spacing says */
	want = (struct sched_want){ .since_us = 100 * S + 900 * MS, .waiting = 200, .newest_us = 102 * S };
	assert_true(sched_start_at(&s, &want) == 100 * S + 801 * MS + 750 * MS);
	want.waiting = 20; /* not so fast: that is no burst */
	assert_true(sched_start_at(&s, &want) == 100 * S + 900 * MS);
	/* an isolated one does not wait for a burst of the past */
	want = (struct sched_want){ .since_us = 105 * S, .waiting = 1, .newest_us = 105 * S };
	assert_true(sched_start_at(&s, &want) == 105 * S);
	sched_started(&s, 105 * S, 1);
	assert_int_equal(s.spacing_us, 0);
	/* a challenge alone waits for the duty only */
	sched_finished(&s, 105 * S + MS, true);
	s.spacing_us = 750 * MS;
	want = (struct sched_want){ .since_us = 105 * S + MS };
	assert_true(sched_start_at(&s, &want) == 105 * S + 5 * MS);
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
		cmocka_unit_test(bursts_gather),
		cmocka_unit_test(a_steady_stream_is_no_burst),
		cmocka_unit_test(the_end_of_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
