// SPDX-License-Identifier: Apache-2.0
/* imastream policy verify */
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "policy/signed.h"

static const char usage_text[] =
	"usage: imastream policy verify FILE [--signature FILE | --bundle FILE] --key PEM... [--threshold N] [-o POLICY] [--json]\n"
	"       imastream policy verify FILE [--bundle FILE] --identity NAME --issuer URL --trusted-root JSON [-o POLICY] [--json]\n\n"
	"Says who vouches for a policy. FILE is an envelope (DSSE) or a bundle with the policy inside, or the policy itself with\n"
	"its signature beside it. Nothing is asked of a network.\n"
	"  --signature FILE     Cosign's blob signature\n"
	"  --bundle FILE        Sigstore bundle; with neither, FILE.sigstore.json or FILE.sig is taken when there is one\n"
	"  --key PEM            public key or certificate that may have signed; may be repeated\n"
	"  --threshold N        so many different keys must have signed (DSSE); 1 when not given\n"
	"  --identity NAME      e-mail or URI in the signer's certificate; may be repeated, each with its --issuer\n"
	"  --issuer URL         who attested that identity to the certificate authority\n"
	"  --trusted-root JSON  Sigstore's trusted root: authorities and logs that count; may be repeated\n"
	"  -o POLICY            writes the policy there when all is well; '-' is standard output\n"
	"  --json               one JSON document\n\n"
	"Exit codes: 0 vouched for, 1 error, 2 usage, 3 not vouched for, or not a good policy.\n";

#define IDENTITIES_MAX 64u

struct verify {
	const char *file, *beside, *out;
	const char *identities[IDENTITIES_MAX], *issuers[IDENTITIES_MAX];
	size_t n_identities, n_issuers;
	bool json;
};

struct result {
	enum policy_signed outcome;
	struct policy_signer who;
	struct bytes policy;
	struct policy *loaded; /* NULL: not vouched for, or no good policy */
	const char *why;
};

/* ---- what is accepted ---- */

static int load(const char *path, struct writer *w)
{
	cleanup_writer_ struct writer name = WRITER(2048);
	int r = read_file(path, w);

	if (r == -EMSGSIZE)
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s is larger than %zu bytes", policy_quoted(&name, path), w->max);
	return r < 0 ? policy_cannot_read(path, -r) : EXIT_CODE_TRUSTED;
}

static int add_key(struct policy_trust *t, const char *path)
{
	cleanup_writer_ struct writer pem = WRITER(LIMIT_PEM), name = WRITER(2048);
	const char *why = NULL;
	int code = load(path, &pem), r;

	if (code != EXIT_CODE_TRUSTED)
		return code;
	r = policy_trust_add_key(t, writer_view(&pem), &why);
	return r ? cli_fail(EXIT_CODE_ERROR, "policy", "cannot use the key %s: %s", policy_quoted(&name, path), r < 0 ? strerror(-r) : why) :
		   EXIT_CODE_TRUSTED;
}

static int add_root(struct policy_trust *t, const char *path)
{
	cleanup_writer_ struct writer json = WRITER(LIMIT_TRUSTED_ROOT), name = WRITER(2048), why = WRITER(4096);
	int code = load(path, &json), r;

	if (code != EXIT_CODE_TRUSTED)
		return code;
	r = policy_trust_add_root(t, writer_view(&json), &why);
	return r ? cli_fail(EXIT_CODE_ERROR, "policy", "cannot use the trusted root %s: %s", policy_quoted(&name, path),
			    r < 0 ? strerror(-r) : writer_cstr(&why)) :
		   EXIT_CODE_TRUSTED;
}

static int add_identities(struct policy_trust *t, const struct verify *v)
{
	const char *why = NULL;

	if (v->n_identities != v->n_issuers)
		return cli_fail(EXIT_CODE_USAGE, "policy", "verify: each --identity needs its --issuer");
	for (size_t i = 0; i < v->n_identities; i++) {
		int r = policy_trust_add_identity(t, v->identities[i], v->issuers[i], &why);

		if (r)
			return cli_fail(EXIT_CODE_USAGE, "policy", "verify: --identity: %s", r < 0 ? strerror(-r) : why);
	}
	return EXIT_CODE_TRUSTED;
}

static int set_threshold(struct policy_trust *t, const char *text)
{
	uint64_t n;

	if (parse_u64(text, 1, LIMIT_DSSE_SIGNATURES, &n) < 0)
		return cli_fail(EXIT_CODE_USAGE, "policy", "verify: --threshold is a number from 1 to %u", LIMIT_DSSE_SIGNATURES);
	policy_trust_set_threshold(t, (unsigned int)n);
	return EXIT_CODE_TRUSTED;
}

