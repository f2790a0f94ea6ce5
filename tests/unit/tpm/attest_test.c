// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include "lib/tpm_make.h"

static const uint8_t filler[256] = { 1, 2, 3 };

static enum quote_outcome parse(const struct made_attest *made, struct attest *out)
{
	cleanup_writer_ struct writer w = WRITER(1u << 16);
	static uint8_t keep[4096]; /* the views of *out point here */
	size_t n;

	make_attest(&w, made);
	n = w.n;
	assert_true(n <= sizeof(keep));
	bytes_copy(keep, w.p, n);
	return attest_parse((struct bytes){ keep, n }, out);
}

static void plain_quote(void **state)
{
	struct made_attest m = MADE_ATTEST;
	struct attest a;

	(void)state;
	m.signer = (struct bytes){ filler, 34 };
	m.nonce = (struct bytes){ filler, 20 };
	m.digest = (struct bytes){ filler, 32 };
	assert_int_equal(parse(&m, &a), QUOTE_OK);
	assert_int_equal(a.qualified_signer.n, 34);
	assert_int_equal(a.extra_data.n, 20);
	assert_memory_equal(a.extra_data.p, filler, 20);
	assert_int_equal(a.clock_ms, 123456);
	assert_int_equal(a.reset_count, 7);
	assert_int_equal(a.restart_count, 2);
	assert_true(a.safe);
	assert_int_equal(a.firmware, 0x2019102300163636);
	assert_int_equal(a.n_selections, 1);
	assert_int_equal(a.selection[0].alg, 0x000b);
	assert_int_equal(a.selection[0].mask, 1u << 10);
	assert_int_equal(a.pcr_digest.n, 32);
}

static void wrong_magic(void **state)
{
	struct made_attest m = MADE_ATTEST;
	struct attest a;

	(void)state;
	m.magic = 0xff544346;
	assert_int_equal(parse(&m, &a), QUOTE_BAD_MAGIC);
	m.magic = 0;
	assert_int_equal(parse(&m, &a), QUOTE_BAD_MAGIC);
}

/* every other TPM_ST_ATTEST_*, and neighbours */
static void wrong_type(void **state)
{
	struct made_attest m = MADE_ATTEST;
	struct attest a;

	(void)state;
	for (unsigned int type = 0x8010; type < 0x8020; type++) {
		m.type = (uint16_t)type;
		assert_int_equal(parse(&m, &a), type == 0x8018 ? QUOTE_OK : QUOTE_BAD_TYPE);
	}
	m.type = 0x1880;
	assert_int_equal(parse(&m, &a), QUOTE_BAD_TYPE);
}

static void every_truncation_and_a_trailing_byte(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct made_attest m = MADE_ATTEST;
	struct attest a = { .clock_ms = 42 };

	(void)state;
	m.signer = (struct bytes){ filler, 34 };
	m.digest = (struct bytes){ filler, 32 };
	make_attest(&w, &m);
	for (size_t n = 0; n < w.n; n++) {
		cleanup_free_ uint8_t *exact = alloc_bytes(n);

		assert_non_null(exact);
		bytes_copy(exact, w.p, n);
		assert_int_equal(attest_parse((struct bytes){ exact, n }, &a), QUOTE_MALFORMED);
	}
	assert_int_equal(a.clock_ms, 42); /* untouched */
	assert_int_equal(attest_parse(writer_view(&w), &a), QUOTE_OK);
	write_u8(&w, 0);
	assert_int_equal(attest_parse(writer_view(&w), &a), QUOTE_MALFORMED);
}

static void lengths_at_and_past_their_limit(void **state)
{
	struct made_attest m = MADE_ATTEST;
	struct attest a;

	(void)state;
	m.signer = (struct bytes){ filler, LIMIT_TPM_NAME };
	m.nonce = (struct bytes){ filler, LIMIT_TPM_DATA };
	m.digest = (struct bytes){ filler, HASH_MAX_SIZE };
	assert_int_equal(parse(&m, &a), QUOTE_OK);
	m.signer.n++;
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
	m.signer.n--;
	m.nonce.n++;
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
	m.nonce.n--;
	m.digest.n++;
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
}

