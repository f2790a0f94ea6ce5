// SPDX-License-Identifier: Apache-2.0
/* imastream policy create | check */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "ima/list.h"
#include "policy/create.h"
#include "policy/policy.h"

static const char usage_text[] =
	"usage: imastream policy create --log LIST [--base POLICY] [--exclude RE]... -o FILE\n"
	"       imastream policy check POLICY [--json]\n\n"
	"create  makes a runtime policy (Keylime v1 JSON) that knows every file of a measurement list.\n"
	"  --log LIST     binary or ASCII list, '-' is standard input; may be repeated\n"
	"  --base POLICY  add to this policy\n"
	"  --exclude RE   add an exclude rule (regular expression from the start of the path); may be repeated\n"
	"  -o FILE        where to write; '-' is standard output\n"
	"check   reads a policy as a verifier does and says what it found, with the place.\n"
	"  --json         one JSON document\n\n"
	"Exit codes: 0 fine, 1 error, 2 usage, 3 the policy is bad.\n";

#define BAD_POLICY EXIT_CODE_UNTRUSTED

static struct bytes text_bytes(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

/* A path or rule given by the operator, for messages. */
static const char *quoted(struct writer *w, const char *s)
{
	const char *text;

	writer_reset(w);
	write_quoted(w, text_bytes(s), 200);
	text = writer_cstr(w);
	return text ? text : "?";
}

static const char *report_text(struct policy_report *report)
{
	const char *text = writer_cstr(&report->text);

	return text ? text : "";
}

/* ---- check ---- */

/* One line of a report: "error: PLACE: TEXT". */
static void message_json(struct json *j, struct bytes line)
{
	struct reader r = reader_of(line), rest;
	struct bytes severity = read_until(&r, ':'), place;

	(void)read_bytes(&r, 1);
	place = read_until(&r, ':');
	(void)read_bytes(&r, 1);
	rest = r;
	jw_object(j, NULL);
	jw_bytes(j, "severity", severity);
	jw_bytes(j, "place", place);
	jw_bytes(j, "text", read_rest(&rest));
	jw_object_end(j);
}

static void check_json(struct writer *w, const struct policy *p, struct policy_report *report)
{
	struct reader r = reader_of(writer_view(&report->text));
	struct json j;

	jw_begin(&j, w, true);
	jw_object(&j, NULL);
	jw_bool(&j, "ok", p != NULL);
	jw_string(&j, "id", p ? policy_id(p) : NULL);
	if (p) {
		jw_u64(&j, "paths", policy_path_count(p));
		jw_u64(&j, "digests", policy_digest_count(p));
		jw_u64(&j, "excludes", policy_exclude_count(p));
		jw_u64(&j, "deny", policy_deny_count(p));
		jw_u64(&j, "keys", policy_keyring(p) ? keyring_count(policy_keyring(p)) : 0);
		jw_string(&j, "violations", violation_rule_name(policy_violation_rule(p)));
	}
	jw_u64(&j, "errors", report->errors);
	jw_u64(&j, "notes", report->notes);
	jw_array(&j, "messages");
	while (reader_left(&r)) {
		struct bytes line = read_until(&r, '\n');

		if (!reader_ok(&r))
			break;
		message_json(&j, line);
	}
	jw_array_end(&j);
	jw_object_end(&j);
	write_u8(w, '\n');
}

static void check_human(struct writer *w, const struct policy *p, struct policy_report *report)
{
	struct reader r = reader_of(writer_view(&report->text));
	unsigned int shown = 0;

	while (reader_left(&r)) {
		struct bytes line = read_until(&r, '\n');
		bool error = line.n && line.p[0] == 'e';

		if (!reader_ok(&r))
			break;
		write_fmt(w, "%s%.*s%s\n", style_on(error ? STYLE_BAD : STYLE_DIM), (int)line.n, (const char *)line.p, style_off());
		shown++;
	}
	if (shown < report->errors + report->notes)
		write_fmt(w, "... and %u more\n", report->errors + report->notes - shown);
	if (p)
		write_fmt(w, "%sgood%s  %zu paths, %zu digests, %zu excludes, %zu denied, %zu keys; violations: %s\n      %s\n",
			  style_on(STYLE_GOOD), style_off(), policy_path_count(p), policy_digest_count(p), policy_exclude_count(p),
			  policy_deny_count(p), policy_keyring(p) ? keyring_count(policy_keyring(p)) : 0,
			  violation_rule_name(policy_violation_rule(p)), policy_id(p));
	else
		write_fmt(w, "%sbad%s   %u %s: a verifier does not load this policy\n", style_on(STYLE_BAD), style_off(),
			  report->errors, report->errors == 1 ? "error" : "errors");
}

static int cannot_read(const char *path, int error)
{
	cleanup_writer_ struct writer name = WRITER(2048);

	if (error == EMSGSIZE)
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s is larger than %u bytes", quoted(&name, path), LIMIT_POLICY_FILE);
	return cli_fail(EXIT_CODE_ERROR, "policy", "cannot read %s: %s", quoted(&name, path), strerror(error));
}

static int check(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), out = WRITER(1u << 20), name = WRITER(2048);
	cleanup_policy_ struct policy *p = NULL;
	struct policy_report report = { .errors = 0 };
	bool as_json = false;
	int c, r;

	optind = 0;
	while ((c = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage_text, stdout);
			return EXIT_CODE_TRUSTED;
		}
		if (c != 'j')
			return cli_fail(EXIT_CODE_USAGE, "policy", "check: unknown option");
		as_json = true;
	}
	if (argc - optind != 1)
		return cli_fail(EXIT_CODE_USAGE, "policy", "check: give one policy file");
	r = read_file(argv[optind], &file);
	if (r < 0)
		return cannot_read(argv[optind], -r);
	r = policy_load_json(&p, writer_view(&file), &report);
	if (r < 0) {
		policy_report_clear(&report);
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot load %s: %s", quoted(&name, argv[optind]), strerror(-r));
	}
	if (as_json)
		check_json(&out, p, &report);
	else
		check_human(&out, p, &report);
	policy_report_clear(&report);
	if (cli_print(&out) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write to standard output");
	return p ? EXIT_CODE_TRUSTED : BAD_POLICY;
}

