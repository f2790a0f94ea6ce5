// SPDX-License-Identifier: Apache-2.0
/* user/tpm/device.c against a software TPM. */
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/wait.h>

#include "lib/test.h"

#include "lib/capture.h"
#include "lib/swtpm.h"
#include "tpm/device.h"

static struct swtpm shared;
static bool available;

static int start_shared(void **state)
{
	(void)state;
	available = swtpm_available();
	return available ? swtpm_start(&shared, NULL) : 0;
}

static int stop_shared(void **state)
{
	(void)state;
	swtpm_cleanup(&shared);
	return 0;
}

#define NEEDS_SWTPM()           \
	do {                    \
		(void)state;    \
		if (!available) \
			skip(); \
	} while (0)

static struct tpm *open_tpm(const struct swtpm *s)
{
	struct tpm *t = NULL;
	char why[256] = "";

	if (tpm_open(&t, s->tcti, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	return t;
}

static struct tpm_identity *identify(struct tpm *t, enum ak_alg alg)
{
	struct tpm_identity *id = calloc(1, sizeof(*id));

	assert_non_null(id);
	if (tpm_identify(t, alg, id) != 0)
		fail_msg("%s", tpm_error(t));
	return id;
}

static struct bytes ak_of(const struct tpm_identity *id)
{
	return (struct bytes){ id->ak_public, id->ak_public_n };
}

static struct bytes ek_of(const struct tpm_identity *id)
{
	return (struct bytes){ id->ek_public, id->ek_public_n };
}

static const struct pcr_selection pcr10 = { 0x000b, 1u << 10 };

static void identity(void **state)
{
	NEEDS_SWTPM();
	for (int alg = AK_ECC_P256; alg <= AK_RSA_2048; alg++) {
		cleanup_tpm_ struct tpm *t = open_tpm(&shared);
		cleanup_free_ struct tpm_identity *id = identify(t, (enum ak_alg)alg), *again;
		cleanup_ak_ struct ak ak = { 0 }, ek = { 0 };
		const unsigned char *der = id->ek_cert;
		uint8_t want[32];
		char text[32];
		X509 *cert;

		assert_int_equal(ak_from_public(ak_of(id), &ak), QUOTE_OK);
		assert_string_equal(ak_describe(&ak, text, sizeof(text)), alg == AK_RSA_2048 ? "rsa-2048" : "ecc-p256");
		assert_int_equal(tpm_public_key(ek_of(id), &ek), QUOTE_OK);
		assert_string_equal(ak_describe(&ek, text, sizeof(text)), "rsa-2048");
		assert_false(EVP_PKEY_eq(ak.key, ek.key) == 1);

		/* the certificate is for this very key, and nothing stands behind it */
		cert = d2i_X509(NULL, &der, (long)id->ek_cert_n);
		assert_non_null(cert);
		assert_ptr_equal(der, id->ek_cert + id->ek_cert_n);
		assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), ek.key), 1);
		X509_free(cert);

		hash_one(HASH_SHA256, id->ek_public, id->ek_public_n, want);
		assert_memory_equal(id->attester_id, want, 32);

		again = identify(t, (enum ak_alg)alg);
		assert_memory_equal(again, id, sizeof(*id));
	}
}

static const uint8_t *value_from(void *user, uint16_t alg, unsigned int index)
{
	uint8_t(*values)[HASH_MAX_SIZE] = user;

	(void)alg;
	return values[index];
}

