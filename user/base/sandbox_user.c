// SPDX-License-Identifier: Apache-2.0
/* User, groups and capabilities (capabilities(7)). Without a user to become, uid 0 stays, but as an ordinary user who owns
 * root's files: no capability, none to be had by execve(), and Landlock says which of those files there are. */
#include "base/sandbox_private.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define SECUREBITS                                                                                                          \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |                     \
	 SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static void take_user(struct sandbox *s, const struct passwd *p)
{
	int n = (int)SANDBOX_GROUPS_MAX;

	s->uid = p->pw_uid;
	s->gid = p->pw_gid;
	s->change_user = p->pw_uid != 0;
	snprintf(s->user, sizeof(s->user), "%s", p->pw_name);
	if (s->change_user && getgrouplist(p->pw_name, p->pw_gid, s->groups, &n) >= 0)
		s->n_groups = (size_t)n;
}

int sandbox_set_user(struct sandbox *s, const char *name, const char **why)
{
	struct passwd *p;

	*why = "";
	s->named_user = name != NULL;
	s->uid = geteuid();
	s->gid = getegid();
	errno = 0;
	p = getpwnam(name ? name : SANDBOX_DEFAULT_USER);
	if (name && !p) {
		*why = "there is no such user";
		return -ENOENT;
	}
	if (s->uid != 0) {
		if (name && p->pw_uid != s->uid) {
			*why = "only root can become another user";
			return -EPERM;
		}
		p = getpwuid(s->uid);
		snprintf(s->user, sizeof(s->user), "%s", p ? p->pw_name : "");
		return 0;
	}
	if (p) {
		take_user(s, p);
		return 0;
	}
	s->user_missing = true;
	snprintf(s->user, sizeof(s->user), "root");
	return 0;
}

/* One more supplementary group, e.g. that of a device. Ignored when full. */
static void sandbox_add_group(struct sandbox *s, gid_t gid)
{
	for (size_t i = 0; i < s->n_groups; i++)
		if (s->groups[i] == gid)
			return;
	if (s->n_groups < SANDBOX_GROUPS_MAX)
		s->groups[s->n_groups++] = gid;
}

void sandbox_add_group_of(struct sandbox *s, const char *path)
{
	struct stat st;

	/* root's own group would open more than one device */
	if (geteuid() != 0 || stat(path, &st) < 0 || st.st_uid == s->uid || st.st_gid == 0)
		return;
	if ((st.st_mode & 060) == 060)
		sandbox_add_group(s, st.st_gid);
}

/* As that user, for a moment. */
static bool may(const struct sandbox *s, const char *path, int how)
{
	gid_t old[64];
	int n = getgroups((int)ARRAY_SIZE(old), old), r = -1;

	if (n < 0 || setgroups(s->n_groups, s->groups) < 0)
		return true; /* it will show */
	if (setegid(s->gid) == 0 && seteuid(s->uid) == 0)
		r = faccessat(AT_FDCWD, path, how, AT_EACCESS) < 0 && errno != ENOENT ? -1 : 0;
	if (seteuid(0) < 0 || setegid(0) < 0 || setgroups((size_t)n, old) < 0)
		abort(); /* neither the one nor the other */
	return r == 0;
}

void sandbox_need(struct sandbox *s, const char *path, int how)
{
	if (s->mode == SANDBOX_OFF || s->named_user || !s->change_user || geteuid() != 0 || may(s, path, how))
		return;
	s->change_user = false;
	s->user_unfit = true;
	s->uid = s->gid = 0;
	s->n_groups = 0;
	snprintf(s->user, sizeof(s->user), "root");
}

int sandbox_give(const struct sandbox *s, const char *path)
{
	struct stat st;

	if (s->mode == SANDBOX_OFF || !s->change_user)
		return 0;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISSOCK(st.st_mode))
		return 0;
	return lchown(path, s->uid, s->gid) < 0 && errno != ENOENT ? -errno : 0;
}

static int become(const struct sandbox *s, const char **why)
{
	if (geteuid() != 0)
		return 0;
	*why = "cannot set the supplementary groups";
	if (setgroups(s->n_groups, s->groups) < 0 && s->change_user)
		return -errno;
	*why = "cannot become the user of --user";
	if (s->change_user && (setresgid(s->gid, s->gid, s->gid) < 0 || setresuid(s->uid, s->uid, s->uid) < 0))
		return -errno;
	return 0;
}

static void keep_only(uint64_t mask)
{
	capng_clear(CAPNG_SELECT_CAPS);
	for (unsigned int i = 0; i <= CAP_LAST_CAP; i++)
		if (mask & 1ull << i)
			(void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, i);
}

static uint64_t permitted(void)
{
	uint64_t mask = 0;

	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_get_caps_process() < 0)
		return 0;
	for (unsigned int i = 0; i <= CAP_LAST_CAP; i++)
		if (capng_have_capability(CAPNG_PERMITTED, i) || capng_have_capability(CAPNG_EFFECTIVE, i))
			mask |= 1ull << i;
	return mask;
}

int sandbox_user_apply(const struct sandbox *s, struct sandbox_report *out, const char **why)
{
	uint64_t had = permitted(), keep = had & s->keep_capabilities;
	bool may_bound = had & 1ull << CAP_SETPCAP;
	int r;

	out->securebits_locked = may_bound && prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) == 0;
	if (!out->securebits_locked && keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		keep = 0;
	capng_clear(CAPNG_SELECT_BOUNDS);
	out->bounding_empty = may_bound && capng_apply(CAPNG_SELECT_BOUNDS) == 0;
	r = become(s, why);
	if (r < 0)
		return r;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* uid 0 owns what it needs */
	keep_only(getuid() == 0 ? keep & s->keep_as_root : keep);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		out->missing |= SANDBOX_CAPABILITIES;
	out->capabilities = permitted();
	if (out->capabilities & ~s->keep_capabilities)
		out->missing |= SANDBOX_CAPABILITIES;
	out->uid = getuid();
	snprintf(out->user, sizeof(out->user), "%s", s->user);
	if (s->user_missing)
		out->missing |= SANDBOX_NO_USER;
	if (s->user_unfit)
		out->missing |= SANDBOX_USER_UNFIT;
	return 0;
}
