// SPDX-License-Identifier: Apache-2.0
#include "base/json_pull.h"

#include <stdio.h>

#include "base/json_lex.h"
#include "base/json_names.h"

enum expect {
	EXPECT_ROOT,
	EXPECT_NAME_OR_END, /* after '{' */
	EXPECT_NAME,	    /* after ',' in an object */
	EXPECT_VALUE,	    /* after a name's ':', after ',' in an array */
	EXPECT_VALUE_OR_END, /* after '[' */
	EXPECT_MORE,	    /* ',' or the end of the container */
	EXPECT_NOTHING,
};

void jp_begin(struct jp *j, struct bytes text, unsigned int max_depth, unsigned int flags)
{
	*j = (struct jp){
		.text = reader_of(text),
		.max_depth = MIN(max_depth, JP_DEPTH_MAX),
		.unique = flags & JP_UNIQUE,
		.any = flags & JP_ANY,
		.expect = EXPECT_ROOT,
		.scratch = WRITER(JP_TEXT_MAX),
		.type = JP_NULL,
	};
	if (text.n > JP_TEXT_MAX) {
		j->failure = -EMSGSIZE;
		j->type = JP_BAD;
	}
	if (j->unique && !j->failure) {
		j->failure = jp_names_new(&j->names, j->max_depth);
		if (j->failure < 0)
			j->type = JP_BAD;
	}
}

void jp_end(struct jp *j)
{
	writer_free(&j->scratch);
	jp_names_free(&j->names);
}

int jp_failure(const struct jp *j)
{
	return j->failure;
}

static enum jp_type refuse(struct jp *j, const char *error)
{
	(void)snprintf(j->error, sizeof(j->error), "%s", error);
	j->error_at = j->text.pos;
	return j->type = JP_BAD;
}

static enum jp_type fail(struct jp *j, int failure)
{
	j->failure = failure;
	j->error_at = j->text.pos;
	return j->type = JP_BAD;
}

/* Takes what jp_lex() found: a value of one token is over. */
static enum jp_type scalar(struct jp *j, enum jp_type type)
{
	j->expect = j->depth ? EXPECT_MORE : EXPECT_NOTHING;
	return j->type = type;
}

static enum jp_type open_container(struct jp *j, enum jp_type type)
{
	uint64_t bit = UINT64_C(1) << (j->depth & 63);

	if (j->depth == j->max_depth) {
		j->too_deep = true;
		(void)snprintf(j->error, sizeof(j->error), "nested deeper than %u", j->max_depth);
		j->error_at = j->text.pos;
		return j->type = JP_BAD;
	}
	if (type == JP_OBJECT)
		j->objects |= bit;
	else
		j->objects &= ~bit;
	if (j->names && type == JP_OBJECT)
		jp_names_open(j->names, j->depth);
	j->depth++;
	j->expect = type == JP_OBJECT ? EXPECT_NAME_OR_END : EXPECT_VALUE_OR_END;
	return j->type = type;
}

static enum jp_type close_container(struct jp *j, enum jp_type type)
{
	j->depth--;
	j->expect = j->depth ? EXPECT_MORE : EXPECT_NOTHING;
	return j->type = type;
}

static enum jp_type value(struct jp *j, enum jp_lexed t)
{
	switch (t) {
	case JP_LEX_OPEN_OBJECT: return open_container(j, JP_OBJECT);
	case JP_LEX_OPEN_ARRAY: return open_container(j, JP_ARRAY);
	case JP_LEX_STRING: return scalar(j, JP_STRING);
	case JP_LEX_INTEGER: return scalar(j, JP_INTEGER);
	case JP_LEX_REAL: return scalar(j, JP_REAL);
	case JP_LEX_TRUE: return scalar(j, JP_TRUE);
	case JP_LEX_FALSE: return scalar(j, JP_FALSE);
	case JP_LEX_NULL: return scalar(j, JP_NULL);
	default: return refuse(j, "unexpected token");
	}
}

static enum jp_type name(struct jp *j)
{
	struct bytes raw = j->raw;
	bool escaped = j->escaped;
	int r;

	if (j->names) {
		r = jp_names_add(j->names, j->depth - 1, reader_of((struct bytes){ j->text.base, j->text.size }), raw,
				 j->text.pos - raw.n, escaped);
		if (r < 0)
			return fail(j, r);
		if (r > 0)
			return refuse(j, "duplicate object key");
	}
	if (jp_lex(j) != JP_LEX_COLON)
		return *j->error || j->failure ? (j->type = JP_BAD) : refuse(j, "':' expected");
	j->raw = raw;
	j->escaped = escaped;
	j->expect = EXPECT_VALUE;
	return j->type = JP_NAME;
}

