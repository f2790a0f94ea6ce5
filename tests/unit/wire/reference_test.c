// SPDX-License-Identifier: Apache-2.0
/* Reference sets: their form, look-up; blocks with known entries, and each of their rules broken once. */
#include "base/text.h"
#include "unit/wire/reference_helper.h"
#include "wire/dictionary.h"

#define FILES 600u

static struct test_record records[FILES];
static uint8_t digests[FILES][32];
static char paths[FILES][64];
static struct test_set set;

static int make_files(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (uint32_t i = 0; i < FILES; i++) {
		rnd_bytes(&seed, digests[i], sizeof(digests[i]));
		snprintf(paths[i], sizeof(paths[i]), "/usr/lib/unit-%u/file-%u", i / 7, i);
		records[i].record = (struct wire_record){ .alg = 2, .digest = { digests[i], 32 }, .path = str(paths[i]) };
	}
	test_set_make(&set, records, FILES);
	return 0;
}

static int drop_files(void **state)
{
	(void)state;
	test_set_clear(&set);
	return 0;
}

/* ---- the set itself ---- */

static enum wire_reference_outcome open_bytes(struct bytes b)
{
	uint8_t digest[32];
	struct wire_reference out;

	hash_one(HASH_SHA256, b.p, b.n, digest);
	return wire_reference_open(b, digest, &out);
}

static void test_tag(void **state)
{
	/* printf 'imastream record v1\2' and 32 bytes of 0x11 and '/bin/true' | sha256sum */
	static const char expected[] = "5e5815dbf0bee9c7da4cb310655cb479";
	uint8_t digest[32], tag[WIRE_TAG_SIZE], wanted[WIRE_TAG_SIZE];
	struct wire_record r = { .alg = 2, .digest = { digest, 32 }, .path = str("/bin/true") };

	(void)state;
	memset(digest, 0x11, sizeof(digest));
	assert_int_equal(hex_decode(str(expected), wanted, sizeof(wanted)), 0);
	wire_record_tag(&r, tag);
	assert_memory_equal(tag, wanted, sizeof(tag));
	assert_int_equal(wire_digest_number("sha256", 32), 2);
	assert_int_equal(wire_digest_number("sha256", 20), 0);
	assert_int_equal(wire_digest_number("sha257", 32), 0);
	assert_int_equal(wire_digest_number(NULL, 32), 0);
}

static void test_find(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FILES; i++) {
		struct wire_record r = records[i].record;
		uint32_t at = UINT32_MAX;

		assert_true(wire_reference_find(&set.sender, &r, &at));
		assert_int_equal(at, i);
		r.path.n--; /* another path, another algorithm, another digest */
		assert_false(wire_reference_find(&set.sender, &r, &at));
		r.path.n++;
		r.alg = 8;
		assert_false(wire_reference_find(&set.sender, &r, &at));
		r.alg = 2;
		r.digest.n--;
		assert_false(wire_reference_find(&set.sender, &r, &at));
	}
}

/* A set whose tags are not spread at all is found in as well. */
static void test_find_skewed(void **state)
{
	static struct test_record few[40];
	uint32_t n = 0, at;
	struct test_set skewed;

	(void)state;
	for (uint32_t i = 0; i < FILES && n < ARRAY_SIZE(few); i++)
		if (records[i].tag[0] < 0x10)
			few[n++] = records[i];
	assert_true(n > 8);
	test_set_make(&skewed, few, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(wire_reference_find(&skewed.sender, &few[i].record, &at));
		assert_int_equal(at, i);
	}
	assert_false(wire_reference_find(&skewed.sender, &records[FILES - 1].record, &at));
	test_set_clear(&skewed);
}

