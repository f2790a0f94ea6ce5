// SPDX-License-Identifier: Apache-2.0
/* The list against a TPM quote and against PCR values that the operator expects. */
#include <stdio.h>

#include "base/text.h"
#include "cli/log_verify.h"

/* IMA's own PCR (CONFIG_IMA_MEASURE_PCR_IDX) always comes from the list: else a list without its entries would pass with
 * the value that the host gave. */
#define IMA_PCR 10u

/* What the composite of a quote is made of. */
struct quoted {
	const struct log_inputs *in;
	const struct attest *attest;
	enum hash_alg hash;
	uint32_t in_list; /* PCRs that the replay gives */
};

struct quoted_at {
	const struct quoted *q;
	const struct ima_replay *state;
};

/* A value for a PCR that the list says nothing about; NULL when nobody gave one. */
static const uint8_t *given_value(const struct log_inputs *in, enum hash_alg bank, unsigned int index)
{
	for (size_t i = 0; i < in->n_expected; i++)
		if (in->expected[i].index == index && in->expected[i].bank == bank)
			return in->expected[i].value;
	if (in->pcrs && in->pcrs->present[bank] & 1u << index)
		return in->pcrs->value[bank][index];
	return NULL;
}

static const uint8_t *value_at(void *user, uint16_t alg, unsigned int index)
{
	const struct quoted_at *at = user;
	const uint8_t *given;
	enum hash_alg bank;

	if (!hash_from_tpm_alg(alg, &bank) || index > LIMIT_PCR)
		return NULL;
	if (at->q->in_list & 1u << index)
		return at->state->pcr[index][bank];
	given = given_value(at->q->in, bank, index);
	return given ? given : at->state->pcr[index][bank]; /* never extended: its reset value */
}

static bool quote_reached(const void *user, const struct ima_replay *state)
{
	struct quoted_at at = { user, state };

	return quote_check_composite(at.q->attest, at.q->hash, value_at, &at) == QUOTE_OK;
}

struct expected_at {
	const struct log_inputs *in;
	uint32_t skip; /* PCRs that only the quote is about */
};

static bool expected_reached(const void *user, const struct ima_replay *state)
{
	const struct expected_at *at = user;

	for (size_t i = 0; i < at->in->n_expected; i++) {
		const struct expected_pcr *e = &at->in->expected[i];

		if (at->skip & 1u << e->index)
			continue;
		if (!bytes_equal(state->pcr[e->index][e->bank], e->value, hash_size(e->bank)))
			return false;
	}
	return true;
}

/* The replay again by the rules that the TPM's banks were found to follow. */
static int replay_again(struct log_report *r, const enum ima_bank_rule rule[HASH_COUNT])
{
	struct ima_replay again;
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct ima_entry e;
	int err = ima_list_new(&list, r->list.format, r->list.digest_size);

	err = err < 0 ? err : ima_list_lend(list, r->list.bytes);
	if (err < 0)
		return err;
	ima_replay_init(&again);
	bytes_copy(again.rule, rule, sizeof(again.rule));
	while (ima_list_next(list, &e) == IMA_LIST_ENTRY)
		ima_replay_entry(&again, &e, (1u << HASH_COUNT) - 1);
	r->replay = again;
	return 0;
}

static void name_padded_banks(struct log_report *r, const enum ima_bank_rule rule[HASH_COUNT])
{
	char banks[64] = "";
	bool old = false;
	size_t n = 0;

	for (size_t i = 0; i < r->n_findings; i++)
		if (r->findings[i].reason == REASON_LIST_PADDED_SHA1)
			return; /* said for the other comparison */
	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		if (rule[a] == IMA_BANK_OWN)
			continue;
		old |= rule[a] == IMA_BANK_PADDED_OLD;
		n += (size_t)snprintf(banks + n, sizeof(banks) - n, "%s%s", n ? ", " : "", hash_name(a));
	}
	log_finding_text(r, log_add_finding(r, REASON_LIST_PADDED_SHA1, 0),
			 "bank %s holds zero-padded SHA-1 digests: a kernel %s", banks,
			 old ? "before 5.8" : "before 5.8, or one that had no driver for that hash when IMA started");
}

/* 0, or a negative errno; out->matched says the rest. */
static int compare(struct log_report *r, const struct ima_target *t, struct log_target_result *out)
{
	static const enum ima_bank_rule own[HASH_COUNT];
	struct ima_match m;
	int err = ima_match_rules(&r->list, t, own, &m);

	if (err == 0 && !m.reached) {
		err = ima_match_padded(&r->list, t, &m);
		if (err == 0 && m.reached) {
			name_padded_banks(r, m.rule);
			err = replay_again(r, m.rule);
		}
	}
	if (err < 0)
		return err;
	out->matched = m.reached;
	out->at_entry = m.reached ? m.at_entry : 0;
	return 0;
}

