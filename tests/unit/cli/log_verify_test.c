// SPDX-License-Identifier: Apache-2.0
/* `imastream log verify` on recordings of real kernels: every list with every quote, then everything that can be done to them. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "cli/log_verify.h"
#include "lib/recording.h"
#include "unit/cli/log_inputs.h"

#define KERNEL TESTS_DIR "/vectors/kernel"

static const struct log_finding *find(const struct log_report *r, enum reason reason)
{
	for (size_t i = 0; i < r->n_findings; i++)
		if (r->findings[i].reason == reason)
			return &r->findings[i];
	return NULL;
}

static void check_pcrs(json_t *pcrs, const struct ima_replay *r)
{
	const char *index, *bank;
	json_t *banks, *value;

	json_object_foreach(pcrs, index, banks) {
		json_object_foreach(banks, bank, value) {
			const char *hex = json_string_value(value);
			uint8_t want[HASH_MAX_SIZE];
			enum hash_alg a;

			assert_true(hash_from_name((struct bytes){ (const uint8_t *)bank, strlen(bank) }, &a));
			assert_int_equal(hex_decode((struct bytes){ (const uint8_t *)hex, strlen(hex) }, want, hash_size(a)), 0);
			assert_memory_equal(want, r->pcr[atoi(index)][a], hash_size(a));
		}
	}
}

static unsigned int check_recording(const char *dir)
{
	json_t *recording = recording_load(dir), *list, *quote;
	static const char *const forms[] = { "binary", "ascii" };
	unsigned int checked = 0;
	size_t i, k;

	json_array_foreach(json_object_get(recording, "lists"), i, list) {
		json_array_foreach(json_object_get(recording, "quotes"), k, quote) {
			for (size_t f = 0; f < 2; f++) {
				cleanup_evidence_ struct evidence v = { 0 };
				cleanup_log_report_ struct log_report r = { 0 };
				struct log_inputs in;
				bool padded;

				recording_file(dir, recording_text(list, forms[f]), &v.list);
				recording_quote(dir, quote, &v);
				in = inputs(&v);
				assert_int_equal(log_verify(&in, &r), 0);
				if (!r.quote.matched || r.quote.at_entry != v.at_entry || r.failures)
					fail_msg("%s %s %s: at %llu, expected %llu, %zu failures", dir, recording_text(list, forms[f]),
						 recording_text(quote, "message"), (unsigned long long)r.quote.at_entry,
						 (unsigned long long)v.at_entry, r.failures);
				assert_string_equal(hash_name(r.quote.bank), recording_text(quote, "bank"));
				assert_int_equal(r.unproven, r.list.entries - v.at_entry);
				padded = strcmp(recording_text(json_object_get(recording, "banks"), recording_text(quote, "bank")), "padded") == 0;
				assert_int_equal(find(&r, REASON_LIST_PADDED_SHA1) != NULL, padded);
				assert_int_equal(r.verdict, LOG_WARNING); /* each list has two violations */
				if (!padded)
					check_pcrs(json_object_get(recording, "pcrs_replayed"), &r.replay);
				checked++;
			}
		}
	}
	json_decref(recording);
	return checked;
}