static void test_open(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_REFERENCE + 64);
	struct bytes whole = writer_view(&set.bytes);
	struct wire_reference out = { .records = 77 };
	uint8_t digest[32];

	(void)state;
	hash_one(HASH_SHA256, whole.p, whole.n, digest);
	digest[31] ^= 1;
	assert_int_equal(wire_reference_open(whole, digest, &out), WIRE_REFERENCE_DIGEST);
	assert_int_equal(out.records, 77);
	for (size_t n = 0; n < whole.n; n += n < 64 ? 1 : 97)
		assert_int_equal(open_bytes((struct bytes){ whole.p, n }), WIRE_REFERENCE_MALFORMED);
	write_bytes(&w, whole.p, whole.n);
	write_u8(&w, 0);
	assert_int_equal(open_bytes(writer_view(&w)), WIRE_REFERENCE_MALFORMED);
	w.n--;
	assert_int_equal(open_bytes(writer_view(&w)), WIRE_REFERENCE_OK);
	w.p[0] ^= 1;
	assert_int_equal(open_bytes(writer_view(&w)), WIRE_REFERENCE_MALFORMED);
	w.p[0] ^= 1;
	w.p[12] = 0xff; /* the second tag below the first, or the same */
	assert_int_equal(open_bytes(writer_view(&w)), WIRE_REFERENCE_MALFORMED);
	memcpy(w.p + 12 + 16, w.p + 12, 16);
	assert_int_equal(open_bytes(writer_view(&w)), WIRE_REFERENCE_MALFORMED);
	writer_reset(&w);
	wire_reference_head(&w, 0);
	assert_int_equal(open_bytes(writer_view(&w)), WIRE_REFERENCE_MALFORMED);
}

static void test_open_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_REFERENCE + 64);

	(void)state;
	for (uint32_t over = 0; over <= 1; over++) {
		writer_reset(&w);
		wire_reference_head(&w, LIMIT_REFERENCE_RECORDS + over);
		for (uint32_t i = 0; i < LIMIT_REFERENCE_RECORDS + over; i++) {
			write_u32be(&w, i);
			write_u32be(&w, 0);
			write_u64be(&w, 0);
		}
		assert_int_equal(w.n, LIMIT_REFERENCE + over * WIRE_TAG_SIZE);
		assert_int_equal(open_bytes(writer_view(&w)), over ? WIRE_REFERENCE_TOO_LARGE : WIRE_REFERENCE_OK);
	}
	assert_int_equal(wire_reference_width(256), 1);
	assert_int_equal(wire_reference_width(257), 2);
	assert_int_equal(wire_reference_width(65536), 2);
	assert_int_equal(wire_reference_width(65537), 3);
	assert_int_equal(wire_reference_width(LIMIT_REFERENCE_RECORDS), 3);
}

static void test_number(void **state)
{
	uint8_t digest[32] = { 0xf0, 0, 0, 0, 1 };

	(void)state;
	assert_int_equal(wire_reference_number(digest), 1); /* 0 says that there is none */
	digest[3] = 5;
	assert_int_equal(wire_reference_number(digest), 5);
	memset(digest, 0xff, sizeof(digest));
	assert_int_equal(wire_reference_number(digest), 0x0fffffff);
}

/* ---- blocks ---- */

/* Template data of file i, "ima-ng"; changed: with another digest. */
static void put_file(struct writer *w, uint32_t i, bool changed)
{
	struct writer field = WRITER(256);
	const struct wire_record *r = &records[i].record;

	writer_reset(w);
	write_bytes(&field, "sha256:", 8);
	write_bytes(&field, r->digest.p, r->digest.n);
	field.p[field.n - 1] ^= changed;
	put_field(w, field.p, field.n);
	write_u32le(w, (uint32_t)r->path.n + 1);
	write_bytes(w, r->path.p, r->path.n);
	write_u8(w, 0);
	writer_free(&field);
}

/* n entries from `first` on, every `unknown`th of them not in the set (0: all are). */
static void fill(struct wire_pack *p, uint32_t first, uint32_t n, uint32_t unknown, bool contexts)
{
	cleanup_writer_ struct writer data = WRITER(4096);
	uint32_t known = 0;

	wire_pack_begin_known(p, &set.sender);
	for (uint32_t i = 0; i < n; i++) {
		struct wire_context c = { .present = i % 3 == 0, .age_us = i, .pid = 100 + i, .comm = "sh" };
		bool changed = unknown && i % unknown == 0;
		struct ima_entry e = { .pcr = 10, .name = str("ima-ng") };

		put_file(&data, (first + i * 5) % FILES, changed);
		e.data = writer_view(&data);
		assert_int_equal(wire_pack_add(p, &e, contexts ? &c : NULL), 0);
		known += !changed;
	}
	assert_int_equal(wire_pack_known(p), known);
}

