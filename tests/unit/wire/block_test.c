// SPDX-License-Identifier: Apache-2.0
/* Packing is lossless, whatever the template data holds; limits of the packer. */
#include "unit/wire/block_helper.h"

#include "imastream/limits.h"

/* Data that has the structured form, and data that nearly has it. */
static void test_forms(void **state)
{
	static const struct {
		const char *head;
		size_t head_n, digest_n;
		const char *name;
		size_t name_n;
		const char *rest;
		size_t rest_n;
		bool structured;
		uint8_t prefix, alg, rest_form;
		bool nul;
	} cases[] = {
#define HEAD(s) s, sizeof(s) - 1
		/* the kernel's own templates */
		{ HEAD("sha256:\0"), 32, HEAD("/usr/bin/true\0"), HEAD(""), true, FORM_PLAIN, 2, 0, true },
		{ HEAD("sha1:\0"), 20, HEAD("/a\0"), HEAD("\0\0\0\0"), true, FORM_PLAIN, 1, 1, true }, /* ima-sig, not signed */
		{ HEAD("sha512:\0"), 64, HEAD("/a\0"), HEAD("\2\0\0\0\3\2"), true, FORM_PLAIN, 4, FORM_REST_RAW, true },
		{ HEAD("ima:sha384:\0"), 48, HEAD("/a\0"), HEAD(""), true, FORM_IMA, 3, 0, true },
		{ HEAD("verity:sha256:\0"), 32, HEAD("/a\0"), HEAD("\0\0\0\0"), true, FORM_VERITY, 2, 1, true },
		{ HEAD(""), 20, HEAD("/a\0"), HEAD(""), true, FORM_BARE, 1, 0, true },
		{ HEAD(""), 20, HEAD("/a"), HEAD(""), true, FORM_BARE, 1, 0, false },
		{ HEAD("md5:\0"), 16, HEAD("/a\0"), HEAD(""), true, FORM_PLAIN, 6, 0, true },
		{ HEAD("sha224:\0"), 28, HEAD("/a\0"), HEAD(""), true, FORM_PLAIN, 5, 0, true },
		{ HEAD("sha3-512:\0"), 64, HEAD("/a\0"), HEAD(""), true, FORM_PLAIN, 11, 0, true },
		{ HEAD("sm3:\0"), 32, HEAD("/a\0"), HEAD(""), true, FORM_PLAIN, 8, 0, true },
		/* odd, and still without loss */
		{ HEAD("sha256:\0"), 32, HEAD("/a"), HEAD(""), true, FORM_PLAIN, 2, 0, false },
		{ HEAD("sha256:\0"), 32, HEAD("\0"), HEAD(""), true, FORM_PLAIN, 2, 0, true },
		{ HEAD("sha256:\0"), 32, HEAD(""), HEAD(""), true, FORM_PLAIN, 2, 0, false },
		{ HEAD("sha256:\0"), 32, HEAD("/a\0"), HEAD("\0\0\0"), true, FORM_PLAIN, 2, FORM_REST_RAW, true },
		{ HEAD("sha256:\0"), 32, HEAD("/a\0"), HEAD("\0"), true, FORM_PLAIN, 2, FORM_REST_RAW, true },
		{ HEAD("sha256:\0"), 32, HEAD("/a\0"), HEAD("\0\0\0\0\0\0\0\0\0\0\0\1"), true, FORM_PLAIN, 2, FORM_REST_RAW, true },
		/* not the form */
		{ HEAD("sha256:\0"), 32, HEAD("/a\0/b\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD("sha256:\0"), 32, HEAD("/a\0\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD("sha256:\0"), 31, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD("sha256:\0"), 33, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD("sha256:\1"), 32, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD("sha256;\0"), 32, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD("SHA256:\0"), 32, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD("sha999:\0"), 32, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD("other:sha256:\0"), 32, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD(""), 0, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
		{ HEAD(":\0"), 0, HEAD("/a\0"), HEAD(""), false, 0, 0, 0, false },
#undef HEAD
	};
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_writer_ struct writer w = WRITER(4096);
		uint8_t field[128];
		struct ima_entry e = { .pcr = 10, .name = str("ima-ng") };
		struct form f = { 0 };
		struct form_parts parts;

		memcpy(field, cases[i].head, cases[i].head_n);
		rnd_bytes(&seed, field + cases[i].head_n, cases[i].digest_n);
		put_field(&w, field, cases[i].head_n + cases[i].digest_n);
		put_field(&w, cases[i].name, cases[i].name_n);
		write_bytes(&w, cases[i].rest, cases[i].rest_n);
		e.data = writer_view(&w);
		assert_int_equal(form_take_apart(e.data, &f, &parts), cases[i].structured);
		if (cases[i].structured) {
			assert_int_equal(f.prefix, cases[i].prefix);
			assert_int_equal(f.alg, cases[i].alg);
			assert_int_equal(f.rest, cases[i].rest_form);
			assert_int_equal(!!(f.flags & SHAPE_PATH_NUL), cases[i].nul);
			assert_int_equal(parts.digest.n, cases[i].digest_n);
			assert_int_equal(parts.path.n, cases[i].name_n - cases[i].nul);
		}
		assert_round_trip(&e, NULL, 1);
		/* each prefix of the data is data too */
		for (e.data.n = 0; e.data.n < w.n; e.data.n++)
			assert_round_trip(&e, NULL, 1);
	}
}

/* Empty fields behind the name: to the most that a template can have, and past it. */
static void test_empty_fields(void **state)
{
	uint64_t seed = 2;

	(void)state;
	for (size_t n = 0; n <= FORM_REST_EMPTY_MAX + 2; n++) {
		cleanup_writer_ struct writer w = WRITER(4096);
		struct ima_entry e = { .pcr = 10, .name = str("custom") };
		struct form f;
		struct form_parts parts;

		put_ima_ng(&w, &seed, "sha256", 32, "/x");
		for (size_t i = 0; i < n; i++)
			write_u32le(&w, 0);
		e.data = writer_view(&w);
		assert_true(form_take_apart(e.data, &f, &parts));
		assert_int_equal(f.rest, n <= FORM_REST_EMPTY_MAX ? n : FORM_REST_RAW);
		assert_round_trip(&e, NULL, 1);
	}
}

static const char *const paths[] = {
	"/usr/bin/true", "/usr/bin/truncate", "/usr/bin/true", "", "/", "/usr/lib/x86_64-linux-gnu/libc.so.6", "boot_aggregate",
	"/a path with spaces", "/\xff\xfe\x01", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
};

/* Entries as they come and as nobody would write them; every field of an entry at random. */
static void random_entry(uint64_t *seed, struct writer *w, struct ima_entry *e)
{
	static const char *const names[] = { "ima-ng", "ima-sig", "ima", "ima-ngv2", "ima-buf", "d-ng|n-ng|evmsig", "" };
	static const char *const heads[] = { "sha256", "sha1", "sha512", "ima:sha256", "verity:sha256", "sha3-256", "rmd160", "x" };
	static const size_t sizes[] = { 32, 20, 64, 32, 32, 32, 20, 32 };
	size_t start = w->n, head = rnd(seed) % ARRAY_SIZE(heads), kind = rnd(seed) % 16;
	uint8_t noise[600];

	if (kind == 0) {
		rnd_bytes(seed, noise, sizeof(noise));
		write_bytes(w, noise, rnd(seed) % sizeof(noise));
	} else {
		put_ima_ng(w, seed, heads[head], kind == 1 ? rnd(seed) % 64 : sizes[head], paths[rnd(seed) % ARRAY_SIZE(paths)]);
		for (uint64_t n = kind < 8 ? 0 : rnd(seed) % 4; n > 0; n--)
			put_field(w, noise, 0);
		if (kind == 2) {
			rnd_bytes(seed, noise, sizeof(noise));
			put_field(w, noise, rnd(seed) % sizeof(noise));
		}
		if (kind == 3) /* one byte changed */
			w->p[start + rnd(seed) % (w->n - start)] ^= (uint8_t)(1u << rnd(seed) % 8);
		if (kind == 4) /* cut */
			w->n = start + rnd(seed) % (w->n - start);
		if (kind == 5) /* a path of a length that the shared part does not reach */
			for (int i = 0; i < 400; i++)
				write_u8(w, i < 390 ? 'p' : (uint8_t)rnd(seed));
	}
	*e = (struct ima_entry){ .pcr = rnd(seed) % 8 ? 10 : (uint32_t)(rnd(seed) % (LIMIT_PCR + 1)),
				 .name = str(names[rnd(seed) % ARRAY_SIZE(names)]),
				 .violation = rnd(seed) % 10 == 0 };
	e->data.n = w->n - start;
}

static void random_context(uint64_t *seed, struct wire_context *c)
{
	static const char *const comms[] = { "bash", "", "curl", "0123456789abcdef", "\xff\n" };

	*c = (struct wire_context){ .present = rnd(seed) % 4 != 0,
				    .age_us = rnd(seed) >> (rnd(seed) % 64),
				    .pid = (uint32_t)(rnd(seed) >> (32 + rnd(seed) % 32)),
				    .uid = rnd(seed) % 3 ? 0 : (uint32_t)rnd(seed),
				    .cgroup = rnd(seed) >> (rnd(seed) % 64),
				    .mntns = 4026531841u + rnd(seed) % 2 };
	snprintf(c->comm, sizeof(c->comm), "%s", comms[rnd(seed) % ARRAY_SIZE(comms)]);
}

static void test_property(void **state)
{
	uint64_t seed = 20;

	(void)state;
	for (int round = 0; round < 400; round++) {
		cleanup_writer_ struct writer w = WRITER(1u << 20);
		struct ima_entry entries[150];
		struct wire_context contexts[150];
		size_t n = 1 + rnd(&seed) % ARRAY_SIZE(entries), at = 0;

		for (size_t i = 0; i < n; i++) {
			random_entry(&seed, &w, &entries[i]);
			random_context(&seed, &contexts[i]);
		}
		for (size_t i = 0; i < n; i++) { /* the buffer stands still now */
			entries[i].data.p = w.p + at;
			at += entries[i].data.n;
		}
		assert_round_trip(entries, round % 3 ? contexts : NULL, n);
	}
}

/* Paths that share more with the one before than one byte can say; also across an entry without form. */
static void test_shared_paths(void **state)
{
	static const size_t lengths[] = { 254, 255, 256, 257, 255, 1000, 1, 999, 0, 300 };
	cleanup_writer_ struct writer w = WRITER(1u << 16);
	struct ima_entry entries[2 * ARRAY_SIZE(lengths)];
	size_t n = 0, at = 0;
	uint64_t seed = 4;
	char path[1001];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		size_t start = w.n;

		memset(path, 'a', lengths[i]);
		path[lengths[i]] = 0;
		put_ima_ng(&w, &seed, "sha256", 32, path);
		entries[n++] = (struct ima_entry){ .pcr = 10, .name = str("ima-ng"), .data = { NULL, w.n - start } };
		start = w.n;
		write_bytes(&w, "noise", 5);
		entries[n++] = (struct ima_entry){ .pcr = 10, .name = str("ima-ng"), .data = { NULL, w.n - start } };
	}
	for (size_t i = 0; i < n; i++) {
		entries[i].data.p = w.p + at;
		at += entries[i].data.n;
	}
	assert_round_trip(entries, NULL, n);
}

