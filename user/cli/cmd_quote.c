// SPDX-License-Identifier: Apache-2.0
/* imastream quote verify --ak PEM --message FILE --signature FILE [--nonce HEX] [--pcrs FILE] [--json] */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "tpm/attest.h"
#include "tpm/pcrfile.h"

#define NAME "quote verify"

struct options {
	const char *ak, *message, *signature, *nonce, *pcrs;
	bool json, help;
};

/* All that the two outputs tell. */
struct report {
	enum reason reason; /* REASON_NONE: valid */
	struct quote_facts facts;
	char ak_type[32];
	uint8_t ak_fingerprint[32];
	bool nonce_checked, pcrs_checked; /* and found right */
	bool exchanged;			  /* the quote is in the signature's file */
};

static void usage(FILE *to)
{
	fprintf(to, "usage: imastream quote verify --ak PEM --message FILE --signature FILE\n"
		    "                              [--nonce HEX] [--pcrs FILE] [--json]\n\n"
		    "Checks a TPM quote without a TPM: magic and type, the signature by the attestation key, the nonce,\n"
		    "and that the PCR values are those that were quoted. Files as tpm2_quote writes them.\n\n"
		    "  --ak PEM          public key of the attestation key (RSA-2048..4096, ECC P-256, P-384)\n"
		    "  --message FILE    the TPMS_ATTEST                      (tpm2_quote -m)\n"
		    "  --signature FILE  TPMT_SIGNATURE, or plain             (tpm2_quote -s)\n"
		    "  --nonce HEX       the qualifying data it must contain  (tpm2_quote -q)\n"
		    "  --pcrs FILE       the PCR values it must be about      (tpm2_quote -o)\n"
		    "  --json            one JSON document\n\n"
		    "Exit codes: 0 valid, 1 error, 2 usage, 3 invalid.\n");
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "ak", required_argument, NULL, 'a' },	  { "message", required_argument, NULL, 'm' },
		{ "signature", required_argument, NULL, 's' }, { "nonce", required_argument, NULL, 'n' },
		{ "pcrs", required_argument, NULL, 'p' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },	  { 0 },
	};
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
		switch (c) {
		case 'a':
			o->ak = optarg;
			break;
		case 'm':
			o->message = optarg;
			break;
		case 's':
			o->signature = optarg;
			break;
		case 'n':
			o->nonce = optarg;
			break;
		case 'p':
			o->pcrs = optarg;
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
	if (optind < argc)
		return cli_fail(EXIT_CODE_USAGE, NAME, "unexpected argument '%s'", argv[optind]);
	if (!o->ak || !o->message || !o->signature)
		return cli_fail(EXIT_CODE_USAGE, NAME, "--ak, --message and --signature are needed");
	return 0;
}

/* Reads one of the files. One that is too large to be what it should be is left cut at its limit plus one byte, so that
 * the parser says what is wrong with it. 0 or an exit code. */
static int load(const char *path, struct writer *w)
{
	int r = read_file(path, w);

	if (r == -EMSGSIZE)
		return 0;
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, NAME, "cannot read '%s': %s", path, strerror(-r)) : 0;
}

static int load_ak(const char *path, struct ak *ak, struct report *rep)
{
	cleanup_writer_ struct writer pem = WRITER(LIMIT_PEM + 1);
	int r = load(path, &pem);

	if (r)
		return r;
	r = ak_from_pem(writer_view(&pem), ak);
	if (r == QUOTE_MALFORMED)
		return cli_fail(EXIT_CODE_ERROR, NAME, "'%s' holds no public key in PEM form", path);
	if (r == QUOTE_UNSUPPORTED) {
		rep->reason = REASON_QUOTE_UNSUPPORTED;
		return 0;
	}
	if (r == 0)
		r = ak_fingerprint(ak, rep->ak_fingerprint);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, NAME, "%s", strerror(-r));
	ak_describe(ak, rep->ak_type, sizeof(rep->ak_type));
	return 0;
}

/* Whichever of the two forms the file has. That values are missing or do not fit the quote is one and the same thing for
 * the person who gave the file: it does not belong to the quote. */
static enum reason check_pcrs(struct bytes file, const struct quote_facts *facts)
{
	struct tpm_pcr_file pcrs;
	enum quote_outcome o;

	o = tpm_pcr_file_parse(file, &pcrs);
	if (o != QUOTE_OK)
		o = tpm_pcr_values_parse(file, &facts->attest, &pcrs);
	if (o == QUOTE_OK)
		o = quote_check_composite(&facts->attest, facts->hash, tpm_pcr_file_value, &pcrs);
	if (o == QUOTE_UNSUPPORTED)
		return REASON_QUOTE_UNSUPPORTED;
	return o == QUOTE_OK ? REASON_NONE : REASON_QUOTE_PCR_DIGEST;
}

