// SPDX-License-Identifier: Apache-2.0
/* Enrolment against a software TPM: credentials that we make and it activates, and the certificates of swtpm's own CA. */
#include "integration/tpm_enrol_helper.h"

/* many times: slots and sessions must not run out; the AK still quotes */
static void our_credential_their_activation(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	struct pcr_selection pcr10 = { 0x000b, 1u << 10 };
	uint64_t began;

	NEEDS_SWTPM();
	t = open_tpm(&first);
	for (int alg = AK_ECC_P256; alg <= AK_RSA_2048; alg++) {
		cleanup_free_ struct tpm_identity *id = identify(t, (enum ak_alg)alg);
		struct credential c;
		struct tpm_quote q;

		began = clock_mono_us();
		for (int i = 0; i < 10; i++) {
			make_for(id, id, &c);
			expect_secret(t, &c);
		}
		print_message("# activation: %llu us\n", (unsigned long long)(clock_mono_us() - began) / 10);
		expect_secret(t, &c); /* the same one again */
		assert_int_equal(tpm_quote(t, &pcr10, BYTES("x"), &q), 0);
	}
}

static void the_tpm_refuses(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL, *u = NULL;
	cleanup_free_ struct tpm_identity *a = NULL, *b = NULL, *a_rsa = NULL;
	struct credential c, bad;
	uint8_t got[LIMIT_CREDENTIAL_SECRET];
	size_t n;

	NEEDS_SWTPM();
	t = open_tpm(&first);
	assert_int_equal(tpm_activate_credential(t, BYTES("\0\0"), BYTES("\0\0"), got, &n), -EINVAL); /* no key yet */
	a_rsa = identify(t, AK_RSA_2048);
	a = identify(t, AK_ECC_P256);
	u = open_tpm(&second);
	b = identify(u, AK_ECC_P256);

	make_for(a, b, &c); /* our EK, another TPM's AK */
	expect_refusal(t, &c);
	make_for(b, a, &c); /* another TPM's EK */
	expect_refusal(t, &c);
	make_for(a, a_rsa, &c); /* another AK of the same TPM */
	expect_refusal(t, &c);

	make_for(a, a, &c);
	for (size_t i = 2; i < c.blob_n; i += 7) {
		bad = c;
		bad.blob[i] ^= 1;
		expect_refusal(t, &bad);
	}
	for (size_t i = 2; i < c.secret_n; i += 37) {
		bad = c;
		bad.secret[i] ^= 0x10;
		expect_refusal(t, &bad);
	}
	bad = c;
	bad.blob_n--;
	expect_refusal(t, &bad);
	bad = c;
	bad.secret[0] = bad.secret[1] = 0;
	bad.secret_n = 2;
	expect_refusal(t, &bad);
	bad = c;
	bad.secret_n = 0;
	expect_refusal(t, &bad);
	expect_secret(t, &c);
}

/* --- tpm2-tools as oracle ------------------------------------------------------------------------------------------- */

/* tpm2-tools make an EK and an AK; what we make, they activate */
static void tools_activate_ours(void **state)
{
	static const char *const algs[] = { "rsa", "ecc" };
	char command[4096];

	NEEDS_SWTPM();
	if (run("command -v tpm2_activatecredential >/dev/null") != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		cleanup_writer_ struct writer ek = WRITER(4096), name = WRITER(4096), file = WRITER(4096), got = WRITER(4096);
		static const uint8_t magic[] = { 0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1 };
		struct credential c;
		const char *why = "";

		snprintf(command, sizeof(command),
			 "cd %s && export TPM2TOOLS_TCTI=%s && tpm2_flushcontext -t && tpm2_createek -G %s -c ek.ctx -u ek.pub -Q &&"
			 " tpm2_flushcontext -t && tpm2_createak -C ek.ctx -G ecc -g sha256 -s ecdsa -c ak.ctx -u ak.pub -n ak.name"
			 " -Q && tpm2_flushcontext -t", first.dir, first.tcti, algs[i]);
		assert_int_equal(run(command), 0);
		read_from(first.dir, "ek.pub", &ek); /* TPM2B_PUBLIC */
		read_from(first.dir, "ak.name", &name);
		assert_int_equal(credential_make((struct bytes){ ek.p + 2, ek.n - 2 }, writer_view(&name), (struct bytes){ secret, 32 },
						 &c, &why), 0);
		/* their file: magic, version, and the two structures */
		write_bytes(&file, magic, sizeof(magic));
		write_bytes(&file, c.blob, c.blob_n);
		write_bytes(&file, c.secret, c.secret_n);
		write_to(first.dir, "cred", writer_view(&file));
		snprintf(command, sizeof(command),
			 "cd %s && export TPM2TOOLS_TCTI=%s && tpm2_startauthsession --policy-session -S s.ctx &&"
			 " tpm2_policysecret -S s.ctx -c e -Q && tpm2_activatecredential -c ak.ctx -C ek.ctx -i cred -o got"
			 " -P session:s.ctx -Q && tpm2_flushcontext s.ctx && tpm2_flushcontext -t", first.dir, first.tcti);
		assert_int_equal(run(command), 0);
		read_from(first.dir, "got", &got);
		assert_int_equal(got.n, 32);
		assert_memory_equal(got.p, secret, 32);
	}
}

