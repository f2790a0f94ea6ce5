// SPDX-License-Identifier: Apache-2.0
/* What quotes say of a boot: resets, restarts, the clock, the values of boot PCRs. */
#include "policy/imapolicy.h"
#include "verifier/pipeline_internal.h"

#define REASON_BIT(r) (1ull << ((r) % 64))

int pipeline_finding(struct pipeline *p, struct attester *a, struct boot *b, enum reason reason, uint64_t index,
		     const struct finding_source *source, bool *fresh)
{
	const struct reason_info *info = reason_info((unsigned int)reason);
	struct finding f = { .index = index, .reason = reason, .severity = info ? info->severity : SEVERITY_FAIL };

	return journal_finding(&p->journal, a, b, &f, source, p->now.real, fresh);
}

/* An event that is no finding; the boot's reasons show that there was one. */
static int boot_event(struct pipeline *p, struct attester *a, struct boot *b, const char *kind, enum reason reason)
{
	struct event_facts f = { .attester = a, .reason = reason };

	b->reasons[reason / 64] |= REASON_BIT(reason);
	return journal_event(&p->journal, kind, &f, p->now.real);
}

int pipeline_accept_boot(struct pipeline *p, struct session *s, const struct attest *q)
{
	struct attester *a = s->attester;
	struct boot *b = s->boot;
	struct event_facts f = { .attester = a, .reason = REASON_REBOOTED };
	bool rebooted = a->boot && b == a->claimed, resumed = b->confirmed && q->restart_count > b->restart_count;
	int r = 0;

	b->confirmed = true;
	b->restart_count = s->restart_count = q->restart_count;
	b->clock_ms = q->clock_ms;
	s->quoted = true;
	if (b == a->claimed) {
		if (a->boot)
			pipeline_close_pendings(p, a, a->boot);
		boot_free(&a->boot);
		a->boot = TAKE_PTR(a->claimed);
		memset(a->findings_told, 0, sizeof(a->findings_told));
	}
	if (rebooted)
		r = journal_event(&p->journal, "rebooted", &f, p->now.real);
	if (r == 0 && resumed)
		r = boot_event(p, a, b, "resumed", REASON_TPM_RESUMED);
	if (r == 0 && !q->safe && !(b->reasons[REASON_CLOCK_UNSAFE / 64] & REASON_BIT(REASON_CLOCK_UNSAFE)))
		r = boot_event(p, a, b, "clock-unsafe", REASON_CLOCK_UNSAFE);
	return r;
}

void pipeline_keep_allowed_keys(const struct pipeline *p, struct attester *a, struct boot *b)
{
	struct judgement j = pipeline_judgement(p, a);

	if (b->learned)
		learned_keep_allowed(b->learned, j.now.policy, j.before);
}

static int boot_pcr_finding(struct pipeline *p, struct attester *a, struct boot *b, unsigned int pcr, uint64_t index,
			    const char *detail)
{
	const char *bank = hash_name(b->bank);
	struct finding_source source = { .proven = true, .has_pcr = true, .pcr = pcr, .value = boot_value(b, pcr),
					 .detail = detail };

	if (source.value.n)
		source.bank = (struct bytes){ (const uint8_t *)bank, strlen(bank) };
	return pipeline_finding(p, a, b, REASON_BOOT_PCR, index, &source, NULL);
}

int pipeline_judge_boot_pcrs(struct pipeline *p, struct attester *a, struct boot *b,
			     void (*found)(void *user, uint64_t index), void *user)
{
	struct judgement j = pipeline_judgement(p, a);
	int r = 0;

	for (unsigned int pcr = 0; r == 0 && pcr < TPM_PCR_COUNT; pcr++) {
		enum boot_pcr_answer answer = appraise_boot_pcr(j.now.policy, b, pcr);

		if (answer == BOOT_PCR_FINE || (j.before && appraise_boot_pcr(j.before, b, pcr) == BOOT_PCR_FINE))
			continue;
		if (found)
			found(user, pcr);
		r = boot_pcr_finding(p, a, b, pcr, pcr,
				     answer == BOOT_PCR_OPEN ? "the policy pins this boot PCR, and no quote covers it in such a bank" :
							       NULL);
	}
	return r;
}

bool pipeline_ima_policy_missing(const struct pipeline *p, const struct boot *b)
{
	const struct imapolicies *known = p->rules.appraisal.ima_policies;

	return known && imapolicies_required(known) && b->matched && !(b->flags & BOOT_IMA_POLICY_SEEN);
}

int pipeline_tell_ima_policy(struct pipeline *p, struct attester *a, struct boot *b)
{
	struct finding_source source = { .proven = true, .detail = "rules are required, and no IMA policy is in the proven list" };

	return pipeline_ima_policy_missing(p, b) ? pipeline_finding(p, a, b, REASON_IMA_POLICY_UNKNOWN, 0, &source, NULL) : 0;
}

int pipeline_judge_boot(struct pipeline *p, struct session *s)
{
	int64_t changed = appraise_keep_boot_values(s);
	int r = changed < 0 ? (int)changed : 0;

	for (unsigned int pcr = 0; r == 0 && changed && pcr < TPM_PCR_COUNT; pcr++)
		if (changed & (int64_t)(1u << pcr))
			r = boot_pcr_finding(p, s->attester, s->boot, pcr, BOOT_PCR_CHANGED_INDEX + pcr,
					     "the value of a boot PCR changed within one boot");
	if (r == 0)
		r = pipeline_judge_boot_pcrs(p, s->attester, s->boot, NULL, NULL);
	return r < 0 ? r : pipeline_tell_ima_policy(p, s->attester, s->boot);
}
