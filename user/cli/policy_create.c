// SPDX-License-Identifier: Apache-2.0
/* imastream policy create: options, what is taken from where, and what is said at the end. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "cli/source.h"
#include "ima/list.h"

#define INPUTS_MAX 64u

enum input_kind { INPUT_LOG, INPUT_SUMS, INPUT_TREE, INPUT_DEB, INPUT_DEB_FILE, INPUT_RPM };

struct input {
	enum input_kind kind;
	const char *what; /* NULL: --root's, of INPUT_DEB and INPUT_RPM */
};

struct create {
	struct baseline *baseline;
	const char *base, *out;
	struct input inputs[INPUTS_MAX];
	size_t n_inputs;
	struct source source; /* its options, and the counts of all sources */
	bool default_excludes, json;
	bool ascii; /* one of the lists was */
};

/* ---- from a measurement list ---- */

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
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s is not a measurement list to its end: %s", policy_quoted(&name, log),
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
			return cli_fail(EXIT_CODE_ERROR, "policy", "cannot open %s: %s", policy_quoted(&name, log), strerror(errno));
	}
	fd = opened < 0 ? STDIN_FILENO : opened;
	while ((n = read(fd, chunk, 1u << 16)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "cannot read %s: %s", policy_quoted(&name, log), strerror(errno));
		r = ima_list_feed(list, chunk, (size_t)n);
		if (r < 0)
			return cli_fail(EXIT_CODE_ERROR, "policy", "cannot read %s: %s", policy_quoted(&name, log), strerror(-r));
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
		return policy_cannot_read(c->base, -r);
	r = baseline_start_from(c->baseline, writer_view(&file), &report);
	if (r > 0)
		fprintf(stderr, "%s", policy_report_text(&report));
	policy_report_clear(&report);
	if (r > 0)
		return cli_fail(BAD_POLICY, "policy", "%s is not a good policy", policy_quoted(&name, c->base));
	return r < 0 ? cli_fail(EXIT_CODE_ERROR, "policy", "%s", strerror(-r)) : EXIT_CODE_TRUSTED;
}

/* ---- from files ---- */

static void add_counts(struct source_counts *sum, const struct source_counts *n)
{
	sum->packages += n->packages;
	sum->files += n->files;
	sum->bytes += n->bytes;
	sum->not_loaded += n->not_loaded;
	sum->excluded += n->excluded;
	sum->changed += n->changed;
	sum->unreadable += n->unreadable;
	sum->missing += n->missing;
	sum->unchecked += n->unchecked;
}

static int take_files(struct create *c, const struct input *in)
{
	struct source s = { .baseline = c->baseline, .hash = c->source.hash, .executables = c->source.executables,
			    .aliases = c->source.aliases, .root = c->source.root, SOURCE_INIT };
	int code, closed;

	if (in->what && in->kind != INPUT_TREE && in->kind != INPUT_DEB_FILE)
		s.root = in->what;
	code = source_open(&s);
	if (code == EXIT_CODE_TRUSTED) {
		switch (in->kind) {
		case INPUT_TREE:
			code = source_tree(&s, in->what);
			break;
		case INPUT_DEB:
			code = source_deb(&s);
			break;
		case INPUT_DEB_FILE:
			code = source_deb_file(&s, in->what);
			break;
		case INPUT_RPM:
		case INPUT_LOG:
		case INPUT_SUMS:
			code = source_rpm(&s);
			break;
		}
	}
	closed = source_close(&s);
	add_counts(&c->source.counts, &s.counts);
	source_clear(&s);
	return code != EXIT_CODE_TRUSTED ? code : closed;
}

static int take(struct create *c, const struct input *in)
{
	switch (in->kind) {
	case INPUT_LOG:
		return take_log(c, in->what);
	case INPUT_SUMS:
		return source_sums(c->baseline, &c->source.counts, in->what);
	case INPUT_TREE:
	case INPUT_DEB:
	case INPUT_DEB_FILE:
	case INPUT_RPM:
		break;
	}
	return take_files(c, in);
}

/* ---- the end ---- */

static bool files_missing(const struct create *c)
{
	return c->source.counts.changed || c->source.counts.unreadable;
}

