// SPDX-License-Identifier: Apache-2.0
#include "verifier/options.h"

#include "base/log.h"
#include "base/sandbox.h"
#include "imastream/options.h"
#include "net/net.h"
#include "verifier/enrol_rules.h"

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
	  .metavar = "[NAME=]FILE",
	  .group = "rules",
	  .type = OPTION_LIST,
	  AT(policy),
	  .help = "runtime policy, Keylime v1 JSON; without a name it judges everybody whom --groups does not name; "
		  "repeatable; without any no file digest is judged" },
	{ .name = "policies",
	  .metavar = "DIR",
	  .group = "rules",
	  .type = OPTION_TEXT,
	  AT(policies),
	  .help = "folder of policies: NAME.json, .policy, .dsse and .imap are the policy NAME, \"default\" judges everybody else" },
	{ .name = "groups",
	  .metavar = "FILE",
	  .group = "rules",
	  .type = OPTION_TEXT,
	  AT(groups),
	  .help = "who is judged by which policy: lines of an attester's id, or of a pattern for labels that --ak-list "
		  "gave, and the policy's name" },
	{ .name = "policy-overlap",
	  .metavar = "DURATION",
	  .group = "rules",
	  .type = OPTION_DURATION,
	  AT(policy_overlap_us),
	  .help = "after a policy changed, what the one before accepts makes no alarm for this long; 0: the new one "
		  "counts at once",
	  .fallback = "0",
	  .max = 90ull * 86400 * SECOND },
	{ .name = "policy-history",
	  .metavar = "N",
	  .group = "rules",
	  .type = OPTION_U64,
	  AT(policy_history),
	  .help = "generations of each policy that are kept in the store for a roll-back",
	  .fallback = "5",
	  .min = 2,
	  .max = LIMIT_POLICY_HISTORY },
	{ .name = "policy-key",
	  .metavar = "FILE",
	  .group = "rules",
	  .type = OPTION_LIST,
	  AT(policy_key),
	  .help = "public key or certificate, PEM, that must have signed every policy (one of them, when there are "
		  "several); repeatable" },
	{ .name = "policy-threshold",
	  .metavar = "N",
	  .group = "rules",
	  .type = OPTION_U64,
	  AT(policy_threshold),
	  .help = "so many different keys of --policy-key must have signed every policy",
	  .fallback = "1",
	  .min = 1,
	  .max = LIMIT_DSSE_SIGNATURES },
	{ .name = "policy-identity",
	  .metavar = "IDENTITY",
	  .group = "rules",
	  .type = OPTION_LIST,
	  AT(policy_identity),
	  .help = "who may sign policies by certificate: e-mail or URI; each with its --policy-issuer; repeatable" },
	{ .name = "policy-issuer",
	  .metavar = "ISSUER",
	  .group = "rules",
	  .type = OPTION_LIST,
	  AT(policy_issuer),
	  .help = "the issuer that must stand behind the --policy-identity of the same place" },
	{ .name = "policy-trusted-root",
	  .metavar = "FILE",
	  .group = "rules",
	  .type = OPTION_LIST,
	  AT(policy_trusted_root),
	  .help = "Sigstore's trusted_root.json: authorities and logs for --policy-identity; repeatable" },
	{ .name = "require-ima-policy",
	  .metavar = "FILE",
	  .group = "rules",
	  .type = OPTION_TEXT,
	  AT(require_ima_policy),
	  .help = "rules by which every host's kernel must measure at least: an IMA policy, or tcb-exec (programs, libraries, "
		  "modules, firmware, policies); without it nothing is required" },
	{ .name = "ima-policy",
	  .metavar = "FILE",
	  .group = "rules",
	  .type = OPTION_LIST,
	  AT(ima_policy),
	  .help = "an IMA policy of the hosts, recognised in their lists by its digest; repeatable" },
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

	{ .name = "enrol",
	  .metavar = "LIST",
	  .group = "enrolment",
	  .type = OPTION_TEXT,
	  AT(enrol),
	  .help = "how hosts that nobody knows get in: ek-ca (a certificate of --ek-ca), preauth (--preauth), manual (somebody "
		  "approves them: imastream enrol), tofu (whoever comes first); with commas, the first that fits decides",
	  .fallback = "ek-ca" },
	{ .name = "ek-ca",
	  .metavar = "PATH",
	  .group = "enrolment",
	  .type = OPTION_LIST,
	  AT(ek_ca),
	  .help = "CA certificates of TPM makers, PEM or DER: a file, or a directory of *.pem *.crt *.cer *.der; repeatable" },
	{ .name = "iak-ca",
	  .metavar = "PATH",
	  .group = "enrolment",
	  .type = OPTION_LIST,
	  AT(iak_ca),
	  .help = "CA certificates that may vouch for attestation keys (IAK), as --ek-ca; without any: those of --ek-ca; "
		  "repeatable" },
	{ .name = "preauth",
	  .metavar = "FILE",
	  .group = "enrolment",
	  .type = OPTION_LIST,
	  AT(preauth),
	  .help = "hosts that may enrol: lines of an endorsement key's SHA-256 (the attester's id) or an attestation key's name, "
		  "and a label; repeatable" },
	{ .name = "ak-list",
	  .metavar = "PATH",
	  .group = "enrolment",
	  .type = OPTION_LIST,
	  AT(ak_list),
	  .help = "attestation keys that may attest, whatever --enrol says: a file, or a directory of *.pem and *.ak; "
		  "repeatable" },
	{ .name = "trust-on-first-use",
	  .group = "enrolment",
	  .type = OPTION_FLAG,
	  AT(trust_on_first_use),
	  .help = "the same as tofu at the end of --enrol: for tests, or a network that you trust" },
	{ .name = "allow-test-sources",
	  .group = "enrolment",
	  .type = OPTION_FLAG,
	  AT(allow_test_sources),
	  .help = "accept collectors whose entries come from a test source, not from a kernel: never in production" },

	{ .name = "user",
	  .metavar = "NAME",
	  .group = "sandbox",
	  .type = OPTION_TEXT,
	  AT(user),
	  .help = "user to become when started as root; default imastream, and root without capabilities where that user is "
		  "not" },
	{ .name = "sandbox",
	  .metavar = "on|off|strict",
	  .group = "sandbox",
	  .type = OPTION_CHOICE,
	  AT(sandbox),
	  .help = "confine this process by user, capabilities, Landlock and seccomp: with what the kernel has, not at all, or "
		  "not start when something is missing",
	  .fallback = "on",
	  .choices = sandbox_choices },

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
		    "                     --policy fleet.json --ek-ca /etc/imastream/ek-ca\n"
		    "  imastream-verifier --store :memory: --trust-on-first-use --policy baseline.json   (this host "
		    "only)\n\n"
		    "SIGHUP reads policies, keyring, CA certificates and lists again, and so does a change of a policy file; what "
		    "is wrong keeps the old ones. SIGTERM says "
		    "goodbye.\n",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
};