static void test_contexts(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct ima_entry entries[5];
	struct wire_context c[5] = { 0 };
	uint64_t seed = 5;
	size_t without;

	(void)state;
	put_ima_ng(&w, &seed, "sha256", 32, "/usr/bin/true");
	for (size_t i = 0; i < 5; i++)
		entries[i] = (struct ima_entry){ .pcr = 10, .name = str("ima-ng"), .data = writer_view(&w) };
	/* absent contexts cost nothing at all */
	without = assert_round_trip(entries, NULL, 5);
	assert_int_equal(assert_round_trip(entries, c, 5), without);
	for (unsigned int mask = 0; mask < 32; mask++) {
		for (size_t i = 0; i < 5; i++) {
			c[i] = (struct wire_context){ .present = mask >> i & 1, .age_us = 5000 - i, .pid = 812 + (uint32_t)i };
			memcpy(c[i].comm, "curl", 5);
		}
		assert_round_trip(entries, c, 5);
	}
	c[0] = (struct wire_context){ true, UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX, "0123456789abcdef" };
	c[1] = (struct wire_context){ .present = true };
	c[2] = c[0];
	c[3] = (struct wire_context){ true, UINT64_C(1) << 63, 1u << 31, 1, UINT64_C(1) << 63, 1, "" };
	assert_round_trip(entries, c, 5);
	memset(c[4].comm, 'x', sizeof(c[4].comm)); /* not terminated: the last byte is not looked at */
	c[4].present = true;
	{
		cleanup_wire_pack_ struct wire_pack *p = NULL;
		cleanup_wire_unpack_ struct wire_unpack *u = NULL;
		struct bytes block;
		struct ima_entry e;
		struct wire_context got;

		assert_int_equal(wire_pack_new(&p, 3), 0);
		assert_int_equal(wire_pack_add(p, &entries[4], &c[4]), 0);
		assert_int_equal(wire_pack_finish(p, &block), 0);
		assert_int_equal(wire_unpack_new(&u), 0);
		assert_int_equal(wire_unpack_begin(u, block), WIRE_BLOCK_OK);
		assert_int_equal(wire_unpack_next(u, &e, &got), WIRE_BLOCK_OK);
		assert_string_equal(got.comm, "xxxxxxxxxxxxxxxx");
	}
}

