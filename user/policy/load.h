/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read a policy share (load_*.c only). */
#pragma once

#include <jansson.h>

#include "policy/model.h"

/* A member's name (borrowed), or an index when name is NULL. */
struct load_step {
	const char *name;
	size_t index;
};

struct loader {
	struct policy *policy;
	struct policy_report *report;
	struct table_builder table;
	struct load_step place[LIMIT_POLICY_DEPTH + 4]; /* where the value at hand is */
	size_t depth;
	struct table_digest *scratch;
	size_t scratch_cap;
	unsigned int errors_before;
	uint8_t preferred; /* ima.log_hash_alg */
	int failure;	   /* ours: negative errno */
};

static inline struct bytes text_bytes(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static inline struct bytes json_text(const json_t *v)
{
	return (struct bytes){ (const uint8_t *)json_string_value(v), json_string_length(v) };
}

/* One step down to a member or an element; both return where load_leave() goes back to. name must live until then. */
size_t load_enter(struct loader *l, const char *name);
size_t load_enter_index(struct loader *l, size_t i);
void load_leave(struct loader *l, size_t before);

/* A line of the report, with the place. Errors and notes are always counted; the text is kept while there is room. */
void load_say(struct loader *l, bool error, const char *fmt, ...) printf_(3, 4);
/* The same, with foreign bytes in quotes behind the text. */
void load_say_about(struct loader *l, bool error, const char *text, struct bytes what);
void load_wrong_type(struct loader *l, const json_t *v, const char *wanted);
/* jansson's own error, by line and column. */
void load_say_syntax(struct loader *l, const json_error_t *e);

/* "verification-keys" */
void load_keys(struct loader *l, json_t *v);
