// SPDX-License-Identifier: Apache-2.0
/* imastream policy compile */
#include <getopt.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "policy/compiled.h"

static int compile_file(const char *path, const char *to)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), out = WRITER(LIMIT_POLICY_COMPILED), name = WRITER(2048);
	struct policy_report report = { .errors = 0 };
	bool to_stdout = strcmp(to, "-") == 0;
	int r = read_file(path, &file);

	if (r < 0)
		return policy_cannot_read(path, -r);
	if (policy_is_compiled(writer_view(&file)))
		return cli_fail(EXIT_CODE_USAGE, "policy", "%s is compiled already", policy_quoted(&name, path));
	r = policy_compile(&out, writer_view(&file), &report);
	if (r > 0)
		fprintf(stderr, "%s", policy_report_text(&report));
	policy_report_clear(&report);
	if (r > 0)
		return cli_fail(BAD_POLICY, "policy", "%s is not a good policy", policy_quoted(&name, path));
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot compile %s: %s", policy_quoted(&name, path), strerror(-r));
	r = to_stdout ? cli_print(&out) : write_file_atomic(to, writer_view(&out), 0644);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write %s: %s", policy_quoted(&name, to), strerror(-r));
	fprintf(to_stdout ? stderr : stdout, "%zu bytes of JSON, %zu bytes compiled\n", file.n, out.n);
	return EXIT_CODE_TRUSTED;
}

static int compile(int argc, char **argv)
{
	static const struct option options[] = { { "output", required_argument, NULL, 'o' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	const char *to = NULL;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (c == 'h')
			return policy_help(&policy_compile_command);
		if (c != 'o')
			return cli_fail(EXIT_CODE_USAGE, "policy", "compile: unknown option, or one without its value");
		to = optarg;
	}
	if (argc - optind != 1)
		return cli_fail(EXIT_CODE_USAGE, "policy", "compile: give one policy file");
	if (!to)
		return cli_fail(EXIT_CODE_USAGE, "policy", "compile: where to? -o FILE is needed, '-o -' is standard output");
	return compile_file(argv[optind], to);
}

const struct policy_command policy_compile_command = {
	.name = "compile",
	.summary = "turns a large policy into a file that a verifier loads at once",
	.usage = "usage: imastream policy compile POLICY -o FILE\n\n"
		 "Turns a policy into the form that a verifier reads and uses as it is: a million digests in milliseconds.\n"
		 "It keeps the id of the policy, and is taken wherever a policy is. Replace it by renaming, never in place.\n\n"
		 "  -o, --output FILE  where to write; '-' is standard output\n\n"
		 "Exit codes: 0 fine, 1 error, 2 usage, 3 the policy is bad.\n",
	.run = compile,
};
