// SPDX-License-Identifier: Apache-2.0
/* Reboot, suspend, power loss, kexec and clock told apart; boot PCR values pinned by policy. */
#include <stdio.h>

#include "lib/verifier_bench.h"

static struct bench b;

static int open_bench(void **state unused_)
{
	bench_open(&b, HASH_SHA256, "", &bench_rules);
	memset(b.tpm.pcr, 0, sizeof(b.tpm.pcr));
	return 0;
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static void measure(size_t n)
{
	static unsigned int count;
	char path[48];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/usr/bin/t%u", count++);
		bench_measure(&b, path);
	}
}

static void quote(void)
{
	bench_report(&b);
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	bench_send_quote(&b);
}

static void new_list(void)
{
	for (size_t i = 0; i < b.n; i++)
		writer_free(&b.list[i].data);
	b.n = b.next = 0;
}

/* --- a list that was trimmed ---- */

static void list_trimmed_behind_what_is_stored_goes_on(void **state unused_)
{
	measure(6);
	bench_greet(&b);
	bench_prove(&b);
	bench_hello(&b);
	b.hello.list_first = 6;
	bench_send(&b, &(struct wire_message){ .type = WIRE_HELLO, .hello = b.hello });
	assert_int_equal(b.reply.type, WIRE_WELCOME);
	assert_int_equal(b.reply.welcome.resume, 6);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

/* Who says HELLO showed no key: the attester is not blamed; people hear of it once. */
static void list_trimmed_before_it_was_seen_is_refused(void **state unused_)
{
	measure(6);
	bench_greet(&b);
	bench_prove(&b);
	for (int i = 0; i < 3; i++) {
		bench_hello(&b);
		b.hello.list_first = 7;
		bench_send(&b, &(struct wire_message){ .type = WIRE_HELLO, .hello = b.hello });
		bench_expect_reject(&b, REASON_LIST_TRIMMED);
		assert_non_null(memmem(b.reply.reject.detail.p, b.reply.reject.detail.n, "entry 6 comes next here", 23));
	}
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_findings(&b, REASON_LIST_TRIMMED), 0);
	assert_int_equal(bench_events(&b, "rejected", REASON_LIST_TRIMMED), 1);
}

static void say_trimmed(void)
{
	bench_hello(&b);
	b.hello.list_first = 7;
	bench_send(&b, &(struct wire_message){ .type = WIRE_HELLO, .hello = b.hello });
	bench_expect_reject(&b, REASON_LIST_TRIMMED);
}

/* Anybody who knows the public key can say HELLO: a host that is heard of is not said to have trimmed its list, and when it has, a
 * stranger's lie or two cannot have silenced that. */
