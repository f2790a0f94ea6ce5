/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [2]: reads a measurement list incrementally, from its first entry on: the kernel's file in securityfs, or the
 * spool of a test source. Each reader has its own place in the file; several may read one file. One thread.
 *
 * The kernel's files have no poll and no size. While the file is held open, reading on costs what is new. On kernels that
 * can trim the list an open reader blocks the trimmer (EBUSY), and an open trimmer every reader: there the file is closed
 * between reads, and opening it again makes the kernel walk from the head. Between two reads its head may have moved: the reader
 * asks for the index of the head whenever it has opened the file, and finds its place again. */
#pragma once

#include "ima/list.h"

struct list;

/* digest_size: of the digest column; 0 = detect. The file is opened at the first list_next(). 0, or -ENOMEM. */
must_use_ int list_open(struct list **out, const char *path, bool hold_open, size_t digest_size);
/* Over a regular file that the caller keeps open. */
must_use_ int list_open_fd(struct list **out, int fd, size_t digest_size);
/* The index of the first entry that the file holds now; called while it is open, so that nobody trims. 0 or negative errno. */
typedef int (*list_base_fn)(void *user, uint64_t *out);
/* From now on the file's head may move. Without it the first entry of the file has index 0, always. */
void list_follow(struct list *l, list_base_fn base, void *user);
/* Whether the kernel lets root trim this list: since Linux 7.2 its files may be written ("N" deletes the first N entries;
 * security/integrity/ima/ima_fs.c), with CONFIG_IMA_STAGING and without, which is only about the files *_staged. */
bool list_can_be_trimmed(const char *path);
void list_close(struct list **l);
#define cleanup_list_ cleanup_(list_close)

/* 1: *out is the next entry; its views live until the next call. 0: at the end for now; the file is closed when it may
 * not be held. -EBADMSG: the bytes are not a list, see list_error(); other negative errno: of open or read. */
must_use_ int list_next(struct list *l, struct ima_entry *out);
/* The index of the entry that list_next() yields next: one more than that of the last, unless what was between is trimmed. */
uint64_t list_index(const struct list *l);
/* Goes on (never back) to the entry with this index: 1; 0: the list ends before it, for now; -ENODATA: the file does not have it
 * any more; others as list_next(). */
must_use_ int list_seek(struct list *l, uint64_t index);
/* Reads and forgets entries until `n` more are behind; the same results as list_next(), 1 when done. */
must_use_ int list_skip(struct list *l, uint64_t n);
/* Closes a file that may not be held; to be called when reading stops before the end. */
void list_pause(struct list *l);
const char *list_error(const struct list *l);