/* A quote may select one bank several times; it is told once, with all its PCRs. */
static bool first_of_bank(const struct attest *a, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (a->selection[k].alg == a->selection[i].alg)
			return false;
	return true;
}

static const char *bank_name(uint16_t alg, char *buf, size_t n)
{
	enum hash_alg h;

	if (hash_from_tpm_alg(alg, &h))
		return hash_name(h);
	snprintf(buf, n, "0x%04x", alg);
	return buf;
}

static void json_attest(struct json *j, const struct attest *a)
{
	char firmware[20], bank[16];

	snprintf(firmware, sizeof(firmware), "%016" PRIx64, a->firmware);
	jw_u64(j, "clock", a->clock_ms);
	jw_u64(j, "reset_count", a->reset_count);
	jw_u64(j, "restart_count", a->restart_count);
	jw_bool(j, "safe", a->safe);
	jw_string(j, "firmware", firmware);
	jw_hex(j, "qualified_signer", a->qualified_signer.p, a->qualified_signer.n);
	jw_hex(j, "nonce", a->extra_data.p, a->extra_data.n);
	jw_object(j, "pcrs");
	for (size_t i = 0; i < a->n_selections; i++) {
		uint32_t mask = attest_selected(a, a->selection[i].alg);

		if (!first_of_bank(a, i))
			continue;
		jw_array(j, bank_name(a->selection[i].alg, bank, sizeof(bank)));
		for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++)
			if (mask & 1u << pcr)
				jw_u64(j, NULL, pcr);
		jw_array_end(j);
	}
	jw_object_end(j);
	jw_hex(j, "pcr_digest", a->pcr_digest.p, a->pcr_digest.n);
}

static void print_json(struct writer *w, const struct report *rep)
{
	static const char *const members[] = { "clock",		   "reset_count", "restart_count", "safe",	"firmware",
					       "qualified_signer", "nonce",	  "pcrs",	   "pcr_digest" };
	struct json j;

	jw_begin(&j, w, true);
	jw_object(&j, NULL);
	jw_bool(&j, "valid", rep->reason == REASON_NONE);
	jw_string(&j, "reason", rep->reason ? reason_name(rep->reason) : NULL);
	jw_object(&j, "checked");
	jw_bool(&j, "nonce", rep->nonce_checked);
	jw_bool(&j, "pcrs", rep->pcrs_checked);
	jw_object_end(&j);
	jw_string(&j, "type", rep->facts.parsed ? "quote" : NULL);
	if (rep->facts.parsed)
		json_attest(&j, &rep->facts.attest);
	for (size_t i = 0; !rep->facts.parsed && i < ARRAY_SIZE(members); i++)
		jw_null(&j, members[i]);
	if (rep->facts.has_signature) {
		jw_object(&j, "signature");
		jw_string(&j, "scheme", sig_scheme_name(rep->facts.scheme));
		jw_string(&j, "hash", hash_name(rep->facts.hash));
		jw_object_end(&j);
	} else {
		jw_null(&j, "signature");
	}
	jw_object(&j, "ak");
	jw_string(&j, "type", rep->ak_type);
	jw_hex(&j, "fingerprint", rep->ak_fingerprint, sizeof(rep->ak_fingerprint));
	jw_object_end(&j);
	jw_object_end(&j);
	write_u8(w, '\n');
}

static void line(struct writer *w, const char *label)
{
	write_fmt(w, "  %s%-10s%s", style_on(STYLE_HEAD), label, style_off());
}

static void print_attest(struct writer *w, const struct report *rep)
{
	const struct attest *a = &rep->facts.attest;
	char bank[16];

	line(w, "PCRs");
	for (size_t i = 0; i < a->n_selections; i++) {
		uint32_t mask = attest_selected(a, a->selection[i].alg);
		char separator = ':';

		if (!first_of_bank(a, i))
			continue;
		write_fmt(w, "%s%s", i ? "+" : "", bank_name(a->selection[i].alg, bank, sizeof(bank)));
		for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++) {
			if (mask & 1u << pcr) {
				write_fmt(w, "%c%u", separator, pcr);
				separator = ',';
			}
		}
	}
	write_fmt(w, "%s\n", rep->pcrs_checked ? "  (values match)" : "");
	line(w, "digest");
	write_hex(w, a->pcr_digest.p, a->pcr_digest.n);
	write_u8(w, '\n');
	line(w, "nonce");
	if (a->extra_data.n)
		write_hex(w, a->extra_data.p, a->extra_data.n);
	else
		write_fmt(w, "none");
	write_fmt(w, "%s\n", rep->nonce_checked ? "  (as asked for)" : "");
	line(w, "clock");
	write_fmt(w, "%" PRIu64 ".%03u s, resets %u, restarts %u%s\n", a->clock_ms / 1000, (unsigned int)(a->clock_ms % 1000),
		  a->reset_count, a->restart_count, a->safe ? "" : ", not safe: may have gone back after a power loss");
	line(w, "firmware");
	write_fmt(w, "%016" PRIx64 "\n", a->firmware);
}