/* what they make, our code activates */
static void ours_activates_tools(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL;
	cleanup_writer_ struct writer hex = WRITER(256), cred = WRITER(4096), pub = WRITER(4096);
	char command[4096];
	uint8_t name[34], got[LIMIT_CREDENTIAL_SECRET];
	struct reader r;
	struct bytes blob, sealed;
	size_t n = 0, at;

	NEEDS_SWTPM();
	if (run("command -v tpm2_makecredential >/dev/null") != 0)
		skip();
	t = open_tpm(&first);
	id = identify(t, AK_ECC_P256);
	assert_int_equal(tpm_public_name((struct bytes){ id->ak_public, id->ak_public_n }, name), QUOTE_OK);
	write_hex(&hex, name, sizeof(name));
	write_u16be(&pub, (uint16_t)id->ek_public_n);
	write_bytes(&pub, id->ek_public, id->ek_public_n);
	write_to(first.dir, "our-ek.pub", writer_view(&pub));
	write_to(first.dir, "secret", (struct bytes){ secret, 32 });
	snprintf(command, sizeof(command), "cd %s && tpm2_makecredential -T none -u our-ek.pub -s secret -n %s -o theirs -Q",
		 first.dir, writer_cstr(&hex));
	assert_int_equal(run(command), 0);
	read_from(first.dir, "theirs", &cred);
	r = reader_of(writer_view(&cred));
	read_bytes(&r, 8);
	at = r.pos;
	read_bytes(&r, read_u16be(&r));
	blob = (struct bytes){ cred.p + at, r.pos - at };
	at = r.pos;
	read_bytes(&r, read_u16be(&r));
	sealed = (struct bytes){ cred.p + at, r.pos - at };
	assert_true(reader_done(&r));
	assert_int_equal(tpm_activate_credential(t, blob, sealed, got, &n), 0);
	assert_int_equal(n, 32);
	assert_memory_equal(got, secret, 32);
}

/* --- other endorsement keys ----------------------------------------------------------------------------------------- */

