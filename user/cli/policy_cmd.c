// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_cmd.h"

#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"

const char *policy_quoted(struct writer *w, const char *s)
{
	const char *text;

	writer_reset(w);
	write_quoted(w, policy_text(s), 200);
	text = writer_cstr(w);
	return text ? text : "?";
}

const char *policy_report_text(struct policy_report *report)
{
	const char *text = writer_cstr(&report->text);

	return text ? text : "";
}

int policy_cannot_read(const char *path, int error)
{
	cleanup_writer_ struct writer name = WRITER(2048);

	if (error == EMSGSIZE)
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s is larger than %u bytes", policy_quoted(&name, path), LIMIT_POLICY_FILE);
	return cli_fail(EXIT_CODE_ERROR, "policy", "cannot read %s: %s", policy_quoted(&name, path), strerror(error));
}

int policy_help(const struct policy_command *c)
{
	return fputs(c->usage, stdout) < 0 || fflush(stdout) != 0 ? EXIT_CODE_ERROR : EXIT_CODE_TRUSTED;
}