/* The most data an entry can have, nothing of it compressible, with the longest name and a context: fits an empty block. */
static void test_largest_entry(void **state)
{
	uint8_t *data = malloc(LIMIT_ENTRY_DATA + 1);
	char name[LIMIT_TEMPLATE_NAME + 2];
	struct ima_entry e = { .pcr = LIMIT_PCR };
	struct wire_context c = { true, UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX, "0123456789abcdef" };
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	struct bytes block;
	uint64_t seed = 6;

	(void)state;
	assert_non_null(data);
	rnd_bytes(&seed, data, LIMIT_ENTRY_DATA + 1);
	memset(name, 'n', sizeof(name));
	name[LIMIT_TEMPLATE_NAME] = 0;
	e.name = str(name);
	e.data = (struct bytes){ data, LIMIT_ENTRY_DATA };
	assert_true(assert_round_trip(&e, &c, 1) <= LIMIT_BLOCK_PACKED);

	/* the same as a structured entry with an endless path */
	for (size_t i = 0; i < LIMIT_ENTRY_DATA; i++)
		data[i] |= 1; /* no NUL */
	memcpy(data, "\x28\0\0\0sha256:\0", 12);
	memcpy(data + 44, (uint8_t[]){ 0xd0, 0xff, 0x0f, 0 }, 4); /* LIMIT_ENTRY_DATA - 48 */
	data[LIMIT_ENTRY_DATA - 1] = 0;
	{
		struct form f;
		struct form_parts parts;

		assert_true(form_take_apart(e.data, &f, &parts));
		assert_int_equal(parts.path.n, LIMIT_ENTRY_DATA - 49);
	}
	assert_true(assert_round_trip(&e, &c, 1) <= LIMIT_BLOCK_PACKED);

	assert_int_equal(wire_pack_new(&p, 3), 0);
	e.data.n = LIMIT_ENTRY_DATA + 1;
	assert_int_equal(wire_pack_add(p, &e, &c), -EINVAL);
	e.data.n = LIMIT_ENTRY_DATA;
	name[LIMIT_TEMPLATE_NAME] = 'n';
	name[LIMIT_TEMPLATE_NAME + 1] = 0;
	e.name = str(name);
	assert_int_equal(wire_pack_add(p, &e, &c), -EINVAL);
	e.name.n--;
	e.pcr = LIMIT_PCR + 1;
	assert_int_equal(wire_pack_add(p, &e, &c), -EINVAL);
	e.pcr = LIMIT_PCR;
	assert_int_equal(wire_pack_count(p), 0);
	assert_int_equal(wire_pack_finish(p, &block), -EINVAL); /* empty */
	/* a second one does not fit; the first goes out whole */
	assert_int_equal(wire_pack_add(p, &e, &c), 0);
	assert_int_equal(wire_pack_add(p, &e, &c), -EMSGSIZE);
	assert_int_equal(wire_pack_count(p), 1);
	assert_int_equal(wire_pack_finish(p, &block), 0);
	free(data);
}

