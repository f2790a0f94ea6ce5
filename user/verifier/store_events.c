// SPDX-License-Identifier: Apache-2.0
/* The SQLite store: findings and the outbox. */
#include "verifier/store_sqlite.h"

/* --- findings ---- */

int sq_add_finding(struct store *s, const struct finding_row *r, bool *fresh)
{
	cleanup_finish_ struct binder b = sq_statement(s, ADD_FINDING);
	int ret;

	sq_bind_bytes(&b, r->attester, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, r->boot);
	sq_bind_u64(&b, r->index);
	sq_bind_u64(&b, r->reason);
	sq_bind_u64(&b, r->severity);
	sq_bind_u64(&b, r->pcr);
	sq_bind_view(&b, r->template_name);
	sq_bind_view(&b, r->path);
	sq_bind_view(&b, r->digest_alg);
	sq_bind_view(&b, r->digest);
	sq_bind_u64(&b, r->has_context);
	sq_bind_u64(&b, r->pid);
	sq_bind_u64(&b, r->uid);
	sq_bind_u64(&b, r->cgroup);
	sq_bind_u64(&b, r->mntns);
	sq_bind_view(&b, r->comm);
	sq_bind_u64(&b, r->found_real);
	sq_bind_u64(&b, r->measured_real);
	sq_bind_u64(&b, r->proven_real);
	sq_bind_u64(&b, r->event);
	ret = sq_run(&b);
	if (ret == 0)
		*fresh = sqlite3_changes(sq_from(s)->db) > 0;
	return ret;
}

static int finding_from(sqlite3_stmt *st, struct finding_row *out)
{
	struct finding_row row = {
		.boot = sq_column_u64(st, 1),
		.index = sq_column_u64(st, 2),
		.reason = (uint32_t)sq_column_u64(st, 3),
		.severity = (uint32_t)sq_column_u64(st, 4),
		.pcr = (uint32_t)sq_column_u64(st, 5),
		.template_name = sq_column_bytes(st, 6),
		.path = sq_column_bytes(st, 7),
		.digest_alg = sq_column_bytes(st, 8),
		.digest = sq_column_bytes(st, 9),
		.has_context = sq_column_u64(st, 10) != 0,
		.pid = (uint32_t)sq_column_u64(st, 11),
		.uid = (uint32_t)sq_column_u64(st, 12),
		.cgroup = sq_column_u64(st, 13),
		.mntns = sq_column_u64(st, 14),
		.comm = sq_column_bytes(st, 15),
		.found_real = sq_column_u64(st, 16),
		.measured_real = sq_column_u64(st, 17),
		.proven_real = sq_column_u64(st, 18),
		.event = sq_column_u64(st, 19),
	};

	if (!sq_column_copy(st, 0, row.attester, sizeof(row.attester)))
		return -EBADMSG;
	*out = row;
	return 0;
}

/* The walk does not see its own updates: rows below it are marked while it stands on them, none is added. */
int sq_prove_findings(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t below, uint64_t now_real,
			     size_t limit, store_finding_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_UNPROVEN);
	int r;

	sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, boot);
	sq_bind_u64(&b, below);
	sq_bind_u64(&b, limit);
	while ((r = sq_step(&b)) > 0) {
		struct finding_row row;

		r = finding_from(b.st, &row);
		if (r == 0)
			r = fn(user, &row);
		if (r == 0) {
			cleanup_finish_ struct binder mark = sq_statement(s, PROVE_FINDING);

			sq_bind_bytes(&mark, attester, WIRE_DIGEST_SIZE);
			sq_bind_u64(&mark, boot);
			sq_bind_u64(&mark, row.index);
			sq_bind_u64(&mark, row.reason);
			sq_bind_u64(&mark, now_real);
			r = sq_run(&mark);
		}
		if (r != 0)
			return r;
	}
	return r;
}

int sq_each_finding(struct store *s, const uint8_t *attester, store_finding_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_FINDINGS);
	int r;

	if (attester)
		sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	while ((r = sq_step(&b)) > 0) {
		struct finding_row row;

		r = finding_from(b.st, &row);
		if (r == 0)
			r = fn(user, &row);
		if (r != 0)
			return r;
	}
	return r;
}

int sq_drop_finding(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t index, uint32_t reason)
{
	cleanup_finish_ struct binder b = sq_statement(s, DROP_FINDING);

	sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, boot);
	sq_bind_u64(&b, index);
	sq_bind_u64(&b, reason);
	return sq_run(&b);
}

int sq_undo(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t seq)
{
	cleanup_finish_ struct binder b = sq_statement(s, UNDO_FINDINGS), e = sq_statement(s, UNDO_EVENTS);
	int r;

	sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, boot);
	sq_bind_u64(&b, seq);
	r = sq_run(&b);
	if (r < 0)
		return r;
	sq_bind_u64(&e, seq);
	return sq_run(&e);
}

/* --- events ---- */

int sq_last_event(struct store *s, uint64_t *seq)
{
	cleanup_finish_ struct binder b = sq_statement(s, LAST_EVENT);
	int r = sq_step(&b);

	if (r > 0)
		*seq = sq_column_u64(b.st, 0);
	return r > 0 ? 0 : r < 0 ? r : -EIO;
}

int sq_add_event(struct store *s, const struct event_row *row)
{
	cleanup_finish_ struct binder b = sq_statement(s, ADD_EVENT);

	sq_bind_u64(&b, row->seq);
	sq_bind_u64(&b, row->measured_real);
	sq_bind_u64(&b, row->about);
	sq_bind_text(&b, row->body.p, row->body.n);
	return sq_run(&b);
}

int sq_each_event(struct store *s, uint64_t since, bool unpublished_only, size_t limit, store_event_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, unpublished_only ? GET_UNPUBLISHED : GET_EVENTS);
	int r;

	sq_bind_u64(&b, since);
	sq_bind_u64(&b, limit);
	while ((r = sq_step(&b)) > 0) {
		struct event_row row = { .seq = sq_column_u64(b.st, 0),
					 .measured_real = sq_column_u64(b.st, 1),
					 .about = sq_column_u64(b.st, 2),
					 .published_real = sq_column_u64(b.st, 3),
					 .about_published_real = sq_column_u64(b.st, 4),
					 .body = sq_column_bytes(b.st, 5) };

		r = fn(user, &row);
		if (r != 0)
			return r;
	}
	return r;
}

int sq_mark_published(struct store *s, uint64_t seq, uint64_t real)
{
	cleanup_finish_ struct binder b = sq_statement(s, MARK_PUBLISHED);

	sq_bind_u64(&b, seq);
	sq_bind_u64(&b, real);
	return sq_run(&b);
}
