// SPDX-License-Identifier: Apache-2.0
/* imastream log verify LOG [--policy FILE] [--keyring KEY]... [--pcr BANK:HEX]... [--quote MSG --signature SIG --ak PEM] */
#include <getopt.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/log_verify.h"

#define NAME "log verify"
#define IMA_PCR 10u

struct options {
	const char *log, *policy, *quote, *signature, *ak, *nonce, *pcrs;
	const char *keyring[LIMIT_KEYS], *ima_policy[LIMIT_IMA_POLICIES], *require_ima_policy;
	size_t n_keyring, n_ima_policy;
	bool json, help;
};

/* What the files hold; log_inputs has views of it. */
struct loaded {
	struct writer list, message, signature, nonce;
	struct tpm_pcr_file *pcrs;
	struct policy *policy;
	struct keyring *keyring;
	struct imapolicies *ima_policies;
	struct ak ak;
};

static void loaded_clear(struct loaded *l)
{
	writer_free(&l->list);
	writer_free(&l->message);
	writer_free(&l->signature);
	writer_free(&l->nonce);
	free(l->pcrs);
	policy_unref(&l->policy);
	keyring_free(&l->keyring);
	imapolicies_free(&l->ima_policies);
	ak_clear(&l->ak);
}
#define cleanup_loaded_ cleanup_(loaded_clear)

static void usage(FILE *to)
{
	fprintf(to, "usage: imastream log verify LOG [--policy FILE] [--keyring KEY]... [--pcr [INDEX:]BANK:HEX]...\n"
		    "           [--quote MSG --signature SIG --ak PEM [--nonce HEX] [--pcrs FILE]]\n"
		    "           [--require-ima-policy FILE|tcb-exec] [--ima-policy FILE]...\n"
		    "           [--violations ignore|warn|fail] [--json]\n\n"
		    "Appraises a measurement list of IMA without the host: reads every entry, recomputes its template hash and\n"
		    "the PCRs, compares these with a TPM quote or with given values, and judges the files by policy and keys.\n\n"
		    "  LOG                 the kernel's list, binary or ASCII, of any bank; - is standard input\n"
		    "  --policy FILE       runtime policy (Keylime JSON) that knows the files\n"
		    "  --keyring KEY       public key or certificate (PEM, DER) that may sign files\n"
		    "  --pcr BANK:HEX      the value PCR 10 must reach, as 10:BANK:HEX for others; banks sha1, sha256, sha384, sha512\n"
		    "  --quote MSG         the TPMS_ATTEST                  (tpm2_quote -m)\n"
		    "  --signature SIG     its TPMT_SIGNATURE               (tpm2_quote -s)\n"
		    "  --ak PEM            public key of the attestation key\n"
		    "  --nonce HEX         the qualifying data it must hold (tpm2_quote -q)\n"
		    "  --pcrs FILE         values of quoted PCRs that IMA does not use (tpm2_quote -o)\n"
		    "  --require-ima-policy FILE  rules by which the host must measure at least: an IMA policy, or tcb-exec\n"
		    "  --ima-policy FILE   an IMA policy, recognised in the list by its digest\n"
		    "  --violations RULE   ignore, warn or fail; goes before the policy's rule; without either: warn\n"
		    "  --json              one JSON document, with every finding\n\n"
		    "Exit codes: 0 trusted (also with warnings), 1 error, 2 usage, 3 untrusted,\n"
		    "            4 unproven (nothing bad was found, and nothing to compare the list with was given).\n");
}

