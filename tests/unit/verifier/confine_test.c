// SPDX-License-Identifier: Apache-2.0
/* The verifier's own description of its sandbox, applied to a child process that then does what an intruder would. */
#include "lib/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/sandbox_private.h"
#include "verifier/confine.h"

static char folder[] = "/tmp/imastream-confine-XXXXXX";
static char store[64], policy[64], keys[64], secret[64], outside[64];

static void make_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int make_files(void **state unused_)
{
	static const char *const folders[] = { "store", "policy", "keys" };
	char path[64];

	if (!mkdtemp(folder))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, folders[i]);
		if (mkdir(path, 0700) < 0)
			return -1;
	}
	snprintf(store, sizeof(store), "%s/store/v.db", folder);
	snprintf(policy, sizeof(policy), "%s/policy/p.json", folder);
	snprintf(keys, sizeof(keys), "%s/keys/v.pem", folder);
	snprintf(secret, sizeof(secret), "%s/keys/v.key", folder);
	snprintf(outside, sizeof(outside), "%s/outside", folder);
	make_file(policy, "{}");
	make_file(keys, "certificate");
	make_file(secret, "private key");
	make_file(outside, "x");
	return 0;
}

static int remove_files(void **state unused_)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

struct attempt {
	int (*act)(void); /* in the child; 0: it went well, else an errno */
	const char *publish;
	enum sandbox_mode mode;
	int apply; /* what sandbox_apply() must return */
	unsigned int missing, ignore; /* what must be missing; what may be */
	const char *user;
	uint64_t keep;
	void (*before)(void);
};

static void describe(struct sandbox *s, const struct attempt *a)
{
	static char listen[80], named[80], *listens[] = { listen }, *policies[] = { named };
	const struct verifier_options o = {
		.listen = { listens, 1 },
		.tls_cert = keys,
		.tls_key = secret,
		.policy = { policies, 1 },
		.store = store,
		.publish = (char *)(a->publish ? a->publish : "none"),
		.control = (char *)"none",
		.events = (char *)"none",
		.sandbox = a->mode,
		.user = (char *)(a->user ? a->user : geteuid() == 0 ? "root" : NULL),
	};
	const char *why;

	snprintf(listen, sizeof(listen), "ipc://%s/socket", folder);
	snprintf(named, sizeof(named), "web=%s", policy);
	if (verifier_sandbox(s, &o, &why) < 0)
		_exit(100);
	s->keep_capabilities = a->keep;
}

