/* SPDX-License-Identifier: Apache-2.0 */
/* Reads foreign JSON (RFC 8259, strict) token by token, without memory for each value: numbers, names and texts are views
 * of the input. The whole of it is in memory; nesting is bounded; names of an object that repeat are an error when asked
 * for. Functions are jp_*: json_* is jansson's, which stays in use for small documents. Pure; one thread at a time. */
#pragma once

#include "base/siphash.h"

#define JP_DEPTH_MAX 32u	      /* largest max_depth */
#define JP_TEXT_MAX ((1u << 30) - 2u) /* bytes of one document */

enum jp_type {
	JP_BAD, /* see jp_failure(), error, error_at; stays so */
	JP_END, /* the document is whole; stays so */
	JP_OBJECT,
	JP_OBJECT_END,
	JP_ARRAY,
	JP_ARRAY_END,
	JP_NAME, /* of an object's member; its value comes next */
	JP_STRING,
	JP_INTEGER, /* fits 64 bits with sign */
	JP_REAL,
	JP_TRUE,
	JP_FALSE,
	JP_NULL,
};

struct jp_names; /* the names seen in one open object */

struct jp {
	struct reader text;
	unsigned int depth, max_depth;
	uint64_t objects; /* bit d: the container at depth d + 1 is an object */
	int expect;
	bool unique, any;
	/* the token at hand */
	enum jp_type type;
	struct bytes raw; /* as in the text, strings with their quotes; borrowed from the document */
	bool escaped;	  /* a string with backslashes */
	int64_t integer;
	/* JP_BAD */
	char error[64];	 /* what is wrong, no foreign bytes; empty for a failure of ours */
	size_t error_at; /* offset behind what was read */
	bool too_deep;	 /* the error is max_depth */
	int failure;
	struct writer scratch;
	struct jp_names *names;
};

enum jp_flags {
	JP_UNIQUE = 1, /* a name twice in one object is an error; else the caller sees both */
	JP_ANY = 2,    /* the document may be any value, not only an object or array */
};

/* Starts over `text`, which must live as long. max_depth: containers open at once, 1 to JP_DEPTH_MAX. jp_end() after it. */
void jp_begin(struct jp *j, struct bytes text, unsigned int max_depth, unsigned int flags);
void jp_end(struct jp *j);
#define cleanup_jp_ cleanup_(jp_end)
/* The next token. */
enum jp_type jp_next(struct jp *j);
/* With an opening token at hand (or any other value): goes on to its end. False when the text is bad. */
bool jp_skip(struct jp *j);
/* Goes on until `depth` containers are open, at most as many as now. False when the text is bad. */
bool jp_close(struct jp *j, unsigned int depth);
/* JP_NAME, JP_STRING: the text without escapes, valid UTF-8 without NUL; a view of the document, or of j until the next
 * call. Empty on failure (jp_failure()). */
struct bytes jp_text(struct jp *j);
/* The same for a `raw` of before, appended to w. */
void jp_unescape(struct bytes raw, struct writer *w);
bool jp_text_is(struct jp *j, const char *text);
/* 0, or our failure (-ENOMEM, -EMSGSIZE: text too long, -EIO: no random bytes), which makes a JP_BAD without error. */
must_use_ int jp_failure(const struct jp *j);

/* A place to go back to. Names seen before and after it are not compared once more. */
struct jp_mark {
	size_t pos;
	unsigned int depth;
	uint64_t objects;
	int expect;
	enum jp_type type;
	struct bytes raw;
	bool escaped;
	int64_t integer;
};
struct jp_mark jp_mark(const struct jp *j);
void jp_rewind(struct jp *j, const struct jp_mark *m);

/* Line and column (characters of the line, from 1; 0: nothing of it read) of an offset. */
void jp_locate(struct bytes text, size_t at, size_t *line, size_t *column);
