// SPDX-License-Identifier: Apache-2.0
/* imastream policy sign */
#include <getopt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "policy/compiled.h"
#include "policy/sign.h"
#include "policy/signed.h"

#define PASSPHRASE_MAX 1024

static const char usage_text[] =
	"usage: imastream policy sign POLICY --key KEY.pem [--dsse|--cosign] [--hash HASH] -o FILE\n\n"
	"Vouches for a policy with an ECDSA key (P-256, P-384, P-521).\n"
	"  --key PEM    the private key; asks for the passphrase of an encrypted one\n"
	"  --dsse       FILE is an envelope with the policy inside, as Keylime's (the default). A POLICY that is an envelope\n"
	"               already gets one more signature\n"
	"  --cosign     FILE is the signature alone, as `cosign sign-blob --key` makes; keep it beside the policy\n"
	"  --hash HASH  sha256 instead of the curve's own: Keylime checks no other\n"
	"  -o FILE      where to write; '-' is standard output\n\n"
	"The policy is checked first; a bad one is not signed.\n"
	"Exit codes: 0 signed, 1 error, 2 usage, 3 the policy is bad.\n";

struct sign {
	const char *policy, *key, *out;
	bool cosign, sha256;
};

static int parse(int argc, char **argv, struct sign *s)
{
	static const struct option options[] = { { "key", required_argument, NULL, 'k' },    { "dsse", no_argument, NULL, 'd' },
						 { "cosign", no_argument, NULL, 'c' },	     { "hash", required_argument, NULL, 'H' },
						 { "output", required_argument, NULL, 'o' }, { 0 } };
	bool dsse = false;
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c == 'k')
			s->key = optarg;
		else if (c == 'o')
			s->out = optarg;
		else if (c == 'd')
			dsse = true;
		else if (c == 'c')
			s->cosign = true;
		else if (c == 'H' && strcmp(optarg, "sha256") == 0)
			s->sha256 = true;
		else if (c == 'H')
			return cli_fail(EXIT_CODE_USAGE, "policy", "sign: --hash is sha256, or not given");
		else
			return cli_fail(EXIT_CODE_USAGE, "policy", "sign: unknown option, or one without its value");
	}
	if (argc - optind != 1)
		return cli_fail(EXIT_CODE_USAGE, "policy", "sign: give one policy file");
	if (!s->key || !s->out)
		return cli_fail(EXIT_CODE_USAGE, "policy", "sign: --key and -o are needed");
	if (dsse && s->cosign)
		return cli_fail(EXIT_CODE_USAGE, "policy", "sign: either --dsse or --cosign");
	s->policy = argv[optind];
	return EXIT_CODE_TRUSTED;
}

/* ---- the key ---- */

static void secret_free(struct writer *w)
{
	if (w->p)
		OPENSSL_cleanse(w->p, w->cap);
	writer_free(w);
}

static void warn_if_shared(const char *path)
{
	cleanup_writer_ struct writer name = WRITER(2048);
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)))
		fprintf(stderr, "imastream policy: warning: others may read the key %s: chmod 600 it\n", policy_quoted(&name, path));
}

/* Asks on the terminal; without one there is nobody to ask. */
static int read_encrypted(struct policy_signing_key *k, struct bytes pem, const char **why)
{
	char passphrase[PASSPHRASE_MAX];
	int r = POLICY_KEY_ENCRYPTED;

	*why = "the key is encrypted, and there is no terminal to ask for its passphrase. openssl pkey decrypts it";
	if (isatty(STDIN_FILENO) && EVP_read_pw_string(passphrase, sizeof(passphrase), "Passphrase of the key: ", 0) == 0)
		r = policy_signing_key_read(k, pem, passphrase, why);
	OPENSSL_cleanse(passphrase, sizeof(passphrase));
	return r;
}

