// SPDX-License-Identifier: Apache-2.0
/* A QUOTE message as the verifier checks it: decoding, nonce, commitment, TPMS_ATTEST, signature, PCR composite; against OpenSSL
 * verifying the same signature over the same digest, with a context that is made once. In turn, round by round; the best
 * round of each counts, by the processor time of the thread. */
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <time.h>

#include "lib/bench.h"
#include "lib/fake_quote.h"
#include "verifier/stages.h"

#define GATE (1 / 0.9) /* at least 90 % of OpenSSL's rate */
#define MASK 0x7ffu    /* PCR 0 to 10 */
#define PCR 10u
#define ROUNDS 12u
#define DIGEST WIRE_DIGEST_SIZE

struct subject {
	const char *name;
	enum made_key made;
	enum sig_scheme scheme;
	unsigned int checks; /* in a round */
	/* made of it */
	struct fake_tpm tpm;
	struct attester attester;
	struct session session;
	struct writer message, attest, signature;
	EVP_PKEY_CTX *ctx;
	struct writer plain; /* the signature as OpenSSL wants it */
	uint8_t digest[DIGEST];
};

/* ---- what is measured ---- */

static void baseline(struct subject *s)
{
	for (unsigned int i = 0; i < s->checks; i++)
		bench_need(EVP_PKEY_verify(s->ctx, s->plain.p, s->plain.n, s->digest, sizeof(s->digest)) == 1, "OpenSSL");
}

static void ours(struct subject *s)
{
	for (unsigned int i = 0; i < s->checks; i++) {
		struct quote_result result;
		struct quote_test test = { &s->session, &result };
		struct wire_message m;
		struct replay_match match;
		const char *where;
		bool vouched;

		bench_need(wire_decode(writer_view(&s->message), &m, &where) == WIRE_DECODE_OK, "decoding");
		bench_need(quote_judge(&s->session, &m.quote, &result, &vouched) == 0 && vouched, "the quote");
		bench_need(replay_find(&s->session.boot->replay, m.quote.surely, false, quote_test_values, &test, &match) == REPLAY_MATCH,
			   "the PCR values");
	}
}

/* ---- making it ---- */

static void make_message(struct subject *s)
{
	struct wire_message m = { .type = WIRE_QUOTE, .quote = { .seq = 1, .n_commitments = 1, .quote_us = 20000, .age_us = 1500 } };
	struct wire_commitment_inputs in = { .seq = 1 };
	uint8_t qualifying[DIGEST], composite[HASH_MAX_SIZE];
	struct made_attest a;

	bytes_copy(in.attester, s->attester.id, sizeof(in.attester));
	bytes_copy(in.session, s->session.id, sizeof(in.session));
	bytes_copy(in.nonce, s->session.nonce[0].value, sizeof(in.nonce));
	wire_commitment(&in, m.quote.commitments[0]);
	wire_qualifying((const uint8_t(*)[DIGEST])m.quote.commitments, 1, qualifying);
	a = fake_tpm_attest(&s->tpm, MASK, (struct bytes){ qualifying, sizeof(qualifying) }, composite);
	make_attest(&s->attest, &a);
	make_signature(&s->signature, s->tpm.key, s->scheme, HASH_SHA256, writer_view(&s->attest));
	bytes_copy(m.quote.session, s->session.id, sizeof(m.quote.session));
	bytes_copy(m.quote.nonce, s->session.nonce[0].value, sizeof(m.quote.nonce));
	m.quote.attest = writer_view(&s->attest);
	m.quote.signature = writer_view(&s->signature);
	wire_encode(&s->message, &m);
	bench_need(writer_status(&s->message) == 0, "a message");
}

