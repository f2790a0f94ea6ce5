// SPDX-License-Identifier: Apache-2.0
/* Stage [8]: is this a fresh quote of the enrolled key, over this stream, in this boot? */
#include "verifier/stages.h"

#include <openssl/crypto.h>

static struct nonce *find_nonce(struct session *s, const uint8_t *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->nonce); i++)
		if (s->nonce[i].given && CRYPTO_memcmp(s->nonce[i].value, value, WIRE_NONCE_SIZE) == 0)
			return &s->nonce[i];
	return NULL;
}

static enum reason judge_nonce(struct session *s, const struct wire_quote *q, struct nonce **out)
{
	const struct attester *a = s->attester;
	struct nonce *n = find_nonce(s, q->nonce);

	if (n && !n->used) {
		*out = n;
		return REASON_NONE;
	}
	if (n)
		return REASON_QUOTE_REPLAYED;
	for (size_t i = 0; a->has_old_nonces && i < ARRAY_SIZE(a->old_nonce); i++)
		if (CRYPTO_memcmp(a->old_nonce[i], q->nonce, OLD_NONCE_SIZE) == 0)
			return REASON_QUOTE_SESSION;
	return REASON_QUOTE_NONCE;
}

static bool is_resend(const struct session *s, const struct wire_quote *q)
{
	return s->seq > 0 && q->seq == s->seq && q->position < q->n_commitments &&
	       CRYPTO_memcmp(q->commitments[q->position], s->previous, WIRE_DIGEST_SIZE) == 0;
}

/* extraData binds all commitments; ours is among them, and it is the one that we compute. */
static enum reason judge_commitment(const struct session *s, const struct wire_quote *q, struct quote_result *f)
{
	struct wire_commitment_inputs in = { .seq = q->seq, .surely = q->surely };
	uint8_t qualifying[WIRE_DIGEST_SIZE];

	bytes_copy(in.attester, s->attester->id, sizeof(in.attester));
	bytes_copy(in.session, s->id, sizeof(in.session));
	bytes_copy(in.nonce, q->nonce, sizeof(in.nonce));
	bytes_copy(in.previous, s->previous, sizeof(in.previous));
	wire_commitment(&in, f->commitment);
	if (q->n_commitments > LIMIT_COMMITMENTS || q->position >= q->n_commitments ||
	    CRYPTO_memcmp(q->commitments[q->position], f->commitment, WIRE_DIGEST_SIZE) != 0)
		return REASON_QUOTE_NONCE;
	wire_qualifying(q->commitments, q->n_commitments, qualifying);
	if (attest_check_nonce(&f->attest, (struct bytes){ qualifying, sizeof(qualifying) }) != QUOTE_OK)
		return REASON_QUOTE_NONCE;
	return REASON_NONE;
}

static enum reason judge_boot(const struct session *s, const struct attest *a)
{
	const struct boot *b = s->boot;

	if (a->reset_count != b->reset_count)
		return REASON_BOOT_CLAIM_FALSE;
	if (!b->confirmed)
		return REASON_NONE;
	if (a->restart_count < b->restart_count)
		return REASON_QUOTE_RESTART_COUNT;
	/* A subscription does not outlive a restart of the TPM (draft-ietf-rats-network-device-subscription). */
	if (s->quoted && a->restart_count != s->restart_count)
		return REASON_TPM_RESUMED;
	/* equal is fine: two quotes of a software TPM fit into one millisecond, and the nonce tells them apart */
	return a->clock_ms < b->clock_ms ? REASON_QUOTE_CLOCK : REASON_NONE;
}

int quote_judge(struct session *s, const struct wire_quote *q, struct quote_result *out, bool *vouched)
{
	struct quote_result f = { 0 };
	enum reason reason;
	int r;

	*vouched = false;
	if (is_resend(s, q)) {
		*out = (struct quote_result){ .resend = true };
		return 0;
	}
	if (q->seq <= s->seq)
		return q->seq == s->seq ? REASON_QUOTE_SEQUENCE : REASON_QUOTE_REPLAYED;
	if (q->seq != s->seq + 1)
		return REASON_QUOTE_SEQUENCE;
	reason = judge_nonce(s, q, &f.nonce);
	if (reason != REASON_NONE)
		return reason;
	r = attest_parse(q->attest, &f.attest);
	if (r != QUOTE_OK)
		return quote_outcome_reason((enum quote_outcome)r);
	r = quote_check_signature(q->attest, q->signature, &s->ak);
	if (r < 0)
		return r;
	if (r == QUOTE_OK)
		r = signature_hash(q->signature, &f.digest_alg);
	if (r != QUOTE_OK)
		return quote_outcome_reason((enum quote_outcome)r);
	reason = judge_commitment(s, q, &f);
	if (reason != REASON_NONE)
		return reason;
	*vouched = true;
	if (f.attest.n_selections != 1 || f.attest.selection[0].alg != hash_tpm_alg(s->bank) ||
	    f.attest.selection[0].mask != s->pcr_mask)
		return REASON_QUOTE_SELECTION;
	reason = judge_boot(s, &f.attest);
	if (reason != REASON_NONE)
		return reason;
	*out = f;
	return 0;
}

struct value_source {
	const struct session *session;
	const struct replay_view *view;
};

/* PCRs that the list names come from the replay, the others are as HELLO told; only a match makes them true. */
static const uint8_t *pcr_value(void *user, uint16_t alg unused_, unsigned int pcr)
{
	const struct value_source *v = user;
	const struct session *s = v->session;
	const uint8_t *replayed = replay_view_value(v->view, pcr);
	size_t at = 0;

	if (replayed)
		return replayed;
	for (unsigned int i = 0; i < pcr; i++)
		if (i != 10 && (s->pcr_mask & (1u << i)))
			at++;
	return s->boot_pcrs + at * hash_size(s->bank);
}

bool quote_test_values(void *quote_test, const struct replay_view *v)
{
	const struct quote_test *t = quote_test;
	struct value_source source = { .session = t->session, .view = v };

	return quote_check_composite(&t->result->attest, t->result->digest_alg, pcr_value, &source) == QUOTE_OK;
}
