// SPDX-License-Identifier: Apache-2.0
/* A directory and what is under it. One open directory for each level; no link is followed, so no way leads out. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "cli/source.h"

#define MQUEUE_MAGIC 0x19800202

/* File systems whose files the kernel's own "tcb" policy does not measure, and others without files:
 * Documentation/ABI/testing/ima_policy, security/integrity/ima/ima_policy.c. A tree given as such is walked. */
static bool measured_file_system(int fd)
{
	static const long skipped[] = { PROC_SUPER_MAGIC,  SYSFS_MAGIC,	      DEBUGFS_MAGIC, TRACEFS_MAGIC,	TMPFS_MAGIC,
					DEVPTS_SUPER_MAGIC, BINFMTFS_MAGIC,    SECURITYFS_MAGIC, SELINUX_MAGIC, SMACK_MAGIC,
					CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, NSFS_MAGIC,	EFIVARFS_MAGIC, BPF_FS_MAGIC,
					PSTOREFS_MAGIC,	   MQUEUE_MAGIC };
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(skipped); i++)
		if ((long)fs.f_type == skipped[i])
			return false;
	return true;
}

struct level {
	DIR *dir;
	size_t name; /* length of the path above its entries */
	dev_t device;
};

struct walk {
	struct source *s;
	struct writer path; /* of what is looked at, from the root */
	struct level levels[LIMIT_TREE_DEPTH];
	size_t depth;
};

static const char *path_of(struct walk *w)
{
	const char *path = writer_cstr(&w->path);

	return path ? path : "";
}

static void left_out(struct walk *w, int error)
{
	source_left_out(w->s, path_of(w), strerror(error), &w->s->counts.unreadable);
}

/* Takes fd. 0 or negative errno of our own. */
static int enter(struct walk *w, int fd, dev_t device)
{
	DIR *dir;

	if (w->depth == LIMIT_TREE_DEPTH) {
		close(fd);
		left_out(w, ELOOP);
		return 0;
	}
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -errno;
	}
	if (!w->path.n || w->path.p[w->path.n - 1] != '/')
		write_u8(&w->path, '/');
	w->levels[w->depth++] = (struct level){ dir, w->path.n, device };
	return writer_status(&w->path);
}

static int one_file(struct walk *w, int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char *copy;

	if (fd < 0) {
		left_out(w, errno);
		return 0;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) { /* exchanged meanwhile */
		close(fd);
		return 0;
	}
	copy = strdup(path_of(w));
	if (!copy) {
		close(fd);
		return -ENOMEM;
	}
	return source_submit(w->s, fd, st.st_mode, copy, NULL);
}

static int one_entry(struct walk *w, const char *name)
{
	struct level *l = &w->levels[w->depth - 1];
	struct stat st;
	int fd;

	w->path.n = l->name;
	write_bytes(&w->path, name, strlen(name));
	if (writer_status(&w->path) < 0)
		return writer_status(&w->path);
	if (w->path.n >= PATH_MAX) { /* the kernel would log its last name only */
		left_out(w, ENAMETOOLONG);
		return 0;
	}
	if (fstatat(dirfd(l->dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			left_out(w, errno);
		return 0;
	}
	if (S_ISREG(st.st_mode))
		return one_file(w, dirfd(l->dir), name);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dirfd(l->dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		left_out(w, errno);
		return 0;
	}
	if (st.st_dev != l->device && !measured_file_system(fd)) {
		close(fd);
		return 0;
	}
	return enter(w, fd, st.st_dev);
}

static int walk(struct walk *w)
{
	int r = 0;

	while (r == 0 && w->depth) {
		struct level *l = &w->levels[w->depth - 1];
		const struct dirent *e;

		errno = 0;
		e = readdir(l->dir);
		if (!e) {
			w->path.n = l->name;
			if (errno)
				left_out(w, errno);
			closedir(l->dir);
			w->depth--;
		} else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			r = one_entry(w, e->d_name);
		}
	}
	return r;
}

static void walk_clear(struct walk **wp)
{
	struct walk *w = *wp;

	while (w && w->depth)
		closedir(w->levels[--w->depth].dir);
	if (w)
		writer_free(&w->path);
	free(w);
	*wp = NULL;
}
#define cleanup_walk_ cleanup_(walk_clear)

/* The tree's own name, from the root. */
static int begin(struct walk *w, const char *dir)
{
	cleanup_free_ char *tree = realpath(dir, NULL);
	size_t n = strlen(w->s->root_path);

	if (!tree)
		return -errno;
	if (strcmp(tree, "/") == 0)
		tree[0] = 0;
	if (strncmp(tree, w->s->root_path, n) != 0 || (tree[n] != '/' && tree[n] != 0))
		return -EXDEV;
	write_bytes(&w->path, tree + n, strlen(tree + n));
	return writer_status(&w->path);
}

int source_tree(struct source *s, const char *dir)
{
	cleanup_writer_ struct writer name = WRITER(2048), root = WRITER(2048);
	cleanup_walk_ struct walk *w = calloc(1, sizeof(*w));
	struct stat st;
	int fd, r;

	if (!w)
		return source_failed(-ENOMEM);
	w->s = s;
	w->path = WRITER((LIMIT_TREE_DEPTH + 2) * 256u + PATH_MAX);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = errno;
		fd_cleanup(&fd);
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot open %s: %s", policy_quoted(&name, dir), strerror(r));
	}
	r = begin(w, dir);
	if (r == -EXDEV) {
		close(fd);
		return cli_fail(EXIT_CODE_USAGE, "policy", "create: the tree %s is not under --root %s", policy_quoted(&name, dir),
				policy_quoted(&root, s->root));
	}
	if (r == 0)
		r = enter(w, fd, st.st_dev);
	else
		close(fd);
	if (r == 0)
		r = walk(w);
	return r < 0 ? source_failed(r) : EXIT_CODE_TRUSTED;
}
