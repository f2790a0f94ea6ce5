/* SPDX-License-Identifier: Apache-2.0 */
/* Where entries come from: the kernel (source_kernel.c: stages [1] ring, [2] list), or a test source (source_pipe.c).
 * Indexes are numbers since boot, from 0; a source delivers every entry once, in order, and leaves out (and counts) only what
 * was trimmed from the kernel's list before it could be read. One thread. */
#pragma once

#include "collector/item.h"
#include "collector/list.h"
#include "collector/ring.h"
#include "imastream/event.h"

#define SOURCE_EXTEND_MAX 64u /* entries in one job for the TPM, which does it in slices */

/* 0 to go on, or a negative errno, which source_pull() returns. */
typedef int (*source_fn)(void *user, const struct item *item);

/* Entries that a test source wants extended before they count as measured. */
struct source_extend {
	size_t from, n; /* entries [from, n) wait */
	struct {
		uint32_t pcr;
		uint8_t digests[HASH_COUNT][HASH_MAX_SIZE];
	} entry[SOURCE_EXTEND_MAX];
};

struct source_status {
	bool test_source;
	bool ready;	  /* the index of the next entry is known: HELLO may be said */
	bool kexec;	  /* a second boot_aggregate: another kernel before this one wrote the list's beginning */
	bool ended;	  /* a test source that will bring nothing more */
	enum event_support support;
	uint64_t from_ring, from_list; /* entries, by the way they came */
	uint64_t catch_ups;	       /* times the list was read because the ring was not enough */
	uint64_t first;		       /* index of the first entry that the kernel's list still holds */
	uint64_t end;		       /* index of the entry that is delivered next */
	uint64_t trims;		       /* times somebody else was seen to have trimmed the list */
	uint64_t released;	       /* entries that source_trim() let the kernel forget */
	uint64_t lost;		       /* entries that were trimmed before they could be read */
	uint64_t unnoticed;	       /* entries that only a look at the count told of, not explained by a drop */
	uint64_t drops[EVENT_DROP_COUNT];
	uint64_t extend_failures;
};

struct source;

struct source_ops {
	void (*free)(struct source *s);
	int (*fd)(const struct source *s);
	int (*pull)(struct source *s, source_fn fn, void *user);
	uint64_t (*surely)(struct source *s);
	uint64_t (*measured)(struct source *s);
	int (*history)(struct source *s, uint64_t from, struct list **out);
	void (*check)(struct source *s);
	int (*trim)(struct source *s, uint64_t index); /* NULL: nothing to trim */
	void (*status)(const struct source *s, struct source_status *out);
	const struct source_extend *(*extend_work)(struct source *s);
	void (*extend_done)(struct source *s, size_t n, uint64_t now);
	const char *(*error)(const struct source *s);
};

struct source {
	const struct source_ops *ops;
};

struct source_kernel_options {
	const char *securityfs;	   /* "/sys/kernel/security" */
	enum event_support support; /* 0: the best that works */
	uint32_t ring_bytes;	   /* 0: default */
	bool trim;		   /* source_trim() will be called: fail when it could not work */
	bool poll_mode;		   /* no ring: entries are only looked at when pulled */
};

/* Opens ring (first) and list. `why` gets what to do about a failure, for people. Falls back to the poll level when
 * nothing is asked for; `probe` tells. 0, -ENOENT (no list), -EACCES, -EOPNOTSUPP (the wanted level does not work), ... */
must_use_ int source_kernel_open(struct source **out, const struct source_kernel_options *o, struct ring_probe *probe,
				 struct writer *why);

struct source_pipe_options {
	const char *what;	/* number of an open descriptor, or a path */
	unsigned int banks;	/* bit per enum hash_alg: the TPM's */
	enum hash_alg bank;	/* the quoted one */
	uint8_t pcrs[24][HASH_MAX_SIZE]; /* values of `bank` now, to find out what was extended already */
};
must_use_ int source_pipe_open(struct source **out, const struct source_pipe_options *o, struct writer *why);

static inline void source_free(struct source **s)
{
	struct source *x = TAKE_PTR(*s);

	if (x)
		x->ops->free(x);
}
/* For epoll, EPOLLIN; -1: look by timer, or never (see status). */
static inline int source_fd(const struct source *s)
{
	return s->ops->fd(s);
}
/* Delivers what is new. 0, the callback's errno, or -EBADMSG and others with source_error(). */
static inline must_use_ int source_pull(struct source *s, source_fn fn, void *user)
{
	return s->ops->pull(s, fn, user);
}
/* Entries that are extended into the PCR for sure, now. May be ahead of what was delivered. */
static inline uint64_t source_surely(struct source *s)
{
	return s->ops->surely(s);
}
/* Entries that the kernel counts since boot, now. Never fewer than were delivered. */
static inline uint64_t source_measured(struct source *s)
{
	return s->ops->measured(s);
}
/* A reader that yields the entry with index `from` next. -ENODATA: the source does not have it any more; -EAGAIN: not
 * now. */
static inline must_use_ int source_history(struct source *s, uint64_t from, struct list **out)
{
	return s->ops->history(s, from, out);
}
/* Slow safety check, once per heartbeat: was anything lost that no wake-up told of? The next pull repairs it. */
static inline void source_check(struct source *s)
{
	s->ops->check(s);
}
/* The entries below index are wanted no more: the kernel may forget them. 0; -EBUSY: its list is open elsewhere, later; -ESTALE: a
 * kexec has begun; -ERANGE: index is above what was delivered; others: it refuses. */
static inline must_use_ int source_trim(struct source *s, uint64_t index)
{
	return s->ops->trim ? s->ops->trim(s, index) : -EOPNOTSUPP;
}
static inline void source_status(const struct source *s, struct source_status *out)
{
	s->ops->status(s, out);
}
/* Test source: what to extend next, or NULL. The same until source_extend_done(). */
static inline const struct source_extend *source_extend_work(struct source *s)
{
	return s->ops->extend_work ? s->ops->extend_work(s) : NULL;
}
/* The next n of them are extended; the others stay waiting. */
static inline void source_extend_done(struct source *s, size_t n, uint64_t now)
{
	s->ops->extend_done(s, n, now);
}
/* What went wrong in the last call that failed, for people. */
static inline const char *source_error(const struct source *s)
{
	return s->ops->error(s);
}