/* What a single fault among the last entries, or a changed entry, would explain. `what` names the value. */
static int explain(struct log_report *r, const struct ima_target *t, const char *what)
{
	struct log_finding *f;
	struct ima_diagnosis d;
	int err = ima_diagnose(&r->list, t, &d);
	unsigned long long entry, count;

	if (err < 0)
		return err;
	entry = d.entry;
	count = d.count;
	switch (d.suspicion) {
	case IMA_SUSPECT_SKIPPED:
		f = log_add_finding(r, REASON_EXTEND_FAILED, d.entry);
		log_finding_text(r, f, "without entry %llu the list gives %s: it was never extended into the PCR", entry, what);
		break;
	case IMA_SUSPECT_SWAPPED:
		f = log_add_finding(r, REASON_LIST_REORDERED, d.entry);
		log_finding_text(r, f, "with entries %llu and %llu exchanged the list gives %s", entry, entry + 1, what);
		break;
	case IMA_SUSPECT_CHANGED:
		f = log_add_finding(r, REASON_LIST_TAMPERED, d.entry);
		log_finding_text(r, f,
				 "%llu %s changed after being measured, first entry %llu: with the list's own digest instead of "
				 "the data's the list gives %s",
				 count, count == 1 ? "entry was" : "entries were", entry, what);
		break;
	case IMA_SUSPECT_UNKNOWN:
	default:
		f = log_add_finding(r, REASON_LIST_TAMPERED, 0);
		log_finding_text(r, f,
				 "no beginning of the list gives %s: entries were changed, added or removed, or are missing at "
				 "the end (these look alike); no single entry left out or exchanged among the last %llu explains it",
				 what, (unsigned long long)d.tried);
		break;
	}
	return 0;
}

/* "0-7, 9" */
static void pcr_ranges(uint32_t mask, char *buf, size_t n)
{
	size_t used = 0;

	buf[0] = 0;
	for (unsigned int i = 0; i < 32; i++) {
		unsigned int last = i;

		if (!(mask & 1u << i))
			continue;
		while (last < 31 && mask & 1u << (last + 1))
			last++;
		if (last > i)
			used += (size_t)snprintf(buf + used, n - used, "%s%u-%u", used ? ", " : "", i, last);
		else
			used += (size_t)snprintf(buf + used, n - used, "%s%u", used ? ", " : "", i);
		i = last;
	}
}

/* PCRs that the quote covers, that the list says nothing about, and whose value nobody gave. */
static uint32_t missing_values(const struct quoted *q)
{
	uint32_t missing = 0;

	for (size_t i = 0; i < q->attest->n_selections; i++) {
		const struct pcr_selection *s = &q->attest->selection[i];
		enum hash_alg bank;

		for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++)
			if (s->mask & ~q->in_list & 1u << pcr && hash_from_tpm_alg(s->alg, &bank) &&
			    !given_value(q->in, bank, pcr))
				missing |= 1u << pcr;
	}
	return missing;
}

static int explain_quote(struct log_report *r, const struct quoted *q, const struct ima_target *t)
{
	uint32_t missing = missing_values(q);
	char ranges[128];

	/* QUOTE_WRONG_SELECTION: the file has not all values; it then says nothing about the quote */
	if (q->in->pcrs && quote_check_composite(q->attest, q->hash, tpm_pcr_file_value, (void *)q->in->pcrs) ==
				   QUOTE_WRONG_PCR_DIGEST) {
		log_finding_text(r, log_add_finding(r, REASON_QUOTE_PCR_DIGEST, 0),
				 "the PCR values given with --pcrs are not those that were quoted");
		return 0;
	}
	if (missing) {
		pcr_ranges(missing, ranges, sizeof(ranges));
		log_finding_text(r, log_add_finding(r, REASON_QUOTE_PCR_DIGEST, 0),
				 "the quote also covers PCR %s, whose values are not known: give them with --pcrs", ranges);
		return 0;
	}
	return explain(r, t, "the quoted digest");
}

