// SPDX-License-Identifier: Apache-2.0
#include "cli/source.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"

#define SAID_MAX 20u
#define PROGRESS_US 200000u

/* ---- what is said meanwhile ---- */

static void clear_line(const struct source *s)
{
	if (s->shown)
		fprintf(stderr, "\r\033[K");
}

static void say_left_out(struct source *s, const char *name, const char *why)
{
	cleanup_writer_ struct writer w = WRITER(8192);

	if (s->said++ >= SAID_MAX)
		return;
	clear_line(s);
	fprintf(stderr, "left out: %s: %s%s\n", policy_quoted(&w, name), why,
		s->said == SAID_MAX ? " (more of this is only counted)" : "");
}

void source_left_out(struct source *s, const char *name, const char *why, uint64_t *count)
{
	pthread_mutex_lock(&s->lock);
	++*count;
	say_left_out(s, name, why);
	pthread_mutex_unlock(&s->lock);
}

void source_count(struct source *s, uint64_t *count)
{
	pthread_mutex_lock(&s->lock);
	++*count;
	pthread_mutex_unlock(&s->lock);
}

static void show_progress(struct source *s, const char *name)
{
	cleanup_writer_ struct writer w = WRITER(1024);
	uint64_t now = clock_mono_us();
	const char *text;

	if (!s->progress || now - s->shown < PROGRESS_US)
		return;
	s->shown = now;
	write_quoted(&w, policy_text(name), 40);
	text = writer_cstr(&w);
	fprintf(stderr, "\r\033[K%llu files, %llu MB  %s", (unsigned long long)s->counts.files,
		(unsigned long long)(s->counts.bytes >> 20), text ? text : "");
}

struct bytes next_line(struct reader *r)
{
	struct reader ahead = *r;
	struct bytes line = read_until(&ahead, '\n');

	if (!reader_ok(&ahead))
		return read_rest(r);
	*r = ahead;
	return line;
}

int source_failed(int error)
{
	return cli_fail(EXIT_CODE_ERROR, "policy", "create: %s", error == -ENOMEM ? "no memory" : strerror(-error));
}

/* ---- names ---- */

/* Where a descriptor leads, without symbolic links. */
static int real_path(int fd, char **out)
{
	cleanup_free_ char *path = alloc_bytes(2 * LIMIT_EXCLUDE_PATH);
	char link[64];
	ssize_t n;

	if (!path)
		return -ENOMEM;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, 2 * LIMIT_EXCLUDE_PATH - 1);
	if (n < 0)
		return -errno;
	path[n] = 0;
	*out = TAKE_PTR(path);
	return 0;
}

/* The same, as seen from the root. -EXDEV: not under it. */
static int path_in_root(const struct source *s, int fd, char **out)
{
	cleanup_free_ char *path = NULL;
	size_t n = strlen(s->root_path);
	int r = real_path(fd, &path);

	if (r < 0)
		return r;
	if (strncmp(path, s->root_path, n) != 0 || (path[n] != '/' && path[n] != 0))
		return -EXDEV;
	*out = strdup(path[n] ? path + n : "/");
	return *out ? 0 : -ENOMEM;
}

