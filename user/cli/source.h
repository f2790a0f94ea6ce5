/* SPDX-License-Identifier: Apache-2.0 */
/* Where `imastream policy create` takes digests of files from: directory trees, deb and rpm packages. What a file is called
 * is decided here: by the path that the kernel logs, which has no symbolic link in it (ima_d_path()). */
#pragma once

#include <pthread.h>

#include "cli/hasher.h"
#include "policy/algo.h"
#include "policy/create.h"

struct source_counts {
	uint64_t packages;
	uint64_t files;	     /* taken */
	uint64_t bytes;	     /* hashed */
	uint64_t not_loaded; /* left out: neither run nor loaded (--executables) */
	uint64_t excluded;   /* left out: a rule covers them */
	uint64_t changed;    /* left out: not what the package brought */
	uint64_t unreadable; /* left out */
	uint64_t missing;    /* of a package, not there */
	uint64_t unchecked;  /* packages without checksums: taken as they are */
};

struct source_alias {
	char *link, *target; /* "/bin", "/usr/bin" */
};

struct source {
	struct baseline *baseline;
	enum hash_alg hash;
	bool executables, aliases;
	const char *root; /* of the host whose files these are */
	/* set by source_open() */
	struct hasher *hasher;
	int root_fd;
	char *root_path; /* without symbolic links, "" for / */
	struct source_alias alias[16];
	size_t n_alias;
	bool opened, progress;
	pthread_mutex_t lock; /* of what follows: the hasher's threads count, too */
	struct source_counts counts;
	unsigned int said;
	uint64_t shown; /* when, microseconds */
};
/* What source_clear() may be called on. */
#define SOURCE_INIT .root_fd = -1

/* Opens the root and starts the threads. An exit code, after having said why. */
int source_open(struct source *s);
/* Waits for the threads; no file is open after it. An exit code. */
int source_close(struct source *s);
void source_clear(struct source *s);

/* The directory and what is under it; file systems that IMA does not measure are not entered. An exit code. */
int source_tree(struct source *s, const char *dir);
/* The installed packages of the root, by dpkg's database; files that are not what their package brought are left out. */
int source_deb(struct source *s);
/* The files in a package. */
int source_deb_file(struct source *s, const char *file);
/* The digests in the headers of the root's rpm database. */
int source_rpm(struct source *s);

/* Lines of digest and name, as sha256sum prints them. Needs no source_open(). */
int source_sums(struct baseline *b, struct source_counts *counts, const char *file);

/* ---- for source_*.c ---- */

/* The next line of a text, the last one with or without its line feed. */
struct bytes next_line(struct reader *r);

/* A regular file under the root by any of its names, no link followed at its end, none out of the root. 0 and the fd for
 * reading, its status and its name as the kernel logs it; -ENOENT, other negative errno; 1: not a regular file. */
must_use_ int source_find(struct source *s, const char *path, int *fd, mode_t *mode, char **name);
/* Hashes and adds later; takes fd and name. md5: 16 bytes, or NULL. 0 or negative errno. */
must_use_ int source_submit(struct source *s, int fd, mode_t mode, char *name, const uint8_t *md5);
/* Adds a digest that is known already, under the name, and under those that --aliases gives; not what is excluded. 0 or negative errno. */
must_use_ int source_add(struct source *s, const char *name, uint8_t alg, struct bytes digest);
/* enum file_alg of --hash */
uint8_t source_alg(const struct source *s);
/* A file that was left out, and why: counted, the first few told on standard error. */
void source_left_out(struct source *s, const char *name, const char *why, uint64_t *count);
/* One more of a count. */
void source_count(struct source *s, uint64_t *count);
/* The exit code for a failure of ours. */
int source_failed(int error);

/* ---- a helper program, its output read by us ---- */

struct helper {
	pid_t pid;
	int out;
};
/* Looked for in PATH; standard error is ours. 0, -ENOENT: there is no such program, other negative errno. */
must_use_ int helper_start(struct helper *h, char *const argv[]);
/* Closes the pipe and waits. 0, positive: how it ended (exit status, or 128 + signal), or negative errno. */
must_use_ int helper_end(struct helper *h);