static void assert_filled(struct wire_unpack *u, uint32_t first, uint32_t n, uint32_t unknown, bool contexts)
{
	cleanup_writer_ struct writer data = WRITER(4096);
	struct wire_context c;
	struct ima_entry e;

	assert_int_equal(wire_unpack_count(u), n);
	for (uint32_t i = 0; i < n; i++) {
		put_file(&data, (first + i * 5) % FILES, unknown && i % unknown == 0);
		assert_int_equal(wire_unpack_known(u), wire_unpack_set(u) && !(unknown && i % unknown == 0));
		assert_int_equal(wire_unpack_room(u), data.n);
		assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_OK);
		assert_same(e.data, writer_view(&data));
		assert_same(e.name, str("ima-ng"));
		assert_int_equal(e.pcr, 10);
		assert_int_equal(c.present, contexts && i % 3 == 0);
		if (c.present)
			assert_int_equal(c.pid, 100 + i);
	}
	assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_END);
	assert_false(wire_unpack_known(u));
	assert_int_equal(wire_unpack_room(u), 0);
}

static void test_round_trip(void **state)
{
	static const uint32_t counts[] = { 1, 2, 10, 128, 600 }, shares[] = { 0, 1, 2, 3, 10 };
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	struct bytes block;

	(void)state;
	assert_int_equal(wire_pack_new(&p, 3), 0);
	assert_int_equal(wire_unpack_new(&u), 0);
	for (size_t i = 0; i < ARRAY_SIZE(counts) * ARRAY_SIZE(shares) * 2; i++) {
		uint32_t n = counts[i / 2 % ARRAY_SIZE(counts)], unknown = shares[i / 2 / ARRAY_SIZE(counts)];
		bool known = unknown != 1 && (unknown == 0 || n > 1);

		fill(p, (uint32_t)i, n, unknown, i % 2);
		assert_int_equal(wire_pack_finish(p, &block), 0);
		/* without an entry of the set it is a block that anybody can read */
		assert_int_equal(block.p[0], known ? WIRE_BLOCK_FORMAT_KNOWN : WIRE_BLOCK_FORMAT);
		assert_int_equal(wire_unpack_begin_known(u, block, &set.receiver, 1), WIRE_BLOCK_OK);
		assert_int_equal(wire_unpack_set(u) != NULL, known);
		assert_filled(u, (uint32_t)i, n, unknown, i % 2);
		assert_int_equal(wire_unpack_begin(u, block), known ? WIRE_BLOCK_REFERENCE : WIRE_BLOCK_OK);
		if (n == 10 && unknown == 0 && i % 2 == 0)
			assert_true(block.n <= 80); /* the promise is 8 bytes an entry */
	}
}

/* The set that a block names is the one that is used, whatever its place; one that is not there is an outcome of its own. */
static void test_which_set(void **state)
{
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	struct wire_known sets[2] = { set.receiver, set.receiver };
	struct bytes block;
	struct ima_entry e;

	(void)state;
	assert_int_equal(wire_pack_new(&p, 3), 0);
	assert_int_equal(wire_unpack_new(&u), 0);
	fill(p, 403, 10, 0, false); /* file i is record i */
	assert_int_equal(wire_pack_finish(p, &block), 0);
	sets[0].number ^= 1;
	assert_int_equal(wire_unpack_begin_known(u, block, sets, 2), WIRE_BLOCK_OK);
	assert_filled(u, 403, 10, 0, false);
	assert_int_equal(wire_unpack_begin_known(u, block, sets, 1), WIRE_BLOCK_REFERENCE);
	assert_int_equal(wire_unpack_count(u), 0);
	assert_int_equal(wire_unpack_next(u, &e, NULL), WIRE_BLOCK_END);
	sets[1].records = 4; /* a number past its end; here also the width of a number differs */
	assert_int_equal(wire_unpack_begin_known(u, block, sets, 2), WIRE_BLOCK_MALFORMED);
	sets[1].records = 300;
	assert_int_equal(wire_unpack_begin_known(u, block, sets, 2), WIRE_BLOCK_MALFORMED);
}

