// SPDX-License-Identifier: Apache-2.0
/* imastream enrol: which hosts may attest, and what people decide about them. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "imastream/limits.h"

#define ASK_US 5000000u
#define ID_DIGITS 64u
#define ID_SHOWN 12u
#define ID_LEAST 4u /* digits of a short id */
#define SAID_MAX 8u /* of several that match */

static const char help[] =
	"usage: imastream enrol [list] [--control URL] [--json]\n"
	"       imastream enrol approve|reject|revoke|forget HOST [--why TEXT] [--control URL] [--json]\n"
	"       imastream enrol log [HOST] [--control URL] [--json]\n\n"
	"Shows which hosts may attest, and decides about one.\n\n"
	"  list      all hosts, those that wait for somebody first (the default)\n"
	"  approve   a host that waits may attest from now on\n"
	"  reject    a host that waits may not; it stays in the list and is refused\n"
	"  revoke    an enrolled host may attest no more; its session ends at once\n"
	"  forget    nothing is known of the host any more, its evidence included: it may ask again\n"
	"  log       who decided what, when and why, the oldest first\n\n"
	"HOST is an attester id, its first digits (at least 4) or a label, when only one host has it. The label of a host\n"
	"that waits is what that host calls itself: compare the id with the one that the host knows of itself before\n"
	"you approve it.\n\n"
	"  --why TEXT          for the log: a ticket, a reason\n"
	"  --control URL       the verifier's control socket (IMASTREAM_CONTROL; default " DEFAULT_CONTROL_URL ")\n"
	"  --json              the verifier's answer as it is\n"
	"  --color MODE        always, never or auto\n\n"
	"Decisions are taken from the Unix socket only; whoever may open it may decide.\n\n"
	"Examples:\n"
	"  imastream enrol\n"
	"  imastream enrol approve 4f2a91 --why 'ordered with ticket 812'\n"
	"  imastream enrol revoke web-7 --why stolen\n\n"
	"Exit codes: 0 done, 1 the verifier refused or no single host is meant, 2 usage, 5 no verifier.\n";

struct request {
	const char *url, *why, *command, *host;
	bool as_json;
};

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

/* 0 go on, 1 help was shown, else the exit code negated. */
static int parse(int argc, char **argv, struct request *q)
{
	static const struct option options[] = {
		{ "control", required_argument, NULL, 'c' }, { "why", required_argument, NULL, 'w' },
		{ "color", required_argument, NULL, 'C' },   { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },	     { 0 },
	};
	enum colour_mode mode;
	int k;

	*q = (struct request){ .url = cli_control_url(), .command = "list" };
	optind = 0;
	opterr = 0;
	while ((k = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (k) {
		case 'c':
			q->url = optarg;
			break;
		case 'w':
			q->why = optarg;
			break;
		case 'j':
			q->as_json = true;
			break;
		case 'C':
			if (!cli_colour_mode(optarg, &mode))
				return -cli_fail(EXIT_CODE_USAGE, "enrol", "--color takes always, never or auto, not '%s'", optarg);
			cli_set_colour(mode);
			break;
		case 'h':
			fputs(help, stdout);
			return 1;
		default:
			return -cli_fail(EXIT_CODE_USAGE, "enrol", k == ':' ? "'%s' needs a value" : "unknown option '%s'",
					 argv[optind - 1]);
		}
	}
	if (optind < argc)
		q->command = argv[optind++];
	if (optind < argc)
		q->host = argv[optind++];
	if (optind < argc)
		return -cli_fail(EXIT_CODE_USAGE, "enrol", "unexpected argument '%s'", argv[optind]);
	if (q->why && strlen(q->why) > LIMIT_ENROL_WHY)
		return -cli_fail(EXIT_CODE_USAGE, "enrol", "--why is too long: at most %u bytes", LIMIT_ENROL_WHY);
	return 0;
}

/* The answer as JSON in *doc; an exit code when there is none to show. id: of the question's attester, NULL: none. */
static int ask(const struct request *q, const char *key, const char *value, const char *id, struct writer *answer, json_t **doc)
{
	cleanup_writer_ struct writer question = WRITER(65536);
	const char *text;
	struct json j;
	int r;

	jw_begin(&j, &question, false);
	jw_object(&j, NULL);
	jw_string(&j, key, value);
	if (id)
		jw_string(&j, "attester", id);
	if (q->why)
		jw_bytes(&j, "why", bytes_of(q->why));
	jw_object_end(&j);
	text = writer_cstr(&question);
	r = text ? cli_ask(q->url, text, ASK_US, answer) : -ENOMEM;
	if (r < 0)
		return cli_not_asked("enrol", q->url, r);
	*doc = json_loadb((const char *)answer->p, answer->n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(*doc))
		return cli_fail(EXIT_CODE_ERROR, "enrol", "the verifier's answer is not JSON");
	if (*text_of(*doc, "error"))
		return cli_fail(EXIT_CODE_ERROR, "enrol", "the verifier says: %s", text_of(*doc, "error"));
	return EXIT_CODE_TRUSTED;
}

static int show(const struct request *q, struct writer *answer, struct writer *text)
{
	int r;

	if (q->as_json)
		write_u8(answer, '\n');
	r = cli_print(q->as_json ? answer : text);
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "enrol", "cannot write the answer: %s", strerror(-r)) : EXIT_CODE_TRUSTED;
}

