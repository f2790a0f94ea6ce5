// SPDX-License-Identifier: Apache-2.0
/* `imastream quote verify` on Keylime's vector (tests/vectors/README.md), and every mutation that it names. */
#include <jansson.h>

#include "lib/test.h"

#include "base/text.h"
#include "cli/commands.h"
#include "lib/capture.h"
#include "lib/tpm_make.h"

#define VECTOR TESTS_DIR "/vectors/keylime-quote/unit-sha256-pcr16/"

struct files {
	struct writer ak, msg, sig, pcrs, nonce;
	char dir[64];
};

static void load(const char *path, struct writer *w)
{
	*w = WRITER(1u << 16);
	assert_int_equal(read_file(path, w), 0);
}

static int setup(void **state)
{
	struct files *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	load(VECTOR "ak.pem", &f->ak);
	load(VECTOR "msg", &f->msg);
	load(VECTOR "sig", &f->sig);
	load(VECTOR "pcrs", &f->pcrs);
	load(VECTOR "nonce", &f->nonce);
	scratch_make(f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct files *f = *state;

	scratch_remove(f->dir);
	writer_free(&f->ak);
	writer_free(&f->msg);
	writer_free(&f->sig);
	writer_free(&f->pcrs);
	writer_free(&f->nonce);
	free(f);
	return 0;
}

/* Runs the command over what the writers hold; the JSON document is checked against its exit code. Returns it for more. */
static json_t *judge_with(struct files *f, int expected, const char *reason, bool with_nonce, bool with_pcrs)
{
	cleanup_writer_ struct writer out = WRITER(1u << 16), err = WRITER(1u << 16), text = WRITER(1u << 16), hex = WRITER(1024);
	char ak[192], msg[192], sig[192], pcrs[192];
	const char *argv[16] = { "quote", "verify", "--ak", ak, "--message", msg, "--signature", sig };
	json_t *doc;
	int n = 8, code;

	scratch_file(f->dir, "ak", writer_view(&f->ak), ak);
	scratch_file(f->dir, "msg", writer_view(&f->msg), msg);
	scratch_file(f->dir, "sig", writer_view(&f->sig), sig);
	scratch_file(f->dir, "pcrs", writer_view(&f->pcrs), pcrs);
	write_hex(&hex, f->nonce.p, f->nonce.n);
	if (with_nonce) {
		argv[n++] = "--nonce";
		argv[n++] = writer_cstr(&hex);
	}
	if (with_pcrs) {
		argv[n++] = "--pcrs";
		argv[n++] = pcrs;
	}
	code = capture_command(cmd_quote, argv, &text, &err);
	assert_int_equal(code, expected);
	argv[n++] = "--json";
	code = capture_command(cmd_quote, argv, &out, &err);
	assert_int_equal(code, expected);
	assert_int_equal(err.n, 0);
	doc = json_loadb((const char *)out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	if (reason) {
		assert_true(json_is_false(json_object_get(doc, "valid")));
		assert_string_equal(json_string_value(json_object_get(doc, "reason")), reason);
		assert_non_null(strstr(writer_cstr(&text), reason));
		assert_non_null(strstr(writer_cstr(&text), "INVALID"));
	} else {
		assert_true(json_is_true(json_object_get(doc, "valid")));
		assert_true(json_is_null(json_object_get(doc, "reason")));
		assert_null(strstr(writer_cstr(&text), "INVALID"));
	}
	return doc;
}

static void refused(struct files *f, const char *reason)
{
	json_decref(judge_with(f, 3, reason, true, true));
}

static void as_it_is(void **state)
{
	struct files *f = *state;
	json_t *d = judge_with(f, 0, NULL, true, true), *pcrs = json_object_get(d, "pcrs"), *sig = json_object_get(d, "signature");

	assert_string_equal(json_string_value(json_object_get(d, "type")), "quote");
	assert_int_equal(json_integer_value(json_object_get(d, "clock")), 1284787942);
	assert_int_equal(json_integer_value(json_object_get(d, "reset_count")), 3);
	assert_int_equal(json_integer_value(json_object_get(d, "restart_count")), 0);
	assert_true(json_is_true(json_object_get(d, "safe")));
	assert_string_equal(json_string_value(json_object_get(d, "firmware")), "2019102300163636");
	assert_string_equal(json_string_value(json_object_get(d, "nonce")), "4169354d35536a596a6e6b797634503769744831");
	assert_string_equal(json_string_value(json_object_get(d, "pcr_digest")),
			    "6d4d3749132f6257172164cd5ff3135f447973d4a5c84e018901f6753705b701");
	assert_int_equal(json_object_size(pcrs), 1);
	assert_int_equal(json_array_size(json_object_get(pcrs, "sha256")), 1);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(pcrs, "sha256"), 0)), 16);
	assert_string_equal(json_string_value(json_object_get(sig, "scheme")), "rsassa");
	assert_string_equal(json_string_value(json_object_get(sig, "hash")), "sha256");
	assert_string_equal(json_string_value(json_object_get(json_object_get(d, "ak"), "type")), "rsa-2048");
	json_decref(d);
}

