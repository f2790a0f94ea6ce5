// SPDX-License-Identifier: Apache-2.0
/* `imastream quote verify` against tpm2-tools: their quotes are accepted, and whatever is done to one is judged by both and
 * must be judged alike (tpm2_checkquote is the oracle). */
#include <stdio.h>
#include <sys/wait.h>

#include "lib/test.h"

#include "base/text.h"
#include "cli/commands.h"
#include "lib/capture.h"
#include "lib/swtpm.h"
#include "lib/tpm_make.h"

static struct swtpm tpm;
static bool available;

/* Runs a shell line in the TPM's directory with the tools pointed at it; its output goes to a log there. */
static int sh(const char *line)
{
	char command[2048];
	int status;

	snprintf(command, sizeof(command), "cd '%s' && { %s; } >>tools.log 2>&1", tpm.dir, line);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void must_run(const char *line)
{
	if (sh(line) != 0) {
		char command[512];

		snprintf(command, sizeof(command), "tail -20 '%s/tools.log' >&2", tpm.dir);
		(void)!system(command);
		fail_msg("failed: %s", line);
	}
}

static int setup(void **state)
{
	(void)state;
	available = swtpm_available() && system("command -v tpm2_quote tpm2_checkquote >/dev/null") == 0;
	if (!available)
		return 0;
	if (swtpm_start(&tpm, &(struct swtpm_options){ .no_ek_cert = true }) != 0)
		return -1;
	setenv("TPM2TOOLS_TCTI", tpm.tcti, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	swtpm_cleanup(&tpm);
	return 0;
}

#define NEEDS_TOOLS()           \
	do {                    \
		(void)state;    \
		if (!available) \
			skip(); \
	} while (0)

#define AK_ATTRIBUTES "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"

/* Leaves ak.ctx and ak.pem. */
static void create_ak(const char *algorithm)
{
	char line[512];

	snprintf(line, sizeof(line), "tpm2_createprimary -Q -C e -g sha256 -G %s:null -a '%s' -c ak.ctx && "
		 "tpm2_readpublic -Q -c ak.ctx -f pem -o ak.pem && tpm2_flushcontext -t", algorithm, AK_ATTRIBUTES);
	must_run(line);
}

static void path_of(const char *name, char out[320])
{
	snprintf(out, 320, "%s/%s", tpm.dir, name);
}

static int verify(const char *ak, const char *msg, const char *sig, const char *nonce, const char *pcrs)
{
	cleanup_writer_ struct writer out = WRITER(1u << 16), err = WRITER(1u << 16);
	char a[320], m[320], s[320], p[320];
	const char *argv[] = { "quote", "verify", "--json", "--ak", a, "--message", m, "--signature", s,
			       "--nonce", nonce, "--pcrs", p, NULL };

	path_of(ak, a);
	path_of(msg, m);
	path_of(sig, s);
	path_of(pcrs, p);
	return capture_command(cmd_quote, argv, &out, &err);
}

/* What tpm2_checkquote says; 0 valid, 1 not. */
static int oracle(const char *ak, const char *hash, const char *msg, const char *sig, const char *nonce, const char *pcrs)
{
	char line[512];

	snprintf(line, sizeof(line), "tpm2_checkquote -Q -u %s -g %s -m %s -s %s -q %s -f %s", ak, hash, msg, sig, nonce, pcrs);
	return sh(line);
}

static const char *const lists[] = {
	"sha1:10",
	"sha256:10",
	"sha384:10",
	"sha512:10",
	"sha256:0,1,2,3,4,5,6,7,8,9,10,14,23",
	"sha1:1,10+sha256:0,10+sha384:7+sha512:10,16",
	"sha512:10+sha256:10",
	"sha256:0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
};

static const struct {
	const char *algorithm, *scheme, *hash;
} aks[] = {
	{ "ecc256:ecdsa-sha256", "ecdsa", "sha256" },	 { "ecc384:ecdsa-sha384", "ecdsa", "sha384" },
	{ "rsa2048:rsassa-sha256", "rsassa", "sha256" }, { "rsa2048:rsapss-sha256", "rsapss", "sha256" },
	{ "rsa2048:rsassa-sha512", "rsassa", "sha512" }, { "rsa3072:rsassa-sha384", "rsassa", "sha384" },
};

static void quotes_of_the_tools(void **state)
{
	NEEDS_TOOLS();
	must_run("tpm2_pcrextend 10:sha1=$(printf %040d 1),sha256=$(printf %064d 2),sha384=$(printf %096d 3),sha512=$(printf %0128d 4)");
	for (size_t k = 0; k < ARRAY_SIZE(aks); k++) {
		create_ak(aks[k].algorithm);
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
			char line[512];

			snprintf(line, sizeof(line), "tpm2_quote -Q -c ak.ctx -l %s -q 00ff17 -m msg -s sig -o pcrs --scheme %s -g %s "
				 "&& tpm2_flushcontext -t", lists[i], aks[k].scheme, aks[k].hash);
			must_run(line);
			assert_int_equal(verify("ak.pem", "msg", "sig", "00ff17", "pcrs"), 0);
			/* tpm2_checkquote 5.4 tries only PKCS#1 v1.5 on RSA keys */
			if (!strstr(aks[k].algorithm, "rsapss"))
				assert_int_equal(oracle("ak.pem", aks[k].hash, "msg", "sig", "00ff17", "pcrs"), 0);
			assert_int_equal(verify("ak.pem", "msg", "sig", "00ff18", "pcrs"), 3);
		}
	}
}

/* -f plain and -F values */
static void other_formats_of_the_tools(void **state)
{
	NEEDS_TOOLS();
	for (size_t k = 0; k < ARRAY_SIZE(aks); k++) {
		char line[512];

		create_ak(aks[k].algorithm);
		snprintf(line, sizeof(line), "tpm2_quote -Q -c ak.ctx -l sha512:10+sha1:1,10 -q 00ff17 -m msg -s sig -o pcrs "
			 "--scheme %s -g %s -f plain -F values && tpm2_flushcontext -t", aks[k].scheme, aks[k].hash);
		must_run(line);
		assert_int_equal(verify("ak.pem", "msg", "sig", "00ff17", "pcrs"), 0);
		/* the other oracle: plain signatures are what OpenSSL's own tool takes, also PSS */
		snprintf(line, sizeof(line), "openssl dgst -%s -verify ak.pem %s -signature sig msg", aks[k].hash,
			 strcmp(aks[k].scheme, "rsapss") == 0 ? "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:auto" : "");
		must_run(line);
		must_run("cp pcrs bad && printf '\\377' | dd of=bad bs=1 seek=70 conv=notrunc");
		assert_int_equal(verify("ak.pem", "msg", "sig", "00ff17", "bad"), 3);
	}
}

/* Both judges see the same file with one byte changed. Neither may take it. */
static void flip(const char *from, size_t at, const char *to)
{
	cleanup_writer_ struct writer w = WRITER(1u << 16);
	char path[320];

	path_of(from, path);
	assert_int_equal(read_file(path, &w), 0);
	assert_true(at < w.n);
	w.p[at] ^= 1;
	path_of(to, path);
	assert_int_equal(write_file_atomic(path, writer_view(&w), 0600), 0);
}

static void both_refuse(void **state)
{
	NEEDS_TOOLS();
	create_ak("ecc256:ecdsa-sha256");
	must_run("cp ak.pem other.pem");
	create_ak("rsa2048:rsassa-sha256");
	must_run("tpm2_quote -Q -c ak.ctx -l sha256:0,10+sha1:10 -q 00ff17 -m msg -s sig -o pcrs && tpm2_flushcontext -t");
	assert_int_equal(verify("ak.pem", "msg", "sig", "00ff17", "pcrs"), 0);
	assert_int_equal(oracle("ak.pem", "sha256", "msg", "sig", "00ff17", "pcrs"), 0);
	for (size_t at = 0; at < 120; at += 9) {
		flip("msg", at, "bad");
		assert_int_equal(verify("ak.pem", "bad", "sig", "00ff17", "pcrs"), 3);
		assert_int_not_equal(oracle("ak.pem", "sha256", "bad", "sig", "00ff17", "pcrs"), 0);
	}
	for (size_t at = 6; at < 262; at += 25) {
		flip("sig", at, "bad");
		assert_int_equal(verify("ak.pem", "msg", "bad", "00ff17", "pcrs"), 3);
		assert_int_not_equal(oracle("ak.pem", "sha256", "msg", "bad", "00ff17", "pcrs"), 0);
	}
	for (size_t at = 0; at < 20; at++) {
		/* left out: what changes nothing that the file says: one more, empty, selection (0), the third byte of a
		 * mask without PCR 16 to 23 not counted (6, 14), the unused fourth byte and the padding */
		if (at == 0 || at == 6 || at == 10 || at == 11 || at == 14 || at == 18 || at == 19)
			continue;
		flip("pcrs", at, "bad");
		assert_int_equal(verify("ak.pem", "msg", "sig", "00ff17", "bad"), 3);
	}
	flip("pcrs", 142, "bad");
	assert_int_equal(verify("ak.pem", "msg", "sig", "00ff17", "bad"), 3);
	assert_int_not_equal(oracle("ak.pem", "sha256", "msg", "sig", "00ff17", "bad"), 0);
	assert_int_equal(verify("other.pem", "msg", "sig", "00ff17", "pcrs"), 3);
	assert_int_not_equal(oracle("other.pem", "sha256", "msg", "sig", "00ff17", "pcrs"), 0);
	assert_int_equal(verify("ak.pem", "msg", "sig", "00ff", "pcrs"), 3);
	assert_int_not_equal(oracle("ak.pem", "sha256", "msg", "sig", "00ff", "pcrs"), 0);
	/* another quote's PCR values and selection */
	must_run("tpm2_quote -Q -c ak.ctx -l sha256:0,11+sha1:10 -q 00ff17 -m msg2 -s sig2 -o pcrs2 && tpm2_flushcontext -t");
	assert_int_equal(verify("ak.pem", "msg", "sig", "00ff17", "pcrs2"), 3);
	assert_int_equal(verify("ak.pem", "msg2", "sig", "00ff17", "pcrs2"), 3);
	assert_int_equal(verify("ak.pem", "msg2", "sig2", "00ff17", "pcrs2"), 0);
}

static enum quote_outcome judge(const char *msg, const char *sig)
{
	cleanup_writer_ struct writer m = WRITER(4096), s = WRITER(4096), k = WRITER(4096);
	cleanup_ak_ struct ak ak = { 0 };
	struct quote_facts f;
	char path[320];

	path_of(msg, path);
	assert_int_equal(read_file(path, &m), 0);
	path_of(sig, path);
	assert_int_equal(read_file(path, &s), 0);
	path_of("ak.pem", path);
	assert_int_equal(read_file(path, &k), 0);
	assert_int_equal(ak_from_pem(writer_view(&k), &ak), QUOTE_OK);
	/* the signature itself is good: only the type speaks against it */
	assert_int_equal(quote_check_signature(writer_view(&m), writer_view(&s), &ak), QUOTE_OK);
	return (enum quote_outcome)quote_verify(writer_view(&m), writer_view(&s), &ak, NULL, &f);
}

/* the same key signs other attestations too; their signature is right, and they are no quotes */
static void other_attestations_of_the_same_key(void **state)
{
	NEEDS_TOOLS();
	create_ak("ecc256:ecdsa-sha256");
	must_run("tpm2_gettime -Q -c ak.ctx -g sha256 -s ecdsa -q 00ff17 -o time.sig --attestation time.msg && tpm2_flushcontext -t");
	assert_int_equal(judge("time.msg", "time.sig"), QUOTE_BAD_TYPE);
	must_run("tpm2_certify -Q -C ak.ctx -c ak.ctx -g sha256 --scheme ecdsa -o cert.msg -s cert.sig && tpm2_flushcontext -t");
	assert_int_equal(judge("cert.msg", "cert.sig"), QUOTE_BAD_TYPE);
	must_run("tpm2_quote -Q -c ak.ctx -l sha256:10 -q 00ff17 -m msg -s sig && tpm2_flushcontext -t");
	assert_int_equal(judge("msg", "sig"), QUOTE_OK);
}

/* Why magic and type count for something: a restricted key signs nothing from outside that starts with the magic number,
 * because the TPM's hash of such a message gets no ticket. */
static void what_is_not_the_tpms_is_not_signed(void **state)
{
	NEEDS_TOOLS();
	create_ak("ecc256:ecdsa-sha256");
	must_run("printf '\\377TCG\\200\\030 not by the TPM' >forged && "
		 "tpm2_hash -Q -C e -g sha256 -t ticket -o digest forged");
	assert_int_not_equal(sh("tpm2_sign -Q -c ak.ctx -g sha256 -s ecdsa -d -t ticket -o forged.sig digest"), 0);
	must_run("tpm2_flushcontext -t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_of_the_tools),
		cmocka_unit_test(other_formats_of_the_tools),
		cmocka_unit_test(both_refuse),
		cmocka_unit_test(other_attestations_of_the_same_key),
		cmocka_unit_test(what_is_not_the_tpms_is_not_signed),
	};

	return cmocka_run_group_tests_name("tpm/tools", tests, setup, teardown);
}
