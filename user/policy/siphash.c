// SPDX-License-Identifier: Apache-2.0
#include "policy/siphash.h"

static uint64_t rotl(uint64_t x, unsigned int b)
{
	return x << b | x >> (64 - b);
}

static void sip_round(struct siphash *s)
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

static void sip_word(struct siphash *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

void siphash_begin(struct siphash *s, const uint8_t key[SIPHASH_KEY_SIZE])
{
	struct reader r = reader_over(key, SIPHASH_KEY_SIZE);
	uint64_t k0 = read_u64le(&r), k1 = read_u64le(&r);

	*s = (struct siphash){
		/* The constants of the paper, section 2.2. */
		.v0 = k0 ^ 0x736f6d6570736575ull,
		.v1 = k1 ^ 0x646f72616e646f6dull,
		.v2 = k0 ^ 0x6c7967656e657261ull,
		.v3 = k1 ^ 0x7465646279746573ull,
	};
}

void siphash_add(struct siphash *s, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		s->tail |= (uint64_t)b[i] << (8 * (s->total & 7));
		if ((++s->total & 7) == 0) {
			sip_word(s, s->tail);
			s->tail = 0;
		}
	}
}

uint64_t siphash_end(struct siphash *s)
{
	sip_word(s, s->tail | s->total << 56);
	s->v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}
