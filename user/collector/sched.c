// SPDX-License-Identifier: Apache-2.0
#include "collector/sched.h"

void sched_init(struct sched *s, unsigned int duty_percent, uint64_t max_proof_delay_us)
{
	*s = (struct sched){ .duty_percent = duty_percent, .max_proof_delay_us = max_proof_delay_us };
}

static uint64_t rest(const struct sched *s)
{
	return s->last_us * (100u - s->duty_percent) / s->duty_percent;
}

/* Whether what waits came as fast as in a burst; one entry alone may be the first of many. */
static bool gathers(const struct sched_want *w)
{
	return w->waiting > 0 && (w->waiting - 1) * 1000000u >= (w->newest_us - w->since_us) * SCHED_BURST_PER_S;
}

/* The earliest start that keeps the duty and lets a burst gather, or the latest that keeps the promise of a proof,
 * whichever comes first. */
static uint64_t after_last(const struct sched *s, const struct sched_want *w)
{
	uint64_t gathered = gathers(w) ? MIN(s->ended_us + s->spacing_us, w->newest_us + SCHED_QUIET_US) : 0;
	uint64_t rested = MAX(s->ended_us + rest(s), gathered);
	uint64_t ahead = s->expected_us + s->max_proof_delay_us / SCHED_MARGIN;
	uint64_t proven_by = w->since_us + s->max_proof_delay_us;
	uint64_t promised = proven_by > ahead ? proven_by - ahead : 0;

	return MIN(rested, promised);
}

uint64_t sched_start_at(const struct sched *s, const struct sched_want *w)
{
	uint64_t at;

	if (s->in_flight || w->since_us == 0)
		return UINT64_MAX;
	at = MAX(w->since_us, s->retry_us);
	if (s->ended_us)
		at = MAX(at, after_last(s, w));
	return at;
}

/* Counts until there is enough to tell a burst from a stream, or until enough time has passed for both. */
static void count(struct sched *s, uint64_t now, uint64_t waiting)
{
	uint64_t span = now - s->counted_since_us;

	s->counted += waiting;
	if (s->counted < SCHED_BURST && span * SCHED_BURST_PER_S < SCHED_BURST * 1000000ull)
		return;
	s->burst = s->counted * 1000000u > span * SCHED_BURST_PER_S;
	s->counted = 0;
	s->counted_since_us = now;
}

void sched_started(struct sched *s, uint64_t now, uint64_t waiting)
{
	uint64_t spacing = MAX(s->spacing_us, rest(s));

	count(s, now, waiting);
	spacing = MAX(spacing + spacing / 2, (uint64_t)SCHED_SPACING_FIRST_US);
	if (s->burst)
		s->spacing_us = MIN(spacing, s->max_proof_delay_us / 4 * 3);
	else
		s->spacing_us = 0;
	s->in_flight = true;
	s->started_us = now;
}

void sched_finished(struct sched *s, uint64_t now, bool good)
{
	uint64_t pause = SCHED_RETRY_FIRST_US;

	s->in_flight = false;
	s->ended_us = now;
	s->last_us = now - s->started_us;
	if (good) {
		/* jumps up at once, comes down by an eighth */
		s->expected_us = MAX(s->last_us, s->expected_us - s->expected_us / 8);
		s->failures = 0;
		s->retry_us = 0;
		return;
	}
	for (unsigned int i = 0; i < s->failures && pause < SCHED_RETRY_MAX_US; i++)
		pause *= 2;
	s->retry_us = now + MIN(pause, (uint64_t)SCHED_RETRY_MAX_US);
	s->failures++;
}
