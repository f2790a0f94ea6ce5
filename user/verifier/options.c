// SPDX-License-Identifier: Apache-2.0
#include "verifier/options.h"

#include "base/log.h"
#include "imastream/options.h"

static const struct option_choice violation_choices[] = {
	{ "policy", VIOLATIONS_BY_POLICY }, { "ignore", VIOLATION_IGNORE }, { "warn", VIOLATION_WARN },
	{ "fail", VIOLATION_FAIL },	    { NULL, 0 },
};

static const struct option_choice level_choices[] = {
	{ "error", LOG_LEVEL_ERROR }, { "warn", LOG_LEVEL_WARN },   { "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG }, { NULL, 0 },
};

#define AT(member) .offset = offsetof(struct verifier_options, member)
#define SECOND 1000000u

static const struct option_row rows[] = {
	{ .name = "listen",
	  .metavar = "URL",
	  .group = "network",
	  .type = OPTION_LIST,
	  AT(listen),
	  .help = "where collectors connect: tls+tcp://ADDR:PORT, ipc://PATH, or tcp://ADDR:PORT, which is not "
		  "encrypted; "
		  "repeatable; without any: " DEFAULT_LISTEN_URL },
	{ .name = "tls-cert",
	  .metavar = "FILE",
	  .group = "network",
	  .type = OPTION_TEXT,
	  AT(tls_cert),
	  .help = "server certificate, PEM; needed for tls+tcp" },
	{ .name = "tls-key",
	  .metavar = "FILE",
	  .group = "network",
	  .type = OPTION_TEXT,
	  AT(tls_key),
	  .help = "its private key, PEM" },
	{ .name = "tls-ca",
	  .metavar = "FILE",
	  .group = "network",
	  .type = OPTION_TEXT,
	  AT(tls_ca),
	  .help = "who may vouch for collectors, PEM" },
	{ .name = "tls-require-client-cert",
	  .group = "network",
	  .type = OPTION_FLAG,
	  AT(tls_require_client_cert),
	  .help = "refuse collectors without a certificate of --tls-ca" },
	{ .name = "publish",
	  .metavar = "URL",
	  .group = "network",
	  .type = OPTION_TEXT,
	  AT(publish),
	  .help = "where events are published (nng PUB); none: not at all",
	  .fallback = DEFAULT_PUBLISH_URL },
	{ .name = "control",
	  .metavar = "URL",
	  .group = "network",
	  .type = OPTION_TEXT,
	  AT(control),
	  .help = "where `imastream status` asks; none: nobody may",
	  .fallback = DEFAULT_CONTROL_URL },

	{ .name = "policy",
	  .metavar = "FILE",
	  .group = "rules",
	  .type = OPTION_TEXT,
	  AT(policy),
	  .help = "runtime policy, Keylime v1 JSON; without one no file digest is judged" },
	{ .name = "keyring",
	  .metavar = "FILE",
	  .group = "rules",
	  .type = OPTION_LIST,
	  AT(keyring),
	  .help = "public key or certificate that may vouch for signed files, PEM or DER; repeatable" },
	{ .name = "violations",
	  .metavar = "RULE",
	  .group = "rules",
	  .type = OPTION_CHOICE,
	  AT(violations),
	  .help = "files written while they were measured: policy (what it says, else warn), ignore, warn or fail; the "
		  "last three "
		  "only without a policy",
	  .fallback = "policy",
	  .choices = violation_choices },
	{ .name = "heartbeat",
	  .metavar = "DURATION",
	  .group = "rules",
	  .type = OPTION_DURATION,
	  AT(heartbeat_us),
	  .help = "challenge each attester at least this often",
	  .fallback = "60s",
	  .min = SECOND / 10,
	  .max = 86400ull * SECOND },
	{ .name = "deadline",
	  .metavar = "DURATION",
	  .group = "rules",
	  .type = OPTION_DURATION,
	  AT(deadline_us),
	  .help = "an attester without proof for this long is stale; 0: twice the heartbeat and a second",
	  .fallback = "0",
	  .max = 7ull * 86400 * SECOND },

	{ .name = "ak-list",
	  .metavar = "PATH",
	  .group = "enrolment",
	  .type = OPTION_LIST,
	  AT(ak_list),
	  .help = "attestation keys that may attest: a file, or a directory of *.pem and *.ak; repeatable" },
	{ .name = "trust-on-first-use",
	  .group = "enrolment",
	  .type = OPTION_FLAG,
	  AT(trust_on_first_use),
	  .help = "enrol whoever comes first under an identity: for tests, or a network that you trust" },
	{ .name = "allow-test-sources",
	  .group = "enrolment",
	  .type = OPTION_FLAG,
	  AT(allow_test_sources),
	  .help = "accept collectors whose entries come from a test source, not from a kernel: never in production" },

	{ .name = "store",
	  .metavar = "PATH",
	  .group = "output",
	  .type = OPTION_TEXT,
	  AT(store),
	  .help = "SQLite database of state and evidence, or :memory:",
	  .fallback = DEFAULT_STORE },
	{ .name = "events",
	  .metavar = "FILE",
	  .group = "output",
	  .type = OPTION_TEXT,
	  AT(events),
	  .help = "events as JSON lines: - (standard output), a file to append to, or none",
	  .fallback = "-" },
	{ .name = "log-level",
	  .metavar = "LEVEL",
	  .group = "output",
	  .type = OPTION_CHOICE,
	  AT(log_level),
	  .help = "error, warn, info or debug; the log goes to standard error",
	  .fallback = "info",
	  .choices = level_choices },
	{ .name = "ready-fd",
	  .metavar = "N",
	  .group = "output",
	  .type = OPTION_U64,
	  AT(ready_fd),
	  .help = "write one line of JSON with the addresses in use to this file descriptor when ready",
	  .min = 1,
	  .max = 1023 },
};

const struct options_spec verifier_options_spec = {
	.program = "imastream-verifier",
	.summary = "checks the quotes and measurement lists of collectors, and tells who can be trusted",
	.env_prefix = "IMASTREAM_",
	.epilogue = "Examples:\n"
		    "  imastream-verifier --listen tls+tcp://0.0.0.0:4477 --tls-cert v.pem --tls-key v.key \\\n"
		    "                     --policy fleet.json --ak-list /etc/imastream/aks\n"
		    "  imastream-verifier --store :memory: --trust-on-first-use --policy baseline.json   (this host "
		    "only)\n\n"
		    "SIGHUP reads policy, keyring and AK list again; what is wrong keeps the old ones. SIGTERM says "
		    "goodbye.\n",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
};

static bool is_tls(const char *url)
{
	return strncmp(url, "tls+tcp", 7) == 0;
}

const char *verifier_options_problem(const struct verifier_options *o)
{
	bool tls = is_tls(o->publish) || is_tls(o->control);

	for (size_t i = 0; i < o->listen.n; i++)
		tls = tls || is_tls(o->listen.items[i]);
	if (tls && (!o->tls_cert || !o->tls_key))
		return "tls+tcp needs --tls-cert and --tls-key";
	if (o->tls_require_client_cert && !o->tls_ca)
		return "--tls-require-client-cert needs --tls-ca";
	if (o->policy && o->violations != VIOLATIONS_BY_POLICY)
		return "--violations is for a verifier without --policy: the policy has its own rule";
	if (o->deadline_us && o->deadline_us <= o->heartbeat_us)
		return "--deadline must be longer than --heartbeat";
	if (o->ready_fd == STDOUT_FILENO && strcmp(o->events, "-") == 0)
		return "--ready-fd 1 and --events - would share standard output";
	return NULL;
}
