/* SPDX-License-Identifier: Apache-2.0 */
/* Decoder of IMA measurement lists from a growing stream of bytes: a file, securityfs, a pipe. Pure: no I/O.
 * Formats: Documentation/security/IMA-templates.rst, security/integrity/ima/ima_fs.c.
 *
 * ASCII: the template data is rebuilt and proved by the digest column. A line that proves nothing is tried together with up
 * to 8 lines after it (file names may hold line feeds), so such an entry is only yielded once those lines, or the end, are
 * there. A template with unknown fields cannot be rebuilt: IMA_LIST_BAD.
 * One decoder belongs to one thread. */
#pragma once

#include "ima/entry.h"

enum ima_list_format {
	IMA_LIST_DETECT, /* from the first bytes: ASCII lines start with a decimal PCR and a space */
	IMA_LIST_BINARY,
	IMA_LIST_ASCII,
};

enum ima_list_result {
	IMA_LIST_ENTRY = 1, /* *out is filled; its views live until the next call on the decoder */
	IMA_LIST_MORE,	    /* the bytes end inside an entry, or exactly behind one */
	IMA_LIST_BAD,	    /* malformed: see ima_list_error() */
};

struct ima_list;

/* digest_size: bytes of the digest column, 0 = detect (legacy files and *_sha1: 20; per-bank files: that bank's size). */
must_use_ int ima_list_new(struct ima_list **out, enum ima_list_format format, size_t digest_size);
void ima_list_free(struct ima_list **l);
#define cleanup_ima_list_ cleanup_(ima_list_free)

/* Appends bytes (copied); call ima_list_next() until it asks for more. 0 or -ENOMEM; -EMSGSIZE when more than
 * LIMIT_LIST_PENDING bytes would wait undecoded (an entry over its limits is IMA_LIST_BAD before that); -EINVAL after
 * ima_list_finish() or ima_list_lend(). */
must_use_ int ima_list_feed(struct ima_list *l, const void *p, size_t n);
/* Instead of feeding: decodes the caller's bytes in place, as a finished list. They must outlive the decoder. -EINVAL when
 * bytes were given before. */
must_use_ int ima_list_lend(struct ima_list *l, struct bytes whole);
/* No more bytes will come: a last ASCII line without a new line counts, a torn entry becomes IMA_LIST_BAD. */
void ima_list_finish(struct ima_list *l);
must_use_ enum ima_list_result ima_list_next(struct ima_list *l, struct ima_entry *out);
/* Up to max entries, all of whose views live until the next call: fewer where one had to be put together. Returns how many;
 * *result is what the next one would be (IMA_LIST_ENTRY: not known, ask again). */
must_use_ size_t ima_list_batch(struct ima_list *l, struct ima_entry *out, size_t max, enum ima_list_result *result);

/* What was wrong, for people: "entry 17 at byte 2034: template name length 70000 exceeds 255". */
const char *ima_list_error(const struct ima_list *l);
/* Entries yielded so far, and bytes consumed by them. */
uint64_t ima_list_count(const struct ima_list *l);
uint64_t ima_list_offset(const struct ima_list *l);
size_t ima_list_digest_size(const struct ima_list *l);
enum ima_list_format ima_list_format(const struct ima_list *l);

/* One entry in the kernel's binary form (digest column of that algorithm; zeros for a violation). Data that the form of
 * template "ima" cannot carry sets w->bad to -EINVAL. */
void ima_list_write_entry(struct writer *w, const struct ima_entry *e, enum hash_alg digest_column);
