// SPDX-License-Identifier: Apache-2.0
/* What a host that owns its collector, its list and its time tries: to be called trusted, or to bring the verifier down. */
#include <stdio.h>

#include "lib/verifier_bench.h"
#include "verifier/control.h"

static struct bench b;

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static struct policy *policy_of(const char *json)
{
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	assert_int_equal(policy_load_json(&p, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report), 0);
	policy_report_clear(&report);
	return p;
}

static struct rules rules_with(const char *json)
{
	struct policy *policy = policy_of(json);
	struct rules r = bench_rules;

	assert_int_equal(policies_add(&r.policies, POLICY_DEFAULT_NAME, &policy), 0);
	return r;
}

static void open_with(enum hash_alg bank, const struct rules *rules)
{
	bench_open(&b, bank, "", rules);
}

/* A quote of clean days, kept until it is needed: it proves its entries, but not that anything is fine today. */
static void held_back_quote_does_not_end_silence(void **state unused_)
{
	open_with(HASH_SHA256, &bench_rules);
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/a");
	bench_prove(&b);
	bench_measure(&b, "/usr/bin/b");
	bench_report(&b);
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	bench_pass(&b, 122 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
	bench_send_quote(&b);
	bench_expect_ack(&b, 2, 2);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
	assert_int_equal(b.reply.ack.state, WIRE_STATE_STALE);
	assert_true(b.reply.ack.quote_wanted);
	assert_int_equal(bench_events(&b, "recovered", REASON_NONE), 0);
	/* over the nonce that came with the answer */
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_false(b.reply.ack.quote_wanted);
	assert_int_equal(bench_events(&b, "recovered", REASON_RECOVERED), 1);
}

/* Nor does one that is sent just before the deadline move it: it is as old as its nonce. */
static void held_back_quote_does_not_move_the_deadline(void **state unused_)
{
	open_with(HASH_SHA256, &bench_rules);
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/a");
	bench_prove(&b);
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	bench_pass(&b, 120 * BENCH_SECOND);
	bench_send_quote(&b);
	bench_expect_ack(&b, 1, 1);
	bench_pass(&b, 2 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

/* The collector chooses the bank. */
static void sha1_bank_is_never_simply_trusted(void **state unused_)
{
	open_with(HASH_SHA1, &bench_rules);
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/a");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BANK_SHA1), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
}

#define WITH_AGGREGATE "{\"digests\":{\"boot_aggregate\":[\"%s\"],\"/usr/bin/a\":[\"%s\"]}}"

/* boot_aggregate of the boot PCRs that the fake TPM has, and a policy that has it. */
static void open_aggregate(uint32_t mask, uint32_t other_pcr)
{
	uint8_t boot[10 * 32], digest[8 + 32] = "sha256:", file[32];
	char json[512], hex[2][65] = { "", "" };
	struct bench_entry *e;
	struct ima_entry entry;
	struct rules rules;

	hash_one(HASH_SHA256, "/usr/bin/a", 10, file);
	open_with(HASH_SHA256, &bench_rules);
	if (other_pcr != 10)
		memset(b.tpm.pcr[other_pcr], 0, 32); /* the replay starts from there */
	for (unsigned int i = 0; i < 10; i++)
		bytes_copy(boot + 32 * i, b.tpm.pcr[i], 32);
	hash_one(HASH_SHA256, boot, sizeof(boot), digest + 8);
	for (size_t i = 0; i < 32; i++) {
		snprintf(hex[0] + 2 * i, 3, "%02x", digest[8 + i]);
		snprintf(hex[1] + 2 * i, 3, "%02x", file[i]);
	}
	snprintf(json, sizeof(json), WITH_AGGREGATE, hex[0], hex[1]);
	rules = rules_with(json);
	bench_set_rules(&b, &rules);
	e = &b.list[b.n];
	*e = (struct bench_entry){ .pcr = 10, .name = "ima-ng", .data = WRITER(4096) };
	write_u32le(&e->data, sizeof(digest));
	write_bytes(&e->data, digest, sizeof(digest));
	write_u32le(&e->data, 15);
	write_bytes(&e->data, "boot_aggregate", 15);
	bench_entry_of(&b, b.n++, &entry);
	ima_template_digest(&entry, HASH_SHA256, file);
	fake_tpm_extend(&b.tpm, 10, file);
	bench_measure_as(&b, other_pcr, "/usr/bin/a", false, true, false);
	b.mask = mask;
}

static void boot_aggregate_is_proven(void **state unused_)
{
	open_aggregate(BENCH_MASK, 10);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

/* The collector chooses the PCRs: another system could have replayed the good list into PCR 10. */
static void boot_pcrs_left_out_do_not_pass_unseen(void **state unused_)
{
	struct rules rules;

	open_aggregate(1u << 10, 10);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE_OPEN), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
	bench_measure(&b, "/usr/bin/a");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE_OPEN), 1);
	/* another policy that counts on it changes nothing, one that does not makes it meaningless */
	rules = rules_with("{\"digests\":{\"boot_aggregate\":[]}}");
	bench_set_rules(&b, &rules);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE_OPEN), 1);
	rules = rules_with("{\"digests\":{}}");
	bench_set_rules(&b, &rules);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE_OPEN), 0);
}

