// SPDX-License-Identifier: Apache-2.0
/* Every way in which a quote can be wrong, each with its own reason; what happens to the attester then. */
#include "lib/verifier_bench.h"

static struct bench b;

static int open_bench(void **state unused_)
{
	bench_open(&b, HASH_SHA256, "", &bench_rules);
	bench_greet(&b);
	for (int i = 0; i < 5; i++)
		bench_measure(&b, "/usr/bin/known");
	return 0;
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static void ready(void)
{
	bench_report(&b);
	bench_quote(&b, b.n);
}

static void refused_with(enum reason reason)
{
	bench_send_quote(&b);
	bench_expect_reject(&b, reason);
	assert_int_equal(bench_findings(&b, reason), 1);
	assert_int_equal(bench_events(&b, "finding", reason), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	assert_int_equal(attester_boot(bench_attester(&b))->proven, 0);
	/* the session is over */
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_SESSION_UNKNOWN);
}

static void good_quote_is_trusted(void **state unused_)
{
	bench_report(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNPROVEN);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(b.reply.ack.state, WIRE_STATE_TRUSTED);
	assert_false(b.reply.ack.quote_wanted);
	assert_memory_equal(bench_attester(&b)->boot->proven_pcr10, b.tpm.pcr[10], 32);
	bench_prove(&b); /* nothing new: still fine */
}

static void wrong_key(void **state unused_)
{
	EVP_PKEY *other = make_key(MADE_P256);

	ready();
	bench_sign(&b, other);
	EVP_PKEY_free(other);
	refused_with(REASON_QUOTE_SIGNATURE);
}

static void wrong_magic(void **state unused_)
{
	ready();
	b.attest.magic ^= 1;
	bench_sign(&b, NULL);
	refused_with(REASON_QUOTE_MAGIC);
}

static void wrong_type(void **state unused_)
{
	ready();
	b.attest.type = 0x8017; /* TPM_ST_ATTEST_CERTIFY */
	bench_sign(&b, NULL);
	refused_with(REASON_QUOTE_TYPE);
}

static void other_nonce(void **state unused_)
{
	ready();
	b.quote.nonce[0] ^= 1;
	bench_sign(&b, NULL);
	refused_with(REASON_QUOTE_NONCE);
}

static void qualifying_data_of_something_else(void **state unused_)
{
	uint8_t other[32] = { 0 };

	ready();
	b.attest.nonce = (struct bytes){ other, sizeof(other) };
	bench_sign(&b, NULL);
	refused_with(REASON_QUOTE_NONCE);
}

static void surely_changed_after_signing(void **state unused_)
{
	ready();
	bench_sign(&b, NULL);
	b.quote.surely--;
	refused_with(REASON_QUOTE_NONCE);
}

static void commitment_for_another_verifier(void **state unused_)
{
	ready();
	bench_sign(&b, NULL);
	b.quote.n_commitments = 2;
	b.quote.position = 1;
	refused_with(REASON_QUOTE_NONCE);
}

static void two_verifiers_share_a_quote(void **state unused_)
{
	ready();
	b.quote.n_commitments = 2;
	b.quote.position = 1;
	memset(b.quote.commitments[0], 0x55, 32);
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_ack(&b, b.n, b.n);
}

static void consumed_nonce(void **state unused_)
{
	uint8_t used[WIRE_NONCE_SIZE];

	bytes_copy(used, b.nonce, sizeof(used));
	bench_prove(&b);
	bench_quote(&b, b.n);
	bytes_copy(b.quote.nonce, used, sizeof(used));
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_REPLAYED);
	assert_int_equal(bench_findings(&b, REASON_QUOTE_REPLAYED), 1);
}

/* DIRECTIVE gives a new nonce while a quote with the one before is on its way. */
static void nonce_before_the_newest_is_good_once(void **state unused_)
{
	bench_prove(&b);
	bench_report(&b);
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	bench_wait(&b);
	bench_pass(&b, 61 * BENCH_SECOND);
	assert_true(b.directed);
	assert_int_equal(b.directive.directive.flags, WIRE_DIRECTIVE_QUOTE);
	bench_send_quote(&b);
	bench_expect_ack(&b, b.n, b.n);
}

static void nonce_of_an_older_session(void **state unused_)
{
	uint8_t old[WIRE_NONCE_SIZE];

	bench_report(&b);
	bytes_copy(old, b.nonce, sizeof(old));
	b.flags ^= WIRE_HELLO_POLL_MODE; /* another HELLO, not the same once more */
	bench_greet(&b);
	bench_quote(&b, b.n);
	bytes_copy(b.quote.nonce, old, sizeof(old));
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_SESSION);
}

static void quote_in_a_replaced_session(void **state unused_)
{
	struct wire_quote old;
	uint8_t session[WIRE_SESSION_SIZE];

	ready();
	bench_sign(&b, NULL);
	old = b.quote;
	bytes_copy(session, b.session, sizeof(session));
	b.flags ^= WIRE_HELLO_POLL_MODE;
	bench_greet(&b);
	bench_wait(&b); /* the first message of the new one ends the old one */
	b.quote = old;
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_SESSION_REPLACED);
	assert_memory_not_equal(session, b.session, sizeof(session));
	assert_int_equal(bench_state(&b), WIRE_STATE_UNPROVEN);
}

