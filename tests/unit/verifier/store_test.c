// SPDX-License-Identifier: Apache-2.0
/* Acknowledged = stored: failing commits, restarts in the middle, copies of the database. */
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"
#include "lib/verifier_bench.h"

static struct bench b;
static char folder[] = "/tmp/imastream-store-XXXXXX";
static char database[sizeof(folder) + 16];

static void remove_database(void)
{
	static const char *const ends[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s", database, ends[i]);
		unlink(path);
	}
}

static int make_folder(void **state unused_)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(database, sizeof(database), "%s/v.db", folder);
	return 0;
}

static int remove_folder(void **state unused_)
{
	remove_database();
	return rmdir(folder);
}

static int open_bench(void **state unused_)
{
	bench_open(&b, HASH_SHA256, database, &bench_rules);
	return 0;
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	remove_database();
	return 0;
}

static void measure(int n)
{
	char path[48];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/usr/bin/t%zu", b.n);
		bench_measure(&b, path);
	}
}

/* Sends without expecting an answer. */
static int try_entries(size_t first, size_t count)
{
	struct wire_message m = { .type = WIRE_ENTRIES, .entries = { .first = first } };
	struct bytes packed;

	wire_pack_begin(b.pack);
	for (size_t i = first; i < first + count; i++) {
		struct ima_entry e;

		bench_entry_of(&b, i, &e);
		assert_int_equal(wire_pack_add(b.pack, &e, NULL), 0);
	}
	assert_int_equal(wire_pack_finish(b.pack, &packed), 0);
	bytes_copy(m.entries.session, b.session, sizeof(b.session));
	m.entries.block = packed;
	return bench_send(&b, &m);
}

static void nothing_was_acknowledged(int r, int wanted)
{
	assert_int_equal(r, -wanted);
	assert_true(b.answered);
	assert_int_equal(b.reply.type, WIRE_REJECT);
	assert_int_equal(b.reply.reject.reason, REASON_BUSY);
	assert_in_range(b.reply.reject.retry_ms, 1, 10000);
}

static void failed_commit_is_not_acknowledged(void **state unused_)
{
	uint64_t events;

	bench_greet(&b);
	measure(10);
	bench_entries(&b, 0, 5, 0);
	bench_measure_as(&b, 10, "/var/log/x", true, true, false); /* a finding in what fails */
	events = b.pipeline->journal.last;
	b.fail_commit = ENOSPC;
	nothing_was_acknowledged(try_entries(5, 6), ENOSPC);
	assert_int_equal(bench_attester(&b)->boot ? 1 : 0, 0);
	assert_int_equal(bench_attester(&b)->claimed->next, 5); /* memory is as the store */
	assert_int_equal(b.pipeline->journal.last, events);
	assert_int_equal(bench_findings(&b, REASON_VIOLATION), 0);
	b.fail_commit = 0;
	bench_greet(&b);
	assert_int_equal(b.next, 5);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_VIOLATION), 1);
	assert_int_equal(bench_events(&b, "finding", REASON_VIOLATION), 1);
}

static void failed_begin_and_write(void **state unused_)
{
	bench_greet(&b);
	measure(3);
	b.fail_begin = EIO;
	nothing_was_acknowledged(try_entries(0, 3), EIO);
	b.fail_begin = 0;
	bench_greet(&b);
	b.fail_write = EIO;
	nothing_was_acknowledged(try_entries(0, 3), EIO);
	b.fail_write = 0;
	bench_greet(&b);
	bench_prove(&b);
}

static void failed_quote_is_not_proven(void **state unused_)
{
	struct wire_message m = { .type = WIRE_QUOTE };

	bench_greet(&b);
	measure(3);
	bench_report(&b);
	bench_quote(&b, 3);
	bench_sign(&b, NULL);
	m.quote = b.quote;
	b.fail_commit = EIO;
	nothing_was_acknowledged(bench_send(&b, &m), EIO);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNPROVEN);
	b.fail_commit = 0;
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