static void a_stranger_says_that_the_list_was_trimmed(void **state unused_)
{
	measure(6);
	bench_greet(&b);
	bench_prove(&b);
	bench_wait(&b);
	for (int i = 0; i < 5; i++) {
		say_trimmed();
		if (b.directed) { /* it is asked to show itself, and does */
			b.directed = false;
			bytes_copy(b.nonce, b.directive.directive.nonce, sizeof(b.nonce));
			bench_prove(&b);
			say_trimmed(); /* between its WAITs */
			bench_wait(&b);
		}
		bench_pass(&b, 2 * BENCH_SECOND);
	}
	assert_int_equal(bench_events(&b, "rejected", REASON_LIST_TRIMMED), 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	b.hung_up = true; /* its collector is gone, and comes again on a list that was trimmed */
	bench_pass(&b, 4 * BENCH_SECOND);
	say_trimmed();
	assert_int_equal(bench_events(&b, "rejected", REASON_LIST_TRIMMED), 1);
}

/* The verifier has lost its store, or never saw this boot. */
static void trimmed_list_of_an_unknown_boot_is_refused(void **state unused_)
{
	measure(6);
	bench_hello(&b);
	b.hello.list_first = 1;
	bench_send(&b, &(struct wire_message){ .type = WIRE_HELLO, .hello = b.hello });
	bench_expect_reject(&b, REASON_LIST_TRIMMED);
	bench_greet(&b); /* and what was claimed is not kept */
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

/* --- resets, restarts, clock ---- */

static void suspend_and_resume_goes_on(void **state unused_)
{
	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	b.tpm.restarts++;
	bench_greet(&b); /* the collector found its session gone, or said HELLO by itself */
	assert_int_equal(b.next, 3);
	measure(2);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_events(&b, "resumed", REASON_TPM_RESUMED), 1);
	assert_int_equal(bench_events(&b, "rebooted", REASON_NONE), 0);
	bench_prove(&b);
	assert_int_equal(bench_events(&b, "resumed", REASON_TPM_RESUMED), 1); /* told once */
}

static void restart_within_a_session_ends_it(void **state unused_)
{
	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	b.tpm.restarts++;
	quote();
	bench_expect_reject(&b, REASON_TPM_RESUMED);
	quote(); /* the session is over */
	bench_expect_reject(&b, REASON_SESSION_UNKNOWN);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void suspend_then_reboot_is_a_reboot(void **state unused_)
{
	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	b.tpm.restarts += 3;
	bench_greet(&b);
	bench_prove(&b);
	fake_tpm_reset(&b.tpm); /* restartCount is 0 again, resetCount one more */
	assert_int_equal(b.tpm.restarts, 0);
	new_list();
	measure(2);
	bench_greet(&b);
	assert_int_equal(b.next, 0);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	assert_int_equal(bench_events(&b, "rebooted", REASON_REBOOTED), 1);
	assert_int_equal(bench_findings(&b, REASON_QUOTE_RESTART_COUNT), 0);
}

static void restart_with_pcrs_reset_never_matches(void **state unused_)
{
	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	b.tpm.restarts++; /* TPM Restart: Startup(CLEAR) after Shutdown(STATE), PCRs are zero, resetCount stays */
	memset(b.tpm.pcr, 0, sizeof(b.tpm.pcr));
	measure(3);
	bench_greet(&b);
	quote();
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	assert_int_equal(bench_findings(&b, REASON_LIST_TAMPERED), 1);
}

static void clock_goes_back_within_a_boot(void **state unused_)
{
	measure(1);
	bench_greet(&b);
	bench_prove(&b);
	bench_greet(&b);
	b.tpm.clock_ms -= 500;
	quote();
	bench_expect_reject(&b, REASON_QUOTE_CLOCK);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	/* in a new boot the clock may be anywhere */
	fake_tpm_reset(&b.tpm);
	b.tpm.clock_ms = 1;
	new_list();
	measure(1);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void power_loss_is_told_once(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	for (int i = 0; i < 2; i++) {
		bench_report(&b);
		bench_quote(&b, b.n);
		b.attest.safe = 0;
		bench_sign(&b, NULL);
		bench_send_quote(&b);
		bench_expect_ack(&b, b.n, b.n);
		measure(1);
	}
	assert_int_equal(bench_events(&b, "clock-unsafe", REASON_CLOCK_UNSAFE), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void unsafe_clock_needs_a_fresh_nonce(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	bench_report(&b);
	bench_quote(&b, b.n);
	b.attest.safe = 0;
	bench_sign(&b, NULL);
	bench_pass(&b, 122 * BENCH_SECOND);
	bench_send_quote(&b);
	bench_expect_reject(&b, REASON_CLOCK_UNSAFE);
	assert_int_equal(bench_attester(&b)->boot ? 1 : bench_attester(&b)->claimed->matched, 0);
	assert_int_equal(bench_findings(&b, REASON_CLOCK_UNSAFE), 0);
	bench_greet(&b);
	bench_report(&b);
	bench_quote(&b, b.n);
	b.attest.safe = 0;
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_ack(&b, b.n, b.n);
}

/* --- kexec ---- */

static void kexec_with_the_list_restored(void **state unused_)
{
	bench_measure(&b, "boot_aggregate");
	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	bench_measure(&b, "boot_aggregate"); /* the same value again */
	measure(2);
	bench_greet(&b);
	assert_int_equal(b.next, 4);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_KEXEC), 1);
	assert_int_equal(bench_events(&b, "finding", REASON_KEXEC), 1);
	assert_int_equal(bench_findings(&b, REASON_KEXEC_GAP), 0);
}

static void kexec_that_lost_entries(void **state unused_)
{
	bench_measure(&b, "boot_aggregate");
	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	bench_measure_as(&b, 10, "/usr/bin/lost", false, true, false);
	writer_free(&b.list[--b.n].data); /* extended, then lost with the old kernel's list */
	bench_measure(&b, "boot_aggregate");
	measure(1);
	bench_greet(&b);
	quote();
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	assert_int_equal(bench_findings(&b, REASON_KEXEC_GAP), 1);
	assert_int_equal(bench_findings(&b, REASON_LIST_TAMPERED), 0);
}

static void kexec_that_lost_the_list(void **state unused_)
{
	bench_measure(&b, "boot_aggregate");
	measure(5);
	bench_greet(&b);
	bench_prove(&b);
	new_list();
	bench_measure(&b, "boot_aggregate"); /* the new kernel starts a list of its own */
	measure(1);
	bench_greet(&b);
	assert_int_equal(b.next, 6); /* it has fewer */
	bench_quote(&b, b.n);
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	assert_int_equal(b.reply.type, WIRE_ACK);
	assert_int_equal(b.reply.ack.reason, REASON_KEXEC_GAP);
	assert_int_equal(bench_findings(&b, REASON_KEXEC_GAP), 1);
	assert_int_equal(bench_findings(&b, REASON_LIST_TAMPERED), 0);
}

static void without_a_kexec_it_is_tampering(void **state unused_)
{
	bench_measure(&b, "boot_aggregate");
	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	bench_measure_as(&b, 10, "/usr/bin/hidden", false, true, false);
	writer_free(&b.list[--b.n].data);
	measure(1);
	quote();
	assert_int_equal(bench_findings(&b, REASON_LIST_TAMPERED), 1);
	assert_int_equal(bench_findings(&b, REASON_KEXEC_GAP), 0);
}

static void entries_lost_over_a_kexec_that_was_not_seen(void **state unused_)
{
	bench_measure(&b, "boot_aggregate");
	measure(3);
	bench_greet(&b);
	bench_prove(&b);
	bench_measure_as(&b, 10, "/usr/bin/hidden", false, true, false);
	writer_free(&b.list[--b.n].data);
	measure(1);
	bench_hello(&b); /* its list is long again: only the second boot_aggregate tells, which this verifier never gets */
	b.hello.flags |= WIRE_HELLO_KEXEC;
	bench_send(&b, &(struct wire_message){ .type = WIRE_HELLO, .hello = b.hello });
	bench_welcomed(&b);
	bench_show_key(&b);
	quote();
	assert_int_equal(bench_findings(&b, REASON_LIST_TAMPERED), 0);
	assert_int_equal(bench_findings(&b, REASON_KEXEC_GAP), 1);
}

/* ima-buf: digest, name, buffer. */
static void measure_buffer(const char *name, const char *buf)
{
	struct bench_entry *e = &b.list[b.n];
	uint8_t digest[8 + 32] = "sha256:", extended[HASH_MAX_SIZE];
	struct ima_entry entry;

	*e = (struct bench_entry){ .pcr = 10, .data = WRITER(LIMIT_ENTRY_DATA) };
	snprintf(e->name, sizeof(e->name), "ima-buf");
	hash_one(HASH_SHA256, buf, strlen(buf), digest + 8);
	write_u32le(&e->data, sizeof(digest));
	write_bytes(&e->data, digest, sizeof(digest));
	write_u32le(&e->data, (uint32_t)strlen(name) + 1);
	write_bytes(&e->data, name, strlen(name) + 1);
	write_u32le(&e->data, (uint32_t)strlen(buf));
	write_bytes(&e->data, buf, strlen(buf));
	bench_entry_of(&b, b.n++, &entry);
	ima_template_digest(&entry, b.tpm.bank, extended);
	fake_tpm_extend(&b.tpm, 10, extended);
}

static void kexec_event_counts_more_than_was_shown(void **state unused_)
{
	measure(2);
	bench_greet(&b);
	measure_buffer("kexec_execute", "kexec_segment_size=1;ima_binary_runtime_size=2;ima_runtime_measurements_count=2;");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_KEXEC_GAP), 0); /* two entries, and the event says two */
	measure_buffer("kexec_execute", "kexec_segment_size=1;ima_binary_runtime_size=2;ima_runtime_measurements_count=4;");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_KEXEC_GAP), 1);
	measure_buffer("kexec_execute", "ima_runtime_measurements_count=;");
	measure_buffer("kexec_execute", "ima_runtime_measurements_count=9x;");
	measure_buffer("kexec_execute", "no count");
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_KEXEC_GAP), 1);
}

