// SPDX-License-Identifier: Apache-2.0
#include "verifier/journal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#define EVENT_MAX (1u << 20)

int journal_init(struct journal *j, struct store *store)
{
	int r;

	*j = (struct journal){ .store = store, .body = WRITER(EVENT_MAX) };
	r = store->ops->last_event(store, &j->committed);
	j->last = j->committed;
	return r;
}

void journal_clear(struct journal *j)
{
	writer_free(&j->body);
}

static void write_context(struct json *j, const struct finding_row *f)
{
	if (!f->has_context) {
		jw_null(j, "context");
		return;
	}
	jw_object(j, "context");
	jw_u64(j, "pid", f->pid);
	jw_u64(j, "uid", f->uid);
	jw_bytes(j, "comm", f->comm);
	jw_u64(j, "cgroup", f->cgroup);
	jw_u64(j, "mntns", f->mntns);
	jw_bool(j, "attested", false);
	jw_object_end(j);
}

void journal_write_finding(struct json *j, const struct finding_row *f)
{
	jw_u64(j, "boot", f->boot);
	jw_bool(j, "proven", f->proven_real != 0);
	if (f->pcr == FINDING_NO_ENTRY) {
		if (f->reason == REASON_EXTEND_FAILED || f->reason == REASON_LIST_REORDERED) { /* the culprit */
			jw_u64(j, "entry", f->index + 1);
			jw_u64(j, "pcr", WIRE_PCR);
		}
		return;
	}
	if (f->reason != REASON_BOOT_PCR)
		jw_u64(j, "entry", f->index + 1);
	jw_u64(j, "pcr", f->pcr);
	if (f->reason != REASON_BOOT_PCR) {
		jw_bytes(j, "template", f->template_name);
		if (f->path.n)
			jw_bytes(j, "path", f->path);
		else
			jw_null(j, "path");
	}
	if (f->digest.n) {
		cleanup_writer_ struct writer digest = WRITER(2 * HASH_MAX_SIZE + 2 * LIMIT_TEMPLATE_NAME);

		write_bytes(&digest, f->digest_alg.p, f->digest_alg.n);
		write_u8(&digest, ':');
		write_hex(&digest, f->digest.p, f->digest.n);
		jw_bytes(j, "digest", writer_view(&digest));
	} else {
		jw_null(j, "digest");
	}
	if (f->reason != REASON_BOOT_PCR)
		write_context(j, f);
}

int journal_event(struct journal *j, const char *kind, const struct event_facts *f, uint64_t now_real)
{
	const struct reason_info *info = reason_info(f->reason);
	const struct attester *a = f->attester;
	struct event_row row = { .seq = j->last + 1, .about = f->about };
	char time[32];
	struct json w;
	int r;

	writer_reset(&j->body);
	jw_begin(&w, &j->body, false);
	jw_object(&w, NULL);
	jw_u64(&w, "schema", 1);
	jw_u64(&w, "seq", row.seq);
	jw_string(&w, "time", clock_format_rfc3339(now_real, time, sizeof(time)));
	if (a)
		jw_hex(&w, "attester", a->id, sizeof(a->id));
	else if (f->id.n)
		jw_hex(&w, "attester", f->id.p, f->id.n);
	else
		jw_null(&w, "attester");
	if (a)
		jw_string(&w, "label", a->label);
	else
		jw_bytes(&w, "label", f->label);
	jw_string(&w, "event", kind);
	jw_string(&w, "state", a ? verdict_state_name(a->state) : NULL);
	jw_string(&w, "reason", f->reason ? reason_name(f->reason) : NULL);
	jw_string(&w, "severity", severity_name(f->severity));
	if (f->finding) {
		journal_write_finding(&w, f->finding);
		row.measured_real = f->finding->measured_real;
	}
	jw_string(&w, "text", f->detail ? f->detail : info ? info->text : NULL);
	r = writer_status(&j->body);
	if (r < 0)
		return r;
	row.body = writer_view(&j->body);
	r = j->store->ops->add_event(j->store, &row);
	if (r == 0)
		j->last = row.seq;
	return r;
}

static void write_ms(struct json *j, const char *key, uint64_t from, uint64_t to)
{
	if (from && to)
		jw_double(j, key, to > from ? (double)(to - from) / 1000.0 : 0.0, 1);
	else
		jw_null(j, key);
}