static struct bytes text_bytes(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

/* An argument or file name in a message. */
static const char *quoted(struct writer *w, const char *s)
{
	const char *text;

	writer_reset(w);
	write_quoted(w, text_bytes(s), 200);
	text = writer_cstr(w);
	return text ? text : "?";
}

static int bad_pcr(const char *arg, const char *why)
{
	cleanup_writer_ struct writer w = WRITER(4096);

	return cli_fail(EXIT_CODE_USAGE, NAME, "--pcr %s: %s", quoted(&w, arg), why);
}

/* [INDEX:]BANK:HEX */
static int parse_pcr(const char *arg, struct log_inputs *in)
{
	struct reader r = reader_of(text_bytes(arg)), rest;
	struct bytes first = read_until(&r, ':'), bank = first, hex;
	struct expected_pcr e = { .index = IMA_PCR };

	if (!reader_ok(&r))
		return bad_pcr(arg, "it is [INDEX:]BANK:HEX, for example sha256:5f2c...");
	rest = r;
	if (first.n && first.p[0] >= '0' && first.p[0] <= '9') {
		char number[8] = "";
		uint64_t index;

		bytes_copy(number, first.p, MIN(first.n, sizeof(number) - 1));
		if (first.n >= sizeof(number) || parse_u64(number, 0, LIMIT_PCR, &index) < 0)
			return bad_pcr(arg, "the index is a number from 0 to 23");
		e.index = (unsigned int)index;
		bank = read_until(&r, ':');
		if (!reader_ok(&r))
			return bad_pcr(arg, "behind the index come BANK:HEX");
		rest = r;
	}
	hex = read_rest(&rest);
	if (!hash_from_name(bank, &e.bank))
		return bad_pcr(arg, "the bank is sha1, sha256, sha384 or sha512");
	if (hex_decode(hex, e.value, hash_size(e.bank)) < 0)
		return bad_pcr(arg, "the value is not hexadecimal of that bank's size");
	for (size_t i = 0; i < in->n_expected; i++)
		if (in->expected[i].index == e.index && in->expected[i].bank == e.bank)
			return bad_pcr(arg, "a value for this PCR and bank was given before");
	/* one for each PCR and bank at most: there is room */
	in->expected[in->n_expected++] = e;
	return 0;
}

static int add_keyring(struct options *o, const char *arg)
{
	if (o->n_keyring == LIMIT_KEYS)
		return cli_fail(EXIT_CODE_USAGE, NAME, "--keyring more than %u times", LIMIT_KEYS);
	o->keyring[o->n_keyring++] = arg;
	return 0;
}

static int add_ima_policy(struct options *o, const char *arg)
{
	if (o->n_ima_policy == LIMIT_IMA_POLICIES)
		return cli_fail(EXIT_CODE_USAGE, NAME, "--ima-policy more than %u times", LIMIT_IMA_POLICIES);
	o->ima_policy[o->n_ima_policy++] = arg;
	return 0;
}

static int once(const char **slot, const char *arg, const char *name)
{
	if (*slot)
		return cli_fail(EXIT_CODE_USAGE, NAME, "--%s was given twice", name);
	*slot = arg;
	return 0;
}

static int parse_violations(const char *arg, struct log_inputs *in)
{
	if (!violation_rule_from_name(arg, &in->violations))
		return cli_fail(EXIT_CODE_USAGE, NAME, "--violations is ignore, warn or fail");
	in->violations_given = true;
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o, struct log_inputs *in)
{
	static const struct option known[] = {
		{ "policy", required_argument, NULL, 'p' },    { "keyring", required_argument, NULL, 'k' },
		{ "pcr", required_argument, NULL, 'v' },       { "quote", required_argument, NULL, 'q' },
		{ "signature", required_argument, NULL, 's' }, { "ak", required_argument, NULL, 'a' },
		{ "nonce", required_argument, NULL, 'n' },     { "pcrs", required_argument, NULL, 'P' },
		{ "violations", required_argument, NULL, 'V' }, { "json", no_argument, NULL, 'j' },
		{ "require-ima-policy", required_argument, NULL, 'R' }, { "ima-policy", required_argument, NULL, 'I' },
		{ "help", no_argument, NULL, 'h' },	       { 0 },
	};
	int c, which = 0, r = 0;

	optind = 0;
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, ":h", known, &which)) != -1) {
		switch (c) {
		case 'p':
			r = once(&o->policy, optarg, "policy");
			break;
		case 'k':
			r = add_keyring(o, optarg);
			break;
		case 'R':
			r = once(&o->require_ima_policy, optarg, "require-ima-policy");
			break;
		case 'I':
			r = add_ima_policy(o, optarg);
			break;
		case 'v':
			r = parse_pcr(optarg, in);
			break;
		case 'q':
			r = once(&o->quote, optarg, "quote");
			break;
		case 's':
			r = once(&o->signature, optarg, "signature");
			break;
		case 'a':
			r = once(&o->ak, optarg, "ak");
			break;
		case 'n':
			r = once(&o->nonce, optarg, "nonce");
			break;
		case 'P':
			r = once(&o->pcrs, optarg, "pcrs");
			break;
		case 'V':
			r = parse_violations(optarg, in);
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			o->help = true;
			return 0;
		case ':':
			return cli_fail(EXIT_CODE_USAGE, NAME, "%s needs a value", argv[optind - 1]);
		default:
			return cli_fail(EXIT_CODE_USAGE, NAME, "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (r)
		return r;
	if (optind == argc)
		return cli_fail(EXIT_CODE_USAGE, NAME, "which measurement list?");
	if (optind + 1 < argc)
		return cli_fail(EXIT_CODE_USAGE, NAME, "one measurement list at a time");
	o->log = argv[optind];
	if ((o->quote || o->signature || o->ak) && !(o->quote && o->signature && o->ak))
		return cli_fail(EXIT_CODE_USAGE, NAME, "--quote, --signature and --ak belong together");
	if ((o->nonce || o->pcrs) && !o->quote)
		return cli_fail(EXIT_CODE_USAGE, NAME, "--nonce and --pcrs are about a --quote");
	return 0;
}

/* 0 or an exit code. A quote's file that is too large is left cut, one byte over its limit: the parser refuses it. */
static int load(const char *path, struct writer *w, bool evidence)
{
	cleanup_writer_ struct writer name = WRITER(4096);
	int r = read_file(path, w);

	if (r == -EMSGSIZE && evidence)
		return 0;
	if (r == -EMSGSIZE)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s is larger than %zu bytes", quoted(&name, path), w->max);
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, NAME, "cannot read %s: %s", quoted(&name, path), strerror(-r)) : 0;
}

static int load_policy(const char *path, struct loaded *l)
{
	cleanup_writer_ struct writer name = WRITER(4096);
	struct policy_report report = { .text = WRITER(1u << 20) };
	const char *lines;
	int r = policy_load_file(&l->policy, path, &report);

	lines = writer_cstr(&report.text);
	if (r > 0) {
		r = cli_fail(EXIT_CODE_ERROR, NAME, "the policy %s is bad:", quoted(&name, path));
		fputs(lines ? lines : "", stderr); /* line by line, escaped, and more than a message holds */
	} else if (r < 0) {
		r = cli_fail(EXIT_CODE_ERROR, NAME, "cannot load the policy %s: %s", quoted(&name, path), strerror(-r));
	}
	policy_report_clear(&report);
	return r;
}

static int load_keyring(const struct options *o, struct loaded *l)
{
	cleanup_writer_ struct writer name = WRITER(4096);
	int r = keyring_new(&l->keyring);

	for (size_t i = 0; r == 0 && i < o->n_keyring; i++) {
		cleanup_writer_ struct writer key = WRITER(LIMIT_PEM);
		const char *why = "";

		r = load(o->keyring[i], &key, false);
		if (r)
			return r;
		r = keyring_add(l->keyring, writer_view(&key), &why);
		if (r > 0)
			return cli_fail(EXIT_CODE_ERROR, NAME, "the key %s cannot be used: %s", quoted(&name, o->keyring[i]), why);
	}
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, NAME, "%s", strerror(-r)) : 0;
}

