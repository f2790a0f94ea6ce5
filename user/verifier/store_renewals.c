// SPDX-License-Identifier: Apache-2.0
/* Renewals in the SQLite store: rows by number, added at one end and dropped at the other, so that writing them costs the same
 * however many attesters there are. */
#include "verifier/store_sqlite.h"

int sq_add_renewal(struct store *s, const struct renewal_row *r)
{
	cleanup_finish_ struct binder b = sq_statement(s, ADD_RENEWAL);
	const struct quote_row *q = &r->quote;
	const uint64_t numbers[] = { r->enrolled_real, r->deadline_real, r->quotes, r->heartbeat_quotes, r->bytes_in,
				     r->bytes_out,     r->boot,		 q->proven, q->seq,		 q->surely,
				     q->clock_ms,      q->received_real };
	const struct bytes blobs[] = { q->attest, q->signature, q->session, q->nonce, q->previous, q->commitments };

	sq_bind_u64(&b, r->seq);
	sq_bind_bytes(&b, r->attester, sizeof(r->attester));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sq_bind_u64(&b, numbers[i]);
	for (size_t i = 0; i < ARRAY_SIZE(blobs); i++)
		sq_bind_view(&b, blobs[i]);
	sq_bind_u64(&b, q->position);
	return sq_run(&b);
}

int sq_each_renewal(struct store *s, uint64_t from, uint64_t through, store_renewal_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_RENEWALS);
	int r;

	sq_bind_u64(&b, from);
	sq_bind_u64(&b, MIN(through, (uint64_t)INT64_MAX));
	while ((r = sq_step(&b)) > 0) {
		sqlite3_stmt *st = b.st;
		struct renewal_row row = {
			.seq = sq_column_u64(st, 0),
			.enrolled_real = sq_column_u64(st, 2),
			.deadline_real = sq_column_u64(st, 3),
			.quotes = sq_column_u64(st, 4),
			.heartbeat_quotes = sq_column_u64(st, 5),
			.bytes_in = sq_column_u64(st, 6),
			.bytes_out = sq_column_u64(st, 7),
			.boot = sq_column_u64(st, 8),
			.quote = {
				.proven = sq_column_u64(st, 9),
				.seq = sq_column_u64(st, 10),
				.surely = sq_column_u64(st, 11),
				.clock_ms = sq_column_u64(st, 12),
				.received_real = sq_column_u64(st, 13),
				.attest = sq_column_bytes(st, 14),
				.signature = sq_column_bytes(st, 15),
				.session = sq_column_bytes(st, 16),
				.nonce = sq_column_bytes(st, 17),
				.previous = sq_column_bytes(st, 18),
				.commitments = sq_column_bytes(st, 19),
				.position = (uint32_t)sq_column_u64(st, 20),
			},
		};

		if (!sq_column_copy(st, 1, row.attester, sizeof(row.attester)))
			return -EBADMSG;
		r = fn(user, &row);
		if (r != 0)
			return r;
	}
	return r;
}

int sq_settle_renewal(struct store *s, uint64_t seq)
{
	static const enum statement parts[] = { SETTLE_QUOTE, SETTLE_BOOT, SETTLE_ATTESTER };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		cleanup_finish_ struct binder b = sq_statement(s, parts[i]);
		int r;

		sq_bind_u64(&b, seq);
		r = sq_run(&b);
		if (r < 0)
			return r;
	}
	return 0;
}

int sq_drop_renewals(struct store *s, uint64_t through)
{
	cleanup_finish_ struct binder b = sq_statement(s, DROP_RENEWALS);

	sq_bind_u64(&b, through);
	return sq_run(&b);
}
