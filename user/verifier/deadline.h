/* SPDX-License-Identifier: Apache-2.0 */
/* When to look at which attester next: a binary heap over attester.due_mono. One thread owns a heap. */
#pragma once

#include "verifier/attester.h"

struct deadlines {
	struct attester **heap;
	size_t n, capacity;
};

void deadlines_clear(struct deadlines *d);
/* Puts, moves or (due_mono 0) removes. Room is made by deadlines_reserve(). */
void deadlines_set(struct deadlines *d, struct attester *a, uint64_t due_mono);
/* Room for n attesters: 0 or -ENOMEM. */
must_use_ int deadlines_reserve(struct deadlines *d, size_t n);
/* The earliest, or NULL. */
struct attester *deadlines_first(const struct deadlines *d);