static void test_entry_and_shape_limits(void **state)
{
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	struct ima_entry e = { .pcr = 10, .name = str("t"), .data = { (const uint8_t *)"x", 1 } };
	struct bytes block;
	char name[16];

	(void)state;
	assert_int_equal(wire_pack_new(&p, 3), 0);
	assert_int_equal(wire_unpack_new(&u), 0);
	for (unsigned int i = 0; i < LIMIT_BLOCK_ENTRIES; i++)
		assert_int_equal(wire_pack_add(p, &e, NULL), 0);
	assert_int_equal(wire_pack_add(p, &e, NULL), -EMSGSIZE);
	assert_int_equal(wire_pack_finish(p, &block), 0);
	assert_int_equal(wire_unpack_begin(u, block), WIRE_BLOCK_OK);
	assert_int_equal(wire_unpack_count(u), LIMIT_BLOCK_ENTRIES);
	assert_true(block.n < 100);

	wire_pack_begin(p);
	for (unsigned int i = 0; i < LIMIT_BLOCK_SHAPES; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		e.name = str(name);
		assert_int_equal(wire_pack_add(p, &e, NULL), 0);
	}
	e.name = str("one more");
	assert_int_equal(wire_pack_add(p, &e, NULL), -EMSGSIZE);
	e.name = str("t7"); /* a shape that is there still fits */
	assert_int_equal(wire_pack_add(p, &e, NULL), 0);
	assert_int_equal(wire_pack_finish(p, &block), 0);
	assert_int_equal(wire_unpack_begin(u, block), WIRE_BLOCK_OK);
	assert_int_equal(wire_unpack_count(u), LIMIT_BLOCK_SHAPES + 1);
	for (unsigned int i = 0; i <= LIMIT_BLOCK_SHAPES; i++) {
		struct ima_entry got;

		assert_int_equal(wire_unpack_next(u, &got, NULL), WIRE_BLOCK_OK);
		snprintf(name, sizeof(name), "t%u", i == LIMIT_BLOCK_SHAPES ? 7 : i);
		assert_same(got.name, str(name));
	}
}

