// SPDX-License-Identifier: Apache-2.0
/* Who may enrol by a certificate, and what each that may not is told; the challenge. */
#include "unit/verifier/enrol_helper.h"

static struct writer iak;

/* --- by certificate ---- */

static int check_facts(void *user unused_, const struct enrolment_row *row)
{
	char how[32];

	snprintf(how, sizeof(how), "%.*s", (int)row->how.n, row->how.p);
	assert_string_equal(how, "ek-ca");
	assert_int_equal(row->status, ENROL_ENROLLED);
	assert_true(row->has_ek);
	assert_true(row->cert.manufacturer.n > 0);
	assert_true(row->cert.issuer.n > 0);
	assert_true(row->cert.not_after_s > 0);
	return 0;
}

static void a_certified_ek_is_taken(void **state unused_)
{
	open_with("ek-ca", "maker.pem");
	come_in();
	bench_welcomed(&b);
	logged("enrolled");
	assert_int_equal(bench_events(&b, "enrolled", REASON_ENROLLED), 1);
	assert_int_equal(b.store->ops->each_enrolment(b.store, check_facts, NULL), 0);
	bench_show_key(&b);
	bench_measure(&b, "/usr/bin/x");
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	/* known and enrolled: no challenge */
	b.flags = WIRE_HELLO_POLL_MODE;
	say_hello();
	bench_welcomed(&b);
}

static void each_wrong_certificate_has_its_reason(void **state unused_)
{
	open_with("ek-ca", "wrong.pem");
	refused(REASON_EK_CERT_UNTRUSTED);
	open_with("ek-ca", "maker.pem");
	b.ek_chain.n = 0; /* nothing leads to the root */
	refused(REASON_EK_CERT_UNTRUSTED);
	open_with("ek-ca", "maker.pem");
	b.ek_cert = writer_view(&other_cert); /* of another TPM */
	refused(REASON_EK_CERT_MISMATCH);
	open_with("ek-ca", "maker.pem");
	b.ek_cert.n--;
	refused(REASON_EK_CERT_INVALID);
	open_with("ek-ca", "maker.pem");
	b.ek_cert.n = 0;
	refused(REASON_EK_CERT_MISSING);
	open_with("ek-ca", "maker.pem");
	b.ek_cert = writer_view(&expired);
	b.now.real += 2 * 86400 * BENCH_SECOND;
	refused(REASON_EK_CERT_EXPIRED);
	open_with("ek-ca", "maker.pem");
	b.ek_public.n = b.ek_cert.n = 0; /* no endorsement key at all */
	refused(REASON_EK_CERT_MISSING);
	open_with("ek-ca", NULL); /* nobody is trusted, so nobody is asked for a certificate */
	refused(REASON_ATTESTER_UNKNOWN);
}

static void the_first_refusal_is_told(void **state unused_)
{
	open_with("ek-ca,preauth", "wrong.pem");
	refused(REASON_EK_CERT_UNTRUSTED);
	open_with("preauth,ek-ca", "wrong.pem");
	refused(REASON_EK_CERT_UNTRUSTED);
}

static void an_iak_certificate_will_do(void **state unused_)
{
	open_with("ek-ca", "maker.pem");
	b.ek_public.n = b.ek_cert.n = b.ek_chain.n = 0;
	write_pem(b.tpm.key, "ak.pub");
	run("openssl req -new -config tpm.cnf -key any.key -subj /CN=iak -out iak.csr\n"
	    "openssl x509 -req -in iak.csr -force_pubkey ak.pub -CA maker.pem -CAkey maker.key -CAcreateserial -extfile tpm.cnf "
	    "-extensions iak -days 3 -outform DER -out iak.der\n");
	read_into(&iak, "iak.der");
	b.now.real = (uint64_t)time(NULL) * BENCH_SECOND; /* it was made just now */
	b.iak_cert = writer_view(&iak);
	say_hello();
	bench_welcomed(&b); /* nothing to activate: its identity is the key that is certified */
	logged("enrolled");
	bench_close(&b);
	/* the same certificate with an EK: the identity comes from that one, which it says nothing of */
	open_with("ek-ca", "maker.pem");
	b.iak_cert = writer_view(&iak);
	b.ek_public.n = b.ek_cert.n = 0;
	refused(REASON_IAK_CERT_INVALID); /* this bench has another key */
	writer_free(&iak);
}

static void an_iak_certificate_says_nothing_of_an_ek(void **state unused_)
{
	open_with("ek-ca", "maker.pem");
	write_pem(b.tpm.key, "ak.pub");
	run("openssl req -new -config tpm.cnf -key any.key -subj /CN=iak -out iak.csr\n"
	    "openssl x509 -req -in iak.csr -force_pubkey ak.pub -CA maker.pem -CAkey maker.key -CAcreateserial -extfile tpm.cnf "
	    "-extensions iak -days 3 -outform DER -out iak.der\n");
	read_into(&iak, "iak.der");
	b.now.real = (uint64_t)time(NULL) * BENCH_SECOND; /* it was made just now */
	b.iak_cert = writer_view(&iak);
	b.ek_public = writer_view(&other_ek); /* somebody else's identity */
	b.ek_cert.n = 0;
	say_hello();
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
	writer_free(&iak);
}

/* --- challenge ---- */

