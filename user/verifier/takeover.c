// SPDX-License-Identifier: Apache-2.0
/* Which of two sessions of one attester counts. A HELLO proves nothing, so its session is pending and changes nothing,
 * until a QUOTE shows that it holds the key; then it takes over. When the older session still lives, two hosts may hold
 * one key (a copied virtual TPM): the older one is asked for a quote first, and keeps its place if it answers. */
#include <stdio.h>

#include "verifier/pipeline_internal.h"

#define CONTEST_US 3000000u   /* to answer */
#define DEFENDED_US 10000000u /* an answer counts against newcomers for so long; then it is asked again */

/* Its WAIT is held, and the connection of that is not known to be closed. */
static bool alive(const struct pipeline *p, const struct session *s)
{
	return s->wait && (!p->io.open || p->io.open(p->io.user, s->wait));
}

int pipeline_contest(struct pipeline *p, struct attester *a)
{
	struct session *s = a->session;
	int r;

	if (!s)
		return 0;
	if (s->contested_mono && (!s->defended_mono || p->now.mono - s->defended_mono < DEFENDED_US))
		return 0; /* asked already */
	s->contested_mono = s->defended_mono = 0;
	if (!alive(p, s))
		return 0;
	s->contested_mono = p->now.mono;
	r = pipeline_challenge(p, s);
	pipeline_arm(p, a);
	return r;
}

enum rivalry { RIVAL_GONE, RIVAL_ASKED, RIVAL_ALIVE };

static int look_at_rival(struct pipeline *p, struct attester *a, enum rivalry *out)
{
	struct session *s = a->session;
	int r = pipeline_contest(p, a); /* not the first time, but when HELLO met it between two WAITs */

	*out = RIVAL_GONE;
	if (r < 0 || !s || !s->contested_mono)
		return r;
	if (s->defended_mono && alive(p, s))
		*out = RIVAL_ALIVE;
	else /* one that answered and is between two WAITs shows itself soon; or it was killed since, and nobody is to blame */
		*out = p->now.mono - MAX(s->contested_mono, s->defended_mono) < CONTEST_US ? RIVAL_ASKED : RIVAL_GONE;
	return 0;
}

int pipeline_is_heard(struct pipeline *p, struct attester *a, bool *out)
{
	enum rivalry rival;
	int r = look_at_rival(p, a, &rival);

	if (r == 0)
		*out = rival != RIVAL_GONE;
	return r;
}

static int finding(struct pipeline *p, struct attester *a, struct boot *b, enum reason reason, uint64_t index)
{
	const struct reason_info *info = reason_info(reason);
	struct finding f = { .index = index, .reason = reason, .severity = info ? info->severity : SEVERITY_FAIL };
	struct finding_source source = { .proven = true };
	enum wire_state before = a->state;
	enum reason why = a->state_reason;
	int r = fleet_load_boot(&p->fleet, a, b);

	if (r == 0)
		r = journal_finding(&p->journal, a, b, &f, &source, p->now.real, NULL);
	return r < 0 ? r : pipeline_settle_state(p, a, before, why);
}

/* Ends a pending session. Its WAIT must tell the same as its QUOTE: whichever comes first is what the collector goes by. */
static int turn_away(struct pipeline *p, struct exchange *ex, struct session *s, enum reason reason, const char *detail,
		     uint32_t retry_ms)
{
	struct wire_message m = { .type = WIRE_REJECT, .reject = { .reason = reason, .retry_ms = retry_ms } };

	if (detail)
		m.reject.detail = (struct bytes){ (const uint8_t *)detail, strlen(detail) };
	pipeline_close_pending(p, s, &m);
	return pipeline_reject(ex, reason, detail, retry_ms);
}

/* Two hosts hold the key: the one that was here stays. */
static int refuse_duplicate(struct pipeline *p, struct exchange *ex, struct session *s)
{
	struct attester *a = s->attester;
	struct event_facts f = { .attester = a, .reason = REASON_IDENTITY_DUPLICATE, .severity = SEVERITY_FAIL };
	int r = 0;

	fleet_touch(&p->fleet, a);
	if (pipeline_refusal_is_new(p, a, REFUSED_DUPLICATE))
		r = pipeline_tell_rejected(p, &f);
	if (r == 0) /* once for each boot: it is always entry 0 */
		r = finding(p, a, a->session->boot, REASON_IDENTITY_DUPLICATE, 0);
	return r < 0 ? r : turn_away(p, ex, s, REASON_IDENTITY_DUPLICATE, NULL, RETRY_LATER_MS);
}