/* --- tables ---- */

/* "2026-11-24 03:30" of an RFC 3339 text. */
static void write_minute(struct writer *w, const char *time)
{
	const char *t = strchr(time, 'T');

	if (t && t == time + 10 && strlen(t) > 6 && strspn(time, "0123456789-T:") >= 16)
		write_fmt(w, "%.10s %.5s", time, t + 1);
	else
		write_fmt(w, "-");
}

/* The TPM maker's four letters, that certificates write as "id:494E5443" (TCG EK Credential Profile, 3.1.2). */
static void write_maker(char out[16], const json_t *certificate)
{
	const char *text = text_of(certificate, "manufacturer");
	uint8_t letters[4];
	size_t n = 0;

	snprintf(out, 16, "%.15s", *text ? text : "-");
	if (strncmp(text, "id:", 3) != 0 || hex_decode(bytes_of(text + 3), letters, sizeof(letters)) < 0)
		return;
	while (n < sizeof(letters) && letters[n] > ' ' && letters[n] < 0x7f)
		n++;
	for (size_t i = n; i < sizeof(letters); i++)
		if (letters[i] != 0 && letters[i] != ' ')
			return;
	if (n)
		snprintf(out, 16, "%.*s", (int)n, (const char *)letters);
}

static enum cli_style style_of_status(const char *status)
{
	if (strcmp(status, "enrolled") == 0)
		return STYLE_GOOD;
	return strcmp(status, "pending") == 0 ? STYLE_WARN : STYLE_BAD;
}

static void short_id(char out[ID_SHOWN + 1], const char *id)
{
	size_t n = strspn(id, "0123456789abcdef");

	snprintf(out, ID_SHOWN + 1, "%.*s", (int)n, id);
}

static void write_rows(struct writer *w, const json_t *rows, bool pending)
{
	char id[ID_SHOWN + 1], maker[16];
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *status = text_of(row, "status");

		if ((strcmp(status, "pending") == 0) != pending)
			continue;
		short_id(id, text_of(row, "id"));
		write_maker(maker, json_object_get(row, "certificate"));
		cli_cell(w, status, 8, style_of_status(status));
		cli_cell(w, *text_of(row, "label") ? text_of(row, "label") : "-", 18, STYLE_BOLD);
		cli_cell(w, id, ID_SHOWN, STYLE_PLAIN);
		cli_cell(w, *text_of(row, "how") ? text_of(row, "how") : "-", 9, STYLE_PLAIN);
		cli_cell(w, maker, 5, STYLE_PLAIN);
		write_minute(w, text_of(row, "changed"));
		write_u8(w, '\n');
	}
}