/* The wait status of the child: exit status 0 to 99 is the errno of act(), 100 to 102 are the test's own failures. */
static int try(const struct attempt *a)
{
	static struct sandbox s;
	struct sandbox_report report;
	const char *why;
	int status, r;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		describe(&s, a);
		if (a->before)
			a->before();
		r = sandbox_apply(&s, &report, &why);
		if (r != a->apply)
			_exit(101);
		if ((report.missing & ~a->ignore) != a->missing)
			_exit(102);
		_exit(r < 0 || !a->act ? 0 : a->act());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int tries(int (*act)(void))
{
	int status = try(&(struct attempt){ .act = act });

	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void killed(int (*act)(void))
{
	int status = try(&(struct attempt){ .act = act });

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int opens(const char *path, int flags)
{
	cleanup_fd_ int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? errno : 0;
}

static int no_landlock(void)
{
	if (sandbox_landlock_abi() >= 1)
		return 0;
	print_message("this kernel has no Landlock\n");
	return 1;
}

static int read_policy(void) { return opens(policy, O_RDONLY); }
static int write_policy(void) { return opens(policy, O_WRONLY); }
static int read_outside(void) { return opens(outside, O_RDONLY); }
static int read_passwd(void) { return opens("/etc/passwd", O_RDONLY); }
static int read_certificate(void) { return opens(keys, O_RDONLY); }
static int read_key(void) { return opens(secret, O_RDONLY); }
static int write_store(void) { return opens(store, O_RDWR | O_CREAT); }
static int read_proc(void) { return opens("/proc/1/cmdline", O_RDONLY); }

static int write_beside_policy(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s.new", policy);
	return opens(path, O_WRONLY | O_CREAT);
}

static int replace_policy(void)
{
	return rename(outside, policy) < 0 ? errno : 0;
}

/* A link in an allowed folder to a file outside, made when the sandbox is in force. */
static int follow_link(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/policy/link", folder);
	return opens(path, O_RDONLY);
}

static void make_link(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/policy/link", folder);
	if (symlink(outside, path) < 0 && errno != EEXIST)
		_exit(100);
}

static int remove_socket(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/socket", folder);
	return unlink(path) < 0 ? errno : 0;
}

static void make_socket_file(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/socket", folder);
	make_file(path, "");
}

static void files(void **state unused_)
{
	if (no_landlock())
		skip();
	assert_int_equal(tries(read_policy), 0);
	assert_int_equal(tries(write_store), 0);
	assert_int_equal(tries(read_certificate), 0);
	assert_int_equal(tries(read_key), EACCES);
	assert_int_equal(tries(write_policy), EACCES);
	assert_int_equal(tries(write_beside_policy), EACCES);
	assert_int_equal(tries(replace_policy), EACCES);
	assert_int_equal(tries(read_outside), EACCES);
	assert_int_equal(tries(read_passwd), EACCES);
	if (!SANDBOX_INSTRUMENTED)
		assert_int_equal(tries(read_proc), EACCES);
	assert_int_equal(WEXITSTATUS(try(&(struct attempt){ .act = follow_link, .before = make_link })), EACCES);
	assert_int_equal(WEXITSTATUS(try(&(struct attempt){ .act = remove_socket, .before = make_socket_file })), 0);
}

static int off_reads(void) { return opens("/etc/passwd", O_RDONLY); }

/* The same attempts go well without the sandbox: the tests above see the sandbox and nothing else. */
static void off_is_off(void **state unused_)
{
	assert_int_equal(try(&(struct attempt){ .act = off_reads, .mode = SANDBOX_OFF }), 0);
	assert_int_equal(try(&(struct attempt){ .act = read_key, .mode = SANDBOX_OFF }), 0);
}

static int run_program(void)
{
	char *const argv[] = { (char *)"/bin/true", NULL };

	execv(argv[0], argv);
	return errno;
}

static int trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

static int mount_something(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int change_user(void)
{
	return syscall(SYS_setresuid, 1, 1, 1) < 0 ? errno : 0;
}

static int load_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) < 0 ? errno : 0;
}

static int by_handle(void)
{
	return syscall(SYS_open_by_handle_at, -1, NULL, 0) < 0 ? errno : 0;
}

static void fatal_calls(void **state unused_)
{
	killed(run_program);
	killed(mount_something);
	killed(change_user);
	killed(load_bpf);
	killed(by_handle);
	if (!SANDBOX_INSTRUMENTED)
		killed(trace);
}

static int new_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int new_namespace(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | CLONE_THREAD, 0, 0, 0, 0) < 0 ? errno : 0;
}

static int inet_socket(void)
{
	cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : 0;
}

static int packet_socket(void)
{
	cleanup_fd_ int fd = socket(AF_PACKET, SOCK_RAW, 0);

	return fd < 0 ? errno : 0;
}

static int unix_socket(void)
{
	cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return fd < 0 ? errno : 0;
}

/* systemd and others take root's word at their sockets, and Landlock has no rule for them: uid 0 without capabilities must
 * not become uid 0 with all of them by asking. */
static int connect_to_service(void)
{
	const struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/private" };
	cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0)
		return 98;
	return connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
}

static int notify_service(void)
{
	cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : 0;
}

static int end_parent(void) { return syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 ? errno : 0; }
static int end_self(void) { return syscall(SYS_tgkill, getpid(), gettid(), 0) < 0 ? errno : 0; }

static int change_mode(mode_t mode)
{
	cleanup_fd_ int fd = open(store, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? 98 : fchmod(fd, mode) < 0 ? errno : 0;
}

static int mode_for_group(void) { return change_mode(0660); }
static int mode_for_all(void) { return change_mode(0666); }
static int mode_with_uid(void) { return change_mode(04750); }

#ifdef __x86_64__
static int other_abi(void) { return (int)syscall(0x40000000 | SYS_getppid) < 0 ? errno : 0; }
#endif

static void what_landlock_does_not_cover(void **state unused_)
{
	/* whoever may make such a socket may not connect it, and the other way round */
	assert_int_equal(tries(connect_to_service), 98);
	assert_int_equal(WEXITSTATUS(try(&(struct attempt){ .act = connect_to_service, .publish = "tcp://127.0.0.1:0" })), 98);
	assert_int_equal(WEXITSTATUS(try(&(struct attempt){ .act = connect_to_service, .publish = "ipc:///tmp/x" })), ENOSYS);
	assert_int_equal(tries(notify_service), 0);
	assert_int_equal(tries(end_parent), ENOSYS);
	assert_int_equal(tries(end_self), 0);
	assert_int_equal(tries(mode_for_group), 0);
	assert_int_equal(tries(mode_for_all), ENOSYS);
	assert_int_equal(tries(mode_with_uid), ENOSYS);
#ifdef __x86_64__
	killed(other_abi);
#endif
}

static void refused_calls(void **state unused_)
{
	assert_int_equal(tries(new_process), ENOSYS);
	assert_int_equal(tries(new_namespace), ENOSYS);
	assert_int_equal(tries(inet_socket), ENOSYS);
	assert_int_equal(tries(packet_socket), ENOSYS);
	assert_int_equal(tries(unix_socket), ENOSYS);
	assert_int_equal(WEXITSTATUS(try(&(struct attempt){ .act = unix_socket, .publish = "ipc:///tmp/x" })), 0);
}

static void *in_thread(void *arg)
{
	*(int *)arg = read_outside();
	return NULL;
}

static int threads_too(void)
{
	pthread_t t;
	int seen = -1;

	if (pthread_create(&t, NULL, in_thread, &seen) != 0)
		return 99;
	pthread_join(t, NULL);
	return seen;
}

static void *wait_for_ever(void *arg)
{
	pause();
	return arg;
}

static void start_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, wait_for_ever, NULL) != 0)
		_exit(100);
}

