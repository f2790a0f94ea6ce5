// SPDX-License-Identifier: Apache-2.0
/* `imastream log verify` with a quote whose PCRs and bank the host chose. */
#include "cli/log_verify.h"
#include "lib/fake_quote.h"
#include "lib/test.h"

struct case_ {
	struct fake_tpm tpm;
	struct writer list, message, signature;
	struct ak ak;
};

static void case_clear(struct case_ *c)
{
	fake_tpm_clear(&c->tpm);
	writer_free(&c->list);
	writer_free(&c->message);
	writer_free(&c->signature);
	ak_clear(&c->ak);
}

/* An entry of the list, extended into the PCR or made up. */
static void entry(struct case_ *c, uint32_t pcr, const char *path, bool extend)
{
	cleanup_writer_ struct writer data = WRITER(4096);
	uint8_t digest[HASH_MAX_SIZE], file[8 + 32] = "sha256:";

	hash_one(HASH_SHA256, path, strlen(path), file + 8);
	write_u32le(&data, sizeof(file));
	write_bytes(&data, file, sizeof(file));
	write_u32le(&data, (uint32_t)strlen(path) + 1);
	write_bytes(&data, path, strlen(path) + 1);
	hash_one(HASH_SHA1, data.p, data.n, digest);
	write_u32le(&c->list, pcr);
	write_bytes(&c->list, digest, 20);
	write_u32le(&c->list, 6);
	write_bytes(&c->list, "ima-ng", 6);
	write_u32le(&c->list, (uint32_t)data.n);
	write_bytes(&c->list, data.p, data.n);
	hash_one(c->tpm.bank, data.p, data.n, digest);
	if (extend)
		fake_tpm_extend(&c->tpm, pcr, digest);
}

static void verify(struct case_ *c, uint32_t mask, struct log_report *r)
{
	struct made_attest attest;
	struct log_inputs in = { .quote_given = true, .nonce_given = true, .nonce = BYTES("nonce"), .ak = &c->ak };
	uint8_t digest[HASH_MAX_SIZE];

	attest = fake_tpm_attest(&c->tpm, mask, in.nonce, digest);
	fake_tpm_sign(&c->tpm, NULL, &attest, &c->message, &c->signature);
	assert_int_equal(ak_from_public(writer_view(&c->tpm.ak_public), &c->ak), QUOTE_OK);
	in.list = writer_view(&c->list);
	in.message = writer_view(&c->message);
	in.signature = writer_view(&c->signature);
	assert_int_equal(log_verify(&in, r), 0);
}

static struct case_ begin(enum hash_alg bank)
{
	struct case_ c = { .list = WRITER(1u << 20), .message = WRITER(LIMIT_ATTEST), .signature = WRITER(LIMIT_SIGNATURE) };

	fake_tpm_init(&c.tpm, bank);
	return c;
}

static const struct log_finding *find(const struct log_report *r, enum reason reason)
{
	for (size_t i = 0; i < r->n_findings; i++)
		if (r->findings[i].reason == reason)
			return &r->findings[i];
	return NULL;
}

/* A PCR that anybody may reset, and one entry in it, prove nothing about the entries in PCR 10. */
static void another_pcr_does_not_vouch_for_pcr_10(void **state unused_)
{
	cleanup_(case_clear) struct case_ c = begin(HASH_SHA256);
	cleanup_log_report_ struct log_report r = { 0 };

	entry(&c, 10, "/usr/bin/made-up", false);
	entry(&c, 16, "/usr/bin/extended", true);
	verify(&c, 1u << 16, &r);
	assert_false(r.quote.matched);
	assert_int_equal(r.verdict, LOG_UNTRUSTED);
	assert_non_null(find(&r, REASON_QUOTE_SELECTION));
	assert_int_equal(r.unproven, 2);
}

static void sha1_bank_alone_is_a_warning(void **state unused_)
{
	cleanup_(case_clear) struct case_ c = begin(HASH_SHA1);
	cleanup_log_report_ struct log_report r = { 0 };

	entry(&c, 10, "/usr/bin/a", true);
	verify(&c, 1u << 10, &r);
	assert_true(r.quote.matched);
	assert_int_equal(r.verdict, LOG_WARNING);
	assert_non_null(find(&r, REASON_BANK_SHA1));
}

static void sha256_bank_is_fine(void **state unused_)
{
	cleanup_(case_clear) struct case_ c = begin(HASH_SHA256);
	cleanup_log_report_ struct log_report r = { 0 };

	entry(&c, 10, "/usr/bin/a", true);
	verify(&c, 1u << 10, &r);
	assert_true(r.quote.matched);
	assert_int_equal(r.verdict, LOG_TRUSTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_pcr_does_not_vouch_for_pcr_10),
		cmocka_unit_test(sha1_bank_alone_is_a_warning),
		cmocka_unit_test(sha256_bank_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
