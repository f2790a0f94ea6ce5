// SPDX-License-Identifier: Apache-2.0
/* What people decide about attesters: approve, reject, revoke, forget. Each decision is a row of the log and an event, in one
 * transaction with what it changes. */
#include "verifier/pipeline_internal.h"

static struct bytes text_view(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

int pipeline_log_enrolment(struct pipeline *p, const struct attester *a, const char *action, const char *who,
			   const char *why)
{
	struct enrol_log_row row = { .time_real = p->now.real, .label = text_view(a->label), .action = text_view(action),
				     .who = text_view(who), .why = text_view(why) };

	bytes_copy(row.attester, a->id, sizeof(row.attester));
	return p->store->ops->add_enrol_log(p->store, &row);
}

int pipeline_set_enrolment(struct pipeline *p, struct attester *a, enum enrol_status status, const char *how,
			   const struct cert_row *cert)
{
	fleet_touch(&p->fleet, a);
	p->waiting -= a->status == ENROL_PENDING;
	p->waiting += status == ENROL_PENDING;
	a->status = status;
	a->changed_real = p->now.real;
	memset(a->refused_mono, 0, sizeof(a->refused_mono));
	if (status == ENROL_ENROLLED) {
		a->stale = false;
		pipeline_extend_deadline(p, a, &p->now);
	} else {
		a->deadline_real = a->deadline_mono = 0;
		pipeline_arm(p, a);
	}
	return p->store->ops->set_enrolment(p->store, a->id, status, a->changed_real, how, cert);
}

/* Ends all sessions, with the reason. */
static void expel(struct pipeline *p, struct attester *a, enum reason reason)
{
	struct wire_message m = { .type = WIRE_REJECT, .reject = { .reason = reason, .retry_ms = RETRY_LATER_MS } };

	if (a->session)
		pipeline_release_wait(p, a->session, &m);
	for (size_t i = 0; i < a->n_pending; i++)
		pipeline_release_wait(p, a->pending[i], &m);
	pipeline_close_session(p, a, false);
	pipeline_close_pendings(p, a, NULL);
}

static const struct action {
	const char *name, *done, *event; /* done: in the log */
	enum enrol_status status;
	enum reason reason;
	const char *refusal; /* when its status is not one of from */
	unsigned int from;   /* bit for each enrol_status */
} actions[ENROL_ACTIONS] = {
	[ENROL_APPROVE] = { "approve", "approved", "enrolled", ENROL_ENROLLED, REASON_ENROLLED,
			    "it does not wait for an approval; 'forget' lets one that was rejected or revoked ask again",
			    1u << ENROL_PENDING },
	[ENROL_REJECT] = { "reject", "rejected", "rejected", ENROL_REJECTED, REASON_ENROL_REJECTED,
			   "it does not wait for an approval; 'revoke' ends an enrolment", 1u << ENROL_PENDING },
	[ENROL_REVOKE] = { "revoke", "revoked", "revoked", ENROL_REVOKED, REASON_ATTESTER_REVOKED,
			   "it is not enrolled; 'reject' is for one that waits", 1u << ENROL_ENROLLED },
	[ENROL_FORGET] = { "forget", "forgotten", "forgotten", ENROL_PENDING, REASON_NONE, NULL, ~0u },
};

const char *enrol_action_name(enum enrol_action a)
{
	return a < ENROL_ACTIONS ? actions[a].name : "?";
}

static int act(struct pipeline *p, const struct action *what, struct attester *a, const char *who, const char *why)
{
	const struct reason_info *info = reason_info(what->reason);
	struct event_facts f = { .attester = a, .reason = what->reason, .severity = info ? info->severity : SEVERITY_INFO };
	cleanup_writer_ struct writer detail = WRITER(4096);
	enum wire_state before = a->state;
	enum reason why_before = a->state_reason;
	bool forget = what == &actions[ENROL_FORGET];
	int r;

	write_fmt(&detail, "%s by %s%s%s", what->done, who, *why ? ": " : "", why);
	f.detail = writer_cstr(&detail);
	if (!f.detail)
		return writer_status(&detail) < 0 ? writer_status(&detail) : -ENOMEM;
	if (what->status != ENROL_ENROLLED)
		expel(p, a, forget ? REASON_SESSION_UNKNOWN : what->reason);
	r = forget ? 0 : pipeline_set_enrolment(p, a, what->status, NULL, NULL);
	a->state = verdict_state(a, &a->state_reason);
	if (r == 0)
		r = pipeline_log_enrolment(p, a, what->done, who, why);
	if (r == 0)
		r = journal_event(&p->journal, what->event, &f, p->now.real);
	if (r == 0 && !forget)
		r = pipeline_settle_state(p, a, before, why_before);
	if (r == 0)
		r = fleet_save(&p->fleet);
	if (r == 0 && forget)
		r = p->store->ops->drop_attester(p->store, a->id);
	return r;
}

int pipeline_enrolment(struct pipeline *p, enum enrol_action action, const uint8_t id[WIRE_DIGEST_SIZE],
		       const char *who, const char *why, const struct instant *now, const char **refusal)
{
	const struct action *what = &actions[action];
	struct attester *a = idmap_get(&p->fleet.by_id, id);
	int r;

	p->now = *now;
	*refusal = "no attester has this id; see 'imastream enrol list'";
	if (!a)
		return 1;
	*refusal = what->refusal;
	if (!(what->from & (1u << a->status)))
		return 1;
	r = p->store->ops->begin(p->store);
	if (r == 0)
		r = act(p, what, a, who, why);
	if (r == 0)
		r = p->store->ops->commit(p->store);
	pipeline_close_batch(p, r == 0);
	if (r < 0 || action != ENROL_FORGET)
		return r;
	p->waiting -= a->status == ENROL_PENDING;
	fleet_forget(&p->fleet, &a);
	return 0;
}