static int take_option(int c, struct verify *v, struct policy_trust *t)
{
	switch (c) {
	case 'k':
		return add_key(t, optarg);
	case 'r':
		return add_root(t, optarg);
	case 't':
		return set_threshold(t, optarg);
	case 'i':
	case 'u':
		if ((c == 'i' ? v->n_identities : v->n_issuers) == IDENTITIES_MAX)
			return cli_fail(EXIT_CODE_USAGE, "policy", "verify: more than %u identities", IDENTITIES_MAX);
		*(c == 'i' ? &v->identities[v->n_identities++] : &v->issuers[v->n_issuers++]) = optarg;
		return EXIT_CODE_TRUSTED;
	case 's':
		if (v->beside)
			return cli_fail(EXIT_CODE_USAGE, "policy", "verify: one signature or bundle");
		v->beside = optarg;
		return EXIT_CODE_TRUSTED;
	case 'o':
		v->out = optarg;
		return EXIT_CODE_TRUSTED;
	case 'j':
		v->json = true;
		return EXIT_CODE_TRUSTED;
	default:
		return cli_fail(EXIT_CODE_USAGE, "policy", "verify: unknown option, or one without its value");
	}
}

static int parse(int argc, char **argv, struct verify *v, struct policy_trust *t)
{
	static const struct option options[] = {
		{ "signature", required_argument, NULL, 's' }, { "bundle", required_argument, NULL, 's' },
		{ "key", required_argument, NULL, 'k' },       { "threshold", required_argument, NULL, 't' },
		{ "identity", required_argument, NULL, 'i' },  { "issuer", required_argument, NULL, 'u' },
		{ "trusted-root", required_argument, NULL, 'r' }, { "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },	       { 0 },
	};
	int c, code = EXIT_CODE_TRUSTED;

	optind = 0;
	opterr = 0;
	while (code == EXIT_CODE_TRUSTED && (c = getopt_long(argc, argv, "o:", options, NULL)) != -1)
		code = take_option(c, v, t);
	if (code == EXIT_CODE_TRUSTED)
		code = add_identities(t, v);
	if (code != EXIT_CODE_TRUSTED)
		return code;
	if (argc - optind != 1)
		return cli_fail(EXIT_CODE_USAGE, "policy", "verify: give one file");
	if (policy_trust_empty(t))
		return cli_fail(EXIT_CODE_USAGE, "policy", "verify: who may have signed? --key, or --identity with --issuer and --trusted-root");
	if (policy_trust_gap(t))
		return cli_fail(EXIT_CODE_USAGE, "policy", "verify: %s", policy_trust_gap(t));
	if (v->json && v->out && strcmp(v->out, "-") == 0)
		return cli_fail(EXIT_CODE_USAGE, "policy", "verify: -o - and --json both want standard output");
	v->file = argv[optind];
	return EXIT_CODE_TRUSTED;
}

/* ---- what is said ---- */

static void say_json(struct writer *w, const struct result *r)
{
	bool vouched = r->outcome == SIGNED_OK;
	struct json j;

	jw_begin(&j, w, true);
	jw_object(&j, NULL);
	jw_bool(&j, "ok", r->loaded != NULL);
	jw_string(&j, "outcome", policy_signed_name(r->outcome));
	jw_string(&j, "text", r->why);
	jw_string(&j, "form", vouched ? policy_signed_form_name(r->who.form) : NULL);
	jw_string(&j, "key", vouched ? r->who.key : NULL);
	jw_string(&j, "identity", vouched && *r->who.identity ? r->who.identity : NULL);
	jw_string(&j, "issuer", vouched && *r->who.issuer ? r->who.issuer : NULL);
	jw_string(&j, "payload_type", vouched && *r->who.payload_type ? r->who.payload_type : NULL);
	jw_u64(&j, "signatures", vouched ? r->who.signatures : 0);
	if (vouched && r->who.signed_at_s) {
		jw_u64(&j, "signed_at", r->who.signed_at_s);
		jw_u64(&j, "log_index", r->who.log_index);
	} else {
		jw_null(&j, "signed_at");
		jw_null(&j, "log_index");
	}
	jw_string(&j, "policy", r->loaded ? policy_id(r->loaded) : NULL);
	jw_object_end(&j);
	write_u8(w, '\n');
}

static void say_human(struct writer *w, const struct result *r)
{
	if (r->outcome != SIGNED_OK) {
		write_fmt(w, "%s%s%s  %s\n", style_on(STYLE_BAD), policy_signed_name(r->outcome), style_off(), r->why);
		return;
	}
	write_fmt(w, "%s%s%s  ", style_on(r->loaded ? STYLE_GOOD : STYLE_BAD), r->loaded ? "vouched for" : "bad policy", style_off());
	policy_signer_describe(&r->who, w);
	if (*r->who.identity)
		write_fmt(w, "\n  key %s", r->who.key);
	if (r->loaded)
		write_fmt(w, "\n  policy %s, %zu paths, %zu digests\n", policy_id(r->loaded), policy_path_count(r->loaded),
			  policy_digest_count(r->loaded));
	else
		write_fmt(w, "\n  %s\n", r->why);
}

static int write_policy(const struct verify *v, struct bytes policy)
{
	cleanup_writer_ struct writer name = WRITER(2048), copy = WRITER(LIMIT_POLICY_FILE);
	int r;

	if (strcmp(v->out, "-") != 0) {
		r = write_file_atomic(v->out, policy, 0644);
	} else {
		write_bytes(&copy, policy.p, policy.n);
		r = writer_status(&copy) < 0 ? writer_status(&copy) : cli_print(&copy);
	}
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "policy", "cannot write %s: %s", policy_quoted(&name, v->out), strerror(-r)) : EXIT_CODE_TRUSTED;
}