static void a_wrong_secret_is_refused(void **state unused_)
{
	uint8_t secret[33] = { 0 };

	open_with("ek-ca", "maker.pem");
	say_hello();
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	secret_now(secret);
	secret[31] ^= 1;
	activate_with(secret, 32);
	bench_expect_reject(&b, REASON_CREDENTIAL_WRONG);
	secret[31] ^= 1;
	activate_with(secret, 31);
	bench_expect_reject(&b, REASON_CREDENTIAL_WRONG);
	activate_with(secret, 33);
	bench_expect_reject(&b, REASON_CREDENTIAL_WRONG);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
	assert_int_equal(bench_events(&b, "rejected", REASON_CREDENTIAL_WRONG), 3);
	activate_with(secret, 32);
	bench_welcomed(&b);
}

/* A verifier that has restarted, an answer that took too long: it is made again, and nobody is accused. */
static void a_secret_that_comes_too_late_is_made_again(void **state unused_)
{
	uint8_t secret[32];

	open_with("ek-ca", "maker.pem");
	b.now.mono = 1000 * 60 * BENCH_SECOND; /* the start of a slot */
	say_hello();
	secret_now(secret);
	b.now.mono += 119 * BENCH_SECOND; /* still the next slot */
	b.pipeline->challenger.key[0] ^= 1;
	activate_with(secret, 32);
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	b.pipeline->challenger.key[0] ^= 1;
	b.now.mono += BENCH_SECOND;
	activate_with(secret, 32);
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	activate_with(secret, 7); /* too short to tell */
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
	assert_int_equal(bench_events(&b, "rejected", REASON_NONE), 0);
	/* not for nothing: it is as a HELLO */
	for (int i = 0; i < 20; i++)
		activate_with(secret, 32);
	bench_expect_reject(&b, REASON_BUSY);
	b.now.mono -= BENCH_SECOND;
	activate_with(secret, 32);
	bench_welcomed(&b);
}

/* Not for another key, not for another identity. */
static void a_secret_is_for_one_subject(void **state unused_)
{
	static const uint8_t no_name[34];
	struct writer second = WRITER(LIMIT_PUBLIC);
	struct made_public shape = MADE_AK(0x0018);
	uint8_t secret[32];

	open_with("ek-ca", "maker.pem");
	b.now.mono = 1000 * 60 * BENCH_SECOND; /* the start of a slot */
	say_hello();
	secret_now(secret);
	make_public(&second, other_ak, &shape);
	b.hello.ak_public = writer_view(&second);
	activate_with(secret, 32);
	bench_expect_reject(&b, REASON_CREDENTIAL_WRONG);
	bench_hello(&b);
	b.hello.ek_public = writer_view(&other_ek);
	tpm_attester_id(b.hello.ek_public, no_name, b.hello.attester);
	activate_with(secret, 32);
	bench_expect_reject(&b, REASON_CREDENTIAL_WRONG);
	bench_hello(&b);
	activate_with(secret, 32);
	bench_welcomed(&b);
	writer_free(&second);
}

/* The right secret does not replace the certificate: both are looked at again. */
static void activation_alone_is_not_enough(void **state unused_)
{
	uint8_t secret[32];

	open_with("ek-ca", "maker.pem");
	say_hello();
	secret_now(secret);
	b.hello.ek_cert = writer_view(&other_cert);
	activate_with(secret, 32);
	bench_expect_reject(&b, REASON_EK_CERT_MISMATCH);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
}

static void an_ek_that_cannot_be_used(void **state unused_)
{
	struct writer signing = WRITER(LIMIT_PUBLIC);
	struct made_public shape = MADE_AK(0x0018);

	open_with("tofu", NULL);
	make_public(&signing, ek_key, &shape); /* an AK in the place of an EK: it would sign what it likes */
	b.ek_public = writer_view(&signing);
	refused(REASON_PROTOCOL_ERROR); /* not a HELLO at all */
	writer_free(&signing);
}

static void strangers_have_a_budget(void **state unused_)
{
	unsigned int let = 0;

	open_with("ek-ca", "maker.pem");
	b.peer = 7;
	for (int i = 0; i < 20; i++) {
		say_hello();
		let += b.reply.type == WIRE_CHALLENGE;
	}
	assert_int_equal(let, 4 * LIMIT_STRANGER_PER_S);
	bench_expect_reject(&b, REASON_BUSY);
	b.peer = 8; /* another one has its own */
	say_hello();
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	b.peer = 7;
	bench_pass(&b, BENCH_SECOND);
	say_hello();
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	/* together they have one as well */
	let = 0;
	for (b.peer = 100; b.peer < 100 + 4 * LIMIT_STRANGERS_PER_S + 50; b.peer++) {
		say_hello();
		let += b.reply.type == WIRE_CHALLENGE;
	}
	assert_in_range(let, 4 * LIMIT_STRANGERS_PER_S - 20, 4 * LIMIT_STRANGERS_PER_S);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
}

#define TEST(f) cmocka_unit_test_teardown(f, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_certified_ek_is_taken),
		cmocka_unit_test(each_wrong_certificate_has_its_reason),
		cmocka_unit_test(the_first_refusal_is_told),
		cmocka_unit_test(an_iak_certificate_will_do),
		TEST(an_iak_certificate_says_nothing_of_an_ek),
		TEST(a_wrong_secret_is_refused),
		TEST(a_secret_is_for_one_subject),
		TEST(a_secret_that_comes_too_late_is_made_again),
		TEST(activation_alone_is_not_enough),
		cmocka_unit_test(an_ek_that_cannot_be_used),
		TEST(strangers_have_a_budget),
	};

	return cmocka_run_group_tests(tests, make_everything, free_everything);
}