/* every bank, both kinds of key: signature, nonce, selection and composite hold, and none of them by accident */
static void quotes_verify(void **state)
{
	static const uint8_t nonce_bytes[33] = { 1, 2, 3 };

	NEEDS_SWTPM();
	for (int alg = AK_ECC_P256; alg <= AK_RSA_2048; alg++) {
		cleanup_tpm_ struct tpm *t = open_tpm(&shared);
		cleanup_free_ struct tpm_identity *id = identify(t, (enum ak_alg)alg);
		cleanup_ak_ struct ak ak = { 0 };

		assert_int_equal(ak_from_public(ak_of(id), &ak), QUOTE_OK);
		for (int h = HASH_SHA1; h < HASH_COUNT; h++) {
			struct pcr_selection sel = { hash_tpm_alg((enum hash_alg)h), 0x00ff07ff };
			uint8_t values[24][HASH_MAX_SIZE];
			struct bytes nonce = { nonce_bytes, 32 };
			struct bytes msg, sig;
			struct quote_facts f;
			struct tpm_quote q;

			assert_int_equal(tpm_quote(t, &sel, nonce, &q), 0);
			msg = (struct bytes){ q.attest, q.attest_n };
			sig = (struct bytes){ q.signature, q.signature_n };
			assert_int_equal(quote_verify(msg, sig, &ak, &nonce, &f), QUOTE_OK);
			assert_int_equal(f.scheme, alg == AK_RSA_2048 ? SIG_RSASSA : SIG_ECDSA);
			assert_int_equal(f.hash, HASH_SHA256);
			assert_int_equal(f.attest.n_selections, 1);
			assert_int_equal(f.attest.selection[0].alg, sel.alg);
			assert_int_equal(f.attest.selection[0].mask, sel.mask);
			assert_int_equal(tpm_pcr_read(t, &sel, values), 0);
			assert_int_equal(quote_check_composite(&f.attest, f.hash, value_from, values), QUOTE_OK);
			values[23][0] ^= 1;
			assert_int_equal(quote_check_composite(&f.attest, f.hash, value_from, values), QUOTE_WRONG_PCR_DIGEST);
			nonce.n = 31;
			assert_int_equal(quote_verify(msg, sig, &ak, &nonce, &f), QUOTE_WRONG_NONCE);
			q.attest[q.attest_n - 1] ^= 1;
			assert_int_equal(quote_verify(msg, sig, &ak, NULL, &f), QUOTE_BAD_SIGNATURE);
		}
	}
}

static void extend_all_banks_at_once(void **state)
{
	uint8_t before[HASH_COUNT][24][HASH_MAX_SIZE], after[24][HASH_MAX_SIZE], digests[HASH_COUNT][HASH_MAX_SIZE];
	cleanup_tpm_ struct tpm *t = NULL;
	uint64_t commands;

	NEEDS_SWTPM();
	t = open_tpm(&shared);
	for (int h = 0; h < HASH_COUNT; h++) {
		struct pcr_selection sel = { hash_tpm_alg((enum hash_alg)h), 1u << 10 };

		memset(digests[h], 0xa0 + h, HASH_MAX_SIZE);
		assert_int_equal(tpm_pcr_read(t, &sel, before[h]), 0);
	}
	commands = tpm_commands(t);
	assert_int_equal(tpm_pcr_extend(t, 10, 0xf, digests), 0);
	assert_int_equal(tpm_commands(t), commands + 1);
	for (int h = 0; h < HASH_COUNT; h++) {
		struct pcr_selection sel = { hash_tpm_alg((enum hash_alg)h), 1u << 10 };

		hash_extend((enum hash_alg)h, before[h][10], digests[h]);
		assert_int_equal(tpm_pcr_read(t, &sel, after), 0);
		assert_memory_equal(after[10], before[h][10], hash_size((enum hash_alg)h));
	}
	/* only the banks that are named */
	assert_int_equal(tpm_pcr_extend(t, 10, 1u << HASH_SHA384, digests), 0);
	for (int h = 0; h < HASH_COUNT; h++) {
		struct pcr_selection sel = { hash_tpm_alg((enum hash_alg)h), 1u << 10 };

		if (h == HASH_SHA384)
			hash_extend(HASH_SHA384, before[h][10], digests[h]);
		assert_int_equal(tpm_pcr_read(t, &sel, after), 0);
		assert_memory_equal(after[10], before[h][10], hash_size((enum hash_alg)h));
	}
}

