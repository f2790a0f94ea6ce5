/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a run, and their JSON form (--stats-file). Keys are an interface: they may only grow. */
#pragma once

#include "base/histogram.h"
#include "base/json.h"
#include "collector/peer.h"
#include "collector/source.h"

struct stats {
	uint64_t started_us;
	uint64_t batches, batch_entries, batch_known; /* known: sent as numbers of a reference set */
	uint64_t quotes, quotes_on_change, quotes_demanded, quotes_failed;
	uint64_t quote_us_total, quote_us_max;
	uint64_t activations, activations_failed;
	struct histogram reported; /* measurement to the ACK of its ENTRIES, microseconds */
	struct histogram proven;   /* measurement to the ACK of a QUOTE that proves it */
};

struct stats_gathered { /* what others count */
	struct source_status source;
	struct peer_counters peers; /* sums */
	uint64_t measured; /* entries that the kernel counted, read before `entries` */
	uint64_t entries, bytes_sent, bytes_received, tpm_commands, loop_wakeups, cpu_us;
	uint64_t acknowledged, proven; /* lowest over all verifiers */
	uint32_t rtt_us;	       /* highest over all verifiers */
	uint64_t set_bytes;	       /* reference sets in memory */
	const char *sandbox;	       /* what is in force, for people */
	size_t n_verifiers;
	struct {
		const char *name;
		uint64_t acknowledged, proven;
		uint64_t in_flight; /* sent, not answered yet */
		uint64_t waiting;   /* seen, not sent yet */
		bool quote_pending; /* one is taken for it, or not answered yet: it takes part in the next one after this */
	} verifiers[LIMIT_VERIFIERS];
};

void stats_json(struct writer *w, const struct stats *s, const struct stats_gathered *g, uint64_t now_us);