/* RSA gone from NV, the P-384 certificate of the high range is what is left: PolicyB, SHA-384, AES-256 */
static void the_high_range(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *rsa = NULL, *high = NULL, *none = NULL;
	cleanup_tpm_cas_ struct tpm_cas *cas = NULL;
	cleanup_writer_ struct writer why = WRITER(4096);
	struct swtpm s = { 0 };
	struct credential c;
	char path[512];
	const char *detail = "";

	NEEDS_SWTPM();
	if (run("command -v tpm2_nvundefine >/dev/null") != 0)
		skip();
	assert_int_equal(swtpm_start(&s, NULL), 0);
	t = open_tpm(&s);
	rsa = identify(t, AK_ECC_P256);
	assert_int_equal(rsa->ek_public[1], 0x01);
	tpm_close(&t);
	tool(&s, "tpm2_nvundefine -C p 0x01c00002");
	t = open_tpm(&s);
	high = identify(t, AK_ECC_P256);
	assert_int_equal(high->ek_public[1], 0x23);
	assert_int_equal(high->ek_public[3], 0x0c);
	assert_true(high->ek_cert_n > 0);
	assert_memory_not_equal(high->attester_id, rsa->attester_id, 32);
	make_for(high, high, &c);
	expect_secret(t, &c);
	expect_secret(t, &c);
	c.blob[9] ^= 1;
	expect_refusal(t, &c);
	/* and its certificate holds */
	assert_int_equal(tpm_cas_new(&cas), 0);
	snprintf(path, sizeof(path), "%s/ca/issuercert.pem", s.dir);
	assert_int_equal(tpm_cas_load(cas, path, &why), 0);
	assert_int_equal(tpm_ek_cert_check(cas, ek_of(high), cert_of(high), (struct bytes){ 0 }, (uint64_t)time(NULL), NULL,
					   &detail), 0);
	assert_int_equal(tpm_ek_cert_check(cas, ek_of(rsa), cert_of(high), (struct bytes){ 0 }, (uint64_t)time(NULL), NULL,
					   &detail), REASON_EK_CERT_MISMATCH);
	tpm_close(&t);
	tool(&s, "tpm2_nvundefine -C p 0x01c00016");
	t = open_tpm(&s);
	none = identify(t, AK_ECC_P256);
	assert_int_equal(none->ek_cert_n, 0);
	assert_memory_equal(none->attester_id, rsa->attester_id, 32); /* L-1, as ever */
	tpm_close(&t);
	swtpm_cleanup(&s);
}

/* an ECC certificate in the low range, the EK itself kept in the TPM */
static void ecc_low_range_and_persistent(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL;
	const struct swtpm_options plain = { .no_ek_cert = true };
	struct swtpm s = { 0 };
	struct credential c;
	uint64_t before, made_again;

	NEEDS_SWTPM();
	if (run("command -v tpm2_nvdefine >/dev/null") != 0)
		skip();
	assert_int_equal(swtpm_start(&s, &plain), 0);
	/* any SEQUENCE counts as a certificate here: the TPM's side does not judge it */
	tool(&s, "printf '\\060\\003\\002\\001\\005padding' >fake; tpm2_nvdefine -C o -s 12 -a 'ownerread|ownerwrite|authread' 0x01c0000a;"
		 "tpm2_nvwrite -C o -i fake 0x01c0000a");
	t = open_tpm(&s);
	id = identify(t, AK_ECC_P256);
	assert_int_equal(id->ek_public[1], 0x23);
	assert_int_equal(id->ek_public[3], 0x0b);
	assert_int_equal(id->ek_cert_n, 5);
	make_for(id, id, &c);
	before = tpm_commands(t);
	expect_secret(t, &c);
	made_again = tpm_commands(t) - before;
	tpm_close(&t);
	tool(&s, "tpm2_createek -G ecc -c 0x81010002 -u ek.pub; tpm2_flushcontext -t");
	t = open_tpm(&s);
	id = (free(id), identify(t, AK_ECC_P256));
	before = tpm_commands(t);
	make_for(id, id, &c);
	expect_secret(t, &c);
	assert_true(tpm_commands(t) - before <= made_again);
	/* another key stands there: it is not taken */
	tpm_close(&t);
	tool(&s, "tpm2_evictcontrol -C o -c 0x81010002; tpm2_createprimary -C o -G ecc -c o.ctx; tpm2_evictcontrol -C o -c o.ctx"
		 " 0x81010002; tpm2_flushcontext -t");
	t = open_tpm(&s);
	id = (free(id), identify(t, AK_ECC_P256));
	make_for(id, id, &c);
	expect_secret(t, &c);
	tpm_close(&t);
	swtpm_cleanup(&s);
}

/* killed in the middle, again and again: neither slots nor sessions are used up */
static void killed_clients(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL;
	struct credential c;

	NEEDS_SWTPM();
	if (run("command -v tpm2_startauthsession >/dev/null") != 0)
		skip();
	/* three sessions are all that it holds */
	tool(&second, "for i in 1 2 3; do tpm2_startauthsession --policy-session -S s$i; tpm2_policysecret -S s$i -c e; done; true");
	t = open_tpm(&second);
	id = identify(t, AK_ECC_P256);
	make_for(id, id, &c);
	expect_secret(t, &c);
}

