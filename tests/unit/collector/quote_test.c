// SPDX-License-Identifier: Apache-2.0
/* The TPM thread, with a software TPM. */
#include "lib/test.h"

#include <poll.h>

#include "collector/quote.h"
#include "lib/swtpm.h"
#include "tpm/attest.h"

static struct swtpm tpm;

static struct quoter *open_quoter(void)
{
	const struct quoter_options o = { .tcti = tpm.tcti, .bank_auto = true, .pcr_mask = 0x7ff, .read_pcr_10 = true };
	cleanup_writer_ struct writer why = WRITER(1024);
	struct quoter *q = NULL;
	int r = quoter_open(&q, &o, &why);

	if (r < 0)
		fail_msg("%s", writer_cstr(&why));
	return q;
}

static const struct quoter_result *wait_for(struct quoter *q)
{
	struct pollfd p = { .fd = quoter_fd(q), .events = POLLIN };
	const struct quoter_result *result;

	assert_true(quoter_busy(q));
	assert_int_equal(poll(&p, 1, -1), 1);
	assert_true(quoter_result(q, &result));
	assert_false(quoter_busy(q));
	assert_false(quoter_result(q, &result));
	return result;
}

static void survey_extend_quote(void **state unused_)
{
	static const uint8_t zeros[32], qualifying[32] = { 1, 2, 3 };
	cleanup_(quoter_close) struct quoter *q = open_quoter();
	const struct quoter_result *r;
	struct source_extend work = { .n = 3 };
	uint8_t pcr[HASH_MAX_SIZE] = { 0 };
	struct attest a;

	assert_int_equal(quoter_bank(q), HASH_SHA256);
	assert_memory_equal(quoter_survey(q)->pcrs[10], zeros, 32);
	for (size_t i = 0; i < work.n; i++) {
		work.entry[i].pcr = 10;
		memset(work.entry[i].digests, (int)i + 1, sizeof(work.entry[i].digests));
		hash_extend(HASH_SHA256, pcr, work.entry[i].digests[HASH_SHA256]);
	}
	assert_int_equal(quoter_extend(q, &work), 0);
	assert_int_equal(quoter_quote(q, qualifying), -EBUSY);
	assert_int_equal(quoter_start_survey(q), -EBUSY);
	r = wait_for(q);
	assert_int_equal(r->kind, QUOTER_EXTEND);
	assert_int_equal(r->status, 0);
	assert_int_equal(r->extended, 3);
	assert_int_equal(quoter_start_survey(q), 0);
	r = wait_for(q);
	assert_int_equal(r->status, 0);
	assert_memory_equal(quoter_survey(q)->pcrs[10], pcr, 32);
	assert_int_equal(quoter_quote(q, qualifying), 0);
	r = wait_for(q);
	assert_int_equal(r->kind, QUOTER_QUOTE);
	assert_int_equal(r->status, 0);
	assert_true(r->ended_us >= r->started_us);
	assert_int_equal(attest_parse((struct bytes){ r->quote.attest, r->quote.attest_n }, &a), QUOTE_OK);
	assert_int_equal(a.extra_data.n, 32);
	assert_memory_equal(a.extra_data.p, qualifying, 32);
	assert_int_equal(attest_selected(&a, hash_tpm_alg(HASH_SHA256)), 0x7ff);
	assert_true(quoter_commands(q) > 0);
}

/* The TPM goes away and comes back: the job fails, a later one opens it again. */
static void a_tpm_that_comes_back(void **state unused_)
{
	static const uint8_t qualifying[32] = { 9 };
	cleanup_(quoter_close) struct quoter *q = open_quoter();
	const struct quoter_result *r;
	uint64_t before;

	swtpm_stop(&tpm);
	assert_int_equal(quoter_quote(q, qualifying), 0);
	r = wait_for(q);
	assert_true(r->status < 0);
	assert_true(strlen(quoter_error(q)) > 0);
	before = quoter_commands(q);
	assert_int_equal(quoter_quote(q, qualifying), 0);
	r = wait_for(q);
	assert_true(r->status < 0);
	assert_int_equal(swtpm_run(&tpm), 0);
	assert_int_equal(quoter_quote(q, qualifying), 0);
	r = wait_for(q);
	assert_int_equal(r->status, 0);
	assert_true(quoter_commands(q) > before);
}

static void another_tpm_is_noticed(void **state unused_)
{
	static const uint8_t qualifying[32] = { 9 };
	cleanup_(quoter_close) struct quoter *q = NULL;
	struct swtpm other = { 0 }, first = { 0 };
	const struct quoter_result *r;

	q = open_quoter();
	swtpm_stop(&tpm);
	assert_int_equal(quoter_quote(q, qualifying), 0);
	r = wait_for(q);
	assert_true(r->status < 0);
	/* another one answers at the same address */
	assert_int_equal(swtpm_start(&other, NULL), 0);
	swtpm_stop(&other);
	first = other;
	first.port = tpm.port;
	bytes_copy(first.tcti, tpm.tcti, sizeof(first.tcti));
	assert_int_equal(swtpm_run(&first), 0);
	assert_int_equal(quoter_quote(q, qualifying), 0);
	r = wait_for(q);
	assert_int_equal(r->status, -EUCLEAN);
	quoter_close(&q);
	swtpm_cleanup(&first);
	assert_int_equal(swtpm_run(&tpm), 0);
}

static void what_is_wrong(void **state unused_)
{
	struct quoter_options o = { .tcti = "swtpm:host=127.0.0.1,port=1", .bank_auto = true, .pcr_mask = 1u << 10 };
	cleanup_writer_ struct writer why = WRITER(1024);
	struct quoter *q = NULL;

	assert_true(quoter_open(&q, &o, &why) < 0);
	assert_null(q);
	assert_non_null(strstr(writer_cstr(&why), "cannot open the TPM"));
	assert_non_null(strstr(writer_cstr(&why), "--tcti"));
}

static int set_up(void **state unused_)
{
	if (!swtpm_available())
		return 0;
	return swtpm_start(&tpm, NULL);
}

static int tear_down(void **state unused_)
{
	swtpm_cleanup(&tpm);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survey_extend_quote),
		cmocka_unit_test(a_tpm_that_comes_back),
		cmocka_unit_test(another_tpm_is_noticed),
		cmocka_unit_test(what_is_wrong),
	};

	if (!swtpm_available())
		return 77;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
