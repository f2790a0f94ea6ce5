// SPDX-License-Identifier: Apache-2.0
#include "verifier/control.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

static const char *support_name(uint32_t support)
{
	static const char *const names[] = {
		[WIRE_SUPPORT_POLL] = "poll", [WIRE_SUPPORT_SIGNAL] = "signal", [WIRE_SUPPORT_ORDERED] = "ordered",
		[WIRE_SUPPORT_TEST] = "test",
	};

	return support < ARRAY_SIZE(names) ? names[support] : "unknown";
}

static void write_error(struct json *j, const char *text)
{
	jw_string(j, "error", text);
}

static void write_overlap(struct json *j, const struct named_policy *named)
{
	char time[32];

	if (!named || !named->before) {
		jw_null(j, "overlap");
		return;
	}
	jw_object(j, "overlap");
	jw_u64(j, "generation", named->before_generation);
	jw_string(j, "id", policy_id(named->before));
	jw_string(j, "until", clock_format_rfc3339(named->before_until_real, time, sizeof(time)));
	jw_object_end(j);
}

static void write_policy(struct json *j, const char *key, const struct named_policy *named)
{
	const struct policy *policy = named ? named->policy : NULL;

	if (!policy) {
		jw_null(j, key);
		return;
	}
	jw_object(j, key);
	jw_string(j, "name", named->name);
	jw_string(j, "id", policy_id(policy));
	jw_u64(j, "generation", named->generation);
	if (named->source && named->source->signer.n)
		jw_bytes(j, "signer", writer_view(&named->source->signer));
	else
		jw_null(j, "signer");
	jw_bool(j, "rolled_back", *named->held != 0);
	write_overlap(j, named);
	jw_u64(j, "digests", policy_digest_count(policy));
	jw_u64(j, "paths", policy_path_count(policy));
	jw_u64(j, "excludes", policy_exclude_count(policy));
	jw_object_end(j);
}

/* "policy" is the one for everybody; "policies" all of them. */
void control_write_policies(struct json *j, const struct pipeline *p)
{
	const struct policies *set = &p->rules.policies;

	write_policy(j, "policy", policies_find(set, POLICY_DEFAULT_NAME));
	jw_array(j, "policies");
	for (size_t i = 0; i < set->n; i++)
		write_policy(j, NULL, &set->list[i]);
	jw_array_end(j);
	jw_u64(j, "rejudging", p->rejudge.n - p->rejudge.at);
}

static void write_reasons(struct json *j, const struct boot *b)
{
	jw_array(j, "reasons");
	for (unsigned int i = 0; b && reason_at(i); i++) {
		unsigned int number = (unsigned int)reason_at(i)->number;

		if (number < 128 && (b->reasons[number / 64] & (1ull << (number % 64))))
			jw_string(j, NULL, reason_at(i)->name);
	}
	jw_array_end(j);
}

static void write_session(struct json *j, const struct session *s)
{
	char time[32];

	jw_string(j, "support", s ? support_name(s->support) : NULL);
	jw_string(j, "session_since", s ? clock_format_rfc3339(s->since_real, time, sizeof(time)) : NULL);
	jw_bool(j, "test_source", s && (s->flags & WIRE_HELLO_TEST_SOURCE));
	jw_array(j, "drops");
	for (size_t i = 0; s && i < s->n_drops; i++)
		jw_u64(j, NULL, s->drops ? s->drops[i] : 0);
	jw_array_end(j);
	jw_u64(j, "extend_failures", s ? s->extend_failures : 0);
}

/* What the host's kernel counted, as its collector told last, and what of it is not stored here yet. */
static void write_count(struct json *j, const struct session *s, const struct boot *b)
{
	uint64_t stored = b ? b->next : 0;

	if (!s || s->measured == 0) {
		jw_null(j, "measured");
		jw_null(j, "in_flight");
		return;
	}
	jw_u64(j, "measured", MAX(s->measured, stored));
	jw_u64(j, "in_flight", s->measured > stored ? s->measured - stored : 0);
}

/* A deadline that passed while the store takes nothing is not stored, but it has passed. */
static enum wire_state state_now(const struct attester *a, const struct instant *now, enum reason *why)
{
	bool passed = a->deadline_mono && a->deadline_mono <= now->mono;

	*why = a->state_reason;
	if (!passed || a->state == WIRE_STATE_UNTRUSTED || a->state == WIRE_STATE_STALE)
		return a->state;
	*why = REASON_STALE;
	return WIRE_STATE_STALE;
}

