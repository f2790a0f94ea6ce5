// SPDX-License-Identifier: Apache-2.0
/* imastream-collector: one per host. Exit status: 0 ended on request, 1 failure, 2 usage. */
#include <signal.h>
#include <stdio.h>

#include "base/resident.h"
#include "collector/pipeline.h"

static int run(const struct collector_options *o)
{
	cleanup_writer_ struct writer why = WRITER(4096);
	cleanup_(pipeline_free) struct pipeline *p = NULL;
	const char *text;
	int r;

	log_setup("imastream-collector", o->log_level);
	r = pipeline_new(&p, o, &why);
	if (r < 0) {
		text = writer_cstr(&why);
		log_error("%s", text && *text ? text : strerror(-r));
		return 1;
	}
	return pipeline_run(p) < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	cleanup_writer_ struct writer text = WRITER(65536);
	struct collector_options o = { 0 };
	int r = collector_options_load(&o, argc, argv, &text), status = 1;
	const char *shown = writer_cstr(&text);

	resident_give_back();
	signal(SIGPIPE, SIG_IGN); /* TLS writes with write(); a connection that is gone shows as an error */

	switch (r) {
	case OPTIONS_RUN:
		status = run(&o);
		break;
	case OPTIONS_CHECK:
	case OPTIONS_SHOWN:
		status = fputs(shown ? shown : "", stdout) < 0 || fflush(stdout) ? 1 : 0;
		break;
	case OPTIONS_USAGE:
		fprintf(stderr, "imastream-collector: %s", shown ? shown : "wrong usage\n");
		status = 2;
		break;
	default:
		fprintf(stderr, "imastream-collector: %s\n", strerror(-r));
		break;
	}
	collector_options_clear(&o);
	return status;
}
