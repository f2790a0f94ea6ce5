// SPDX-License-Identifier: Apache-2.0
/* Written from FIPS 180-4 (message padding 5.1.1, SHA-1 6.1, SHA-256 6.2) and from the descriptions of the SHA instructions in the
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2 (SHA1RNDS4, SHA1NEXTE, SHA1MSG1, SHA1MSG2, SHA256RNDS2,
 * SHA256MSG1, SHA256MSG2). */
#include "base/hash_many.h"

void hash_steps_portable(enum hash_alg a, const struct hash_step *steps, size_t n)
{
	size_t size = hash_size(a);

	for (size_t i = 0; i < n; i++) {
		const struct hash_step *s = &steps[i];

		if (s->data.p)
			hash_one(a, s->data.p, s->data.n, s->digest);
		if (!s->before)
			continue;
		if (s->after != s->before)
			bytes_copy(s->after, s->before, size);
		hash_extend(a, s->after, s->digest);
	}
}

#ifdef __x86_64__
#include <cpuid.h>
#include <endian.h>
#include <immintrin.h>
#include <stdatomic.h>

#define BLOCK 64u
#define CHUNK 64u /* steps that are looked at together: bits of a word */
#define END_MAX (2 * BLOCK) /* what is behind a message's whole blocks, with its padding; short messages whole */
#define sha_code_ __attribute__((target("sha,sse4.1")))
#define sha_inline_ static inline __attribute__((target("sha,sse4.1"), always_inline))

/* What is kept between blocks: SHA-256 as the words {F,E,B,A} and {H,G,D,C}, SHA-1 as {D,C,B,A} and {0,0,0,E}: the order that
 * the instructions want, lowest word first. */
struct state {
	__m128i x, y;
};

sha_inline_ __m128i load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* --- SHA-256 ---- */

/* FIPS 180-4, 4.2.2 */
static const uint32_t sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

sha_inline_ void sha256_load(__m128i w[4], const uint8_t *p)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203); /* the bytes of each word */

	for (size_t i = 0; i < 4; i++)
		w[i] = _mm_shuffle_epi8(load(p + 16 * i), swap);
}

/* Four rounds with the words w[i % 4], which then become those of four rounds later on. */
sha_inline_ void sha256_rounds(struct state *s, __m128i w[4], size_t i)
{
	__m128i wk = _mm_add_epi32(w[i % 4], load((const uint8_t *)&sha256_k[4 * i])), sum;

	s->y = _mm_sha256rnds2_epu32(s->y, s->x, wk);
	s->x = _mm_sha256rnds2_epu32(s->x, s->y, _mm_shuffle_epi32(wk, 0x0e));
	if (i >= 12)
		return;
	sum = _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4);
	sum = _mm_add_epi32(sum, _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]));
	w[i % 4] = _mm_sha256msg2_epu32(sum, w[(i + 3) % 4]);
}

sha_inline_ void add_state(struct state *s, const struct state *t)
{
	s->x = _mm_add_epi32(s->x, t->x);
	s->y = _mm_add_epi32(s->y, t->y);
}

sha_code_ static void sha256_one(struct state *a, const uint8_t *p, size_t blocks)
{
	struct state s = *a;

	for (; blocks; blocks--, p += BLOCK) {
		struct state before = s;
		__m128i w[4];

		sha256_load(w, p);
#pragma GCC unroll 16
		for (size_t i = 0; i < 16; i++)
			sha256_rounds(&s, w, i);
		add_state(&s, &before);
	}
	*a = s;
}

