// SPDX-License-Identifier: Apache-2.0
#include "collector/report.h"

/* A quote that is being taken, or waits to be sent, was promised less than a later one will be. */
static uint64_t floor_of(const struct peer *p, uint64_t surely)
{
	return p->quote.stage == PEER_QUOTE_NONE ? surely : MIN(surely, p->quote.surely);
}

void report_entries(struct writer *w, const struct peer *p, uint64_t first, struct bytes block, uint64_t surely,
		    uint64_t measured, const struct source_status *status)
{
	struct wire_message m = { .type = WIRE_ENTRIES };
	struct wire_entries *e = &m.entries;

	bytes_copy(e->session, p->session, sizeof(e->session));
	e->first = first;
	e->floor = floor_of(p, surely);
	e->block = block;
	_Static_assert(EVENT_DROP_COUNT <= WIRE_DROP_COUNT, "every cause of a drop travels, at its own number");
	e->n_drops = EVENT_DROP_COUNT;
	for (size_t i = 0; i < e->n_drops; i++)
		e->drops[i] = status->drops[i];
	e->extend_failures = status->extend_failures;
	e->rtt_us = p->rtt_us;
	e->measured = measured;
	wire_encode(w, &m);
}