static void wrong_arguments(void **state)
{
	static const uint8_t digests[HASH_COUNT][HASH_MAX_SIZE], zeros[33];
	uint8_t values[24][HASH_MAX_SIZE];
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL;
	struct tpm_quote q = { .attest_n = 77 };
	uint64_t commands;

	NEEDS_SWTPM();
	t = open_tpm(&shared);
	assert_string_equal(tpm_error(t), "");
	assert_int_equal(tpm_quote(t, &pcr10, (struct bytes){ zeros, 32 }, &q), -EINVAL); /* no key yet */
	assert_int_equal(tpm_pcr_extend(t, 24, 1, digests), -EINVAL);
	assert_int_equal(tpm_pcr_extend(t, 10, 0, digests), -EINVAL);
	assert_int_equal(tpm_pcr_extend(t, 10, 0x10, digests), -EINVAL);
	assert_int_equal(tpm_pcr_read(t, &(struct pcr_selection){ 0x0012, 1 }, values), -EINVAL);
	assert_int_equal(tpm_pcr_read(t, &(struct pcr_selection){ 0x000b, 1u << 24 }, values), -EINVAL);
	assert_int_equal(tpm_commands(t), 0);
	id = identify(t, AK_ECC_P256);
	assert_true(id->ak_public_n > 0);
	commands = tpm_commands(t);
	assert_int_equal(tpm_quote(t, &pcr10, (struct bytes){ zeros, 33 }, &q), -EINVAL);
	assert_int_equal(tpm_commands(t), commands);
	assert_int_equal(q.attest_n, 77); /* untouched */
	assert_true(strlen(tpm_error(t)) > 0);
	assert_int_equal(tpm_quote(t, &pcr10, (struct bytes){ zeros, 32 }, &q), 0);
	assert_int_equal(tpm_quote(t, &pcr10, (struct bytes){ NULL, 0 }, &q), 0);
	assert_int_equal(tpm_commands(t), commands + 2);
}

static void description(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	char text[96], cut[8];

	NEEDS_SWTPM();
	t = open_tpm(&shared);
	assert_int_equal(tpm_describe(t, text, sizeof(text)), 0);
	assert_int_equal(strncmp(text, "IBM SW TPM 20", 13), 0);
	assert_int_equal(tpm_describe(t, cut, sizeof(cut)), 0);
	assert_string_equal(cut, "IBM SW ");
}

static void banks(void **state)
{
	const struct swtpm_options only = { .pcr_banks = "sha256", .no_ek_cert = true };
	struct swtpm s = { 0 };
	cleanup_tpm_ struct tpm *t = NULL, *small = NULL;
	cleanup_free_ struct tpm_identity *id = NULL;
	uint8_t values[24][HASH_MAX_SIZE];
	unsigned int mask = 0;
	uint8_t want[32];

	NEEDS_SWTPM();
	t = open_tpm(&shared);
	assert_int_equal(tpm_banks(t, &mask), 0);
	assert_int_equal(mask, 0xf);

	assert_int_equal(swtpm_start(&s, &only), 0);
	small = open_tpm(&s);
	assert_int_equal(tpm_banks(small, &mask), 0);
	assert_int_equal(mask, 1u << HASH_SHA256);
	assert_int_equal(tpm_pcr_read(small, &(struct pcr_selection){ 0x000c, 1 }, values), -ENODATA);
	/* a TPM without EK certificate has an EK all the same */
	id = identify(small, AK_ECC_P256);
	assert_int_equal(id->ek_cert_n, 0);
	assert_true(id->ek_public_n > 0);
	hash_one(HASH_SHA256, id->ek_public, id->ek_public_n, want);
	assert_memory_equal(id->attester_id, want, 32);
	tpm_close(&small);
	swtpm_cleanup(&s);
}

