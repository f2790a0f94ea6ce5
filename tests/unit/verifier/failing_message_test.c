// SPDX-License-Identifier: Apache-2.0
/* A message that we fail at costs its sender this message, and nobody else anything; and memory never differs from the store. */
#include <stdio.h>

#include "base/text.h"
#include "lib/verifier_bench.h"

#define MESSAGES 4u

static struct bench b;
static struct host {
	struct fake_tpm tpm;
	struct bench_entry *list;
	size_t n, next;
	uint8_t session[WIRE_SESSION_SIZE], nonce[WIRE_NONCE_SIZE], previous[WIRE_DIGEST_SIZE], id[WIRE_DIGEST_SIZE];
	uint64_t seq;
} good, bad;

static struct {
	struct writer messages[MESSAGES];
	struct exchange ex[MESSAGES];
	size_t n;
} batch;

/* The store fails here for the bad host. */
static enum place { NOWHERE, AT_BLOCK, AT_EVENT, AT_QUOTE, AT_ROW, AT_READ } fails;
static unsigned int spared; /* so often it does not */
static bool all_is_taken_back; /* by an error that ends the transaction */
static bool then_unreadable; /* after a savepoint was gone back to */
static struct store_ops ops;

static int failure(enum place place, const uint8_t *id)
{
	if (fails != place || (id && !bytes_equal(id, bad.id, sizeof(bad.id))))
		return 0;
	return spared ? (int)(spared--, 0) : -EMSGSIZE;
}

static int add_block(struct store *s unused_, const uint8_t *id, uint64_t boot, const struct block_row *row)
{
	int r = failure(AT_BLOCK, id);

	return r < 0 ? r : b.store->ops->add_block(b.store, id, boot, row);
}

static int add_event(struct store *s unused_, const struct event_row *row)
{
	int r = failure(AT_EVENT, NULL);

	return r < 0 ? r : b.store->ops->add_event(b.store, row);
}

static int set_quote(struct store *s unused_, const uint8_t *id, uint64_t boot, const struct quote_row *row)
{
	int r = failure(AT_QUOTE, id);

	return r < 0 ? r : b.store->ops->set_quote(b.store, id, boot, row);
}

static int set_attester(struct store *s unused_, const struct attester_row *row)
{
	int r = failure(AT_ROW, row->id);

	return r < 0 ? r : b.store->ops->set_attester(b.store, row);
}

static int each_attester(struct store *s unused_, const uint8_t *id, store_attester_fn fn, void *user)
{
	int r = fails == AT_READ ? -EIO : 0;

	return r < 0 ? r : b.store->ops->each_attester(b.store, id, fn, user);
}

static int rollback_to(struct store *s unused_)
{
	if (then_unreadable)
		fails = AT_READ;
	if (!all_is_taken_back)
		return b.store->ops->rollback_to(b.store);
	b.store->ops->rollback(b.store);
	return -EIO;
}

/* The bench is the good host, or the bad one. */
static void leave(struct host *h)
{
	h->tpm = b.tpm;
	h->list = b.list;
	h->n = b.n;
	h->next = b.next;
	h->seq = b.seq;
	bytes_copy(h->session, b.session, sizeof(h->session));
	bytes_copy(h->nonce, b.nonce, sizeof(h->nonce));
	bytes_copy(h->previous, b.previous, sizeof(h->previous));
}

static void be(const struct host *h)
{
	b.tpm = h->tpm;
	b.list = h->list;
	b.n = h->n;
	b.next = h->next;
	b.seq = h->seq;
	bytes_copy(b.session, h->session, sizeof(h->session));
	bytes_copy(b.nonce, h->nonce, sizeof(h->nonce));
	bytes_copy(b.previous, h->previous, sizeof(h->previous));
	bytes_copy(b.hello.attester, h->id, sizeof(h->id));
}

static void measure(unsigned int n)
{
	char path[32];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/usr/bin/%zu", b.n);
		bench_measure(&b, path);
	}
}

/* Two entries proven. */
static void arrive(struct host *h)
{
	measure(2);
	bench_greet(&b);
	bench_prove(&b);
	bytes_copy(h->id, b.hello.attester, sizeof(h->id));
	leave(h);
}

