// SPDX-License-Identifier: Apache-2.0
#include "collector/sched.h"

void sched_init(struct sched *s, unsigned int duty_percent, uint64_t max_proof_delay_us)
{
	*s = (struct sched){ .duty_percent = duty_percent, .max_proof_delay_us = max_proof_delay_us };
}

/* The earliest start that keeps the duty, or the latest that keeps the promise of a proof, whichever comes first. */
static uint64_t after_last(const struct sched *s, uint64_t wanted_since)
{
	uint64_t rested = s->ended_us + s->last_us * (100u - s->duty_percent) / s->duty_percent;
	uint64_t proven_by = wanted_since + s->max_proof_delay_us;
	uint64_t promised = proven_by > s->expected_us ? proven_by - s->expected_us : 0;

	return MIN(rested, promised);
}

uint64_t sched_start_at(const struct sched *s, uint64_t wanted_since)
{
	uint64_t at;

	if (s->in_flight || wanted_since == 0)
		return UINT64_MAX;
	at = MAX(wanted_since, s->retry_us);
	if (s->ended_us)
		at = MAX(at, after_last(s, wanted_since));
	return at;
}

void sched_started(struct sched *s, uint64_t now)
{
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
