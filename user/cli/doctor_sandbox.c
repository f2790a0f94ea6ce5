// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor.h"

#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/sandbox.h"
#include "base/text.h"

#define TPM_DEVICE "/dev/tpmrm0"

static void check_landlock(struct doctor *d)
{
	int abi = sandbox_landlock_abi();

	if (abi >= 4)
		doctor_report(d, "Landlock", CHECK_OK, NULL, "ABI %d: files and TCP ports", abi);
	else if (abi > 0)
		doctor_report(d, "Landlock", CHECK_OK, NULL, "ABI %d: files; TCP ports from Linux 6.7 on", abi);
	else
		doctor_report(d, "Landlock", CHECK_WARN, "use a kernel from 5.13 on with landlock in lsm= of its command line",
			      "%s: the daemons' files are not confined", strerror(-abi));
}

static void check_seccomp(struct doctor *d)
{
	if (sandbox_seccomp_works())
		doctor_report(d, "seccomp", CHECK_OK, NULL, "system calls can be filtered");
	else
		doctor_report(d, "seccomp", CHECK_WARN, "use a kernel with CONFIG_SECCOMP_FILTER", "system calls cannot be filtered");
}

static void check_user(struct doctor *d)
{
	const struct passwd *p = getpwnam(SANDBOX_DEFAULT_USER);

	if (p)
		doctor_report(d, "user of the daemons", CHECK_OK, NULL, "%s is user %u", SANDBOX_DEFAULT_USER,
			      (unsigned int)p->pw_uid);
	else
		doctor_report(d, "user of the daemons", CHECK_WARN,
			      "useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin imastream",
			      "no user %s: the daemons stay uid 0, without capabilities", SANDBOX_DEFAULT_USER);
}

static void check_device(struct doctor *d)
{
	const struct group *g;
	struct stat st;

	if (stat(TPM_DEVICE, &st) < 0)
		return; /* the check of the TPM says what there is */
	g = getgrgid(st.st_gid);
	if ((st.st_mode & 060) == 060 && st.st_gid != 0)
		doctor_report(d, "TPM group", CHECK_OK, NULL, "%s may be used by group %.64s", TPM_DEVICE, g ? g->gr_name : "?");
	else
		doctor_report(d, "TPM group", CHECK_WARN,
			      "install tpm-udev, or: chgrp tss /dev/tpmrm0 && chmod 660 /dev/tpmrm0",
			      "%s is root's alone: the collector cannot be another user", TPM_DEVICE);
}

/* --- what runs ---- */

struct process {
	uint64_t uid, no_new_privs, seccomp, capabilities;
};

/* The first number of a line "Key:\t..." */
static bool take(const char *line, const char *key, int base, uint64_t *out)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) != 0 || line[n] != ':')
		return false;
	*out = strtoull(line + n + 1, NULL, base);
	return true;
}

static bool read_status(const char *pid, struct process *p)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (!take(line, "Uid", 10, &p->uid) && !take(line, "NoNewPrivs", 10, &p->no_new_privs) &&
		    !take(line, "Seccomp", 10, &p->seccomp))
			(void)take(line, "CapEff", 16, &p->capabilities);
	}
	fclose(f);
	return true;
}

/* The kernel keeps 15 bytes of a name. */
static const char *name_of(const char *pid)
{
	static const struct { const char *comm, *name; } known[] = {
		{ "imastream-verif\n", "running verifier" }, { "imastream-colle\n", "running collector" },
		{ "imastream-keepe\n", "running keeper" },
	};
	char path[64], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	fclose(f);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(comm, known[i].comm) == 0)
			return known[i].name;
	return NULL;
}

static void check_process(struct doctor *d, const char *pid, const char *name)
{
	const uint64_t may_keep = 1ull << CAP_DAC_READ_SEARCH; /* a collector that is not root */
	struct process p = { 0 };
	bool good;

	if (!read_status(pid, &p))
		return;
	good = p.no_new_privs && p.seccomp == 2 && !(p.capabilities & ~may_keep);
	doctor_report(d, name, good ? CHECK_OK : CHECK_WARN, "start it without --sandbox=off; its log says what was missing",
		      "process %.20s, user %u, %s, %s, capabilities %llx", pid, (unsigned int)p.uid,
		      p.no_new_privs ? "no_new_privs" : "may gain privileges", p.seccomp == 2 ? "seccomp" : "no seccomp",
		      (unsigned long long)p.capabilities);
}

static void check_running(struct doctor *d)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;

	while (proc && (e = readdir(proc))) {
		uint64_t number;
		const char *name;

		if (parse_u64(e->d_name, 1, UINT32_MAX, &number) < 0)
			continue;
		name = name_of(e->d_name);
		if (name)
			check_process(d, e->d_name, name);
	}
	if (proc)
		closedir(proc);
}

void doctor_sandbox(struct doctor *d)
{
	check_landlock(d);
	check_seccomp(d);
	check_user(d);
	check_device(d);
	check_running(d);
}
