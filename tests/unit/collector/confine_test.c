// SPDX-License-Identifier: Apache-2.0
/* The collector's own description of its sandbox, applied to a child process: what it can still do to IMA's list. */
#include "lib/test.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "collector/confine.h"

#define CAP(n) (1ull << (n))

static char folder[] = "/tmp/imastream-confine-XXXXXX";

static void path_of(char out[128], const char *name)
{
	snprintf(out, 128, "%s/ima/%s", folder, name);
}

static int set_up(void **state unused_)
{
	static const char *const names[] = { "binary_runtime_measurements", "binary_runtime_measurements_staged",
					     "runtime_measurements_count", "policy" };
	char path[128];

	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/ima", folder);
	if (mkdir(path, 0700) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_fd_ int fd = -1;

		path_of(path, names[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || fchmod(fd, 0660) < 0) /* as security/integrity/ima/ima_fs.c has them */
			return -1;
	}
	return 0;
}

static int tear_down(void **state unused_)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static int open_errno(const char *name, int flags)
{
	cleanup_fd_ int fd = -1;
	char path[128];

	path_of(path, name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? errno : 0;
}

struct result {
	uint64_t capabilities;
	unsigned int missing;
	int list_read, list_write, staged_write, policy_write, passwd_write;
};

static void confined(bool trim, const char *user, struct result *out)
{
	struct option_list none = { 0 };
	const struct collector_options o = {
		.verifiers = none,
		.tcti = (char *)"device:/dev/null",
		.securityfs = folder,
		.cache_dir = (char *)"none",
		.user = (char *)user,
		.sandbox = SANDBOX_ON,
		.trim_acknowledged = trim,
		.source = (char *)"kernel",
	};
	cleanup_writer_ struct writer why = WRITER(1024);
	static struct sandbox s;
	struct sandbox_report report;

	if (collector_sandbox(&s, &o, &why) < 0 || collector_confine(&s, &o, &report, &why) < 0) {
		fprintf(stderr, "%s\n", writer_cstr(&why));
		_exit(100);
	}
	*out = (struct result){
		.capabilities = report.capabilities,
		.missing = report.missing,
		.list_read = open_errno("binary_runtime_measurements", O_RDONLY),
		.list_write = open_errno("binary_runtime_measurements", O_WRONLY),
		.staged_write = open_errno("binary_runtime_measurements_staged", O_WRONLY),
		.policy_write = open_errno("policy", O_WRONLY),
		.passwd_write = open_errno("../../../etc/passwd", O_WRONLY),
	};
}

/* In a child: what is given up does not come back. */
static struct result try(bool trim, const char *user)
{
	struct result result = { 0 };
	int pipes[2], status;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		confined(trim, user, &result);
		_exit(write(pipes[1], &result, sizeof(result)) == sizeof(result) ? 0 : 101);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &result, sizeof(result)), sizeof(result));
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return result;
}

static void needs_landlock(const struct result *r)
{
	if (r->missing & SANDBOX_NO_LANDLOCK)
		skip();
}

static void who_only_reads_cannot_write(void **state unused_)
{
	struct result r;

	if (geteuid() != 0)
		skip();
	r = try(false, "nobody");
	needs_landlock(&r);
	assert_int_equal(r.capabilities, CAP(CAP_DAC_READ_SEARCH));
	assert_int_equal(r.list_read, 0);
	assert_int_equal(r.list_write, EACCES);
	r = try(false, "root");
	assert_int_equal(r.capabilities, 0);
	assert_int_equal(r.list_read, 0);
	assert_int_equal(r.list_write, EACCES); /* its own file, and yet */
}

/* CAP_SYS_ADMIN is what the kernel asks for; Landlock leaves nothing else to use CAP_DAC_OVERRIDE on. */
static void who_trims_can_write_the_list_and_nothing_else(void **state unused_)
{
	static const struct {
		const char *user;
		uint64_t capabilities;
	} cases[] = {
		{ "nobody", CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_SYS_ADMIN) },
		{ "root", CAP(CAP_SYS_ADMIN) },
	};

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct result r = try(true, cases[i].user);

		needs_landlock(&r);
		assert_int_equal(r.capabilities, cases[i].capabilities);
		assert_int_equal(r.list_read, 0);
		assert_int_equal(r.list_write, 0);
		assert_int_equal(r.staged_write, EACCES);
		assert_int_equal(r.policy_write, EACCES);
		assert_int_equal(r.passwd_write, EACCES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_only_reads_cannot_write),
		cmocka_unit_test(who_trims_can_write_the_list_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