static int open_bench(void **state unused_)
{
	fails = NOWHERE;
	spared = 0;
	all_is_taken_back = false;
	batch.n = 0;
	bench_open(&b, HASH_SHA256, "", &bench_rules);
	ops = *b.faulty.ops;
	ops.add_block = add_block;
	ops.add_event = add_event;
	ops.set_quote = set_quote;
	ops.set_attester = set_attester;
	ops.each_attester = each_attester;
	ops.rollback_to = rollback_to;
	b.faulty.ops = &ops;
	arrive(&good);
	b.list = calloc(100, sizeof(*b.list));
	assert_non_null(b.list);
	b.n = b.next = 0;
	fake_tpm_init(&b.tpm, HASH_SHA256);
	arrive(&bad);
	return 0;
}

static int close_bench(void **state unused_)
{
	fails = NOWHERE;
	be(&bad);
	fake_tpm_clear(&b.tpm);
	for (size_t i = 0; i < b.n; i++)
		writer_free(&b.list[i].data);
	free(b.list);
	be(&good);
	bench_close(&b);
	return 0;
}

/* --- a batch of several messages ---- */

static void put(const struct wire_message *m)
{
	struct writer *w = &batch.messages[batch.n];

	*w = WRITER(LIMIT_MESSAGE);
	wire_encode(w, m);
	assert_int_equal(writer_status(w), 0);
	batch.ex[batch.n] = (struct exchange){ .token = &b.answer, .message = writer_view(w), .reply = WRITER(LIMIT_MESSAGE) };
	batch.n++;
}

static void put_entries(struct host *h, size_t first, size_t count)
{
	struct wire_message m = { .type = WIRE_ENTRIES, .entries = { .first = first } };

	be(h);
	while (b.n < first + count)
		measure(1);
	wire_pack_begin(b.pack);
	for (size_t i = first; i < first + count; i++) {
		struct ima_entry e;

		bench_entry_of(&b, i, &e);
		assert_int_equal(wire_pack_add(b.pack, &e, NULL), 0);
	}
	assert_int_equal(wire_pack_finish(b.pack, &m.entries.block), 0);
	bytes_copy(m.entries.session, b.session, sizeof(b.session));
	leave(h);
	put(&m);
}

static void put_quote(struct host *h)
{
	struct wire_message m = { .type = WIRE_QUOTE };

	be(h);
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	m.quote = b.quote;
	leave(h);
	put(&m);
}

static int send_batch(void)
{
	return pipeline_batch(b.pipeline, batch.ex, batch.n, &b.now);
}

static struct wire_message answer_of(size_t i)
{
	struct wire_message m;
	const char *where;

	assert_int_equal(wire_decode(writer_view(&batch.ex[i].reply), &m, &where), WIRE_DECODE_OK);
	return m;
}

static void expect_ack(size_t i, uint64_t next, uint64_t proven)
{
	struct wire_message m = answer_of(i);

	assert_int_equal(m.type, WIRE_ACK);
	assert_int_equal(m.ack.next, next);
	assert_int_equal(m.ack.proven, proven);
}

static void expect_reject(size_t i, enum reason reason)
{
	struct wire_message m = answer_of(i);

	assert_int_equal(m.type, WIRE_REJECT);
	assert_int_equal(m.reject.reason, reason);
	assert_in_range(m.reject.retry_ms, 1, 10000);
}

static void end_batch(void)
{
	for (size_t i = 0; i < batch.n; i++) {
		writer_free(&batch.messages[i]);
		writer_free(&batch.ex[i].reply);
	}
	batch.n = 0;
}

static struct attester *attester(const struct host *h)
{
	struct attester *a = idmap_get(&b.pipeline->fleet.by_id, h->id);

	assert_non_null(a);
	return a;
}

static int look(void *user, const struct boot_row *row)
{
	*(struct boot_row *)user = *row;
	return 0;
}

