// SPDX-License-Identifier: Apache-2.0
#include "base/siphash.h"

#include <endian.h>

static inline uint64_t rotl(uint64_t x, unsigned int b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(struct siphash *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct siphash *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

static inline uint64_t load(const uint8_t *p)
{
	uint64_t m;

	memcpy(&m, p, sizeof(m));
	return le64toh(m);
}

void siphash_begin(struct siphash *s, const uint8_t key[SIPHASH_KEY_SIZE])
{
	uint64_t k0 = load(key), k1 = load(key + 8);

	*s = (struct siphash){
		/* The constants of the paper, section 2.2. */
		.v0 = k0 ^ 0x736f6d6570736575ull,
		.v1 = k1 ^ 0x646f72616e646f6dull,
		.v2 = k0 ^ 0x6c7967656e657261ull,
		.v3 = k1 ^ 0x7465646279746573ull,
	};
}

static uint64_t read_word(struct reader *r)
{
	struct bytes b = read_bytes(r, 8);
	uint64_t m = 0;

	bytes_copy(&m, b.p, b.n);
	return m;
}

/* At most 7 bytes, little-endian. */
static uint64_t short_word(struct bytes b)
{
	uint64_t v = 0;

	bytes_copy(&v, b.p, b.n);
	return le64toh(v);
}

void siphash_add(struct siphash *s, const void *p, size_t n)
{
	struct reader r = reader_over(p, n);
	unsigned int have = s->total & 7; /* bytes in the tail: what comes is shifted by them */

	s->total += n;
	for (; n >= 8; n -= 8) {
		uint64_t m = le64toh(read_word(&r));

		sip_word(s, s->tail | m << 8 * have);
		s->tail = have ? m >> (64 - 8 * have) : 0;
	}
	if (n) {
		uint64_t m = short_word(read_rest(&r));

		s->tail |= m << 8 * have;
		if (have + n >= 8) {
			sip_word(s, s->tail);
			s->tail = have + n > 8 ? m >> (64 - 8 * have) : 0;
		}
	}
}

static inline uint64_t finish(struct siphash *s, uint64_t last)
{
	sip_word(s, last);
	s->v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t siphash_end(struct siphash *s)
{
	return finish(s, s->tail | s->total << 56);
}

/* The first word is `first` and seven bytes; from there on, words lie in memory one behind the other. rest.n >= 8. */
static inline uint64_t word_at(uint8_t first, struct bytes rest, size_t i)
{
	return i ? load(rest.p + 8 * i - 1) : load(rest.p) << 8 | first;
}

static inline size_t whole_words(struct bytes rest)
{
	return (rest.n + 1) / 8;
}

/* The length, and what is behind the last whole word. rest.n >= 8. */
static inline uint64_t last_word(struct bytes rest)
{
	size_t left = (rest.n + 1) % 8;

	return (uint64_t)(rest.n + 1) << 56 | (left ? load(rest.p + rest.n - 8) >> 8 * (8 - left) : 0);
}

uint64_t siphash_prefixed(const uint8_t key[SIPHASH_KEY_SIZE], uint8_t first, struct bytes rest)
{
	struct siphash s;

	siphash_begin(&s, key);
	if (rest.n < 8) {
		siphash_add(&s, &first, 1);
		siphash_add(&s, rest.p, rest.n);
		return siphash_end(&s);
	}
	for (size_t i = 0; i < whole_words(rest); i++)
		sip_word(&s, word_at(first, rest, i));
	return finish(&s, last_word(rest));
}

/* Each round waits for the one before: the processor has time for another message's between them. */
void siphash_prefixed_two(const uint8_t key[SIPHASH_KEY_SIZE], uint8_t first, const struct bytes rest[2], uint64_t out[2])
{
	size_t words[2] = { whole_words(rest[0]), whole_words(rest[1]) }, i = 0;
	struct siphash s, t;

	if (rest[0].n < 8 || rest[1].n < 8) {
		out[0] = siphash_prefixed(key, first, rest[0]);
		out[1] = siphash_prefixed(key, first, rest[1]);
		return;
	}
	siphash_begin(&s, key);
	t = s;
	for (; i < MIN(words[0], words[1]); i++) {
		sip_word(&s, word_at(first, rest[0], i));
		sip_word(&t, word_at(first, rest[1], i));
	}
	for (size_t j = i; j < words[0]; j++)
		sip_word(&s, word_at(first, rest[0], j));
	for (size_t j = i; j < words[1]; j++)
		sip_word(&t, word_at(first, rest[1], j));
	out[0] = finish(&s, last_word(rest[0]));
	out[1] = finish(&t, last_word(rest[1]));
}