/* Two independent messages: each round waits for the one before, and the processor has time for another between them. */
sha_code_ static void sha256_two(struct state *a, const uint8_t *p, struct state *b, const uint8_t *q, size_t blocks)
{
	struct state s = *a, t = *b;

	for (; blocks; blocks--, p += BLOCK, q += BLOCK) {
		struct state s_before = s, t_before = t;
		__m128i w[4], v[4];

		sha256_load(w, p);
		sha256_load(v, q);
#pragma GCC unroll 16
		for (size_t i = 0; i < 16; i++) {
			sha256_rounds(&s, w, i);
			sha256_rounds(&t, v, i);
		}
		add_state(&s, &s_before);
		add_state(&t, &t_before);
	}
	*a = s;
	*b = t;
}

/* The words of the block behind 64 bytes of message, which is all padding (5.1.1, 6.2.2), each with its constant. */
static const uint32_t sha256_padding[64] = {
	0xc28a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf374,
	0x649b69c1, 0xf0fe4786, 0x0fe1edc6, 0x240cf254, 0x4fe9346f, 0x6cc984be, 0x61b9411e, 0x16f988fa,
	0xf2c65152, 0xa88e5a6d, 0xb019fc65, 0xb9d99ec7, 0x9a1231c3, 0xe70eeaa0, 0xfdb1232b, 0xc7353eb0,
	0x3069bad5, 0xcb976d5f, 0x5a0f118f, 0xdc1eeefd, 0x0a35b689, 0xde0b7a04, 0x58f4ca9d, 0xe15d5b16,
	0x007f3e86, 0x37088980, 0xa507ea32, 0x6fab9537, 0x17406110, 0x0d8cd6f1, 0xcdaa3b6d, 0xc0bbbe37,
	0x83613bda, 0xdb48a363, 0x0b02e931, 0x6fd15ca7, 0x521afaca, 0x31338431, 0x6ed41a95, 0x6d437890,
	0xc39c91f2, 0x9eccabbd, 0xb5c9a0e6, 0x532fb63c, 0xd2c741c6, 0x07237ea3, 0xa4954b68, 0x4c191d76,
};

sha_inline_ void sha256_padding_rounds(struct state *s, size_t i)
{
	__m128i wk = load((const uint8_t *)&sha256_padding[4 * i]);

	s->y = _mm_sha256rnds2_epu32(s->y, s->x, wk);
	s->x = _mm_sha256rnds2_epu32(s->x, s->y, _mm_shuffle_epi32(wk, 0x0e));
}

/* An extend, which is two blocks, the second of them padding, beside two blocks of another message. */
sha_code_ static void sha256_extend(struct state *a, const uint8_t *p, struct state *b, const uint8_t *q)
{
	struct state s, t, s_before, t_before;
	__m128i v[4];

	sha256_two(a, p, b, q, 1);
	s = s_before = *a;
	t = t_before = *b;
	sha256_load(v, q + BLOCK);
#pragma GCC unroll 16
	for (size_t i = 0; i < 16; i++) {
		sha256_padding_rounds(&s, i);
		sha256_rounds(&t, v, i);
	}
	add_state(&s, &s_before);
	add_state(&t, &t_before);
	*a = s;
	*b = t;
}

/* --- SHA-1 ---- */

sha_inline_ void sha1_load(__m128i w[4], const uint8_t *p)
{
	const __m128i swap = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f); /* words and their bytes */

	for (size_t i = 0; i < 4; i++)
		w[i] = _mm_shuffle_epi8(load(p + 16 * i), swap);
}

/* Four rounds of function and constant f (FIPS 180-4, 4.1.1 and 4.2.1: one of four for twenty rounds each). *e: what x was four
 * rounds ago, or, at first, E itself. */
#define SHA1_ROUNDS(s, e, w, i)                                                                                               \
	do {                                                                                                                  \
		__m128i now_ = (i) == 0 ? _mm_add_epi32((s).y, (w)[0]) : _mm_sha1nexte_epu32((e), (w)[(i) % 4]), next_;         \
		(e) = (s).x;                                                                                                   \
		(s).x = _mm_sha1rnds4_epu32((s).x, now_, (i) / 5);                                                             \
		if ((i) < 16) {                                                                                                \
			next_ = _mm_xor_si128(_mm_sha1msg1_epu32((w)[(i) % 4], (w)[((i) + 1) % 4]), (w)[((i) + 2) % 4]);         \
			(w)[(i) % 4] = _mm_sha1msg2_epu32(next_, (w)[((i) + 3) % 4]);                                           \
		}                                                                                                              \
	} while (0)
