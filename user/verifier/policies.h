/* SPDX-License-Identifier: Apache-2.0 */
/* Policies by name, and which of them judges whom. Data only: filled by rules.c, read by the pipeline. Policies are
 * shared by counted references; a set is changed by its owner only.
 *
 * Who is judged by what is said by the operator alone: by attester id, or by a label that the operator gave when the
 * attester was enrolled. The label that a host gives itself never counts, so no host can choose a weaker policy. */
#pragma once

#include "imastream/wire.h"
#include "policy/policy.h"

#define POLICY_DEFAULT_NAME "default" /* judges everybody whom no line of the groups names */

/* The file that a policy was read from: for the history, and so that a roll-back works without it. */
struct policy_source {
	char *path;			/* NULL: the store */
	char file_id[LIMIT_KEY_NAME];	/* says all of the file: "sha256:<hex>" over it, "seal:<hex>" of a compiled policy */
	struct writer detached;		/* the signature beside it, empty: none */
	struct writer signer;		/* who vouches for it, a line for people; empty: nobody was asked for */
	struct writer packed;		/* the file, Zstandard; empty: not needed, not yet, or too large to keep */
	bool keep;			/* the store is still to get it: policy_keep.h; of a compiled policy `packed` is empty */
};
void policy_source_free(struct policy_source **s);

struct named_policy {
	char name[LIMIT_POLICY_NAME + 1];
	struct policy *policy; /* in force; owned reference */
	uint64_t generation;   /* counts the policies that this name has had; 0: no history is kept */
	/* the roll-out that is under way: what this one accepts makes no alarm before its time is over */
	struct policy *before; /* owned reference, NULL: none */
	uint64_t before_generation, before_until_real, before_until_mono;
	char held[LIMIT_KEY_NAME]; /* after a roll-back: what the file held then, which is not taken again; "": none */
	struct policy_source *source; /* owned: the file it was read from, rules.h; NULL: none */
};

/* One line of the groups. */
struct policy_group {
	bool by_id;
	uint8_t id[WIRE_DIGEST_SIZE]; /* by_id */
	char glob[LIMIT_LABEL + 1];   /* else: of labels, fnmatch(3) */
	size_t policy;		      /* place in `list` */
	unsigned int line;
};

struct policies {
	struct named_policy *list;
	size_t n;
	struct policy_group *ids, *globs; /* ids ascending; globs as given, the first that fits counts */
	size_t n_ids, n_globs;
};

void policies_clear(struct policies *p);
/* A copy that shares the policies: for a thread, or for a change of one of them. Sources come along without `packed`. */
must_use_ int policies_copy(const struct policies *p, struct policies *out);
bool policies_same_groups(const struct policies *a, const struct policies *b);
/* Ends the overlaps whose time has come: true when there was one. */
bool policies_expire(struct policies *p, uint64_t now_mono);
/* `mono` of the next end, 0: none. */
uint64_t policies_next_end(const struct policies *p);
/* A policy name: 1 to LIMIT_POLICY_NAME of A-Z a-z 0-9 . _ -, not beginning with a dot or a dash. */
bool policy_name_ok(struct bytes name);
/* Adds one under a name that policy_name_ok(). Takes *policy. 0; positive 1: the name is there already, or there are
 * LIMIT_POLICIES; or -ENOMEM. */
must_use_ int policies_add(struct policies *p, const char *name, struct policy **policy);
/* NULL: there is none of that name. */
struct named_policy *policies_find(const struct policies *p, const char *name);
/* The lines of a groups file, in place of older ones; the policies must be there.
 *
 *     ATTESTER-ID|LABEL-GLOB  POLICY        64 hex digits, or a pattern; `*` alone is everybody; `#` starts a comment
 *
 * 0; positive 1: it is not such a file, *why says what is wrong, with the line; or negative errno. Nothing is changed
 * unless 0. */
must_use_ int policies_parse_groups(struct policies *p, struct bytes text, struct writer *why);
/* Who judges this attester: the line with its id, else the first pattern that fits `given_label` (NULL or "": the
 * operator gave none), else "default". NULL: nobody. */
const struct named_policy *policies_resolve(const struct policies *p, const uint8_t *id, const char *given_label);
