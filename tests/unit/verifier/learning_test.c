// SPDX-License-Identifier: Apache-2.0
/* What the verifier learns from a host's list, and judges beside single entries: keys of .ima, the host's IMA policy; and who
 * and where, which nobody attests. */
#include <stdio.h>

#include "lib/imasig_make.h"
#include "lib/tpm_make.h"
#include "lib/verifier_bench.h"
#include "policy/sigcache.h"
#include "verifier/control.h"

#define EXCLUDES "\"excludes\":[\"boot_aggregate\",\"/etc\"]"

static struct bench b;
static EVP_PKEY *key;
static struct writer der;
static char allowed[512], path[128];

static int make(void **state unused_)
{
	char hex[65];

	key = make_key(MADE_P256);
	der = WRITER(4096);
	make_key_der(&der, key);
	make_hex_digest(writer_view(&der), hex);
	snprintf(allowed, sizeof(allowed), "{" EXCLUDES ",\"keyrings\":{\".ima\":[\"%s\"]}}", hex);
	return 0;
}

static int drop(void **state unused_)
{
	EVP_PKEY_free(key);
	writer_free(&der);
	return 0;
}

static void rules_with(struct rules *rules, const char *json)
{
	struct policy_report report = { .errors = 0 };
	struct policy *policy = NULL;

	*rules = bench_rules;
	assert_int_equal(policy_load_json(&policy, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report), 0);
	assert_int_equal(policies_add(&rules->policies, POLICY_DEFAULT_NAME, &policy), 0);
	policy_report_clear(&report);
}

static void open_bench(const char *json)
{
	const char *tmp = getenv("TMPDIR");
	struct rules rules;
	int fd;

	snprintf(path, sizeof(path), "%s/imastream-learning-XXXXXX", tmp ? tmp : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	rules_with(&rules, json);
	bench_open(&b, HASH_SHA256, path, &rules);
	bench_measure(&b, "boot_aggregate");
	bench_greet(&b);
}

static int close_bench(void **state unused_)
{
	char beside[160];

	bench_close(&b);
	unlink(path);
	snprintf(beside, sizeof(beside), "%s-wal", path);
	unlink(beside);
	snprintf(beside, sizeof(beside), "%s-shm", path);
	unlink(beside);
	return 0;
}

static void measure_data(const char *template, struct bytes content, const char *name, struct bytes extra)
{
	struct bench_entry *e = &b.list[b.n];
	uint8_t extended[HASH_MAX_SIZE];
	struct ima_entry entry;

	*e = (struct bench_entry){ .pcr = 10, .data = WRITER(LIMIT_ENTRY_DATA) };
	snprintf(e->name, sizeof(e->name), "%s", template);
	make_ima_data(&e->data, content, name, extra);
	bench_entry_of(&b, b.n++, &entry);
	ima_template_digest(&entry, b.tpm.bank, extended);
	fake_tpm_extend(&b.tpm, 10, extended);
}

static void measure_key(void)
{
	measure_data("ima-buf", writer_view(&der), ".ima", writer_view(&der));
}

static void measure_signed(const char *name)
{
	cleanup_writer_ struct writer sig = WRITER(4096);
	struct bytes content = { (const uint8_t *)name, strlen(name) };
	uint8_t digest[32];

	hash_one(HASH_SHA256, content.p, content.n, digest);
	make_ima_signature(&sig, key, digest);
	measure_data("ima-sig", content, name, writer_view(&sig));
}

static size_t learned(void)
{
	const struct boot *boot = attester_boot(bench_attester(&b));

	return boot->learned ? learned_count(boot->learned) : 0;
}

static void set_policy(const char *json)
{
	struct rules rules;

	rules_with(&rules, json);
	bench_set_rules(&b, &rules);
}

/* --- keys ---- */

static void learned_key_vouches_after_its_entry(void **state unused_)
{
	open_bench(allowed);
	measure_signed("/usr/bin/before");
	measure_key();
	measure_signed("/usr/bin/after");
	bench_prove(&b);
	assert_int_equal(learned(), 1);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 1); /* the one before its key */
	assert_int_equal(bench_findings(&b, REASON_BUFFER_UNKNOWN), 0);
}