#define SHA1_TWENTY(round, i) round(i); round((i) + 1); round((i) + 2); round((i) + 3); round((i) + 4)

sha_inline_ void sha1_end_block(struct state *s, __m128i e, const struct state *before)
{
	s->y = _mm_sha1nexte_epu32(e, before->y);
	s->x = _mm_add_epi32(s->x, before->x);
}

sha_code_ static void sha1_one(struct state *a, const uint8_t *p, size_t blocks)
{
	struct state s = *a;

	for (; blocks; blocks--, p += BLOCK) {
		struct state before = s;
		__m128i w[4], e = s.y;

		sha1_load(w, p);
#define ROUND(i) SHA1_ROUNDS(s, e, w, i)
		SHA1_TWENTY(ROUND, 0);
		SHA1_TWENTY(ROUND, 5);
		SHA1_TWENTY(ROUND, 10);
		SHA1_TWENTY(ROUND, 15);
#undef ROUND
		sha1_end_block(&s, e, &before);
	}
	*a = s;
}

sha_code_ static void sha1_two(struct state *a, const uint8_t *p, struct state *b, const uint8_t *q, size_t blocks)
{
	struct state s = *a, t = *b;

	for (; blocks; blocks--, p += BLOCK, q += BLOCK) {
		struct state s_before = s, t_before = t;
		__m128i w[4], v[4], e = s.y, f = t.y;

		sha1_load(w, p);
		sha1_load(v, q);
#define ROUND(i) SHA1_ROUNDS(s, e, w, i); SHA1_ROUNDS(t, f, v, i)
		SHA1_TWENTY(ROUND, 0);
		SHA1_TWENTY(ROUND, 5);
		SHA1_TWENTY(ROUND, 10);
		SHA1_TWENTY(ROUND, 15);
#undef ROUND
		sha1_end_block(&s, e, &s_before);
		sha1_end_block(&t, f, &t_before);
	}
	*a = s;
	*b = t;
}

/* --- digests ---- */

/* Big-endian words of the digest: all bytes in the opposite order. */
sha_inline_ void put_words(uint8_t *out, __m128i words)
{
	const __m128i swap = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);

	_mm_storeu_si128((__m128i *)(void *)out, _mm_shuffle_epi8(words, swap));
}

sha_code_ static void sha256_put(const struct state *s, uint8_t *out)
{
	put_words(out, _mm_unpackhi_epi64(s->y, s->x));
	put_words(out + 16, _mm_unpacklo_epi64(s->y, s->x));
}

sha_code_ static void sha1_put(const struct state *s, uint8_t *out)
{
	uint32_t e = htobe32((uint32_t)_mm_extract_epi32(s->y, 3));

	put_words(out, s->x);
	memcpy(out + 16, &e, sizeof(e));
}

/* --- messages in two lanes ---- */

struct algorithm {
	size_t size;	   /* of the digest */
	uint32_t start[8]; /* as in struct state */
	void (*put)(const struct state *s, uint8_t *out);
	void (*one)(struct state *a, const uint8_t *p, size_t blocks);
	void (*two)(struct state *a, const uint8_t *p, struct state *b, const uint8_t *q, size_t blocks);
	/* two() of two blocks where the first message is an extend; NULL: an extend is one block */
	void (*extend)(struct state *a, const uint8_t *p, struct state *b, const uint8_t *q);
};

