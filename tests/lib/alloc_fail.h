/* SPDX-License-Identifier: Apache-2.0 */
/* Allocations that fail on purpose, one after the other. For programs named alloc_test: the linker sends their calls of
 * malloc, calloc, realloc, reallocarray and strdup here (tools/mk/test.mk); those inside shared libraries are not seen,
 * jansson's are after alloc_fail_jansson(). One thread. */
#pragma once

#include "base/common.h"

/* The n-th allocation from now on fails, and all behind it when `all`; 0: none does. */
void alloc_fail_at(unsigned int n, bool all);
/* True when one has failed since. */
bool alloc_fail_seen(void);
void alloc_fail_jansson(void);

/* Calls run() with the first allocation failing, then the second ... until none fails any more; once with only that one
 * failing, once with all behind it too. run() returns what the function under test did, after it has freed everything and
 * asserted what must hold; that is -ENOMEM, or `good`, which is what it returns with memory. Returns how many failed. */
unsigned int alloc_fail_each(int (*run)(void *user), void *user, int good);
