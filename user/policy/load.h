/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read a policy share (load_*.c only). A policy is read twice: first whole, for its syntax, its depth
 * and names that repeat; then member by member. So whoever reads a member knows that the JSON is good. */
#pragma once

#include "base/json_pull.h"
#include "policy/model.h"

/* A member's name: ours, or as in the text with its quotes; or, when name.p is NULL, an index. */
struct load_step {
	struct bytes name;
	bool raw;
	size_t index;
};

struct loader {
	struct policy *policy;
	struct policy_report *report;
	struct jp json; /* the value at hand: json.type, jp_text(&l->json), json.integer */
	struct writer name; /* of the walk's member, when it has escapes */
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

static inline bool text_is(struct bytes b, const char *text)
{
	return b.n == strlen(text) && bytes_equal(b.p, text, b.n);
}

/* ---- where we are (load_say.c) ---- */

/* One step down to a member or an element; both return where load_leave() goes back to. name must live until then. */
size_t load_enter(struct loader *l, const char *name);
size_t load_enter_raw(struct loader *l, struct bytes name);
size_t load_enter_index(struct loader *l, size_t i);
void load_leave(struct loader *l, size_t before);

/* A line of the report, with the place. Errors and notes are always counted; the text is kept while there is room. */
void load_say(struct loader *l, bool error, const char *fmt, ...) printf_(3, 4);
/* The same, with foreign bytes in quotes behind the text. */
void load_say_about(struct loader *l, bool error, const char *text, struct bytes what);
/* About the value at hand. */
void load_wrong_type(struct loader *l, const char *wanted);
/* The error of l->json, by line and column. */
void load_say_syntax(struct loader *l);

/* ---- going through values (load_walk.c) ---- */

/* True when the value at hand is of that type, else an error that says what was wanted. */
bool load_is(struct loader *l, enum jp_type type, const char *wanted);

/* Goes through the object or array at hand: after each load_next() that is true, the next member's or element's value is
 * at hand and the place is its. Whoever looks at a value may stop anywhere in it. */
struct load_walk {
	unsigned int inside;
	size_t before, index;
	struct bytes name; /* of the member; until the next load_next() of an object */
};
struct load_walk load_walk(struct loader *l);
bool load_next(struct loader *l, struct load_walk *w);

/* False; and if reading failed, l->failure is set: the syntax was good when the text was read first, so it is ours. */
bool load_ended(struct loader *l);

/* Elements or members of the container at hand, which stays at hand. */
size_t load_count(struct loader *l);
/* The object marked by `object` has this member: its value is at hand. */
bool load_find(struct loader *l, const struct jp_mark *object, const char *name);

/* ---- members ---- */

/* "verification-keys" */
void load_keys(struct loader *l);
/* "boot-pcrs" */
void load_boot_pcrs(struct loader *l);
