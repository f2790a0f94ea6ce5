// SPDX-License-Identifier: Apache-2.0
#include "verifier/strangers.h"

#define SECOND_US 1000000u
#define BURST_S 4u

/* Fills up with time, to BURST_S at most. */
static void fill(struct bucket *b, uint64_t now)
{
	uint64_t passed = now > b->at_mono ? now - b->at_mono : 0;

	b->level_us = MIN(b->level_us + passed, (uint64_t)BURST_S * SECOND_US);
	b->at_mono = now;
}

bool strangers_take(struct strangers *s, uint64_t peer, uint64_t now_mono)
{
	struct bucket *own = &s->of_peer[peer % STRANGERS_PLACES];
	uint64_t cost = SECOND_US / LIMIT_STRANGER_PER_S, cost_all = SECOND_US / LIMIT_STRANGERS_PER_S;

	fill(own, now_mono);
	fill(&s->all, now_mono);
	if (own->level_us < cost || s->all.level_us < cost_all)
		return false;
	own->level_us -= cost;
	s->all.level_us -= cost_all;
	return true;
}

bool strangers_take_own(struct strangers *s, uint64_t peer, uint64_t now_mono)
{
	struct bucket *own = &s->of_peer[peer % STRANGERS_PLACES];
	uint64_t cost = SECOND_US / LIMIT_STRANGER_PER_S;

	fill(own, now_mono);
	if (own->level_us < cost)
		return false;
	own->level_us -= cost;
	return true;
}