static void test_every_recording(void **state)
{
	struct dirent **names = NULL;
	int n = scandir(KERNEL, &names, NULL, alphasort);
	unsigned int checked = 0;

	(void)state;
	for (int i = 0; i < n; i++) {
		if (names[i]->d_type == DT_DIR && names[i]->d_name[0] != '.')
			checked += check_recording(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	assert_true(checked >= 19 * 2);
}

#define DIR "6.1-ima-ng"
#define LIST "binary_runtime_measurements"
#define QUOTE "quote-sha256-ecc.msg"

/* Where entry n (from 1) starts, and where the list ends with n == entries + 1. */
static size_t offset_of(struct bytes list, uint64_t n)
{
	cleanup_ima_list_ struct ima_list *l = NULL;
	struct ima_entry e;

	assert_int_equal(ima_list_new(&l, IMA_LIST_BINARY, 20), 0);
	assert_int_equal(ima_list_lend(l, list), 0);
	while (ima_list_count(l) + 1 < n)
		assert_int_equal(ima_list_next(l, &e), IMA_LIST_ENTRY);
	return (size_t)ima_list_offset(l);
}

/* The list again from entries named in `order`, 0 ends. */
static void append_entry(struct writer *w, struct bytes list, uint64_t n)
{
	struct reader r = reader_of(list);
	size_t from = offset_of(list, n), to = offset_of(list, n + 1);
	struct bytes b;

	(void)read_bytes(&r, from);
	b = read_bytes(&r, to - from);
	write_bytes(w, b.p, b.n);
}

static void append_range(struct writer *w, struct bytes list, uint64_t first, uint64_t last)
{
	for (uint64_t n = first; n <= last; n++)
		append_entry(w, list, n);
}

static void verify(struct evidence *v, struct writer *list, struct log_report *r)
{
	struct log_inputs in = inputs(v);

	in.list = writer_view(list);
	assert_int_equal(log_verify(&in, r), 0);
}

static void test_changed_byte(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report r = { 0 };
	size_t end;

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	end = offset_of(writer_view(&v.list), 8);
	v.list.p[end - 2] ^= 1; /* the last letter of entry 7's name */
	verify(&v, &v.list, &r);
	assert_int_equal(r.verdict, LOG_UNTRUSTED);
	assert_false(r.quote.matched);
	assert_non_null(find(&r, REASON_TEMPLATE_HASH));
	assert_int_equal(find(&r, REASON_TEMPLATE_HASH)->entry, 7);
	assert_non_null(find(&r, REASON_LIST_TAMPERED));
}

/* With the digest column of the quoted bank the changed entry itself can be named. */
static void test_changed_byte_is_located(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report r = { 0 };

	(void)state;
	recording_evidence(DIR, LIST, "quote-sha1-ecc.msg", &v);
	v.list.p[offset_of(writer_view(&v.list), 8) - 2] ^= 1;
	verify(&v, &v.list, &r);
	assert_int_equal(r.verdict, LOG_UNTRUSTED);
	assert_false(r.quote.matched);
	assert_int_equal(find(&r, REASON_TEMPLATE_HASH)->entry, 7);
	assert_int_equal(find(&r, REASON_LIST_TAMPERED)->entry, 7);
	assert_false(find(&r, REASON_TEMPLATE_HASH)->proven);
}

static void test_removed(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report r = { 0 };
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	append_range(&w, writer_view(&v.list), 1, 6);
	append_range(&w, writer_view(&v.list), 8, v.at_entry + 1);
	verify(&v, &w, &r);
	assert_int_equal(r.verdict, LOG_UNTRUSTED);
	assert_int_equal(r.n_findings, r.warnings + 1);
	assert_non_null(find(&r, REASON_LIST_TAMPERED));
	assert_int_equal(find(&r, REASON_LIST_TAMPERED)->entry, 0);
}

static void test_cut(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report whole = { 0 }, cut = { 0 };
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	/* up to the quoted entry it is whole, and nothing is unproven */
	append_range(&w, writer_view(&v.list), 1, v.at_entry);
	verify(&v, &w, &whole);
	assert_true(whole.quote.matched);
	assert_int_equal(whole.unproven, 0);
	w.n = offset_of(writer_view(&w), v.at_entry);
	verify(&v, &w, &cut);
	assert_int_equal(cut.verdict, LOG_UNTRUSTED);
	assert_non_null(find(&cut, REASON_LIST_TAMPERED));
}

static void test_swapped_anywhere(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	uint64_t places[3] = { 1, 20, 0 };

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	places[2] = v.at_entry - 1;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		cleanup_log_report_ struct log_report r = { 0 };
		cleanup_writer_ struct writer w = WRITER(1u << 20);

		append_range(&w, writer_view(&v.list), 1, places[i] - 1);
		append_entry(&w, writer_view(&v.list), places[i] + 1);
		append_entry(&w, writer_view(&v.list), places[i]);
		append_range(&w, writer_view(&v.list), places[i] + 2, v.at_entry + 2);
		verify(&v, &w, &r);
		assert_int_equal(r.verdict, LOG_UNTRUSTED);
		assert_false(r.quote.matched);
		assert_non_null(find(&r, REASON_LIST_REORDERED));
		assert_int_equal(find(&r, REASON_LIST_REORDERED)->entry, places[i]);
		assert_null(find(&r, REASON_LIST_TAMPERED));
	}
}

/* An entry that is in the list but not in the PCR. */
static void test_not_extended(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	uint64_t places[3] = { 1, 20, 0 };

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	places[2] = v.at_entry;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		cleanup_log_report_ struct log_report r = { 0 };
		cleanup_writer_ struct writer w = WRITER(1u << 20);

		append_range(&w, writer_view(&v.list), 1, places[i] - 1);
		append_entry(&w, writer_view(&v.list), places[i] == 20 ? 3 : 20);
		append_range(&w, writer_view(&v.list), places[i], v.at_entry);
		verify(&v, &w, &r);
		assert_int_equal(r.verdict, LOG_UNTRUSTED);
		assert_non_null(find(&r, REASON_EXTEND_FAILED));
		assert_int_equal(find(&r, REASON_EXTEND_FAILED)->entry, places[i]);
	}
}

