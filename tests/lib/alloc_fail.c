// SPDX-License-Identifier: Apache-2.0
#include "lib/alloc_fail.h"

#include <jansson.h>

#include "lib/test.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);

static unsigned int left; /* allocations until one fails, 0: none will */
static bool all_behind, seen;

static bool fails(void)
{
	if (seen && all_behind && left)
		return true;
	if (!left || seen || --left)
		return false;
	seen = true;
	left = 1;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return fails() ? NULL : __real_realloc(p, bytes);
}

char *__wrap_strdup(const char *s)
{
	char *copy = fails() ? NULL : __real_malloc(strlen(s) + 1);

	if (copy)
		memcpy(copy, s, strlen(s) + 1);
	return copy;
}

void alloc_fail_at(unsigned int n, bool all)
{
	left = n;
	all_behind = all;
	seen = false;
}

bool alloc_fail_seen(void)
{
	return seen;
}

void alloc_fail_jansson(void)
{
	json_set_alloc_funcs(__wrap_malloc, free);
}

unsigned int alloc_fail_each(int (*run)(void *user), void *user, int good)
{
	unsigned int n = 0;

	assert_int_equal(run(user), good);
	for (int all = 0; all <= 1; all++) {
		for (n = 1;; n++) {
			bool failed;
			int r;

			alloc_fail_at(n, all);
			r = run(user);
			failed = alloc_fail_seen();
			alloc_fail_at(0, false);
			if (r != good && r != -ENOMEM)
				print_message("allocation %u%s failed: result %d\n", n, all ? " and all behind it" : "", r);
			assert_true(r == good || r == -ENOMEM);
			if (!failed)
				break;
		}
	}
	return n - 1;
}