/* ---- create ---- */

struct create {
	struct baseline *baseline;
	const char *base, *out;
	const char *logs[64];
	size_t n_logs;
	bool ascii; /* one of the lists was */
};

static int take_entries(struct create *c, struct ima_list *list, const char *log)
{
	cleanup_writer_ struct writer name = WRITER(2048);
	enum ima_list_result result;
	struct ima_entry e;
	int r;

	while ((result = ima_list_next(list, &e)) == IMA_LIST_ENTRY) {
		r = baseline_entry(c->baseline, &e);
		if (r < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "%s", strerror(-r));
	}
	if (result == IMA_LIST_BAD)
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s is not a measurement list to its end: %s", quoted(&name, log),
				ima_list_error(list));
	return EXIT_CODE_TRUSTED;
}

static int take_log(struct create *c, const char *log)
{
	cleanup_writer_ struct writer name = WRITER(2048);
	cleanup_ima_list_ struct ima_list *list = NULL;
	cleanup_free_ uint8_t *chunk = alloc_bytes(1u << 16);
	cleanup_fd_ int opened = -1;
	int code, fd, r;
	ssize_t n;

	if (!chunk || ima_list_new(&list, IMA_LIST_DETECT, 0) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	if (strcmp(log, "-") != 0) {
		opened = open(log, O_RDONLY | O_CLOEXEC);
		if (opened < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "cannot open %s: %s", quoted(&name, log), strerror(errno));
	}
	fd = opened < 0 ? STDIN_FILENO : opened;
	while ((n = read(fd, chunk, 1u << 16)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "cannot read %s: %s", quoted(&name, log), strerror(errno));
		r = ima_list_feed(list, chunk, (size_t)n);
		if (r < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "cannot read %s: %s", quoted(&name, log), strerror(-r));
		code = take_entries(c, list, log);
		if (code != EXIT_CODE_TRUSTED)
			return code;
	}
	ima_list_finish(list);
	code = take_entries(c, list, log);
	c->ascii |= ima_list_format(list) == IMA_LIST_ASCII;
	for (int a = 0; code == EXIT_CODE_TRUSTED && a < HASH_COUNT; a++)
		if (hash_size((enum hash_alg)a) == ima_list_digest_size(list) &&
		    baseline_log_hash_alg(c->baseline, (enum hash_alg)a) < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	return code;
}

static int start_from(struct create *c)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), name = WRITER(2048);
	struct policy_report report = { .errors = 0 };
	int r;

	r = read_file(c->base, &file);
	if (r < 0)
		return cannot_read(c->base, -r);
	r = baseline_start_from(c->baseline, writer_view(&file), &report);
	if (r > 0)
		fprintf(stderr, "%s", report_text(&report));
	policy_report_clear(&report);
	if (r > 0)
		return cli_fail(BAD_POLICY, "policy", "%s is not a good policy", quoted(&name, c->base));
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "policy", "%s", strerror(-r)) : EXIT_CODE_TRUSTED;
}