static void summary_json(struct writer *w, const struct create *c)
{
	const struct baseline_counts *n = baseline_counts(c->baseline);
	const struct source_counts *f = &c->source.counts;
	struct json j;

	jw_begin(&j, w, true);
	jw_object(&j, NULL);
	jw_bool(&j, "complete", !files_missing(c));
	jw_u64(&j, "digests", n->digests);
	jw_u64(&j, "new", n->added);
	jw_u64(&j, "entries", n->entries);
	jw_u64(&j, "packages", f->packages);
	jw_u64(&j, "files", f->files);
	jw_u64(&j, "bytes_hashed", f->bytes);
	jw_object(&j, "left_out");
	jw_u64(&j, "violations", n->violations);
	jw_u64(&j, "not_understood", n->not_understood);
	jw_u64(&j, "not_in_json_v1", n->unsayable);
	jw_u64(&j, "not_loaded", f->not_loaded);
	jw_u64(&j, "excluded", f->excluded);
	jw_u64(&j, "changed", f->changed);
	jw_u64(&j, "unreadable", f->unreadable);
	jw_u64(&j, "missing", f->missing);
	jw_object_end(&j);
	jw_u64(&j, "packages_without_checksums", f->unchecked);
	jw_object_end(&j);
	write_u8(w, '\n');
}

static void say(struct writer *w, bool *first, uint64_t n, const char *text)
{
	if (!n)
		return;
	write_fmt(w, "%s%llu %s", *first ? "" : ", ", (unsigned long long)n, text);
	*first = false;
}

static void summary_text(struct writer *w, const struct create *c)
{
	const struct baseline_counts *n = baseline_counts(c->baseline);
	const struct source_counts *f = &c->source.counts;
	bool lists = false, first = true;

	for (size_t i = 0; i < c->n_inputs; i++)
		lists |= c->inputs[i].kind == INPUT_LOG;
	if (lists)
		write_fmt(w, "%llu entries read, %llu digests, %llu new; skipped: %llu violations, %llu not understood, %llu that JSON "
			     "v1 cannot carry%s\n",
			  (unsigned long long)n->entries, (unsigned long long)n->digests, (unsigned long long)n->added,
			  (unsigned long long)n->violations, (unsigned long long)n->not_understood, (unsigned long long)n->unsayable,
			  c->ascii ? "; an ASCII list shows spaces in names as '_': prefer the binary one" : "");
	if (!f->files && !f->packages && !f->not_loaded && !f->excluded && !files_missing(c))
		return;
	write_fmt(w, "%llu %s", (unsigned long long)f->files, f->files == 1 ? "file" : "files");
	if (f->packages)
		write_fmt(w, " of %llu %s", (unsigned long long)f->packages, f->packages == 1 ? "package" : "packages");
	write_fmt(w, ", %.1f MB hashed; %llu digests, %llu new\n", (double)f->bytes / 1e6, (unsigned long long)n->digests,
		  (unsigned long long)n->added);
	say(w, &first, f->not_loaded, "neither run nor loaded");
	say(w, &first, f->excluded, "excluded");
	say(w, &first, f->changed, "changed since installation");
	say(w, &first, f->unreadable, "unreadable");
	say(w, &first, f->missing, "not there");
	say(w, &first, lists ? 0 : n->unsayable, "that JSON v1 cannot carry");
	write_fmt(w, "%s", first ? "" : " were left out\n");
	if (f->unchecked)
		write_fmt(w, "%llu %s no checksums: their files were taken as they are\n", (unsigned long long)f->unchecked,
			  f->unchecked == 1 ? "package has" : "packages have");
}

static int finish(struct create *c)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE), name = WRITER(2048), out = WRITER(65536);
	bool to_stdout = strcmp(c->out, "-") == 0;
	const char *text;
	int r;

	r = baseline_write(c->baseline, &file);
	if (r == 0)
		r = to_stdout ? cli_print(&file) : write_file_atomic(c->out, writer_view(&file), 0644);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write %s: %s", policy_quoted(&name, c->out), strerror(-r));
	if (c->json)
		summary_json(&out, c);
	else
		summary_text(&out, c);
	text = writer_cstr(&out);
	if (to_stdout)
		fprintf(stderr, "%s", text ? text : "");
	else if (cli_print(&out) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot write to standard output");
	return files_missing(c) ? EXIT_CODE_UNTRUSTED : EXIT_CODE_TRUSTED;
}

/* ---- options ---- */