static int list(const struct request *q)
{
	cleanup_writer_ struct writer answer = WRITER(64u << 20), w = WRITER(64u << 20);
	cleanup_(json_cleanup) json_t *doc = NULL;
	char id[ID_SHOWN + 1] = "";
	const json_t *rows, *row;
	size_t i, waiting = 0;
	int r = ask(q, "get", "enrolments", NULL, &answer, &doc);

	if (r != EXIT_CODE_TRUSTED)
		return r;
	rows = json_object_get(doc, "enrolments");
	json_array_foreach(rows, i, row)
		if (strcmp(text_of(row, "status"), "pending") == 0 && waiting++ == 0)
			short_id(id, text_of(row, "id"));
	if (json_array_size(rows) == 0) {
		write_fmt(&w, "No host has come yet.\n");
		return show(q, &answer, &w);
	}
	write_fmt(&w, "%s%-8s  %-18s  %-12s  %-9s  %-5s  %s%s\n", style_on(STYLE_HEAD), "STATE", "LABEL", "ID", "HOW", "TPM",
		  "SINCE", style_off());
	write_rows(&w, rows, true);
	write_rows(&w, rows, false);
	if (waiting)
		write_fmt(&w, "\n%zu %s. Next: imastream enrol approve %s (or reject)\n", waiting,
			  waiting == 1 ? "waits" : "wait", id);
	return show(q, &answer, &w);
}

/* --- which host is meant ---- */

static bool is_short_id(const char *text)
{
	size_t n = strlen(text);

	return n >= ID_LEAST && n <= ID_DIGITS && strspn(text, "0123456789abcdefABCDEF") == n;
}

static bool matches(const json_t *row, const char *host)
{
	if (is_short_id(host) && strncasecmp(text_of(row, "id"), host, strlen(host)) == 0)
		return true;
	/* no host may call itself by the whole id of another one */
	return strcmp(text_of(row, "label"), host) == 0 && !(is_short_id(host) && strlen(host) == ID_DIGITS);
}

static int ambiguous(const json_t *rows, const char *host, size_t n)
{
	cleanup_writer_ struct writer text = WRITER(65536);
	const json_t *row;
	size_t i, said = 0;

	write_fmt(&text, "%zu hosts match:", n);
	json_array_foreach(rows, i, row) {
		char id[ID_SHOWN + 5];

		if (!matches(row, host) || said++ >= SAID_MAX)
			continue;
		snprintf(id, sizeof(id), "%.16s", text_of(row, "id"));
		write_fmt(&text, "\n  %s  %s  ", id, text_of(row, "status"));
		write_quoted(&text, bytes_of(text_of(row, "label")), LIMIT_LABEL);
	}
	write_fmt(&text, "%s\nGive more digits of the id.", said > SAID_MAX ? "\n  ..." : "");
	return cli_fail(EXIT_CODE_ERROR, "enrol", "'%s': %s", host, writer_cstr(&text) ? (const char *)text.p : "several match");
}

/* The id of the host that is meant, and its row; an exit code when it is not exactly one. */
static int resolve(const struct request *q, json_t **doc, const json_t **found)
{
	cleanup_writer_ struct writer answer = WRITER(64u << 20);
	const struct request question = { .url = q->url };
	const json_t *rows, *row;
	size_t i, n = 0;
	int r = ask(&question, "get", "enrolments", NULL, &answer, doc);

	if (r != EXIT_CODE_TRUSTED)
		return r;
	rows = json_object_get(*doc, "enrolments");
	json_array_foreach(rows, i, row)
		if (matches(row, q->host) && n++ == 0)
			*found = row;
	if (n == 1)
		return EXIT_CODE_TRUSTED;
	if (n > 1)
		return ambiguous(rows, q->host, n);
	return cli_fail(EXIT_CODE_ERROR, "enrol",
			"no host has the id or label '%s' (of an id at least %u digits); see: imastream enrol list", q->host,
			ID_LEAST);
}

/* --- decisions ---- */

