// SPDX-License-Identifier: Apache-2.0
/* The SQLite store: write-ahead log, full synchronous, one transaction a batch, statements prepared once. */
#include "verifier/store_sqlite.h"

#include <fcntl.h>
#include <stdio.h>

/* --- transactions ---- */

static int simple(struct store *s, enum statement which)
{
	cleanup_finish_ struct binder b = sq_statement(s, which);

	return sq_run(&b);
}

static int sq_begin(struct store *s)
{
	return simple(s, BEGIN);
}

static int sq_commit(struct store *s)
{
	return simple(s, COMMIT);
}

static void sq_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(sq_from(s)->db)) /* some errors have rolled back already */
		(void)!simple(s, ROLLBACK);
}

static int sq_savepoint(struct store *s)
{
	return simple(s, SAVEPOINT);
}

static int sq_release(struct store *s)
{
	return simple(s, RELEASE);
}

static int sq_rollback_to(struct store *s) /* SQLite keeps the savepoint */
{
	int r = simple(s, ROLLBACK_TO);

	return r < 0 ? r : sq_release(s);
}

static void sq_close(struct store *s)
{
	struct sqlite_store *q = sq_from(s);

	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(q->prepared[i]);
	sqlite3_close(q->db);
	free(q);
}

/* --- attesters ---- */

static void bind_attester(struct binder *b, const struct attester_row *r)
{
	const uint64_t numbers[] = { r->enrolled_real,	  r->deadline_real, r->last_quote_real, r->quotes,
				     r->heartbeat_quotes, r->bytes_in,	    r->bytes_out,	r->boots,
				     r->list_length,	  r->boot,	    r->claimed,		r->state,
				     r->state_reason,	  r->stale,	    r->label_given,	r->status,
				     r->changed_real };

	sq_bind_bytes(b, r->id, sizeof(r->id));
	sq_bind_bytes(b, r->ak_name, sizeof(r->ak_name));
	sq_bind_view(b, r->label);
	sq_bind_view(b, r->kernel);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sq_bind_u64(b, numbers[i]);
	sq_bind_view(b, r->judged);
}

static int sq_add_attester(struct store *s, const struct attester_row *r)
{
	cleanup_finish_ struct binder b = sq_statement(s, ADD_ATTESTER);

	bind_attester(&b, r);
	sq_bind_view(&b, r->ak_public);
	sq_bind_view(&b, r->ek_public);
	sq_bind_text(&b, r->how, strlen(r->how));
	sq_bind_cert(&b, &r->cert);
	return sq_run(&b);
}

static int sq_set_attester(struct store *s, const struct attester_row *r)
{
	cleanup_finish_ struct binder b = sq_statement(s, SET_ATTESTER);

	bind_attester(&b, r);
	return sq_run(&b);
}

