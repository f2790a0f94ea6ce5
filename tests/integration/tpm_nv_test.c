// SPDX-License-Identifier: Apache-2.0
/* Certificates that a software TPM keeps: those above the EK's, and of a persistent attestation key. */
#include "integration/tpm_enrol_helper.h"

#include "lib/cert_make.h"
#include "lib/tpm_make.h"

/* --- certificates in NV --------------------------------------------------------------------------------------------- */

/* Intermediates over two indices, cut in the middle of one, padding behind; what is not a certificate ends them. */
static void a_chain_in_nv(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL;
	cleanup_writer_ struct writer chain = WRITER(65536), tail = WRITER(65536);
	EVP_PKEY *key = make_key(MADE_P256);
	struct swtpm s = { 0 };
	char text[1024];

	NEEDS_SWTPM();
	if (run("command -v tpm2_nvdefine >/dev/null") != 0)
		skip();
	assert_int_equal(swtpm_start(&s, NULL), 0);
	for (int i = 0; i < 3; i++) {
		X509 *ca = make_cert(&(struct made_cert)MADE_CA("intermediate", key));

		make_cert_der(&chain, ca);
		X509_free(ca);
	}
	EVP_PKEY_free(key);
	write_to(s.dir, "one", (struct bytes){ chain.p, chain.n / 2 });
	write_bytes(&tail, chain.p + chain.n / 2, chain.n - chain.n / 2);
	write_bytes(&tail, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	write_to(s.dir, "two", writer_view(&tail));
	snprintf(text, sizeof(text),
		 "tpm2_nvdefine -C o -s %zu -a 'ownerread|ownerwrite|authread' 0x01c00100 && tpm2_nvwrite -C o -i one 0x01c00100 &&"
		 "tpm2_nvdefine -C o -s %zu -a 'ownerread|ownerwrite|authread' 0x01c00101 && tpm2_nvwrite -C o -i two 0x01c00101 &&"
		 "tpm2_nvdefine -C o -s 8 -a 'ownerread|ownerwrite' 0x01c00180", chain.n / 2, tail.n); /* never written */
	tool(&s, text);
	t = open_tpm(&s);
	id = identify(t, AK_ECC_P256);
	assert_int_equal(id->ek_chain_n, chain.n);
	assert_memory_equal(id->ek_chain, chain.p, chain.n);
	tpm_close(&t);
	swtpm_cleanup(&s);
}

/* A persistent key that its maker certified: quotes, activation and its certificate out of the reserved range. */
static void a_certified_attestation_key(void **state)
{
	static const char *const wrong[] = {
		"0x81020001", /* an owner's key: its quotes hide the counters */
		"0x81020002", /* not restricted */
		"0x81020003", /* nothing there */
	};
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL, *own = NULL, *again = NULL;
	cleanup_writer_ struct writer der = WRITER(65536);
	cleanup_ak_ struct ak ak = { 0 };
	EVP_PKEY *ca_key = make_key(MADE_P256);
	X509 *ca = make_cert(&(struct made_cert)MADE_CA("maker", ca_key)), *cert;
	struct credential c;
	struct tpm_quote q;
	struct swtpm s = { 0 };
	struct pcr_selection pcr10 = { 0x000b, 1u << 10 };
	char text[1024];

	NEEDS_SWTPM();
	if (run("command -v tpm2_evictcontrol >/dev/null") != 0)
		skip();
	assert_int_equal(swtpm_start(&s, NULL), 0);
	tool(&s, "make() { tpm2_createprimary -C $1 -G ecc256:ecdsa-sha256:null -c k.ctx -a"
		 " \"fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign$3\" && tpm2_evictcontrol -C o -c k.ctx $2 &&"
		 " tpm2_flushcontext -t; }; make e 0x81020000 '|restricted' && make o 0x81020001 '|restricted' &&"
		 " make e 0x81020002 ''");
	t = open_tpm(&s);
	assert_int_equal(tpm_set_ak(t, 0x80000000), -EINVAL);
	assert_int_equal(tpm_set_ak(t, 0x82000000), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct tpm_identity *unused = calloc(1, sizeof(*unused));

		assert_int_equal(tpm_set_ak(t, (uint32_t)strtoul(wrong[i], NULL, 16)), 0);
		assert_int_equal(tpm_identify(t, AK_ECC_P256, unused), -EPROTO);
		assert_true(strlen(tpm_error(t)) > 0);
		free(unused);
	}
	assert_int_equal(tpm_set_ak(t, 0), 0);
	own = identify(t, AK_ECC_P256);
	assert_int_equal(tpm_set_ak(t, 0x81020000), 0);
	id = identify(t, AK_ECC_P256);
	assert_int_equal(id->iak_cert_n, 0);
	assert_memory_equal(id->attester_id, own->attester_id, 32);
	assert_memory_not_equal(id->ak_public, own->ak_public, 64);
	assert_int_equal(tpm_quote(t, &pcr10, BYTES("x"), &q), 0);
	assert_int_equal(ak_from_public((struct bytes){ id->ak_public, id->ak_public_n }, &ak), QUOTE_OK);
	assert_int_equal(quote_check_signature((struct bytes){ q.attest, q.attest_n },
					       (struct bytes){ q.signature, q.signature_n }, &ak), QUOTE_OK);
	make_for(id, id, &c);
	expect_secret(t, &c);
	make_for(id, own, &c);
	expect_refusal(t, &c);
	tpm_close(&t);

	/* two certificates stand there: that of this key is taken, the other one is not */
	cert = make_cert(&(struct made_cert){ .subject = "idevid", .key = ca_key, .issuer = ca, .signer = ca_key });
	make_cert_der(&der, cert);
	write_to(s.dir, "idevid", writer_view(&der));
	snprintf(text, sizeof(text), "tpm2_nvdefine -C o -s %zu -a 'ownerread|ownerwrite|authread' 0x01c90000 &&"
		 " tpm2_nvwrite -C o -i idevid 0x01c90000", der.n + 20);
	tool(&s, text);
	X509_free(cert);
	cert = make_cert(&(struct made_cert){ .subject = "iak", .key = ak.key, .issuer = ca, .signer = ca_key,
					      .usage = "critical,digitalSignature", .extended = "2.23.133.8.3" });
	writer_reset(&der);
	make_cert_der(&der, cert);
	write_to(s.dir, "iak", writer_view(&der));
	snprintf(text, sizeof(text), "tpm2_nvdefine -C o -s %zu -a 'ownerread|ownerwrite|authread' 0x01c90008 &&"
		 " tpm2_nvwrite -C o -i iak 0x01c90008", der.n);
	tool(&s, text);
	t = open_tpm(&s);
	assert_int_equal(tpm_set_ak(t, 0x81020000), 0);
	again = identify(t, AK_ECC_P256);
	assert_int_equal(again->iak_cert_n, der.n);
	assert_memory_equal(again->iak_cert, der.p, der.n);
	tpm_close(&t);
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	swtpm_cleanup(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_in_nv),
		cmocka_unit_test(a_certified_attestation_key),
	};

	available = swtpm_available();
	return cmocka_run_group_tests_name("tpm/nv", tests, NULL, NULL);
}