static int open_in_root(const struct source *s, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	long fd = syscall(SYS_openat2, s->root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int source_find(struct source *s, const char *path, int *fd, mode_t *mode, char **name)
{
	cleanup_free_ char *real = NULL;
	cleanup_fd_ int place = -1;
	char link[64];
	struct stat st;
	int r;

	place = open_in_root(s, path, O_PATH | O_NOFOLLOW);
	if (place < 0)
		return place == -ENOTDIR || place == -ELOOP ? -ENOENT : place;
	if (fstat(place, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 1;
	r = path_in_root(s, place, &real);
	if (r < 0)
		return r;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
	r = open(link, O_RDONLY | O_CLOEXEC);
	if (r < 0)
		return -errno;
	*fd = r;
	*mode = st.st_mode;
	*name = TAKE_PTR(real);
	return 0;
}

/* Symbolic links to directories at the top of the root: /bin -> usr/bin. */
static int find_aliases(struct source *s)
{
	cleanup_fd_ int top = open_in_root(s, "/", O_RDONLY | O_DIRECTORY);
	struct dirent *e;
	DIR *d = top < 0 ? NULL : fdopendir(top);
	int r = 0;

	if (!d)
		return top < 0 ? top : -errno;
	top = -1; /* the stream's */
	while (r == 0 && (e = readdir(d)) && s->n_alias < ARRAY_SIZE(s->alias)) {
		struct source_alias *a = &s->alias[s->n_alias];
		cleanup_fd_ int to = -1;
		struct stat st;

		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode))
			continue;
		to = open_in_root(s, e->d_name, O_PATH | O_DIRECTORY);
		if (to < 0)
			continue;
		r = path_in_root(s, to, &a->target);
		if (r == 0 && asprintf(&a->link, "/%s", e->d_name) < 0) {
			free_cleanup(&a->target);
			a->link = NULL;
			r = -ENOMEM;
		}
		if (r == 0)
			s->n_alias++;
	}
	closedir(d);
	return r;
}

uint8_t source_alg(const struct source *s)
{
	static const uint8_t algs[HASH_COUNT] = { [HASH_SHA1] = FILE_ALG_SHA1, [HASH_SHA256] = FILE_ALG_SHA256,
						  [HASH_SHA384] = FILE_ALG_SHA384, [HASH_SHA512] = FILE_ALG_SHA512 };

	return algs[s->hash];
}

/* The lock is held. */
static int add(struct source *s, const char *name, uint8_t alg, struct bytes digest)
{
	int r = baseline_file(s->baseline, policy_text(name), alg, digest);

	s->counts.files++;
	for (size_t i = 0; r == 0 && s->aliases && i < s->n_alias; i++) {
		size_t n = strlen(s->alias[i].target);
		char *other;

		if (strncmp(name, s->alias[i].target, n) != 0 || name[n] != '/')
			continue;
		if (asprintf(&other, "%s%s", s->alias[i].link, name + n) < 0)
			return -ENOMEM;
		r = baseline_file(s->baseline, policy_text(other), alg, digest);
		free(other);
	}
	return r;
}

int source_add(struct source *s, const char *name, uint8_t alg, struct bytes digest)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (baseline_excludes(s->baseline, policy_text(name)))
		s->counts.excluded++;
	else
		r = add(s, name, alg, digest);
	show_progress(s, name);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- hashing ---- */

static int hashed(void *user, const struct hash_result *result)
{
	struct source *s = user;
	const char *name = result->job->name;
	int r = 0;

	pthread_mutex_lock(&s->lock);
	s->counts.bytes += result->size;
	switch (result->outcome) {
	case HASH_NOT_LOADED:
		s->counts.not_loaded++;
		break;
	case HASH_CHANGED:
		s->counts.changed++;
		say_left_out(s, name, "changed since its package was installed");
		break;
	case HASH_UNREADABLE:
		s->counts.unreadable++;
		say_left_out(s, name, strerror(result->error));
		break;
	case HASHED:
		r = add(s, name, source_alg(s), (struct bytes){ result->digest, hash_size(s->hash) });
		break;
	}
	show_progress(s, name);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int source_submit(struct source *s, int fd, mode_t mode, char *name, const uint8_t *md5)
{
	struct hash_job job = { .fd = fd, .name = name, .only_loaded = s->executables, .want_md5 = md5 };

	job.loaded = (mode & (S_IXUSR | S_IXGRP | S_IXOTH)) || loaded_by_name(name);
	if (baseline_excludes(s->baseline, policy_text(name))) {
		source_count(s, &s->counts.excluded);
		close(fd);
		free(name);
		return 0;
	}
	if (md5)
		bytes_copy(job.md5, md5, sizeof(job.md5));
	return hasher_submit(s->hasher, &job);
}

int source_open(struct source *s)
{
	cleanup_writer_ struct writer w = WRITER(2048);
	int r;

	pthread_mutex_init(&s->lock, NULL);
	s->opened = true;
	s->progress = isatty(STDERR_FILENO);
	s->root_fd = open(s->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot open %s: %s", policy_quoted(&w, s->root), strerror(errno));
	r = real_path(s->root_fd, &s->root_path);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "cannot find out where %s is: %s (is /proc mounted?)",
				policy_quoted(&w, s->root), strerror(-r));
	if (strcmp(s->root_path, "/") == 0)
		s->root_path[0] = 0;
	r = find_aliases(s);
	if (r == -ENOSYS)
		return cli_fail(EXIT_CODE_UNSUPPORTED, "policy", "this kernel has no openat2(): Linux 5.6 or later is needed here");
	if (r == 0)
		r = hasher_new(&s->hasher, s->hash, 0, hashed, s);
	return r < 0 ? source_failed(r) : EXIT_CODE_TRUSTED;
}

int source_close(struct source *s)
{
	int r = s->hasher ? hasher_wait(s->hasher) : 0;

	clear_line(s);
	hasher_free(&s->hasher);
	return r < 0 ? source_failed(r) : EXIT_CODE_TRUSTED;
}

void source_clear(struct source *s)
{
	hasher_free(&s->hasher);
	for (size_t i = 0; i < s->n_alias; i++) {
		free(s->alias[i].link);
		free(s->alias[i].target);
	}
	s->n_alias = 0;
	free_cleanup(&s->root_path);
	fd_cleanup(&s->root_fd);
	if (s->opened)
		pthread_mutex_destroy(&s->lock);
	s->opened = false;
}

/* ---- helper programs ---- */

int helper_start(struct helper *h, char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
		if (r == 0)
			r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		if (r == 0)
			r = posix_spawnp(&h->pid, argv[0], &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (r != 0) {
		close(ends[0]);
		return -r;
	}
	h->out = ends[0];
	return 0;
}

int helper_end(struct helper *h)
{
	int status;

	fd_cleanup(&h->out);
	while (waitpid(h->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
