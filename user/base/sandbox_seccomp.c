// SPDX-License-Identifier: Apache-2.0
/* System calls by seccomp. Three answers: what is on the list is allowed; what only an intruder asks for ends the process;
 * all else is ENOSYS, which the C library and others answer with an older way (clone3() with clone(), whose flags can be
 * looked at). The lists were made by strace of the integration tests. */
#include "base/sandbox_private.h"

#include <asm/termbits.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

static const char *const memory_and_threads[] = {
	"brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "membarrier", "futex", "futex_waitv", "set_robust_list",
	"rseq", "sched_yield", "sched_getaffinity", "exit", "exit_group", "getpid", "gettid", "getrandom",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "clock_gettime",
	"clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "getcpu",
};

static const char *const descriptors[] = {
	"read", "write", "readv", "writev", "close", "recvfrom", "sendto", "recvmsg", "sendmsg", "poll", "ppoll",
};

static const char *const of_daemons[] = {
	/* files */
	"open", "openat", "close_range", "pread64", "pwrite64", "preadv", "pwritev", "lseek", "fstat", "stat", "lstat",
	"newfstatat", "statx", "fstatfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd",
	"getdents64", "fcntl", "flock", "ftruncate", "fallocate", "fsync", "fdatasync", "fadvise64", "unlink", "unlinkat",
	"rename", "renameat", "renameat2", "fchown", "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
	/* waiting */
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "select", "pselect6", "eventfd2",
	"timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd4", "pipe2", "dup", "dup2", "dup3",
	"rt_sigtimedwait",
	/* sockets */
	"bind", "listen", "accept", "accept4", "shutdown", "getsockname", "getpeername", "getsockopt",
	"setsockopt", "sendmmsg", "recvmmsg",
	/* what the process is */
	"wait4", "waitid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrusage", "getrlimit", "sysinfo", "uname", "umask",
};

/* No code of ours calls these once the daemon runs. */
static const char *const never[] = {
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd",
	"kcmp", "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick",
	"mount_setattr", "pivot_root", "chroot", "unshare", "setns", "kexec_load", "kexec_file_load", "init_module",
	"finit_module", "delete_module", "reboot", "swapon", "swapoff", "open_by_handle_at", "name_to_handle_at",
	"perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "add_key", "request_key",
	"keyctl", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",
	"setgroups", "capset", "personality", "iopl", "ioperm", "modify_ldt", "acct", "quotactl", "settimeofday",
	"clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "syslog", "bpf", "lookup_dcookie",
	"mknod", "mknodat", "vhangup",
};

struct filter {
	scmp_filter_ctx ctx;
	unsigned int n;
	int error;
};

/* Names that this architecture does not have are skipped. */
static void rule(struct filter *f, uint32_t action, const char *name, unsigned int n, const struct scmp_arg_cmp *args)
{
	int number = seccomp_syscall_resolve_name(name), r;

	if (number < 0 || f->error)
		return;
	r = seccomp_rule_add_array(f->ctx, action, number, n, args);
	if (r < 0 && r != -EACCES) /* the same as the default action */
		f->error = r;
	if (action == SCMP_ACT_ALLOW)
		f->n++;
}

static void allow_all(struct filter *f, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rule(f, SCMP_ACT_ALLOW, names[i], 0, NULL);
}

static void allow_when(struct filter *f, const char *name, unsigned int arg, uint64_t value)
{
	const struct scmp_arg_cmp is = { .arg = arg, .op = SCMP_CMP_EQ, .datum_a = value };

	rule(f, SCMP_ACT_ALLOW, name, 1, &is);
}

static void allow_masked(struct filter *f, const char *name, unsigned int arg, uint64_t mask, uint64_t value)
{
	const struct scmp_arg_cmp is = { .arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value };

	rule(f, SCMP_ACT_ALLOW, name, 1, &is);
}

