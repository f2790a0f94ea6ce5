/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the sandbox only: one mechanism a file. */
#pragma once

#include "base/sandbox.h"

/* A sanitizer in the program needs more system calls than the program, has a thread of its own, and reads /proc. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_INSTRUMENTED 1
#endif
#endif
#ifndef SANDBOX_INSTRUMENTED
#define SANDBOX_INSTRUMENTED 0
#endif

must_use_ int sandbox_user_apply(const struct sandbox *s, struct sandbox_report *out, const char **why);
/* Both: 0, or the reason why not; then nothing of it is in force. */
must_use_ int sandbox_landlock_apply(const struct sandbox *s, struct sandbox_report *out);
must_use_ int sandbox_seccomp_apply(const struct sandbox *s, struct sandbox_report *out);