/* A boot PCR that entries name comes from the list, so what HELLO says of it proves nothing. */
static void boot_pcrs_of_the_list_do_not_vouch_for_themselves(void **state unused_)
{
	static const uint8_t before[32]; /* what boot_aggregate was made of, and not what is quoted */
	struct wire_message m = { .type = WIRE_HELLO };

	open_aggregate(BENCH_MASK, 9);
	bench_hello(&b);
	for (size_t i = 0; i < b.hello.n_boot_pcrs; i++)
		if (b.hello.boot_pcrs[i].index == 9)
			b.hello.boot_pcrs[i].value = (struct bytes){ before, 32 };
	m.hello = b.hello;
	assert_int_equal(bench_send(&b, &m), 0);
	bench_welcomed(&b);
	bench_show_key(&b);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE_OPEN), 1);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE), 0);
}

static void measure_many(size_t n)
{
	char path[32];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/x/%zu", i);
		bench_measure_as(&b, 10, path, false, true, false);
	}
}

/* At the limit all are told; one past it is counted, and a reason that was not told yet is told. */
static void findings_are_bounded(void **state unused_)
{
	struct rules rules = rules_with("{\"digests\":{\"/nothing\":[]}}");

	open_with(HASH_SHA256, &rules);
	bench_greet(&b);
	measure_many(LIMIT_FINDINGS);
	bench_report(&b);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), LIMIT_FINDINGS);
	bench_measure(&b, "/x/more");
	bench_measure_as(&b, 10, "/x/violated", true, true, false);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), LIMIT_FINDINGS);
	assert_int_equal(bench_events(&b, "finding", REASON_DIGEST_UNKNOWN), LIMIT_FINDINGS);
	assert_int_equal(bench_events(&b, "finding-proven", REASON_DIGEST_UNKNOWN), LIMIT_FINDINGS);
	assert_int_equal(bench_findings(&b, REASON_VIOLATION), 1);
	assert_int_equal(bench_attester(&b)->boot->fails, LIMIT_FINDINGS + 1);
	assert_int_equal(bench_attester(&b)->boot->unproven_findings, 0);
}

/* What was only counted is judged again with the others: a policy that knows those that were told must not make it good. */
static void what_was_counted_only_is_judged_again(void **state unused_)
{
	struct rules rules = rules_with("{\"digests\":{\"/nothing\":[]}}");
	cleanup_writer_ struct writer json = WRITER(4u << 20);

	open_with(HASH_SHA256, &rules);
	bench_greet(&b);
	measure_many(LIMIT_FINDINGS + 10);
	bench_prove(&b);
	write_fmt(&json, "{\"digests\":{");
	for (size_t i = 0; i < LIMIT_FINDINGS; i++) {
		uint8_t digest[32];
		char path[32];

		snprintf(path, sizeof(path), "/x/%zu", i);
		hash_one(HASH_SHA256, path, strlen(path), digest);
		write_fmt(&json, "%s\"%s\":[\"", i ? "," : "", path);
		for (size_t k = 0; k < 32; k++)
			write_fmt(&json, "%02x", digest[k]);
		write_fmt(&json, "\"]");
	}
	write_fmt(&json, "}}");
	rules = rules_with(writer_cstr(&json));
	bench_set_rules(&b, &rules);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 10);
	assert_int_equal(bench_attester(&b)->boot->fails, 10);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

/* A host with many excluded files: warnings leave the room of failures alone. */
static void warnings_do_not_hide_failures(void **state unused_)
{
	struct rules rules = rules_with("{\"digests\":{\"/nothing\":[]},\"excludes\":[\"/x/\"]}");

	open_with(HASH_SHA256, &rules);
	bench_greet(&b);
	measure_many(LIMIT_FINDINGS + 1);
	bench_measure(&b, "/bad/1");
	bench_measure(&b, "/bad/2");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_EXCLUDED), LIMIT_FINDINGS);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 2);
	assert_int_equal(bench_attester(&b)->boot->warnings, LIMIT_FINDINGS + 1);
}

