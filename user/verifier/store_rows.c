// SPDX-License-Identifier: Apache-2.0
/* Statements, columns, errors: what the SQLite store's operations are made of. */
#include "verifier/store_sqlite.h"

int sq_error(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	default:
		return -EIO;
	}
}

struct sqlite_store *sq_from(struct store *s)
{
	return (struct sqlite_store *)s; /* first member */
}

struct binder sq_statement(struct store *s, enum statement which)
{
	struct sqlite_store *q = sq_from(s);
	int rc = SQLITE_OK;

	if (!q->prepared[which])
		rc = sqlite3_prepare_v3(q->db, store_sqlite_statements[which], -1, SQLITE_PREPARE_PERSISTENT,
					&q->prepared[which], NULL);
	return (struct binder){ .st = q->prepared[which], .rc = rc };
}

void sq_bind_u64(struct binder *b, uint64_t v)
{
	if (b->rc == SQLITE_OK)
		b->rc = sqlite3_bind_int64(b->st, ++b->at, (sqlite3_int64)v);
}

void sq_bind_bytes(struct binder *b, const void *p, size_t n)
{
	if (b->rc == SQLITE_OK)
		b->rc = n ? sqlite3_bind_blob64(b->st, ++b->at, p, n, SQLITE_STATIC)
			  : sqlite3_bind_zeroblob(b->st, ++b->at, 0);
}

void sq_bind_view(struct binder *b, struct bytes v)
{
	sq_bind_bytes(b, v.p, v.n);
}

void sq_bind_text(struct binder *b, const void *p, size_t n)
{
	if (b->rc == SQLITE_OK)
		b->rc = sqlite3_bind_text64(b->st, ++b->at, p ? p : "", n, SQLITE_STATIC, SQLITE_UTF8);
}

void sq_bind_maybe_text(struct binder *b, const char *text)
{
	if (text)
		sq_bind_text(b, text, strlen(text));
	else if (b->rc == SQLITE_OK)
		b->rc = sqlite3_bind_null(b->st, ++b->at);
}

void sq_bind_cert(struct binder *b, const struct cert_row *c)
{
	const struct bytes texts[] = { c->manufacturer, c->model, c->version, c->serial, c->issuer };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		sq_bind_text(b, texts[i].p, texts[i].n);
	sq_bind_u64(b, c->not_after_s);
}

void sq_finish(struct binder *b)
{
	if (!b->st)
		return;
	sqlite3_reset(b->st);
	sqlite3_clear_bindings(b->st);
}

/* A statement without rows. */
int sq_run(struct binder *b)
{
	if (b->rc == SQLITE_OK)
		b->rc = sqlite3_step(b->st);
	return sq_error(b->rc);
}

/* 1: a row, 0: no more, negative errno. */
int sq_step(struct binder *b)
{
	if (b->rc != SQLITE_OK)
		return sq_error(b->rc);
	switch (sqlite3_step(b->st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return sq_error(sqlite3_errcode(sqlite3_db_handle(b->st)));
	}
}

uint64_t sq_column_u64(sqlite3_stmt *st, int i)
{
	return (uint64_t)sqlite3_column_int64(st, i);
}

struct bytes sq_column_bytes(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(st, i);

	return (struct bytes){ p, (size_t)sqlite3_column_bytes(st, i) };
}

/* A column of a size that never varies; false: the row is damaged. */
bool sq_column_copy(sqlite3_stmt *st, int i, void *dst, size_t n)
{
	struct bytes b = sq_column_bytes(st, i);

	if (b.n != n)
		return false;
	bytes_copy(dst, b.p, n);
	return true;
}