/* In memory and in the store. */
static void expect_boot(const struct host *h, uint64_t next, uint64_t proven)
{
	const struct attester *a = attester(h);
	struct boot_row row = { 0 };

	assert_int_equal(a->boot->next, next);
	assert_int_equal(a->boot->proven, proven);
	assert_int_equal(b.store->ops->each_boot(b.store, a->id, a->boot->number, look, &row), 0);
	assert_int_equal(row.next, next);
	assert_int_equal(row.proven, proven);
}

/* It says HELLO again, and all it has is proven; over a restart, too. */
static void expect_good_end(struct host *h)
{
	fails = NOWHERE;
	be(h);
	bench_greet(&b);
	bench_prove(&b);
	expect_boot(h, b.n, b.n);
	bench_restart(&b, &bench_rules);
	assert_int_equal(attester(h)->boot->next, b.n);
	bench_greet(&b);
	measure(1);
	bench_prove(&b);
	leave(h);
}

/* Events have no gap: the store would refuse the number twice. */
static uint64_t last_event(void)
{
	uint64_t seq = 0;

	assert_int_equal(b.store->ops->last_event(b.store, &seq), 0);
	assert_int_equal(b.pipeline->journal.last, seq);
	assert_int_equal(b.pipeline->journal.committed, seq);
	return seq;
}

/* --- the tests ---- */

static void others_are_stored_and_acknowledged(void **state unused_)
{
	const struct session *session = attester(&good)->session;

	put_entries(&good, 2, 3);
	put_entries(&bad, 2, 3);
	put_quote(&good);
	fails = AT_BLOCK;
	assert_int_equal(send_batch(), 0);
	expect_ack(0, 5, 2);
	expect_reject(1, REASON_BUSY);
	expect_ack(2, 5, 5);
	expect_boot(&good, 5, 5);
	expect_boot(&bad, 2, 2);
	assert_ptr_equal(attester(&good)->session, session);
	assert_null(attester(&bad)->session);
	assert_int_equal(b.pipeline->failures, 1);
	assert_int_equal(b.pipeline->failure, -EMSGSIZE);
	last_event();
	end_batch();
	expect_good_end(&bad);
	expect_good_end(&good);
}

/* What it sent before in the same batch was stored, and stays. */
static void the_message_before_stays(void **state unused_)
{
	put_entries(&bad, 2, 3);
	put_entries(&bad, 5, 3);
	put_entries(&good, 2, 1);
	put_entries(&bad, 8, 1); /* its session is over */
	fails = AT_BLOCK;
	spared = 1;
	assert_int_equal(send_batch(), 0);
	expect_ack(0, 5, 2);
	expect_reject(1, REASON_BUSY);
	expect_ack(2, 3, 2);
	expect_reject(3, REASON_SESSION_UNKNOWN);
	expect_boot(&bad, 5, 2);
	expect_boot(&good, 3, 2);
	end_batch();
	expect_good_end(&bad);
}

/* And goes when the batch fails as a whole. */
static void the_message_before_goes_with_the_batch(void **state unused_)
{
	uint64_t deadline = attester(&bad)->deadline_mono;

	b.now.mono += BENCH_SECOND;
	b.now.real += BENCH_SECOND;
	put_quote(&bad);
	put_entries(&bad, 2, 3);
	put_entries(&good, 2, 3);
	fails = AT_BLOCK;
	b.fail_commit = ENOSPC;
	assert_int_equal(send_batch(), -ENOSPC);
	b.fail_commit = 0;
	for (size_t i = 0; i < 3; i++)
		expect_reject(i, REASON_BUSY);
	expect_boot(&bad, 2, 2);
	expect_boot(&good, 2, 2);
	assert_int_equal(attester(&bad)->deadline_mono, deadline);
	assert_int_equal(b.pipeline->fleet.renewals.next, b.pipeline->fleet.renewals_committed.next);
	end_batch();
	expect_good_end(&bad);
	expect_good_end(&good);
}

