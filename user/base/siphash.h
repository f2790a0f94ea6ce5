/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012): the seeded hash of tables whose keys
 * are foreign, so that nobody who chooses keys can choose collisions. Pure. */
#pragma once

#include "base/buf.h"

#define SIPHASH_KEY_SIZE 16u

struct siphash {
	uint64_t v0, v1, v2, v3;
	uint64_t tail;	/* bytes not yet in a full word, little-endian */
	uint64_t total; /* bytes so far */
};

void siphash_begin(struct siphash *s, const uint8_t key[SIPHASH_KEY_SIZE]);
void siphash_add(struct siphash *s, const void *p, size_t n);
uint64_t siphash_end(struct siphash *s);
/* The hash of the byte `first` and the n bytes behind it, in one go: for look-ups by the million. */
uint64_t siphash_prefixed(const uint8_t key[SIPHASH_KEY_SIZE], uint8_t first, struct bytes rest);
/* Of two, which takes less than twice the time. */
void siphash_prefixed_two(const uint8_t key[SIPHASH_KEY_SIZE], uint8_t first, const struct bytes rest[2], uint64_t out[2]);
