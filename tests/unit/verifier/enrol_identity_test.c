// SPDX-License-Identifier: Apache-2.0
/* One key, many public areas: attributes and policy are the sender's word, so a host could have as many identities as it
 * likes, and a revoked one would come back under the next. */
#include "unit/verifier/enrol_helper.h"

static struct writer ek_again, ak_again;

/* The bench's EK in another public area: same key, same certificate, another hash. */
static void other_ek_area(void)
{
	static const uint8_t policy[32] = { 1, 2, 3 };
	struct made_public shape = MADE_EK;

	shape.policy = (struct bytes){ policy, sizeof(policy) };
	writer_free(&ek_again);
	ek_again = WRITER(LIMIT_PUBLIC);
	make_public(&ek_again, ek_key, &shape);
	b.ek_public = writer_view(&ek_again);
}

/* The HELLO of the bench, but with this attestation key. */
static void hello_with_ak(EVP_PKEY *key, uint32_t attributes)
{
	struct made_public shape = MADE_AK(0x0018);
	struct wire_message m = { .type = WIRE_HELLO };
	uint8_t name[34];

	shape.attributes = attributes;
	writer_free(&ak_again);
	ak_again = WRITER(LIMIT_PUBLIC);
	make_public(&ak_again, key, &shape);
	bench_hello(&b);
	b.hello.ak_public = writer_view(&ak_again);
	assert_int_equal(tpm_public_name(b.hello.ak_public, name), QUOTE_OK);
	tpm_attester_id(b.hello.ek_public, name, b.hello.attester);
	m.hello = b.hello;
	assert_int_equal(bench_send(&b, &m), 0);
	assert_true(b.answered);
}

static void enrolled_with_ek(void)
{
	open_with("ek-ca", "maker.pem");
	come_in();
	bench_welcomed(&b);
	logged("enrolled");
	assert_int_equal(b.pipeline->fleet.by_id.count, 1);
}

static void a_second_identity_of_one_ek(void **state unused_)
{
	enrolled_with_ek();
	other_ek_area();
	hello_with_ak(other_ak, MADE_AK_ATTRIBUTES);
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
	assert_int_equal(b.pipeline->fleet.by_id.count, 1);
}

static void a_revoked_ek_in_other_clothes(void **state unused_)
{
	enrolled_with_ek();
	decided(ENROL_REVOKE);
	other_ek_area();
	hello_with_ak(other_ak, MADE_AK_ATTRIBUTES);
	bench_expect_reject(&b, REASON_ATTESTER_REVOKED);
}

static void after_a_restart_too(void **state unused_)
{
	struct rules rules = bench_rules;

	enrolled_with_ek();
	decided(ENROL_REVOKE);
	rules.trust_on_first_use = false;
	rules.enrol.modes[rules.enrol.n_modes++] = ENROL_MODE_TOFU;
	bench_restart(&b, &rules);
	other_ek_area();
	hello_with_ak(other_ak, MADE_AK_ATTRIBUTES);
	bench_expect_reject(&b, REASON_ATTESTER_REVOKED);
}

/* A certificate of an attestation key vouches for its numbers, too; without an EK the id is the hash of its public area. */
static void a_second_identity_of_one_ak(void **state unused_)
{
	open_with("tofu", NULL);
	b.ek_public.n = b.ek_cert.n = b.ek_chain.n = 0;
	hello_with_ak(other_ak, MADE_AK_ATTRIBUTES);
	bench_welcomed(&b);
	hello_with_ak(other_ak, MADE_AK_ATTRIBUTES & ~0x400u);
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
	assert_int_equal(b.pipeline->fleet.by_id.count, 1);
}

static void list_its_ak(void)
{
	cleanup_writer_ struct writer line = WRITER(4096), why = WRITER(4096);

	write_fmt(&line, "- ");
	write_hex(&line, b.hello.ak_public.p, b.hello.ak_public.n);
	assert_int_equal(ak_list_parse(&b.pipeline->rules.ak_list, writer_view(&line), NULL, &why), 0);
}

/* Who knows the public key of a listed host says HELLO with it and an endorsement key of their own, before the host does. */
static void squat(void)
{
	struct wire_message m = { .type = WIRE_HELLO };

	open_with("ek-ca", "maker.pem");
	bench_hello(&b);
	list_its_ak();
	b.ek_public = writer_view(&other_ek);
	bench_hello(&b);
	m.hello = b.hello;
	assert_int_equal(bench_send(&b, &m), 0);
	bench_welcomed(&b);
	b.ek_public = writer_view(&ek);
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
}

static void who_never_showed_its_key_gives_way(void **state unused_)
{
	squat();
	b.now.real += 31 * BENCH_SECOND;
	b.now.mono += 31 * BENCH_SECOND;
	say_hello();
	bench_expect_reject(&b, REASON_BUSY);
	logged("forgotten");
	say_hello();
	bench_welcomed(&b);
	bench_show_key(&b);
	assert_int_equal(b.pipeline->fleet.by_id.count, 1);
}

static void who_showed_it_stays(void **state unused_)
{
	squat();
	b.ek_public = writer_view(&other_ek);
	say_hello();
	bench_welcomed(&b);
	bench_show_key(&b);
	b.now.real += 31 * BENCH_SECOND;
	b.now.mono += 31 * BENCH_SECOND;
	b.ek_public = writer_view(&ek);
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
}

static void who_was_approved_stays(void **state unused_)
{
	open_with("manual", NULL);
	come_in();
	b.now.real += BENCH_SECOND;
	decided(ENROL_APPROVE);
	b.now.real += 31 * BENCH_SECOND;
	b.now.mono += 31 * BENCH_SECOND;
	b.ek_public = writer_view(&other_ek);
	say_hello();
	bench_expect_reject(&b, REASON_ATTESTER_KEY_CHANGED);
}

static void forgotten_it_may_come_anew(void **state unused_)
{
	enrolled_with_ek();
	decided(ENROL_FORGET);
	assert_int_equal(b.pipeline->fleet.by_key.count, 0);
	other_ek_area();
	come_in();
	bench_welcomed(&b);
}

static int close_all(void **state)
{
	writer_free(&ek_again);
	writer_free(&ak_again);
	return close_bench(state);
}

#define TEST(f) cmocka_unit_test_teardown(f, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_identity_of_one_ek),
		TEST(a_revoked_ek_in_other_clothes),
		TEST(after_a_restart_too),
		TEST(a_second_identity_of_one_ak),
		TEST(forgotten_it_may_come_anew),
		TEST(who_never_showed_its_key_gives_way),
		TEST(who_showed_it_stays),
		TEST(who_was_approved_stays),
	};

	return cmocka_run_group_tests(tests, make_everything, free_everything);
}
