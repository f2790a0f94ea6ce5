/* SPDX-License-Identifier: Apache-2.0 */
/* A log-linear histogram of durations: fixed memory, no allocation, relative error below 1/16. Pure; one thread.
 *
 *   value    0 .. 31      one bucket each
 *            32 .. 63     16 buckets of 2
 *            64 .. 127    16 buckets of 4    ... and so on, doubling, to 2^40 (12 days in microseconds) and beyond   */
#pragma once

#include "base/common.h"

#define HISTOGRAM_SUB 16u /* buckets per power of two */
#define HISTOGRAM_BITS 40u /* values from 2^40 on share the last bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_BITS - 5u) * HISTOGRAM_SUB + 32u + 1u)

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t max; /* exact */
	uint32_t bucket[HISTOGRAM_BUCKETS]; /* saturating */
};

void histogram_add(struct histogram *h, uint64_t value);
/* The value below or at which `per_mille` of 1000 values lie: upper end of its bucket, never above max. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, unsigned int per_mille);