static int sq_each_attester(struct store *s, const uint8_t *id, store_attester_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, id ? GET_ATTESTER : GET_ATTESTERS);
	int r;

	if (id)
		sq_bind_bytes(&b, id, WIRE_DIGEST_SIZE);
	while ((r = sq_step(&b)) > 0) {
		sqlite3_stmt *st = b.st;
		struct attester_row row = {
			.label = sq_column_bytes(st, 2),
			.kernel = sq_column_bytes(st, 3),
			.enrolled_real = sq_column_u64(st, 4),
			.deadline_real = sq_column_u64(st, 5),
			.last_quote_real = sq_column_u64(st, 6),
			.quotes = sq_column_u64(st, 7),
			.heartbeat_quotes = sq_column_u64(st, 8),
			.bytes_in = sq_column_u64(st, 9),
			.bytes_out = sq_column_u64(st, 10),
			.boots = sq_column_u64(st, 11),
			.list_length = sq_column_u64(st, 12),
			.boot = sq_column_u64(st, 13),
			.claimed = sq_column_u64(st, 14),
			.state = (uint32_t)sq_column_u64(st, 15),
			.state_reason = (uint32_t)sq_column_u64(st, 16),
			.stale = sq_column_u64(st, 17) != 0,
			.label_given = sq_column_u64(st, 18) != 0,
			.status = (uint32_t)sq_column_u64(st, 19),
			.changed_real = sq_column_u64(st, 20),
			.judged = sq_column_bytes(st, 21),
			.ak_public = sq_column_bytes(st, 22),
			.ek_public = sq_column_bytes(st, 23),
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

/* --- boots, blocks, quotes ---- */

static int sq_set_boot(struct store *s, const uint8_t *attester, const struct boot_row *r)
{
	cleanup_finish_ struct binder b = sq_statement(s, SET_BOOT);
	const uint64_t numbers[] = {
		r->number,	  r->reset_count,	r->restart_count, r->bank,	 r->form,      r->first_fail,
		r->first_warning, r->uncovered,		r->clock_ms,	  r->next,	 r->proven,    r->fails,
		r->warnings,	  r->unproven_findings, r->reasons[0],	  r->reasons[1], r->confirmed, r->matched
	};

	sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sq_bind_u64(&b, numbers[i]);
	sq_bind_view(&b, r->base);
	sq_bind_view(&b, r->proven_pcr10);
	sq_bind_view(&b, r->boot_aggregate);
	sq_bind_u64(&b, r->flags);
	sq_bind_view(&b, r->boot_values);
	sq_bind_view(&b, r->learned);
	return sq_run(&b);
}

static int sq_each_boot(struct store *s, const uint8_t *attester, uint64_t number, store_boot_fn fn, void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_BOOT);
	int r;

	sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, number);
	while ((r = sq_step(&b)) > 0) {
		sqlite3_stmt *st = b.st;
		struct boot_row row = {
			.number = sq_column_u64(st, 1),
			.reset_count = (uint32_t)sq_column_u64(st, 2),
			.restart_count = (uint32_t)sq_column_u64(st, 3),
			.bank = (uint32_t)sq_column_u64(st, 4),
			.form = (uint32_t)sq_column_u64(st, 5),
			.first_fail = (uint32_t)sq_column_u64(st, 6),
			.first_warning = (uint32_t)sq_column_u64(st, 7),
			.uncovered = (uint32_t)sq_column_u64(st, 8),
			.clock_ms = sq_column_u64(st, 9),
			.next = sq_column_u64(st, 10),
			.proven = sq_column_u64(st, 11),
			.fails = sq_column_u64(st, 12),
			.warnings = sq_column_u64(st, 13),
			.unproven_findings = sq_column_u64(st, 14),
			.reasons = { sq_column_u64(st, 15), sq_column_u64(st, 16) },
			.confirmed = sq_column_u64(st, 17) != 0,
			.matched = sq_column_u64(st, 18) != 0,
			.base = sq_column_bytes(st, 19),
			.proven_pcr10 = sq_column_bytes(st, 20),
			.boot_aggregate = sq_column_bytes(st, 21),
			.flags = (uint32_t)sq_column_u64(st, 22),
			.boot_values = sq_column_bytes(st, 23),
			.learned = sq_column_bytes(st, 24),
		};

		r = fn(user, &row);
		if (r != 0)
			return r;
	}
	return r;
}

static int sq_drop_boot(struct store *s, const uint8_t *attester, uint64_t number)
{
	static const enum statement parts[] = { DROP_BOOT, DROP_BLOCKS, DROP_QUOTES, DROP_FINDINGS };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		cleanup_finish_ struct binder b = sq_statement(s, parts[i]);
		int r;

		sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
		sq_bind_u64(&b, number);
		r = sq_run(&b);
		if (r < 0)
			return r;
	}
	return 0;
}

static int sq_add_block(struct store *s, const uint8_t *attester, uint64_t boot, const struct block_row *r)
{
	cleanup_finish_ struct binder b = sq_statement(s, ADD_BLOCK);

	sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, boot);
	sq_bind_u64(&b, r->start);
	sq_bind_u64(&b, r->first);
	sq_bind_u64(&b, r->count);
	sq_bind_view(&b, r->block);
	return sq_run(&b);
}

static int sq_each_block(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t at, store_block_fn fn,
			 void *user)
{
	cleanup_finish_ struct binder b = sq_statement(s, GET_BLOCKS);
	int r;

	sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, boot);
	sq_bind_u64(&b, at);
	while ((r = sq_step(&b)) > 0) {
		struct block_row row = { .start = sq_column_u64(b.st, 0), .first = sq_column_u64(b.st, 1),
					 .count = (uint32_t)sq_column_u64(b.st, 2), .block = sq_column_bytes(b.st, 3) };

		r = fn(user, &row);
		if (r != 0)
			return r;
	}
	return r;
}

static int sq_set_quote(struct store *s, const uint8_t *attester, uint64_t boot, const struct quote_row *r)
{
	cleanup_finish_ struct binder b = sq_statement(s, SET_QUOTE);

	sq_bind_bytes(&b, attester, WIRE_DIGEST_SIZE);
	sq_bind_u64(&b, boot);
	sq_bind_u64(&b, r->proven);
	sq_bind_u64(&b, r->seq);
	sq_bind_u64(&b, r->surely);
	sq_bind_u64(&b, r->clock_ms);
	sq_bind_u64(&b, r->received_real);
	sq_bind_view(&b, r->attest);
	sq_bind_view(&b, r->signature);
	sq_bind_view(&b, r->session);
	sq_bind_view(&b, r->nonce);
	sq_bind_view(&b, r->previous);
	sq_bind_view(&b, r->commitments);
	sq_bind_u64(&b, r->position);
	sq_bind_u64(&b, r->pcr_mask);
	sq_bind_u64(&b, r->bank);
	sq_bind_view(&b, r->boot_pcrs);
	return sq_run(&b);
}

