// SPDX-License-Identifier: Apache-2.0
/* The SQLite store: enrolments, and the log of decisions about them. */
#include "verifier/store_sqlite.h"

int sq_set_enrolment(struct store *s, const uint8_t *id, uint32_t status, uint64_t changed_real, const char *how,
		     const struct cert_row *cert)
{
	cleanup_finish_ struct binder b = sq_statement(s, SET_ENROLMENT), c = sq_statement(s, SET_CERT);
	int r;

	sq_bind_bytes(&b, id, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, status);
	sq_bind_u64(&b, changed_real);
	sq_bind_maybe_text(&b, how);
	r = sq_run(&b);
	if (r < 0 || !cert)
		return r;
	sq_bind_bytes(&c, id, WIRE_DIGEST_SIZE);
	sq_bind_cert(&c, cert);
	return sq_run(&c);
}

int sq_each_enrolment(struct store *s, store_enrolment_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_ENROLMENTS);
	int r;

	while ((r = sq_step(&b)) > 0) {
		sqlite3_stmt *st = b.st;
		struct enrolment_row row = {
			.label = sq_column_bytes(st, 2),
			.how = sq_column_bytes(st, 3),
			.status = (uint32_t)sq_column_u64(st, 4),
			.enrolled_real = sq_column_u64(st, 5),
			.changed_real = sq_column_u64(st, 6),
			.has_ek = sq_column_u64(st, 7) > 0,
			.cert = { .manufacturer = sq_column_bytes(st, 8), .model = sq_column_bytes(st, 9),
				  .version = sq_column_bytes(st, 10), .serial = sq_column_bytes(st, 11),
				  .issuer = sq_column_bytes(st, 12), .not_after_s = sq_column_u64(st, 13) },
		};

		if (!sq_column_copy(st, 0, row.id, sizeof(row.id)) ||
		    !sq_column_copy(st, 1, row.ak_name, sizeof(row.ak_name)))
			return -EBADMSG;
		r = fn(user, &row);
		if (r != 0)
			return r;
	}
	return r;
}

/* 1, 0 or negative errno. */
static int has_quotes(struct store *s, const uint8_t *id)
{
	cleanup_finish_ struct binder b = sq_statement(s, HAS_QUOTES);

	sq_bind_bytes(&b, id, WIRE_DIGEST_SIZE);
	return sq_step(&b);
}

int sq_drop_attester(struct store *s, const uint8_t *id)
{
	static const enum statement parts[] = { DROP_ATTESTER, DROP_ALL_BOOTS, DROP_ALL_BLOCKS, DROP_ALL_QUOTES,
						DROP_ALL_FINDINGS, DROP_ALL_RENEWALS };
	int quoted = has_quotes(s, id);
	/* Renewals stand in no order of attesters: to look for them is worth it only where there can be some, which is behind
	 * a quote. Strangers who come and go have none. */
	size_t n = ARRAY_SIZE(parts) - (quoted == 0);

	if (quoted < 0)
		return quoted;
	for (size_t i = 0; i < n; i++) {
		cleanup_finish_ struct binder b = sq_statement(s, parts[i]);
		int r;

		sq_bind_bytes(&b, id, WIRE_DIGEST_SIZE);
		r = sq_run(&b);
		if (r < 0)
			return r;
	}
	return 0;
}

int sq_add_enrol_log(struct store *s, const struct enrol_log_row *row)
{
	cleanup_finish_ struct binder b = sq_statement(s, ADD_ENROL_LOG);

	sq_bind_u64(&b, row->time_real);
	sq_bind_bytes(&b, row->attester, WIRE_DIGEST_SIZE);
	sq_bind_view(&b, row->label);
	sq_bind_text(&b, row->action.p, row->action.n);
	sq_bind_text(&b, row->who.p, row->who.n);
	sq_bind_text(&b, row->why.p, row->why.n);
	return sq_run(&b);
}

int sq_each_enrol_log(struct store *s, const uint8_t *attester, size_t limit, store_enrol_log_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_ENROL_LOG);
	int r;

	if (attester)
		sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	else
		sq_bind_maybe_text(&b, NULL);
	sq_bind_u64(&b, limit);
	while ((r = sq_step(&b)) > 0) {
		struct enrol_log_row row = { .seq = sq_column_u64(b.st, 0), .time_real = sq_column_u64(b.st, 1),
					     .label = sq_column_bytes(b.st, 3), .action = sq_column_bytes(b.st, 4),
					     .who = sq_column_bytes(b.st, 5), .why = sq_column_bytes(b.st, 6) };

		if (!sq_column_copy(b.st, 2, row.attester, sizeof(row.attester)))
			return -EBADMSG;
		r = fn(user, &row);
		if (r != 0)
			return r;
	}
	return r;
}
