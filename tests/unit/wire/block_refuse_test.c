// SPDX-License-Identifier: Apache-2.0
/* Blocks made by hand from docs/WIRE.md: the layout byte by byte, and each rule broken once. */
#define ZSTD_STATIC_LINKING_ONLY /* the magic number of skippable frames */
#include <zstd.h>

#include "base/text.h"
#include "imastream/limits.h"
#include "unit/wire/block_helper.h"
#include "wire/dictionary.h"

static struct wire_unpack *unpacker(void)
{
	static struct wire_unpack *u;

	if (!u)
		assert_int_equal(wire_unpack_new(&u), 0);
	return u;
}

static int drop_unpacker(void **state)
{
	struct wire_unpack *u = unpacker();

	(void)state;
	wire_unpack_free(&u);
	return 0;
}

/* All entries, and that the number of them is right. */
static int take(struct bytes block)
{
	struct wire_unpack *u = unpacker();
	struct ima_entry e;
	struct wire_context c;
	int r = wire_unpack_begin(u, block);
	uint32_t n = 0;

	if (r != WIRE_BLOCK_OK) {
		assert_int_equal(wire_unpack_count(u), 0);
		assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_END); /* none of a refused block */
		return r;
	}
	while ((r = wire_unpack_next(u, &e, &c)) == WIRE_BLOCK_OK)
		n++;
	assert_int_equal(r, WIRE_BLOCK_END); /* after begin() nothing can be wrong */
	assert_int_equal(n, wire_unpack_count(u));
	return WIRE_BLOCK_OK;
}

static uint8_t format = WIRE_BLOCK_FORMAT; /* of frames made by hand */

/* format, reference, frame of the plain bytes */
static void frame(struct writer *w, struct bytes plain)
{
	size_t room = ZSTD_compressBound(plain.n), n;

	writer_reset(w);
	write_u8(w, format);
	write_u8(w, 0);
	n = ZSTD_compress(write_space(w, room), room, plain.p, plain.n, 3);
	assert_false(ZSTD_isError(n));
	w->n -= room - n;
}

static int take_plain(struct bytes plain)
{
	cleanup_writer_ struct writer w = WRITER(16u << 20);

	frame(&w, plain);
	return take(writer_view(&w));
}

static int take_hex(const char *hex)
{
	cleanup_writer_ struct writer plain = WRITER(1u << 20);

	assert_int_equal(hex_decode_to(&plain, str(hex)), 0);
	return take_plain(writer_view(&plain));
}

#define D16 "000102030405060708090a0b0c0d0e0f"
#define D20 D16 "10111213"
#define NG "06696d612d6e67" /* "ima-ng" with its length */
/* Two shapes: structured md5 with NUL, no rest; raw, violation. Three entries: "/a", "/ab", raw "xyz". */
#define SHAPES "02" "060a" NG "000600" "010b0178"
#define RUNS "0002" "0101"
#define DIGESTS D16 D16
#define RAW "0378797a"
#define GOOD "03" SHAPES RUNS "0704" DIGESTS "002f6100" "026200" RAW
/* contexts: absent 1, present 2; age, pid, uid, cgroup, mntns; comm */
#define CONTEXTS "0102" "0a01" "1002" "0000" "0400" "0600" "62617368006375726c00"

