/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `imastream policy` share: policy_*.c of this folder only. */
#pragma once

#include "base/buf.h"
#include "policy/policy.h"

/* One subcommand, one file policy_NAME.c. To add one: its object here, its line in the table of cmd_policy.c, a line in
 * tools/docs/man. `usage` starts with the lines "usage: imastream policy NAME ..."; run() gets argv[0] = NAME, handles
 * --help itself (policy_help()) and returns an enum exit_code. */
struct policy_command {
	const char *name;
	const char *summary; /* one line */
	const char *usage;
	int (*run)(int argc, char **argv);
};
extern const struct policy_command policy_create_command, policy_check_command;
extern const struct policy_command policy_merge_command, policy_diff_command, policy_explain_command;
extern const struct policy_command policy_compile_command;
extern const struct policy_command policy_sign_command, policy_verify_command;
extern const struct policy_command policy_list_command, policy_history_command, policy_reload_command, policy_rollback_command,
	policy_overlap_command; /* policy_rollout.c: these ask a verifier */

/* Exit code when a file is no good policy. */
#define BAD_POLICY EXIT_CODE_UNTRUSTED

static inline struct bytes policy_text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

/* A path or rule given by the operator, for messages; lives in w. */
const char *policy_quoted(struct writer *w, const char *s);
/* The report's lines, "" without memory. */
const char *policy_report_text(struct policy_report *report);
/* Says so on standard error; returns the exit code. */
int policy_cannot_read(const char *path, int error);
/* The rules of --default-excludes, from 0; NULL past the last. */
const char *policy_default_exclude(size_t i);
/* Prints the usage on standard output; returns the exit code. */
int policy_help(const struct policy_command *c);