/* --- boot PCRs ---- */

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES "1111111111111111111111111111111111111111111111111111111111111111"

static void rules_with(struct rules *rules, const char *json)
{
	struct policy_report report = { .errors = 0 };
	struct policy *policy = NULL;

	*rules = bench_rules;
	assert_int_equal(policy_load_json(&policy, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report), 0);
	assert_int_equal(policies_add(&rules->policies, POLICY_DEFAULT_NAME, &policy), 0);
	policy_report_clear(&report);
}

static void set_policy(const char *json)
{
	struct rules rules;

	rules_with(&rules, json);
	bench_set_rules(&b, &rules);
}

#define EXCLUDE_ALL "\"excludes\":[\"\"]"

static void boot_values_that_are_known(void **state unused_)
{
	set_policy("{" EXCLUDE_ALL ",\"boot-pcrs\":{\"sha256\":{\"0\":[\"" ONES "\",\"" ZEROS "\"],\"7\":[\"" ZEROS "\"]}}}");
	measure(1);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 0);
}

static void boot_value_that_is_not_known(void **state unused_)
{
	set_policy("{" EXCLUDE_ALL ",\"boot-pcrs\":{\"sha256\":{\"0\":[\"" ZEROS "\"],\"4\":[\"" ZEROS "\"],\"7\":[\"" ONES "\"]}}}");
	b.tpm.pcr[4][0] = 0xab;
	measure(1);
	bench_greet(&b);
	bench_report(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 0); /* nothing is proven yet */
	quote();
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 2); /* one for PCR 4, one for PCR 7 */
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	/* other rules: one of them is known now; the values are kept, no session is needed */
	bench_restart(&b, &bench_rules);
	set_policy("{" EXCLUDE_ALL ",\"boot-pcrs\":{\"sha256\":{\"4\":[\"" ONES "\"],\"7\":[\"" ZEROS "\"]}}}");
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 1);
	set_policy("{" EXCLUDE_ALL "}");
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 0);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
}