static void print_text(struct writer *w, const struct report *rep)
{
	const struct reason_info *info = rep->reason ? reason_info(rep->reason) : NULL;

	if (info)
		write_fmt(w, "%sINVALID%s  %s: %s\n  %sWhat to do:%s %s.\n", style_on(STYLE_BAD), style_off(), info->name,
			  info->text, style_on(STYLE_HEAD), style_off(),
			  rep->exchanged ? "exchange the files of --message and --signature: the quote is in the latter" :
					   info->remedy);
	else
		write_fmt(w, "%svalid%s  a quote, signed by this key%s\n", style_on(STYLE_GOOD), style_off(),
			  rep->nonce_checked ? "" : "; without --nonce it is not known when");
	if (rep->facts.parsed && info)
		write_fmt(w, "It says (do not believe it):\n");
	if (rep->facts.parsed)
		print_attest(w, rep);
	if (rep->facts.has_signature) {
		line(w, "signature");
		write_fmt(w, "%s with %s\n", sig_scheme_name(rep->facts.scheme), hash_name(rep->facts.hash));
	}
	line(w, "key");
	if (*rep->ak_type) {
		write_fmt(w, "%s, SHA-256 ", rep->ak_type);
		write_hex(w, rep->ak_fingerprint, sizeof(rep->ak_fingerprint));
		write_u8(w, '\n');
	} else {
		write_fmt(w, "not of an accepted type: RSA 2048 to 4096, ECC P-256 and P-384 are\n");
	}
}

static int verify(const struct options *o)
{
	cleanup_writer_ struct writer message = WRITER(LIMIT_ATTEST + 1), signature = WRITER(LIMIT_SIGNATURE + 1);
	cleanup_writer_ struct writer pcrs = WRITER(LIMIT_PCR_FILE + 1), nonce = WRITER(LIMIT_TPM_DATA);
	cleanup_writer_ struct writer out = WRITER(1u << 16);
	cleanup_ak_ struct ak ak = { 0 };
	struct report rep = { 0 };
	struct attest other;
	struct bytes nonce_view;
	int r;

	if (o->nonce) {
		r = hex_decode_to(&nonce, (struct bytes){ (const uint8_t *)o->nonce, strlen(o->nonce) });
		if (r == -EMSGSIZE)
			return cli_fail(EXIT_CODE_USAGE, NAME, "--nonce has more than %u bytes", LIMIT_TPM_DATA);
		if (r < 0)
			return cli_fail(EXIT_CODE_USAGE, NAME, "--nonce is not hexadecimal (an even number of digits)");
	}
	r = load_ak(o->ak, &ak, &rep);
	r = r ? r : load(o->message, &message);
	r = r ? r : load(o->signature, &signature);
	r = r || !o->pcrs ? r : load(o->pcrs, &pcrs);
	if (r)
		return r;

	if (rep.reason == REASON_NONE) {
		nonce_view = writer_view(&nonce);
		r = quote_verify(writer_view(&message), writer_view(&signature), &ak, o->nonce ? &nonce_view : NULL,
				 &rep.facts);
		if (r < 0)
			return cli_fail(EXIT_CODE_ERROR, NAME, "%s", strerror(-r));
		rep.reason = quote_outcome_reason((enum quote_outcome)r);
		rep.nonce_checked = o->nonce && r == QUOTE_OK;
		rep.exchanged = !rep.facts.parsed && attest_parse(writer_view(&signature), &other) == QUOTE_OK;
	}
	if (rep.reason == REASON_NONE && o->pcrs) {
		rep.reason = check_pcrs(writer_view(&pcrs), &rep.facts);
		rep.pcrs_checked = rep.reason == REASON_NONE;
	}
	if (o->json)
		print_json(&out, &rep);
	else
		print_text(&out, &rep);
	r = cli_print(&out);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, NAME, "cannot write the result: %s", strerror(-r));
	return rep.reason == REASON_NONE ? EXIT_CODE_TRUSTED : EXIT_CODE_UNTRUSTED;
}

int cmd_quote(int argc, char **argv)
{
	struct options o = { 0 };
	int r;

	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return EXIT_CODE_TRUSTED;
	}
	if (argc < 2 || strcmp(argv[1], "verify") != 0)
		return cli_fail(EXIT_CODE_USAGE, "quote", "the one thing it does is 'quote verify'");
	r = parse_options(argc - 1, argv + 1, &o);
	if (r)
		return r;
	if (o.help) {
		usage(stdout);
		return EXIT_CODE_TRUSTED;
	}
	return verify(&o);
}