/* A deadline that the message before has moved, and its renewal, are not taken back. */
static void a_renewal_before_stays(void **state unused_)
{
	uint64_t renewal, deadline;

	b.now.mono += BENCH_SECOND;
	b.now.real += BENCH_SECOND;
	be(&bad);
	bench_prove(&b);
	leave(&bad);
	put_quote(&bad);
	put_entries(&bad, 2, 1);
	put_quote(&good);
	fails = AT_BLOCK;
	deadline = attester(&bad)->deadline_mono;
	renewal = attester(&bad)->renewal;
	assert_true(renewal > 0);
	assert_int_equal(send_batch(), 0);
	expect_ack(0, 2, 2);
	expect_reject(1, REASON_BUSY);
	expect_ack(2, 2, 2);
	assert_int_equal(attester(&bad)->renewal, renewal + 1);
	assert_true(attester(&bad)->deadline_mono > deadline);
	assert_int_equal(attester(&bad)->touched_slot, 0);
	assert_int_equal(b.pipeline->fleet.n_touched, 0);
	end_batch();
	expect_good_end(&bad);
}

/* Wherever it fails, and with events of its own in between. */
static void wherever_it_fails(void **state)
{
	static const enum place places[] = { AT_BLOCK, AT_EVENT, AT_QUOTE, AT_ROW };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		uint64_t events = last_event(), told = attester(&bad)->findings_told[SEVERITY_WARNING];

		be(&bad);
		bench_measure_as(&b, 10, "/var/log/x", true, true, false);
		bench_measure_as(&b, 10, "/var/log/y", true, true, false);
		leave(&bad);
		put_quote(&good);
		put_entries(&bad, 2, 2);
		if (places[i] == AT_QUOTE) {
			batch.n--;
			writer_free(&batch.messages[batch.n]);
			writer_free(&batch.ex[batch.n].reply);
			be(&bad);
			bench_report(&b);
			leave(&bad);
			events = last_event();
			told = attester(&bad)->findings_told[SEVERITY_WARNING];
			put_quote(&bad);
		}
		put_entries(&good, 2, 1);
		fails = places[i];
		spared = places[i] == AT_EVENT;
		assert_int_equal(send_batch(), 0);
		expect_ack(0, 2, 2);
		expect_reject(1, REASON_BUSY);
		expect_ack(2, 3, 2);
		assert_int_equal(last_event(), events);
		assert_int_equal(attester(&bad)->findings_told[SEVERITY_WARNING], told);
		expect_boot(&bad, places[i] == AT_QUOTE ? 4 : 2, 2);
		end_batch();
		expect_good_end(&bad);
		assert_int_equal(bench_findings(&b, REASON_VIOLATION), 2);
		close_bench(state);
		open_bench(state);
	}
}

/* A held WAIT of it is let go. */
static void its_wait_is_let_go(void **state unused_)
{
	be(&bad);
	bench_wait(&b);
	put_entries(&bad, 2, 1);
	put_entries(&good, 2, 1);
	fails = AT_BLOCK;
	assert_int_equal(send_batch(), 0);
	assert_false(b.held);
	end_batch();
}

/* A newcomer that is enrolled by the message that fails is not known afterwards. */
static void a_newcomer(void **state unused_)
{
	struct wire_message m = { .type = WIRE_HELLO };
	struct fake_tpm tpm;

	fake_tpm_init(&tpm, HASH_SHA256);
	b.tpm = tpm;
	b.n = b.next = 0;
	bench_hello(&b);
	m.hello = b.hello;
	put(&m);
	put_entries(&good, 2, 1);
	fails = AT_EVENT;
	assert_int_equal(send_batch(), 0);
	expect_reject(0, REASON_BUSY);
	expect_ack(1, 3, 2);
	assert_int_equal(b.pipeline->fleet.by_id.count, 2);
	end_batch();
	fails = NOWHERE;
	b.tpm = tpm;
	b.n = b.next = 0;
	bench_greet(&b);
	assert_int_equal(b.pipeline->fleet.by_id.count, 3);
	fake_tpm_clear(&tpm);
}

