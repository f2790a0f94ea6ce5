// SPDX-License-Identifier: Apache-2.0
/* Enrolment by list, by people, by whoever comes first; and that nothing is overwritten. */
#include "unit/verifier/enrol_helper.h"

/* --- the other modes ---- */

static void a_listed_ek_is_taken(void **state unused_)
{
	cleanup_writer_ struct writer list = WRITER(4096), why = WRITER(4096);

	open_with("preauth", NULL);
	bench_hello(&b);
	write_fmt(&list, "# delivered in May\n");
	write_hex(&list, b.hello.attester, 32);
	write_fmt(&list, " rack-3\n");
	assert_int_equal(preauth_parse(&b.pipeline->rules.enrol.preauth, writer_view(&list), &why), 0);
	come_in();
	bench_welcomed(&b);
	assert_string_equal(bench_attester(&b)->label, "rack-3");
	assert_true(bench_attester(&b)->label_given);
	bench_close(&b);
	open_with("preauth", NULL);
	refused(REASON_ATTESTER_UNKNOWN);
}

static void a_listed_ak_is_taken(void **state unused_)
{
	cleanup_writer_ struct writer list = WRITER(4096), why = WRITER(4096);
	uint8_t name[34];

	open_with("preauth", NULL);
	assert_int_equal(tpm_public_name(writer_view(&b.tpm.ak_public), name), QUOTE_OK);
	write_hex(&list, name, 34);
	assert_int_equal(preauth_parse(&b.pipeline->rules.enrol.preauth, writer_view(&list), &why), 0);
	b.ek_public.n = b.ek_cert.n = 0;
	say_hello();
	bench_welcomed(&b);
}

