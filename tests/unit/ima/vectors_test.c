// SPDX-License-Identifier: Apache-2.0
/* Lists made by tests/vectors/ima-made/make.py (Python's hashlib, none of our code): both forms, every template. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "ima/list.h"
#include "ima/replay.h"

#define MADE TESTS_DIR "/vectors/ima-made/"
#define KEEP 32u

struct kept {
	struct writer name, data;
	uint32_t pcr;
	bool violation;
};

static void load(const char *path, struct writer *w)
{
	*w = WRITER(1u << 20);
	assert_int_equal(read_file(path, w), 0);
	assert_true(w->n > 0);
}

/* Reads a whole list, proves every digest column, replays into r, keeps the entries, writes them again into `again`. */
static size_t read_list(struct writer *file, size_t chunk, enum ima_list_format want, struct ima_replay *r,
			struct kept kept[KEEP], struct writer *again)
{
	cleanup_ima_list_ struct ima_list *l = NULL;
	struct reader bytes = reader_over(file->p, file->n);
	size_t n = 0;

	assert_int_equal(ima_list_new(&l, IMA_LIST_DETECT, 0), 0);
	ima_replay_init(r);
	for (;;) {
		struct ima_entry e;
		enum ima_list_result result = ima_list_next(l, &e);

		if (result == IMA_LIST_BAD)
			fail_msg("%s", ima_list_error(l));
		if (result == IMA_LIST_MORE) {
			struct bytes b = read_bytes(&bytes, MIN(chunk, reader_left(&bytes)));

			if (b.n) {
				assert_int_equal(ima_list_feed(l, b.p, b.n), 0);
				continue;
			}
			ima_list_finish(l);
			if (ima_list_offset(l) == file->n)
				break;
			result = ima_list_next(l, &e);
			if (result != IMA_LIST_ENTRY)
				fail_msg("%d %s", (int)result, ima_list_error(l));
		}
		assert_true(n < KEEP);
		assert_true(ima_digest_matches(&e));
		ima_replay_entry(r, &e, 15);
		kept[n].pcr = e.pcr;
		kept[n].violation = e.violation;
		kept[n].name = WRITER(1024);
		kept[n].data = WRITER(1u << 20);
		write_bytes(&kept[n].name, e.name.p, e.name.n);
		write_bytes(&kept[n].data, e.data.p, e.data.n);
		for (enum hash_alg a = 0; again && a < HASH_COUNT; a++)
			if (hash_size(a) == ima_list_digest_size(l))
				ima_list_write_entry(again, &e, a);
		n++;
	}
	assert_int_equal(ima_list_format(l), want);
	assert_int_equal(ima_list_count(l), n);
	return n;
}

static void check_pcrs(const char *name, const struct ima_replay *r)
{
	cleanup_free_ char *path = NULL;
	uint32_t used = 0;
	unsigned int pcr;
	char bank[16], hex[129];
	FILE *f;

	assert_true(asprintf(&path, MADE "%s.pcrs", name) > 0);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fscanf(f, "%u %15s %128s", &pcr, bank, hex) == 3) {
		uint8_t want[HASH_MAX_SIZE];
		enum hash_alg a;

		assert_true(hash_from_name((struct bytes){ (uint8_t *)bank, strlen(bank) }, &a));
		assert_int_equal(hex_decode((struct bytes){ (uint8_t *)hex, strlen(hex) }, want, hash_size(a)), 0);
		assert_memory_equal(want, r->pcr[pcr][a], hash_size(a));
		used |= 1u << pcr;
	}
	fclose(f);
	assert_int_equal(used, r->used);
	assert_int_not_equal(used, 0);
}

static void drop(struct kept *k, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		writer_free(&k[i].name);
		writer_free(&k[i].data);
	}
}

static void check_list(const char *name, const char *column, size_t chunk)
{
	cleanup_free_ char *bin_path = NULL, *ascii_path = NULL;
	cleanup_writer_ struct writer bin = { 0 }, ascii = { 0 }, again = WRITER(1u << 20);
	struct kept a[KEEP], b[KEEP];
	struct ima_replay r;
	size_t na, nb;

	assert_true(asprintf(&bin_path, MADE "%s.%s.bin", name, column) > 0);
	assert_true(asprintf(&ascii_path, MADE "%s.%s.ascii", name, column) > 0);
	load(bin_path, &bin);
	load(ascii_path, &ascii);
	na = read_list(&bin, chunk, IMA_LIST_BINARY, &r, a, &again);
	check_pcrs(name, &r);
	assert_int_equal(again.n, bin.n);
	assert_memory_equal(again.p, bin.p, bin.n);
	nb = read_list(&ascii, chunk, IMA_LIST_ASCII, &r, b, NULL);
	check_pcrs(name, &r);
	assert_int_equal(na, nb);
	for (size_t i = 0; i < na; i++) {
		assert_int_equal(a[i].pcr, b[i].pcr);
		assert_int_equal(a[i].violation, b[i].violation);
		assert_int_equal(a[i].name.n, b[i].name.n);
		assert_memory_equal(a[i].name.p, b[i].name.p, a[i].name.n);
		assert_int_equal(a[i].data.n, b[i].data.n);
		assert_memory_equal(a[i].data.p, b[i].data.p, a[i].data.n);
	}
	drop(a, na);
	drop(b, nb);
}

static const char *const lists[] = { "ima",	  "ima-ng",	"newline", "ima-sig", "ima-buf", "ima-ngv2",
				     "ima-sigv2", "ima-modsig", "evm-sig", "custom",  "mixed" };

static void test_every_template_both_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		check_list(lists[i], "sha1", 1u << 20);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		check_list(lists[i], "sha1", 1);
		check_list(lists[i], "sha1", 77);
	}
}

static void test_every_digest_column(void **state)
{
	static const char *const columns[] = { "sha1", "sha256", "sha384", "sha512" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		check_list("mixed", columns[i], 1u << 20);
		check_list("mixed", columns[i], 13);
		check_list("ima-md5", columns[i], 1u << 20);
	}
}

static void test_unknown_field(void **state)
{
	cleanup_writer_ struct writer bin = { 0 }, ascii = { 0 }, again = WRITER(4096);
	cleanup_ima_list_ struct ima_list *l = NULL;
	struct kept k[KEEP];
	struct ima_replay r;
	struct ima_entry e;

	(void)state;
	load(MADE "unknown.sha1.bin", &bin);
	assert_int_equal(read_list(&bin, 4096, IMA_LIST_BINARY, &r, k, &again), 3);
	check_pcrs("unknown", &r);
	drop(k, 3);
	load(MADE "unknown.sha1.ascii", &ascii);
	assert_int_equal(ima_list_new(&l, IMA_LIST_DETECT, 0), 0);
	assert_int_equal(ima_list_feed(l, ascii.p, ascii.n), 0);
	ima_list_finish(l);
	assert_int_equal(ima_list_next(l, &e), IMA_LIST_ENTRY);
	assert_int_equal(ima_list_next(l, &e), IMA_LIST_BAD);
	assert_non_null(strstr(ima_list_error(l), "entry 2 at byte 138: "));
	assert_non_null(strstr(ima_list_error(l), "'d-ng|n-ng|future'"));
	assert_int_equal(ima_list_next(l, &e), IMA_LIST_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_template_both_forms),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_every_digest_column),
		cmocka_unit_test(test_unknown_field),
	};

	return cmocka_run_group_tests_name("ima lists in both forms", tests, NULL, NULL);
}
