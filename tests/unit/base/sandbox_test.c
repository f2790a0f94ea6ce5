// SPDX-License-Identifier: Apache-2.0
/* The description of a sandbox; what it does once it is applied: tests/unit/verifier/confine_test.c. */
#include "lib/test.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/sandbox_private.h"

static void users(void **state unused_)
{
	struct sandbox s = { 0 };
	const char *why;

	if (geteuid() != 0)
		skip();
	assert_int_equal(sandbox_set_user(&s, "no-such-user-here", &why), -ENOENT);
	assert_int_equal(sandbox_set_user(&s, NULL, &why), 0);
	assert_true(s.user_missing == !getpwnam(SANDBOX_DEFAULT_USER));
	assert_true(s.change_user == !s.user_missing);
}

static uid_t owner_after(const char *path, uid_t uid)
{
	const struct sandbox s = { .mode = SANDBOX_ON, .change_user = true, .uid = uid, .gid = uid };
	struct stat st;

	assert_int_equal(sandbox_give(&s, path), 0);
	assert_int_equal(lstat(path, &st), 0);
	return st.st_uid;
}

/* --events may name a device or a pipe that others use, too */
static void only_what_is_made_is_given(void **state unused_)
{
	char folder[] = "/tmp/imastream-sandbox-XXXXXX", fifo[80], file[80];
	cleanup_fd_ int fd = -1;

	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	snprintf(file, sizeof(file), "%s/given", folder);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(owner_after(file, 65534), 65534);
	assert_int_equal(owner_after(folder, 65534), 65534);
	assert_int_equal(owner_after(folder, 0), 0);
	assert_int_equal(owner_after(fifo, 65534), 0);
	assert_int_equal(unlink(fifo), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void lists_are_bounded(void **state unused_)
{
	static struct sandbox s;
	int r = 0;

	for (unsigned int i = 0; i < SANDBOX_PATHS_MAX; i++)
		assert_int_equal(sandbox_allow(&s, "/x", SANDBOX_READ), 0);
	assert_int_equal(sandbox_allow(&s, "/x", SANDBOX_READ), -E2BIG);
	for (unsigned int i = 0; i < SANDBOX_PORTS_MAX; i++)
		r |= sandbox_allow_bind(&s, (uint16_t)i);
	assert_int_equal(r, 0);
	assert_int_equal(sandbox_allow_bind(&s, 1), 0); /* known */
	assert_int_equal(sandbox_allow_bind(&s, SANDBOX_PORTS_MAX), -E2BIG);
	sandbox_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users),
		cmocka_unit_test(only_what_is_made_is_given),
		cmocka_unit_test(lists_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