/* Old blocks leave nothing behind in a packer that is used again; finish may be asked twice. */
static void test_reuse(void **state)
{
	cleanup_wire_pack_ struct wire_pack *p = NULL, *fresh = NULL;
	cleanup_writer_ struct writer w = WRITER(4096);
	struct wire_context c = { .present = true, .pid = 5, .comm = "x" };
	struct ima_entry e = { .pcr = 10, .name = str("ima-ng") };
	struct bytes a, b, again;
	uint64_t seed = 7;

	(void)state;
	put_ima_ng(&w, &seed, "sha256", 32, "/usr/bin/true");
	e.data = writer_view(&w);
	assert_int_equal(wire_pack_new(&p, 3), 0);
	assert_int_equal(wire_pack_new(&fresh, 3), 0);
	e.violation = true;
	assert_int_equal(wire_pack_add(p, &e, &c), 0);
	assert_int_equal(wire_pack_finish(p, &a), 0);
	assert_int_equal(wire_pack_add(p, &e, &c), -EINVAL); /* finished */
	e.violation = false;
	wire_pack_begin(p);
	assert_int_equal(wire_pack_count(p), 0);
	assert_int_equal(wire_pack_add(p, &e, NULL), 0);
	assert_int_equal(wire_pack_add(fresh, &e, NULL), 0);
	assert_int_equal(wire_pack_finish(p, &a), 0);
	assert_int_equal(wire_pack_finish(fresh, &b), 0);
	assert_same(a, b);
	assert_int_equal(wire_pack_finish(p, &again), 0);
	assert_true(again.p == a.p && again.n == a.n);
}

/* What a violation, another PCR or the template's name cost in a batch: next to nothing for each entry. */
static void test_cost(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct ima_entry entries[128];
	size_t ng, sig, at = 0;
	uint64_t seed = 8;
	char path[64];

	(void)state;
	for (int i = 0; i < 128; i++) {
		size_t start = w.n;

		snprintf(path, sizeof(path), "/usr/bin/program-%08x", (unsigned int)rnd(&seed));
		put_ima_ng(&w, &seed, "sha256", 32, path);
		entries[i] = (struct ima_entry){ .pcr = 10, .name = str("ima-ng"), .data = { NULL, w.n - start } };
	}
	for (int i = 0; i < 128; i++) {
		entries[i].data.p = w.p + at;
		at += entries[i].data.n;
	}
	ng = assert_round_trip(entries, NULL, 128);
	/* 32 bytes of digest, 8 random hexadecimal digits: 4 bytes; room for the rest of the path */
	assert_in_range(ng, 128 * 36, 128 * 42);
	for (int i = 0; i < 128; i++) {
		entries[i].violation = true;
		entries[i].pcr = 11;
		entries[i].name = str("a-template-with-a-long-name");
	}
	sig = assert_round_trip(entries, NULL, 128);
	assert_in_range(sig, ng, ng + 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),	      cmocka_unit_test(test_empty_fields),
		cmocka_unit_test(test_property),      cmocka_unit_test(test_shared_paths),
		cmocka_unit_test(test_contexts),      cmocka_unit_test(test_largest_entry),
		cmocka_unit_test(test_entry_and_shape_limits), cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
