/* SPDX-License-Identifier: Apache-2.0 */
/* Entries to pack, and the comparison of what comes out. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/block.h"
#include "wire/block_form.h"

/* xorshift64*: the same numbers in every run. */
static inline uint64_t rnd(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

static inline void rnd_bytes(uint64_t *state, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(rnd(state) >> 32);
}

static inline struct bytes str(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static inline void put_field(struct writer *w, const void *p, size_t n)
{
	write_u32le(w, (uint32_t)n);
	write_bytes(w, p, n);
}

/* The data of an ima-ng entry with a digest that looks like one. */
static inline void put_ima_ng(struct writer *w, uint64_t *seed, const char *alg, size_t digest_n, const char *path)
{
	uint8_t field[128];
	size_t n = strlen(alg);

	memcpy(field, alg, n);
	field[n++] = ':';
	field[n++] = 0;
	rnd_bytes(seed, field + n, digest_n);
	put_field(w, field, n + digest_n);
	put_field(w, path, strlen(path) + 1);
}

static inline void assert_same(struct bytes a, struct bytes b)
{
	assert_int_equal(a.n, b.n);
	if (a.n)
		assert_memory_equal(a.p, b.p, a.n);
}

static inline void assert_same_context(const struct wire_context *a, const struct wire_context *b)
{
	assert_int_equal(a->present, b->present);
	if (!a->present)
		return;
	assert_true(a->age_us == b->age_us && a->cgroup == b->cgroup && a->mntns == b->mntns);
	assert_int_equal(a->pid, b->pid);
	assert_int_equal(a->uid, b->uid);
	assert_string_equal(a->comm, b->comm);
}

/* Packs, unpacks, compares; returns the size of the block. contexts may be NULL. */
static inline size_t assert_round_trip(const struct ima_entry *entries, const struct wire_context *contexts, size_t n)
{
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	struct bytes block;
	uint8_t *copy;
	size_t size;

	assert_int_equal(wire_pack_new(&p, 3), 0);
	assert_int_equal(wire_unpack_new(&u), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(wire_pack_add(p, &entries[i], contexts ? &contexts[i] : NULL), 0);
	assert_int_equal(wire_pack_count(p), n);
	assert_int_equal(wire_pack_finish(p, &block), 0);
	size = block.n;
	copy = malloc(size); /* exact size, and gone after begin: ASan sees a read past it or later */
	assert_non_null(copy);
	memcpy(copy, block.p, size);
	wire_pack_free(&p);
	assert_int_equal(wire_unpack_begin(u, (struct bytes){ copy, size }), WIRE_BLOCK_OK);
	free(copy);
	assert_int_equal(wire_unpack_count(u), n);
	for (size_t i = 0; i < n; i++) {
		struct ima_entry e;
		struct wire_context c, none = { 0 };

		assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_OK);
		assert_int_equal(e.pcr, entries[i].pcr);
		assert_int_equal(e.violation, entries[i].violation);
		assert_int_equal(e.digest.n, 0);
		assert_same(e.name, entries[i].name);
		assert_same(e.data, entries[i].data);
		assert_same_context(&c, contexts ? &contexts[i] : &none);
	}
	assert_int_equal(wire_unpack_next(u, &(struct ima_entry){ 0 }, NULL), WIRE_BLOCK_END);
	assert_int_equal(wire_unpack_next(u, &(struct ima_entry){ 0 }, NULL), WIRE_BLOCK_END);
	return size;
}
