// SPDX-License-Identifier: Apache-2.0
/* imastream policy merge */
#include <getopt.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "policy/merge.h"

static int add(struct merge *m, const char *path, struct writer *why)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), name = WRITER(2048);
	struct policy_report report = { .errors = 0 };
	int r = read_file(path, &file);

	if (r < 0)
		return policy_cannot_read(path, -r);
	r = merge_add(m, writer_view(&file), &report, why);
	if (r > 0)
		fprintf(stderr, "%s", policy_report_text(&report));
	policy_report_clear(&report);
	if (r > 0)
		return cli_fail(BAD_POLICY, "policy", "%s is not a good policy", policy_quoted(&name, path));
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "policy", "merge: %s", strerror(-r)) : EXIT_CODE_TRUSTED;
}

static int finish(struct merge *m, const char *out, bool as_json)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), name = WRITER(2048), said = WRITER(4096);
	bool to_stdout = strcmp(out, "-") == 0;
	const char *text;
	struct json j;
	int r = merge_write(m, &file);

	if (r == 0)
		r = to_stdout ? cli_print(&file) : write_file_atomic(out, writer_view(&file), 0644);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write %s: %s", policy_quoted(&name, out), strerror(-r));
	if (as_json) {
		jw_begin(&j, &said, true);
		jw_object(&j, NULL);
		jw_u64(&j, "policies", merge_counts(m)->policies);
		jw_u64(&j, "digests", merge_counts(m)->digests);
		jw_object_end(&j);
		write_u8(&said, '\n');
	} else {
		write_fmt(&said, "%llu policies, %llu digests\n", (unsigned long long)merge_counts(m)->policies,
			  (unsigned long long)merge_counts(m)->digests);
	}
	text = writer_cstr(&said);
	if (fputs(text ? text : "", to_stdout ? stderr : stdout) < 0 || fflush(stdout) != 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write to standard output");
	return EXIT_CODE_TRUSTED;
}

static int merge_all(char **files, const char *prefer, const char *out, bool as_json)
{
	cleanup_writer_ struct writer why = WRITER(65536);
	cleanup_merge_ struct merge *m = NULL;
	bool preferred = false;
	int code = EXIT_CODE_TRUSTED;

	if (merge_new(&m, prefer != NULL) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	for (char **f = files; prefer && *f; f++)
		preferred |= strcmp(*f, prefer) == 0;
	if (prefer && !preferred)
		return cli_fail(EXIT_CODE_USAGE, "policy", "merge: --prefer names one of the policies that are merged");
	if (prefer)
		code = add(m, prefer, &why);
	for (char **f = files; code == EXIT_CODE_TRUSTED && *f; f++)
		if (!prefer || strcmp(*f, prefer) != 0)
			code = add(m, *f, &why);
	if (code != EXIT_CODE_TRUSTED)
		return code;
	if (merge_counts(m)->contradictions) {
		const char *text = writer_cstr(&why);

		fprintf(stderr, "%s", text ? text : "");
		return cli_fail(BAD_POLICY, "policy", "merge: the policies contradict each other, see above; --prefer POLICY says "
						      "whose values to take");
	}
	return finish(m, out, as_json);
}

static int merge(int argc, char **argv)
{
	static const struct option options[] = { { "output", required_argument, NULL, 'o' }, { "prefer", required_argument, NULL, 'p' },
						 { "json", no_argument, NULL, 'j' },	     { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *out = NULL, *prefer = NULL;
	bool as_json = false;
	int o;

	optind = 0;
	while ((o = getopt_long(argc, argv, "o:p:jh", options, NULL)) != -1) {
		if (o == 'o')
			out = optarg;
		else if (o == 'p')
			prefer = optarg;
		else if (o == 'j')
			as_json = true;
		else if (o == 'h')
			return policy_help(&policy_merge_command);
		else
			return cli_fail(EXIT_CODE_USAGE, "policy", "merge: unknown option, or one without its value");
	}
	if (argc - optind < 2)
		return cli_fail(EXIT_CODE_USAGE, "policy", "merge: give two policies or more");
	if (!out)
		return cli_fail(EXIT_CODE_USAGE, "policy", "merge: where to? -o FILE is needed, '-o -' is standard output");
	return merge_all(argv + optind, prefer, out, as_json);
}

const struct policy_command policy_merge_command = {
	.name = "merge",
	.summary = "makes one policy of several",
	.usage = "usage: imastream policy merge POLICY POLICY... -o FILE [--prefer POLICY] [--json]\n\n"
		 "Makes one policy that knows what each of them knows: digests, keys, buffers, deny\n"
		 "list, boot PCRs, excludes and ignored keyrings are united. Members with one value\n"
		 "(violations, verification-keys, ...) must not contradict each other.\n\n"
		 "  -o FILE          where to write; '-' is standard output\n"
		 "  --prefer POLICY  one of them: it comes first, and its values are taken\n"
		 "  --json           say what was done as JSON\n\n"
		 "Exit codes: 0 fine, 1 error, 2 usage, 3 one is no good policy, or they contradict\n"
		 "            each other: nothing is written.\n",
	.run = merge,
};