static const char short_options[] = "l:b:x:o:jh";
static const struct option options[] = { { "log", required_argument, NULL, 'l' },
					 { "tree", required_argument, NULL, 't' },
					 { "sums", required_argument, NULL, 's' },
					 { "deb", optional_argument, NULL, 'd' },
					 { "deb-file", required_argument, NULL, 'f' },
					 { "rpm", optional_argument, NULL, 'r' },
					 { "root", required_argument, NULL, 'R' },
					 { "hash", required_argument, NULL, 'H' },
					 { "executables", no_argument, NULL, 'e' },
					 { "aliases", no_argument, NULL, 'a' },
					 { "base", required_argument, NULL, 'b' },
					 { "exclude", required_argument, NULL, 'x' },
					 { "exclude-from", required_argument, NULL, 'F' },
					 { "default-excludes", no_argument, NULL, 'X' },
					 { "output", required_argument, NULL, 'o' },
					 { "json", no_argument, NULL, 'j' },
					 { "help", no_argument, NULL, 'h' },
					 { 0 } };

static int add_input(struct create *c, enum input_kind kind, const char *what)
{
	if (c->n_inputs == INPUTS_MAX)
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: more than %u inputs", INPUTS_MAX);
	c->inputs[c->n_inputs++] = (struct input){ kind, what };
	return EXIT_CODE_TRUSTED;
}

/* The value of --deb and --rpm may stand behind a space, too. */
static const char *optional_value(char **argv)
{
	if (!optarg && argv[optind] && argv[optind][0] != '-')
		return argv[optind++];
	return optarg;
}

static int one_option(struct create *c, int option, char **argv)
{
	cleanup_writer_ struct writer name = WRITER(2048);

	switch (option) {
	case 'l':
		return add_input(c, INPUT_LOG, optarg);
	case 's':
		return add_input(c, INPUT_SUMS, optarg);
	case 't':
		return add_input(c, INPUT_TREE, optarg);
	case 'd':
		return add_input(c, INPUT_DEB, optional_value(argv));
	case 'f':
		return add_input(c, INPUT_DEB_FILE, optarg);
	case 'r':
		return add_input(c, INPUT_RPM, optional_value(argv));
	case 'R':
		c->source.root = optarg;
		break;
	case 'H':
		if (!hash_from_name(policy_text(optarg), &c->source.hash))
			return cli_fail(EXIT_CODE_USAGE, "policy", "create: --hash %s: it is sha1, sha256, sha384 or sha512",
					policy_quoted(&name, optarg));
		break;
	case 'e':
		c->source.executables = true;
		break;
	case 'a':
		c->source.aliases = true;
		break;
	case 'b':
		c->base = optarg;
		break;
	case 'x':
	case 'F':
		break; /* later */
	case 'X':
		c->default_excludes = true;
		break;
	case 'o':
		c->out = optarg;
		break;
	case 'j':
		c->json = true;
		break;
	default:
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: unknown option, or one without its value");
	}
	return EXIT_CODE_TRUSTED;
}

static int add_rule(struct create *c, struct bytes rule)
{
	cleanup_writer_ struct writer why = WRITER(1024), name = WRITER(2048);
	int r = baseline_exclude(c->baseline, rule, &why);

	if (r > 0) {
		write_quoted(&name, rule, 200);
		return cli_fail(EXIT_CODE_USAGE, "policy", "--exclude %s: %s", writer_cstr(&name), writer_cstr(&why));
	}
	return r < 0 ? source_failed(r) : EXIT_CODE_TRUSTED;
}

/* A rule a line; empty lines and those that start with '#' are none. */
static int add_rules_from(struct create *c, const char *file)
{
	cleanup_writer_ struct writer text = WRITER(LIMIT_POLICY_EXCLUDES * (LIMIT_REGEX + 1));
	int code = EXIT_CODE_TRUSTED, r = read_file(file, &text);
	struct reader lines;

	if (r < 0)
		return policy_cannot_read(file, -r);
	lines = reader_of(writer_view(&text));
	while (code == EXIT_CODE_TRUSTED && reader_left(&lines)) {
		struct bytes rule = next_line(&lines);

		if (rule.n && rule.p[0] != '#')
			code = add_rule(c, rule);
	}
	return code;
}

