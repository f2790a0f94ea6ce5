// SPDX-License-Identifier: Apache-2.0
#include "collector/trim.h"

void trim_heard(struct trim_group *g, size_t at, const struct peer *p)
{
	if (p->state != PEER_STREAMING)
		return;
	/* WELCOME says what it stores, the answer to the first quote what it has proven */
	g->proven[at] = MIN(p->authenticated ? p->proven : g->proven[at], p->cursor);
}

uint64_t trim_lowest(uint64_t lowest, const struct trim_group *g)
{
	for (size_t i = 0; i < g->n; i++)
		lowest = MIN(lowest, g->proven[i]);
	return lowest;
}

uint64_t trim_at(const struct trim *t, uint64_t lowest, uint64_t first, uint64_t now, uint64_t *upto)
{
	uint64_t end = lowest == UINT64_MAX || lowest == 0 ? 0 : lowest - 1;

	*upto = end;
	if (end <= first || (end - first < TRIM_ENTRIES && now < t->done_us + TRIM_PERIOD_US))
		return UINT64_MAX;
	return MAX(now, t->not_before_us);
}

void trim_tried(struct trim *t, int result, uint64_t now)
{
	uint64_t pause = TRIM_PERIOD_US;

	if (result == 0) {
		*t = (struct trim){ .done_us = now };
		return;
	}
	if (result == -EBUSY && t->failures < 10)
		pause = MIN((uint64_t)TRIM_RETRY_FIRST_US << t->failures, TRIM_PERIOD_US);
	t->failures++;
	t->not_before_us = now + pause;
}
