// SPDX-License-Identifier: Apache-2.0
#include "base/sandbox_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <linux/capability.h>
#include <sys/prctl.h>

const struct option_choice sandbox_choices[] = {
	{ "on", SANDBOX_ON }, { "strict", SANDBOX_STRICT }, { "off", SANDBOX_OFF }, { NULL, 0 },
};

int sandbox_allow(struct sandbox *s, const char *path, unsigned int access)
{
	char *copy;

	if (!path)
		return 0;
	if (s->n_paths == SANDBOX_PATHS_MAX)
		return -E2BIG;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	s->paths[s->n_paths].path = copy;
	s->paths[s->n_paths++].access = access;
	return 0;
}

int sandbox_allow_beside(struct sandbox *s, const char *path, unsigned int access)
{
	cleanup_free_ char *folder = NULL;
	char *slash;

	if (!path)
		return 0;
	folder = strdup(path);
	if (!folder)
		return -ENOMEM;
	slash = strrchr(folder, '/');
	if (!slash)
		return sandbox_allow(s, ".", access);
	slash[slash == folder ? 1 : 0] = '\0';
	return sandbox_allow(s, folder, access);
}

static int allow_files(struct sandbox *s, const char *const *files, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = sandbox_allow(s, files[i], SANDBOX_READ);
	return r;
}

int sandbox_allow_libraries(struct sandbox *s)
{
	static const char *const files[] = {
		"/etc/localtime", "/usr/share/zoneinfo", "/etc/ssl/openssl.cnf", "/sys/devices/system/cpu/online", "/dev/urandom",
	};

	return allow_files(s, files, ARRAY_SIZE(files));
}

int sandbox_allow_resolver(struct sandbox *s)
{
	static const char *const files[] = {
		"/etc/resolv.conf", "/etc/hosts",     "/etc/host.conf",		"/etc/nsswitch.conf",
		"/etc/gai.conf",    "/etc/services",  "/run/systemd/resolve",	"/run/NetworkManager/resolv.conf",
		"/etc/ld.so.cache", "/usr/lib",	      "/lib",			"/lib64",
	};
	int r = sandbox_allow_connect(s, 53);

	return r == 0 ? allow_files(s, files, ARRAY_SIZE(files)) : r;
}

static int add_port(uint16_t *ports, size_t *n, uint16_t port)
{
	for (size_t i = 0; i < *n; i++)
		if (ports[i] == port)
			return 0;
	if (*n == SANDBOX_PORTS_MAX)
		return -E2BIG;
	ports[(*n)++] = port;
	return 0;
}

int sandbox_allow_bind(struct sandbox *s, uint16_t port)
{
	return add_port(s->bind, &s->n_bind, port);
}

int sandbox_allow_connect(struct sandbox *s, uint16_t port)
{
	return add_port(s->connect, &s->n_connect, port);
}

void sandbox_clear(struct sandbox *s)
{
	for (size_t i = 0; i < s->n_paths; i++)
		free(s->paths[i].path);
	*s = (struct sandbox){ 0 };
}

/* Landlock and capabilities are of the calling thread: others would stay free. A sanitizer's own thread does not count. */
static bool alone(void)
{
	DIR *tasks = SANDBOX_INSTRUMENTED ? NULL : opendir("/proc/self/task");
	struct dirent *e;
	unsigned int n = 0;

	if (!tasks)
		return true;
	while ((e = readdir(tasks)))
		n += e->d_name[0] != '.';
	closedir(tasks);
	return n <= 1;
}

int sandbox_apply(const struct sandbox *s, struct sandbox_report *out, const char **why)
{
	struct sandbox_report r = { .mode = s->mode, .uid = getuid() };
	int ret;

	*why = "";
	if (s->mode == SANDBOX_OFF) {
		*out = r;
		return 0;
	}
	if (!alone())
		r.missing |= SANDBOX_NOT_ALONE;
	ret = sandbox_user_apply(s, &r, why);
	if (ret < 0)
		return ret;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		*why = "no_new_privs (prctl) is refused";
		return -errno;
	}
	r.no_new_privs = true;
	r.landlock_errno = sandbox_landlock_apply(s, &r);
	if (r.landlock_errno < 0)
		r.missing |= SANDBOX_NO_LANDLOCK;
	r.seccomp_errno = sandbox_seccomp_apply(s, &r);
	if (r.seccomp_errno < 0)
		r.missing |= SANDBOX_NO_SECCOMP;
	*out = r;
	if (s->mode == SANDBOX_STRICT && r.missing) {
		*why = "something of the sandbox is missing";
		return -EOPNOTSUPP;
	}
	return 0;
}

bool sandbox_reaches(const char *path)
{
	cleanup_fd_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	return fd >= 0;
}

static void describe_capabilities(const struct sandbox_report *r, struct writer *w)
{
	static const char *const names[] = {
		[CAP_DAC_OVERRIDE] = "dac_override",
		[CAP_DAC_READ_SEARCH] = "dac_read_search",
		[CAP_SYS_ADMIN] = "sys_admin",
	};

	if (!r->capabilities) {
		write_fmt(w, ", no capabilities");
		return;
	}
	write_fmt(w, ", capabilities");
	for (unsigned int i = 0; i < 64; i++) {
		if (!(r->capabilities & 1ull << i))
			continue;
		if (i < ARRAY_SIZE(names) && names[i])
			write_fmt(w, " %s", names[i]);
		else
			write_fmt(w, " %u", i);
	}
}

void sandbox_describe(const struct sandbox_report *r, struct writer *w)
{
	if (r->mode == SANDBOX_OFF) {
		write_fmt(w, "off");
		return;
	}
	write_fmt(w, "user %s (%u)", *r->user ? r->user : "?", (unsigned int)r->uid);
	describe_capabilities(r, w);
	if (r->no_new_privs)
		write_fmt(w, ", no_new_privs");
	if (r->landlock_abi)
		write_fmt(w, ", Landlock ABI %u (files%s)", r->landlock_abi, r->landlock_tcp ? ", TCP ports" : "");
	else
		write_fmt(w, ", no Landlock");
	if (r->calls)
		write_fmt(w, ", seccomp (%u calls%s)", r->calls, SANDBOX_INSTRUMENTED ? " and those of a sanitizer" : "");
	else
		write_fmt(w, ", no seccomp");
}

const char *sandbox_problem(const struct sandbox_report *r, unsigned int *at)
{
	static const char *const texts[] = {
		"there is no user " SANDBOX_DEFAULT_USER ", so this stays uid 0, without capabilities; make one with: "
		"useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin " SANDBOX_DEFAULT_USER
		"; or say --user",
		"this kernel confines no files and ports (Landlock): boot with a kernel from 5.13 on and landlock in lsm=",
		"this kernel filters no system calls (seccomp): use one with CONFIG_SECCOMP_FILTER",
		"threads were running before the sandbox: they are not confined; report this",
		"capabilities could not be given up: start it as root, or without them",
		"the user " SANDBOX_DEFAULT_USER " may not write the store's folder, or not use the TPM's device, so this stays uid 0, "
		"without capabilities; give it to that user or its group, or say --user",
	};

	for (; *at < ARRAY_SIZE(texts); (*at)++)
		if (r->missing & 1u << *at)
			return texts[(*at)++];
	return NULL;
}
