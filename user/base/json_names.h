/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the objects that are open, to find one that repeats: 8 bytes of table for a name, seeded hash, so that
 * nobody's choice of names makes it slow. For json_pull.c only. */
#pragma once

#include "base/buf.h"

struct jp_names;

must_use_ int jp_names_new(struct jp_names **out, unsigned int max_depth);
void jp_names_free(struct jp_names **n);
/* An object begins at this depth (from 0): nothing seen in it yet. */
void jp_names_open(struct jp_names *n, unsigned int depth);
/* raw: the name as in the text, at that offset of it. 0; 1: it was there; -ENOMEM. */
must_use_ int jp_names_add(struct jp_names *n, unsigned int depth, struct reader text, struct bytes raw, size_t offset,
			   bool escaped);