static bool is_tls(const char *url)
{
	return strncmp(url, "tls+tcp", 7) == 0;
}

static bool is_none_or_url(const char *url)
{
	return strcmp(url, "none") == 0 || net_url_known(url);
}

bool verifier_options_sign(const struct verifier_options *o)
{
	return o->policy_key.n || o->policy_identity.n || o->policy_trusted_root.n || o->policy_threshold > 1;
}

const char *verifier_options_problem(const struct verifier_options *o)
{
	bool tls = is_tls(o->publish) || is_tls(o->control), known = is_none_or_url(o->publish) && is_none_or_url(o->control);
	struct enrol_rules modes = { 0 };
	const char *expected;

	for (size_t i = 0; i < o->listen.n; i++) {
		tls = tls || is_tls(o->listen.items[i]);
		known = known && net_url_known(o->listen.items[i]);
	}
	if (!known)
		return "--listen, --publish and --control take ipc://PATH, tcp://ADDR:PORT or tls+tcp://ADDR:PORT";
	if (tls && (!o->tls_cert || !o->tls_key))
		return "tls+tcp needs --tls-cert and --tls-key";
	if (o->tls_require_client_cert && !o->tls_ca)
		return "--tls-require-client-cert needs --tls-ca";
	if ((o->policy.n || o->policies) && o->violations != VIOLATIONS_BY_POLICY)
		return "--violations is for a verifier without --policy: the policy has its own rule";
	if (o->policy_identity.n != o->policy_issuer.n)
		return "each --policy-identity needs its --policy-issuer";
	if (o->groups && !o->policy.n && !o->policies)
		return "--groups needs policies: --policy NAME=FILE or --policies";
	if (enrol_modes_parse(o->enrol, &modes, &expected) != 0)
		return expected;
	if (o->deadline_us && o->deadline_us <= o->heartbeat_us)
		return "--deadline must be longer than --heartbeat";
	if (o->ready_fd == STDOUT_FILENO && strcmp(o->events, "-") == 0)
		return "--ready-fd 1 and --events - would share standard output";
	return NULL;
}
