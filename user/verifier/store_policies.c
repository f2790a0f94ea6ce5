// SPDX-License-Identifier: Apache-2.0
/* The history of policies in the SQLite store. */
#include "verifier/store_sqlite.h"

static void bind_text(struct binder *b, const char *text)
{
	sq_bind_text(b, text, strlen(text));
}

int sq_add_policy(struct store *s, const struct policy_row *row)
{
	cleanup_finish_ struct binder b = sq_statement(s, ADD_POLICY);

	bind_text(&b, row->name);
	sq_bind_u64(&b, row->generation);
	bind_text(&b, row->id);
	bind_text(&b, row->file);
	bind_text(&b, row->held);
	bind_text(&b, row->signer);
	sq_bind_view(&b, row->detached);
	sq_bind_u64(&b, row->loaded_real);
	bind_text(&b, row->reason);
	bind_text(&b, row->who);
	sq_bind_u64(&b, row->until_real);
	return sq_run(&b);
}

int sq_set_policy_until(struct store *s, const char *name, uint64_t generation, uint64_t until_real)
{
	cleanup_finish_ struct binder b = sq_statement(s, SET_POLICY_UNTIL);

	bind_text(&b, name);
	sq_bind_u64(&b, generation);
	sq_bind_u64(&b, until_real);
	return sq_run(&b);
}

static const char *column_text(sqlite3_stmt *st, int i)
{
	const char *text = (const char *)sqlite3_column_text(st, i);

	return text ? text : "";
}

int sq_each_policy(struct store *s, const char *name, store_policy_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_POLICIES);
	int r;

	if (name)
		bind_text(&b, name);
	while ((r = sq_step(&b)) > 0) {
		struct policy_row row = {
			.name = column_text(b.st, 0), .generation = sq_column_u64(b.st, 1), .id = column_text(b.st, 2),
			.file = column_text(b.st, 3), .held = column_text(b.st, 4), .signer = column_text(b.st, 5),
			.detached = sq_column_bytes(b.st, 6), .loaded_real = sq_column_u64(b.st, 7),
			.reason = column_text(b.st, 8), .who = column_text(b.st, 9),
			.until_real = sq_column_u64(b.st, 10), .kept = sq_column_u64(b.st, 11) != 0,
		};

		r = fn(user, &row);
		if (r != 0)
			return r;
	}
	return r;
}

int sq_drop_policies(struct store *s, const char *name, uint64_t through)
{
	cleanup_finish_ struct binder b = sq_statement(s, DROP_POLICIES);

	bind_text(&b, name);
	sq_bind_u64(&b, through);
	return sq_run(&b);
}

int sq_add_policy_part(struct store *s, const char *file, uint64_t part, struct bytes bytes)
{
	cleanup_finish_ struct binder b = sq_statement(s, ADD_POLICY_PART);

	bind_text(&b, file);
	sq_bind_u64(&b, part);
	sq_bind_view(&b, bytes);
	return sq_run(&b);
}

int sq_get_policy_file(struct store *s, const char *file, struct writer *out, bool *found)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_POLICY_FILE);
	int r;

	*found = false;
	bind_text(&b, file);
	while ((r = sq_step(&b)) > 0) {
		struct bytes part = sq_column_bytes(b.st, 0);

		*found = *found || sq_column_u64(b.st, 1) == 0;
		if (!*found || !out)
			return 0;
		write_bytes(out, part.p, part.n);
	}
	return r < 0 || !out ? r : writer_status(out);
}

int sq_drop_policy_file(struct store *s, const char *file)
{
	cleanup_finish_ struct binder b = sq_statement(s, DROP_POLICY_FILE);

	bind_text(&b, file);
	return sq_run(&b);
}

int sq_prune_policy_files(struct store *s, uint64_t keep)
{
	cleanup_finish_ struct binder b = sq_statement(s, PRUNE_POLICY_FILES);

	sq_bind_u64(&b, keep);
	return sq_run(&b);
}