static void whole_message_past_its_limit(void **state)
{
	static uint8_t large[LIMIT_ATTEST + 1] = { 0xff, 0x54, 0x43, 0x47, 0x80, 0x18 };
	struct attest a;

	(void)state;
	large[4] = 0x80;
	large[5] = 0x17;
	assert_int_equal(attest_parse((struct bytes){ large, LIMIT_ATTEST }, &a), QUOTE_BAD_TYPE);
	assert_int_equal(attest_parse((struct bytes){ large, LIMIT_ATTEST + 1 }, &a), QUOTE_MALFORMED);
}

static void selection_sizes(void **state)
{
	struct made_attest m = MADE_ATTEST;
	struct attest a;

	(void)state;
	bytes_copy(m.selection[0].select, (const uint8_t[]){ 1, 0, 0x80, 0, 0 }, 5);
	m.selection[0].size = 0;
	assert_int_equal(parse(&m, &a), QUOTE_OK);
	assert_int_equal(a.selection[0].mask, 0);
	m.selection[0].size = 1;
	assert_int_equal(parse(&m, &a), QUOTE_OK);
	assert_int_equal(a.selection[0].mask, 1);
	m.selection[0].size = 4;
	assert_int_equal(parse(&m, &a), QUOTE_OK);
	assert_int_equal(a.selection[0].mask, 0x800001);
	m.selection[0].select[3] = 1; /* PCR 24 */
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
	m.selection[0].select[3] = 0;
	m.selection[0].size = 5;
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
}

static void selection_counts(void **state)
{
	struct made_attest m = MADE_ATTEST;
	struct attest a;

	(void)state;
	m.count = 0;
	m.n_selections = 0;
	assert_int_equal(parse(&m, &a), QUOTE_OK);
	assert_int_equal(a.n_selections, 0);
	for (size_t i = 0; i < ARRAY_SIZE(m.selection); i++)
		m.selection[i].alg = 0x0004;
	m.count = m.n_selections = LIMIT_PCR_SELECTIONS;
	assert_int_equal(parse(&m, &a), QUOTE_OK);
	assert_int_equal(a.n_selections, LIMIT_PCR_SELECTIONS);
	m.count = m.n_selections = LIMIT_PCR_SELECTIONS + 1;
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
	m.n_selections = 1;
	m.count = UINT32_MAX; /* must not loop that often */
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
	m.count = 2;
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
}

static void safe_is_yes_or_no(void **state)
{
	struct made_attest m = MADE_ATTEST;
	struct attest a;

	(void)state;
	m.safe = 0;
	assert_int_equal(parse(&m, &a), QUOTE_OK);
	assert_false(a.safe);
	m.safe = 2;
	assert_int_equal(parse(&m, &a), QUOTE_MALFORMED);
}

static void nonces(void **state)
{
	struct attest a = { .extra_data = { filler, 3 } };

	(void)state;
	assert_int_equal(attest_check_nonce(&a, (struct bytes){ filler, 3 }), QUOTE_OK);
	assert_int_equal(attest_check_nonce(&a, (struct bytes){ filler, 2 }), QUOTE_WRONG_NONCE);
	assert_int_equal(attest_check_nonce(&a, (struct bytes){ filler, 4 }), QUOTE_WRONG_NONCE);
	assert_int_equal(attest_check_nonce(&a, (struct bytes){ filler + 1, 3 }), QUOTE_WRONG_NONCE);
	assert_int_equal(attest_check_nonce(&a, (struct bytes){ NULL, 0 }), QUOTE_WRONG_NONCE);
	a.extra_data = (struct bytes){ NULL, 0 };
	assert_int_equal(attest_check_nonce(&a, (struct bytes){ NULL, 0 }), QUOTE_OK);
	assert_int_equal(attest_check_nonce(&a, (struct bytes){ filler, 1 }), QUOTE_WRONG_NONCE);
}

struct pcrs {
	uint8_t sha1[20], sha256_0[32], sha256_10[32];
	bool without_sha1;
};

static const uint8_t *pcr_value(void *user, uint16_t alg, unsigned int index)
{
	const struct pcrs *p = user;

	if (alg == 0x0004 && index == 23)
		return p->without_sha1 ? NULL : p->sha1;
	if (alg == 0x000b && index == 10)
		return p->sha256_10;
	if (alg == 0x000b && index == 0)
		return p->sha256_0;
	return NULL;
}