static void write_attester(struct json *j, struct pipeline *p, struct attester *a, const struct instant *now)
{
	const struct named_policy *policy = pipeline_policy(p, a);
	const struct boot *b = attester_boot(a);
	enum reason why;
	enum wire_state state = state_now(a, now, &why);

	jw_object(j, NULL);
	jw_hex(j, "id", a->id, sizeof(a->id));
	jw_string(j, "label", a->label);
	jw_string(j, "enrolment", enrol_status_name(a->status));
	jw_string(j, "state", verdict_state_name(state));
	jw_string(j, "reason", why ? reason_name(why) : NULL);
	write_reasons(j, b);
	jw_u64(j, "entries", b ? b->next : 0);
	jw_u64(j, "proven", b ? b->proven : 0);
	jw_u64(j, "list_length", a->list_length);
	write_count(j, a->session, b);
	if (b && b->matched) {
		jw_object(j, "pcr10");
		jw_string(j, "bank", hash_name(b->bank));
		jw_hex(j, "value", b->proven_pcr10, hash_size(b->bank));
		jw_object_end(j);
	} else {
		jw_null(j, "pcr10");
	}
	jw_object(j, "findings");
	jw_u64(j, "fail", b ? b->fails : 0);
	jw_u64(j, "warning", b ? b->warnings : 0);
	jw_u64(j, "unproven", b ? b->unproven_findings : 0);
	jw_object_end(j);
	if (a->last_quote_real)
		jw_u64(j, "last_quote_ms_ago",
		       now->real > a->last_quote_real ? (now->real - a->last_quote_real) / 1000 : 0);
	else
		jw_null(j, "last_quote_ms_ago");
	jw_u64(j, "quotes", a->quotes);
	jw_u64(j, "heartbeat_quotes", a->heartbeat_quotes);
	if (a->deadline_mono)
		jw_i64(j, "deadline_in_ms", ((int64_t)a->deadline_mono - (int64_t)now->mono) / 1000);
	else
		jw_null(j, "deadline_in_ms");
	jw_bool(j, "stale", a->stale || state == WIRE_STATE_STALE);
	jw_u64(j, "boot", b ? b->number : 0);
	if (b) {
		jw_u64(j, "reset_count", b->reset_count);
		jw_u64(j, "restart_count", b->restart_count);
	}
	jw_u64(j, "learned_keys", b && b->learned ? learned_count(b->learned) : 0);
	jw_u64(j, "bytes_in", a->bytes_in);
	jw_u64(j, "bytes_out", a->bytes_out);
	jw_string(j, "kernel", a->kernel);
	jw_string(j, "policy", policy ? policy->name : NULL);
	jw_string(j, "policy_id", policy ? policy_id(policy->policy) : NULL);
	jw_u64(j, "policy_generation", policy ? policy->generation : 0);
	write_overlap(j, policy);
	jw_u64(j, "entries_of_overlap", b ? b->by_before : 0);
	write_session(j, a->session);
	jw_object_end(j);
}

static int by_id(const void *x, const void *y)
{
	const struct attester *a = *(const struct attester *const *)x, *b = *(const struct attester *const *)y;

	for (size_t i = 0; i < sizeof(a->id); i++)
		if (a->id[i] != b->id[i])
			return a->id[i] < b->id[i] ? -1 : 1;
	return 0;
}

static void write_status(struct json *j, struct pipeline *p, const struct instant *now)
{
	cleanup_free_ struct attester **all = alloc_bytes(p->fleet.by_id.count * sizeof(*all));
	uint64_t counts[WIRE_STATE_UNPROVEN + 1] = { 0 };
	struct attester *a;
	char time[32];
	size_t at = 0, n = 0;

	if (!all) {
		write_error(j, "out of memory");
		return;
	}
	while ((a = idmap_next(&p->fleet.by_id, &at))) {
		enum reason why;
		enum wire_state state = state_now(a, now, &why);

		all[n++] = a;
		if (state < ARRAY_SIZE(counts))
			counts[state]++;
	}
	qsort(all, n, sizeof(struct attester *), by_id);
	jw_string(j, "now", clock_format_rfc3339(now->real, time, sizeof(time)));
	jw_double(j, "uptime_s", now->real > p->started_real ? (double)(now->real - p->started_real) / 1e6 : 0, 3);
	jw_string(j, "version", IMASTREAM_VERSION);
	jw_string(j, "sandbox", p->sandbox);
	control_write_policies(j, p);
	jw_object(j, "counts");
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		jw_u64(j, verdict_state_name((enum wire_state)i), counts[i]);
	jw_object_end(j);
	jw_u64(j, "sessions", p->fleet.sessions);
	jw_u64(j, "requests", p->requests);
	jw_u64(j, "batches", p->batches);
	jw_u64(j, "failed_messages", p->failures);
	jw_u64(j, "last_event", p->journal.committed);
	jw_array(j, "attesters");
	for (size_t i = 0; i < n; i++)
		write_attester(j, p, all[i], now);
	jw_array_end(j);
	control_write_refused(j, p);
}

