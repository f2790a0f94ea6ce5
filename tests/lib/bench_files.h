/* SPDX-License-Identifier: Apache-2.0 */
/* Files as a distribution's packages would bring them, by number, and a policy that knows them: for benchmarks. */
#pragma once

#include "base/buf.h"

/* A number that looks random, the same each time. */
uint32_t bench_mix(uint32_t x);
/* The path of file i, some 45 bytes on average, no two the same; its length. */
size_t bench_path(uint32_t i, char *out, size_t size);
/* Its SHA-256. */
void bench_digest(uint32_t i, uint8_t out[32]);
/* A Keylime policy that knows files 0 to n - 1, one digest each. */
void bench_policy(struct writer *w, uint32_t n);