/* A WAIT that is held when a batch fails is let go: its collector asks again. */
static void failed_batch_lets_waits_go(void **state unused_)
{
	bench_greet(&b);
	measure(2);
	bench_wait(&b);
	b.fail_commit = EIO;
	nothing_was_acknowledged(try_entries(0, 2), EIO);
	assert_false(b.held);
	b.fail_commit = 0;
}

static unsigned int replies_at_commit;

static int counting_commit(struct store *s unused_)
{
	replies_at_commit = b.replies;
	return b.store->ops->commit(b.store);
}

/* Two requests in one batch: no reply before the one commit, both behind it. */
static void replies_leave_after_the_commit(void **state unused_)
{
	struct exchange ex[2] = { { .token = &b.answer, .reply = WRITER(LIMIT_MESSAGE) },
				  { .token = &b.answer, .reply = WRITER(LIMIT_MESSAGE) } };
	struct store_ops ops = *b.faulty.ops;
	struct wire_message m = { .type = WIRE_HELLO };
	struct writer hello = WRITER(LIMIT_MESSAGE);
	unsigned int before = b.replies;

	bench_hello(&b);
	m.hello = b.hello;
	wire_encode(&hello, &m);
	ex[0].message = ex[1].message = writer_view(&hello);
	ops.commit = counting_commit;
	b.faulty.ops = &ops;
	replies_at_commit = 99;
	assert_int_equal(pipeline_batch(b.pipeline, ex, 2, &b.now), 0);
	assert_int_equal(replies_at_commit, before);
	assert_int_equal(b.replies, before + 2);
	writer_free(&hello);
	writer_free(&ex[0].reply);
	writer_free(&ex[1].reply);
	b.faulty.ops = NULL;
	pipeline_free(&b.pipeline);
}

static void goes_on_after_a_restart(void **state unused_)
{
	bench_greet(&b);
	measure(30);
	bench_entries(&b, 0, 12, 0);
	bench_restart(&b, &bench_rules); /* nothing proven yet: both forms are built again */
	bench_greet(&b);
	assert_int_equal(b.next, 12);
	bench_entries(&b, 5, 15, 0); /* overlaps what is stored */
	bench_expect_ack(&b, 20, 0);
	bench_restart(&b, &bench_rules); /* the stored blocks overlap too */
	bench_greet(&b);
	assert_int_equal(b.next, 20);
	bench_prove(&b);
	measure(7);
	bench_report(&b);
	bench_restart(&b, &bench_rules); /* 30 proven, 37 stored */
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_attester(&b)->boot->proven, 30);
	bench_greet(&b);
	assert_int_equal(b.next, 37);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_memory_equal(bench_attester(&b)->boot->proven_pcr10, b.tpm.pcr[10], 32);
}

static void padded_form_survives_a_restart(void **state unused_)
{
	bench_greet(&b);
	for (int i = 0; i < 4; i++)
		bench_measure_as(&b, 10, "/usr/bin/old", false, true, true);
	bench_prove(&b);
	bench_measure_as(&b, 10, "/usr/bin/old-too", false, true, true);
	bench_report(&b);
	bench_restart(&b, &bench_rules);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_LIST_PADDED_SHA1), 1);
}

static void other_pcrs_survive_a_restart(void **state unused_)
{
	b.mask = 0xfff;
	bench_greet(&b);
	measure(2);
	bench_measure_as(&b, 11, "/usr/bin/a", false, true, false);
	bench_prove(&b);
	bench_measure_as(&b, 11, "/usr/bin/b", false, true, false);
	bench_report(&b);
	bench_restart(&b, &bench_rules);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void findings_survive_and_are_proven_later(void **state unused_)
{
	bench_greet(&b);
	measure(2);
	bench_measure_as(&b, 10, "/var/log/x", true, true, false);
	bench_report(&b);
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_attester(&b)->claimed->unproven_findings, 1);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_events(&b, "finding", REASON_VIOLATION), 1);
	assert_int_equal(bench_events(&b, "finding-proven", REASON_VIOLATION), 1);
}