/* For OpenSSL: DER, or the bare block. */
static void make_plain(struct subject *s)
{
	struct tpm_signature sig;

	bench_need(tpm_signature_parse(writer_view(&s->signature), &sig) == QUOTE_OK, "a signature");
	if (sig.scheme == SIG_ECDSA) {
		ECDSA_SIG *both = ECDSA_SIG_new();
		unsigned char *der = NULL;
		int n;

		bench_need(both && ECDSA_SIG_set0(both, BN_bin2bn(sig.r.p, (int)sig.r.n, NULL), BN_bin2bn(sig.s.p, (int)sig.s.n, NULL)),
			   "ECDSA_SIG");
		n = i2d_ECDSA_SIG(both, &der);
		bench_need(n > 0, "DER");
		write_bytes(&s->plain, der, (size_t)n);
		OPENSSL_free(der);
		ECDSA_SIG_free(both);
	} else {
		write_bytes(&s->plain, sig.rsa.p, sig.rsa.n);
	}
	hash_one(HASH_SHA256, s->attest.p, s->attest.n, s->digest);
	s->ctx = EVP_PKEY_CTX_new(s->session.ak.key, NULL);
	bench_need(s->ctx && EVP_PKEY_verify_init(s->ctx) == 1 && EVP_PKEY_CTX_set_signature_md(s->ctx, EVP_sha256()) == 1,
		   "EVP_PKEY_CTX");
	if (s->scheme == SIG_RSAPSS)
		bench_need(EVP_PKEY_CTX_set_rsa_padding(s->ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
				   EVP_PKEY_CTX_set_rsa_pss_saltlen(s->ctx, RSA_PSS_SALTLEN_AUTO) == 1,
			   "PSS");
}

static void prepare(struct subject *s)
{
	struct made_public shape = MADE_AK(s->scheme == SIG_ECDSA ? 0x0018 : s->scheme == SIG_RSAPSS ? 0x0016 : 0x0014);

	fake_tpm_init(&s->tpm, HASH_SHA256);
	EVP_PKEY_free(s->tpm.key);
	s->tpm.key = make_key(s->made);
	writer_reset(&s->tpm.ak_public);
	make_public(&s->tpm.ak_public, s->tpm.key, &shape);
	s->message = WRITER(LIMIT_MESSAGE);
	s->attest = WRITER(LIMIT_ATTEST);
	s->signature = s->plain = WRITER(LIMIT_SIGNATURE);
	s->session = (struct session){ .attester = &s->attester, .bank = HASH_SHA256, .pcr_mask = MASK, .seq = 0 };
	bench_need(ak_from_public(writer_view(&s->tpm.ak_public), &s->session.ak) == QUOTE_OK, "a key");
	tpm_attester_id((struct bytes){ 0 }, s->session.ak.name, s->attester.id);
	s->session.boot = boot_new(1, HASH_SHA256, REPLAY_NATIVE);
	s->session.boot_pcrs = calloc(PCR, DIGEST);
	bench_need(s->session.boot && s->session.boot_pcrs &&
			   replay_init(&s->session.boot->replay, HASH_SHA256, REPLAY_NATIVE, 0) == 0, "memory");
	s->session.boot->reset_count = s->tpm.resets;
	for (unsigned int i = 0; i < PCR; i++)
		bytes_copy(s->session.boot_pcrs + (size_t)i * DIGEST, s->tpm.pcr[i], DIGEST);
	s->session.nonce[0].given = true;
	memset(s->session.nonce[0].value, 0x5a, WIRE_NONCE_SIZE);
	make_message(s);
	make_plain(s);
	ak_shrink(&s->session.ak); /* as session_new() does */
}

static void clear(struct subject *s)
{
	EVP_PKEY_CTX_free(s->ctx);
	ak_clear(&s->session.ak);
	boot_free(&s->session.boot);
	free(s->session.boot_pcrs);
	fake_tpm_clear(&s->tpm);
	writer_free(&s->message);
	writer_free(&s->attest);
	writer_free(&s->signature);
	writer_free(&s->plain);
}

/* ---- results ---- */

static double once_us(struct subject *s, void (*run)(struct subject *s))
{
	struct timespec t[2];

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[0]);
	run(s);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[1]);
	return ((double)(t[1].tv_sec - t[0].tv_sec) * 1e6 + (double)(t[1].tv_nsec - t[0].tv_nsec) / 1e3) / s->checks;
}

static void measure(struct subject *s)
{
	double base = 1e9, value = 1e9;
	char name[64];

	for (unsigned int round = 0; round < ROUNDS; round++) {
		double b = once_us(s, baseline), v = once_us(s, ours);

		base = MIN(base, b);
		value = MIN(value, v);
	}
	(void)snprintf(name, sizeof(name), "quote-openssl-%s", s->name);
	bench_result_print(&(struct bench_result){ name, base, "us", 0, NULL, 0 });
	(void)snprintf(name, sizeof(name), "quote-check-%s", s->name);
	bench_result_print(&(struct bench_result){ name, value, "us", base * GATE, "EVP_PKEY_verify", value / base });
}

int main(void)
{
	static struct subject subjects[] = {
		{ .name = "ecdsa-p256", .made = MADE_P256, .scheme = SIG_ECDSA, .checks = 1500 },
		{ .name = "rsassa-2048", .made = MADE_RSA_2048, .scheme = SIG_RSASSA, .checks = 4000 },
		{ .name = "rsapss-2048", .made = MADE_RSA_2048, .scheme = SIG_RSAPSS, .checks = 4000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
		prepare(&subjects[i]);
		measure(&subjects[i]);
		clear(&subjects[i]);
	}
	return bench_status();
}