static void test_torn_list(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report r = { 0 };
	const struct log_finding *f;

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	v.list.n--;
	verify(&v, &v.list, &r);
	assert_true(r.quote.matched);
	assert_int_equal(r.verdict, LOG_UNTRUSTED);
	f = find(&r, REASON_LIST_MALFORMED);
	assert_non_null(f);
	assert_int_equal(f->entry, r.list.entries + 1);
	assert_false(f->proven);
}

static enum reason only_failure(const struct log_inputs *in)
{
	cleanup_log_report_ struct log_report r = { 0 };
	enum reason reason = REASON_NONE;

	assert_int_equal(log_verify(in, &r), 0);
	assert_false(r.quote.matched);
	assert_int_equal(r.verdict, LOG_UNTRUSTED);
	assert_int_equal(r.failures, 1);
	for (size_t i = 0; i < r.n_findings; i++) {
		assert_false(r.findings[i].proven);
		if (r.findings[i].severity == SEVERITY_FAIL)
			reason = r.findings[i].reason;
	}
	return reason;
}

static void test_bad_quotes(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 }, other = { 0 };
	struct log_inputs in;
	uint8_t keep;

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	recording_evidence("6.1-ima-sig", LIST, QUOTE, &other);
	in = inputs(&v);
	in.nonce.n--;
	assert_int_equal(only_failure(&in), REASON_QUOTE_NONCE);
	in = inputs(&v);
	in.ak = &other.ak;
	assert_int_equal(only_failure(&in), REASON_QUOTE_SIGNATURE);
	in = inputs(&v);
	in.message.n--;
	assert_int_equal(only_failure(&in), REASON_QUOTE_MALFORMED);
	keep = v.message.p[0];
	v.message.p[0] ^= 1;
	assert_int_equal(only_failure(&in), REASON_QUOTE_MAGIC);
	v.message.p[0] = keep;
	in = inputs(&v);
	v.message.p[v.message.n - 1] ^= 1;
	assert_int_equal(only_failure(&in), REASON_QUOTE_SIGNATURE);
	v.message.p[v.message.n - 1] ^= 1;
	/* a true quote of another boot */
	in.message = writer_view(&other.message);
	in.signature = writer_view(&other.signature);
	in.nonce = writer_view(&other.nonce);
	in.ak = &other.ak;
	in.pcrs = NULL;
	assert_int_equal(only_failure(&in), REASON_LIST_TAMPERED);
}

static void test_quote_over_boot_pcrs(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	struct log_inputs in;
	struct tpm_pcr_file wrong;

	(void)state;
	recording_evidence(DIR, LIST, "quote-sha256-boot-ecc.msg", &v);
	in = inputs(&v);
	in.pcrs = NULL;
	assert_int_equal(only_failure(&in), REASON_QUOTE_PCR_DIGEST);
	wrong = *v.pcrs;
	wrong.value[HASH_SHA256][0][0] ^= 1;
	in.pcrs = &wrong;
	assert_int_equal(only_failure(&in), REASON_QUOTE_PCR_DIGEST);
	/* the host's own word about PCR 10 never stands in for the list */
	in.pcrs = v.pcrs;
	in.list.n = 0;
	assert_int_equal(only_failure(&in), REASON_LIST_TAMPERED);
}

/* The quote covers PCR 16 only: Keylime's own vector. */
static void test_quote_without_ima_pcr(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_writer_ struct writer pem = { 0 };
	struct log_inputs in;

	(void)state;
	recording_file("../keylime-quote/unit-sha256-pcr16", "msg", &v.message);
	recording_file("../keylime-quote/unit-sha256-pcr16", "sig", &v.signature);
	recording_file("../keylime-quote/unit-sha256-pcr16", "nonce", &v.nonce);
	recording_file("../keylime-quote/unit-sha256-pcr16", "ak.pem", &pem);
	recording_file(DIR, LIST, &v.list);
	assert_int_equal(ak_from_pem(writer_view(&pem), &v.ak), 0);
	in = inputs(&v);
	assert_int_equal(only_failure(&in), REASON_QUOTE_SELECTION);
}

