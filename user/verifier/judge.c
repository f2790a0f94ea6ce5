// SPDX-License-Identifier: Apache-2.0
#include "verifier/judge.h"

bool judge_is_of_policy(enum reason reason)
{
	return (reason >= REASON_DIGEST_UNKNOWN && reason <= REASON_DIGEST_WEAK) || reason == REASON_IMA_POLICY_WEAK ||
	       reason == REASON_IMA_POLICY_UNKNOWN;
}

static bool refused(const struct finding *list, size_t n, bool *denied)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (!judge_is_of_policy(list[i].reason) || list[i].severity != SEVERITY_FAIL)
			continue;
		any = true;
		*denied = *denied || list[i].reason == REASON_DENIED;
	}
	return any;
}

/* The policy before says otherwise: its word counts, next to what no policy decides. */
static void ask_before(const struct judgement *j, struct boot *b, const struct ima_entry *e, uint64_t index, bool sound,
		       struct entry_findings *out)
{
	struct appraisal rules = appraise_rules_of(&j->now, b);
	struct finding old[4];
	bool denied = false;
	size_t n, kept = 0;

	if (!j->before || !refused(out->list, out->n, &denied) || denied)
		return;
	rules.policy = j->before;
	n = appraise_entry(&rules, e, sound ? &out->fields : NULL, index, old);
	if (refused(old, n, &denied))
		return;
	b->by_before++;
	for (size_t i = 0; i < out->n; i++)
		if (!judge_is_of_policy(out->list[i].reason))
			out->list[kept++] = out->list[i];
	for (size_t i = 0; i < n && kept < ARRAY_SIZE(out->list); i++)
		out->list[kept++] = old[i];
	out->n = kept;
}

/* A key that only the policy before allows vouches until the overlap ends. */
static int learn_before(const struct judgement *j, struct boot *b, const struct ima_entry *e, const struct ima_fields *f)
{
	return j->before ? appraise_learn(j->before, b, e, f) : 0;
}

int judge_entry(const struct judgement *j, struct boot *b, uint32_t pcr_mask, const struct ima_entry *e, uint64_t index,
		struct entry_findings *out)
{
	bool sound;
	int r = appraise_stage(&j->now, b, pcr_mask, e, index, false, out);

	if (r < 0 || !j->before)
		return r;
	sound = ima_fields_parse(e, &out->fields);
	if (out->n)
		ask_before(j, b, e, index, sound, out);
	return sound ? learn_before(j, b, e, &out->fields) : 0;
}

int judge_again(const struct judgement *j, struct boot *b, const struct ima_entry *e, uint64_t index, struct entry_findings *out)
{
	bool sound;
	int r = appraise_stage(&j->now, b, 0, e, index, true, out);

	if (r < 0 || !j->before)
		return r;
	sound = ima_fields_parse(e, &out->fields);
	ask_before(j, b, e, index, sound, out);
	return sound ? learn_before(j, b, e, &out->fields) : 0;
}
