/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [2]: reads a measurement list incrementally, from its first entry on: the kernel's file in securityfs, or the
 * spool of a test source. Each reader has its own place in the file; several may read one file. One thread.
 *
 * The kernel's files have no poll and no size. While the file is held open, reading on costs what is new. On kernels that
 * can trim the list an open reader blocks the trimmer (EBUSY): there the file is closed between reads, and opening it again
 * makes the kernel walk from the head. */
#pragma once

#include "ima/list.h"

struct list;

/* digest_size: of the digest column; 0 = detect. The file is opened at the first list_next(). 0, or -ENOMEM. */
must_use_ int list_open(struct list **out, const char *path, bool hold_open, size_t digest_size);
/* Over a regular file that the caller keeps open. */
must_use_ int list_open_fd(struct list **out, int fd, size_t digest_size);
void list_close(struct list **l);
#define cleanup_list_ cleanup_(list_close)

/* 1: *out is the next entry; its views live until the next call. 0: at the end for now; the file is closed when it may
 * not be held. -EBADMSG: the bytes are not a list, see list_error(); other negative errno: of open or read. */
must_use_ int list_next(struct list *l, struct ima_entry *out);
/* Reads and forgets entries until `n` more are behind; the same results as list_next(), 1 when done. */
must_use_ int list_skip(struct list *l, uint64_t n);
/* Closes a file that may not be held; to be called when reading stops before the end. */
void list_pause(struct list *l);
/* Entries read so far. */
uint64_t list_position(const struct list *l);
const char *list_error(const struct list *l);