struct seen_event {
	char text[4096];
};

static int last_boot_pcr(void *user, const struct event_row *row)
{
	struct seen_event *e = user;

	if (memmem(row->body.p, row->body.n, "\"boot-pcr\"", 10) && memmem(row->body.p, row->body.n, "\"finding\"", 9))
		snprintf(e->text, sizeof(e->text), "%.*s", (int)row->body.n, (const char *)row->body.p);
	return 0;
}

static void finding_names_pcr_and_value(void **state unused_)
{
	struct seen_event e = { "" };

	set_policy("{" EXCLUDE_ALL ",\"boot-pcrs\":{\"sha256\":{\"4\":[\"" ZEROS "\"]}}}");
	memset(b.tpm.pcr[4], 0xab, 32);
	measure(1);
	bench_greet(&b);
	quote();
	assert_int_equal(b.store->ops->each_event(b.store, 0, false, 1000, last_boot_pcr, &e), 0);
	assert_non_null(strstr(e.text, "\"pcr\":4"));
	assert_non_null(strstr(e.text, "\"digest\":\"sha256:abababab"));
	assert_non_null(strstr(e.text, "\"proven\":true"));
	assert_null(strstr(e.text, "\"entry\""));
}

/* The collector chooses what it quotes: what the policy pins must not be left out unseen. */
static void pinned_and_not_quoted(void **state unused_)
{
	set_policy("{" EXCLUDE_ALL ",\"boot-pcrs\":{\"sha256\":{\"12\":[\"" ZEROS "\"]}}}");
	measure(1);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
}

static void pinned_in_another_bank(void **state unused_)
{
	set_policy("{" EXCLUDE_ALL ",\"boot-pcrs\":{\"sha1\":{\"0\":[\"0000000000000000000000000000000000000000\"]}}}");
	measure(1);
	bench_greet(&b);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 1);
}

static void boot_pcr_changes_within_a_boot(void **state unused_)
{
	measure(1);
	bench_greet(&b);
	bench_prove(&b);
	b.tpm.pcr[7][3] ^= 1; /* extended by somebody, without a word */
	bench_greet(&b);
	measure(1);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	set_policy("{" EXCLUDE_ALL "}"); /* no policy takes that back */
	assert_int_equal(bench_findings(&b, REASON_BOOT_PCR), 1);
}

/* --- boot_aggregate ---- */

