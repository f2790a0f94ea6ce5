// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <stdio.h>

#include "base/options.h"
#include "imastream/limits.h"

struct conf {
	bool flag, onoff;
	char *text;
	struct option_list list;
	uint64_t number, duration, size;
	unsigned int choice;
	int custom;
};

static int parse_even(const char *text, void *dst, const char **why)
{
	int v = atoi(text);

	if (v % 2) {
		*why = "an even number";
		return -EINVAL;
	}
	*(int *)dst = v;
	return 0;
}

static const struct option_choice colours[] = { { "red", 3 }, { "green", 5 }, { "blue", 7 }, { NULL, 0 } };

#define AT(m) .offset = offsetof(struct conf, m)
static const struct option_row rows[] = {
	{ "a-flag", 'f', NULL, "one", "a flag", OPTION_FLAG, AT(flag) },
	{ "on-off", 0, "on|off", "one", "a switch", OPTION_SWITCH, AT(onoff), .fallback = "on" },
	{ "text", 't', "TEXT", "one", "a text", OPTION_TEXT, AT(text), .fallback = "dflt" },
	{ "list", 'l', "ITEM", "two", "a list", OPTION_LIST, AT(list) },
	{ "number", 0, "N", "two", "a number", OPTION_U64, AT(number), .fallback = "7", .min = 1, .max = 10 },
	{ "duration", 0, "DUR", "two", "a duration", OPTION_DURATION, AT(duration), .fallback = "2ms", .min = 10 },
	{ "size", 0, "SIZE", "two", "a size", OPTION_SIZE, AT(size), .max = 4096 },
	{ "choice", 0, "COLOUR", "two", "a colour", OPTION_CHOICE, AT(choice), .fallback = "green", .choices = colours },
	{ "custom", 0, "EVEN", "two", "even", OPTION_CUSTOM, AT(custom), .fallback = "4", .parse = parse_even },
};
static const struct options_spec spec = {
	.program = "prog", .summary = "does things", .env_prefix = "OPTTEST_", .epilogue = "The end.",
	.rows = rows, .n_rows = ARRAY_SIZE(rows),
};

static struct writer text = WRITER(65536);

/* Loads with these arguments (NULL-terminated, without the program's name). */
static int load(struct conf *c, const char *const *args)
{
	char *argv[32] = { (char *)"prog" };
	int argc = 1;

	for (; args[argc - 1]; argc++)
		argv[argc] = (char *)args[argc - 1];
	writer_reset(&text);
	return options_load(&spec, argc, argv, c, &text);
}
#define LOAD(c, ...) load(c, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static bool says(const char *what)
{
	return strstr(writer_cstr(&text), what) != NULL;
}