/* --- opening ---- */

static const struct store_ops sqlite_ops = {
	.begin = sq_begin, .commit = sq_commit, .rollback = sq_rollback, .close = sq_close,
	.savepoint = sq_savepoint, .release = sq_release, .rollback_to = sq_rollback_to,
	.add_attester = sq_add_attester, .set_attester = sq_set_attester, .each_attester = sq_each_attester,
	.set_enrolment = sq_set_enrolment, .each_enrolment = sq_each_enrolment, .drop_attester = sq_drop_attester,
	.add_enrol_log = sq_add_enrol_log, .each_enrol_log = sq_each_enrol_log,
	.set_boot = sq_set_boot, .each_boot = sq_each_boot, .drop_boot = sq_drop_boot,
	.add_block = sq_add_block, .each_block = sq_each_block, .set_quote = sq_set_quote,
	.add_renewal = sq_add_renewal, .each_renewal = sq_each_renewal, .settle_renewal = sq_settle_renewal,
	.drop_renewals = sq_drop_renewals,
	.add_finding = sq_add_finding, .prove_findings = sq_prove_findings, .each_finding = sq_each_finding,
	.drop_finding = sq_drop_finding, .undo = sq_undo,
	.last_event = sq_last_event, .add_event = sq_add_event, .each_event = sq_each_event,
	.mark_published = sq_mark_published,
	.add_policy = sq_add_policy, .set_policy_until = sq_set_policy_until, .each_policy = sq_each_policy,
	.drop_policies = sq_drop_policies, .add_policy_part = sq_add_policy_part,
	.get_policy_file = sq_get_policy_file, .drop_policy_file = sq_drop_policy_file,
	.prune_policy_files = sq_prune_policy_files,
};

static int execute(sqlite3 *db, const char *text)
{
	return sq_error(sqlite3_exec(db, text, NULL, NULL, NULL));
}

static int user_version(sqlite3 *db, uint64_t *out)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL);

	if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		*out = sq_column_u64(st, 0);
	return sq_error(sqlite3_finalize(st));
}

static int migrate(sqlite3 *db, uint64_t version)
{
	char set_version[48];
	int r = 0;

	for (; r == 0 && version < STORE_SCHEMA; version++)
		for (const char *const *step = store_sqlite_migrations[version]; r == 0 && *step; step++)
			r = execute(db, *step);
	snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %u", STORE_SCHEMA);
	return r == 0 ? execute(db, set_version) : r;
}

static int prepare_schema(sqlite3 *db, const char **why)
{
	uint64_t version = 0;
	int r = execute(db, "BEGIN IMMEDIATE"); /* first: another process may be at it */

	if (r == 0)
		r = user_version(db, &version);
	if (r == 0 && version > STORE_SCHEMA) {
		*why = "it was written by a newer imastream-verifier";
		r = -EPROTO;
	}
	if (r == 0 && version < STORE_SCHEMA)
		r = migrate(db, version);
	return r == 0 ? execute(db, "COMMIT") : r; /* closing takes back what is not committed */
}

int store_sqlite_open(struct store **out, const char *path, const char **why)
{
	struct sqlite_store *q = calloc(1, sizeof(*q));
	struct store *s = (struct store *)q;
	int fd, r;

	if (!q)
		return -ENOMEM;
	q->store.ops = &sqlite_ops;
	*why = "";
	if (strcmp(path, ":memory:") != 0) { /* SQLite would make it with the umask's mode */
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0) {
			r = -errno;
			*why = strerror(-r);
			store_close(&s);
			return r;
		}
		close(fd);
	}
	r = sq_error(
		sqlite3_open_v2(path, &q->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
	if (r == 0)
		r = execute(q->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF; "
				   "PRAGMA busy_timeout=2000; PRAGMA trusted_schema=OFF; "
				   "PRAGMA temp_store=MEMORY"); /* no other folder is writable */
	if (r == 0)
		r = prepare_schema(q->db, why);
	if (r < 0) {
		if (!**why)
			*why = q->db ? sqlite3_errstr(sqlite3_errcode(q->db)) : "out of memory";
		store_close(&s);
		return r;
	}
	*out = s;
	return 0;
}