static int load_ima_policy(const char *path, bool require, struct loaded *l)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_IMA_POLICY + 1), name = WRITER(4096);
	const char *builtin = require ? imapolicy_builtin(path) : NULL, *why = "";
	unsigned int line = 0;
	struct bytes text;
	int r = builtin ? 0 : load(path, &file, true);

	if (r)
		return r;
	text = builtin ? text_bytes(builtin) : writer_view(&file);
	r = require ? imapolicies_require(l->ima_policies, text, &line, &why) : imapolicies_know(l->ima_policies, text, &line, &why);
	if (r > 0)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s is no IMA policy: line %u: %s", quoted(&name, path), line, why);
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, NAME, "%s", strerror(-r)) : 0;
}

static int load_ima_policies(const struct options *o, struct loaded *l)
{
	int r = 0;

	if (!o->require_ima_policy && !o->n_ima_policy)
		return 0;
	if (imapolicies_new(&l->ima_policies) < 0)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s", strerror(ENOMEM));
	if (o->require_ima_policy)
		r = load_ima_policy(o->require_ima_policy, true, l);
	for (size_t i = 0; r == 0 && i < o->n_ima_policy; i++)
		r = load_ima_policy(o->ima_policy[i], false, l);
	return r;
}

/* The key is the operator's word, not evidence: what is wrong with it is an error. */
static int load_ak(const char *path, struct loaded *l)
{
	cleanup_writer_ struct writer pem = WRITER(LIMIT_PEM), name = WRITER(4096);
	int r = load(path, &pem, false);

	if (r)
		return r;
	r = ak_from_pem(writer_view(&pem), &l->ak);
	if (r == QUOTE_MALFORMED)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s holds no public key in PEM form", quoted(&name, path));
	if (r == QUOTE_UNSUPPORTED)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s: not a key that signs quotes (RSA 2048 to 4096, ECC P-256 or P-384)",
				quoted(&name, path));
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, NAME, "%s", strerror(-r)) : 0;
}