/* The first entry: the digest of PCR 0 to last - 1, labelled with this hash, made of the values of this bank. */
static void open_with_aggregate(enum hash_alg bank, enum hash_alg alg, unsigned int last)
{
	uint8_t values[16 * HASH_MAX_SIZE], field[16 + HASH_MAX_SIZE] = { 0 }, extended[HASH_MAX_SIZE];
	size_t size = hash_size(bank), label = strlen(hash_name(alg)) + 2;
	struct bench_entry *e;
	struct ima_entry entry;

	bench_close(&b);
	bench_open(&b, bank, "", &bench_rules);
	for (unsigned int i = 0; i < 16; i++) {
		memset(b.tpm.pcr[i], i == 10 ? 0 : (int)(i + 1), size);
		bytes_copy(values + i * size, b.tpm.pcr[i], size);
	}
	snprintf((char *)field, sizeof(field), "%s:", hash_name(alg));
	hash_one(alg, values, last * size, field + label);
	e = &b.list[b.n];
	*e = (struct bench_entry){ .pcr = 10, .data = WRITER(LIMIT_ENTRY_DATA) };
	snprintf(e->name, sizeof(e->name), "ima-ng");
	write_u32le(&e->data, (uint32_t)(label + hash_size(alg)));
	write_bytes(&e->data, field, label + hash_size(alg));
	write_u32le(&e->data, 15);
	write_bytes(&e->data, "boot_aggregate", 15);
	bench_entry_of(&b, b.n++, &entry);
	ima_template_digest(&entry, bank, extended);
	fake_tpm_extend(&b.tpm, 10, extended);
	bench_greet(&b);
	bench_prove(&b);
}

static void aggregate_of_sha1_is_over_pcr_0_to_7(void **state unused_)
{
	open_with_aggregate(HASH_SHA1, HASH_SHA1, 8);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE), 0);
	open_with_aggregate(HASH_SHA1, HASH_SHA1, 10);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE), 1);
}

static void aggregate_of_other_hashes_is_over_pcr_0_to_9(void **state unused_)
{
	static const enum hash_alg algs[] = { HASH_SHA256, HASH_SHA384, HASH_SHA512 };

	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		open_with_aggregate(algs[i], algs[i], 10);
		assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE), 0);
		open_with_aggregate(algs[i], algs[i], 8);
		assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE), 1);
	}
}

/* Values of another bank are never taken for it, neither as right nor as wrong. */
static void aggregate_of_another_bank_stays_open(void **state unused_)
{
	open_with_aggregate(HASH_SHA256, HASH_SHA1, 8);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE), 0);
	set_policy("{\"digests\":{\"boot_aggregate\":[]}," EXCLUDE_ALL "}");
	measure(1);
	bench_prove(&b);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE), 0);
	assert_int_equal(bench_findings(&b, REASON_BOOT_AGGREGATE_OPEN), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_trimmed_behind_what_is_stored_goes_on),
		TEST(list_trimmed_before_it_was_seen_is_refused),
		TEST(a_stranger_says_that_the_list_was_trimmed),
		TEST(trimmed_list_of_an_unknown_boot_is_refused),
		TEST(suspend_and_resume_goes_on),
		TEST(restart_within_a_session_ends_it),
		TEST(suspend_then_reboot_is_a_reboot),
		TEST(restart_with_pcrs_reset_never_matches),
		TEST(clock_goes_back_within_a_boot),
		TEST(power_loss_is_told_once),
		TEST(unsafe_clock_needs_a_fresh_nonce),
		TEST(kexec_with_the_list_restored),
		TEST(kexec_that_lost_entries),
		TEST(kexec_that_lost_the_list),
		TEST(without_a_kexec_it_is_tampering),
		TEST(entries_lost_over_a_kexec_that_was_not_seen),
		TEST(kexec_event_counts_more_than_was_shown),
		TEST(boot_values_that_are_known),
		TEST(boot_value_that_is_not_known),
		TEST(finding_names_pcr_and_value),
		TEST(pinned_and_not_quoted),
		TEST(pinned_in_another_bank),
		TEST(boot_pcr_changes_within_a_boot),
		TEST(aggregate_of_sha1_is_over_pcr_0_to_7),
		TEST(aggregate_of_other_hashes_is_over_pcr_0_to_9),
		TEST(aggregate_of_another_bank_stays_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