static int read_key(const struct sign *s, struct policy_signing_key *k)
{
	cleanup_(secret_free) struct writer pem = WRITER(LIMIT_PEM);
	cleanup_writer_ struct writer name = WRITER(2048);
	const char *why = NULL;
	int r = read_file(s->key, &pem);

	if (r == -EMSGSIZE)
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s is larger than a key file can be", policy_quoted(&name, s->key));
	if (r < 0)
		return policy_cannot_read(s->key, -r);
	warn_if_shared(s->key);
	r = policy_signing_key_read(k, writer_view(&pem), NULL, &why);
	if (r == POLICY_KEY_ENCRYPTED)
		r = read_encrypted(k, writer_view(&pem), &why);
	if (r)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot sign with %s: %s", policy_quoted(&name, s->key),
				r < 0 ? strerror(-r) : why);
	if (s->sha256)
		k->hash = HASH_SHA256;
	return EXIT_CODE_TRUSTED;
}

/* ---- the policy ---- */

static int check(const char *path, struct bytes file)
{
	cleanup_writer_ struct writer name = WRITER(2048);
	cleanup_policy_ struct policy *p = NULL;
	struct policy_report report = { .errors = 0 };
	int r = policy_load(&p, file, &report);

	if (r > 0)
		fprintf(stderr, "%s", policy_report_text(&report));
	policy_report_clear(&report);
	if (r > 0)
		return cli_fail(BAD_POLICY, "policy", "%s is not a good policy: not signed", policy_quoted(&name, path));
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "policy", "%s", strerror(-r)) : EXIT_CODE_TRUSTED;
}

static int make(const struct sign *s, const struct policy_signing_key *k, struct bytes file, struct writer *out)
{
	cleanup_writer_ struct writer why = WRITER(4096), name = WRITER(2048);
	bool again = policy_maybe_signed(file);
	int r = again && !s->cosign ? policy_sign_again(k, file, out, &why) : 0;

	if (policy_is_compiled(file) && !s->cosign)
		return cli_fail(BAD_POLICY, "policy", "%s is compiled, envelopes are for JSON: use --cosign", policy_quoted(&name, s->policy));
	if (again && s->cosign)
		return cli_fail(BAD_POLICY, "policy", "%s is signed inside already: sign the policy itself", policy_quoted(&name, s->policy));
	if (r > 0)
		return cli_fail(BAD_POLICY, "policy", "%s: %s", policy_quoted(&name, s->policy), writer_cstr(&why));
	if (!again) {
		int code = check(s->policy, file);

		if (code != EXIT_CODE_TRUSTED)
			return code;
		r = s->cosign ? policy_sign_blob(k, file, out) : policy_sign_envelope(k, file, out);
	}
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "policy", "cannot sign %s: %s", policy_quoted(&name, s->policy), strerror(-r)) :
		       EXIT_CODE_TRUSTED;
}

static int sign(int argc, char **argv)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), out = WRITER(LIMIT_POLICY_FILE), name = WRITER(2048);
	cleanup_policy_signing_key_ struct policy_signing_key k = { .key = NULL };
	struct sign s = { .policy = NULL };
	int code, r;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return policy_help(&policy_sign_command);
	code = parse(argc, argv, &s);
	if (code != EXIT_CODE_TRUSTED)
		return code;
	r = read_file(s.policy, &file);
	if (r < 0)
		return policy_cannot_read(s.policy, -r);
	code = read_key(&s, &k);
	if (code == EXIT_CODE_TRUSTED)
		code = make(&s, &k, writer_view(&file), &out);
	if (code != EXIT_CODE_TRUSTED)
		return code;
	r = strcmp(s.out, "-") == 0 ? cli_print(&out) : write_file_atomic(s.out, writer_view(&out), 0644);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write %s: %s", policy_quoted(&name, s.out), strerror(-r));
	fprintf(strcmp(s.out, "-") == 0 ? stderr : stdout, "signed by key %s (%s, %s)\n", k.name, s.cosign ? "cosign" : "dsse",
		hash_name(k.hash));
	return EXIT_CODE_TRUSTED;
}

const struct policy_command policy_sign_command = {
	.name = "sign",
	.summary = "vouch for a policy with a key (DSSE, Cosign)",
	.usage = usage_text,
	.run = sign,
};