static int decide(const struct request *q, const char *done, const char *then)
{
	cleanup_(json_cleanup) json_t *before = NULL, *doc = NULL;
	cleanup_writer_ struct writer answer = WRITER(65536), w = WRITER(65536);
	const json_t *row = NULL;
	int r;

	if (!q->host)
		return cli_fail(EXIT_CODE_USAGE, "enrol", "%s: which host? See: imastream enrol list", q->command);
	r = resolve(q, &before, &row);
	if (r == EXIT_CODE_TRUSTED)
		r = ask(q, "enrol", q->command, text_of(row, "id"), &answer, &doc);
	if (r != EXIT_CODE_TRUSTED)
		return r;
	if (*text_of(row, "label")) {
		write_quoted(&w, bytes_of(text_of(row, "label")), LIMIT_LABEL);
		write_u8(&w, ' ');
	}
	write_safe(&w, bytes_of(text_of(doc, "attester")));
	write_fmt(&w, " %s by ", done);
	write_safe(&w, bytes_of(text_of(doc, "who")));
	write_fmt(&w, ": %s\n", then);
	return show(q, &answer, &w);
}

static int show_log(const struct request *q)
{
	cleanup_(json_cleanup) json_t *before = NULL, *doc = NULL;
	cleanup_writer_ struct writer answer = WRITER(64u << 20), w = WRITER(64u << 20);
	const struct request question = { .url = q->url };
	const json_t *row = NULL;
	char id[ID_SHOWN + 1];
	size_t i;
	int r = EXIT_CODE_TRUSTED;

	/* one that was forgotten is only in the log: its whole id finds it */
	if (q->host && !(is_short_id(q->host) && strlen(q->host) == ID_DIGITS))
		r = resolve(q, &before, &row);
	if (r == EXIT_CODE_TRUSTED)
		r = ask(&question, "get", "enrolment-log", row ? text_of(row, "id") : q->host, &answer, &doc);
	if (r != EXIT_CODE_TRUSTED)
		return r;
	write_fmt(&w, "%s%-16s  %-9s  %-18s  %-12s  %s%s\n", style_on(STYLE_HEAD), "TIME", "WHAT", "LABEL", "ID", "WHO: WHY",
		  style_off());
	json_array_foreach(json_object_get(doc, "log"), i, row) {
		write_minute(&w, text_of(row, "time"));
		write_fmt(&w, "  ");
		cli_cell(&w, text_of(row, "action"), 9, STYLE_PLAIN);
		cli_cell(&w, *text_of(row, "label") ? text_of(row, "label") : "-", 18, STYLE_BOLD);
		short_id(id, text_of(row, "attester"));
		cli_cell(&w, id, ID_SHOWN, STYLE_PLAIN);
		write_safe(&w, bytes_of(text_of(row, "who")));
		if (*text_of(row, "why")) {
			write_fmt(&w, ": ");
			write_quoted(&w, bytes_of(text_of(row, "why")), LIMIT_ENROL_WHY);
		}
		write_u8(&w, '\n');
	}
	return show(q, &answer, &w);
}

int cmd_enrol(int argc, char **argv)
{
	static const struct {
		const char *command, *done, *then;
	} decisions[] = {
		{ "approve", "approved", "it may attest when it asks next, as a rule within a second" },
		{ "reject", "rejected", "it is refused until it is forgotten" },
		{ "revoke", "revoked", "its session ended, and it is refused until it is forgotten" },
		{ "forget", "forgotten", "its evidence is gone, and it may ask again" },
	};
	struct request q;
	int r = parse(argc, argv, &q);

	if (r != 0)
		return r > 0 ? EXIT_CODE_TRUSTED : -r;
	for (size_t i = 0; i < ARRAY_SIZE(decisions); i++)
		if (strcmp(q.command, decisions[i].command) == 0)
			return decide(&q, decisions[i].done, decisions[i].then);
	if (q.why)
		return cli_fail(EXIT_CODE_USAGE, "enrol", "%s: --why is for approve, reject, revoke and forget", q.command);
	if (strcmp(q.command, "log") == 0)
		return show_log(&q);
	if (strcmp(q.command, "list") != 0)
		return cli_fail(EXIT_CODE_USAGE, "enrol", "there is no command '%s'", q.command);
	if (q.host)
		return cli_fail(EXIT_CODE_USAGE, "enrol", "list: unexpected argument '%s'", q.host);
	return list(&q);
}
