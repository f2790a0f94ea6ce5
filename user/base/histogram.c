// SPDX-License-Identifier: Apache-2.0
#include "base/histogram.h"

static size_t bucket_of(uint64_t v)
{
	unsigned int top;

	if (v < 2 * HISTOGRAM_SUB)
		return (size_t)v;
	top = 63u - (unsigned int)__builtin_clzll(v);
	if (top >= HISTOGRAM_BITS)
		return HISTOGRAM_BUCKETS - 1;
	/* the four bits behind the leading one choose among HISTOGRAM_SUB buckets */
	return 2 * HISTOGRAM_SUB + (top - 5) * HISTOGRAM_SUB + (size_t)(v >> (top - 4) & (HISTOGRAM_SUB - 1));
}

/* The largest value of a bucket. */
static uint64_t bucket_end(size_t i)
{
	size_t power, sub;

	if (i < 2 * HISTOGRAM_SUB)
		return i;
	if (i == HISTOGRAM_BUCKETS - 1)
		return UINT64_MAX;
	power = (i - 2 * HISTOGRAM_SUB) / HISTOGRAM_SUB + 5;
	sub = (i - 2 * HISTOGRAM_SUB) % HISTOGRAM_SUB;
	return ((uint64_t)(HISTOGRAM_SUB + sub + 1) << (power - 4)) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	uint32_t *b = &h->bucket[bucket_of(value)];

	h->count++;
	h->sum += value;
	h->max = MAX(h->max, value);
	if (*b < UINT32_MAX)
		(*b)++;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned int per_mille)
{
	uint64_t want, seen = 0;

	if (h->count == 0)
		return 0;
	want = (h->count * per_mille + 999) / 1000;
	want = MAX(want, (uint64_t)1);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want)
			return MIN(bucket_end(i), h->max);
	}
	return h->max;
}
