// SPDX-License-Identifier: Apache-2.0
/* imastream policy COMMAND: the table of its commands, one policy_*.c each. */
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/policy_cmd.h"

static const struct policy_command *const table[] = {
	&policy_create_command,
	&policy_check_command,
	&policy_merge_command,
	&policy_diff_command,
	&policy_compile_command,
	&policy_sign_command,
	&policy_verify_command,
	&policy_explain_command,
	&policy_list_command,
	&policy_history_command,
	&policy_reload_command,
	&policy_rollback_command,
	&policy_overlap_command,
};

static int help(void)
{
	printf("usage: imastream policy COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		printf("  %-9s%s\n", table[i]->name, table[i]->summary);
	printf("\nEach has --help. Exit codes: 0 fine, 1 error, 2 usage, 3 the policy is bad, or what the command says.\n");
	return fflush(stdout) != 0 ? EXIT_CODE_ERROR : EXIT_CODE_TRUSTED;
}

int cmd_policy(int argc, char **argv)
{
	cleanup_writer_ struct writer name = WRITER(2048);

	if (argc < 2)
		return cli_fail(EXIT_CODE_USAGE, "policy", "which command?");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help();
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(argv[1], table[i]->name) == 0)
			return table[i]->run(argc - 1, argv + 1);
	return cli_fail(EXIT_CODE_USAGE, "policy", "there is no command %s", policy_quoted(&name, argv[1]));
}