/* Files and TCP ports are Landlock's; of Unix sockets it knows none. */
static void allow_sockets(struct filter *f, const struct sandbox *s)
{
	const struct scmp_arg_cmp datagrams[] = {
		{ .arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX },
		{ .arg = 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = 0xf, .datum_b = SOCK_DGRAM },
	};

	if (s->unix_streams)
		allow_when(f, "socket", 0, AF_UNIX);
	else
		rule(f, SCMP_ACT_ALLOW, "socket", ARRAY_SIZE(datagrams), datagrams);
	allow_when(f, "socketpair", 0, AF_UNIX);
	if (s->connects)
		rule(f, SCMP_ACT_ALLOW, "connect", 0, NULL);
	if (s->inet_sockets) {
		allow_when(f, "socket", 0, AF_INET);
		allow_when(f, "socket", 0, AF_INET6);
		allow_when(f, "socket", 0, AF_NETLINK); /* getaddrinfo() asks which addresses this host has */
	}
}

/* Threads, no processes, no namespaces. */
static void allow_threads(struct filter *f)
{
	const uint64_t mask = CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
			      CLONE_NEWPID | CLONE_NEWNET;
	const struct scmp_arg_cmp is = { .arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = CLONE_THREAD };

	rule(f, SCMP_ACT_ALLOW, "clone", 1, &is);
}

static void allow_daemon(struct filter *f, const struct sandbox *s)
{
	allow_all(f, of_daemons, ARRAY_SIZE(of_daemons));
	allow_threads(f);
	allow_sockets(f, s);
	allow_masked(f, "fchmod", 1, S_ISUID | S_ISGID | S_ISVTX | S_IWOTH, 0); /* SQLite; Landlock knows no modes */
	allow_when(f, "ioctl", 1, FIONREAD);
	allow_when(f, "ioctl", 1, FIONBIO);
	allow_when(f, "ioctl", 1, TCGETS);
	allow_when(f, "prctl", 0, PR_SET_NAME);
	allow_when(f, "prlimit64", 2, 0); /* only to ask */
	if (s->calls == SANDBOX_CALLS_COLLECTOR) {
		allow_when(f, "bpf", 0, BPF_PROG_TEST_RUN);
		allow_when(f, "bpf", 0, BPF_OBJ_GET_INFO_BY_FD);
	}
}

/* What it does to itself after the change of user. */
static void allow_keeper(struct filter *f)
{
	allow_when(f, "prctl", 0, PR_SET_PDEATHSIG);
	allow_when(f, "prctl", 0, PR_SET_DUMPABLE);
	rule(f, SCMP_ACT_ALLOW, "getppid", 0, NULL);
}

static void kill_for(struct filter *f, const struct sandbox *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		bool wanted = s->calls == SANDBOX_CALLS_COLLECTOR && strcmp(never[i], "bpf") == 0;

		if (!wanted && !(SANDBOX_INSTRUMENTED && strcmp(never[i], "ptrace") == 0))
			rule(f, SCMP_ACT_KILL_PROCESS, never[i], 0, NULL);
	}
}

int sandbox_seccomp_apply(const struct sandbox *s, struct sandbox_report *out)
{
	/* a sanitizer's calls change with its version: there only the fatal ones are filtered */
	struct filter f = { .ctx = seccomp_init(SANDBOX_INSTRUMENTED ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS)) };
	int r;

	if (!f.ctx)
		return -ENOMEM;
	/* all threads; a binary tree over the numbers; system calls of another architecture end the process */
	(void)seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	(void)seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	(void)seccomp_attr_set(f.ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	allow_all(&f, memory_and_threads, ARRAY_SIZE(memory_and_threads));
	allow_all(&f, descriptors, ARRAY_SIZE(descriptors));
	allow_when(&f, "tgkill", 0, (uint64_t)getpid()); /* abort(); nobody else, before Landlock's ABI 6, too */
	if (s->calls != SANDBOX_CALLS_KEEPER)
		allow_daemon(&f, s);
	else
		allow_keeper(&f);
	kill_for(&f, s);
	r = f.error ? f.error : seccomp_load(f.ctx);
	seccomp_release(f.ctx);
	if (r < 0)
		return r == -ECANCELED ? -EINVAL : r;
	out->calls = f.n;
	return 0;
}

bool sandbox_seccomp_works(void)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}
