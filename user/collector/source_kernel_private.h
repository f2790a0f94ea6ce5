/* SPDX-License-Identifier: Apache-2.0 */
/* Between source_kernel.c (entries), source_kernel_open.c (start) and source_kernel_trim.c (what the kernel may forget) only. */
#pragma once

#include "collector/source.h"

struct source_kernel {
	struct source base;
	struct ring *ring;
	enum event_support support;
	struct list *list;
	char *list_path;
	size_t digest_size;
	bool trims; /* the kernel can trim its list: never hold it open */
	bool totals; /* and says, through the ring, how many entries there were since boot */
	bool anchored; /* no ring to ask: our place in the list is where the last entry is that we had */
	uint8_t anchor[HASH_MAX_SIZE];
	uint64_t anchored_count; /* the kernel's count when the place was looked for */
	int count_fd;
	uint64_t end; /* entries delivered */
	uint64_t list_base;
	uint64_t seq_shift; /* modulo 2^64 */
	bool joined;	    /* seq_shift is known */
	bool behind;	    /* read the list to its end */
	uint64_t lost;	    /* drop counters that mean a record is missing, when we last looked */
	uint64_t counted;   /* kernel_check(): entries that the kernel counted; 0: no look is owed */
	bool lossy;	    /* what the list does not have any more is not in the ring either */
	uint64_t owed;	    /* number of an entry that the list had and no record has told of yet; 0: none */
	struct source_status status;
	source_fn fn; /* while pulling */
	void *user;
	char error[256];
};

extern const struct source_ops source_kernel_ops;

/* The list begins at this index now, or further on. */
void source_kernel_trimmed_to(struct source_kernel *s, uint64_t base);
/* Where the list begins, asked while the list's file is open: for list_follow(), user is the source. */
must_use_ int source_kernel_begins(void *user, uint64_t *out);
/* As source_trim(). */
must_use_ int source_kernel_trim(struct source *base, uint64_t index);
/* A reader at the head of the live list. 0 or -ENOMEM. */
must_use_ int source_kernel_restart(struct source_kernel *s);