static int finish(struct create *c)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), name = WRITER(2048);
	const struct baseline_counts *n = baseline_counts(c->baseline);
	bool to_stdout = strcmp(c->out, "-") == 0;
	int r;

	r = baseline_write(c->baseline, &file);
	if (r == 0)
		r = to_stdout ? cli_print(&file) : write_file_atomic(c->out, writer_view(&file), 0644);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write %s: %s", quoted(&name, c->out), strerror(-r));
	fprintf(to_stdout ? stderr : stdout,
		"%llu entries read, %llu digests, %llu new; skipped: %llu violations, %llu not understood, %llu that JSON v1 "
		"cannot carry%s\n",
		(unsigned long long)n->entries, (unsigned long long)n->digests, (unsigned long long)n->added,
		(unsigned long long)n->violations, (unsigned long long)n->not_understood, (unsigned long long)n->unsayable,
		c->ascii ? "; an ASCII list shows spaces in names as '_': prefer the binary one" : "");
	return EXIT_CODE_TRUSTED;
}

static int create(int argc, char **argv)
{
	static const struct option options[] = { { "log", required_argument, NULL, 'l' },
						 { "base", required_argument, NULL, 'b' },
						 { "exclude", required_argument, NULL, 'x' },
						 { "output", required_argument, NULL, 'o' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	cleanup_writer_ struct writer why = WRITER(1024), name = WRITER(2048);
	cleanup_baseline_ struct baseline *baseline = NULL;
	struct create todo = { .base = NULL };
	int c, code = EXIT_CODE_TRUSTED, r;

	optind = 0;
	while ((c = getopt_long(argc, argv, "l:b:x:o:h", options, NULL)) != -1) {
		if (c == 'l' && todo.n_logs == ARRAY_SIZE(todo.logs))
			return cli_fail(EXIT_CODE_USAGE, "policy", "create: more than %zu lists", ARRAY_SIZE(todo.logs));
		if (c == 'l')
			todo.logs[todo.n_logs++] = optarg;
		else if (c == 'b')
			todo.base = optarg;
		else if (c == 'o')
			todo.out = optarg;
		else if (c == 'h')
			return fputs(usage_text, stdout) < 0 ? EXIT_CODE_ERROR : EXIT_CODE_TRUSTED;
		else if (c != 'x')
			return cli_fail(EXIT_CODE_USAGE, "policy", "create: unknown option, or one without its value");
	}
	if (optind != argc)
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: unexpected argument %s; lists come with --log",
				quoted(&name, argv[optind]));
	if (!todo.n_logs)
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: which measurement list? --log LIST is needed");
	if (!todo.out)
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: where to? -o FILE is needed, '-o -' is standard output");
	if (baseline_new(&baseline) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	todo.baseline = baseline;
	if (todo.base)
		code = start_from(&todo);
	optind = 0; /* again, now for the rules: they go behind those of the base */
	while (code == EXIT_CODE_TRUSTED && (c = getopt_long(argc, argv, "l:b:x:o:h", options, NULL)) != -1) {
		if (c != 'x')
			continue;
		r = baseline_exclude(baseline, text_bytes(optarg), &why);
		if (r > 0)
			return cli_fail(EXIT_CODE_USAGE, "policy", "--exclude %s: %s", quoted(&name, optarg), writer_cstr(&why));
		if (r < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "%s", strerror(-r));
	}
	for (size_t i = 0; code == EXIT_CODE_TRUSTED && i < todo.n_logs; i++)
		code = take_log(&todo, todo.logs[i]);
	return code == EXIT_CODE_TRUSTED ? finish(&todo) : code;
}

int cmd_policy(int argc, char **argv)
{
	if (argc < 2)
		return cli_fail(EXIT_CODE_USAGE, "policy", "create or check?");
	if (strcmp(argv[1], "create") == 0)
		return create(argc - 1, argv + 1);
	if (strcmp(argv[1], "check") == 0)
		return check(argc - 1, argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return fputs(usage_text, stdout) < 0 ? EXIT_CODE_ERROR : EXIT_CODE_TRUSTED;
	return cli_fail(EXIT_CODE_USAGE, "policy", "there is no 'policy %s'", argv[1]);
}