static void not_allowed_not_learned(void **state unused_)
{
	open_bench("{" EXCLUDES ",\"ima\":{\"ignored_keyrings\":[\".ima\"]}}");
	measure_key();
	measure_signed("/usr/bin/a");
	bench_prove(&b);
	assert_int_equal(learned(), 0);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 1);
}

static void learned_keys_survive_a_restart(void **state unused_)
{
	struct rules rules;

	open_bench(allowed);
	measure_key();
	bench_prove(&b);
	rules_with(&rules, allowed);
	bench_restart(&b, &rules);
	assert_int_equal(learned(), 1);
	bench_greet(&b);
	measure_signed("/usr/bin/after-the-restart");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 0);
	/* under rules of another time they are gone */
	rules_with(&rules, "{" EXCLUDES "}");
	bench_restart(&b, &rules);
	bench_greet(&b);
	assert_int_equal(learned(), 0);
	measure_signed("/usr/bin/later");
	bench_prove(&b);
	assert_true(bench_findings(&b, REASON_DIGEST_UNKNOWN) >= 1);
}

static void learned_keys_end_with_the_boot(void **state unused_)
{
	open_bench(allowed);
	measure_key();
	bench_prove(&b);
	fake_tpm_reset(&b.tpm);
	for (size_t i = 0; i < b.n; i++)
		writer_free(&b.list[i].data);
	b.n = b.next = 0;
	bench_measure(&b, "boot_aggregate");
	measure_signed("/usr/bin/in-the-next-boot");
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(learned(), 0);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 1);
}

static void other_policy_judges_again(void **state unused_)
{
	open_bench(allowed);
	measure_key();
	measure_signed("/usr/bin/a");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 0);
	set_policy("{" EXCLUDES "}");
	assert_int_equal(learned(), 0);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	set_policy(allowed);
	assert_int_equal(learned(), 1);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 0);
}

static void one_signature_is_checked_once_for_all(void **state unused_)
{
	uint64_t hits;

	open_bench(allowed);
	measure_key();
	measure_signed("/usr/bin/a");
	bench_prove(&b);
	hits = sigcache_hits(b.pipeline->signatures);
	measure_signed("/usr/bin/b");
	bench_prove(&b);
	assert_int_equal(sigcache_hits(b.pipeline->signatures), hits);
	set_policy("{" EXCLUDES "}");
	set_policy(allowed); /* both once more, from memory */
	assert_true(sigcache_hits(b.pipeline->signatures) >= hits + 2);
}

/* --- IMA's own policy ---- */

#define RULE "measure func=BPRM_CHECK mask=MAY_EXEC\n"

static void open_with_ima_policy(const char *required, const char *known)
{
	struct rules rules;
	unsigned int line;
	const char *why;

	open_bench("{" EXCLUDES ",\"ima-buf\":{}}");
	rules_with(&rules, "{\"excludes\":[\"\"]}");
	assert_int_equal(imapolicies_new(&rules.ima_policies), 0);
	assert_int_equal(imapolicies_require(rules.ima_policies, (struct bytes){ (const uint8_t *)required, strlen(required) }, &line, &why), 0);
	if (known)
		assert_int_equal(imapolicies_know(rules.ima_policies, (struct bytes){ (const uint8_t *)known, strlen(known) }, &line, &why), 0);
	rules.appraisal.ima_policies = rules.ima_policies;
	rules.basis[0] = 1;
	bench_set_rules(&b, &rules);
}

static void measure_text(const char *name, const char *text)
{
	measure_data("ima-ng", (struct bytes){ (const uint8_t *)text, strlen(text) }, name, (struct bytes){ NULL, 0 });
}