static void expect_pcr(struct log_inputs *in, unsigned int index, enum hash_alg bank, const uint8_t *value)
{
	struct expected_pcr *e = &in->expected[in->n_expected++];

	*e = (struct expected_pcr){ .index = index, .bank = bank };
	bytes_copy(e->value, value, hash_size(bank));
}

static void test_expected_values(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report plain = { 0 }, good = { 0 }, bad = { 0 };
	struct log_inputs in = { 0 };

	(void)state;
	recording_file("6.12-ima-sig-pcrs", LIST, &v.list);
	in.list = writer_view(&v.list);
	assert_int_equal(log_verify(&in, &plain), 0);
	assert_int_equal(plain.verdict, LOG_UNPROVEN);
	assert_false(plain.expected.given);
	assert_int_equal(plain.unproven, plain.list.entries);
	for (unsigned int pcr = 10; pcr <= 12; pcr++)
		for (enum hash_alg a = 0; a < HASH_COUNT; a++)
			expect_pcr(&in, pcr, a, plain.replay.pcr[pcr][a]);
	assert_int_equal(log_verify(&in, &good), 0);
	assert_int_equal(good.verdict, LOG_WARNING);
	assert_true(good.expected.matched);
	assert_int_equal(good.expected.at_entry, good.list.entries);
	assert_int_equal(good.unproven, 0);
	assert_true(find(&good, REASON_VIOLATION)->proven);
	assert_null(find(&good, REASON_PCR_UNCOVERED));
	in.expected[0].value[19] ^= 1;
	assert_int_equal(log_verify(&in, &bad), 0);
	assert_int_equal(bad.verdict, LOG_UNTRUSTED);
	assert_non_null(find(&bad, REASON_LIST_TAMPERED));
}

static void test_uncovered_pcr(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report r = { 0 };
	struct log_inputs in;

	(void)state;
	recording_evidence("6.12-ima-sig-pcrs", LIST, "quote-sha256-ecc.msg", &v);
	in = inputs(&v);
	assert_int_equal(log_verify(&in, &r), 0);
	assert_true(r.quote.matched);
	assert_int_equal(r.verdict, LOG_WARNING);
	assert_non_null(find(&r, REASON_PCR_UNCOVERED));
	assert_int_equal(find(&r, REASON_PCR_UNCOVERED)->pcr, 11);
	assert_false(find(&r, REASON_PCR_UNCOVERED)->proven);
}

static void test_violation_rules(void **state)
{
	static const struct {
		enum violation_rule rule;
		enum log_verdict verdict;
		size_t findings;
	} cases[] = { { VIOLATION_IGNORE, LOG_TRUSTED, 0 },
		      { VIOLATION_WARN, LOG_WARNING, 2 },
		      { VIOLATION_FAIL, LOG_UNTRUSTED, 2 } };
	cleanup_evidence_ struct evidence v = { 0 };

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_log_report_ struct log_report r = { 0 };
		struct log_inputs in = inputs(&v);

		in.violations_given = true;
		in.violations = cases[i].rule;
		assert_int_equal(log_verify(&in, &r), 0);
		assert_int_equal(r.verdict, cases[i].verdict);
		assert_int_equal(r.n_findings, cases[i].findings);
		assert_int_equal(r.replay.violations, 2);
	}
}

/* A bad file behind the quoted entry is a finding too, said to be unproven. */
static void test_unproven_failure(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report r = { 0 };

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	v.list.p[v.list.n - 2] ^= 1;
	verify(&v, &v.list, &r);
	assert_true(r.quote.matched);
	assert_true(r.list.entries > r.quote.at_entry);
	assert_int_equal(r.verdict, LOG_UNTRUSTED);
	assert_int_equal(find(&r, REASON_TEMPLATE_HASH)->entry, r.list.entries);
	assert_false(find(&r, REASON_TEMPLATE_HASH)->proven);
}

