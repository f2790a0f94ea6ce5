/* SPDX-License-Identifier: Apache-2.0 */
/* Confinement of a program, as a description that is applied once, before the first thread starts: Landlock and capabilities
 * belong to threads and are inherited by new ones. In this order: user and groups, capabilities, no_new_privs, Landlock
 * (landlock(7): files and TCP ports), seccomp (seccomp(2): system calls). What the kernel lacks is told, not hidden:
 * struct sandbox_report says exactly what is in force. docs/sandbox.md describes it for people. */
#pragma once

#include "base/options.h"

enum sandbox_mode {
	SANDBOX_ON,	/* what the kernel has; what is missing is reported */
	SANDBOX_STRICT, /* refuse to go on when something is missing */
	SANDBOX_OFF,
};

/* Which system calls; the sets are in sandbox_seccomp.c. */
enum sandbox_calls {
	SANDBOX_CALLS_VERIFIER,
	SANDBOX_CALLS_COLLECTOR, /* as the verifier's, and two commands of bpf(2) */
	SANDBOX_CALLS_KEEPER,	 /* what one descriptor and a signature need */
};

#define SANDBOX_READ 1u	 /* a file, or everything beneath a directory */
#define SANDBOX_WRITE 2u /* a file; beneath a directory also make, rename and remove files and sockets */
#define SANDBOX_SOCKETS 4u /* a directory: make and remove sockets in it */

#define SANDBOX_DEFAULT_USER "imastream"
#define SANDBOX_PATHS_MAX 512u
#define SANDBOX_PORTS_MAX 256u
#define SANDBOX_GROUPS_MAX 32u

struct sandbox {
	enum sandbox_mode mode;
	enum sandbox_calls calls;
	bool inet_sockets; /* may make AF_INET and AF_INET6 sockets after this; AF_UNIX datagrams it may always, but the keeper */
	/* Landlock knows no Unix sockets, and services take uid 0's word there: who may make streams should not connect */
	bool unix_streams, connects;
	uint64_t keep_capabilities; /* bit n: capability n; only of use when the user changes */
	uint64_t keep_as_root; /* of these: uid 0 needs them too */
	/* filled by the functions below */
	bool named_user; /* by the operator */
	bool change_user, user_missing, user_unfit;
	uid_t uid;
	gid_t gid;
	char user[33];
	gid_t groups[SANDBOX_GROUPS_MAX];
	size_t n_groups;
	struct {
		char *path;
		unsigned int access;
	} paths[SANDBOX_PATHS_MAX];
	size_t n_paths;
	uint16_t bind[SANDBOX_PORTS_MAX], connect[SANDBOX_PORTS_MAX];
	size_t n_bind, n_connect;
};

enum { /* sandbox_report.missing */
	SANDBOX_NO_USER = 1u << 0,     /* root, and nobody to become */
	SANDBOX_NO_LANDLOCK = 1u << 1,
	SANDBOX_NO_SECCOMP = 1u << 2,
	SANDBOX_NOT_ALONE = 1u << 3,   /* threads were there before */
	SANDBOX_CAPABILITIES = 1u << 4, /* some are left that nobody asked for */
	SANDBOX_USER_UNFIT = 1u << 5,	/* see sandbox_need() */
};

struct sandbox_report {
	enum sandbox_mode mode;
	uid_t uid;
	char user[33];
	bool no_new_privs;
	uint64_t capabilities; /* permitted, as the kernel says */
	bool bounding_empty, securebits_locked;
	unsigned int landlock_abi; /* in force; 0: none */
	bool landlock_tcp;	   /* ports too (ABI 4) */
	unsigned int calls;	   /* system calls on the list; 0: no seccomp */
	unsigned int missing;
	int landlock_errno, seccomp_errno; /* why not, negative */
};

/* Of the option --sandbox. */
extern const struct option_choice sandbox_choices[];

/* Who it will be. name NULL: imastream if there is such a user, else nobody (user_missing). "root": stays root, as asked.
 * Not root: no change. -ENOENT when a user that was named is not there, -EPERM when another one was named and we are not
 * root; *why is text of ours (static). */
must_use_ int sandbox_set_user(struct sandbox *s, const char *name, const char **why);
/* The owning group of a file that owner and group may use, when the user alone could not: adds it. */
void sandbox_add_group_of(struct sandbox *s, const char *path);
/* The user must be able to open path so (R_OK, W_OK, X_OK as for access(2)). When it is the default user and it cannot, the
 * process stays root instead (user_unfit); a user that was named stays, and will fail by itself. One thread only. */
void sandbox_need(struct sandbox *s, const char *path, int how);
/* A path (copied; NULL is ignored) that need not exist; symbolic links are followed when it is applied. */
must_use_ int sandbox_allow(struct sandbox *s, const char *path, unsigned int access);
/* The directory that holds path: the file may be replaced by another one of its name. */
must_use_ int sandbox_allow_beside(struct sandbox *s, const char *path, unsigned int access);
/* What libraries read: time zone, OpenSSL's configuration, number of processors, random numbers (SQLite). */
must_use_ int sandbox_allow_libraries(struct sandbox *s);
/* What names of hosts need: resolver configuration, its libraries, DNS over TCP. */
must_use_ int sandbox_allow_resolver(struct sandbox *s);
must_use_ int sandbox_allow_bind(struct sandbox *s, uint16_t port);
must_use_ int sandbox_allow_connect(struct sandbox *s, uint16_t port);
void sandbox_clear(struct sandbox *s);

/* Gives path to the user that it will be, when that is another one than we are; a path that is not there is fine, and what
 * others use, too (a device, a pipe, a link), stays as it is. */
must_use_ int sandbox_give(const struct sandbox *s, const char *path);

/* Applies it to the calling process. 0 and *out; else *why says what (static text). -EOPNOTSUPP: strict, and something is
 * missing (*out tells). After a failure the process may be half confined: end it. */
must_use_ int sandbox_apply(const struct sandbox *s, struct sandbox_report *out, const char **why);
/* One line: "user imastream (998), no capabilities, no_new_privs, Landlock ABI 7 (files, TCP ports), seccomp (97 calls)". */
void sandbox_describe(const struct sandbox_report *r, struct writer *w);
/* What is missing and what to do, one sentence each: the next one at or after *at, or NULL. Start with *at = 0. */
const char *sandbox_problem(const struct sandbox_report *r, unsigned int *at);

/* After it: path (NULL: no) can be opened for reading, though it should be out of reach. */
bool sandbox_reaches(const char *path);

/* Landlock ABI of this kernel, or a negative errno (-ENOSYS, -EOPNOTSUPP: disabled at boot). */
must_use_ int sandbox_landlock_abi(void);
/* This kernel can filter system calls. */
bool sandbox_seccomp_works(void);