static void deadline_survives_a_restart(void **state unused_)
{
	bench_greet(&b);
	measure(2);
	bench_prove(&b);
	bench_pass(&b, 60 * BENCH_SECOND);
	bench_restart(&b, &bench_rules);
	bench_pass(&b, 30 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	bench_pass(&b, 32 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

static void deadline_that_passed_meanwhile(void **state unused_)
{
	bench_greet(&b);
	measure(2);
	bench_prove(&b);
	pipeline_free(&b.pipeline);
	b.now.real += 200 * BENCH_SECOND; /* the monotonic clock may start anywhere */
	b.now.mono = 5 * BENCH_SECOND;
	bench_restart(&b, &bench_rules);
	assert_int_equal(pipeline_tick(b.pipeline, &b.now), 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

static void copy_file(const char *from, const char *to)
{
	struct writer bytes = WRITER(64u << 20);

	assert_int_equal(read_file(from, &bytes), 0);
	assert_int_equal(write_file_atomic(to, writer_view(&bytes), 0600), 0);
	writer_free(&bytes);
}

/* What a crash leaves behind: the file and its log, copied while the verifier runs. */
static void a_copy_taken_while_it_runs(void **state unused_)
{
	char copy[128], copy_wal[140], wal[140];
	struct bench other;

	bench_greet(&b);
	measure(9);
	bench_prove(&b);
	measure(3);
	bench_report(&b);
	snprintf(copy, sizeof(copy), "%s.copy", database);
	snprintf(copy_wal, sizeof(copy_wal), "%s-wal", copy);
	snprintf(wal, sizeof(wal), "%s-wal", database);
	copy_file(database, copy);
	copy_file(wal, copy_wal);
	other = b;
	b.store = NULL;
	snprintf(b.path, sizeof(b.path), "%s", copy);
	b.pipeline = NULL;
	bench_restart(&b, &bench_rules);
	bench_greet(&b);
	assert_int_equal(b.next, 12);
	bench_prove(&b);
	pipeline_free(&other.pipeline);
	store_close(&other.store);
	pipeline_free(&b.pipeline);
	store_close(&b.store);
	unlink(copy);
	unlink(copy_wal);
	snprintf(b.path, sizeof(b.path), "%s", database);
	bench_restart(&b, &bench_rules);
}

static void only_the_owner_reads_it(void **state unused_)
{
	struct stat st;

	assert_int_equal(stat(database, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_newer_schema_is_refused(void **state unused_)
{
	struct writer bytes = WRITER(64u << 20);
	struct store *s = NULL;
	const char *why = "";
	char other[128];

	pipeline_free(&b.pipeline);
	store_close(&b.store); /* checkpoints: the file is whole */
	snprintf(other, sizeof(other), "%s.newer", database);
	assert_int_equal(read_file(database, &bytes), 0);
	bytes.p[63] = 99; /* user_version: SQLite file format, section 1.3, offset 60 */
	assert_int_equal(write_file_atomic(other, writer_view(&bytes), 0600), 0);
	assert_int_equal(store_sqlite_open(&s, other, &why), -EPROTO);
	assert_true(*why);
	unlink(other);
	snprintf(other, sizeof(other), "%s.newer-wal", database);
	unlink(other);
	snprintf(other, sizeof(other), "%s.newer-shm", database);
	unlink(other);
	writer_free(&bytes);
	bench_restart(&b, &bench_rules);
}

/* A database as the program of schema 1 left it: tests/vectors/store. extra: executed behind it. */
static void lay_schema_1(const char *extra)
{
	cleanup_writer_ struct writer text = WRITER(1u << 20);
	sqlite3 *db = NULL;

	pipeline_free(&b.pipeline);
	store_close(&b.store);
	remove_database();
	assert_int_equal(read_file(TESTS_DIR "/vectors/store/schema1.sql", &text), 0);
	write_fmt(&text, "%s", extra);
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, writer_cstr(&text), NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* The first number that a query gives. */
static int64_t ask(const char *query)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int64_t v;

	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

static void an_older_schema_is_brought_up(void **state unused_)
{
	for (int round = 0; round < 2; round++) { /* the second time there is nothing to do */
		if (round == 0)
			lay_schema_1("");
		bench_restart(&b, &bench_rules);
		assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
		assert_string_equal(bench_attester(&b)->label, "host-1");
		assert_int_equal(bench_attester(&b)->boot->proven, 3);
		assert_int_equal(bench_findings(&b, REASON_VIOLATION), 1);
		assert_int_equal(ask("PRAGMA user_version"), STORE_SCHEMA);
		assert_int_equal(ask("SELECT status FROM attesters"), 1); /* enrolled */
		assert_int_equal(ask("SELECT changed = enrolled FROM attesters"), 1);
	}
}

/* The tables of a database that was brought up are those of a fresh one. */
static void old_and_fresh_schema_are_the_same(void **state unused_)
{
	static const char count[] = "SELECT count(*) FROM sqlite_schema s, pragma_table_info(s.name) c";
	static const char hash[] = "SELECT sum(length(s.name) * 31 + unicode(substr(c.name, 1, 1)) * 7 + unicode(substr(c.name, -1)))"
				   " FROM sqlite_schema s, pragma_table_info(s.name) c";
	int64_t fresh[2] = { ask(count), ask(hash) };

	lay_schema_1("");
	bench_restart(&b, &bench_rules);
	assert_int_equal(ask(count), fresh[0]);
	assert_int_equal(ask(hash), fresh[1]);
}

static void a_migration_that_fails_changes_nothing(void **state unused_)
{
	struct store *s = NULL;
	const char *why = "";

	lay_schema_1("CREATE TABLE enrolments (x);"); /* in the way of the last step */
	assert_int_equal(store_sqlite_open(&s, database, &why), -EIO);
	assert_null(s);
	assert_true(*why);
	assert_int_equal(ask("PRAGMA user_version"), 1);
	assert_int_equal(ask("SELECT count(*) FROM pragma_table_info('attesters') WHERE name = 'status'"), 0);
	assert_int_equal(ask("SELECT count(*) FROM attesters"), 1);
	remove_database();
	bench_restart(&b, &bench_rules);
}

static void damage_is_for_one_attester_and_healed(void **state unused_)
{
	sqlite3 *db = NULL;

	bench_greet(&b);
	measure(5);
	bench_prove(&b);
	measure(5);
	bench_report(&b);
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE blocks SET block = x'00' WHERE start = 5", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	bench_restart(&b, &bench_rules);
	bench_greet(&b);
	assert_int_equal(b.next, 0);
	assert_int_equal(bench_events(&b, "store-damaged", REASON_NONE), 1);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(failed_commit_is_not_acknowledged),
		TEST(failed_begin_and_write),
		TEST(failed_quote_is_not_proven),
		TEST(failed_batch_lets_waits_go),
		TEST(replies_leave_after_the_commit),
		TEST(goes_on_after_a_restart),
		TEST(padded_form_survives_a_restart),
		TEST(other_pcrs_survive_a_restart),
		TEST(findings_survive_and_are_proven_later),
		TEST(deadline_survives_a_restart),
		TEST(deadline_that_passed_meanwhile),
		TEST(a_copy_taken_while_it_runs),
		TEST(only_the_owner_reads_it),
		TEST(a_newer_schema_is_refused),
		TEST(an_older_schema_is_brought_up),
		TEST(old_and_fresh_schema_are_the_same),
		TEST(a_migration_that_fails_changes_nothing),
		TEST(damage_is_for_one_attester_and_healed),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
