// SPDX-License-Identifier: Apache-2.0
/* imastream: the operator's command. One command a file; the bare program shows the status. */
#include <signal.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{ "status", cmd_status, "attesters by state, on one screen (the default)" },
	{ "enrol", cmd_enrol, "which hosts may attest: list, approve, reject, revoke, forget, log" },
	{ "watch", cmd_watch, "live events from a verifier, a line each" },
	{ "log", cmd_log, "log verify: appraise a measurement list offline" },
	{ "quote", cmd_quote, "quote verify: check a TPM quote offline" },
	{ "policy", cmd_policy, "runtime policies: create, check; 'imastream policy --help' lists all" },
	{ "explain", cmd_explain, "what a reason means and what to do about it" },
	{ "doctor", cmd_doctor, "can this host run a collector? numbered checks with remedies" },
};

static void usage(FILE *to)
{
	fprintf(to, "imastream " IMASTREAM_VERSION " - event-driven integrity attestation\n\n"
		    "usage: imastream [COMMAND] [OPTIONS]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\nEach command has --help. Read commands have --json.\n"
		    "Environment: IMASTREAM_CONTROL, IMASTREAM_EVENTS (where the verifier is), IMASTREAM_COLOR, NO_COLOR.\n"
		    "Exit codes: 0 all trusted, 1 error, 2 usage, 3 untrusted, 4 unknown, unproven or stale,\n"
		    "            5 verifier unreachable, 77 not supported here.\n");
}

int main(int argc, char **argv)
{
	cleanup_writer_ struct writer name = WRITER(1024);
	char *status_argv[] = { (char *)"status", NULL };
	const char *text;

	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of writing, seen and reported there */
	cli_set_colour(COLOUR_AUTO);
	if (argc < 2)
		return cmd_status(1, status_argv);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return EXIT_CODE_TRUSTED;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		printf("imastream " IMASTREAM_VERSION "\n");
		return EXIT_CODE_TRUSTED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (argv[1][0] == '-') /* the status, its options without its name */
		return cmd_status(argc, argv);
	write_quoted(&name, (struct bytes){ (const uint8_t *)argv[1], strlen(argv[1]) }, 100);
	text = writer_cstr(&name);
	fprintf(stderr, "imastream: there is no command %s\n\n", text ? text : "of this name");
	usage(stderr);
	return EXIT_CODE_USAGE;
}
