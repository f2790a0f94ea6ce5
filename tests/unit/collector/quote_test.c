// SPDX-License-Identifier: Apache-2.0
/* The TPM thread, with a software TPM. */
#include "lib/test.h"

#include <poll.h>

#include "base/text.h"
#include "collector/quote.h"
#include "lib/cert_make.h"
#include "lib/swtpm.h"
#include "lib/tpm_make.h"
#include "tpm/attest.h"
#include "tpm/credential.h"

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
	while (work.from < work.n) { /* in slices of some time, of one entry at least */
		assert_int_equal(quoter_extend(q, &work), 0);
		assert_int_equal(quoter_quote(q, qualifying), -EBUSY);
		assert_int_equal(quoter_start_survey(q), -EBUSY);
		r = wait_for(q);
		assert_int_equal(r->kind, QUOTER_EXTEND);
		assert_int_equal(r->status, 0);
		assert_in_range(r->extended, 1, work.n - work.from);
		work.from += r->extended;
	}
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

static void activation(void **state unused_)
{
	static const uint8_t secret[16] = { 4, 2 }, qualifying[32], large[LIMIT_CREDENTIAL + 1];
	cleanup_(quoter_close) struct quoter *q = open_quoter();
	const struct tpm_identity *id = quoter_identity(q);
	const struct quoter_result *r;
	struct credential c;
	uint8_t name[34];
	const char *why;

	assert_int_equal(tpm_public_name((struct bytes){ id->ak_public, id->ak_public_n }, name), QUOTE_OK);
	assert_int_equal(credential_make((struct bytes){ id->ek_public, id->ek_public_n }, (struct bytes){ name, sizeof(name) },
					 (struct bytes){ secret, sizeof(secret) }, &c, &why), 0);
	assert_int_equal(quoter_activate(q, (struct bytes){ large, sizeof(large) }, (struct bytes){ c.secret, c.secret_n }), -EINVAL);
	assert_int_equal(quoter_activate(q, (struct bytes){ c.blob, c.blob_n }, (struct bytes){ c.secret, c.secret_n }), 0);
	assert_int_equal(quoter_quote(q, qualifying), -EBUSY);
	r = wait_for(q);
	assert_int_equal(r->kind, QUOTER_ACTIVATE);
	assert_int_equal(r->status, 0);
	assert_int_equal(r->secret_n, sizeof(secret));
	assert_memory_equal(r->secret, secret, sizeof(secret));
	quoter_forget(q);
	assert_int_equal(r->secret[0] | r->secret[1], 0);
	/* refused: no failure of the TPM, which goes on */
	c.blob[c.blob_n - 1] ^= 1;
	assert_int_equal(quoter_activate(q, (struct bytes){ c.blob, c.blob_n }, (struct bytes){ c.secret, c.secret_n }), 0);
	r = wait_for(q);
	assert_int_equal(r->status, 1);
	assert_int_equal(r->secret_n, 0);
	assert_true(strlen(quoter_error(q)) > 0);
	assert_int_equal(quoter_quote(q, qualifying), 0);
	assert_int_equal(wait_for(q)->status, 0);
}

static void write_pem(const char *path, EVP_PKEY *key, X509 *above)
{
	cleanup_writer_ struct writer w = WRITER(65536);
	X509 *cert = make_cert(&(struct made_cert){ .subject = "iak", .key = key, .issuer = above, .signer = key });

	make_cert_pem(&w, cert);
	make_cert_pem(&w, above);
	assert_int_equal(write_file_atomic(path, writer_view(&w), 0600), 0);
	X509_free(cert);
}

/* --iak-cert: the leaf is the AK's own, the others go to the chain; what does not fit ends the start with a text. The
 * signatures do not matter to the collector. */
static void a_certificate_from_a_file(void **state unused_)
{
	struct quoter_options o = { .tcti = tpm.tcti, .bank_auto = true, .pcr_mask = 0x400 };
	cleanup_(quoter_close) struct quoter *q = open_quoter(), *other = NULL;
	const struct tpm_identity *id = quoter_identity(q);
	cleanup_writer_ struct writer why = WRITER(1024);
	cleanup_ak_ struct ak ak = { 0 };
	EVP_PKEY *key = make_key(MADE_P256);
	X509 *above = make_cert(&(struct made_cert)MADE_CA("maker", key));
	X509 *cert;
	struct writer der = WRITER(65536), pem = WRITER(65536);
	char path[320];

	assert_int_equal(ak_from_public((struct bytes){ id->ak_public, id->ak_public_n }, &ak), QUOTE_OK);
	quoter_close(&q); /* one client at a time */
	snprintf(path, sizeof(path), "%s/iak.pem", tpm.dir);
	o.iak_cert = path;
	assert_int_equal(quoter_open(&other, &o, &why), -ENOENT);
	assert_non_null(strstr(writer_cstr(&why), path));
	assert_int_equal(write_file_atomic(path, BYTES("junk"), 0600), 0);
	writer_reset(&why);
	assert_int_equal(quoter_open(&other, &o, &why), -EINVAL);
	assert_non_null(strstr(writer_cstr(&why), "not a certificate"));
	write_pem(path, key, above);
	writer_reset(&why);
	assert_int_equal(quoter_open(&other, &o, &why), -EINVAL);
	assert_non_null(strstr(writer_cstr(&why), "another key"));

	cert = make_cert(&(struct made_cert){ .subject = "iak", .key = ak.key, .issuer = above, .signer = key });
	make_cert_pem(&pem, cert);
	make_cert_pem(&pem, above);
	make_cert_der(&der, cert);
	assert_int_equal(write_file_atomic(path, writer_view(&pem), 0600), 0);
	assert_int_equal(quoter_open(&other, &o, &why), 0);
	id = quoter_identity(other);
	assert_int_equal(id->iak_cert_n, der.n);
	assert_memory_equal(id->iak_cert, der.p, der.n);
	writer_reset(&der);
	make_cert_der(&der, above);
	assert_int_equal(id->ek_chain_n, der.n);
	assert_memory_equal(id->ek_chain, der.p, der.n);
	/* a handle with nothing behind it */
	quoter_close(&other);
	o.iak_cert = NULL;
	o.ak_handle = 0x81020000;
	writer_reset(&why);
	assert_true(quoter_open(&other, &o, &why) < 0);
	assert_non_null(strstr(writer_cstr(&why), "--ak-handle"));
	X509_free(cert);
	X509_free(above);
	EVP_PKEY_free(key);
	writer_free(&der);
	writer_free(&pem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survey_extend_quote),
		cmocka_unit_test(a_tpm_that_comes_back),
		cmocka_unit_test(another_tpm_is_noticed),
		cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(activation),
		cmocka_unit_test(a_certificate_from_a_file),
	};

	if (!swtpm_available())
		return 77;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