/* Entries in PCRs that nothing was compared with stay unproven, whatever else is right. */
static void name_uncovered(struct log_report *r, uint32_t covered)
{
	for (unsigned int pcr = 0; pcr <= LIMIT_PCR; pcr++) {
		struct log_finding *f;

		if (!r->per_pcr[pcr] || covered & 1u << pcr)
			continue;
		f = log_add_finding(r, REASON_PCR_UNCOVERED, r->first_of_pcr[pcr]);
		if (f)
			f->pcr = pcr;
		log_finding_text(r, f, "%llu %s in PCR %u, %s", (unsigned long long)r->per_pcr[pcr],
				 r->per_pcr[pcr] == 1 ? "entry is" : "entries are", pcr,
				 r->quote.given ? "which the quote does not cover" : "whose value was not given");
	}
}

static int compare_quote(const struct log_inputs *in, struct log_report *r)
{
	struct quote_facts facts = { 0 };
	struct quoted q = { .in = in, .attest = &facts.attest, .in_list = r->replay.used | 1u << IMA_PCR };
	struct ima_target t = { .reached = quote_reached, .user = &q };
	struct log_target_result *out = &r->quote;
	int outcome = quote_verify(in->message, in->signature, in->ak, in->nonce_given ? &in->nonce : NULL, &facts), err;
	uint32_t selected = 0;
	bool bank_known = false;

	out->given = true;
	if (outcome < 0)
		return outcome;
	for (size_t i = 0; facts.parsed && i < facts.attest.n_selections; i++) {
		const struct pcr_selection *s = &facts.attest.selection[i];
		enum hash_alg bank;

		if (!s->mask || !hash_from_tpm_alg(s->alg, &bank))
			continue;
		selected |= s->mask;
		t.banks |= 1u << bank;
		if (!bank_known || (s->mask & q.in_list && !(attest_selected(&facts.attest, hash_tpm_alg(out->bank)) & q.in_list)))
			out->bank = bank;
		bank_known = true;
	}
	if (outcome != QUOTE_OK) {
		struct log_finding *f = log_add_finding(r, quote_outcome_reason((enum quote_outcome)outcome), 0);
		struct attest other;

		if (!facts.parsed && attest_parse(in->signature, &other) == QUOTE_OK) {
			log_finding_text(r, f, "the signature's file holds a quote, the quote's file does not");
			r->next = "exchange the files of --quote and --signature";
		}
		return 0;
	}
	r->nonce_checked = in->nonce_given;
	q.hash = facts.hash;
	t.pcrs = out->pcrs = selected & q.in_list;
	if (!t.pcrs) {
		log_finding_text(r, log_add_finding(r, REASON_QUOTE_SELECTION, 0),
				 "the quote covers no PCR that the list has entries of");
		return 0;
	}
	/* another PCR may be one that anybody resets: it says nothing of the entries in IMA's own */
	if (r->per_pcr[IMA_PCR] && !(t.pcrs & 1u << IMA_PCR)) {
		log_finding_text(r, log_add_finding(r, REASON_QUOTE_SELECTION, 0),
				 "the quote does not cover PCR %u, where the list's entries are", IMA_PCR);
		return 0;
	}
	out->tried = true;
	err = compare(r, &t, out);
	if (err < 0)
		return err;
	if (out->matched && t.banks == 1u << HASH_SHA1)
		log_add_finding(r, REASON_BANK_SHA1, 0);
	return out->matched ? 0 : explain_quote(r, &q, &t);
}

static int compare_expected(const struct log_inputs *in, struct log_report *r)
{
	/* beside a quote, values of PCRs that are not in the list are there for its composite */
	struct expected_at at = { .in = in, .skip = in->quote_given ? ~(r->replay.used | 1u << IMA_PCR) : 0 };
	struct ima_target t = { .reached = expected_reached, .user = &at };
	struct log_target_result *out = &r->expected;
	bool any = false;
	int err;

	for (size_t i = 0; i < in->n_expected; i++) {
		const struct expected_pcr *e = &in->expected[i];

		if (at.skip & 1u << e->index)
			continue;
		any = true;
		out->bank = e->bank;
		t.pcrs |= 1u << e->index;
		t.banks |= 1u << e->bank;
	}
	if (!any)
		return 0;
	out->given = out->tried = true;
	out->pcrs = t.pcrs & r->replay.used;
	err = compare(r, &t, out);
	if (err < 0 || out->matched)
		return err;
	return explain(r, &t, in->n_expected == 1 ? "the expected PCR value" : "the expected PCR values");
}

int log_compare(const struct log_inputs *in, struct log_report *r)
{
	int err = in->n_expected ? compare_expected(in, r) : 0;

	if (err == 0 && in->quote_given)
		err = compare_quote(in, r);
	if (err == 0 && (r->quote.matched || r->expected.matched))
		name_uncovered(r, (r->quote.matched ? r->quote.pcrs : 0) | (r->expected.matched ? r->expected.pcrs : 0));
	return err;
}