void journal_render(struct writer *w, const struct event_row *row, uint64_t published_real)
{
	uint64_t at = row->published_real ? row->published_real : published_real;
	struct json j;

	write_bytes(w, row->body.p, row->body.n);
	/* the body is an object that is still open and not empty */
	jw_begin(&j, w, false);
	j.depth = 1;
	j.has_member = 2;
	write_ms(&j, "reported_ms", row->measured_real,
		 row->about && row->about_published_real ? row->about_published_real : at);
	write_ms(&j, "proven_ms", row->about ? row->measured_real : 0, at);
	jw_object_end(&j);
}

/* A host must not fill the disk with findings: past the limit, and when this boot has its reason already, one is counted
 * only. Warnings do not take the room of failures. The count is the attester's: it also bounds boots that are announced
 * again and again and never proven. */
static bool told_enough(const struct attester *a, const struct boot *b, const struct finding *f)
{
	enum reason reason = f->reason;

	return a->findings_told[f->severity] >= LIMIT_FINDINGS && (unsigned int)reason < 128 &&
	       b->reasons[reason / 64] & (1ull << (reason % 64));
}

int journal_finding(struct journal *j, struct attester *a, struct boot *b, const struct finding *found,
		    const struct finding_source *source, uint64_t now_real, bool *fresh)
{
	const struct wire_context *ctx = source->context;
	const struct ima_fields *fields = source->fields;
	struct finding_row row = {
		.boot = b->number,
		.index = found->index,
		.reason = found->reason,
		.severity = found->severity,
		.pcr = source->entry ? source->entry->pcr : source->has_pcr ? source->pcr : FINDING_NO_ENTRY,
		.digest_alg = source->bank,
		.digest = source->value,
		.found_real = now_real,
		.measured_real = source->measured_real,
		.proven_real = source->proven ? now_real : 0,
		.event = j->last + 1,
	};
	struct event_facts facts = {
		.attester = a, .reason = found->reason, .severity = found->severity, .finding = &row, .detail = source->detail
	};
	bool added = false;
	int r;

	if (told_enough(a, b, found)) {
		verdict_count(b, found->reason, found->severity);
		if (fresh)
			*fresh = false;
		return 0;
	}
	bytes_copy(row.attester, a->id, sizeof(row.attester));
	if (source->entry)
		row.template_name = source->entry->name;
	if (fields) {
		row.path = (struct bytes){ fields->path.p, MIN(fields->path.n, (size_t)JOURNAL_PATH_MAX) };
		row.digest_alg = (struct bytes){ fields->alg.p, MIN(fields->alg.n, (size_t)LIMIT_TEMPLATE_NAME) };
		row.digest = (struct bytes){ fields->digest.p, MIN(fields->digest.n, (size_t)HASH_MAX_SIZE) };
	}
	if (ctx && ctx->present) {
		row.has_context = true;
		row.pid = ctx->pid;
		row.uid = ctx->uid;
		row.cgroup = ctx->cgroup;
		row.mntns = ctx->mntns;
		row.comm = (struct bytes){ (const uint8_t *)ctx->comm, strnlen(ctx->comm, sizeof(ctx->comm)) };
	}
	r = j->store->ops->add_finding(j->store, &row, &added);
	if (fresh)
		*fresh = added;
	if (r < 0 || !added)
		return r;
	verdict_count(b, found->reason, found->severity);
	a->findings_told[found->severity]++;
	if (!source->proven && row.pcr != FINDING_NO_ENTRY)
		b->unproven_findings++;
	a->state = verdict_state(a, &a->state_reason); /* the event shows the state that the finding makes */
	return journal_event(j, "finding", &facts, now_real);
}

struct proving {
	struct journal *journal;
	struct attester *attester;
	struct boot *boot;
	uint64_t now_real;
	size_t count;
};

static int prove_one(void *user, const struct finding_row *found)
{
	struct proving *p = user;
	struct finding_row row = *found;
	struct event_facts facts = { .attester = p->attester, .reason = (enum reason)row.reason,
				     .severity = (enum severity)row.severity, .finding = &row, .about = row.event };

	row.proven_real = p->now_real;
	p->count++;
	if (p->boot->unproven_findings)
		p->boot->unproven_findings--;
	return journal_event(p->journal, "finding-proven", &facts, p->now_real);
}

int journal_prove(struct journal *j, struct attester *a, struct boot *b, uint64_t now_real)
{
	struct proving p = { .journal = j, .attester = a, .boot = b, .now_real = now_real };
	int r = 0;

	while (r == 0 && b->unproven_findings) {
		p.count = 0;
		r = j->store->ops->prove_findings(j->store, a->id, b->number, b->proven, now_real, LIMIT_FINDINGS_KEPT,
						  prove_one, &p);
		if (p.count < LIMIT_FINDINGS_KEPT)
			break;
	}
	return r;
}
