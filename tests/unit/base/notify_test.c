// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/notify.h"

static int listen_at(const struct sockaddr_un *a, socklen_t n)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)a, n), 0);
	return fd;
}

static void expect(int fd, const char *text)
{
	char buf[128] = { 0 };

	assert_int_equal(recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT), (ssize_t)strlen(text));
	assert_string_equal(buf, text);
}

static void nobody_asked(void **state unused_)
{
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_state("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_state("READY=1"), 0);
}

static void to_a_path(void **state unused_)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/imastream-notify-XXXXXX";
	cleanup_fd_ int fd = -1;

	assert_non_null(mkdtemp(dir));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
	fd = listen_at(&a, sizeof(a));
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	assert_int_equal(notify_state("READY=1\nSTATUS=fine"), 1);
	expect(fd, "READY=1\nSTATUS=fine");
	unlink(a.sun_path);
	assert_int_equal(notify_state("READY=1"), -ENOENT);
	rmdir(dir);
}

static void to_an_abstract_name(void **state unused_)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd_ int fd = -1;
	char name[64];
	int n = snprintf(name, sizeof(name), "@imastream-test-%d", getpid());

	bytes_copy(a.sun_path, name, (size_t)n);
	a.sun_path[0] = '\0';
	fd = listen_at(&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n));
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_state("STOPPING=1"), 1);
	expect(fd, "STOPPING=1");
}

static void no_address(void **state unused_)
{
	char longest[200];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_state("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", "@", 1);
	assert_int_equal(notify_state("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", longest, 1);
	assert_int_equal(notify_state("READY=1"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_asked),
		cmocka_unit_test(to_a_path),
		cmocka_unit_test(to_an_abstract_name),
		cmocka_unit_test(no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
