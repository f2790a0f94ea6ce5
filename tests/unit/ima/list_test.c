// SPDX-License-Identifier: Apache-2.0
/* The list decoder at its limits, on torn and foreign bytes, and where it must guess the digest column. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "ima/list.h"
#include "ima/replay.h"
#include "imastream/limits.h"

static struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

/* "ima-ng" data for a path; the digest is of no interest here. */
static void put_data(struct writer *w, const char *path)
{
	uint8_t digest[32] = { 1, 2, 3 };

	write_u32le(w, 8 + 32);
	write_bytes(w, "sha256:", 8);
	write_bytes(w, digest, 32);
	write_u32le(w, (uint32_t)strlen(path) + 1);
	write_bytes(w, path, strlen(path) + 1);
}

static void put_entry(struct writer *w, const char *path, bool violation, enum hash_alg column)
{
	cleanup_writer_ struct writer data = WRITER(1u << 20);
	struct ima_entry e = { .pcr = 10, .name = text("ima-ng"), .violation = violation };

	put_data(&data, path);
	e.data = writer_view(&data);
	ima_list_write_entry(w, &e, column);
	assert_int_equal(writer_status(w), 0);
}

/* An entry whose parts are given one by one. */
static void put_raw(struct writer *w, uint32_t pcr, const char *name, size_t name_n, size_t data_n)
{
	uint8_t column[20] = { 7 };
	uint8_t *at;

	write_u32le(w, pcr);
	write_bytes(w, column, sizeof(column));
	write_u32le(w, (uint32_t)name_n);
	write_bytes(w, name, name_n);
	write_u32le(w, (uint32_t)data_n);
	at = write_space(w, data_n);
	assert_non_null(at);
	memset(at, 0, data_n);
}

/* Decodes all of w; yields the number of entries, *error what stopped it. */
static uint64_t decode(const struct writer *w, enum ima_list_format format, size_t column, char *error, size_t error_n)
{
	cleanup_ima_list_ struct ima_list *l = NULL;
	enum ima_list_result result;
	struct ima_entry e;

	assert_int_equal(ima_list_new(&l, format, column), 0);
	assert_int_equal(ima_list_lend(l, (struct bytes){ w->p, w->n }), 0);
	while ((result = ima_list_next(l, &e)) == IMA_LIST_ENTRY)
		;
	snprintf(error, error_n, "%s", ima_list_error(l));
	assert_int_equal(result == IMA_LIST_BAD, error[0] != 0);
	if (result == IMA_LIST_MORE)
		assert_int_equal(ima_list_offset(l), w->n);
	return ima_list_count(l);
}

static void expect(struct writer *w, enum ima_list_format format, uint64_t entries, const char *error)
{
	char got[400];
	uint64_t n = decode(w, format, 0, got, sizeof(got));

	if (n != entries || (error ? !strstr(got, error) : got[0] != 0))
		fail_msg("%llu entries, expected %llu; '%s', expected '%s'", (unsigned long long)n,
			 (unsigned long long)entries, got, error ? error : "");
	writer_reset(w);
}

static void test_limits_binary(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4u << 20);
	char name[LIMIT_TEMPLATE_NAME + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	put_raw(&w, LIMIT_PCR, "x", 1, 4);
	expect(&w, IMA_LIST_BINARY, 1, NULL);
	put_raw(&w, LIMIT_PCR + 1, "x", 1, 4);
	expect(&w, IMA_LIST_BINARY, 0, "entry 1 at byte 0: PCR 24 exceeds 23");
	put_raw(&w, 10u << 24, "x", 1, 4);
	expect(&w, IMA_LIST_BINARY, 0, "big-endian");
	put_raw(&w, 10, name, LIMIT_TEMPLATE_NAME, 4);
	expect(&w, IMA_LIST_BINARY, 1, NULL);
	put_raw(&w, 10, name, LIMIT_TEMPLATE_NAME + 1, 4);
	expect(&w, IMA_LIST_BINARY, 0, "template name length 256 is not in 1..255");
	put_raw(&w, 10, name, 0, 4);
	expect(&w, IMA_LIST_BINARY, 0, "template name length 0");
	put_raw(&w, 10, "x\033", 2, 4);
	expect(&w, IMA_LIST_BINARY, 0, "not a template name: 'x\\x1b'");
	put_raw(&w, 10, "x", 1, LIMIT_ENTRY_DATA);
	expect(&w, IMA_LIST_BINARY, 1, NULL);
	put_raw(&w, 10, "x", 1, LIMIT_ENTRY_DATA + 1);
	expect(&w, IMA_LIST_BINARY, 0, "template data of 1048577 bytes exceeds 1048576");
}

