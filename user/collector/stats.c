// SPDX-License-Identifier: Apache-2.0
#include "collector/stats.h"

static const char *const drop_names[EVENT_DROP_COUNT] = {
	[EVENT_DROP_RING_FULL] = "ring_full",	[EVENT_DROP_OVERSIZED] = "oversized",
	[EVENT_DROP_READ_FAILED] = "read_failed", [EVENT_DROP_NO_SCRATCH] = "no_scratch",
	[EVENT_DROP_BAD_FIELDS] = "bad_fields", [EVENT_DROP_NAME_TOO_LONG] = "name_too_long",
	[EVENT_DROP_MALFORMED] = "malformed",	[EVENT_DROP_MISSED_RUN] = "missed_run",
};

static void latency(struct json *j, const char *key, const struct histogram *h)
{
	jw_object(j, key);
	jw_u64(j, "count", h->count);
	jw_u64(j, "p50", histogram_quantile(h, 500));
	jw_u64(j, "p90", histogram_quantile(h, 900));
	jw_u64(j, "p99", histogram_quantile(h, 990));
	jw_u64(j, "max", h->max);
	jw_object_end(j);
}

/* Entries: measured by the kernel = seen here = for each verifier acknowledged + in flight + waiting. */
static void accounts(struct json *j, const struct stats_gathered *g)
{
	jw_u64(j, "measured", g->measured);
	jw_array(j, "verifiers");
	for (size_t i = 0; i < g->n_verifiers; i++) {
		jw_object(j, NULL);
		jw_string(j, "url", g->verifiers[i].name);
		jw_u64(j, "acknowledged", g->verifiers[i].acknowledged);
		jw_u64(j, "in_flight", g->verifiers[i].in_flight);
		jw_u64(j, "waiting", g->verifiers[i].waiting);
		jw_u64(j, "proven", g->verifiers[i].proven);
		jw_bool(j, "quote_pending", g->verifiers[i].quote_pending);
		jw_object_end(j);
	}
	jw_array_end(j);
}

void stats_json(struct writer *w, const struct stats *s, const struct stats_gathered *g, uint64_t now_us)
{
	struct json j;

	jw_begin(&j, w, true);
	jw_object(&j, NULL);
	jw_u64(&j, "uptime_us", now_us - s->started_us);
	jw_u64(&j, "cpu_us", g->cpu_us);
	jw_u64(&j, "loop_wakeups", g->loop_wakeups);
	jw_u64(&j, "tpm_commands", g->tpm_commands);
	jw_u64(&j, "entries", g->entries);
	jw_u64(&j, "acknowledged", g->acknowledged);
	jw_u64(&j, "proven", g->proven);
	jw_u64(&j, "quotes", s->quotes);
	accounts(&j, g);
	jw_object(&j, "source");
	jw_u64(&j, "from_ring", g->source.from_ring);
	jw_u64(&j, "from_list", g->source.from_list);
	jw_u64(&j, "catch_ups", g->source.catch_ups);
	jw_u64(&j, "first", g->source.first);
	jw_u64(&j, "trims", g->source.trims);
	jw_u64(&j, "lost", g->source.lost);
	jw_u64(&j, "released", g->source.released);
	jw_u64(&j, "unnoticed", g->source.unnoticed);
	jw_u64(&j, "extend_failures", g->source.extend_failures);
	jw_object_end(&j);
	jw_string(&j, "sandbox", g->sandbox);
	jw_string(&j, "support", g->source.test_source ? "test" : ring_support_name(g->source.support));
	jw_object(&j, "drops");
	for (size_t i = 1; i < EVENT_DROP_COUNT; i++)
		jw_u64(&j, drop_names[i], g->source.drops[i]);
	jw_object_end(&j);
	jw_object(&j, "batches");
	jw_u64(&j, "count", s->batches);
	jw_u64(&j, "entries", s->batch_entries);
	jw_u64(&j, "known", s->batch_known);
	jw_u64(&j, "reference_bytes", g->set_bytes);
	jw_object_end(&j);
	jw_object(&j, "quote_detail");
	jw_u64(&j, "on_change", s->quotes_on_change);
	jw_u64(&j, "demanded", s->quotes_demanded);
	jw_u64(&j, "failed", s->quotes_failed);
	jw_u64(&j, "us_total", s->quote_us_total);
	jw_u64(&j, "us_max", s->quote_us_max);
	jw_object_end(&j);
	jw_object(&j, "activations");
	jw_u64(&j, "count", s->activations);
	jw_u64(&j, "failed", s->activations_failed);
	jw_object_end(&j);
	jw_object(&j, "wire");
	jw_u64(&j, "bytes_sent", g->bytes_sent);
	jw_u64(&j, "bytes_received", g->bytes_received);
	jw_u64(&j, "hellos", g->peers.hellos);
	jw_u64(&j, "resumes", g->peers.resumes);
	jw_u64(&j, "reconnects", g->peers.reconnects);
	jw_u64(&j, "rejects", g->peers.rejects);
	jw_u64(&j, "directives", g->peers.directives);
	jw_u64(&j, "rtt_us", g->rtt_us);
	jw_object_end(&j);
	latency(&j, "reported_us", &s->reported);
	latency(&j, "proven_us", &s->proven);
	jw_object_end(&j);
	write_u8(w, '\n');
}