static void unchecked_parts_are_said_to_be(void **state)
{
	struct files *f = *state;
	json_t *d = judge_with(f, 0, NULL, false, false);

	assert_true(json_is_false(json_object_get(json_object_get(d, "checked"), "nonce")));
	assert_true(json_is_false(json_object_get(json_object_get(d, "checked"), "pcrs")));
	json_decref(d);
	d = judge_with(f, 0, NULL, true, true);
	assert_true(json_is_true(json_object_get(json_object_get(d, "checked"), "nonce")));
	assert_true(json_is_true(json_object_get(json_object_get(d, "checked"), "pcrs")));
	json_decref(d);
}

static void bit_0_of_message_byte_5(void **state)
{
	struct files *f = *state;

	f->msg.p[5] ^= 1;
	refused(f, "quote-type");
}

static void bit_0_of_pcrs_byte_5(void **state)
{
	struct files *f = *state;

	f->pcrs.p[5] ^= 1;
	refused(f, "quote-pcr-digest");
}

static void another_nonce(void **state)
{
	struct files *f = *state;

	f->nonce.p[0] ^= 1;
	refused(f, "quote-nonce");
	f->nonce.p[0] ^= 1;
	f->nonce.n--;
	refused(f, "quote-nonce");
	f->nonce.n = 0;
	refused(f, "quote-nonce");
}

static void every_bit_of_the_message(void **state)
{
	struct files *f = *state;

	/* the command itself on one bit a byte (all 1,064 would only test the disk) */
	for (size_t i = 0; i < f->msg.n; i += 7) {
		json_t *d;
		const char *reason;

		f->msg.p[i] ^= (uint8_t)(1u << i % 8);
		d = judge_with(f, 3, i < 4 ? "quote-magic" : i < 6 ? "quote-type" : i == 6 || i == 7 ? "quote-malformed" :
			       attest_parse(writer_view(&f->msg), &(struct attest){ 0 }) == QUOTE_OK ? "quote-signature" :
			       "quote-malformed", true, true);
		reason = json_string_value(json_object_get(d, "reason"));
		assert_non_null(reason);
		json_decref(d);
		f->msg.p[i] ^= (uint8_t)(1u << i % 8);
	}
}