static void sequence(void **state unused_)
{
	ready();
	b.quote.seq = 2;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_SEQUENCE);
	assert_int_equal(bench_findings(&b, REASON_QUOTE_SEQUENCE), 0); /* the network's doing, as often as not */
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_SESSION_UNKNOWN);
}

static void same_quote_again_has_the_same_answer(void **state unused_)
{
	struct wire_ack first;
	unsigned int quotes;

	ready();
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	first = b.reply.ack;
	quotes = (unsigned int)bench_attester(&b)->quotes;
	bench_send_quote(&b);
	assert_int_equal(b.reply.type, WIRE_ACK);
	assert_memory_equal(b.reply.ack.nonce, first.nonce, sizeof(first.nonce));
	assert_int_equal(b.reply.ack.proven, first.proven);
	assert_int_equal(bench_attester(&b)->quotes, quotes);
}

/* One that comes late, behind its successor: no effect, nobody accused, the session lives. */
static void late_duplicate(void **state unused_)
{
	struct wire_quote old;
	struct wire_message m = { .type = WIRE_QUOTE };
	struct writer attest = WRITER(LIMIT_ATTEST), signature = WRITER(LIMIT_SIGNATURE);

	ready();
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	old = b.quote;
	write_bytes(&attest, old.attest.p, old.attest.n);
	write_bytes(&signature, old.signature.p, old.signature.n);
	old.attest = writer_view(&attest);
	old.signature = writer_view(&signature);
	bench_prove(&b);
	m.quote = old;
	assert_int_equal(bench_send(&b, &m), 0);
	bench_expect_reject(&b, REASON_QUOTE_REPLAYED);
	assert_int_equal(bench_findings(&b, REASON_QUOTE_REPLAYED), 0);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	writer_free(&attest);
	writer_free(&signature);
}

static void other_selection(void **state unused_)
{
	ready();
	b.attest.selection[0].select[0] = 0;
	bench_sign(&b, NULL);
	refused_with(REASON_QUOTE_SELECTION);
}

static void other_bank(void **state unused_)
{
	ready();
	b.attest.selection[0].alg = 0x000c;
	bench_sign(&b, NULL);
	refused_with(REASON_QUOTE_SELECTION);
}

static void second_selection(void **state unused_)
{
	ready();
	b.attest.selection[1] = b.attest.selection[0];
	b.attest.n_selections = b.attest.count = 2;
	bench_sign(&b, NULL);
	refused_with(REASON_QUOTE_SELECTION);
}

static void older_clock(void **state unused_)
{
	bench_prove(&b);
	bench_quote(&b, b.n);
	b.attest.clock_ms = 1; /* the one before said more */
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_CLOCK);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

static void equal_clock_is_two_quotes_in_a_millisecond(void **state unused_)
{
	bench_prove(&b);
	bench_quote(&b, b.n);
	b.attest.clock_ms--;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_ack(&b, b.n, b.n);
}

static void restart_count_goes_back(void **state unused_)
{
	bench_prove(&b);
	bench_quote(&b, b.n);
	b.attest.restarts--;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_RESTART_COUNT);
}

static void restart_count_goes_up_over_suspend(void **state unused_)
{
	bench_prove(&b);
	b.tpm.restarts++;
	bench_measure(&b, "/usr/bin/after");
	bench_report(&b);
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_TPM_RESUMED); /* the session ends; nobody is blamed */
	assert_int_equal(bench_findings(&b, REASON_TPM_RESUMED), 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	bench_greet(&b);
	assert_int_equal(b.next, b.n); /* the stream goes on */
	bench_prove(&b);
	assert_int_equal(bench_events(&b, "resumed", REASON_TPM_RESUMED), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void malformed(void **state unused_)
{
	ready();
	bench_sign(&b, NULL);
	b.quote.attest.n--;
	refused_with(REASON_QUOTE_MALFORMED);
}

static void signature_of_another_message(void **state unused_)
{
	ready();
	bench_sign(&b, NULL);
	b.attest_bytes.p[b.attest_bytes.n - 1] ^= 1; /* the quoted digest */
	refused_with(REASON_QUOTE_SIGNATURE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_quote_is_trusted),
		TEST(wrong_key),
		TEST(wrong_magic),
		TEST(wrong_type),
		TEST(other_nonce),
		TEST(qualifying_data_of_something_else),
		TEST(surely_changed_after_signing),
		TEST(commitment_for_another_verifier),
		TEST(two_verifiers_share_a_quote),
		TEST(consumed_nonce),
		TEST(nonce_before_the_newest_is_good_once),
		TEST(nonce_of_an_older_session),
		TEST(quote_in_a_replaced_session),
		TEST(sequence),
		TEST(same_quote_again_has_the_same_answer),
		TEST(late_duplicate),
		TEST(other_selection),
		TEST(other_bank),
		TEST(second_selection),
		TEST(older_clock),
		TEST(equal_clock_is_two_quotes_in_a_millisecond),
		TEST(restart_count_goes_back),
		TEST(restart_count_goes_up_over_suspend),
		TEST(malformed),
		TEST(signature_of_another_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