/* the order is that of the selection list, then of the index: written out by hand here */
static void composite_order(void **state)
{
	struct pcrs p;
	struct attest a = { .selection = { { 0x000b, 1u << 10 | 1 }, { 0x0004, 1u << 23 } }, .n_selections = 2 };
	uint8_t flat[84], want[64], got[HASH_MAX_SIZE];

	(void)state;
	memset(p.sha1, 0x11, 20);
	memset(p.sha256_0, 0x22, 32);
	memset(p.sha256_10, 0x33, 32);
	p.without_sha1 = false;
	bytes_copy(flat, p.sha256_0, 32);
	bytes_copy(flat + 32, p.sha256_10, 32);
	bytes_copy(flat + 64, p.sha1, 20);
	for (int h = HASH_SHA256; h < HASH_COUNT; h++) {
		hash_one((enum hash_alg)h, flat, sizeof(flat), want);
		assert_int_equal(quote_composite(&a, (enum hash_alg)h, pcr_value, &p, got), QUOTE_OK);
		assert_memory_equal(got, want, hash_size((enum hash_alg)h));
		a.pcr_digest = (struct bytes){ want, hash_size((enum hash_alg)h) };
		assert_int_equal(quote_check_composite(&a, (enum hash_alg)h, pcr_value, &p), QUOTE_OK);
		p.sha256_10[31] ^= 1;
		assert_int_equal(quote_check_composite(&a, (enum hash_alg)h, pcr_value, &p), QUOTE_WRONG_PCR_DIGEST);
		p.sha256_10[31] ^= 1;
		a.pcr_digest.n--;
		assert_int_equal(quote_check_composite(&a, (enum hash_alg)h, pcr_value, &p), QUOTE_WRONG_PCR_DIGEST);
	}
	a.pcr_digest = (struct bytes){ want, 64 };
	a.selection[0] = (struct pcr_selection){ 0x0004, 1u << 23 };
	a.selection[1] = (struct pcr_selection){ 0x000b, 1u << 10 | 1 };
	assert_int_equal(quote_check_composite(&a, HASH_SHA512, pcr_value, &p), QUOTE_WRONG_PCR_DIGEST);
}

static void composite_without_a_value(void **state)
{
	struct pcrs p = { .without_sha1 = true };
	struct attest a = { .selection = { { 0x000b, 1 }, { 0x0004, 1u << 23 } }, .n_selections = 2 };
	uint8_t got[HASH_MAX_SIZE];

	(void)state;
	assert_int_equal(quote_composite(&a, HASH_SHA256, pcr_value, &p, got), QUOTE_WRONG_SELECTION);
	a.selection[1] = (struct pcr_selection){ 0x0012, 1 }; /* SM3 */
	assert_int_equal(quote_composite(&a, HASH_SHA256, pcr_value, &p, got), QUOTE_UNSUPPORTED);
	a.selection[1].mask = 0;
	assert_int_equal(quote_composite(&a, HASH_SHA256, pcr_value, &p, got), QUOTE_OK);
}

static void selected_over_all_entries(void **state)
{
	struct attest a = { .selection = { { 0x000b, 1 }, { 0x0004, 2 }, { 0x000b, 4 } }, .n_selections = 3 };

	(void)state;
	assert_int_equal(attest_selected(&a, 0x000b), 5);
	assert_int_equal(attest_selected(&a, 0x0004), 2);
	assert_int_equal(attest_selected(&a, 0x000c), 0);
}

static void outcomes_have_text_and_reason(void **state)
{
	(void)state;
	assert_int_equal(quote_outcome_reason(QUOTE_OK), REASON_NONE);
	for (int o = QUOTE_MALFORMED; o <= QUOTE_WRONG_PCR_DIGEST; o++)
		assert_in_range(quote_outcome_reason((enum quote_outcome)o), 40, 69);
	/* an errno that was not handled is never "fine" */
	assert_int_not_equal(quote_outcome_reason((enum quote_outcome)-ENOMEM), REASON_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_quote),
		cmocka_unit_test(wrong_magic),
		cmocka_unit_test(wrong_type),
		cmocka_unit_test(every_truncation_and_a_trailing_byte),
		cmocka_unit_test(lengths_at_and_past_their_limit),
		cmocka_unit_test(whole_message_past_its_limit),
		cmocka_unit_test(selection_sizes),
		cmocka_unit_test(selection_counts),
		cmocka_unit_test(safe_is_yes_or_no),
		cmocka_unit_test(nonces),
		cmocka_unit_test(composite_order),
		cmocka_unit_test(composite_without_a_value),
		cmocka_unit_test(selected_over_all_entries),
		cmocka_unit_test(outcomes_have_text_and_reason),
	};

	return cmocka_run_group_tests_name("tpm/attest", tests, NULL, NULL);
}
