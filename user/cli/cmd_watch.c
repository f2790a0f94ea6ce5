// SPDX-License-Identifier: Apache-2.0
/* imastream watch: events of a verifier, live from its publisher or from a saved file, a line each. */
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/event_line.h"
#include "net/net.h"

struct watch {
	const char *url, *from, *attester;
	const char *ca, *cert, *key;
	bool json, verbose;
	uint64_t count, shown, wait_us, no_events;
};

static const char help[] =
	"usage: imastream watch [OPTIONS]\n\n"
	"  --events URL      the verifier's publisher (IMASTREAM_EVENTS; default " DEFAULT_PUBLISH_URL ")\n"
	"  --from FILE       read saved events (NDJSON) instead; - is standard input\n"
	"  --attester WHO    only this one: a label, or the start of an id\n"
	"  --count N         stop after N events\n"
	"  --json            the events as they come, one JSON document a line\n"
	"  --connect-timeout DURATION  give up when no verifier is reached (default 5s)\n"
	"  --tls-ca FILE --tls-cert FILE --tls-key FILE   for tls+tcp:// URLs\n"
	"  --color always|never|auto\n"
	"  -v, --verbose     a second line with template and digest\n\n"
	"Each finding shows twice: once as soon as it is reported, once when a TPM quote has proven it.\n";

/* 1: shown, 0: filtered out or not an event, negative: our failure. */
static int show(struct watch *w, struct bytes line)
{
	cleanup_writer_ struct writer out = WRITER(1u << 20);
	struct event_filter filter = { .attester = w->attester, .verbose = w->verbose };
	int r = event_line(&out, line, &filter);

	if (r == -EINVAL) {
		/* once, not for each line of a file that is something else */
		if (w->no_events++ == 0)
			fprintf(stderr, "imastream watch: a line that is not an event was left out\n");
		return 0;
	}
	if (r < 0)
		return r;
	if (out.n == 0)
		return 0;
	if (w->json) {
		writer_reset(&out);
		write_bytes(&out, line.p, line.n);
		if (line.n == 0 || line.p[line.n - 1] != '\n')
			write_u8(&out, '\n');
	}
	r = cli_print(&out);
	if (r < 0)
		return r;
	w->shown++;
	return 1;
}

static int watch_file(struct watch *w)
{
	FILE *f = strcmp(w->from, "-") == 0 ? stdin : fopen(w->from, "re");
	cleanup_free_ char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int r = 0, failed = 0;

	if (!f)
		return cli_fail(EXIT_CODE_ERROR, "watch", "cannot read '%s': %s", w->from, strerror(errno));
	while (r >= 0 && (!w->count || w->shown < w->count) && (n = getline(&line, &cap, f)) > 0)
		r = show(w, (struct bytes){ (const uint8_t *)line, (size_t)n });
	if (r >= 0 && ferror(f))
		failed = errno;
	if (f != stdin)
		fclose(f);
	if (failed)
		return cli_fail(EXIT_CODE_ERROR, "watch", "cannot read '%s': %s", w->from, strerror(failed));
	if (w->no_events > 1)
		fprintf(stderr, "imastream watch: %llu lines in all were no events\n", (unsigned long long)w->no_events);
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "watch", "%s", strerror(-r)) : EXIT_CODE_TRUSTED;
}

static void sub_cleanup(struct net_sub **s)
{
	net_sub_free(s);
}

static int watch_live(struct watch *w)
{
	cleanup_(sub_cleanup) struct net_sub *sub = NULL;
	struct net_tls tls = { .ca = w->ca, .cert = w->cert, .key = w->key };
	uint64_t deadline = clock_mono_us() + w->wait_us;
	bool connected = false, ever = false;
	int r = net_sub_new(&sub, w->url, &tls);

	if (r < 0)
		return cli_fail(EXIT_CODE_UNREACHABLE, "watch", "cannot use the address '%s': %s%s", w->url, strerror(-r),
				r == -EINVAL ? " (it is ipc:///PATH, tcp://HOST:PORT or tls+tcp://HOST:PORT)" : "");
	while (!w->count || w->shown < w->count) {
		struct pollfd p = { .fd = net_sub_fd(sub), .events = POLLIN };
		struct bytes message;

		if (poll(&p, 1, connected ? 1000 : 50) < 0 && errno != EINTR)
			return cli_fail(EXIT_CODE_ERROR, "watch", "poll: %s", strerror(errno));
		while ((!w->count || w->shown < w->count) && net_sub_next(sub, &message)) {
			r = show(w, message);
			if (r < 0)
				return cli_fail(EXIT_CODE_ERROR, "watch", "%s", strerror(-r));
		}
		if (net_sub_connected(sub) != connected) {
			connected = !connected;
			ever = true;
			fprintf(stderr, connected ? "imastream watch: connected to %s\n" :
						    "imastream watch: lost %s, trying again\n", w->url);
		}
		if (!ever && clock_mono_us() > deadline)
			return cli_fail(EXIT_CODE_UNREACHABLE, "watch",
					"no verifier publishes at %s; give its --publish address with --events", w->url);
	}
	return EXIT_CODE_TRUSTED;
}

int cmd_watch(int argc, char **argv)
{
	const char *env = getenv("IMASTREAM_EVENTS"), *count = NULL, *colour = NULL, *wait = NULL;
	struct watch w = { .url = env && *env ? env : DEFAULT_PUBLISH_URL, .wait_us = 5000000 };
	const struct {
		const char *name;
		const char **value;
	} options[] = { { "--events", &w.url },	 { "--from", &w.from },	   { "--attester", &w.attester },
			{ "--count", &count },	 { "--tls-ca", &w.ca },	   { "--tls-cert", &w.cert },
			{ "--tls-key", &w.key }, { "--color", &colour }, { "--connect-timeout", &wait } };
	enum colour_mode mode;

	for (int i = 1; i < argc; i++) {
		size_t k = 0;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return EXIT_CODE_TRUSTED;
		}
		if (strcmp(argv[i], "--json") == 0) {
			w.json = true;
			continue;
		}
		if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "--verbose") == 0) {
			w.verbose = true;
			continue;
		}
		while (k < ARRAY_SIZE(options) && strcmp(argv[i], options[k].name) != 0)
			k++;
		if (k == ARRAY_SIZE(options))
			return cli_fail(EXIT_CODE_USAGE, "watch", "unexpected argument '%s'", argv[i]);
		if (i + 1 == argc)
			return cli_fail(EXIT_CODE_USAGE, "watch", "%s needs a value", argv[i]);
		*options[k].value = argv[++i];
	}
	if (count && parse_u64(count, 1, UINT64_MAX, &w.count) < 0)
		return cli_fail(EXIT_CODE_USAGE, "watch", "--count takes a number from 1, not '%s'", count);
	if (wait && parse_duration_us(wait, &w.wait_us) < 0)
		return cli_fail(EXIT_CODE_USAGE, "watch", "--connect-timeout takes a duration such as 5s, not '%s'", wait);
	if (colour) {
		if (!cli_colour_mode(colour, &mode))
			return cli_fail(EXIT_CODE_USAGE, "watch", "--color takes always, never or auto, not '%s'", colour);
		cli_set_colour(mode);
	}
	return w.from ? watch_file(&w) : watch_live(&w);
}