static void test_empty_and_garbage(void **state)
{
	cleanup_log_report_ struct log_report empty = { 0 }, zero = { 0 }, garbage = { 0 };
	struct log_inputs in = { 0 };
	uint8_t zeros[32] = { 0 };

	(void)state;
	assert_int_equal(log_verify(&in, &empty), 0);
	assert_int_equal(empty.verdict, LOG_UNPROVEN);
	assert_int_equal(empty.list.entries, 0);
	/* that PCR 10 is still zero fits an empty list, and proves nothing */
	expect_pcr(&in, 10, HASH_SHA256, zeros);
	assert_int_equal(log_verify(&in, &zero), 0);
	assert_true(zero.expected.matched);
	assert_int_equal(zero.verdict, LOG_UNPROVEN);
	in.list = (struct bytes){ (const uint8_t *)"this is no list", 15 };
	in.n_expected = 0;
	assert_int_equal(log_verify(&in, &garbage), 0);
	assert_int_equal(garbage.verdict, LOG_UNTRUSTED);
	assert_int_equal(find(&garbage, REASON_LIST_MALFORMED)->entry, 1);
}

/* All entries of IMA's PCR withheld, those of another one shown: the host's value of PCR 10 must not fill the gap. */
static void test_pcr10_withheld(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct log_inputs in;

	(void)state;
	recording_evidence("6.12-ima-sig-pcrs", LIST, "quote-sha256-ecc.msg", &v);
	append_range(&w, writer_view(&v.list), 25, 26); /* PCR 11 and 12 */
	in = inputs(&v);
	in.list = writer_view(&w);
	assert_int_equal(only_failure(&in), REASON_LIST_TAMPERED);
}

/* A template name can be changed unseen: it must not turn an unknown file into a mere warning. */
static void test_renamed_template(void **state)
{
	static const char *const names[] = { "ima-ng", "foobar", "sig|buf" };
	cleanup_writer_ struct writer json = { 0 };
	cleanup_policy_ struct policy *policy = NULL;
	struct policy_report report = { .text = WRITER(4096) };
	cleanup_evidence_ struct evidence v = { 0 };

	(void)state;
	recording_evidence(DIR, LIST, QUOTE, &v);
	recording_file("../keylime-ima", "policy-empty.json", &json);
	assert_int_equal(policy_load_json(&policy, writer_view(&json), &report), 0);
	policy_report_clear(&report);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_log_report_ struct log_report r = { 0 };
		cleanup_writer_ struct writer w = WRITER(1u << 20);
		cleanup_ima_list_ struct ima_list *l = NULL;
		struct log_inputs in = inputs(&v);
		struct ima_entry e;
		size_t failing = 0;

		assert_int_equal(ima_list_new(&l, IMA_LIST_BINARY, 20), 0);
		assert_int_equal(ima_list_lend(l, writer_view(&v.list)), 0);
		while (ima_list_next(l, &e) == IMA_LIST_ENTRY) {
			if (ima_list_count(l) == 5)
				e.name = (struct bytes){ (const uint8_t *)names[i], strlen(names[i]) };
			ima_list_write_entry(&w, &e, HASH_SHA1);
		}
		in.list = writer_view(&w);
		in.policy = policy;
		assert_int_equal(log_verify(&in, &r), 0);
		assert_true(r.quote.matched); /* indeed unseen */
		for (size_t k = 0; k < r.n_findings; k++)
			failing += r.findings[k].entry == 5 && r.findings[k].severity == SEVERITY_FAIL;
		assert_int_equal(failing, 1);
		assert_int_equal(find(&r, REASON_TEMPLATE_UNKNOWN) != NULL, i > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_recording),	    cmocka_unit_test(test_changed_byte),
		cmocka_unit_test(test_changed_byte_is_located), cmocka_unit_test(test_removed),
		cmocka_unit_test(test_cut),		    cmocka_unit_test(test_swapped_anywhere),
		cmocka_unit_test(test_not_extended),	    cmocka_unit_test(test_torn_list),
		cmocka_unit_test(test_bad_quotes),	    cmocka_unit_test(test_quote_over_boot_pcrs),
		cmocka_unit_test(test_quote_without_ima_pcr), cmocka_unit_test(test_expected_values),
		cmocka_unit_test(test_uncovered_pcr),	    cmocka_unit_test(test_violation_rules),
		cmocka_unit_test(test_unproven_failure),    cmocka_unit_test(test_empty_and_garbage),
		cmocka_unit_test(test_pcr10_withheld),
		cmocka_unit_test(test_renamed_template),
	};

	return cmocka_run_group_tests_name("imastream log verify", tests, NULL, NULL);
}
