// SPDX-License-Identifier: Apache-2.0
/* Files and TCP ports by Landlock, through its system calls: Debian 12's headers know ABI 2, kernels more. The structures and
 * numbers beyond it are those of Documentation/userspace-api/landlock.rst (Linux 6.12). Nowhere is there a right to execute. */
#include "base/sandbox_private.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FS_TRUNCATE (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define NET_BIND_TCP (1ull << 0) /* ABI 4 */
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ull << 1)
#define RULE_NET_PORT 2

#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING                                                                                                             \
	(READING | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV | LANDLOCK_ACCESS_FS_REMOVE_FILE |             \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK)

struct ruleset {
	uint64_t fs, net, scoped;
};

struct port_rule {
	uint64_t access, port;
};

int sandbox_landlock_abi(void)
{
	long r = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return r < 0 ? -errno : (int)r;
}

static struct ruleset handled(int abi)
{
	const char *notify = getenv("NOTIFY_SOCKET");
	struct ruleset r = { .fs = (1ull << 13) - 1 };

	if (abi >= 2)
		r.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		r.fs |= FS_TRUNCATE;
	if (abi >= 4)
		r.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		r.scoped = SCOPE_SIGNAL | (notify && *notify == '@' ? 0 : SCOPE_ABSTRACT_UNIX_SOCKET);
	return r;
}

static uint64_t rights(unsigned int access)
{
	uint64_t fs = 0;

	if (access & SANDBOX_READ)
		fs |= READING;
	if (access & SANDBOX_WRITE)
		fs |= WRITING;
	if (access & SANDBOX_SOCKETS)
		fs |= LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
	return fs;
}

/* What is not there, or not for us to see, needs no rule. */
static int add_path(int rules, const char *path, unsigned int access, uint64_t known)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights(access) & known };
	cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_FILES;
	if (!rule.allowed_access)
		return 0;
	rule.parent_fd = fd;
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static int add_ports(int rules, const uint16_t *ports, size_t n, uint64_t access)
{
	for (size_t i = 0; i < n; i++) {
		struct port_rule rule = { .access = access, .port = ports[i] };

		if (syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &rule, 0) < 0)
			return -errno;
	}
	return 0;
}

int sandbox_landlock_apply(const struct sandbox *s, struct sandbox_report *out)
{
	int abi = sandbox_landlock_abi(), r = 0;
	cleanup_fd_ int rules = -1;
	struct ruleset known;

	if (abi < 0)
		return abi;
	known = handled(abi);
	/* older kernels take a longer structure when what they do not know is zero */
	rules = (int)syscall(SYS_landlock_create_ruleset, &known, sizeof(known), 0);
	if (rules < 0)
		return -errno;
	for (size_t i = 0; r == 0 && i < s->n_paths; i++)
		r = add_path(rules, s->paths[i].path, s->paths[i].access, known.fs);
	if (r == 0 && SANDBOX_INSTRUMENTED)
		r = add_path(rules, "/proc", SANDBOX_READ, known.fs);
	if (r == 0 && known.net)
		r = add_ports(rules, s->bind, s->n_bind, NET_BIND_TCP);
	if (r == 0 && known.net)
		r = add_ports(rules, s->connect, s->n_connect, NET_CONNECT_TCP);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		r = -errno;
	if (r < 0)
		return r;
	out->landlock_abi = (unsigned int)abi;
	out->landlock_tcp = known.net != 0;
	return 0;
}