static int load_pcrs(const char *path, struct loaded *l)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_PCR_FILE + 1), name = WRITER(4096);
	enum quote_outcome o;
	struct attest attest;
	int r = load(path, &file, true);

	if (r)
		return r;
	l->pcrs = calloc(1, sizeof(*l->pcrs));
	if (!l->pcrs)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s", strerror(ENOMEM));
	o = tpm_pcr_file_parse(writer_view(&file), l->pcrs);
	if (o != QUOTE_OK && attest_parse(writer_view(&l->message), &attest) == QUOTE_OK)
		o = tpm_pcr_values_parse(writer_view(&file), &attest, l->pcrs);
	if (o != QUOTE_OK)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s holds no PCR values as tpm2_quote writes them, or not those of the quote",
				quoted(&name, path));
	return 0;
}

static int load_nonce(const char *hex, struct loaded *l)
{
	int r = hex_decode_to(&l->nonce, text_bytes(hex));

	if (r == -EMSGSIZE)
		return cli_fail(EXIT_CODE_USAGE, NAME, "--nonce has more than %u bytes", LIMIT_NONCE);
	return r < 0 ? cli_fail(EXIT_CODE_USAGE, NAME, "--nonce is not hexadecimal (an even number of digits)") : 0;
}

/* Reads all files. What is the operator's comes first: a wrong policy is told before a long list is read. */
static int load_all(const struct options *o, struct loaded *l, struct log_inputs *in)
{
	int r = 0;

	l->list = WRITER((size_t)LIMIT_LIST_FILE);
	l->message = WRITER(LIMIT_ATTEST + 1);
	l->signature = WRITER(LIMIT_SIGNATURE + 1);
	l->nonce = WRITER(LIMIT_NONCE);
	if (o->nonce)
		r = load_nonce(o->nonce, l);
	if (!r && o->policy)
		r = load_policy(o->policy, l);
	if (!r && o->n_keyring)
		r = load_keyring(o, l);
	if (!r)
		r = load_ima_policies(o, l);
	if (!r && o->quote) {
		r = load_ak(o->ak, l);
		r = r ? r : load(o->quote, &l->message, true);
		r = r ? r : load(o->signature, &l->signature, true);
		r = r || !o->pcrs ? r : load_pcrs(o->pcrs, l);
	}
	r = r ? r : load(o->log, &l->list, false);
	if (r)
		return r;
	in->list = writer_view(&l->list);
	in->policy = l->policy;
	in->keyring = l->keyring;
	in->ima_policies = l->ima_policies;
	in->quote_given = o->quote != NULL;
	in->message = writer_view(&l->message);
	in->signature = writer_view(&l->signature);
	in->nonce_given = o->nonce != NULL;
	in->nonce = writer_view(&l->nonce);
	in->ak = &l->ak;
	in->pcrs = l->pcrs;
	return 0;
}

static int verify(const struct options *o, struct log_inputs *in)
{
	static const enum exit_code codes[] = { EXIT_CODE_TRUSTED, EXIT_CODE_TRUSTED, EXIT_CODE_UNTRUSTED, EXIT_CODE_UNKNOWN };
	cleanup_loaded_ struct loaded l = { 0 };
	cleanup_log_report_ struct log_report report = { 0 };
	cleanup_writer_ struct writer out = WRITER((size_t)LIMIT_LIST_FILE);
	int r = load_all(o, &l, in);

	if (r)
		return r;
	r = log_verify(in, &report);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s", strerror(-r));
	if (o->json)
		log_print_json(&out, &report);
	else
		log_print_text(&out, strcmp(o->log, "-") == 0 ? "standard input" : o->log, in, &report);
	r = cli_print(&out);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, NAME, "cannot write the result: %s", strerror(-r));
	return (int)codes[report.verdict];
}

int cmd_log(int argc, char **argv)
{
	struct options o = { 0 };
	struct log_inputs in = { 0 };
	int r;

	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return EXIT_CODE_TRUSTED;
	}
	if (argc < 2 || strcmp(argv[1], "verify") != 0)
		return cli_fail(EXIT_CODE_USAGE, "log", "the one thing it does is 'log verify'");
	r = parse_options(argc - 1, argv + 1, &o, &in);
	if (r)
		return r;
	if (o.help) {
		usage(stdout);
		return EXIT_CODE_TRUSTED;
	}
	return verify(&o, &in);
}