/* counters in the quote are the TPM's real ones, and tell of a reset; the keys survive it */
static void reset_keeps_keys_and_counts(void **state)
{
	struct swtpm s = { 0 };
	cleanup_free_ struct tpm_identity *first[2] = { NULL }, *now = NULL;
	uint32_t resets = 0;

	NEEDS_SWTPM();
	assert_int_equal(swtpm_start(&s, NULL), 0);
	for (int boot = 0; boot < 4; boot++) {
		struct tpm *t = open_tpm(&s);

		for (int alg = AK_ECC_P256; alg <= AK_RSA_2048; alg++) {
			struct tpm_clock clock;
			struct attest a;
			struct tpm_quote q;

			now = identify(t, (enum ak_alg)alg);
			assert_int_equal(tpm_quote(t, &pcr10, BYTES("n"), &q), 0);
			assert_int_equal(attest_parse((struct bytes){ q.attest, q.attest_n }, &a), QUOTE_OK);
			assert_int_equal(tpm_read_clock(t, &clock), 0);
			assert_int_equal(a.reset_count, clock.reset_count);
			assert_int_equal(a.restart_count, clock.restart_count);
			assert_true(clock.clock_ms >= a.clock_ms);
			if (alg == AK_ECC_P256 && boot > 0)
				assert_int_equal(a.reset_count, resets + 1);
			resets = a.reset_count;
			if (boot == 0)
				first[alg] = TAKE_PTR(now);
			else
				assert_memory_equal(now, first[alg], sizeof(*now));
			free(now);
			now = NULL;
		}
		tpm_close(&t);
		if (boot % 2) {
			assert_int_equal(swtpm_reset(&s), 0);
		} else {
			swtpm_kill(&s);
			assert_int_equal(swtpm_run(&s), 0);
		}
	}
	free(first[1]);
	swtpm_cleanup(&s);
}

static void two_tpms_are_two_attesters(void **state)
{
	struct swtpm s = { 0 };
	cleanup_tpm_ struct tpm *a = NULL, *b = NULL;
	cleanup_free_ struct tpm_identity *of_a = NULL, *of_b = NULL;
	char dir[sizeof(s.dir)];

	NEEDS_SWTPM();
	assert_int_equal(swtpm_start(&s, NULL), 0);
	assert_string_not_equal(s.tcti, shared.tcti);
	a = open_tpm(&shared);
	b = open_tpm(&s);
	of_a = identify(a, AK_ECC_P256);
	of_b = identify(b, AK_ECC_P256);
	assert_memory_not_equal(of_a->attester_id, of_b->attester_id, 32);
	assert_memory_not_equal(of_a->ak_public, of_b->ak_public, of_a->ak_public_n);
	tpm_close(&b);
	tpm_close(&b); /* idempotent */
	snprintf(dir, sizeof(dir), "%s", s.dir);
	swtpm_cleanup(&s);
	assert_int_equal(access(dir, F_OK), -1);
	assert_int_equal(s.pid, 0);
}