/* SQLite may have rolled back all of it: then nothing is acknowledged. */
static void an_error_that_ends_the_transaction(void **state unused_)
{
	put_entries(&good, 2, 3);
	put_entries(&bad, 2, 3);
	put_entries(&good, 5, 1);
	fails = AT_BLOCK;
	all_is_taken_back = true;
	assert_int_equal(send_batch(), -EMSGSIZE);
	for (size_t i = 0; i < 3; i++)
		expect_reject(i, REASON_BUSY);
	expect_boot(&good, 2, 2);
	expect_boot(&bad, 2, 2);
	assert_int_equal(b.pipeline->broken, 0);
	end_batch();
	all_is_taken_back = false;
	expect_good_end(&bad);
	expect_good_end(&good);
}

/* Who cannot be read again would be missing, and never turn stale: the program must not go on. */
static void a_store_that_does_not_read(void **state unused_)
{
	put_entries(&good, 2, 3);
	b.fail_commit = EIO;
	fails = AT_READ;
	assert_int_equal(send_batch(), -EIO);
	assert_int_equal(b.pipeline->broken, -EIO);
	b.fail_commit = 0;
	fails = NOWHERE;
	end_batch();
	bench_restart(&b, &bench_rules);
	expect_good_end(&good);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

/* The store takes back a message and does not read any more: of what the batch touched, one in the middle is lost, and what stands
 * behind it still knows its place. */
static void unreadable_in_the_middle(void **state unused_)
{
	uint64_t deadline = attester(&good)->deadline_mono;

	b.now.mono += BENCH_SECOND;
	b.now.real += BENCH_SECOND;
	put_entries(&bad, 2, 3);
	put_quote(&good);
	put_entries(&bad, 5, 3);
	fails = AT_BLOCK;
	spared = 1;
	then_unreadable = true;
	assert_int_equal(send_batch(), -EIO);
	assert_int_equal(b.pipeline->broken, -EIO);
	then_unreadable = false;
	fails = NOWHERE;
	end_batch();
	bench_restart(&b, &bench_rules);
	assert_int_equal(attester(&good)->deadline_mono, deadline);
	expect_good_end(&good);
	expect_good_end(&bad);
}

/* HELLO of a host that nobody knows, of the TPM given. */
static void put_newcomer(const struct fake_tpm *tpm)
{
	struct wire_message m = { .type = WIRE_HELLO };
	struct fake_tpm had = b.tpm;
	size_t n = b.n, next = b.next;

	b.tpm = *tpm;
	b.n = b.next = 0;
	bench_hello(&b);
	m.hello = b.hello;
	put(&m);
	b.tpm = had;
	b.n = n;
	b.next = next;
}

/* One is enrolled, then a message of another fails, then the whole batch: nobody is there who is not stored. */
static void a_newcomer_in_it(void **state unused_)
{
	uint64_t deadline = attester(&bad)->deadline_mono, told = attester(&bad)->findings_told[SEVERITY_WARNING];
	struct fake_tpm tpm;

	put_quote(&bad);
	fake_tpm_init(&tpm, HASH_SHA256);
	b.now.mono += BENCH_SECOND;
	b.now.real += BENCH_SECOND;
	put_newcomer(&tpm);
	put_entries(&bad, 2, 3);
	put_quote(&good);
	fails = AT_BLOCK;
	b.fail_commit = ENOSPC;
	assert_int_equal(send_batch(), -ENOSPC);
	b.fail_commit = 0;
	fails = NOWHERE;
	assert_int_equal(b.pipeline->fleet.by_id.count, 2);
	assert_int_equal(b.pipeline->fleet.n_touched, 0);
	assert_int_equal(attester(&bad)->deadline_mono, deadline);
	assert_int_equal(attester(&bad)->findings_told[SEVERITY_WARNING], told);
	assert_int_equal(attester(&bad)->touched_slot, 0);
	assert_int_equal(attester(&good)->touched_slot, 0);
	end_batch();
	expect_good_end(&bad);
	expect_good_end(&good);
	fake_tpm_clear(&tpm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(others_are_stored_and_acknowledged), TEST(the_message_before_stays),
		TEST(the_message_before_goes_with_the_batch), TEST(a_renewal_before_stays), TEST(wherever_it_fails),
		TEST(its_wait_is_let_go), TEST(a_newcomer), TEST(an_error_that_ends_the_transaction),
		TEST(a_store_that_does_not_read), TEST(unreadable_in_the_middle), TEST(a_newcomer_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