static void test_second_entry_is_named(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	size_t first;
	char want[64];

	(void)state;
	put_entry(&w, "/a", false, HASH_SHA1);
	first = w.n;
	put_raw(&w, 77, "x", 1, 4);
	snprintf(want, sizeof(want), "entry 2 at byte %zu: PCR 77", first);
	expect(&w, IMA_LIST_DETECT, 1, want);
}

/* Every proper prefix of a list is either a whole number of entries or torn, and says where. */
static void test_torn_anywhere(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	size_t first, all;

	(void)state;
	put_entry(&w, "/a", false, HASH_SHA256);
	first = w.n;
	put_entry(&w, "/b", false, HASH_SHA256);
	all = w.n;
	for (size_t n = 1; n < all; n++) {
		char error[400], want[96];
		uint64_t entries;

		w.n = n;
		entries = decode(&w, IMA_LIST_BINARY, 32, error, sizeof(error));
		assert_int_equal(entries, n >= first);
		if (n == first) {
			assert_string_equal(error, "");
			continue;
		}
		snprintf(want, sizeof(want), "entry %d at byte %zu: the list ends inside this entry", n > first ? 2 : 1,
			 n > first ? first : (size_t)0);
		if (!strstr(error, want))
			fail_msg("'%s', expected '%s'", error, want);
	}
}

static size_t detected(struct writer *w, uint64_t entries)
{
	cleanup_ima_list_ struct ima_list *l = NULL;
	struct ima_entry e;

	assert_int_equal(ima_list_new(&l, IMA_LIST_DETECT, 0), 0);
	assert_int_equal(ima_list_feed(l, w->p, w->n), 0);
	ima_list_finish(l);
	while (ima_list_next(l, &e) == IMA_LIST_ENTRY)
		;
	if (ima_list_count(l) != entries)
		fail_msg("%s", ima_list_error(l));
	writer_reset(w);
	return ima_list_digest_size(l);
}

static void test_detects_column(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	(void)state;
	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		put_entry(&w, "/a", false, a);
		assert_int_equal(detected(&w, 1), hash_size(a));
		/* a list that starts with a violation, or is nothing else */
		put_entry(&w, "/v", true, a);
		put_entry(&w, "/a", false, a);
		assert_int_equal(detected(&w, 2), hash_size(a));
		put_entry(&w, "/v", true, a);
		assert_int_equal(detected(&w, 1), hash_size(a));
		/* the first entry was changed: the others still tell */
		put_entry(&w, "/a", false, a);
		w.p[w.n - 2] ^= 1;
		put_entry(&w, "/b", false, a);
		assert_int_equal(detected(&w, 2), hash_size(a));
		/* the only entry was changed: its form still tells */
		put_entry(&w, "/a", false, a);
		w.p[w.n - 2] ^= 1;
		assert_int_equal(detected(&w, 1), hash_size(a));
	}
}

static void test_given_column_is_kept(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	char error[400];
	struct ima_list *l = NULL;

	(void)state;
	put_entry(&w, "/a", false, HASH_SHA256);
	assert_int_equal(decode(&w, IMA_LIST_BINARY, 32, error, sizeof(error)), 1);
	assert_int_equal(decode(&w, IMA_LIST_BINARY, 20, error, sizeof(error)), 0);
	assert_int_equal(ima_list_new(&l, IMA_LIST_BINARY, 21), -EINVAL);
	assert_null(l);
}

static void test_changed_byte_shows(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	cleanup_ima_list_ struct ima_list *l = NULL;
	struct ima_entry e;

	(void)state;
	put_entry(&w, "/a", false, HASH_SHA1);
	w.p[w.n - 2] ^= 1;
	assert_int_equal(ima_list_new(&l, IMA_LIST_DETECT, 0), 0);
	assert_int_equal(ima_list_lend(l, writer_view(&w)), 0);
	assert_int_equal(ima_list_next(l, &e), IMA_LIST_ENTRY);
	assert_false(ima_digest_matches(&e));
}

static void test_pending_limit(void **state)
{
	cleanup_ima_list_ struct ima_list *l = NULL;
	uint8_t *big = calloc(1, LIMIT_LIST_PENDING + 1);

	(void)state;
	assert_non_null(big);
	assert_int_equal(ima_list_new(&l, IMA_LIST_BINARY, 20), 0);
	assert_int_equal(ima_list_feed(l, big, LIMIT_LIST_PENDING + 1), -EMSGSIZE);
	assert_int_equal(ima_list_feed(l, big, LIMIT_LIST_PENDING), 0);
	assert_int_equal(ima_list_feed(l, big, 1), -EMSGSIZE);
	ima_list_finish(l);
	assert_int_equal(ima_list_feed(l, big, 0), -EINVAL);
	assert_int_equal(ima_list_lend(l, (struct bytes){ big, 1 }), -EINVAL);
	free(big);
}

