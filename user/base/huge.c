// SPDX-License-Identifier: Apache-2.0
#include "base/huge.h"

#include <sys/mman.h>

void *alloc_huge(size_t n)
{
	size_t whole = (n + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	void *p = NULL;

	if (n < HUGE_PAGE || whole < n)
		return alloc_bytes(n);
	if (posix_memalign(&p, HUGE_PAGE, whole) != 0)
		return NULL;
	(void)madvise(p, whole, MADV_HUGEPAGE); /* without them it is memory like any other */
	return p;
}
