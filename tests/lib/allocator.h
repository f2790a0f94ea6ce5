/* SPDX-License-Identifier: Apache-2.0 */
/* TEST_LIBC_MALLOC: memory is had from the C library, so what is freed can be seen to be gone. */
#pragma once

/* Sanitizers bring allocators of their own, which keep what is freed. */
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define TEST_OWN_MALLOC
#endif
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(TEST_OWN_MALLOC)
#define TEST_LIBC_MALLOC
#endif