static void write_config(char path[64], const char *content)
{
	cleanup_fd_ int fd = -1;

	snprintf(path, 64, "/tmp/imastream-options-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
}

static int clear_environment(void **state unused_)
{
	static const char *const names[] = { "A_FLAG", "ON_OFF", "TEXT", "LIST", "NUMBER", "CONFIG", "CHOICE", NULL };

	for (size_t i = 0; names[i]; i++) {
		char name[64];

		snprintf(name, sizeof(name), "OPTTEST_%s", names[i]);
		unsetenv(name);
	}
	return 0;
}

static void defaults(void **state unused_)
{
	struct conf c = { 0 };

	assert_int_equal(LOAD(&c), OPTIONS_RUN);
	assert_false(c.flag);
	assert_true(c.onoff);
	assert_string_equal(c.text, "dflt");
	assert_int_equal(c.list.n, 0);
	assert_int_equal(c.number, 7);
	assert_int_equal(c.duration, 2000);
	assert_int_equal(c.size, 0);
	assert_int_equal(c.choice, 5);
	assert_int_equal(c.custom, 4);
	options_clear(&spec, &c);
	assert_null(c.text);
}

static void flags(void **state unused_)
{
	struct conf c = { 0 };

	assert_int_equal(LOAD(&c, "-f", "--on-off=off", "-t", "x y", "--list=a,b", "-l", "c", "--number", "10", "--duration",
			      "1.5s", "--size=4K", "--choice", "blue", "--custom=6"),
			 OPTIONS_RUN);
	assert_true(c.flag);
	assert_false(c.onoff);
	assert_string_equal(c.text, "x y");
	assert_int_equal(c.list.n, 2);
	assert_string_equal(c.list.items[0], "a,b");
	assert_string_equal(c.list.items[1], "c");
	assert_int_equal(c.number, 10);
	assert_int_equal(c.duration, 1500000);
	assert_int_equal(c.size, 4096);
	assert_int_equal(c.choice, 7);
	assert_int_equal(c.custom, 6);
	options_clear(&spec, &c);
}

static void later_wins(void **state unused_)
{
	struct conf c = { 0 };
	char path[64];

	write_config(path, "# comment\n\n[one]\ntext = from file \r\non-off = no\n; comment\n[two]\nlist = f1\nlist=f2\n"
			   "number = 2\nchoice=red");
	assert_int_equal(LOAD(&c, "--config", path), OPTIONS_RUN);
	assert_string_equal(c.text, "from file");
	assert_false(c.onoff);
	assert_int_equal(c.list.n, 2);
	assert_int_equal(c.number, 2);
	assert_int_equal(c.choice, 3);
	options_clear(&spec, &c);

	c = (struct conf){ 0 };
	setenv("OPTTEST_CONFIG", path, 1);
	setenv("OPTTEST_NUMBER", "3", 1);
	setenv("OPTTEST_A_FLAG", "yes", 1);
	setenv("OPTTEST_LIST", "  e1 e2\te3 ", 1);
	setenv("OPTTEST_CHOICE", "", 1); /* empty: not set */
	assert_int_equal(LOAD(&c), OPTIONS_RUN);
	assert_string_equal(c.text, "from file");
	assert_int_equal(c.number, 3);
	assert_true(c.flag);
	assert_int_equal(c.list.n, 3); /* replaces, does not add to, what the file said */
	assert_string_equal(c.list.items[2], "e3");
	assert_int_equal(c.choice, 3);
	options_clear(&spec, &c);

	c = (struct conf){ 0 };
	assert_int_equal(LOAD(&c, "--list", "only", "--number=4"), OPTIONS_RUN);
	assert_int_equal(c.list.n, 1);
	assert_int_equal(c.number, 4);
	options_clear(&spec, &c);
	unlink(path);
}

static void expect_usage(const char *const *args, const char *what)
{
	struct conf c = { 0 };

	assert_int_equal(load(&c, args), OPTIONS_USAGE);
	if (!says(what))
		fail_msg("'%s' does not say '%s'", writer_cstr(&text), what);
	options_clear(&spec, &c);
}
#define USAGE(what, ...) expect_usage((const char *const[]){ __VA_ARGS__, NULL }, what)

static void wrong_flags(void **state unused_)
{
	USAGE("--number: '0' is not a number, at least 1, at most 10", "--number", "0");
	USAGE("--number: '11' is not", "--number", "11");
	USAGE("--number: '-1' is not", "--number=-1");
	USAGE("--number: '3 ' is not", "--number=3 ");
	USAGE("--duration: '9us' is not a duration such as 2ms or 1.5s, at least 10us", "--duration", "9us");
	USAGE("--size: '4097' is not a size", "--size", "4097");
	USAGE("--choice: 'pink' is not red, green or blue", "--choice", "pink");
	USAGE("--on-off: 'maybe' is not on or off", "--on-off", "maybe");
	USAGE("--custom: '5' is not an even number", "--custom", "5");
	USAGE("--text: '' is not a text", "--text=");
	USAGE("unknown option '--nope'", "--nope");
	USAGE("an argument is missing behind '--text'", "--text");
	USAGE("unexpected argument 'word'", "word");
	USAGE("\\x1b", "\033[31m"); /* escaped for the terminal */
}

static void wrong_files(void **state unused_)
{
	static const struct { const char *content, *says; } cases[] = {
		{ "[three]\n", ":1: unknown section 'three'" },
		{ "[one]\nnope = 1\n", ":2: unknown key 'nope'" },
		{ "[one]\nnumber = 1\n", ":2: key number belongs into section [two]" },
		{ "number = 1\n", ":1: key number belongs into section [two]" },
		{ "[two]\nnumber\n", ":2: expected `key = value`, found 'number'" },
		{ "[two\nnumber=1\n", ":1: expected `[section]`, found '[two'" },
		{ "[two]\n\nnumber = x\n", ":3: number: 'x' is not a number" },
	};
	struct conf c = { 0 };
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_config(path, cases[i].content);
		USAGE(cases[i].says, "--config", path);
		unlink(path);
	}
	USAGE("cannot read the configuration '/nonexistent/x': No such file", "--config", "/nonexistent/x");
	/* a broken environment is named as such */
	setenv("OPTTEST_NUMBER", "99", 1);
	assert_int_equal(LOAD(&c), OPTIONS_USAGE);
	assert_true(says("OPTTEST_NUMBER: '99' is not"));
	options_clear(&spec, &c);
}