/* Boots that are announced and never proven have one bound together. */
static void findings_of_claims_are_bounded(void **state unused_)
{
	struct rules rules = rules_with("{\"digests\":{\"/nothing\":[]}}");

	open_with(HASH_SHA256, &rules);
	measure_many(LIMIT_FINDINGS / 2 + 10);
	for (unsigned int i = 0; i < 4; i++) {
		b.tpm.resets++;
		bench_greet(&b);
		bench_report(&b);
	}
	/* past the limit one for each announced boot */
	assert_in_range(bench_events(&b, "finding", REASON_DIGEST_UNKNOWN), LIMIT_FINDINGS, LIMIT_FINDINGS + 4);
}

/* Entries that no quote vouches for fill the disk up to a limit only; a proof makes room, a restart does not. */
static void unproven_evidence_is_bounded(void **state unused_)
{
	uint64_t one, two;

	bench_open(&b, HASH_SHA256, "", &bench_rules);
	bench_greet(&b);
	for (unsigned int i = 0; i < 4; i++)
		bench_measure(&b, "/usr/bin/a");
	bench_entries(&b, 0, 1, 0);
	one = bench_attester(&b)->session->boot->unproven_bytes;
	assert_int_equal(one, b.block.n);
	bench_entries(&b, 0, 1, 0); /* known already */
	assert_int_equal(bench_attester(&b)->session->boot->unproven_bytes, one);
	bench_restart(&b, &bench_rules);
	bench_greet(&b);
	bench_entries(&b, 1, 1, 0);
	two = bench_attester(&b)->session->boot->unproven_bytes;
	assert_int_equal(two, one + b.block.n);
	/* at the limit, and one past it */
	bench_attester(&b)->session->boot->unproven_bytes = LIMIT_UNPROVEN_BYTES - b.block.n;
	bench_entries(&b, 2, 1, 0);
	bench_expect_ack(&b, 3, 0);
	bench_attester(&b)->session->boot->unproven_bytes = LIMIT_UNPROVEN_BYTES - b.block.n + 1;
	bench_entries(&b, 3, 1, 0);
	bench_expect_reject(&b, REASON_BUSY);
	assert_null(bench_attester(&b)->session);
	bench_attester(&b)->claimed->unproven_bytes = 0;
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_attester(&b)->boot->unproven_bytes, 0);
}

static bool status_says(const char *text)
{
	static const char question[] = "{\"get\":\"status\"}";
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	control_answer(b.pipeline, (struct bytes){ (const uint8_t *)question, sizeof(question) - 1 },
		       &(struct asker){ .who = "test" }, &b.now, &w);
	return strstr(writer_cstr(&w), text) != NULL;
}

/* A full disk (another host's doing, maybe) must not keep a silent host trusted. */
static void full_store_does_not_keep_anybody_trusted(void **state unused_)
{
	open_with(HASH_SHA256, &bench_rules);
	bench_greet(&b);
	bench_measure(&b, "/usr/bin/a");
	bench_prove(&b);
	assert_true(status_says("\"state\":\"trusted\""));
	b.fail_commit = ENOSPC;
	b.now.mono += 122 * BENCH_SECOND;
	b.now.real += 122 * BENCH_SECOND;
	assert_int_equal(pipeline_tick(b.pipeline, &b.now), -ENOSPC);
	assert_true(status_says("\"state\":\"stale\",\"reason\":\"stale\""));
	assert_false(status_says("\"state\":\"trusted\""));
	b.fail_commit = 0;
	assert_int_equal(pipeline_tick(b.pipeline, &b.now), 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_STALE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, close_bench)
	const struct CMUnitTest tests[] = {
		TEST(held_back_quote_does_not_end_silence),
		TEST(held_back_quote_does_not_move_the_deadline),
		TEST(sha1_bank_is_never_simply_trusted),
		TEST(boot_aggregate_is_proven),
		TEST(boot_pcrs_left_out_do_not_pass_unseen),
		TEST(boot_pcrs_of_the_list_do_not_vouch_for_themselves),
		TEST(findings_are_bounded),
		TEST(what_was_counted_only_is_judged_again),
		TEST(warnings_do_not_hide_failures),
		TEST(findings_of_claims_are_bounded),
		TEST(unproven_evidence_is_bounded),
		TEST(full_store_does_not_keep_anybody_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