/* The verdict is told on standard output, or on standard error when the policy goes there. */
static int tell(const struct verify *v, const struct result *r)
{
	cleanup_writer_ struct writer out = WRITER(65536);
	int code = r->loaded && v->out ? write_policy(v, r->policy) : EXIT_CODE_TRUSTED;

	if (code != EXIT_CODE_TRUSTED)
		return code;
	if (v->json)
		say_json(&out, r);
	else
		say_human(&out, r);
	if (v->out && strcmp(v->out, "-") == 0)
		fprintf(stderr, "%s", writer_cstr(&out) ? (const char *)out.p : "");
	else if (cli_print(&out) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write to standard output");
	return r->loaded ? EXIT_CODE_TRUSTED : BAD_POLICY;
}

/* ---- the check ---- */

static int judge(const struct verify *v, const struct policy_trust *t, struct bytes file, struct bytes beside)
{
	cleanup_writer_ struct writer storage = WRITER(LIMIT_POLICY_FILE), why = WRITER(4096), name = WRITER(2048);
	struct policy_report report = { .errors = 0 };
	struct result result = { .outcome = SIGNED_OK };
	int r = policy_open_signed(t, file, beside, (uint64_t)time(NULL), &storage, &result.policy, &result.who, &why), code;

	if (r == 0) {
		r = policy_load(&result.loaded, result.policy, &report);
		result.why = r > 0 ? policy_report_text(&report) : NULL;
	} else if (r > 0) {
		result.outcome = (enum policy_signed)r;
		result.why = writer_cstr(&why);
	}
	code = r < 0 ? cli_fail(EXIT_CODE_ERROR, "policy", "cannot check %s: %s", policy_quoted(&name, v->file), strerror(-r)) :
		       tell(v, &result);
	policy_unref(&result.loaded);
	policy_report_clear(&report);
	return code;
}

/* Where a verifier looks, too. */
static int find_beside(struct verify *v, struct writer *out)
{
	static const char *const ends[] = { ".sigstore.json", ".sig" };
	int code = EXIT_CODE_TRUSTED;

	for (size_t i = 0; code == EXIT_CODE_TRUSTED && !out->n && i < ARRAY_SIZE(ends); i++) {
		cleanup_writer_ struct writer path = WRITER(4096);

		write_fmt(&path, "%s%s", v->file, ends[i]);
		if (writer_cstr(&path) && access((const char *)path.p, F_OK) == 0)
			code = load((const char *)path.p, out);
	}
	return code;
}

static int verify(int argc, char **argv)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), beside = WRITER(LIMIT_BUNDLE), name = WRITER(2048);
	cleanup_policy_trust_ struct policy_trust *t = NULL;
	struct verify v = { .file = NULL };
	int code;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return policy_help(&policy_verify_command);
	if (policy_trust_new(&t) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	code = parse(argc, argv, &v, t);
	if (code == EXIT_CODE_TRUSTED)
		code = load(v.file, &file);
	if (code == EXIT_CODE_TRUSTED && v.beside)
		code = load(v.beside, &beside);
	else if (code == EXIT_CODE_TRUSTED && !policy_maybe_signed(writer_view(&file)))
		code = find_beside(&v, &beside);
	if (code != EXIT_CODE_TRUSTED)
		return code;
	if (v.beside && beside.n == 0)
		return cli_fail(BAD_POLICY, "policy", "%s is empty", policy_quoted(&name, v.beside));
	return judge(&v, t, writer_view(&file), writer_view(&beside));
}

const struct policy_command policy_verify_command = {
	.name = "verify",
	.summary = "say who vouches for a policy (DSSE, Cosign, Sigstore)",
	.usage = usage_text,
	.run = verify,
};
