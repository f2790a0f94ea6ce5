/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the parts of the list decoder; private to user/ima. */
#pragma once

#include "ima/list.h"
#include "imastream/limits.h"

struct ima_list {
	enum ima_list_format format;
	size_t digest_size; /* of the digest column; 0 = not known yet */
	bool finished;	    /* no more bytes will come */
	bool failed;	    /* error[] is set; nothing more is yielded */
	bool lent;	    /* the bytes belong to the caller */
	struct writer fed;  /* bytes that were fed and not yet dropped */
	struct bytes bytes; /* what is decoded: fed, or lent */
	size_t pos;	    /* of the next entry in bytes */
	uint64_t count, offset;
	struct writer scratch;		/* template data that had to be rebuilt */
	uint8_t column[HASH_MAX_SIZE];	/* digest column of an ASCII entry */
	char error[320];
};

/* Why an entry is bad: one sentence, foreign text escaped. */
struct list_fault {
	char text[224];
};
void list_fault(struct list_fault *f, const char *fmt, ...) printf_(2, 3);
/* `text` with a quoted piece of foreign bytes behind it. */
void list_fault_quoted(struct list_fault *f, const char *text, struct bytes foreign);

/* 16 to 64: sizes of the digest column that are known. */
bool list_column_size_is_known(size_t n);

/* Decode one entry at the reader; on IMA_LIST_ENTRY it stands behind the entry. */
enum ima_list_result list_binary_next(struct ima_list *l, struct reader *r, struct ima_entry *out, struct list_fault *why);
enum ima_list_result list_ascii_next(struct ima_list *l, struct reader *r, struct ima_entry *out, struct list_fault *why);

/* Size of the digest column of the binary list at r; 0 when more bytes are needed to say. */
size_t list_binary_detect(struct ima_list *l, struct reader r);