static void test_layout(void **state)
{
	cleanup_writer_ struct writer plain = WRITER(4096), block = WRITER(4096);
	struct wire_unpack *u = unpacker();
	struct ima_entry e;
	struct wire_context c;

	(void)state;
	assert_int_equal(hex_decode_to(&plain, str(GOOD CONTEXTS)), 0);
	frame(&block, writer_view(&plain));
	assert_int_equal(wire_unpack_begin(u, writer_view(&block)), WIRE_BLOCK_OK);
	assert_int_equal(wire_unpack_count(u), 3);

	assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_OK);
	assert_int_equal(e.pcr, 10);
	assert_false(e.violation);
	assert_same(e.name, str("ima-ng"));
	assert_int_equal(e.data.n, 4 + 5 + 16 + 4 + 3);
	assert_memory_equal(e.data.p, "\x15\0\0\0md5:\0\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\3\0\0\0/a\0", e.data.n);
	assert_false(c.present);

	assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_OK);
	assert_memory_equal(e.data.p + e.data.n - 8, "\4\0\0\0/ab\0", 8);
	assert_true(c.present);
	assert_int_equal(c.age_us, 5);
	assert_int_equal(c.pid, 8);
	assert_int_equal(c.cgroup, 2);
	assert_int_equal(c.mntns, 3);
	assert_string_equal(c.comm, "bash");

	assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_OK);
	assert_int_equal(e.pcr, 11);
	assert_true(e.violation);
	assert_same(e.name, str("x"));
	assert_same(e.data, str("xyz"));
	assert_int_equal(c.age_us, 4);
	assert_int_equal(c.pid, 9);
	assert_int_equal(c.mntns, 3);
	assert_string_equal(c.comm, "curl");
	assert_int_equal(wire_unpack_next(u, &e, &c), WIRE_BLOCK_END);
}

/* Cut at each place, one byte more: never taken. */
static void test_plain_length(void **state)
{
	static const char *const blocks[] = { GOOD, GOOD CONTEXTS };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		cleanup_writer_ struct writer plain = WRITER(4096);

		assert_int_equal(hex_decode_to(&plain, str(blocks[i])), 0);
		assert_int_equal(take_plain(writer_view(&plain)), WIRE_BLOCK_OK);
		for (size_t n = 0; n < plain.n; n++) {
			bool without_contexts = i == 1 && n == strlen(GOOD) / 2;

			assert_int_equal(take_plain((struct bytes){ plain.p, n }),
					 without_contexts ? WIRE_BLOCK_OK : WIRE_BLOCK_MALFORMED);
		}
		write_u8(&plain, 0);
		assert_int_equal(take_plain(writer_view(&plain)), WIRE_BLOCK_MALFORMED);
	}
}