#define ZEROS40 "0000000000000000000000000000000000000000"
#define HASH40 "7936eb315fb4e74b99e7d461bc5c96049e1ee092"
#define SHA1_HEX "bc026ae66d81713e4e852465e980784dc96651f8"
#define GOOD "10 " HASH40 " ima-ng sha1:" SHA1_HEX " /usr/lib/systemd/systemd"

static void expect_ascii(const char *list, uint64_t entries, const char *error)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);

	write_bytes(&w, list, strlen(list));
	expect(&w, IMA_LIST_DETECT, entries, error);
}

static void test_ascii_forms(void **state)
{
	(void)state;
	expect_ascii(GOOD, 1, NULL);
	expect_ascii(GOOD "\n" GOOD "\n", 2, NULL);
	expect_ascii(" 9 " HASH40 " ima-ng sha1:" SHA1_HEX " /x\n", 1, NULL);
	expect_ascii("this is text not an ima entry\n", 0, "entry 1 at byte 0: an entry starts with a PCR number");
	expect_ascii("24 " HASH40 " ima-ng sha1:" SHA1_HEX " /x\n", 0, "not '24'");
	expect_ascii("  9 " HASH40 " ima-ng sha1:" SHA1_HEX " /x\n", 0, "not ''");
	expect_ascii("10 I936eb315fb4e74b99e7d461bc5c96049e1ee092 ima-ng sha1:" SHA1_HEX " /x\n", 0, "not hex");
	expect_ascii("10 79 ima-ng sha1:" SHA1_HEX " /x\n", 0, "40, 64, 96 or 128");
	expect_ascii("10 " HASH40 " not-ima sha1:" SHA1_HEX " /x\n", 0, "'not-ima'");
	expect_ascii("10 " HASH40 " ima-ng sha1:Ic026ae66d81713e4e852465e980784dc96651f8 /x\n", 0, "field 1");
	expect_ascii("10 " HASH40 " ima-ng " SHA1_HEX " /x\n", 0, "field 1");
	expect_ascii("10 " HASH40 " ima-ng sha1:" SHA1_HEX "\n", 0, "the line ends after 1 of 2 fields");
	expect_ascii("10 " HASH40 " ima-ng\n", 0, "the line ends behind the template name");
	expect_ascii("10 " HASH40 "  sha1:" SHA1_HEX " /x\n", 0, "template name length 0");
	expect_ascii("10 " HASH40 " ima-sig sha1:" SHA1_HEX " /x 0304 0506\n", 0, "more fields");
	expect_ascii("10 " HASH40 " ima-sig sha1:" SHA1_HEX " /x 030\n", 0, "field 3");
	expect_ascii("10 " HASH40 " n-ng|iuid /x 4294967295\n", 1, NULL);
	expect_ascii("10 " HASH40 " n-ng|iuid /x 4294967296\n", 0, "field 2");
	expect_ascii("10 " HASH40 " n-ng|imode /x 65535\n", 1, NULL);
	expect_ascii("10 " HASH40 " n-ng|imode /x 65536\n", 0, "field 2");
	expect_ascii("10 " HASH40 " n-ng|imode /x -1\n", 0, "field 2");
	expect_ascii(GOOD "\n\n", 1, "entry 2 at byte ");
	/* the column may not change its size inside one list */
	expect_ascii(GOOD "\n10 " HASH40 "000000000000000000000000 ima-ng sha1:" SHA1_HEX " /x\n", 1, "32 bytes in a list of 20");
	/* what follows a violation is its name only where it is not an entry, not even a broken one */
	expect_ascii("10 " ZEROS40 " ima-ng sha1:" ZEROS40 " /x\ny\n" GOOD "\n", 2, NULL);
	expect_ascii("10 " ZEROS40 " ima-ng sha1:" ZEROS40 " /x\n10 zz\n" GOOD "\n", 1, "entry 2");
}