enum jp_type jp_next(struct jp *j)
{
	bool object = j->depth && (j->objects >> ((j->depth - 1) & 63) & 1);
	enum jp_lexed t;

	if (j->type == JP_BAD)
		return JP_BAD;
	t = jp_lex(j);
	if (t == JP_LEX_COMMA && j->expect == EXPECT_MORE) {
		j->expect = object ? EXPECT_NAME : EXPECT_VALUE;
		t = jp_lex(j);
	} else if (j->expect == EXPECT_MORE && t != JP_LEX_BAD &&
		   t != (object ? JP_LEX_CLOSE_OBJECT : JP_LEX_CLOSE_ARRAY)) {
		return refuse(j, object ? "'}' expected" : "']' expected");
	}
	if (j->expect == EXPECT_NOTHING && t != JP_LEX_EOF && !j->failure)
		return refuse(j, "end of file expected");
	if (t == JP_LEX_BAD)
		return j->type = JP_BAD;
	switch ((enum expect)j->expect) {
	case EXPECT_ROOT:
		if (!j->any && t != JP_LEX_OPEN_OBJECT && t != JP_LEX_OPEN_ARRAY)
			return refuse(j, "'[' or '{' expected");
		return value(j, t);
	case EXPECT_NAME_OR_END:
		if (t == JP_LEX_CLOSE_OBJECT)
			return close_container(j, JP_OBJECT_END);
		return t == JP_LEX_STRING ? name(j) : refuse(j, "string or '}' expected");
	case EXPECT_NAME:
		return t == JP_LEX_STRING ? name(j) : refuse(j, "string or '}' expected");
	case EXPECT_VALUE_OR_END:
		if (t == JP_LEX_CLOSE_ARRAY)
			return close_container(j, JP_ARRAY_END);
		return value(j, t);
	case EXPECT_VALUE:
		return value(j, t);
	case EXPECT_MORE:
		return close_container(j, object ? JP_OBJECT_END : JP_ARRAY_END);
	case EXPECT_NOTHING:
		return j->type = JP_END;
	}
	return refuse(j, "unexpected token");
}

bool jp_close(struct jp *j, unsigned int depth)
{
	while (j->depth > depth && jp_next(j) != JP_BAD)
		;
	return j->type != JP_BAD;
}

bool jp_skip(struct jp *j)
{
	if (j->type == JP_OBJECT || j->type == JP_ARRAY)
		return jp_close(j, j->depth - 1);
	return j->type != JP_BAD;
}

struct bytes jp_text(struct jp *j)
{
	struct bytes none = { NULL, 0 };

	if (!j->escaped) {
		struct reader r = reader_of(j->raw);

		(void)read_u8(&r);
		return j->raw.n >= 2 ? read_bytes(&r, j->raw.n - 2) : none;
	}
	writer_reset(&j->scratch);
	jp_unescape(j->raw, &j->scratch);
	if (writer_status(&j->scratch) < 0) {
		(void)fail(j, writer_status(&j->scratch));
		return none;
	}
	return writer_view(&j->scratch);
}

bool jp_text_is(struct jp *j, const char *text)
{
	struct bytes b = jp_text(j);

	return b.n == strlen(text) && bytes_equal(b.p, text, b.n);
}

struct jp_mark jp_mark(const struct jp *j)
{
	return (struct jp_mark){ j->text.pos, j->depth, j->objects, j->expect, j->type, j->raw, j->escaped, j->integer };
}

void jp_rewind(struct jp *j, const struct jp_mark *m)
{
	if (j->type == JP_BAD)
		return;
	j->text.pos = m->pos;
	j->depth = m->depth;
	j->objects = m->objects;
	j->expect = m->expect;
	j->type = m->type;
	j->raw = m->raw;
	j->escaped = m->escaped;
	j->integer = m->integer;
}

void jp_locate(struct bytes text, size_t at, size_t *line, size_t *column)
{
	*line = 1;
	*column = 0;
	for (size_t i = 0; i < at && i < text.n; i++) {
		if (text.p[i] == '\n') {
			++*line;
			*column = 0;
		} else if ((text.p[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}