/* Initial values: FIPS 180-4, 5.3.1 and 5.3.3. */
static const struct algorithm sha1 = {
	20, { 0x10325476, 0x98badcfe, 0xefcdab89, 0x67452301, 0, 0, 0, 0xc3d2e1f0 }, sha1_put, sha1_one, sha1_two, NULL,
};
static const struct algorithm sha256 = {
	32,
	{ 0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372 },
	sha256_put,
	sha256_one,
	sha256_two,
	sha256_extend,
};

struct message {
	const uint8_t *at; /* whole blocks */
	size_t blocks;
	const uint8_t *end; /* then these */
	size_t end_blocks;
};

struct lane {
	struct state state;
	struct message left;
	enum { LANE_IDLE, LANE_DIGEST, LANE_EXTEND } work;
	size_t step;
};

/* At most CHUNK steps. */
struct work {
	const struct hash_step *steps;
	size_t n, hashed, extended; /* steps; next one to hash; next one to extend */
	uint64_t have;	  /* bit per step: its digest is there */
	bool extending;	  /* one lane is: the next one waits for it */
	uint8_t chain[END_MAX]; /* what an extend hashes, with its padding */
	struct message message[CHUNK];
	uint8_t end[CHUNK][END_MAX];
};

/* Behind the n bytes that stand in `to`, where all else is 0: a one bit, and, at the end, the length in bits. The blocks. */
static inline size_t pad(uint8_t to[END_MAX], size_t n, size_t message)
{
	size_t blocks = n + 1 + 8 <= BLOCK ? 1 : 2;
	uint64_t bits = htobe64((uint64_t)message * 8);

	to[n] = 0x80;
	memcpy(to + blocks * BLOCK - 8, &bits, sizeof(bits));
	return blocks;
}

/* Bytes that were just written one by one are slow to be read as words: the ends of all messages are made before the first is hashed. */
static inline void prepare(struct work *w, size_t i, struct bytes data)
{
	size_t direct = data.n + 1 + 8 <= END_MAX ? 0 : data.n / BLOCK;
	uint8_t *end = w->end[i];
	size_t blocks;

	memset(end, 0, END_MAX);
	memcpy(end, data.p + direct * BLOCK, data.n - direct * BLOCK);
	blocks = pad(end, data.n - direct * BLOCK, data.n);
	w->message[i] = direct ? (struct message){ data.p, direct, end, blocks } : (struct message){ end, blocks, NULL, 0 };
}

/* Extends first: all others wait for them. */
static inline void take(struct work *w, struct lane *l, const struct algorithm *a)
{
	while (!w->extending && w->extended < w->n && !w->steps[w->extended].before)
		w->extended++;
	if (!w->extending && w->extended < w->n && w->have >> w->extended & 1) {
		const struct hash_step *s = &w->steps[w->extended];

		l->work = LANE_EXTEND;
		l->step = w->extended;
		w->extending = true;
		memcpy(w->chain, s->before, a->size);
		memcpy(w->chain + a->size, s->digest, a->size);
		l->left = (struct message){ w->chain, 2 * a->size + 1 + 8 <= BLOCK ? 1 : 2, NULL, 0 };
	} else {
		while (w->hashed < w->n && !w->steps[w->hashed].data.p)
			w->hashed++;
		if (w->hashed == w->n)
			return;
		l->work = LANE_DIGEST;
		l->step = w->hashed++;
		l->left = w->message[l->step];
	}
	memcpy(&l->state, a->start, sizeof(l->state));
}

static inline void advance(struct work *w, struct lane *l, const struct algorithm *a, size_t blocks)
{
	const struct hash_step *s = &w->steps[l->step];

	l->left.at += blocks * BLOCK;
	l->left.blocks -= blocks;
	if (l->left.blocks)
		return;
	if (l->left.end_blocks) {
		l->left = (struct message){ l->left.end, l->left.end_blocks, NULL, 0 };
		return;
	}
	if (l->work == LANE_DIGEST) {
		a->put(&l->state, s->digest);
		w->have |= UINT64_C(1) << l->step;
	} else {
		a->put(&l->state, s->after);
		w->extended++;
		w->extending = false;
	}
	l->work = LANE_IDLE;
}

