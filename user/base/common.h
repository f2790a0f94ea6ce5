/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership and must-use macros: read user/README.md ("Ownership", "Two kinds of no") before the first function. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Every function that can fail carries this; the build has -Werror=unused-result. */
#define must_use_ __attribute__((warn_unused_result))
#define printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define unused_ __attribute__((unused))

/* Runs f(&variable) at the end of the variable's scope. */
#define cleanup_(f) __attribute__((cleanup(f)))
#define cleanup_free_ cleanup_(free_cleanup)
#define cleanup_fd_ cleanup_(fd_cleanup)

/* Hand ownership on: yields the value and leaves the empty value behind. */
#define TAKE_PTR(p)                   \
	({                            \
		typeof(p) _t = (p);   \
		(p) = NULL;           \
		_t;                   \
	})
#define TAKE_FD(fd)           \
	({                    \
		int _t = (fd);\
		(fd) = -1;    \
		_t;           \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                   \
	({                          \
		typeof(a) _a = (a); \
		typeof(b) _b = (b); \
		_a < _b ? _a : _b;  \
	})
#define MAX(a, b)                   \
	({                          \
		typeof(a) _a = (a); \
		typeof(b) _b = (b); \
		_a > _b ? _a : _b;  \
	})

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

static inline void fd_cleanup(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
	*fd = -1;
}

/* malloc that never asks for 0 bytes, so that NULL always means -ENOMEM. */
static inline void *alloc_bytes(size_t n)
{
	return malloc(n ? n : 1);
}

/* Copy n bytes; a NULL source is fine when n is 0. */
static inline void bytes_copy(void *dst, const void *src, size_t n)
{
	if (n)
		memcpy(dst, src, n);
}

/* Public bytes only; for secrets and digests under an attacker's clock use CRYPTO_memcmp. */
static inline bool bytes_equal(const void *a, const void *b, size_t n)
{
	return n == 0 || memcmp(a, b, n) == 0;
}

/* Order of two runs of the same length, as memcmp; 0 when n is 0. */
static inline int bytes_compare(const void *a, const void *b, size_t n)
{
	return n ? memcmp(a, b, n) : 0;
}

/* A borrowed run of bytes; never owns. */
struct bytes {
	const uint8_t *p;
	size_t n;
};