/* a client that was killed leaves its key in one of three slots; the next ones must get on */
static void killed_clients_do_not_fill_the_tpm(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL;

	NEEDS_SWTPM();
	for (int i = 0; i < 7; i++) {
		int status = -1;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct tpm *child = NULL;
			static struct tpm_identity unused;

			if (tpm_open(&child, shared.tcti, NULL, 0) != 0)
				_exit(1);
			_exit(tpm_identify(child, AK_ECC_P256, &unused) == 0 ? 0 : 2);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	t = open_tpm(&shared);
	id = identify(t, AK_RSA_2048);
	assert_true(id->ak_public_n > 0);
}

static void many_quotes_and_identities(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	struct tpm_quote q;

	NEEDS_SWTPM();
	t = open_tpm(&shared);
	for (int i = 0; i < 8; i++) {
		cleanup_free_ struct tpm_identity *id = identify(t, i % 2 ? AK_RSA_2048 : AK_ECC_P256);

		assert_true(id->ak_public_n > 0);
		for (int k = 0; k < 5; k++)
			assert_int_equal(tpm_quote(t, &pcr10, BYTES("x"), &q), 0);
	}
}

static void a_tpm_that_goes_away(void **state)
{
	const struct swtpm_options plain = { .no_ek_cert = true };
	struct swtpm s = { 0 };
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL, *again = NULL;
	struct tpm_clock clock;
	struct tpm_quote q;

	NEEDS_SWTPM();
	assert_int_equal(swtpm_start(&s, &plain), 0);
	t = open_tpm(&s);
	id = identify(t, AK_ECC_P256);
	swtpm_kill(&s);
	assert_int_equal(tpm_quote(t, &pcr10, BYTES("x"), &q), -EIO);
	assert_non_null(strstr(tpm_error(t), "TPM2_Quote"));
	assert_true(tpm_read_clock(t, &clock) < 0);
	assert_int_equal(swtpm_run(&s), 0);
	tpm_close(&t);
	t = open_tpm(&s);
	again = identify(t, AK_ECC_P256);
	assert_memory_equal(again, id, sizeof(*id));
	assert_int_equal(tpm_quote(t, &pcr10, BYTES("x"), &q), 0);
	tpm_close(&t);
	swtpm_cleanup(&s);
}

static int open_one(int argc, char **argv)
{
	struct tpm *t = NULL;
	char why[256] = "";
	int r = tpm_open(&t, argc > 0 ? argv[0] : NULL, why, sizeof(why));

	if (t)
		tpm_close(&t);
	printf("%s", why);
	return r;
}

/* one clear text, no struct, and nothing from the TSS on standard error */
static void addresses_that_lead_nowhere(void **state)
{
	static const char *const tctis[] = { "swtpm:host=127.0.0.1,port=1", "device:/nonexistent/tpm", "nosuchtcti:x", "" };

	struct tpm *t = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tctis); i++) {
		cleanup_writer_ struct writer out = WRITER(4096), err = WRITER(1u << 16);
		const char *argv[] = { tctis[i], NULL };
		int r = capture_command(open_one, argv, &out, &err);

		assert_true(r < 0);
		assert_int_equal(err.n, 0);
		assert_non_null(strstr(writer_cstr(&out), "cannot open the TPM"));
		assert_non_null(strstr(writer_cstr(&out), tctis[i]));
	}
	assert_int_equal(tpm_open(&t, "device:/nonexistent/tpm", NULL, 0), -ENOENT);
	assert_null(t);
}

static void idle_sends_nothing(void **state)
{
	cleanup_tpm_ struct tpm *t = NULL;
	cleanup_free_ struct tpm_identity *id = NULL;
	uint64_t before;
	struct tpm_clock clock;

	NEEDS_SWTPM();
	t = open_tpm(&shared);
	assert_int_equal(tpm_commands(t), 0); /* opening is silent */
	id = identify(t, AK_ECC_P256);
	assert_true(id->ak_public_n > 0);
	before = tpm_commands(t);
	assert_true(before > 0);
	assert_int_equal(tpm_commands(t), before);
	assert_int_equal(tpm_read_clock(t, &clock), 0);
	assert_int_equal(tpm_commands(t), before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_that_lead_nowhere),
		cmocka_unit_test(identity),
		cmocka_unit_test(quotes_verify),
		cmocka_unit_test(extend_all_banks_at_once),
		cmocka_unit_test(wrong_arguments),
		cmocka_unit_test(description),
		cmocka_unit_test(banks),
		cmocka_unit_test(reset_keeps_keys_and_counts),
		cmocka_unit_test(two_tpms_are_two_attesters),
		cmocka_unit_test(killed_clients_do_not_fill_the_tpm),
		cmocka_unit_test(many_quotes_and_identities),
		cmocka_unit_test(a_tpm_that_goes_away),
		cmocka_unit_test(idle_sends_nothing),
	};

	return cmocka_run_group_tests_name("tpm/device", tests, start_shared, stop_shared);
}