static void weak_ima_policy(void **state unused_)
{
	open_with_ima_policy(RULE, "measure func=BPRM_CHECK uid=0\n");
	measure_text("/etc/ima/ima-policy", "measure func=BPRM_CHECK uid=0\n");
	bench_report(&b);
	assert_int_equal(bench_findings(&b, REASON_IMA_POLICY_WEAK), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_IMA_POLICY_UNKNOWN), 0);
	set_policy("{\"excludes\":[\"\"]}"); /* nothing is required any more */
	assert_int_equal(bench_findings(&b, REASON_IMA_POLICY_WEAK), 0);
}

static void good_ima_policy(void **state unused_)
{
	open_with_ima_policy(RULE, RULE);
	measure_text("/etc/ima/ima-policy", RULE);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_IMA_POLICY_WEAK), 0);
	assert_int_equal(bench_findings(&b, REASON_IMA_POLICY_UNKNOWN), 0);
}

static void no_ima_policy_in_the_list(void **state unused_)
{
	open_with_ima_policy(RULE, NULL);
	bench_report(&b);
	assert_int_equal(bench_findings(&b, REASON_IMA_POLICY_UNKNOWN), 0);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_IMA_POLICY_UNKNOWN), 1);
	bench_measure(&b, "/usr/bin/x");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_IMA_POLICY_UNKNOWN), 1); /* once */
}

/* --- who and where ---- */

struct search {
	const char *text;
	unsigned int n;
};

static int count_text(void *user, const struct event_row *row)
{
	struct search *s = user;

	s->n += memmem(row->body.p, row->body.n, s->text, strlen(s->text)) != NULL;
	return 0;
}

static void context_is_told_as_unattested(void **state unused_)
{
	static const char ask[] = "{\"get\":\"findings\"}";
	struct search s = { .text = "\"context\":{\"pid\":812,\"uid\":1000" }, never = { .text = "\"attested\":true" };
	struct search marked = { .text = "\"attested\":false" };
	cleanup_writer_ struct writer answer = WRITER(1u << 20);

	open_bench("{" EXCLUDES "}");
	bench_measure(&b, "/usr/bin/unknown");
	bench_prove(&b);
	assert_int_equal(b.store->ops->each_event(b.store, 0, false, 1000, count_text, &s), 0);
	assert_int_equal(b.store->ops->each_event(b.store, 0, false, 1000, count_text, &marked), 0);
	assert_int_equal(b.store->ops->each_event(b.store, 0, false, 1000, count_text, &never), 0);
	assert_true(s.n > 0);
	assert_int_equal(s.n, marked.n); /* also where the entry itself is proven */
	assert_int_equal(never.n, 0);
	control_answer(b.pipeline, (struct bytes){ (const uint8_t *)ask, sizeof(ask) - 1 },
		       &(struct asker){ .who = "test" }, &b.now, &answer);
	assert_non_null(memmem(answer.p, answer.n, "\"attested\":false", 16));
}

/* What was refused is proven by nothing that comes later. */
static void refused_quotes_stay_unproven(void **state unused_)
{
	open_bench("{" EXCLUDES "}");
	bench_report(&b);
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	b.attest_bytes.p[b.attest_bytes.n - 1] ^= 1;
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_QUOTE_SIGNATURE);
	bench_greet(&b);
	bench_measure(&b, "/etc/x");
	bench_prove(&b);
	assert_int_equal(bench_events(&b, "finding", REASON_QUOTE_SIGNATURE), 1);
	assert_int_equal(bench_events(&b, "finding-proven", REASON_QUOTE_SIGNATURE), 0);
	assert_int_equal(attester_boot(bench_attester(&b))->unproven_findings, 0);
}

#define TEST(f) cmocka_unit_test_teardown(f, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(learned_key_vouches_after_its_entry),
		TEST(not_allowed_not_learned),
		TEST(learned_keys_survive_a_restart),
		TEST(learned_keys_end_with_the_boot),
		TEST(other_policy_judges_again),
		TEST(one_signature_is_checked_once_for_all),
		TEST(weak_ima_policy),
		TEST(good_ima_policy),
		TEST(no_ima_policy_in_the_list),
		TEST(context_is_told_as_unattested),
		TEST(refused_quotes_stay_unproven),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