static void test_rules(void **state)
{
	static const char *const refused[] = {
		"00",							    /* no entries */
		"00" "01" "000a00" "0000",
		"01" "00" "0000",					    /* no shapes */
		"01" "01" "080a00" "0001" "00" "0100",			    /* unknown flag */
		"01" "01" "040a00" "0001" "00" "0100",			    /* a path's flag without a path */
		"01" "01" "001800" "0001" "00" "0100",			    /* PCR 24 */
		"01" "01" "000aff01" "0001" "00" "0100",		    /* name longer than all */
		"01" "01" "020a00" "040600" "0001" "0200" D16 "0000",	    /* digest prefix 4 */
		"01" "01" "020a00" "000000" "0001" "0200" D16 "0000",	    /* algorithm 0 */
		"01" "01" "020a00" "000c00" "0001" "0200" D16 "0000",	    /* algorithm 12 */
		"01" "01" "020a00" "00060e" "0001" "0200" D16 "0000",	    /* 14 empty fields */
		"01" "01" "020a00" "0006fe" "0001" "0201" D16 "0000" "00",
		"01" "01" "000a00" "0000" "0001" "0001" "00",		    /* empty run */
		"01" "01" "000a00" "0002" "0001" "00",			    /* run past the count */
		"02" "01" "000a00" "0001" "0001" "00",			    /* short of it */
		"01" "01" "000a00" "0101" "0001" "00",			    /* shape that is not there */
		"01" "01" "000a00" "008100" "0001" "00",		    /* number not in shortest form */
		"8100" "01" "000a00" "0001" "0001" "00",
		"01" "01" "020a00" "000600" "0001" "0300" D16 "012f00",	    /* shares with a path that is not there */
		"02" "01" "020a00" "000600" "0002" "0600" D16 D16 "002f00" "026100",  /* with more than it has */
		"01" "01" "020a00" "000600" "0001" "0200" D16 "002f" "00",  /* no end */
		"01" "01" "020a00" "000600" "0001" "0300" D16 "000000",	    /* bytes behind the last path */
		"01" "01" "000a00" "0001" "0002" "0000",		    /* behind the last raw data */
		"01" "01" "000a00" "0001" "0001" "01",			    /* raw data longer than its column */
		"01" "01" "000a00" "0001" "0100" "00",			    /* paths where none are */
		"01" "01" "000a00" "0001" "00ffffffffffffffffff01" "00",    /* huge column */
	};
	static const char *const contexts[] = {
		"03",							    /* all absent: must be left out */
		"0301",							    /* more than the entries */
		"0004",
		"0001000102" "000000" "000000" "000000" "000000" "000000" "000000", /* empty run in the middle */
		"0102" "0a01" "1002" "0000" "0400" "0600" "30313233343536373839616263646566" "3000" "00", /* 17 bytes of comm */
		"0102" "0a01" "1002" "0000" "0400" "0600" "6200" "62",	    /* comm without end */
		"0102" "0a8100" "1002" "0000" "0400" "0600" "0000",	    /* number not in shortest form */
		CONTEXTS "00",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (take_hex(refused[i]) != WIRE_BLOCK_MALFORMED)
			fail_msg("taken: %s", refused[i]);
	for (size_t i = 0; i < ARRAY_SIZE(contexts); i++) {
		char hex[512];

		snprintf(hex, sizeof(hex), "%s%s", GOOD, contexts[i]);
		if (take_hex(hex) != WIRE_BLOCK_MALFORMED)
			fail_msg("taken: %s", hex);
	}
	/* their neighbours on the good side */
	assert_int_equal(take_hex("01" "01" "030a00" "030600" "0001" "0200" D16 "0000"), WIRE_BLOCK_OK);
	assert_int_equal(take_hex("01" "01" "031700" "030b0d" "0001" "0200" D16 D16 D16 D16 "0000"), WIRE_BLOCK_OK);
	assert_int_equal(take_hex("01" "01" "020a00" "0006ff" "0001" "0201" D16 "0000" "00"), WIRE_BLOCK_OK);
	assert_int_equal(take_hex("01" "01" "000a00" "0001" "0001" "00"), WIRE_BLOCK_OK);
	assert_int_equal(take_hex("02" "01" "020a00" "000600" "0002" "0600" D16 D16 "002f00" "016100"), WIRE_BLOCK_OK);
	assert_int_equal(take_hex(GOOD "0102" "0a01" "1002" "0000" "0400" "0600" "30313233343536373839616263646566" "00" "00"),
			 WIRE_BLOCK_OK);
}

static void test_limits(void **state)
{
	(void)state;
	for (uint64_t over = 0; over <= 1; over++) {
		cleanup_writer_ struct writer w = WRITER(8u << 20);
		int want = over ? WIRE_BLOCK_TOO_LARGE : WIRE_BLOCK_OK;

		/* entries */
		write_varint(&w, LIMIT_BLOCK_ENTRIES + over);
		write_bytes(&w, "\1\0\12\0\0", 5);
		write_varint(&w, LIMIT_BLOCK_ENTRIES + over);
		write_u8(&w, 0);
		write_varint(&w, LIMIT_BLOCK_ENTRIES + over);
		memset(write_space(&w, LIMIT_BLOCK_ENTRIES + over), 0, LIMIT_BLOCK_ENTRIES + over);
		assert_int_equal(take_plain(writer_view(&w)), want);

		/* shapes */
		writer_reset(&w);
		write_u8(&w, 1);
		write_varint(&w, LIMIT_BLOCK_SHAPES + over);
		for (unsigned int i = 0; i < LIMIT_BLOCK_SHAPES + over; i++)
			write_bytes(&w, "\0\12\0", 3);
		write_bytes(&w, "\0\1\0\1\0", 5);
		assert_int_equal(take_plain(writer_view(&w)), want);

		/* raw data of one entry */
		writer_reset(&w);
		write_bytes(&w, "\1\1\0\12\0\0\1\0", 8);
		write_varint(&w, LIMIT_ENTRY_DATA + over + 3);
		write_varint(&w, LIMIT_ENTRY_DATA + over);
		memset(write_space(&w, LIMIT_ENTRY_DATA + over), 'r', LIMIT_ENTRY_DATA + over);
		assert_int_equal(take_plain(writer_view(&w)), want);

		/* path: 4 + 16 + 4 + path */
		writer_reset(&w);
		write_bytes(&w, "\1\1\2\12\0\3\6\0\0\1", 10);
		write_varint(&w, LIMIT_ENTRY_DATA - 24 + over + 2);
		write_u8(&w, 0);
		memset(write_space(&w, 16), 0, 16);
		write_u8(&w, 0);
		memset(write_space(&w, LIMIT_ENTRY_DATA - 24 + over), 'p', LIMIT_ENTRY_DATA - 24 + over);
		write_u8(&w, 0);
		assert_int_equal(take_plain(writer_view(&w)), want);

		/* name */
		writer_reset(&w);
		write_bytes(&w, "\1\1\0\12", 4);
		write_varint(&w, LIMIT_TEMPLATE_NAME + over);
		memset(write_space(&w, LIMIT_TEMPLATE_NAME + over), 'n', LIMIT_TEMPLATE_NAME + over);
		write_bytes(&w, "\0\1\0\1\0", 5);
		assert_int_equal(take_plain(writer_view(&w)), over ? WIRE_BLOCK_MALFORMED : WIRE_BLOCK_OK);
	}
}

/* Shared paths let little become much: the sum of what comes out is limited too. */
static void test_sum_limit(void **state)
{
	(void)state;
	for (size_t over = 0; over <= 1; over++) {
		cleanup_writer_ struct writer w = WRITER(8u << 20);
		/* each entry: 4 + 16 + 4 + path; the first path is longer to reach the limit exactly */
		size_t tail = 700, rest = 24 + 255 + tail, first = LIMIT_BLOCK_PLAIN - 4095 * rest - 24 + over;

		write_varint(&w, 4096);
		write_bytes(&w, "\1\2\12\0\3\6\0\0", 8);
		write_varint(&w, 4096);
		write_varint(&w, 4095 * (tail + 2) + first + 2);
		write_u8(&w, 0);
		memset(write_space(&w, 4096 * 16), 0, 4096 * 16);
		write_u8(&w, 0);
		memset(write_space(&w, first), 'p', first);
		write_u8(&w, 0);
		for (int i = 1; i < 4096; i++) {
			write_u8(&w, 255);
			memset(write_space(&w, tail), 'p', tail);
			write_u8(&w, 0);
		}
		assert_true(w.n < LIMIT_BLOCK_PLAIN);
		assert_int_equal(take_plain(writer_view(&w)), over ? WIRE_BLOCK_TOO_LARGE : WIRE_BLOCK_OK);
	}
}

static void test_outer(void **state)
{
	cleanup_writer_ struct writer plain = WRITER(4096), w = WRITER(4096);
	uint8_t *big = calloc(1, LIMIT_BLOCK_PACKED + 1);

	(void)state;
	assert_int_equal(hex_decode_to(&plain, str(GOOD CONTEXTS)), 0);
	frame(&w, writer_view(&plain));
	assert_int_equal(take(writer_view(&w)), WIRE_BLOCK_OK);
	for (size_t n = 0; n < w.n; n++)
		assert_int_not_equal(take((struct bytes){ w.p, n }), WIRE_BLOCK_OK);
	w.p[0] = WIRE_BLOCK_FORMAT_KNOWN + 1;
	assert_int_equal(take(writer_view(&w)), WIRE_BLOCK_UNSUPPORTED);
	w.p[0] = WIRE_BLOCK_FORMAT_BARE - 1;
	assert_int_equal(take(writer_view(&w)), WIRE_BLOCK_UNSUPPORTED);
	w.p[0] = format;
	w.p[1] = 1;
	assert_int_equal(take(writer_view(&w)), WIRE_BLOCK_UNSUPPORTED);
	w.p[1] = 0x80;
	assert_int_not_equal(take(writer_view(&w)), WIRE_BLOCK_OK);
	w.p[1] = 0;
	write_u8(&w, 0);
	assert_int_equal(take(writer_view(&w)), WIRE_BLOCK_MALFORMED);
	w.n--;
	write_bytes(&w, w.p + 2, w.n - 2); /* a second frame */
	assert_int_equal(take(writer_view(&w)), WIRE_BLOCK_MALFORMED);
	assert_non_null(big);
	big[0] = format;
	assert_int_equal(take((struct bytes){ big, LIMIT_BLOCK_PACKED }), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take((struct bytes){ big, LIMIT_BLOCK_PACKED + 1 }), WIRE_BLOCK_TOO_LARGE);
	free(big);
}

/* A frame by hand (RFC 8878 section 3.1.1): descriptor, window, dictionary, content size, one raw block. */
static int take_frame(uint8_t descriptor, int window, int dictionary, uint64_t size, size_t size_n, struct bytes content)
{
	cleanup_writer_ struct writer w = WRITER(8u << 20);

	write_u8(&w, format);
	write_u8(&w, 0);
	write_u32le(&w, 0xfd2fb528);
	write_u8(&w, descriptor);
	if (window >= 0)
		write_u8(&w, (uint8_t)window);
	for (int i = 0; dictionary >= 0 && i < 4 && i < 1 << (descriptor & 3) >> 1; i++)
		write_u8(&w, (uint8_t)(dictionary >> 8 * i));
	for (size_t i = 0; i < size_n; i++)
		write_u8(&w, (uint8_t)(size >> 8 * i));
	write_u8(&w, (uint8_t)(1 | content.n << 3)); /* last, raw */
	write_u8(&w, (uint8_t)(content.n >> 5));
	write_u8(&w, (uint8_t)(content.n >> 13));
	write_bytes(&w, content.p, content.n);
	return take(writer_view(&w));
}

static void test_zstd(void **state)
{
	cleanup_writer_ struct writer plain = WRITER(4096), w = WRITER(8u << 20);
	struct bytes p;
	size_t room, n;
	uint8_t *bomb;
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	(void)state;
	assert_int_equal(hex_decode_to(&plain, str(GOOD)), 0);
	p = writer_view(&plain);
	assert_int_equal(take_frame(0x20, -1, -1, p.n, 1, p), WIRE_BLOCK_OK); /* single segment, size in one byte */
	assert_int_equal(take_frame(0xc0, 0, -1, p.n, 8, p), WIRE_BLOCK_OK); /* window 1 KiB, size in eight */
	/* declared size: more or less than there is, none, past the limit */
	assert_int_equal(take_frame(0x20, -1, -1, p.n + 1, 1, p), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_frame(0x20, -1, -1, p.n - 1, 1, p), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_frame(0x20, -1, -1, 0, 1, p), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_frame(0x00, 0, -1, 0, 0, p), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_frame(0xc0, 0, -1, LIMIT_BLOCK_PLAIN + 1, 8, p), WIRE_BLOCK_TOO_LARGE);
	assert_int_equal(take_frame(0xc0, 0, -1, UINT64_MAX - 2, 8, p), WIRE_BLOCK_TOO_LARGE);
	/* window: at the limit, one step past it, at the most that can be said */
	assert_int_equal(take_frame(0xc0, (LIMIT_ZSTD_WINDOW_LOG - 10) << 3, -1, p.n, 8, p), WIRE_BLOCK_OK);
	assert_int_equal(take_frame(0xc0, (LIMIT_ZSTD_WINDOW_LOG - 10) << 3 | 1, -1, p.n, 8, p), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_frame(0xc0, 0xff, -1, p.n, 8, p), WIRE_BLOCK_MALFORMED);
	/* a dictionary that nobody has, none by its number, and the one of formats 3 and 4; reserved bit */
	assert_int_equal(take_frame(0x21, -1, 7, p.n, 1, p), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_frame(0x21, -1, 0, p.n, 1, p), WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_frame(0x23, -1, (int)ZSTD_getDictID_fromDict(wire_dictionary, sizeof(wire_dictionary)), p.n, 1, p),
			 WIRE_BLOCK_MALFORMED);
	assert_int_equal(take_frame(0x28, -1, -1, p.n, 1, p), WIRE_BLOCK_MALFORMED);
	/* no frame at all; a skippable one */
	write_u8(&w, format);
	write_bytes(&w, "\0\0\0\0\0", 5);
	assert_int_equal(take(writer_view(&w)), WIRE_BLOCK_MALFORMED);
	w.n = 2;
	write_u32le(&w, ZSTD_MAGIC_SKIPPABLE_START);
	write_u32le(&w, (uint32_t)p.n);
	write_bytes(&w, p.p, p.n);
	assert_int_equal(take(writer_view(&w)), WIRE_BLOCK_MALFORMED);
	/* a bomb that does not say its size, and an honest one */
	bomb = calloc(1, 64u << 20);
	assert_non_null(bomb);
	for (int honest = 0; honest <= 1; honest++) {
		writer_reset(&w);
		write_u8(&w, format);
		write_u8(&w, 0);
		room = 1u << 20;
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, honest);
		n = ZSTD_compress2(zstd, write_space(&w, room), room, bomb, 64u << 20);
		assert_false(ZSTD_isError(n));
		w.n -= room - n;
		assert_int_equal(take(writer_view(&w)), honest ? WIRE_BLOCK_TOO_LARGE : WIRE_BLOCK_MALFORMED);
	}
	free(bomb);
	ZSTD_freeCCtx(zstd);
}