static void test_ascii_line_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_ASCII_LINE * 2);
	size_t head;

	(void)state;
	/* the longest data that fits: its hex has LIMIT_ENTRY_DATA digits less the other fields */
	write_fmt(&w, "10 " HASH40 " buf ");
	head = w.n;
	memset(write_space(&w, 2 * (LIMIT_ENTRY_DATA - 4)), '0', 2 * (LIMIT_ENTRY_DATA - 4));
	expect(&w, IMA_LIST_DETECT, 1, NULL);
	write_fmt(&w, "10 " HASH40 " buf ");
	memset(write_space(&w, 2 * (LIMIT_ENTRY_DATA - 3)), '0', 2 * (LIMIT_ENTRY_DATA - 3));
	expect(&w, IMA_LIST_DETECT, 0, "template data exceeds 1048576 bytes");
	write_fmt(&w, "10 " HASH40 " buf ");
	memset(write_space(&w, LIMIT_ASCII_LINE - head), '0', LIMIT_ASCII_LINE - head);
	expect(&w, IMA_LIST_DETECT, 0, "template data exceeds");
	write_fmt(&w, "10 " HASH40 " buf ");
	memset(write_space(&w, LIMIT_ASCII_LINE - head + 1), '0', LIMIT_ASCII_LINE - head + 1);
	expect(&w, IMA_LIST_DETECT, 0, "a line exceeds 2105344 bytes");
}

/* Without an end in sight a line that is too long is refused at once, not when memory ends. */
static void test_ascii_endless_line(void **state)
{
	cleanup_ima_list_ struct ima_list *l = NULL;
	struct ima_entry e;
	char chunk[65536];
	enum ima_list_result result = IMA_LIST_MORE;
	size_t fed = 0;

	(void)state;
	memset(chunk, '1', sizeof(chunk));
	assert_int_equal(ima_list_new(&l, IMA_LIST_ASCII, 0), 0);
	while (result == IMA_LIST_MORE && fed < 2 * LIMIT_ASCII_LINE) {
		assert_int_equal(ima_list_feed(l, chunk, sizeof(chunk)), 0);
		fed += sizeof(chunk);
		result = ima_list_next(l, &e);
	}
	assert_int_equal(result, IMA_LIST_BAD);
	assert_true(fed <= LIMIT_ASCII_LINE + sizeof(chunk));
}

static void test_empty(void **state)
{
	cleanup_ima_list_ struct ima_list *l = NULL;
	struct ima_entry e;

	(void)state;
	assert_int_equal(ima_list_new(&l, IMA_LIST_DETECT, 0), 0);
	assert_int_equal(ima_list_next(l, &e), IMA_LIST_MORE);
	ima_list_finish(l);
	assert_int_equal(ima_list_next(l, &e), IMA_LIST_MORE);
	assert_int_equal(ima_list_count(l), 0);
	assert_string_equal(ima_list_error(l), "");
}

/* Keylime's single entries. Its "invalid-mode" is a template that no kernel has. */
static void test_keylime_entries(void **state)
{
	static const char *const files[] = { "ast-valid.json", "ast-invalid.json" };

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
		cleanup_free_ char *path = NULL;
		cleanup_writer_ struct writer json = WRITER(1u << 20);
		const char *at;
		unsigned int seen = 0;

		assert_true(asprintf(&path, TESTS_DIR "/vectors/keylime-ima/%s", files[f]) > 0);
		assert_int_equal(read_file(path, &json), 0);
		at = writer_cstr(&json);
		/* every string value that is not a template's class name is an entry; none holds an escape */
		while ((at = strstr(at, f == 0 ? "\"line\": \"" : "\": \""))) {
			cleanup_ima_list_ struct ima_list *l = NULL;
			struct ima_entry e = { 0 };
			const char *end;

			at = strchr(at, ':') + 3;
			end = strchr(at, '"');
			assert_non_null(end);
			assert_int_equal(ima_list_new(&l, IMA_LIST_DETECT, 0), 0);
			assert_int_equal(ima_list_feed(l, at, (size_t)(end - at)), 0);
			ima_list_finish(l);
			if (f == 0) {
				assert_int_equal(ima_list_next(l, &e), IMA_LIST_ENTRY);
				assert_true(ima_digest_matches(&e));
				assert_int_equal(ima_list_next(l, &e), IMA_LIST_MORE);
			} else {
				assert_int_equal(ima_list_next(l, &e), IMA_LIST_BAD);
			}
			seen++;
			at = end;
		}
		assert_int_equal(seen, f == 0 ? 6 : 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_binary),	      cmocka_unit_test(test_second_entry_is_named),
		cmocka_unit_test(test_torn_anywhere),	      cmocka_unit_test(test_detects_column),
		cmocka_unit_test(test_given_column_is_kept), cmocka_unit_test(test_changed_byte_shows),
		cmocka_unit_test(test_pending_limit),	      cmocka_unit_test(test_ascii_forms),
		cmocka_unit_test(test_ascii_line_limit),      cmocka_unit_test(test_ascii_endless_line),
		cmocka_unit_test(test_empty),		      cmocka_unit_test(test_keylime_entries),
	};

	return cmocka_run_group_tests_name("ima list decoder", tests, NULL, NULL);
}