/* For each algorithm apart, so that its sizes are constants. */
static inline __attribute__((always_inline)) void run(const struct algorithm *alg, const struct hash_step *steps, size_t n)
{
	struct lane a, b;
	struct work w;

	w.steps = steps;
	w.n = n;
	w.hashed = w.extended = 0;
	w.have = 0;
	w.extending = false;
	memset(w.chain, 0, sizeof(w.chain));
	(void)pad(w.chain, 2 * alg->size, 2 * alg->size);
	for (size_t i = 0; i < n; i++) {
		if (steps[i].data.p)
			prepare(&w, i, steps[i].data);
		else
			w.have |= UINT64_C(1) << i;
	}
	a.work = b.work = LANE_IDLE;
	for (;;) {
		size_t blocks;

		if (a.work == LANE_IDLE)
			take(&w, &a, alg);
		if (b.work == LANE_IDLE)
			take(&w, &b, alg);
		if (a.work == LANE_IDLE && b.work == LANE_IDLE)
			return;
		if (a.work == LANE_IDLE || b.work == LANE_IDLE) {
			struct lane *only = a.work == LANE_IDLE ? &b : &a;

			blocks = only->left.blocks; /* nothing else can start before it is done */
			alg->one(&only->state, only->left.at, blocks);
			advance(&w, only, alg, blocks);
			continue;
		}
		blocks = MIN(a.left.blocks, b.left.blocks);
		if (alg->extend && blocks == 2 && a.work == LANE_EXTEND)
			alg->extend(&a.state, a.left.at, &b.state, b.left.at);
		else if (alg->extend && blocks == 2 && b.work == LANE_EXTEND)
			alg->extend(&b.state, b.left.at, &a.state, a.left.at);
		else
			alg->two(&a.state, a.left.at, &b.state, b.left.at, blocks);
		advance(&w, &a, alg, blocks);
		advance(&w, &b, alg, blocks);
	}
}

static void run_sha1(const struct hash_step *steps, size_t n)
{
	run(&sha1, steps, n);
}

static void run_sha256(const struct hash_step *steps, size_t n)
{
	run(&sha256, steps, n);
}

/* CPUID leaf 7: EBX bit 29 SHA; leaf 1: ECX bit 9 SSSE3, bit 19 SSE4.1. */
static bool detect(void)
{
	unsigned int a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 9 & 1) || !(c >> 19 & 1))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 29 & 1;
}

static bool has_sha(void)
{
	static atomic_int known; /* 0: not looked yet; 1: no; 2: yes */
	int k = atomic_load_explicit(&known, memory_order_relaxed);

	if (!k) {
		k = 1 + detect();
		atomic_store_explicit(&known, k, memory_order_relaxed);
	}
	return k == 2;
}

static bool in_lanes(enum hash_alg a)
{
	return (a == HASH_SHA1 || a == HASH_SHA256) && has_sha();
}

void hash_steps(enum hash_alg a, const struct hash_step *steps, size_t n)
{
	if (!in_lanes(a)) {
		hash_steps_portable(a, steps, n);
		return;
	}
	for (size_t at = 0; at < n; at += CHUNK) {
		size_t some = MIN(n - at, (size_t)CHUNK);

		if (a == HASH_SHA1)
			run_sha1(steps + at, some);
		else
			run_sha256(steps + at, some);
	}
}

const char *hash_steps_how(enum hash_alg a)
{
	return in_lanes(a) ? "sha-ni" : "openssl";
}

#else /* another processor: OpenSSL knows its instructions */

void hash_steps(enum hash_alg a, const struct hash_step *steps, size_t n)
{
	hash_steps_portable(a, steps, n);
}

const char *hash_steps_how(enum hash_alg a unused_)
{
	return "openssl";
}
#endif