static void test_zstd_bare(void **state)
{
	format = WIRE_BLOCK_FORMAT_BARE;
	test_zstd(state);
	test_outer(state);
	format = WIRE_BLOCK_FORMAT;
}

/* One bit wrong anywhere: refused or read as other entries, never a crash (ASan, UBSan). */
static void test_bit_flips(void **state)
{
	cleanup_writer_ struct writer plain = WRITER(4096), w = WRITER(4096);
	unsigned int taken = 0;

	(void)state;
	assert_int_equal(hex_decode_to(&plain, str(GOOD CONTEXTS)), 0);
	frame(&w, writer_view(&plain));
	for (size_t i = 0; i < 8 * w.n; i++) {
		w.p[i / 8] ^= (uint8_t)(1u << i % 8);
		taken += take(writer_view(&w)) == WIRE_BLOCK_OK;
		w.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t i = 0; i < 8 * plain.n; i++) {
		plain.p[i / 8] ^= (uint8_t)(1u << i % 8);
		taken += take_plain(writer_view(&plain)) == WIRE_BLOCK_OK;
		plain.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_true(taken > 0); /* digests and paths have no wrong values */
	assert_int_equal(take_plain(writer_view(&plain)), WIRE_BLOCK_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout), cmocka_unit_test(test_plain_length), cmocka_unit_test(test_rules),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_sum_limit),    cmocka_unit_test(test_outer),
		cmocka_unit_test(test_zstd),
		cmocka_unit_test(test_zstd_bare),   cmocka_unit_test(test_bit_flips),
	};

	return cmocka_run_group_tests(tests, NULL, drop_unpacker);
}
