// SPDX-License-Identifier: Apache-2.0
/* `imastream log verify` on what no hash covers: template names, and the data of violations. One changed byte there leaves
 * every PCR as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/log_verify.h"
#include "lib/recording.h"

#define LIST "binary_runtime_measurements"
#define NAME_AT (4u + 20u + 4u) /* in an entry with the SHA-1 column: PCR, digest, the name's length */

static void judge(const struct evidence *v, struct log_report *r)
{
	struct log_inputs in = { .list = { v->list.p, v->list.n },
				 .quote_given = true,
				 .message = { v->message.p, v->message.n },
				 .signature = { v->signature.p, v->signature.n },
				 .nonce_given = true,
				 .nonce = { v->nonce.p, v->nonce.n },
				 .ak = &v->ak,
				 .pcrs = v->pcrs };

	assert_int_equal(log_verify(&in, r), 0);
}

/* Entry n (from 1) and where it starts. */
static size_t find_entry(const struct evidence *v, uint64_t n, struct ima_entry *e)
{
	cleanup_ima_list_ struct ima_list *l = NULL;
	size_t at = 0;

	assert_int_equal(ima_list_new(&l, IMA_LIST_BINARY, 20), 0);
	assert_int_equal(ima_list_lend(l, (struct bytes){ v->list.p, v->list.n }), 0);
	while (ima_list_count(l) < n) {
		at = (size_t)ima_list_offset(l);
		assert_int_equal(ima_list_next(l, e), IMA_LIST_ENTRY);
	}
	return at;
}

static const struct log_finding *failure(const struct log_report *r)
{
	for (size_t i = 0; i < r->n_findings; i++)
		if (r->findings[i].severity == SEVERITY_FAIL)
			return &r->findings[i];
	return NULL;
}

static void changed_template_name(void **state)
{
	static const char *const dirs[] = { "6.1-ima-ng", "6.12-ima-sigv2", "7.2-evm-sig", "7.2-ima-buf", "6.12-custom", "7.2-custom",
					    "7.2-ima" };

	(void)state;
	for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
		cleanup_evidence_ struct evidence v = { 0 };
		static const uint64_t places[] = { 1, 7 };

		recording_evidence(dirs[d], LIST, "quote-sha256-ecc.msg", &v);
		for (size_t p = 0; p < ARRAY_SIZE(places); p++) {
			struct ima_entry e;
			size_t at = find_entry(&v, places[p], &e) + NAME_AT, n = e.name.n;

			for (size_t i = 0; i < n; i++) {
				cleanup_log_report_ struct log_report r = { 0 };

				v.list.p[at + i] ^= 1;
				judge(&v, &r);
				if (r.verdict != LOG_UNTRUSTED || failure(&r)->entry != places[p])
					fail_msg("%s: byte %zu of entry %u's template name", dirs[d], i, (unsigned int)places[p]);
				v.list.p[at + i] ^= 1;
			}
		}
	}
}

/* A kernel that is newer than this program is not a liar. */
static void new_template_is_a_warning(void **state)
{
	cleanup_evidence_ struct evidence v = { 0 };
	cleanup_log_report_ struct log_report r = { 0 };
	struct log_inputs in = { 0 };

	(void)state;
	recording_file("../ima-made", "unknown.sha1.bin", &v.list);
	in.list = (struct bytes){ v.list.p, v.list.n };
	assert_int_equal(log_verify(&in, &r), 0);
	assert_null(failure(&r));
	assert_int_equal(r.n_findings, 1);
	assert_int_equal(r.findings[0].reason, REASON_TEMPLATE_UNKNOWN);
}

/* The kernel writes zeros where the digest would be, and 0xff goes into the PCR whatever the data is. */
static void changed_violation(void **state)
{
	static const char *const dirs[] = { "6.1-ima-ng", "6.12-ima-sigv2", "7.2-evm-sig" };

	(void)state;
	for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
		cleanup_evidence_ struct evidence v = { 0 };
		cleanup_log_report_ struct log_report good = { 0 }, bad = { 0 }, torn = { 0 }, named = { 0 };
		struct ima_entry e;
		uint64_t n = 0;
		size_t at, end;

		recording_evidence(dirs[d], LIST, "quote-sha256-ecc.msg", &v);
		judge(&v, &good);
		assert_int_equal(good.verdict, LOG_WARNING);
		do
			at = find_entry(&v, ++n, &e);
		while (!e.violation);
		end = find_entry(&v, n + 1, &e);
		v.list.p[at + NAME_AT + 2] ^= 1; /* its template's name */
		judge(&v, &named);
		assert_int_equal(named.verdict, LOG_UNTRUSTED);
		assert_int_equal(failure(&named)->entry, n);
		v.list.p[at + NAME_AT + 2] ^= 1;
		at += NAME_AT + strlen("ima-sigv2") + 4u + 4u + sizeof("ima:sha256:"); /* in the digest, whatever the template */
		v.list.p[at + 10] ^= 1;
		judge(&v, &bad);
		assert_int_equal(bad.verdict, LOG_UNTRUSTED);
		assert_int_equal(failure(&bad)->reason, REASON_TEMPLATE_MALFORMED);
		assert_int_equal(failure(&bad)->entry, n);
		assert_true(bad.quote.matched); /* indeed unseen */
		v.list.p[at + 10] ^= 1;
		if (d == 0) {
			v.list.p[end - 3] = 0; /* a NUL inside the name */
			judge(&v, &torn);
			assert_int_equal(failure(&torn)->reason, REASON_TEMPLATE_MALFORMED);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_template_name),
		cmocka_unit_test(new_template_is_a_warning),
		cmocka_unit_test(changed_violation),
	};

	return cmocka_run_group_tests_name("imastream log verify, what no hash covers", tests, NULL, NULL);
}