/* 04 entries by hand: shape known; "00 01 02 03" are not all of FILES records, two bytes each. */
#define NG "06696d612d6e67"
#define KNOWN_SHAPE "01" "0e0a" NG "000200"

static int take_plain(struct wire_unpack *u, const char *hex)
{
	cleanup_writer_ struct writer w = WRITER(4096);

	write_u8(&w, WIRE_BLOCK_FORMAT_KNOWN);
	write_varint(&w, set.sender.number);
	write_u8(&w, WIRE_BLOCK_HOW_PLAIN);
	assert_int_equal(hex_decode_to(&w, str(hex)), 0);
	return wire_unpack_begin_known(u, writer_view(&w), &set.receiver, 1);
}

static void test_layout(void **state)
{
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	cleanup_writer_ struct writer data = WRITER(4096);
	struct ima_entry e;

	(void)state;
	assert_int_equal(wire_unpack_new(&u), 0);
	assert_int_equal(take_plain(u, "02" KNOWN_SHAPE "0002" "0000" "0257" "0003"), WIRE_BLOCK_OK); /* records 599, 3 */
	assert_int_equal(wire_unpack_next(u, &e, NULL), WIRE_BLOCK_OK);
	put_file(&data, 599, false);
	assert_same(e.data, writer_view(&data));
	assert_int_equal(wire_unpack_next(u, &e, NULL), WIRE_BLOCK_OK);
	put_file(&data, 3, false);
	assert_same(e.data, writer_view(&data));
	assert_int_equal(take_plain(u, "02" KNOWN_SHAPE "0002" "0000" "0258" "0003"), WIRE_BLOCK_MALFORMED); /* none such */
	assert_int_equal(take_plain(u, "02" KNOWN_SHAPE "0002" "0000" "0257" "00"), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_plain(u, "02" KNOWN_SHAPE "0002" "0000" "0257" "0003" "00"), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_plain(u, "01" "01" "0e0a" NG "000300" "0001" "0000" "0003"), WIRE_BLOCK_MALFORMED); /* sha384 */
	assert_int_equal(take_plain(u, "01" "01" "080a" NG "0001" "0000" "0003"), WIRE_BLOCK_MALFORMED); /* not structured */
	assert_int_equal(take_plain(u, "01" "01" "1e0a" NG "000200" "0001" "0000" "0003"), WIRE_BLOCK_MALFORMED); /* flag */
	assert_int_equal(take_plain(u, "01" "01" "0e0a" NG "0002ff" "0001" "0002" "0003" "01aa"), WIRE_BLOCK_OK); /* raw rest */
}

static void test_outer(void **state)
{
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct bytes block;

	(void)state;
	assert_int_equal(wire_pack_new(&p, 3), 0);
	assert_int_equal(wire_unpack_new(&u), 0);
	for (unsigned int contexts = 0; contexts <= 1; contexts++) {
		fill(p, 3, 128, 4, contexts);
		assert_int_equal(wire_pack_finish(p, &block), 0);
		for (size_t n = 0; n < block.n; n++)
			assert_int_not_equal(wire_unpack_begin_known(u, (struct bytes){ block.p, n }, &set.receiver, 1),
					     WIRE_BLOCK_OK);
	}
	write_u8(&w, WIRE_BLOCK_FORMAT_KNOWN);
	write_varint(&w, 0); /* no set: that is format 3 */
	write_u8(&w, WIRE_BLOCK_HOW_PLAIN);
	assert_int_equal(wire_unpack_begin_known(u, writer_view(&w), &set.receiver, 1), WIRE_BLOCK_MALFORMED);
	writer_reset(&w);
	write_u8(&w, WIRE_BLOCK_FORMAT_KNOWN);
	write_varint(&w, set.sender.number);
	write_u8(&w, WIRE_BLOCK_HOW_ZSTD + 1);
	write_u8(&w, 0);
	assert_int_equal(wire_unpack_begin_known(u, writer_view(&w), &set.receiver, 1), WIRE_BLOCK_MALFORMED);
}

