// SPDX-License-Identifier: Apache-2.0
/* Quotes that prove nothing new are rows of their own (renewals.c): nothing is lost in a restart or a failed commit, their number is
 * bounded, and what they say never replaces what is newer. */
#include <sqlite3.h>
#include <stdio.h>

#include "base/text.h"
#include "lib/verifier_bench.h"

#define KEPT 4096 /* KEPT_LEAST of renewals.c */

static struct bench b;
static char folder[] = "/tmp/imastream-renewals-XXXXXX";
static char database[sizeof(folder) + 16];

static int make_folder(void **state unused_)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(database, sizeof(database), "%s/v.db", folder);
	return 0;
}

static int remove_folder(void **state unused_)
{
	return rmdir(folder);
}

static int open_bench(void **state unused_)
{
	bench_open(&b, HASH_SHA256, database, &bench_rules);
	return 0;
}

static int close_bench(void **state unused_)
{
	static const char *const ends[] = { "", "-wal", "-shm" };

	bench_close(&b);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s", database, ends[i]);
		unlink(path);
	}
	return 0;
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

static void enrolled_with(unsigned int entries)
{
	char path[48];

	bench_greet(&b);
	for (unsigned int i = 0; i < entries; i++) {
		snprintf(path, sizeof(path), "/usr/bin/r%zu", b.n);
		bench_measure(&b, path);
	}
	bench_prove(&b);
}

static void rest(unsigned int quotes)
{
	for (unsigned int i = 0; i < quotes; i++) {
		bench_pass(&b, 1000);
		bench_prove(&b);
	}
}

/* Another host comes; the one before is not heard of again. */
static void next_host(void)
{
	enum hash_alg bank = b.tpm.bank;

	for (size_t i = 0; i < b.n; i++)
		writer_free(&b.list[i].data);
	b.n = b.next = 0;
	fake_tpm_clear(&b.tpm);
	fake_tpm_init(&b.tpm, bank);
}

static void what_proves_nothing_new_is_a_renewal(void **state unused_)
{
	uint64_t quotes;

	enrolled_with(3);
	assert_int_equal(ask("SELECT count(*) FROM renewals"), 0);
	quotes = bench_attester(&b)->quotes;
	assert_int_equal(ask("SELECT quotes FROM attesters"), quotes);
	rest(5);
	assert_int_equal(ask("SELECT count(*) FROM renewals"), 5);
	assert_int_equal(ask("SELECT quotes FROM attesters"), quotes); /* its row was left alone */
	assert_int_equal(ask("SELECT max(quotes) FROM renewals"), quotes + 5);
	bench_measure(&b, "/usr/bin/new");
	bench_prove(&b);
	assert_int_equal(ask("SELECT count(*) FROM renewals"), 5);
	assert_int_equal(ask("SELECT quotes FROM attesters"), quotes + 6);
	assert_int_equal(ask("SELECT count(*) FROM quotes WHERE proven = 4"), 1);
}

static void they_survive_a_restart(void **state unused_)
{
	struct attester before;
	uint64_t clock;

	enrolled_with(3);
	bench_pass(&b, 30 * BENCH_SECOND);
	rest(4);
	before = *bench_attester(&b);
	clock = before.boot->clock_ms;
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_attester(&b)->quotes, before.quotes);
	assert_int_equal(bench_attester(&b)->heartbeat_quotes, before.heartbeat_quotes);
	assert_int_equal(bench_attester(&b)->last_quote_real, before.last_quote_real);
	assert_int_equal(bench_attester(&b)->deadline_real, before.deadline_real);
	assert_int_equal(bench_attester(&b)->deadline_mono, before.deadline_mono);
	assert_int_equal(bench_attester(&b)->boot->clock_ms, clock);
	bench_greet(&b);
	rest(2);
	assert_int_equal(bench_attester(&b)->quotes, before.quotes + 2);
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_attester(&b)->quotes, before.quotes + 2);
}

/* The deadline is the renewal's, not that of the row: too early, and a restart would call a living host stale; too late, and it
 * would hide a dead one. */
