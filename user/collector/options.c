// SPDX-License-Identifier: Apache-2.0
#include "collector/options.h"

#include "base/sandbox.h"
#include "base/text.h"
#include "collector/list.h"
#include "net/net.h"

static const struct option_choice ak_algs[] = { { "ecc-p256", AK_ECC_P256 }, { "rsa2048", AK_RSA_2048 }, { NULL, 0 } };
static const struct option_choice banks[] = {
	{ "auto", BANK_AUTO },	    { "sha256", HASH_SHA256 }, { "sha384", HASH_SHA384 },
	{ "sha512", HASH_SHA512 }, { "sha1", HASH_SHA1 },     { NULL, 0 },
};
static const struct option_choice modes[] = { { "event", MODE_EVENT }, { "poll", MODE_POLL }, { NULL, 0 } };
static const struct option_choice supports[] = {
	{ "auto", 0 },
	{ "ordered", EVENT_SUPPORT_ORDERED },
	{ "signal", EVENT_SUPPORT_SIGNAL },
	{ "poll", EVENT_SUPPORT_POLL },
	{ NULL, 0 },
};
static const struct option_choice log_levels[] = {
	{ "error", LOG_LEVEL_ERROR }, { "warn", LOG_LEVEL_WARN }, { "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG }, { NULL, 0 },
};

/* "0-10,14": decimal PCR numbers and ranges. */
static int parse_pcrs(const char *text, void *dst, const char **why)
{
	uint32_t mask = 0;

	*why = "a list of PCRs from 0 to 23 with PCR 10 in it, such as 0-10 or 0-7,10";
	while (*text) {
		char item[8];
		size_t n = strcspn(text, ",");
		uint64_t from, to;
		char *dash;

		if (n == 0 || n >= sizeof(item))
			return -EINVAL;
		bytes_copy(item, text, n);
		item[n] = '\0';
		dash = strchr(item, '-');
		if (dash)
			*dash++ = '\0';
		if (parse_u64(item, 0, LIMIT_PCR, &from) < 0 || parse_u64(dash ? dash : item, from, LIMIT_PCR, &to) < 0)
			return -EINVAL;
		for (uint64_t i = from; i <= to; i++)
			mask |= 1u << i;
		text += n;
		if (*text == ',' && !*++text)
			return -EINVAL;
	}
	if (!(mask & 1u << 10))
		return -EINVAL;
	*(uint32_t *)dst = mask;
	return 0;
}

static int parse_handle(const char *text, void *dst, const char **why)
{
	unsigned long v;
	char *end;

	*why = "the handle of a persistent key, from 0x81000000 to 0x81ffffff";
	if (strncmp(text, "0x", 2) != 0 || strlen(text) != 10 || strspn(text + 2, "0123456789abcdefABCDEF") != 8)
		return -EINVAL;
	v = strtoul(text + 2, &end, 16);
	if (*end || v < 0x81000000u || v > 0x81ffffffu)
		return -EINVAL;
	*(uint32_t *)dst = (uint32_t)v;
	return 0;
}

#define AT(member) .offset = offsetof(struct collector_options, member)

static const struct option_row rows[] = {
	{ "verifier", 'v', "URL[,URL]", "stream", "where evidence goes; repeat it: each gets the stream; a comma "
	  "list: the next one stands in when one fails", OPTION_LIST, AT(verifiers) },
	{ "mode", 0, "event|poll", "stream", "report what happens, or look on a timer", OPTION_CHOICE, AT(mode),
	  .fallback = "event", .choices = modes },
	{ "interval", 0, "DUR", "stream", "of poll mode", OPTION_DURATION, AT(interval_us), .fallback = "10s",
	  .min = 10000, .max = 86400000000ull },
	{ "batch-age", 0, "DUR", "stream", "a batch waits at most so long for more entries; 0: not at all",
	  OPTION_DURATION, AT(batch_age_us), .fallback = "2ms", .max = 10000000 },
	{ "batch-entries", 0, "N", "stream", "a batch closes at so many entries", OPTION_U64, AT(batch_entries),
	  .fallback = "1024", .min = 1, .max = LIMIT_BLOCK_ENTRIES },
	{ "context", 0, "on|off", "stream", "send process, user and cgroup with each entry (unattested)", OPTION_SWITCH,
	  AT(context), .fallback = "on" },
	{ "reference-max", 0, "SIZE", "stream", "memory and disk for the verifiers' reference sets, which make entries short; 0: use "
	  "none", OPTION_SIZE, AT(reference_max), .fallback = "20M", .max = (uint64_t)LIMIT_VERIFIERS * (LIMIT_REFERENCE + 4096u) },
	{ "cache-dir", 0, "DIR", "stream", "where reference sets are kept over a restart; none: nowhere", OPTION_TEXT, AT(cache_dir),
	  .fallback = COLLECTOR_CACHE_DIR },
	{ "label", 0, "TEXT", "stream", "name of this host for people; default its host name", OPTION_TEXT, AT(label) },

	{ "tls-ca", 0, "FILE", "tls", "PEM: who may vouch for the verifier", OPTION_TEXT, AT(tls_ca) },
	{ "tls-cert", 0, "FILE", "tls", "PEM: our certificate, when the verifier asks for one", OPTION_TEXT,
	  AT(tls_cert) },
	{ "tls-key", 0, "FILE", "tls", "PEM: its private key", OPTION_TEXT, AT(tls_key) },
	{ "tls-server-name", 0, "NAME", "tls", "name in the verifier's certificate; default the URL's host",
	  OPTION_TEXT, AT(tls_server_name) },

	{ "tcti", 0, "STR", "tpm", "TCTI string; default device:/dev/tpmrm0", OPTION_TEXT, AT(tcti) },
	{ "ak-alg", 0, "ALG", "tpm", "attestation key: ecc-p256 or rsa2048", OPTION_CHOICE, AT(ak_alg),
	  .fallback = "ecc-p256", .choices = ak_algs },
	{ "ak-handle", 0, "HANDLE", "tpm", "use this persistent key as attestation key (0x81......), such as the IAK; it is "
	  "restricted, signs, and stands under the endorsement hierarchy", OPTION_CUSTOM, AT(ak_handle),
	  .parse = parse_handle },
	{ "iak-cert", 0, "FILE", "tpm", "certificate of the attestation key, PEM or DER; default the TPM's, if it has one",
	  OPTION_TEXT, AT(iak_cert) },
	{ "bank", 0, "NAME", "tpm", "PCR bank to quote: sha256, sha384, sha512, sha1, or auto: the first of these that "
	  "is there", OPTION_CHOICE, AT(bank), .fallback = "auto", .choices = banks },
	{ "pcrs", 0, "LIST", "tpm", "PCRs to quote, 10 among them", OPTION_CUSTOM, AT(pcr_mask), .fallback = "0-10",
	  .parse = parse_pcrs },
	{ "duty", 0, "PERCENT", "tpm", "most of the time that quotes may take", OPTION_U64, AT(duty_percent),
	  .fallback = "20", .min = 1, .max = 100 },
	{ "max-proof-delay", 0, "DUR", "tpm", "every entry is proven within, whatever the duty", OPTION_DURATION,
	  AT(max_proof_delay_us), .fallback = "1s", .min = 1000, .max = 3600000000ull },

	{ "support", 0, "LEVEL", "source", "ordered, signal, poll; auto: the best that works", OPTION_CHOICE,
	  AT(support), .fallback = "auto", .choices = supports },
	{ "poll-interval", 0, "DUR", "source", "at the poll level: look for new entries so often", OPTION_DURATION,
	  AT(poll_interval_us), .fallback = "1s", .min = 10000, .max = 3600000000ull },
	{ "ring-size", 0, "SIZE", "source", "of the BPF ring buffer, a power of two", OPTION_SIZE, AT(ring_bytes),
	  .fallback = "1M", .min = EVENT_RING_MIN, .max = EVENT_RING_MAX },
	{ "securityfs", 0, "DIR", "source", "where securityfs is mounted", OPTION_TEXT, AT(securityfs),
	  .fallback = "/sys/kernel/security" },
	{ "trim-acknowledged", 0, NULL, "source", "let the kernel forget entries that every verifier has stored and proven; Linux "
	  "7.2; no other verifier can ever see them", OPTION_FLAG, AT(trim_acknowledged) },
	{ "source", 0, "SOURCE", "source", "kernel, or pipe:FD, pipe:PATH for tests", OPTION_TEXT, AT(source),
	  .fallback = "kernel" },
	{ "test-source", 0, NULL, "source", "yes, the entries are not a kernel's; verifiers refuse them unless told to "
	  "take them", OPTION_FLAG, AT(test_source) },

	{ "user", 0, "NAME", "sandbox", "user to become when started as root; default imastream, and root without "
	  "capabilities where that user is not", OPTION_TEXT, AT(user) },
	{ "sandbox", 0, "on|off|strict", "sandbox", "confine this process by user, capabilities, Landlock and seccomp: with "
	  "what the kernel has, not at all, or not start when something is missing", OPTION_CHOICE, AT(sandbox),
	  .fallback = "on", .choices = sandbox_choices },

	{ "stats-file", 0, "PATH", "log", "write counters as JSON there on SIGUSR1 and at the end", OPTION_TEXT,
	  AT(stats_file) },
	{ "log-level", 0, "LEVEL", "log", "error, warn, info or debug", OPTION_CHOICE, AT(log_level),
	  .fallback = "info", .choices = log_levels },
};

static const struct options_spec spec = {
	.program = "imastream-collector",
	.summary = "reports and proves what IMA measures, the moment it is measured",
	.env_prefix = "IMASTREAM_",
	.epilogue = "URLs: tls+tcp://HOST:PORT, tcp://HOST:PORT, ipc://PATH. Durations: 500us, 2ms, 1.5s, 10m.\n"
		    "Sizes: 64K, 1M. Signals: SIGTERM ends, SIGUSR1 writes --stats-file, SIGHUP is ignored (restart\n"
		    "to read the configuration again).",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
};

const char *collector_cache_folder(const struct collector_options *o)
{
	return strcmp(o->cache_dir, "none") == 0 || o->reference_max == 0 ? NULL : o->cache_dir;
}

static int usage(struct writer *text, const char *message)
{
	write_fmt(text, "%s\n", message);
	return OPTIONS_USAGE;
}

/* Only what is sure before the start: that the list is there and its staged one is not. */
static int check_trim(const struct collector_options *o, struct writer *text)
{
	cleanup_free_ char *list = NULL;

	if (!o->trim_acknowledged)
		return 0;
	if (strcmp(o->source, "kernel") != 0 || o->mode == MODE_POLL || o->support == EVENT_SUPPORT_POLL)
		return usage(text, "--trim-acknowledged needs the kernel's list and its BPF hooks: not with --source=pipe, --mode=poll or "
				   "--support=poll");
	if (asprintf(&list, "%s/ima/binary_runtime_measurements", o->securityfs) < 0) {
		list = NULL;
		return -ENOMEM;
	}
	if (access(list, F_OK) == 0 && !list_can_be_trimmed(list))
		return usage(text, "--trim-acknowledged: this kernel cannot trim its list; it takes Linux 7.2");
	return 0;
}

static int check_source(struct collector_options *o, struct writer *text)
{
	int r = check_trim(o, text);

	if (r != 0)
		return r;
	if (strcmp(o->source, "kernel") == 0) {
		if (o->test_source)
			return usage(text, "--test-source goes with --source=pipe:..., not with the kernel");
		return 0;
	}
	if (strncmp(o->source, "pipe:", 5) != 0 || !o->source[5])
		return usage(text, "--source is kernel, pipe:FD or pipe:PATH");
	if (!o->test_source)
		return usage(text, "--source=pipe reports entries that no kernel measured. It is for tests only: say "
				   "so with --test-source");
	o->test_pipe = true;
	o->source_what = o->source + 5;
	return 0;
}

/* One --verifier: addresses with commas between. */
static int check_urls(const char *urls, struct writer *text)
{
	for (size_t n; *urls; urls += urls[n] ? n + 1 : n) {
		cleanup_free_ char *url = NULL;

		n = strcspn(urls, ",");
		url = strndup(urls, n);
		if (!url)
			return -ENOMEM;
		if (!net_url_known(url)) {
			write_fmt(text, "--verifier: ");
			write_quoted(text, (struct bytes){ (const uint8_t *)url, n }, 200);
			write_fmt(text, " is not ipc://PATH, tcp://HOST:PORT or tls+tcp://HOST:PORT\n");
			return OPTIONS_USAGE;
		}
	}
	return 0;
}

static int check_together(struct collector_options *o, struct writer *text)
{
	if (o->verifiers.n == 0)
		return usage(text, "no verifier: say --verifier URL");
	if (o->verifiers.n > LIMIT_VERIFIERS) {
		write_fmt(text, "at most %u verifiers (--verifier)\n", LIMIT_VERIFIERS);
		return OPTIONS_USAGE;
	}
	if (o->ring_bytes & (o->ring_bytes - 1))
		return usage(text, "--ring-size is a power of two");
	if (!o->tls_cert != !o->tls_key)
		return usage(text, "--tls-cert and --tls-key go together");
	if (o->label && strlen(o->label) > LIMIT_LABEL) {
		write_fmt(text, "--label has at most %u bytes\n", LIMIT_LABEL);
		return OPTIONS_USAGE;
	}
	for (size_t i = 0; i < o->verifiers.n; i++) {
		int r = check_urls(o->verifiers.items[i], text);

		if (r != 0)
			return r;
		if (strstr(o->verifiers.items[i], "tls+tcp://") && !o->tls_ca)
			return usage(text, "tls+tcp:// needs --tls-ca FILE: who may vouch for the verifier");
	}
	return check_source(o, text);
}

int collector_options_load(struct collector_options *o, int argc, char **argv, struct writer *text)
{
	int r = options_load(&spec, argc, argv, o, text), checked;

	if (r != OPTIONS_RUN && r != OPTIONS_CHECK)
		return r;
	checked = check_together(o, text);
	return checked != 0 ? checked : r;
}

int collector_options_each_path(const struct collector_options *o, option_path_fn fn, void *user)
{
	return options_each_path(&spec, o, fn, user);
}

void collector_options_clear(struct collector_options *o)
{
	options_clear(&spec, o);
}
