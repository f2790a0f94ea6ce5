/* SPDX-License-Identifier: Apache-2.0 */
/* A verifier, a host with an endorsement key, a maker who certified it. The certificates are made by openssl(1) for each
 * run; the secret of a challenge is computed here from the verifier's key, which shows its form; a TPM opens it in
 * tests/integration/enrol.sh. */
#pragma once

#include <openssl/hmac.h>
#include <stdio.h>
#include <time.h>

#include "base/text.h"
#include "lib/verifier_bench.h"

static struct bench b;
static char folder[] = "/tmp/imastream-enrol-XXXXXX";
static EVP_PKEY *ek_key, *other_ek_key, *other_ak;
static struct writer ek, other_ek, cert, other_cert, expired, chain;

static void run(const char *script)
{
	char command[4096];

	assert_true(snprintf(command, sizeof(command), "cd '%s'; exec >log 2>&1; set -e\n%s", folder, script) <
		    (int)sizeof(command));
	assert_int_equal(system(command), 0);
}

static void read_into(struct writer *w, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	*w = WRITER(65536);
	assert_int_equal(read_file(path, w), 0);
}

static void write_pem(EVP_PKEY *key, const char *name)
{
	cleanup_writer_ struct writer pem = WRITER(65536);
	char path[128];

	make_pem(&pem, key);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(write_file_atomic(path, writer_view(&pem), 0600), 0);
}

static int make_everything(void **state unused_)
{
	struct made_public shape = MADE_EK;

	if (!mkdtemp(folder))
		return -1;
	ek_key = make_key(MADE_P256);
	other_ek_key = make_key(MADE_P256);
	other_ak = make_key(MADE_P256);
	ek = other_ek = WRITER(LIMIT_PUBLIC);
	make_public(&ek, ek_key, &shape);
	make_public(&other_ek, other_ek_key, &shape);
	write_pem(ek_key, "ek.pub");
	write_pem(other_ek_key, "other.pub");
	run("cat > tpm.cnf <<'END'\n"
	    "[req]\ndistinguished_name=dn\n[dn]\n"
	    "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
	    "[ek]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,keyAgreement\nextendedKeyUsage=2.23.133.8.1\n"
	    "subjectAltName=critical,dirName:tpm\n"
	    "[tpm]\n1.2.23.133.2.1=id:494D4153\n2.2.23.133.2.2=Test\n3.2.23.133.2.3=id:00000001\n"
	    "[iak]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=2.23.133.8.3\n"
	    "END\n"
	    "key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
	    "root() { key $1; openssl req -x509 -config tpm.cnf -extensions ca -new -key $1.key -subj /CN=$1 -days 3 -out $1.pem; }\n"
	    "issue() { openssl req -new -config tpm.cnf -key any.key -subj /CN=$1 -out $1.csr;\n"
	    "  openssl x509 -req -in $1.csr -force_pubkey $2 -CA $3.pem -CAkey $3.key -CAcreateserial -extfile tpm.cnf \\\n"
	    "    -extensions $4 -days $5 -outform DER -out $1.der; }\n"
	    "key any; root maker; root wrong\n"
	    "key between; openssl pkey -in between.key -pubout -out between.pub; issue between between.pub maker ca 3\n"
	    "openssl x509 -inform DER -in between.der -out between.pem\n"
	    "issue cert ek.pub between ek 3; issue other other.pub between ek 3\n"
	    "issue expired ek.pub between ek 0\n");
	read_into(&cert, "cert.der");
	read_into(&other_cert, "other.der");
	read_into(&expired, "expired.der");
	read_into(&chain, "between.der");
	return 0;
}

static int free_everything(void **state unused_)
{
	struct writer *all[] = { &ek, &other_ek, &cert, &other_cert, &expired, &chain };
	char command[128];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		writer_free(all[i]);
	EVP_PKEY_free(ek_key);
	EVP_PKEY_free(other_ek_key);
	EVP_PKEY_free(other_ak);
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return system(command);
}

static struct tpm_cas *cas_of(const char *name)
{
	cleanup_writer_ struct writer why = WRITER(4096);
	struct tpm_cas *c = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(tpm_cas_new(&c), 0);
	assert_int_equal(tpm_cas_load(c, path, &why), 0);
	return c;
}

