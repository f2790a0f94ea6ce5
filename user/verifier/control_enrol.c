// SPDX-License-Identifier: Apache-2.0
/* Requests about enrolments: who waits and who is in, what was decided, and a decision. */
#include "verifier/control.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

const char *enrol_status_name(enum enrol_status s)
{
	switch (s) {
	case ENROL_PENDING:
		return "pending";
	case ENROL_ENROLLED:
		return "enrolled";
	case ENROL_REJECTED:
		return "rejected";
	case ENROL_REVOKED:
		return "revoked";
	}
	return "rejected";
}

static void write_time(struct json *j, const char *key, uint64_t real)
{
	char time[32];

	jw_string(j, key, real ? clock_format_rfc3339(real, time, sizeof(time)) : NULL);
}

static void write_certificate(struct json *j, const struct cert_row *c)
{
	if (!c->issuer.n && !c->manufacturer.n && !c->not_after_s) {
		jw_null(j, "certificate");
		return;
	}
	jw_object(j, "certificate");
	jw_bytes(j, "manufacturer", c->manufacturer);
	jw_bytes(j, "model", c->model);
	jw_bytes(j, "version", c->version);
	jw_bytes(j, "serial", c->serial);
	jw_bytes(j, "issuer", c->issuer);
	write_time(j, "not_after", c->not_after_s > UINT64_MAX / 1000000u ? 0 : c->not_after_s * 1000000u);
	jw_object_end(j);
}

static int write_enrolment(void *user, const struct enrolment_row *row)
{
	struct json *j = user;

	jw_object(j, NULL);
	jw_hex(j, "id", row->id, sizeof(row->id));
	jw_bytes(j, "label", row->label);
	jw_string(j, "status", enrol_status_name((enum enrol_status)row->status));
	jw_bytes(j, "how", row->how);
	jw_hex(j, "ak_name", row->ak_name, sizeof(row->ak_name));
	jw_bool(j, "ek", row->has_ek);
	write_certificate(j, &row->cert);
	write_time(j, "since", row->enrolled_real);
	write_time(j, "changed", row->changed_real);
	jw_object_end(j);
	return writer_status(j->w);
}

void control_write_enrolments(struct json *j, struct pipeline *p)
{
	jw_array(j, "enrolments");
	if (p->store->ops->each_enrolment(p->store, write_enrolment, j) < 0 && j->w->bad == 0)
		j->w->bad = -EIO;
	jw_array_end(j);
}

void control_write_refused(struct json *j, const struct pipeline *p)
{
	jw_array(j, "refused");
	for (size_t i = p->refusals.n; i-- > 0;) {
		const struct refusal *f = &p->refusals.list[i];

		if (idmap_get(&p->fleet.by_id, f->id)) /* it is known by now */
			continue;
		jw_object(j, NULL);
		jw_hex(j, "id", f->id, sizeof(f->id));
		jw_string(j, "label", f->label);
		jw_string(j, "reason", reason_name(f->reason));
		jw_u64(j, "times", f->times);
		write_time(j, "last", f->last_real);
		jw_object_end(j);
	}
	jw_array_end(j);
}

static int write_log_row(void *user, const struct enrol_log_row *row)
{
	struct json *j = user;

	jw_object(j, NULL);
	jw_u64(j, "seq", row->seq);
	write_time(j, "time", row->time_real);
	jw_hex(j, "attester", row->attester, sizeof(row->attester));
	jw_bytes(j, "label", row->label);
	jw_bytes(j, "action", row->action);
	jw_bytes(j, "who", row->who);
	jw_bytes(j, "why", row->why);
	jw_object_end(j);
	return writer_status(j->w);
}

static bool id_of(const json_t *doc, uint8_t id[WIRE_DIGEST_SIZE])
{
	const char *text = json_string_value(json_object_get(doc, "attester"));

	return text && hex_decode((struct bytes){ (const uint8_t *)text, strlen(text) }, id, WIRE_DIGEST_SIZE) == 0;
}

void control_write_enrol_log(struct json *j, struct pipeline *p, const json_t *doc)
{
	bool one = json_object_get(doc, "attester");
	uint8_t id[WIRE_DIGEST_SIZE];

	if (one && !id_of(doc, id)) {
		jw_string(j, "error", "attester is 64 hex digits");
		return;
	}
	jw_array(j, "log");
	if (p->store->ops->each_enrol_log(p->store, one ? id : NULL, LIMIT_ENROL_LOG, write_log_row, j) < 0 && j->w->bad == 0)
		j->w->bad = -EIO;
	jw_array_end(j);
}

static bool action_of(const json_t *doc, enum enrol_action *out)
{
	const char *text = json_string_value(json_object_get(doc, "enrol"));

	for (unsigned int i = 0; text && i < ENROL_ACTIONS; i++) {
		if (strcmp(text, enrol_action_name((enum enrol_action)i)) == 0) {
			*out = (enum enrol_action)i;
			return true;
		}
	}
	return false;
}

void control_enrol(struct json *j, struct pipeline *p, const json_t *doc, const struct asker *asker,
		   const struct instant *now)
{
	const json_t *why = json_object_get(doc, "why");
	const char *refusal = NULL;
	uint8_t id[WIRE_DIGEST_SIZE];
	enum enrol_action action;
	char text[160];
	int r;

	snprintf(text, sizeof(text), "why is too long: at most %u bytes", LIMIT_ENROL_WHY);
	if (!asker->may_change)
		refusal = CONTROL_NO_CHANGE;
	else if (!action_of(doc, &action))
		refusal = "enrol is approve, reject, revoke or forget";
	else if (!id_of(doc, id))
		refusal = "attester is 64 hex digits: the whole id";
	else if (why && !json_is_string(why))
		refusal = "why is text";
	else if (json_string_length(why) > LIMIT_ENROL_WHY)
		refusal = text;
	if (refusal) {
		jw_string(j, "error", refusal);
		return;
	}
	r = pipeline_enrolment(p, action, id, asker->who, why ? json_string_value(why) : "", now, &refusal);
	if (r < 0) {
		snprintf(text, sizeof(text), "the decision could not be stored (%s): nothing changed", strerror(-r));
		refusal = text;
	}
	if (r != 0) {
		jw_string(j, "error", refusal);
		return;
	}
	jw_hex(j, "attester", id, sizeof(id));
	jw_string(j, "done", enrol_action_name(action));
	jw_string(j, "who", asker->who);
}