/* Behind those of the base: the default ones, then the given ones. */
static int add_rules(struct create *c, int argc, char **argv)
{
	int code = EXIT_CODE_TRUSTED, o;
	const char *rule;

	for (size_t i = 0; c->default_excludes && code == EXIT_CODE_TRUSTED && (rule = policy_default_exclude(i)); i++)
		code = add_rule(c, policy_text(rule));
	optind = 0;
	while (code == EXIT_CODE_TRUSTED && (o = getopt_long(argc, argv, short_options, options, NULL)) != -1)
		if (o == 'x')
			code = add_rule(c, policy_text(optarg));
		else if (o == 'F')
			code = add_rules_from(c, optarg);
	return code;
}

static int check_options(const struct create *c, int argc, char **argv)
{
	cleanup_writer_ struct writer name = WRITER(2048);

	if (optind != argc)
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: unexpected argument %s; lists come with --log, trees with --tree",
				policy_quoted(&name, argv[optind]));
	if (!c->n_inputs)
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: from what? --log LIST, --tree DIR, --deb, --deb-file FILE, --rpm "
							   "or --sums FILE is needed");
	if (!c->out)
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: where to? -o FILE is needed, '-o -' is standard output");
	return EXIT_CODE_TRUSTED;
}

static int create(int argc, char **argv)
{
	struct create todo = { .source = { .hash = HASH_SHA256, .root = "/", SOURCE_INIT } };
	cleanup_baseline_ struct baseline *baseline = NULL;
	int code = EXIT_CODE_TRUSTED, o;

	optind = 0;
	while (code == EXIT_CODE_TRUSTED && (o = getopt_long(argc, argv, short_options, options, NULL)) != -1) {
		if (o == 'h')
			return policy_help(&policy_create_command);
		code = one_option(&todo, o, argv);
	}
	if (code == EXIT_CODE_TRUSTED)
		code = check_options(&todo, argc, argv);
	if (code != EXIT_CODE_TRUSTED)
		return code;
	if (baseline_new(&baseline) < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no memory");
	todo.baseline = baseline;
	if (todo.base)
		code = start_from(&todo);
	if (code == EXIT_CODE_TRUSTED)
		code = add_rules(&todo, argc, argv);
	for (size_t i = 0; code == EXIT_CODE_TRUSTED && i < todo.n_inputs; i++)
		code = take(&todo, &todo.inputs[i]);
	return code == EXIT_CODE_TRUSTED ? finish(&todo) : code;
}

const struct policy_command policy_create_command = {
	.name = "create",
	.summary = "makes a runtime policy (Keylime v1 JSON) from lists, files and packages",
	.usage = "usage: imastream policy create INPUT... [OPTIONS] -o FILE\n\n"
		 "Makes a runtime policy (Keylime v1 JSON) that knows the files of its inputs.\n\n"
		 "Inputs, each may be repeated:\n"
		 "  --log LIST          measurement list, binary or ASCII; '-' is standard input\n"
		 "  --tree DIR          all files under a directory\n"
		 "  --deb [ROOT]        files of the installed deb packages; those that differ from\n"
		 "                      what their package brought are left out and named\n"
		 "  --deb-file X.deb    files in a package\n"
		 "  --rpm [ROOT]        digests in the headers of the installed rpm packages\n"
		 "  --sums FILE         lines of digest and name as sha256sum prints them: Keylime's old\n"
		 "                      allowlists\n\n"
		 "Options:\n"
		 "  --root DIR          the root of the host whose files these are, for an image\n"
		 "                      that is unpacked or mounted somewhere; default /\n"
		 "  --hash ALG          sha1, sha256 (default), sha384, sha512: as ima_hash= of the\n"
		 "                      hosts; not for --log and --rpm, which have digests\n"
		 "  --executables       only what is run or loaded: mode x, ELF, #!, .so, .ko, firmware\n"
		 "  --aliases           also the names through links such as /bin -> usr/bin\n"
		 "  --base POLICY       add to this policy\n"
		 "  --exclude RE        add an exclude rule (regular expression from the start of the\n"
		 "                      path); may be repeated; files that it covers are left out\n"
		 "  --exclude-from FILE rules, one a line; '#' starts a comment\n"
		 "  --default-excludes  add rules for files that change by themselves\n"
		 "  -o FILE             where to write; '-' is standard output\n"
		 "  --json              say what was done as JSON\n\n"
		 "Exit codes: 0 fine, 1 error, 2 usage, 3 the base is a bad policy, or files had to be\n"
		 "            left out (changed or unreadable: named; the policy is written),\n"
		 "            77 a program that is needed is not here.\n",
	.run = create,
};
