// SPDX-License-Identifier: Apache-2.0
/* imastream status: one screen from a verifier's control socket. */
#include <jansson.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"

#define REFUSED_SHOWN 5u

static const char help[] =
	"usage: imastream [status] [--control URL] [--timeout DURATION] [--json] [--color always|never|auto]\n\n"
	"Asks a verifier for its attesters and shows them, worst first.\n\n"
	"  --control URL     the verifier's control socket (IMASTREAM_CONTROL; default " DEFAULT_CONTROL_URL ")\n"
	"  --timeout DURATION  give up after this long (default 5s)\n"
	"  --json            the verifier's answer as it is\n\n"
	"Exit codes: 0 all trusted, 3 one is untrusted, 4 one is stale, unproven or enrolling, 5 no verifier.\n";

static void json_cleanup(json_t **j)
{
	json_decref(*j);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static struct bytes bytes_of(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static long long number_of(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static int badness(const char *state)
{
	static const char *const order[] = { "untrusted", "stale", "rebooting", "unproven", "enrolling", "warning", "trusted" };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (strcmp(state, order[i]) == 0)
			return (int)i;
	return 1;
}

static int worst_first(const void *a, const void *b)
{
	const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
	int d = badness(text_of(x, "state")) - badness(text_of(y, "state"));

	return d ? d : strcmp(text_of(x, "label"), text_of(y, "label"));
}

static const char *ago(long long ms, char *buf, size_t n)
{
	if (ms < 0)
		snprintf(buf, n, "never");
	else if (ms < 1000)
		snprintf(buf, n, "%lld ms", ms);
	else if (ms < 120000)
		snprintf(buf, n, "%lld s", ms / 1000);
	else if (ms < 7200000)
		snprintf(buf, n, "%lld min", ms / 60000);
	else
		snprintf(buf, n, "%lld h", ms / 3600000);
	return buf;
}

static void show_attester(struct writer *w, const json_t *a)
{
	const char *state = text_of(a, "state"), *reason = text_of(a, "reason");
	int bad = badness(state);
	enum cli_style style = bad <= 1 ? STYLE_BAD : bad <= 5 ? STYLE_WARN : STYLE_GOOD;
	char numbers[64], when[32], short_id[13];
	const json_t *last = json_object_get(a, "last_quote_ms_ago");

	snprintf(short_id, sizeof(short_id), "%.12s", text_of(a, "id"));
	cli_cell(w, *text_of(a, "label") ? text_of(a, "label") : short_id, 20, STYLE_BOLD);
	cli_cell(w, state, 10, style);
	snprintf(numbers, sizeof(numbers), "%lld / %lld", number_of(a, "proven"), number_of(a, "entries"));
	cli_cell(w, numbers, 17, STYLE_PLAIN);
	cli_cell(w, ago(json_is_integer(last) ? (long long)json_integer_value(last) : -1, when, sizeof(when)), 9, STYLE_PLAIN);
	snprintf(numbers, sizeof(numbers), "%lld", number_of(a, "quotes"));
	cli_cell(w, numbers, 7, STYLE_PLAIN);
	cli_cell(w, text_of(a, "support"), 8, STYLE_DIM);
	write_fmt(w, "%s", style_on(*reason ? style : STYLE_DIM));
	write_safe(w, bytes_of(*reason ? reason : "-"));
	write_fmt(w, "%s", style_off());
	if (number_of(a, "in_flight") > 0)
		write_fmt(w, "  %s+%lld in flight%s", style_on(STYLE_DIM), number_of(a, "in_flight"), style_off());
	/* silence does not replace a worse state, and must show all the same */
	if (json_is_true(json_object_get(a, "stale")) && strcmp(state, "stale") != 0)
		write_fmt(w, "  %sand stale%s", style_on(STYLE_BAD), style_off());
	write_u8(w, '\n');
}

/* The exit code that the worst attester asks for. */
static int status_code(const json_t *doc)
{
	const json_t *attesters = json_object_get(doc, "attesters"), *a;
	int worst = badness("trusted");
	size_t i;

	json_array_foreach(attesters, i, a)
		worst = MIN(worst, badness(text_of(a, "state")));
	if (worst == badness("untrusted"))
		return EXIT_CODE_UNTRUSTED;
	return json_array_size(attesters) == 0 || worst < badness("warning") ? EXIT_CODE_UNKNOWN : EXIT_CODE_TRUSTED;
}

static void show_policy(struct writer *w, const json_t *policy)
{
	const json_t *overlap = json_object_get(policy, "overlap");

	write_fmt(w, "%spolicy ", style_on(STYLE_DIM));
	write_safe(w, bytes_of(text_of(policy, "name")));
	write_fmt(w, " %.23s… (generation %lld, %lld digests", text_of(policy, "id"), number_of(policy, "generation"),
		  number_of(policy, "digests"));
	if (json_is_object(overlap)) {
		write_fmt(w, "; generation %lld is accepted until ", number_of(overlap, "generation"));
		write_safe(w, bytes_of(text_of(overlap, "until")));
	}
	write_fmt(w, ")%s\n", style_off());
}

/* Hosts that somebody has to approve. */
static void show_waiting(struct writer *w, const json_t *attesters)
{
	const json_t *a;
	char id[13] = "";
	size_t i, n = 0;

	json_array_foreach(attesters, i, a) {
		if (strcmp(text_of(a, "enrolment"), "pending") == 0 && n++ == 0)
			snprintf(id, sizeof(id), "%.*s", (int)strspn(text_of(a, "id"), "0123456789abcdef"), text_of(a, "id"));
	}
	if (n)
		write_fmt(w, "\n%s%zu %s%s; all: imastream enrol. Next: imastream enrol approve %s\n",
			  style_on(STYLE_WARN), n, n == 1 ? "host waits" : "hosts wait", style_off(), id);
}

/* Hosts that no rule lets in: they are no attesters, and would be seen nowhere else. */
static void show_refused(struct writer *w, const json_t *refused)
{
	size_t n = json_array_size(refused), i;
	const json_t *row;

	if (n == 0)
		return;
	write_fmt(w, "\n%s%zu %s refused of late%s\n", style_on(STYLE_BAD), n, n == 1 ? "host was" : "hosts were", style_off());
	json_array_foreach(refused, i, row) {
		char id[13];

		if (i == REFUSED_SHOWN) {
			write_fmt(w, "  ... (--json has %zu)\n", n);
			break;
		}
		snprintf(id, sizeof(id), "%.*s", (int)strspn(text_of(row, "id"), "0123456789abcdef"), text_of(row, "id"));
		write_fmt(w, "  ");
		cli_cell(w, *text_of(row, "label") ? text_of(row, "label") : "-", 18, STYLE_BOLD);
		cli_cell(w, id, 12, STYLE_PLAIN);
		write_safe(w, bytes_of(text_of(row, "reason")));
		if (number_of(row, "times") > 1)
			write_fmt(w, " (%lld times)", number_of(row, "times"));
		write_u8(w, '\n');
	}
	write_fmt(w, "Next: imastream explain ");
	write_safe(w, bytes_of(text_of(json_array_get(refused, 0), "reason")));
	write_u8(w, '\n');
}

static int show_status(const json_t *doc)
{
	cleanup_writer_ struct writer w = WRITER(64u << 20);
	const json_t *attesters = json_object_get(doc, "attesters"), *policies = json_object_get(doc, "policies"), *policy;
	const json_t *refused = json_object_get(doc, "refused");
	size_t n = json_array_size(attesters), k;
	cleanup_free_ const json_t **sorted = alloc_bytes(n * sizeof(*sorted));
	const char *worst = "trusted";

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = json_array_get(attesters, i);
	qsort(sorted, n, sizeof(*sorted), worst_first);
	if (n)
		worst = text_of(sorted[0], "state");
	write_fmt(&w, "%s%zu attester%s%s", style_on(STYLE_BOLD), n, n == 1 ? "" : "s", style_off());
	for (size_t i = 0; i < n;) {
		const char *state = text_of(sorted[i], "state");
		size_t same = i;

		while (same < n && strcmp(text_of(sorted[same], "state"), state) == 0)
			same++;
		write_fmt(&w, "  %s%zu ", style_on(badness(state) <= 1 ? STYLE_BAD : badness(state) <= 5 ? STYLE_WARN : STYLE_GOOD),
			  same - i);
		write_bytes(&w, state, strspn(state, "abcdefghijklmnopqrstuvwxyz-"));
		write_fmt(&w, "%s", style_off());
		i = same;
	}
	write_fmt(&w, "\n");
	json_array_foreach(policies, k, policy)
		show_policy(&w, policy);
	if (json_array_size(policies) == 0)
		write_fmt(&w, "%sno policy: digests are not judged; start the verifier with --policy FILE%s\n",
			  style_on(STYLE_WARN), style_off());
	if (n == 0 && json_array_size(refused) == 0)
		write_fmt(&w, "\nNo collector has come yet. On a host: imastream-collector --verifier URL\n");
	else if (n)
		write_fmt(&w, "\n%s%-20s  %-10s  %-17s  %-9s  %-7s  %-8s  %s%s\n", style_on(STYLE_HEAD), "ATTESTER", "STATE",
			  "PROVEN / ENTRIES", "QUOTED", "QUOTES", "SUPPORT", "WORST REASON", style_off());
	for (size_t i = 0; i < n; i++)
		show_attester(&w, sorted[i]);
	show_waiting(&w, attesters);
	show_refused(&w, refused);
	if (n && badness(worst) <= 1 && *text_of(sorted[0], "reason"))
		write_fmt(&w, "\nNext: imastream explain %s\n", text_of(sorted[0], "reason"));
	return cli_print(&w);
}

int cmd_status(int argc, char **argv)
{
	cleanup_writer_ struct writer answer = WRITER(64u << 20);
	cleanup_(json_cleanup) json_t *doc = NULL;
	const char *url = cli_control_url();
	uint64_t timeout_us = 5000000;
	bool as_json = false;
	enum colour_mode mode;
	int r;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return EXIT_CODE_TRUSTED;
		} else if (strcmp(argv[i], "--json") == 0) {
			as_json = true;
		} else if (strcmp(argv[i], "--control") == 0 && value) {
			url = argv[++i];
		} else if (strcmp(argv[i], "--timeout") == 0 && value) {
			if (parse_duration_us(argv[++i], &timeout_us) < 0 || timeout_us < 1000 || timeout_us > 3600000000u)
				return cli_fail(EXIT_CODE_USAGE, "status", "--timeout takes 1ms to 1h, not '%s'", value);
		} else if (strcmp(argv[i], "--color") == 0 && value) {
			if (!cli_colour_mode(argv[++i], &mode))
				return cli_fail(EXIT_CODE_USAGE, "status", "--color takes always, never or auto, not '%s'", value);
			cli_set_colour(mode);
		} else {
			return cli_fail(EXIT_CODE_USAGE, "status", "unexpected argument '%s'", argv[i]);
		}
	}
	r = cli_ask(url, "{\"get\":\"status\"}", timeout_us, &answer);
	if (r < 0)
		return cli_not_asked("status", url, r);
	doc = json_loadb((const char *)answer.p, answer.n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(doc))
		return cli_fail(EXIT_CODE_ERROR, "status", "the verifier's answer is not JSON");
	if (as_json) {
		write_u8(&answer, '\n');
		r = cli_print(&answer);
	} else {
		r = show_status(doc);
	}
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "status", "cannot write the answer: %s", strerror(-r));
	return status_code(doc);
}
