/* SPDX-License-Identifier: Apache-2.0 */
/* Large memory that is looked at here and there. */
#pragma once

#include "base/common.h"

#define HUGE_PAGE (2u << 20)

/* Like alloc_bytes(), freed by free(). From 2 MiB on it is aligned and rounded up to huge pages, and the kernel is asked for
 * them: fewer page faults while it is filled, fewer misses of the address translation afterwards. */
must_use_ void *alloc_huge(size_t n);
