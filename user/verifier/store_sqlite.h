/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the SQLite store only: store_schema.c (tables and statements), store_rows.c (binding and
 * reading), store_sqlite.c (opening, attesters, boots, evidence), store_renewals.c (renewals), store_events.c (findings, events),
 * store_enrol.c (enrolments). A change of the tables gets a new STORE_SCHEMA number and a migration: statements in store_sqlite_migrations, up to NULL. */
#pragma once

#include <sqlite3.h>

#include "verifier/store.h"

enum statement {
	BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE, ROLLBACK_TO,
	ADD_ATTESTER, SET_ATTESTER, GET_ATTESTERS, GET_ATTESTER,
	SET_ENROLMENT, SET_CERT, GET_ENROLMENTS, ADD_ENROL_LOG, GET_ENROL_LOG,
	DROP_ATTESTER, DROP_ALL_BOOTS, DROP_ALL_BLOCKS, DROP_ALL_QUOTES, DROP_ALL_FINDINGS,
	SET_BOOT, GET_BOOT, DROP_BOOT, DROP_BLOCKS, DROP_QUOTES, DROP_FINDINGS,
	ADD_BLOCK, GET_BLOCKS, SET_QUOTE,
	ADD_RENEWAL, GET_RENEWALS, SETTLE_QUOTE, SETTLE_BOOT, SETTLE_ATTESTER, DROP_RENEWALS, DROP_ALL_RENEWALS, HAS_QUOTES,
	ADD_FINDING, GET_UNPROVEN, PROVE_FINDING, GET_FINDINGS, DROP_FINDING, UNDO_FINDINGS, UNDO_EVENTS,
	LAST_EVENT, ADD_EVENT, GET_EVENTS, GET_UNPUBLISHED, MARK_PUBLISHED,
	ADD_POLICY, SET_POLICY_UNTIL, GET_POLICIES, DROP_POLICIES, ADD_POLICY_PART, GET_POLICY_FILE, DROP_POLICY_FILE,
	PRUNE_POLICY_FILES,
	STATEMENTS,
};

extern const char *const *const store_sqlite_migrations[STORE_SCHEMA];
extern const char *const store_sqlite_statements[STATEMENTS];

struct sqlite_store {
	struct store store;
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENTS];
};

/* An SQLite result as 0 or a negative errno. */
int sq_error(int rc);
struct sqlite_store *sq_from(struct store *s);

/* Binds values in order: sticky, so that a row is bound without a test at each column. */
struct binder {
	sqlite3_stmt *st;
	int at, rc;
};
struct binder sq_statement(struct store *s, enum statement which);
void sq_bind_u64(struct binder *b, uint64_t v);
void sq_bind_bytes(struct binder *b, const void *p, size_t n);
void sq_bind_view(struct binder *b, struct bytes v);
void sq_bind_text(struct binder *b, const void *p, size_t n);
/* NULL: SQL's NULL. */
void sq_bind_maybe_text(struct binder *b, const char *text);
void sq_bind_cert(struct binder *b, const struct cert_row *c);
void sq_finish(struct binder *b);
#define cleanup_finish_ cleanup_(sq_finish)
/* A statement without rows: 0 or negative errno. */
must_use_ int sq_run(struct binder *b);
/* 1: a row, 0: no more, negative errno. */
must_use_ int sq_step(struct binder *b);
uint64_t sq_column_u64(sqlite3_stmt *st, int i);
struct bytes sq_column_bytes(sqlite3_stmt *st, int i);
/* A column of a size that never varies; false: the row is damaged. */
must_use_ bool sq_column_copy(sqlite3_stmt *st, int i, void *dst, size_t n);

/* Operations: store.h. */
int sq_set_enrolment(struct store *s, const uint8_t *id, uint32_t status, uint64_t changed_real, const char *how,
		     const struct cert_row *cert);
int sq_each_enrolment(struct store *s, store_enrolment_fn fn, void *user);
int sq_drop_attester(struct store *s, const uint8_t *id);
int sq_add_enrol_log(struct store *s, const struct enrol_log_row *row);
int sq_each_enrol_log(struct store *s, const uint8_t *attester, size_t limit, store_enrol_log_fn fn, void *user);
int sq_add_renewal(struct store *s, const struct renewal_row *row);
int sq_each_renewal(struct store *s, uint64_t from, uint64_t through, store_renewal_fn fn, void *user);
int sq_settle_renewal(struct store *s, uint64_t seq);
int sq_drop_renewals(struct store *s, uint64_t through);
int sq_add_finding(struct store *s, const struct finding_row *r, bool *fresh);
int sq_prove_findings(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t below, uint64_t now_real,
			     size_t limit, store_finding_fn fn, void *user);
int sq_each_finding(struct store *s, const uint8_t *attester, store_finding_fn fn, void *user);
int sq_drop_finding(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t index, uint32_t reason);
int sq_undo(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t seq);
int sq_last_event(struct store *s, uint64_t *seq);
int sq_add_event(struct store *s, const struct event_row *row);
int sq_each_event(struct store *s, uint64_t since, bool unpublished_only, size_t limit, store_event_fn fn, void *user);
int sq_mark_published(struct store *s, uint64_t seq, uint64_t real);
int sq_add_policy(struct store *s, const struct policy_row *row);
int sq_set_policy_until(struct store *s, const char *name, uint64_t generation, uint64_t until_real);
int sq_each_policy(struct store *s, const char *name, store_policy_fn fn, void *user);
int sq_drop_policies(struct store *s, const char *name, uint64_t through);
int sq_add_policy_part(struct store *s, const char *file, uint64_t part, struct bytes bytes);
int sq_get_policy_file(struct store *s, const char *file, struct writer *out, bool *found);
int sq_drop_policy_file(struct store *s, const char *file);
int sq_prune_policy_files(struct store *s, uint64_t keep);
