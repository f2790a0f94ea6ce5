// SPDX-License-Identifier: Apache-2.0
#include "ima/match.h"

#include "imastream/limits.h"

/* What one entry extends, kept so that many orders can be tried without hashing its data again. */
struct step {
	uint32_t pcr;
	uint8_t digest[HASH_COUNT][HASH_MAX_SIZE];
};

static int open_whole(struct ima_list **out, const struct ima_whole_list *l)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	int r = ima_list_new(&list, l->format, l->digest_size);

	r = r < 0 ? r : ima_list_lend(list, l->bytes);
	if (r < 0)
		return r;
	*out = TAKE_PTR(list);
	return 0;
}

static bool concerns(const struct ima_target *t, uint32_t pcr)
{
	return t->pcrs & 1u << pcr;
}

int ima_match_rules(const struct ima_whole_list *l, const struct ima_target *t, const enum ima_bank_rule rule[HASH_COUNT],
		    struct ima_match *out)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct ima_replay state;
	struct ima_entry e;
	bool reached;
	int r = open_whole(&list, l);

	if (r < 0)
		return r;
	ima_replay_init(&state);
	bytes_copy(state.rule, rule, sizeof(state.rule));
	reached = t->reached(t->user, &state);
	while (!reached && ima_list_next(list, &e) == IMA_LIST_ENTRY) {
		ima_replay_entry(&state, &e, t->banks);
		if (concerns(t, e.pcr))
			reached = t->reached(t->user, &state);
	}
	*out = (struct ima_match){ .reached = reached, .at_entry = state.entries };
	bytes_copy(out->rule, rule, sizeof(out->rule));
	return 0;
}

int ima_match_padded(const struct ima_whole_list *l, const struct ima_target *t, struct ima_match *out)
{
	unsigned int combinations = 1;

	*out = (struct ima_match){ 0 };
	for (enum hash_alg a = HASH_SHA256; a < HASH_COUNT; a++)
		if (t->banks & 1u << a)
			combinations *= IMA_BANK_RULES;
	/* a number in base IMA_BANK_RULES, one digit a bank; 0 is the own hash everywhere */
	for (unsigned int c = 1; c < combinations; c++) {
		enum ima_bank_rule rule[HASH_COUNT] = { IMA_BANK_OWN };
		unsigned int digits = c;
		int r;

		for (enum hash_alg a = HASH_SHA256; a < HASH_COUNT; a++) {
			if (!(t->banks & 1u << a))
				continue;
			rule[a] = (enum ima_bank_rule)(digits % IMA_BANK_RULES);
			digits /= IMA_BANK_RULES;
		}
		r = ima_match_rules(l, t, rule, out);
		if (r < 0 || out->reached)
			return r;
	}
	return 0;
}

static void take_step(struct ima_replay *state, const struct step *s, unsigned int banks)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		if (banks & 1u << a)
			hash_extend(a, state->pcr[s->pcr][a], s->digest[a]);
	state->entries++;
}

/* The list's own digest column instead of the hash of data that does not fit it. */
static int try_column(const struct ima_whole_list *l, const struct ima_target *t, struct ima_diagnosis *out)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct ima_replay state;
	struct ima_entry e;
	uint64_t first = 0, count = 0;
	int r = open_whole(&list, l);

	if (r < 0)
		return r;
	ima_replay_init(&state);
	while (ima_list_next(list, &e) == IMA_LIST_ENTRY) {
		struct step s = { .pcr = e.pcr };
		bool fits = ima_digest_matches(&e);

		for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
			if (!(t->banks & 1u << a))
				continue;
			if (fits || hash_size(a) != e.digest.n)
				ima_template_digest(&e, a, s.digest[a]);
			else
				bytes_copy(s.digest[a], e.digest.p, e.digest.n);
		}
		take_step(&state, &s, t->banks);
		if (!fits && count++ == 0)
			first = state.entries;
		if (count && concerns(t, e.pcr) && t->reached(t->user, &state)) {
			out->suspicion = IMA_SUSPECT_CHANGED;
			out->entry = first;
			out->count = count;
			out->at_entry = state.entries;
			return 0;
		}
	}
	return 0;
}

/* Goes on from `state` over steps [from, n); true as soon as the values are reached. */
static bool walk(struct ima_replay *state, const struct step *steps, size_t from, size_t n, const struct ima_target *t)
{
	for (size_t i = from; i < n; i++) {
		take_step(state, &steps[i], t->banks);
		if (concerns(t, steps[i].pcr) && t->reached(t->user, state))
			return true;
	}
	return false;
}

static void suspect(struct ima_diagnosis *out, enum ima_suspicion what, uint64_t entry, uint64_t at_entry)
{
	out->suspicion = what;
	out->entry = entry;
	out->at_entry = at_entry;
}

/* `before` is the state in front of steps[0], which is entry before->entries + 1. */
static void try_single_faults(const struct ima_replay *before, const struct step *steps, size_t n, const struct ima_target *t,
			      struct ima_diagnosis *out)
{
	struct ima_replay here = *before, state;

	for (size_t k = 0; k < n; k++) {
		uint64_t entry = here.entries + 1;

		state = here;
		state.entries++; /* in the list, not in the PCR */
		if (walk(&state, steps, k + 1, n, t)) {
			suspect(out, IMA_SUSPECT_SKIPPED, entry, state.entries);
			return;
		}
		if (k + 1 < n) {
			state = here;
			take_step(&state, &steps[k + 1], t->banks);
			take_step(&state, &steps[k], t->banks);
			if (t->reached(t->user, &state) || walk(&state, steps, k + 2, n, t)) {
				suspect(out, IMA_SUSPECT_SWAPPED, entry, state.entries);
				return;
			}
		}
		take_step(&here, &steps[k], t->banks);
	}
}

int ima_diagnose(const struct ima_whole_list *l, const struct ima_target *t, struct ima_diagnosis *out)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	cleanup_free_ struct step *steps = NULL;
	size_t n = (size_t)MIN(l->entries, (uint64_t)LIMIT_DIAGNOSE_WINDOW), kept = 0;
	struct ima_replay before;
	struct ima_entry e;
	int r;

	*out = (struct ima_diagnosis){ .tried = n };
	r = try_column(l, t, out);
	if (r < 0 || out->suspicion != IMA_SUSPECT_UNKNOWN || n == 0)
		return r;
	r = open_whole(&list, l);
	steps = calloc(n, sizeof(*steps));
	if (r < 0 || !steps)
		return r < 0 ? r : -ENOMEM;
	ima_replay_init(&before);
	while (kept < n && ima_list_next(list, &e) == IMA_LIST_ENTRY) {
		if (before.entries < l->entries - n) {
			ima_replay_entry(&before, &e, t->banks);
			continue;
		}
		steps[kept].pcr = e.pcr;
		for (enum hash_alg a = 0; a < HASH_COUNT; a++)
			if (t->banks & 1u << a)
				ima_template_digest(&e, a, steps[kept].digest[a]);
		kept++;
	}
	try_single_faults(&before, steps, kept, t, out);
	return 0;
}