/* modes: of --enrol; ca: file of the trusted CA, NULL: none. */
static void open_with(const char *modes, const char *ca)
{
	struct rules rules = bench_rules;
	const char *why;

	rules.trust_on_first_use = false;
	assert_int_equal(enrol_modes_parse(modes, &rules.enrol, &why), 0);
	if (ca)
		rules.enrol.ek_cas = cas_of(ca);
	bench_open(&b, HASH_SHA256, "", &rules);
	b.now.real = (uint64_t)time(NULL) * BENCH_SECOND; /* that of the certificates */
	b.ek_public = writer_view(&ek);
	b.ek_cert = writer_view(&cert);
	b.ek_chain = writer_view(&chain);
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static void say_hello(void)
{
	struct wire_message m = { .type = WIRE_HELLO };

	bench_hello(&b);
	m.hello = b.hello;
	assert_int_equal(bench_send(&b, &m), 0);
	assert_true(b.answered);
}

unused_ static void refused(enum reason reason)
{
	say_hello();
	bench_expect_reject(&b, reason);
	assert_int_equal(b.pipeline->fleet.by_id.count, 0);
	assert_int_equal(bench_events(&b, "rejected", reason), 1);
	bench_close(&b);
}

static void mac_of(const struct writer *text, uint8_t out[32])
{
	unsigned int n;

	assert_non_null(HMAC(EVP_sha256(), b.pipeline->challenger.key, 32, text->p, text->n, out, &n));
}

/* 8 bytes of the HMAC-SHA-256 over the time in minutes, 24 of that over the fields with their lengths, and the time. */
static void secret_now(uint8_t out[32])
{
	cleanup_writer_ struct writer stamp = WRITER(4096), text = WRITER(4096);
	static const char domain[] = "imastream credential v1", slot[] = "imastream credential slot v1";
	uint8_t name[34], whole[32];

	assert_int_equal(tpm_public_name(b.hello.ak_public, name), QUOTE_OK);
	write_u32be(&stamp, sizeof(slot) - 1);
	write_bytes(&stamp, slot, sizeof(slot) - 1);
	write_u64be(&stamp, b.now.mono / 60000000u);
	write_u32be(&text, sizeof(domain) - 1);
	write_bytes(&text, domain, sizeof(domain) - 1);
	write_u32be(&text, 32);
	write_bytes(&text, b.hello.attester, 32);
	write_u32be(&text, 34);
	write_bytes(&text, name, 34);
	write_u32be(&text, (uint32_t)b.hello.ek_public.n);
	write_bytes(&text, b.hello.ek_public.p, b.hello.ek_public.n);
	write_u64be(&text, b.now.mono / 60000000u);
	mac_of(&stamp, out);
	mac_of(&text, whole);
	bytes_copy(out + 8, whole, 24);
}

static void activate_with(const uint8_t *secret, size_t n)
{
	struct wire_message m = { .type = WIRE_ACTIVATE, .activate = { .hello = b.hello, .secret = { secret, n } } };

	assert_int_equal(bench_send(&b, &m), 0);
	assert_true(b.answered);
}

/* HELLO, CHALLENGE, ACTIVATE; the answer is in b.reply. */
static void come_in(void)
{
	uint8_t secret[32];

	say_hello();
	assert_int_equal(b.reply.type, WIRE_CHALLENGE);
	assert_true(b.reply.challenge.credential_blob.n > 0);
	secret_now(secret);
	activate_with(secret, sizeof(secret));
}

/* The newest row of the log: its action. */
static int last_action(void *user, const struct enrol_log_row *row)
{
	snprintf(user, 32, "%.*s", (int)row->action.n, row->action.p);
	return 0;
}

static void logged(const char *action)
{
	char last[32] = "";

	assert_int_equal(b.store->ops->each_enrol_log(b.store, NULL, 1, last_action, last), 0);
	assert_string_equal(last, action);
}

unused_ static int decide(enum enrol_action action, const char **refusal)
{
	return pipeline_enrolment(b.pipeline, action, b.hello.attester, "uid 0 (root)", "told so", &b.now, refusal);
}

unused_ static void decided(enum enrol_action action)
{
	const char *refusal = NULL;

	assert_int_equal(decide(action, &refusal), 0);
}