static void every_bit_in_the_library(void **state)
{
	struct files *f = *state;
	cleanup_ak_ struct ak ak = { 0 };
	struct bytes nonce = writer_view(&f->nonce);
	struct quote_facts facts;

	assert_int_equal(ak_from_pem(writer_view(&f->ak), &ak), QUOTE_OK);
	assert_int_equal(quote_verify(writer_view(&f->msg), writer_view(&f->sig), &ak, &nonce, &facts), QUOTE_OK);
	for (size_t bit = 0; bit < 8 * f->msg.n; bit++) {
		f->msg.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(quote_verify(writer_view(&f->msg), writer_view(&f->sig), &ak, &nonce, &facts), QUOTE_OK);
		f->msg.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * f->sig.n; bit++) {
		f->sig.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(quote_verify(writer_view(&f->msg), writer_view(&f->sig), &ak, &nonce, &facts), QUOTE_OK);
		f->sig.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void changed_pcr_value_and_file(void **state)
{
	struct files *f = *state;

	f->pcrs.p[142] ^= 1; /* first byte of the value */
	refused(f, "quote-pcr-digest");
	f->pcrs.p[142] ^= 1;
	f->pcrs.p[9] = 2; /* PCR 17 instead of 16 */
	refused(f, "quote-pcr-digest");
	f->pcrs.p[9] = 1;
	f->pcrs.n--;
	refused(f, "quote-pcr-digest");
	f->pcrs.n = 0;
	refused(f, "quote-pcr-digest");
}

static void bare_pcr_value(void **state)
{
	struct files *f = *state;
	uint8_t value[32];

	bytes_copy(value, f->pcrs.p + 142, 32);
	bytes_copy(f->pcrs.p, value, 32);
	f->pcrs.n = 32;
	json_decref(judge_with(f, 0, NULL, true, true));
	f->pcrs.p[0] ^= 1;
	refused(f, "quote-pcr-digest");
}

static void plain_signature(void **state)
{
	struct files *f = *state;

	memmove(f->sig.p, f->sig.p + 6, f->sig.n - 6);
	f->sig.n -= 6;
	json_decref(judge_with(f, 0, NULL, true, true));
	f->sig.p[0] ^= 1;
	refused(f, "quote-signature");
	f->sig.p[0] ^= 1;
	f->sig.n--;
	refused(f, "quote-unsupported"); /* now neither form: its first bytes read as a scheme that does not exist */
}

static void truncated_trailing_oversized(void **state)
{
	struct files *f = *state;
	size_t whole = f->msg.n;

	f->msg.n--;
	refused(f, "quote-malformed");
	f->msg.n = 0;
	refused(f, "quote-malformed");
	f->msg.n = whole;
	write_u8(&f->msg, 0);
	refused(f, "quote-malformed");
	write_space(&f->msg, LIMIT_ATTEST);
	refused(f, "quote-malformed");
	f->msg.n = whole;
	write_u8(&f->sig, 0);
	refused(f, "quote-malformed");
	f->sig.n = 0;
	refused(f, "quote-malformed");
	write_space(&f->sig, LIMIT_SIGNATURE + 2);
	memset(f->sig.p, 0, f->sig.n);
	refused(f, "quote-malformed");
}

static void another_key(void **state)
{
	static const struct {
		enum made_key kind;
		const char *reason;
	} others[] = {
		{ MADE_RSA_2048, "quote-signature" }, { MADE_RSA_3072, "quote-signature" }, { MADE_P256, "quote-signature" },
		{ MADE_RSA_1024, "quote-unsupported" }, { MADE_P521, "quote-unsupported" }, { MADE_ED25519, "quote-unsupported" },
	};
	struct files *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		EVP_PKEY *key = make_key(others[i].kind);

		writer_reset(&f->ak);
		make_pem(&f->ak, key);
		refused(f, others[i].reason);
		EVP_PKEY_free(key);
	}
}

static int run(const char *const argv[])
{
	cleanup_writer_ struct writer out = WRITER(1u << 16), err = WRITER(1u << 16);
	int code = capture_command(cmd_quote, argv, &out, &err);

	assert_true(code == 0 || err.n > 0);
	return code;
}

static void usage_and_our_errors(void **state)
{
#define FILES "--ak", VECTOR "ak.pem", "--message", VECTOR "msg", "--signature", VECTOR "sig"
	(void)state;
	assert_int_equal(run((const char *const[]){ "quote", NULL }), 2);
	assert_int_equal(run((const char *const[]){ "quote", "--help", NULL }), 0);
	assert_int_equal(run((const char *const[]){ "quote", "verify", "--help", NULL }), 0);
	assert_int_equal(run((const char *const[]){ "quote", "make", NULL }), 2);
	assert_int_equal(run((const char *const[]){ "quote", "verify", NULL }), 2);
	assert_int_equal(run((const char *const[]){ "quote", "verify", FILES, NULL }), 0);
	assert_int_equal(run((const char *const[]){ "quote", "verify", FILES, "more", NULL }), 2);
	assert_int_equal(run((const char *const[]){ "quote", "verify", FILES, "--what", NULL }), 2);
	assert_int_equal(run((const char *const[]){ "quote", "verify", FILES, "--nonce", NULL }), 2);
	assert_int_equal(run((const char *const[]){ "quote", "verify", FILES, "--nonce", "abc", NULL }), 2);
	assert_int_equal(run((const char *const[]){ "quote", "verify", FILES, "--nonce", "zz", NULL }), 2);
	assert_int_equal(run((const char *const[]){ "quote", "verify", FILES, "--pcrs", VECTOR "absent", NULL }), 1);
	assert_int_equal(run((const char *const[]){ "quote", "verify", "--ak", VECTOR "absent", "--message", VECTOR "msg",
						    "--signature", VECTOR "sig", NULL }), 1);
	assert_int_equal(run((const char *const[]){ "quote", "verify", "--ak", VECTOR "msg", "--message", VECTOR "msg",
						    "--signature", VECTOR "sig", NULL }), 1);
#undef FILES
}

/* the longest nonce that a TPM can carry is a question, one byte more a mistake */
static void nonce_at_and_past_its_limit(void **state)
{
	char hex[2 * (LIMIT_TPM_DATA + 1) + 1];
	const char *argv[] = { "quote", "verify", "--ak", VECTOR "ak.pem", "--message", VECTOR "msg", "--signature", VECTOR "sig",
			       "--nonce", hex, NULL };
	cleanup_writer_ struct writer out = WRITER(1u << 16), err = WRITER(1u << 16);

	(void)state;
	memset(hex, 'a', sizeof(hex));
	hex[2 * LIMIT_TPM_DATA] = 0;
	assert_int_equal(capture_command(cmd_quote, argv, &out, &err), 3);
	hex[2 * LIMIT_TPM_DATA] = 'a';
	hex[2 * LIMIT_TPM_DATA + 2] = 0;
	assert_int_equal(capture_command(cmd_quote, argv, &out, &err), 2);
}

#define ON_FILES(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FILES(as_it_is),
		ON_FILES(unchecked_parts_are_said_to_be),
		ON_FILES(bit_0_of_message_byte_5),
		ON_FILES(bit_0_of_pcrs_byte_5),
		ON_FILES(another_nonce),
		ON_FILES(every_bit_of_the_message),
		ON_FILES(every_bit_in_the_library),
		ON_FILES(changed_pcr_value_and_file),
		ON_FILES(bare_pcr_value),
		ON_FILES(plain_signature),
		ON_FILES(truncated_trailing_oversized),
		ON_FILES(another_key),
		cmocka_unit_test(usage_and_our_errors),
		cmocka_unit_test(nonce_at_and_past_its_limit),
	};

	return cmocka_run_group_tests_name("tpm/keylime_quote", tests, NULL, NULL);
}
