/* SPDX-License-Identifier: Apache-2.0 */
/* The options of imastream-verifier: flags, INI file, environment and --help from one table. */
#pragma once

#include "base/options.h"
#include "policy/policy.h"

struct verifier_options {
	struct option_list listen;
	char *tls_cert, *tls_key, *tls_ca;
	bool tls_require_client_cert;
	struct option_list policy; /* FILE or NAME=FILE */
	char *policies, *groups;
	uint64_t policy_overlap_us, policy_history, policy_threshold;
	struct option_list policy_key, policy_identity, policy_issuer, policy_trusted_root;
	struct option_list keyring;
	char *require_ima_policy; /* a file, or imapolicy_builtin() */
	struct option_list ima_policy;
	unsigned int violations; /* VIOLATIONS_BY_POLICY, or enum violation_rule */
	struct option_list ak_list;
	char *enrol; /* enrol_modes_parse() */
	struct option_list ek_ca, iak_ca, preauth;
	bool trust_on_first_use, allow_test_sources;
	uint64_t heartbeat_us, deadline_us; /* deadline 0: twice the heartbeat and a second */
	char *store, *publish, *control, *events;
	unsigned int log_level;
	char *user;	      /* NULL: imastream, when there is one */
	unsigned int sandbox; /* enum sandbox_mode */
	uint64_t ready_fd; /* READY_FD_NONE: nobody waits */
};
#define VIOLATIONS_BY_POLICY 99u
#define READY_FD_NONE 0u

extern const struct options_spec verifier_options_spec;

/* Policies must be signed. */
bool verifier_options_sign(const struct verifier_options *o);
/* What one option cannot say about another. NULL, or static text for people. */
const char *verifier_options_problem(const struct verifier_options *o);