static void threads(void **state unused_)
{
	if (no_landlock())
		skip();
	assert_int_equal(tries(threads_too), EACCES);
	if (SANDBOX_INSTRUMENTED)
		return;
	/* one that was there before is told, and strict refuses */
	assert_int_equal(try(&(struct attempt){ .before = start_thread, .missing = SANDBOX_NOT_ALONE }), 0);
	assert_int_equal(try(&(struct attempt){ .before = start_thread, .mode = SANDBOX_STRICT,
						.missing = SANDBOX_NOT_ALONE, .apply = -EOPNOTSUPP }), 0);
}

static int bind_port(uint16_t port)
{
	const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return 98;
	return bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
}

static int bind_own(void) { return bind_port(0); }
static int bind_other(void) { return bind_port(39999); }

static int connect_out(void)
{
	const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(39999),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return 98;
	return connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
}

static void ports(void **state unused_)
{
	struct attempt a = { .publish = "tcp://127.0.0.1:0" };

	if (sandbox_landlock_abi() < 4)
		skip();
	a.act = bind_own;
	assert_int_equal(WEXITSTATUS(try(&a)), 0);
	a.act = bind_other;
	assert_int_equal(WEXITSTATUS(try(&a)), EACCES);
	a.act = connect_out;
	assert_int_equal(WEXITSTATUS(try(&a)), EACCES);
}

/* An old kernel: Landlock's system calls are not there. */
static void forget_landlock(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

	if (!f || seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0) < 0 ||
	    seccomp_load(f) < 0)
		_exit(100);
	seccomp_release(f);
}

static void forget_seccomp(void)
{
	const struct scmp_arg_cmp set_seccomp = { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = PR_SET_SECCOMP };
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

	if (!f || seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) < 0 ||
	    seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1, &set_seccomp) < 0 ||
	    seccomp_load(f) < 0)
		_exit(100);
	seccomp_release(f);
}

static void old_kernels(void **state unused_)
{
	struct attempt a = { .before = forget_landlock, .missing = SANDBOX_NO_LANDLOCK, .act = read_outside };

	assert_int_equal(try(&a), 0); /* goes on, unconfined in this */
	a.mode = SANDBOX_STRICT;
	a.apply = -EOPNOTSUPP;
	assert_int_equal(try(&a), 0);
	a = (struct attempt){ .before = forget_seccomp, .missing = SANDBOX_NO_SECCOMP };
	assert_int_equal(try(&a), 0);
	a.mode = SANDBOX_STRICT;
	a.apply = -EOPNOTSUPP;
	assert_int_equal(try(&a), 0);
}

static int has_no_capability(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return errno;
	return d[0].permitted || d[1].permitted || d[0].effective || d[0].inheritable ? 99 : 0;
}

static int capabilities_of_nobody(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];
	uid_t u[3];

	if (getresuid(&u[0], &u[1], &u[2]) < 0 || u[0] == 0 || u[1] != u[0] || u[2] != u[0])
		return 97;
	if (syscall(SYS_capget, &h, d) < 0)
		return errno;
	return d[0].permitted == 1u << CAP_DAC_READ_SEARCH && d[0].effective == d[0].permitted && !d[1].permitted ? 0 : 99;
}

static void users(void **state unused_)
{
	/* capget() is not on the verifier's list: look from a filter-less place */
	struct attempt a = { .before = forget_seccomp, .missing = SANDBOX_NO_SECCOMP, .act = has_no_capability };

	if (geteuid() != 0)
		skip();
	assert_int_equal(try(&a), 0);
	a.user = "nobody";
	assert_int_equal(try(&a), 0);
	a.act = capabilities_of_nobody;
	a.keep = 1ull << CAP_DAC_READ_SEARCH;
	assert_int_equal(try(&a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),	cmocka_unit_test(off_is_off),  cmocka_unit_test(fatal_calls),
		cmocka_unit_test(threads),	cmocka_unit_test(ports),       cmocka_unit_test(old_kernels),
		cmocka_unit_test(users),
		/* the filter lets a sanitizer make the calls that these are about */
		cmocka_unit_test(what_landlock_does_not_cover), cmocka_unit_test(refused_calls),
	};
	const size_t n = ARRAY_SIZE(tests) - (SANDBOX_INSTRUMENTED ? 2 : 0);

	return _cmocka_run_group_tests("tests", tests, n, make_files, remove_files);
}
