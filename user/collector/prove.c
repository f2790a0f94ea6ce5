// SPDX-License-Identifier: Apache-2.0
#include "collector/prove.h"

void prove_quote(struct writer *w, const struct peer *p, uint64_t first, struct bytes block, uint64_t now_us)
{
	struct wire_message m = { .type = WIRE_QUOTE };
	const struct peer_quote *from = &p->quote;
	struct wire_quote *q = &m.quote;

	bytes_copy(q->session, p->session, sizeof(q->session));
	q->seq = from->seq;
	bytes_copy(q->nonce, from->nonce, sizeof(q->nonce));
	q->surely = from->surely;
	q->attest = (struct bytes){ from->quote.attest, from->quote.attest_n };
	q->signature = (struct bytes){ from->quote.signature, from->quote.signature_n };
	bytes_copy(q->commitments, from->commitments, sizeof(q->commitments));
	q->n_commitments = from->n_commitments;
	q->position = from->position;
	q->quote_us = from->quote_us;
	q->age_us = now_us - from->returned_us;
	q->first = first;
	q->block = block;
	q->rtt_us = p->rtt_us;
	q->measured = from->measured;
	wire_encode(w, &m);
}