/* A first quote that is bad. Somebody who does not hold the key can bring it about, so that nobody is blamed for it; when
 * the key signed it, the attester is. */
static int refuse_first_quote(struct pipeline *p, struct exchange *ex, struct session *s, enum reason why, bool vouched)
{
	struct attester *a = s->attester;
	struct event_facts f = { .reason = why, .severity = SEVERITY_FAIL, .id = { a->id, sizeof(a->id) },
				 .label = { (const uint8_t *)a->label, strlen(a->label) },
				 .detail = "the first quote of a session that had not shown its key" };
	int r;

	if (vouched && a->boot) {
		fleet_touch(&p->fleet, a);
		r = finding(p, a, a->boot, why, a->boot->proven);
	} else {
		r = pipeline_tell_rejected(p, &f);
	}
	return r < 0 ? r : turn_away(p, ex, s, why, NULL, RETRY_SOON_MS);
}

/* The boot that HELLO announced is announced by the key now. */
static int claim_boot(struct pipeline *p, struct session *s)
{
	struct attester *a = s->attester;
	int r = pipeline_drop_claim(p, a);

	if (r < 0)
		return r;
	s->owns_boot = false;
	a->claimed = s->boot;
	a->claimed->number = ++a->boots;
	return 0;
}

static int promote(struct pipeline *p, struct session *s)
{
	struct attester *a = s->attester;
	int r = 0;

	fleet_touch(&p->fleet, a);
	pipeline_close_session(p, a, true);
	if (s->owns_boot)
		r = claim_boot(p, s);
	if (r < 0)
		return r;
	fleet_promote_session(&p->fleet, s);
	free(a->kernel);
	a->kernel = TAKE_PTR(s->kernel);
	a->list_length = MAX(s->list_length, s->boot->next);
	if (!a->deadline_real)
		pipeline_extend_deadline(p, a, &p->now);
	pipeline_arm(p, a);
	return 1;
}

/* Another session has made the boot known that this one announces. */
static bool announced_known(const struct session *s)
{
	const struct boot *current = s->attester->boot, *claimed = s->attester->claimed;

	if (!s->owns_boot)
		return false;
	if (current && current->reset_count == s->boot->reset_count)
		return true;
	return claimed && claimed->reset_count == s->boot->reset_count && claimed->bank == s->boot->bank;
}

/* An answer from before the newcomer came says nothing: the host may have been started anew since, and its connection still look
 * open. So it is asked once more; those that come again within a while are one and the same newcomer. */
static void forget_old_answer(const struct pipeline *p, const struct session *newcomer)
{
	struct session *s = newcomer->attester->session;

	if (!s)
		return;
	if (!s->rival_mono || p->now.mono - s->rival_last_mono > DEFENDED_US)
		s->rival_mono = newcomer->challenged_mono; /* its HELLO */
	s->rival_last_mono = p->now.mono;
	if (s->defended_mono && s->defended_mono < s->rival_mono)
		s->contested_mono = s->defended_mono = 0;
}

int pipeline_take_over(struct pipeline *p, struct exchange *ex, struct session *s, enum reason why, bool vouched)
{
	struct attester *a = s->attester;
	enum rivalry rival;
	int r;

	if (why != REASON_NONE && (!vouched || a->boot))
		return refuse_first_quote(p, ex, s, why, vouched);
	if (announced_known(s))
		return turn_away(p, ex, s, REASON_SESSION_UNKNOWN, NULL, RETRY_AT_ONCE_MS);
	forget_old_answer(p, s);
	r = look_at_rival(p, a, &rival);
	if (r < 0)
		return r;
	switch (rival) {
	case RIVAL_ALIVE:
		return refuse_duplicate(p, ex, s);
	case RIVAL_ASKED:
		return turn_away(p, ex, s, REASON_BUSY, "an older session of this host is asked first", RETRY_SOON_MS);
	case RIVAL_GONE:
		break;
	}
	return promote(p, s);
}