/* A few bytes must not become many: what the entries are together has a limit of its own. */
static void test_expansion(void **state)
{
	static char path[8192];
	static struct test_record one[1];
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	struct test_set big;
	struct ima_entry e = { .pcr = 10, .name = str("ima-ng") };
	cleanup_writer_ struct writer data = WRITER(16384), field = WRITER(64);
	uint32_t fits;
	struct bytes block;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	one[0].record = (struct wire_record){ .alg = 2, .digest = { digests[0], 32 }, .path = str(path) };
	test_set_make(&big, one, 1);
	write_bytes(&field, "sha256:", 8);
	write_bytes(&field, digests[0], 32);
	put_field(&data, field.p, field.n);
	put_field(&data, path, sizeof(path));
	e.data = writer_view(&data);
	fits = LIMIT_BLOCK_KNOWN / (uint32_t)e.data.n;
	assert_int_equal(wire_pack_new(&p, 3), 0);
	assert_int_equal(wire_unpack_new(&u), 0);
	wire_pack_begin_known(p, &big.sender);
	for (uint32_t i = 0; i < fits; i++)
		assert_int_equal(wire_pack_add(p, &e, NULL), 0);
	assert_int_equal(wire_pack_add(p, &e, NULL), -EMSGSIZE);
	assert_int_equal(wire_pack_finish(p, &block), 0);
	assert_true(block.n < 200);
	assert_int_equal(wire_unpack_begin_known(u, block, &big.receiver, 1), WIRE_BLOCK_OK);
	/* one more, by hand */
	writer_reset(&data);
	write_u8(&data, WIRE_BLOCK_FORMAT_KNOWN);
	write_varint(&data, big.sender.number);
	write_u8(&data, WIRE_BLOCK_HOW_PLAIN);
	write_varint(&data, fits + 1);
	assert_int_equal(hex_decode_to(&data, str(KNOWN_SHAPE "00")), 0);
	write_varint(&data, fits + 1);
	write_u8(&data, 0);
	write_u8(&data, 0);
	for (uint32_t i = 0; i <= fits; i++)
		write_u8(&data, 0);
	assert_int_equal(wire_unpack_begin_known(u, writer_view(&data), &big.receiver, 1), WIRE_BLOCK_TOO_LARGE);
	test_set_clear(&big);
}

/* What is read with a set can always be packed again without one: that is how it is stored. */
static void test_packed_again(void **state)
{
	cleanup_wire_pack_ struct wire_pack *p = NULL, *again = NULL;
	cleanup_wire_unpack_ struct wire_unpack *u = NULL, *other = NULL;
	struct bytes block, stored;
	struct wire_context c;
	struct ima_entry e;

	(void)state;
	assert_int_equal(wire_pack_new(&p, 3), 0);
	assert_int_equal(wire_pack_new(&again, 1), 0);
	assert_int_equal(wire_unpack_new(&u), 0);
	assert_int_equal(wire_unpack_new(&other), 0);
	fill(p, 1, 1000, 9, true);
	assert_int_equal(wire_pack_finish(p, &block), 0);
	assert_int_equal(wire_unpack_begin_known(u, block, &set.receiver, 1), WIRE_BLOCK_OK);
	wire_pack_begin(again);
	while (wire_unpack_next(u, &e, &c) == WIRE_BLOCK_OK)
		assert_int_equal(wire_pack_add(again, &e, &c), 0);
	assert_int_equal(wire_pack_finish(again, &stored), 0);
	assert_int_equal(wire_unpack_begin(other, stored), WIRE_BLOCK_OK);
	assert_filled(other, 1, 1000, 9, true);
}