/* A file of LIMIT_CONFIG_FILE bytes is read, one byte more is not (the reader adds a line end of its own). */
static void file_limit(void **state unused_)
{
	cleanup_free_ char *content = malloc(LIMIT_CONFIG_FILE + 1);
	struct conf c = { 0 };
	char path[64];

	memset(content, '#', LIMIT_CONFIG_FILE);
	memcpy(content + LIMIT_CONFIG_FILE - 17, "\n[two]\nnumber = 9", 18); /* the last line counts */
	write_config(path, content);
	assert_int_equal(LOAD(&c, "--config", path), OPTIONS_RUN);
	assert_int_equal(c.number, 9);
	options_clear(&spec, &c);
	unlink(path);
	write_config(path, content);
	{
		FILE *f = fopen(path, "a");

		assert_non_null(f);
		assert_int_equal(fputc('\n', f), '\n');
		assert_int_equal(fclose(f), 0);
	}
	USAGE("it is too large", "--config", path);
	unlink(path);
}

static void list_limit(void **state unused_)
{
	cleanup_writer_ struct writer content = WRITER(8192);
	struct conf c = { 0 };
	char path[64];

	write_fmt(&content, "[two]\n");
	for (unsigned int i = 0; i < OPTION_LIST_MAX; i++)
		write_fmt(&content, "list = x\n");
	write_config(path, writer_cstr(&content));
	assert_int_equal(LOAD(&c, "--config", path), OPTIONS_RUN);
	assert_int_equal(c.list.n, OPTION_LIST_MAX);
	options_clear(&spec, &c);
	unlink(path);
	write_fmt(&content, "list = x\n");
	write_config(path, writer_cstr(&content));
	USAGE("list: 'x' is not at most 64 texts", "--config", path);
	unlink(path);
}

static void texts(void **state unused_)
{
	struct conf c = { 0 };

	assert_int_equal(LOAD(&c, "--help"), OPTIONS_SHOWN);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(says(rows[i].name));
		assert_true(says(rows[i].help));
	}
	assert_true(says("(default: 2ms)"));
	assert_true(says("[two]"));
	assert_true(says("OPTTEST_"));
	assert_true(says("The end."));
	assert_int_equal(LOAD(&c, "-h"), OPTIONS_SHOWN);
	assert_int_equal(LOAD(&c, "--version"), OPTIONS_SHOWN);
	assert_true(says("prog "));
}

/* What --check-config shows can be read back. */
static void effective_configuration(void **state unused_)
{
	struct conf c = { 0 }, again = { 0 };
	char path[64];

	setenv("OPTTEST_TEXT", "env text", 1);
	assert_int_equal(LOAD(&c, "--check-config", "--number=9", "--list=a", "--list=b", "--duration=1500us", "-f",
			      "--custom=8"),
			 OPTIONS_CHECK);
	assert_true(says("# number: flag\nnumber = 9\n"));
	assert_true(says("# text: environment\ntext = env text\n"));
	assert_true(says("# choice: default\nchoice = green\n"));
	assert_true(says("# size: not set\n"));
	assert_true(says("# custom: flag\ncustom = 8\n"));
	write_config(path, writer_cstr(&text));
	unsetenv("OPTTEST_TEXT");
	assert_int_equal(LOAD(&again, "--config", path), OPTIONS_RUN);
	assert_int_equal(again.number, 9);
	assert_int_equal(again.list.n, 2);
	assert_int_equal(again.duration, 1500);
	assert_int_equal(again.custom, 8);
	assert_string_equal(again.text, "env text");
	assert_true(again.flag);
	options_clear(&spec, &c);
	options_clear(&spec, &again);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults, clear_environment),
		cmocka_unit_test_setup(flags, clear_environment),
		cmocka_unit_test_setup(later_wins, clear_environment),
		cmocka_unit_test_setup(wrong_flags, clear_environment),
		cmocka_unit_test_setup(wrong_files, clear_environment),
		cmocka_unit_test_setup(file_limit, clear_environment),
		cmocka_unit_test_setup(list_limit, clear_environment),
		cmocka_unit_test_setup(texts, clear_environment),
		cmocka_unit_test_setup(effective_configuration, clear_environment),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	writer_free(&text);
	return r;
}