static void silence_counts_from_the_newest(void **state unused_)
{
	enrolled_with(2);
	bench_pass(&b, 100 * BENCH_SECOND);
	bench_wait(&b); /* nonces of the last 121 s are as good */
	bench_prove(&b);
	rest(1);
	bench_pass(&b, 60 * BENCH_SECOND);
	bench_restart(&b, &bench_rules);
	bench_pass(&b, 58 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	bench_pass(&b, 4 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

static void a_failed_commit_takes_it_back(void **state unused_)
{
	struct wire_message m = { .type = WIRE_QUOTE };
	uint64_t quotes, clock;

	enrolled_with(3);
	rest(3);
	quotes = bench_attester(&b)->quotes;
	clock = bench_attester(&b)->boot->clock_ms;
	bench_quote(&b, 3);
	bench_sign(&b, NULL);
	m.quote = b.quote;
	b.fail_commit = EIO;
	assert_int_equal(bench_send(&b, &m), -EIO);
	b.fail_commit = 0;
	assert_int_equal(bench_attester(&b)->quotes, quotes);
	assert_int_equal(bench_attester(&b)->boot->clock_ms, clock);
	assert_int_equal(ask("SELECT count(*) FROM renewals"), 3);
	bench_greet(&b);
	rest(2);
	/* what the first one of the two proves is not known to be stored: it goes to its place. Numbers go on without a gap */
	assert_int_equal(ask("SELECT max(seq) FROM renewals"), 4);
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_attester(&b)->quotes, quotes + 2);
}

/* --- a store that does not read ---- */

static struct store_ops unreadable; /* the bench's, but for these */
static int fail_renewals; /* errno */

static int each_renewal(struct store *s unused_, uint64_t from, uint64_t through, store_renewal_fn fn, void *user)
{
	return fail_renewals ? -fail_renewals : b.store->ops->each_renewal(b.store, from, through, fn, user);
}

/* What is known of a host is its row and its newest renewal, or nothing: with the row alone it would have fewer quotes, an earlier
 * deadline and clock, and its renewals would be dropped as older ones. */
static void half_of_it_is_not_read(void **state unused_)
{
	struct wire_message m = { .type = WIRE_QUOTE };
	struct attester before;

	enrolled_with(3);
	bench_pass(&b, 30 * BENCH_SECOND);
	rest(4);
	before = *bench_attester(&b);
	unreadable = *b.faulty.ops;
	unreadable.each_renewal = each_renewal;
	b.faulty.ops = &unreadable;
	bench_quote(&b, 3);
	bench_sign(&b, NULL);
	m.quote = b.quote;
	b.fail_commit = fail_renewals = EIO;
	assert_int_equal(bench_send(&b, &m), -EIO);
	assert_null(idmap_get(&b.pipeline->fleet.by_id, before.id));
	assert_int_equal(b.pipeline->broken, -EIO);
	b.fail_commit = fail_renewals = 0;
	bench_restart(&b, &bench_rules);
	bench_greet(&b);
	assert_int_equal(bench_attester(&b)->quotes, before.quotes);
	assert_true(bench_attester(&b)->renewal >= before.renewal);
}

/* A finding changes the row; the quote is a renewal all the same, and counted once. */
static void a_change_at_rest_is_in_the_row(void **state unused_)
{
	enrolled_with(3);
	rest(2);
	bench_pass(&b, 300 * BENCH_SECOND); /* stale */
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
	assert_int_equal(ask("SELECT stale FROM attesters"), 1);
	assert_int_equal(ask("SELECT quotes FROM attesters"), bench_attester(&b)->quotes);
	bench_greet(&b);
	rest(1);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(ask("SELECT stale FROM attesters"), 0);
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void a_reboot_is_another_boot(void **state unused_)
{
	enrolled_with(1);
	rest(5);
	fake_tpm_reset(&b.tpm);
	for (size_t i = 0; i < b.n; i++)
		writer_free(&b.list[i].data);
	b.n = 0;
	enrolled_with(1); /* as many entries as before */
	assert_int_equal(ask("SELECT count(*) FROM renewals"), 5);
	assert_int_equal(ask("SELECT count(*) FROM quotes WHERE boot = 2 AND proven = 1"), 1);
	rest(1);
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_attester(&b)->boot->number, 2);
}

/* As many as there may be, and one host that was silent meanwhile: its newest is in its row, all others are gone. */
static void the_oldest_are_folded(void **state unused_)
{
	char query[256], id[2 * WIRE_DIGEST_SIZE + 1];
	struct attester silent;
	uint64_t clock;

	enrolled_with(3);
	rest(4);
	silent = *bench_attester(&b);
	clock = silent.boot->clock_ms;
	for (size_t i = 0; i < sizeof(silent.id); i++)
		snprintf(id + 2 * i, 3, "%02x", silent.id[i]);
	next_host();
	enrolled_with(1);
	rest(KEPT - 4);
	assert_int_equal(ask("SELECT count(*) FROM renewals"), KEPT);
	assert_int_equal(ask("SELECT min(seq) FROM renewals"), 1);
	rest(10);
	assert_int_equal(ask("SELECT count(*) FROM renewals"), KEPT);
	assert_int_equal(ask("SELECT min(seq) FROM renewals"), 11);
	snprintf(query, sizeof(query), "SELECT quotes FROM attesters WHERE id = x'%s'", id);
	assert_int_equal(ask(query), silent.quotes);
	snprintf(query, sizeof(query), "SELECT deadline FROM attesters WHERE id = x'%s'", id);
	assert_int_equal(ask(query), silent.deadline_real);
	snprintf(query, sizeof(query), "SELECT clock FROM boots WHERE attester = x'%s'", id);
	assert_int_equal(ask(query), clock);
	snprintf(query, sizeof(query), "SELECT clock FROM quotes WHERE proven = 3 AND attester = x'%s'", id);
	assert_int_equal(ask(query), clock);
	snprintf(query, sizeof(query), "SELECT length(boot_pcrs) FROM quotes WHERE proven = 3 AND attester = x'%s'", id);
	assert_int_equal(ask(query), 320);
	bench_restart(&b, &bench_rules);
	assert_int_equal(((struct attester *)idmap_get(&b.pipeline->fleet.by_id, silent.id))->quotes, silent.quotes);
	bench_greet(&b);
	rest(3);
	assert_int_equal(ask("SELECT max(seq) FROM renewals"), KEPT + 10 + 2);
}

/* Whatever is settled later than it was stored never takes a row back. */
static void settling_never_goes_back(void **state unused_)
{
	uint64_t quotes;
	int64_t clock;

	enrolled_with(3);
	rest(2);
	bench_measure(&b, "/usr/bin/later");
	bench_prove(&b);
	quotes = bench_attester(&b)->quotes;
	clock = ask("SELECT clock FROM boots");
	for (uint64_t seq = 1; seq <= 2; seq++)
		assert_int_equal(b.store->ops->settle_renewal(b.store, seq), 0);
	assert_int_equal(b.store->ops->settle_renewal(b.store, 1), 0);
	assert_int_equal(ask("SELECT quotes FROM attesters"), quotes);
	assert_int_equal(ask("SELECT clock FROM boots"), clock);
	assert_int_equal(ask("SELECT max(clock) FROM renewals WHERE seq = 2"), ask("SELECT clock FROM quotes WHERE proven = 3"));
}

static void another_enrolment_starts_anew(void **state unused_)
{
	const char *refusal;
	uint8_t id[WIRE_DIGEST_SIZE];

	enrolled_with(3);
	rest(3);
	bytes_copy(id, bench_attester(&b)->id, sizeof(id));
	assert_int_equal(pipeline_enrolment(b.pipeline, ENROL_FORGET, id, "test", "", &b.now, &refusal), 0);
	assert_int_equal(ask("SELECT count(*) FROM renewals"), 0);
	bench_pass(&b, BENCH_SECOND);
	bench_greet(&b);
	assert_int_equal(bench_attester(&b)->quotes, 0);
	bench_restart(&b, &bench_rules);
	assert_int_equal(bench_attester(&b)->quotes, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_proves_nothing_new_is_a_renewal),
		TEST(they_survive_a_restart),
		TEST(silence_counts_from_the_newest),
		TEST(a_failed_commit_takes_it_back),
		TEST(half_of_it_is_not_read),
		TEST(a_change_at_rest_is_in_the_row),
		TEST(a_reboot_is_another_boot),
		TEST(the_oldest_are_folded),
		TEST(settling_never_goes_back),
		TEST(another_enrolment_starts_anew),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