/* --- certificates of swtpm's CA ------------------------------------------------------------------------------------- */

static struct tpm_cas *cas_of(const struct swtpm *s, const char *file)
{
	cleanup_writer_ struct writer why = WRITER(4096);
	struct tpm_cas *c = NULL;
	char path[512];

	assert_int_equal(tpm_cas_new(&c), 0);
	snprintf(path, sizeof(path), "%s/ca%s%s", s->dir, *file ? "/" : "", file);
	if (tpm_cas_load(c, path, &why) != 0)
		fail_msg("%s", writer_cstr(&why));
	return c;
}

static int check(const struct tpm_cas *c, const struct tpm_identity *ek, const struct tpm_identity *cert, struct bytes chain,
		 struct tpm_cert_facts *facts)
{
	const char *detail = NULL;
	int r = tpm_ek_cert_check(c, ek_of(ek), cert_of(cert), chain, (uint64_t)time(NULL), facts, &detail);

	assert_non_null(detail);
	assert_int_equal(r != 0, *detail != '\0');
	return r;
}

static void the_chain_of_swtpm(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL, *u = NULL;
	cleanup_free_ struct tpm_identity *a = NULL, *b = NULL;
	cleanup_tpm_cas_ struct tpm_cas *issuer = NULL, *root = NULL, *all = NULL, *other = NULL, *empty = NULL;
	cleanup_writer_ struct writer pem = WRITER(65536), der = WRITER(LIMIT_CERT), more = WRITER(LIMIT_EK_CHAIN);
	struct bytes none = { 0 }, chain;
	struct tpm_cert_facts facts;

	NEEDS_SWTPM();
	t = open_tpm(&first);
	u = open_tpm(&second);
	a = identify(t, AK_ECC_P256);
	b = identify(u, AK_ECC_P256);
	issuer = cas_of(&first, "issuercert.pem");
	root = cas_of(&first, "swtpm-localca-rootca-cert.pem");
	other = cas_of(&second, "issuercert.pem");
	assert_int_equal(tpm_cas_new(&empty), 0);
	read_from(first.dir, "ca/issuercert.pem", &pem);
	assert_int_equal(tpm_cert_from_file(writer_view(&pem), &der, &more), 0);
	chain = writer_view(&der);

	assert_int_equal(check(issuer, a, a, none, &facts), 0); /* partial chain */
	assert_string_equal(facts.manufacturer, "id:00001014");
	assert_string_equal(facts.model, "swtpm");
	assert_int_equal(strncmp(facts.version, "id:20", 5), 0);
	assert_string_equal(facts.issuer, "CN=swtpm-localca");
	assert_true(strlen(facts.serial) > 0);
	assert_true(facts.not_after_s > (uint64_t)time(NULL));

	assert_int_equal(check(root, a, a, chain, NULL), 0); /* intermediate with the evidence */
	assert_int_equal(check(root, a, a, none, NULL), REASON_EK_CERT_UNTRUSTED);
	assert_int_equal(check(empty, a, a, chain, NULL), REASON_EK_CERT_UNTRUSTED);
	assert_int_equal(check(other, a, a, none, NULL), REASON_EK_CERT_UNTRUSTED); /* the same name, another key */
	assert_int_equal(check(issuer, b, a, none, NULL), REASON_EK_CERT_MISMATCH); /* swapped between two TPMs */
	assert_int_equal(check(issuer, b, b, none, NULL), REASON_EK_CERT_UNTRUSTED);
	all = cas_of(&first, ""); /* a folder, private keys in it */
	assert_int_equal(tpm_cas_count(all), 2);
	assert_int_equal(check(all, a, a, none, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_credential_their_activation),
		cmocka_unit_test(the_tpm_refuses),
		cmocka_unit_test(tools_activate_ours),
		cmocka_unit_test(ours_activates_tools),
		cmocka_unit_test(the_high_range),
		cmocka_unit_test(ecc_low_range_and_persistent),
		cmocka_unit_test(killed_clients),
		cmocka_unit_test(the_chain_of_swtpm),
	};

	return cmocka_run_group_tests_name("tpm/enrol", tests, start_both, stop_both);
}
