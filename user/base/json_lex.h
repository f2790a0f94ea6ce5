/* SPDX-License-Identifier: Apache-2.0 */
/* The words of JSON, for json_pull.c only. */
#pragma once

#include "base/json_pull.h"

enum jp_lexed {
	JP_LEX_BAD, /* j->error or j->failure is set */
	JP_LEX_EOF,
	JP_LEX_OPEN_OBJECT,
	JP_LEX_CLOSE_OBJECT,
	JP_LEX_OPEN_ARRAY,
	JP_LEX_CLOSE_ARRAY,
	JP_LEX_COLON,
	JP_LEX_COMMA,
	JP_LEX_STRING,
	JP_LEX_INTEGER,
	JP_LEX_REAL,
	JP_LEX_TRUE,
	JP_LEX_FALSE,
	JP_LEX_NULL,
};

/* The next word: sets raw, escaped, integer. */
enum jp_lexed jp_lex(struct jp *j);