/* ---- formats ---- */

/* What is in the program is what docs/ gives to others, and has the SHA-256 of docs/WIRE.md. */
static void test_dictionary(void **state)
{
	static const char expected[] = "6029cc4186cb6d7f5c9284223bfc3b1e90b8a5d2230ef1ce404781be93437dc6";
	cleanup_writer_ struct writer w = WRITER(8192);
	uint8_t digest[32], wanted[32];

	(void)state;
	assert_int_equal(read_file("docs/wire-dictionary.bin", &w), 0);
	assert_same(writer_view(&w), ((struct bytes){ wire_dictionary, sizeof(wire_dictionary) }));
	assert_int_equal(hex_decode(str(expected), wanted, sizeof(wanted)), 0);
	hash_one(HASH_SHA256, w.p, w.n, digest);
	assert_memory_equal(digest, wanted, sizeof(digest));
}

/* Every format that a packer ever wrote is read for ever (tests/vectors/wire), in any order by the same unpacker. One that was made
 * with the dictionary is not read without, nor the other way round. */
static void test_formats(void **state)
{
	static const uint8_t order[] = { 1, 2, 3, 4, 3, 1, 4, 2, 2, 4, 1, 3 };
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	cleanup_writer_ struct writer w = WRITER(8192);
	char name[64];

	(void)state;
	assert_int_equal(wire_unpack_new(&u), 0);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		bool known = order[i] % 2 == 0;
		struct wire_context c;
		struct ima_entry e;
		int r;

		snprintf(name, sizeof(name), "tests/vectors/wire/block-%u", order[i]);
		writer_reset(&w);
		assert_int_equal(read_file(name, &w), 0);
		assert_int_equal(w.p[0], order[i]);
		assert_int_equal(wire_unpack_begin_known(u, writer_view(&w), &set.receiver, 1), WIRE_BLOCK_OK);
		assert_filled(u, known ? 23 : 17, 60, known ? 2 : 1, true);
		for (size_t n = 0; n < w.n; n++)
			assert_int_not_equal(wire_unpack_begin_known(u, (struct bytes){ w.p, n }, &set.receiver, 1), WIRE_BLOCK_OK);
		if (order[i] < WIRE_BLOCK_FORMAT)
			continue;
		w.p[0] = order[i] - 2; /* its entropy tables are the dictionary's */
		r = wire_unpack_begin_known(u, writer_view(&w), &set.receiver, 1);
		assert_int_equal(r, WIRE_BLOCK_MALFORMED);
		assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_END);
	}
}

/* A host's first few programs gain most: what is common to all hosts does not travel. */
static void test_dictionary_helps(void **state)
{
	static const char *const programs[] = { "/usr/lib/x86_64-linux-gnu/libxcb-shape.so.0.0.0", "/usr/lib/python3/dist-packages/x/__init__.py",
						"/usr/sbin/sshd", "/usr/lib/systemd/system-generators/y" };
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	cleanup_writer_ struct writer data = WRITER(4096);
	struct bytes block;
	uint64_t seed = 9;

	(void)state;
	assert_int_equal(wire_pack_new(&p, 3), 0);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct ima_entry e = { .pcr = 10, .name = str("ima-ng") };

		writer_reset(&data);
		put_ima_ng(&data, &seed, "sha256", 32, programs[i]);
		e.data = writer_view(&data);
		assert_int_equal(wire_pack_add(p, &e, NULL), 0);
	}
	assert_int_equal(wire_pack_finish(p, &block), 0);
	assert_true(block.n < 4 * 32 + 110); /* without it: 269 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tag),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_skewed),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_limit),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_which_set),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_outer),
		cmocka_unit_test(test_expansion),
		cmocka_unit_test(test_packed_again),
		cmocka_unit_test(test_dictionary),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_dictionary_helps),
	};

	return cmocka_run_group_tests(tests, make_files, drop_files);
}