static int write_finding(void *user, const struct finding_row *f)
{
	struct json *j = user;
	char time[32];

	jw_object(j, NULL);
	jw_hex(j, "attester", f->attester, sizeof(f->attester));
	jw_string(j, "time", clock_format_rfc3339(f->found_real, time, sizeof(time)));
	jw_string(j, "reason", reason_name(f->reason));
	jw_string(j, "severity", severity_name((enum severity)f->severity));
	journal_write_finding(j, f);
	jw_u64(j, "event", f->event);
	jw_object_end(j);
	return writer_status(j->w);
}

struct event_list {
	struct writer *w;
	bool any;
};

/* Rendered as a whole: the object's bytes go between the array's commas. */
static int write_event(void *user, const struct event_row *row)
{
	struct event_list *list = user;

	if (list->any)
		write_u8(list->w, ',');
	list->any = true;
	journal_render(list->w, row, row->published_real);
	return writer_status(list->w);
}

static void json_cleanup(json_t **j)
{
	json_decref(*j);
}

static void write_findings(struct json *j, struct pipeline *p, const json_t *request)
{
	const char *text = json_string_value(json_object_get(request, "attester"));
	uint8_t id[WIRE_DIGEST_SIZE];

	if (text && hex_decode((struct bytes){ (const uint8_t *)text, strlen(text) }, id, sizeof(id)) < 0) {
		write_error(j, "attester is 64 hex digits");
		return;
	}
	jw_array(j, "findings");
	if (p->store->ops->each_finding(p->store, text ? id : NULL, write_finding, j) < 0 && j->w->bad == 0)
		j->w->bad = -EIO;
	jw_array_end(j);
}

static void write_events(struct json *j, struct pipeline *p, const json_t *request)
{
	struct event_list list = { .w = j->w };
	json_int_t since = json_integer_value(json_object_get(request, "since"));

	jw_u64(j, "last_event", p->journal.committed);
	jw_array(j, "events");
	if (p->store->ops->each_event(p->store, since > 0 ? (uint64_t)since : 0, false, CONTROL_EVENTS, write_event,
				      &list) < 0 &&
	    j->w->bad == 0)
		j->w->bad = -EIO;
	jw_array_end(j);
}

void control_answer(struct pipeline *p, struct bytes request, const struct asker *asker, const struct instant *now,
		    struct writer *out)
{
	cleanup_(json_cleanup) json_t *doc = NULL;
	const char *get;
	struct json j;

	jw_begin(&j, out, false);
	jw_object(&j, NULL);
	jw_u64(&j, "schema", 1);
	if (request.n <= CONTROL_REQUEST_MAX)
		doc = json_loadb((const char *)request.p, request.n, JSON_REJECT_DUPLICATES, NULL);
	get = json_string_value(json_object_get(doc, "get"));
	if (!get && json_object_get(doc, "enrol"))
		control_enrol(&j, p, doc, asker, now);
	else if (!get)
		write_error(&j, "a request is {\"get\":\"status\"}, {\"get\":\"findings\"} or "
				"{\"get\":\"events\",\"since\":N}");
	else if (strcmp(get, "status") == 0)
		write_status(&j, p, now);
	else if (strcmp(get, "findings") == 0)
		write_findings(&j, p, doc);
	else if (strcmp(get, "events") == 0)
		write_events(&j, p, doc);
	else if (strcmp(get, "enrolments") == 0)
		control_write_enrolments(&j, p);
	else if (strcmp(get, "enrolment-log") == 0)
		control_write_enrol_log(&j, p, doc);
	else
		write_error(&j, "unknown request");
	jw_object_end(&j);
}