static void bad_preauth_lists_are_refused(void **state unused_)
{
	static const char hex[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	char text[300];
	struct ak_list l = { 0 };

	for (int digits = 62; digits <= 64; digits++) {
		cleanup_writer_ struct writer why = WRITER(4096);

		snprintf(text, sizeof(text), "%.*s a # comment\n", digits, hex);
		assert_int_equal(preauth_parse(&l, (struct bytes){ (const uint8_t *)text, strlen(text) }, &why), 1);
		assert_true(why.n > 0);
		snprintf(text, sizeof(text), "%.*s # comment\n%.*s name\n\n", digits, hex, digits, hex);
		assert_int_equal(preauth_parse(&l, (struct bytes){ (const uint8_t *)text, strlen(text) }, &why),
				 digits == 64 ? 0 : 1);
	}
	assert_int_equal(l.n, 2);
	ak_list_clear(&l);
}

static void modes_are_parsed_strictly(void **state unused_)
{
	static const char *const bad[] = { "", ",", "ek-ca,", "ek-ca,ek-ca", "EK-CA", "ek-ca manual", "all" };
	struct enrol_rules r = { 0 };
	const char *why = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(enrol_modes_parse(bad[i], &r, &why), 1);
	assert_int_equal(r.n_modes, 0);
	assert_int_equal(enrol_modes_parse("tofu,manual,preauth,ek-ca", &r, &why), 0);
	assert_int_equal(r.n_modes, 4);
	assert_int_equal(r.modes[0], ENROL_MODE_TOFU);
	assert_int_equal(r.modes[3], ENROL_MODE_EK_CA);
}

static void first_use_needs_activation_too(void **state unused_)
{
	open_with("tofu", NULL);
	b.ek_cert.n = 0;
	come_in();
	bench_welcomed(&b);
}

/* --- people ---- */

static void one_that_waits_is_approved(void **state unused_)
{
	open_with("ek-ca,manual", "wrong.pem");
	come_in();
	bench_expect_reject(&b, REASON_ENROL_PENDING);
	assert_in_range(b.reply.reject.retry_ms, 500, 800); /* with a quarter of jitter within a second */
	logged("pending");
	assert_int_equal(bench_events(&b, "pending", REASON_ENROL_PENDING), 1);
	assert_int_equal(bench_state(&b), WIRE_STATE_ENROLLING);
	for (int i = 0; i < 3; i++) {
		say_hello(); /* no challenge any more, no further event */
		bench_expect_reject(&b, REASON_ENROL_PENDING);
	}
	assert_int_equal(bench_events(&b, "pending", REASON_NONE), 1);
	bench_pass(&b, 500 * BENCH_SECOND);
	assert_int_equal(bench_state(&b), WIRE_STATE_ENROLLING); /* it is not expected to prove anything */
	decided(ENROL_APPROVE);
	logged("approved");
	say_hello();
	bench_welcomed(&b);
	assert_int_equal(b.pipeline->waiting, 0);
	bench_show_key(&b);
	bench_measure(&b, "/usr/bin/x");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void one_that_waits_is_rejected(void **state unused_)
{
	const char *refusal = NULL;

	open_with("manual", NULL);
	come_in();
	decided(ENROL_REJECT);
	logged("rejected");
	say_hello();
	bench_expect_reject(&b, REASON_ENROL_REJECTED);
	assert_int_equal(decide(ENROL_APPROVE, &refusal), 1);
	assert_int_equal(decide(ENROL_REVOKE, &refusal), 1);
	assert_int_equal(decide(ENROL_REJECT, &refusal), 1);
	decided(ENROL_FORGET);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
	come_in();
	bench_expect_reject(&b, REASON_ENROL_PENDING);
	assert_int_equal(b.pipeline->waiting, 1);
	assert_int_equal(decide(ENROL_REVOKE, &refusal), 1);
}

/* Rules that change take whom they know now. */
static void one_that_waits_may_be_taken_by_other_rules(void **state unused_)
{
	struct rules rules = bench_rules;
	const char *why;

	open_with("manual", NULL);
	come_in();
	bench_expect_reject(&b, REASON_ENROL_PENDING);
	rules.trust_on_first_use = false;
	assert_int_equal(enrol_modes_parse("ek-ca", &rules.enrol, &why), 0);
	rules.enrol.ek_cas = cas_of("maker.pem");
	bench_set_rules(&b, &rules);
	say_hello();
	bench_welcomed(&b);
	logged("enrolled");
}

static void revoking_ends_everything_at_once(void **state unused_)
{
	open_with("tofu", NULL);
	come_in();
	bench_welcomed(&b);
	bench_show_key(&b);
	bench_measure(&b, "/usr/bin/x");
	bench_prove(&b);
	bench_wait(&b);
	decided(ENROL_REVOKE);
	assert_false(b.held);
	assert_int_equal(b.directive.type, WIRE_REJECT);
	assert_int_equal(b.directive.reject.reason, REASON_ATTESTER_REVOKED);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	assert_int_equal(bench_attester(&b)->state_reason, REASON_ATTESTER_REVOKED);
	assert_int_equal(bench_events(&b, "revoked", REASON_ATTESTER_REVOKED), 1);
	bench_measure(&b, "/usr/bin/y");
	bench_entries(&b, 1, 1, 0);
	bench_expect_reject(&b, REASON_SESSION_UNKNOWN);
	for (int i = 0; i < 5; i++) {
		say_hello();
		bench_expect_reject(&b, REASON_ATTESTER_REVOKED);
	}
	assert_int_equal(bench_events(&b, "rejected", REASON_ATTESTER_REVOKED), 1); /* people hear of it once */
	bench_pass(&b, 500 * BENCH_SECOND);
	assert_int_equal(bench_attester(&b)->state_reason, REASON_ATTESTER_REVOKED);
	decided(ENROL_FORGET);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
	assert_int_equal(b.pipeline->fleet.by_key.count, 0);
	come_in();
	bench_welcomed(&b);
	assert_int_equal(b.next, 0); /* its evidence is gone too */
}

static void decisions_survive_a_restart(void **state unused_)
{
	struct rules rules = bench_rules;

	open_with("manual", NULL);
	come_in();
	rules.trust_on_first_use = false;
	rules.enrol.modes[rules.enrol.n_modes++] = ENROL_MODE_MANUAL;
	bench_restart(&b, &rules);
	assert_int_equal(b.pipeline->waiting, 1);
	say_hello();
	bench_expect_reject(&b, REASON_ENROL_PENDING);
	decided(ENROL_APPROVE);
	decided(ENROL_REVOKE);
	bench_restart(&b, &rules);
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_REVOKED);
}

static void a_decision_that_cannot_be_stored_is_none(void **state unused_)
{
	const char *refusal = NULL;

	open_with("manual", NULL);
	come_in();
	b.fail_commit = ENOSPC;
	assert_int_equal(decide(ENROL_APPROVE, &refusal), -ENOSPC);
	assert_int_equal(decide(ENROL_FORGET, &refusal), -ENOSPC);
	b.fail_commit = 0;
	assert_int_equal(b.pipeline->waiting, 1);
	logged("pending");
	say_hello();
	bench_expect_reject(&b, REASON_ENROL_PENDING);
}

static void who_waits_is_bounded(void **state unused_)
{
	open_with("manual", NULL);
	b.pipeline->waiting = LIMIT_ENROL_PENDING;
	come_in();
	bench_expect_reject(&b, REASON_BUSY);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
	b.pipeline->waiting = LIMIT_ENROL_PENDING - 1;
	come_in();
	bench_expect_reject(&b, REASON_ENROL_PENDING);
	assert_int_equal(b.pipeline->waiting, LIMIT_ENROL_PENDING);
	assert_int_equal(b.reply.reject.retry_ms, LIMIT_ENROL_PENDING * 10); /* many are asked to come less often */
}

/* --- nothing is overwritten ---- */

static void another_ak_under_a_known_identity(void **state unused_)
{
	struct writer second = WRITER(LIMIT_PUBLIC);
	struct made_public shape = MADE_AK(0x0018);
	struct wire_message m = { .type = WIRE_HELLO };
	uint8_t secret[32];

	open_with("ek-ca", "maker.pem");
	come_in();
	bench_welcomed(&b);
	make_public(&second, other_ak, &shape);
	m.hello = b.hello;
	m.hello.ak_public = writer_view(&second);
	assert_int_equal(bench_send(&b, &m), 0);
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
	b.hello = m.hello;
	secret_now(secret);
	activate_with(secret, 32); /* not even when it is in that TPM */
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
	writer_free(&second);
}

static void a_known_ak_under_another_identity(void **state unused_)
{
	open_with("tofu", NULL);
	come_in();
	bench_welcomed(&b);
	bench_show_key(&b);
	bench_measure(&b, "/usr/bin/x");
	bench_prove(&b);
	b.ek_public = writer_view(&other_ek);
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
	b.ek_public.n = b.ek_cert.n = 0;
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
	assert_int_equal(b.pipeline->fleet.by_id.count, 1);
}

/* Whoever knows a public attestation key can say HELLO without an endorsement key. The TPM that holds both wins, at once. */
static void a_key_without_a_tpm_gives_way_to_one_with(const char *modes, bool waits)
{
	uint8_t squatter[32];

	open_with(modes, NULL);
	b.ek_public.n = b.ek_cert.n = 0;
	say_hello();
	if (waits)
		bench_expect_reject(&b, REASON_ENROL_PENDING);
	bytes_copy(squatter, b.hello.attester, 32);
	b.ek_public = writer_view(&ek);
	say_hello(); /* by this alone it does not */
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	assert_non_null(idmap_get(&b.pipeline->fleet.by_id, squatter));
	come_in();
	bench_expect_reject(&b, REASON_BUSY);
	assert_null(idmap_get(&b.pipeline->fleet.by_id, squatter));
	logged("forgotten");
	come_in();
	if (waits)
		bench_expect_reject(&b, REASON_ENROL_PENDING);
	else
		bench_welcomed(&b);
	assert_int_equal(b.pipeline->fleet.by_id.count, 1);
	assert_int_equal(b.pipeline->waiting, waits);
	/* and not the other way round */
	b.ek_public.n = 0;
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
	assert_null(idmap_get(&b.pipeline->fleet.by_id, b.hello.attester));
	bench_close(&b);
}

static void a_key_without_a_tpm_gives_way(void **state unused_)
{
	a_key_without_a_tpm_gives_way_to_one_with("tofu", false);
	a_key_without_a_tpm_gives_way_to_one_with("manual", true);
}

/* One that showed it, or that people approved, does not. */
static void a_key_that_was_shown_stays(void **state unused_)
{
	open_with("tofu", NULL);
	b.ek_public.n = b.ek_cert.n = 0;
	say_hello();
	bench_welcomed(&b);
	bench_show_key(&b);
	b.ek_public = writer_view(&ek);
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
	bench_close(&b);
	open_with("manual", NULL);
	b.ek_public.n = b.ek_cert.n = 0;
	say_hello();
	b.now.real += BENCH_SECOND;
	decided(ENROL_APPROVE);
	b.ek_public = writer_view(&ek);
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
}

#define TEST(f) cmocka_unit_test_teardown(f, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listed_ek_is_taken),
		TEST(a_listed_ak_is_taken),
		cmocka_unit_test(bad_preauth_lists_are_refused),
		cmocka_unit_test(modes_are_parsed_strictly),
		TEST(first_use_needs_activation_too),
		TEST(one_that_waits_is_approved),
		TEST(one_that_waits_is_rejected),
		TEST(one_that_waits_may_be_taken_by_other_rules),
		TEST(revoking_ends_everything_at_once),
		TEST(decisions_survive_a_restart),
		TEST(a_decision_that_cannot_be_stored_is_none),
		TEST(who_waits_is_bounded),
		TEST(another_ak_under_a_known_identity),
		TEST(a_known_ak_under_another_identity),
		cmocka_unit_test(a_key_without_a_tpm_gives_way),
		TEST(a_key_that_was_shown_stays),
	};

	return cmocka_run_group_tests(tests, make_everything, free_everything);
}
