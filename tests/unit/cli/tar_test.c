// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <stdio.h>

#include "cli/tar.h"

struct block {
	uint8_t b[TAR_BLOCK];
};

static void put(struct block *t, size_t at, const char *text)
{
	memcpy(&t->b[at], text, strlen(text));
}

static void seal(struct block *t)
{
	unsigned int sum = 0;
	char text[8];

	memset(&t->b[148], ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += t->b[i];
	(void)snprintf(text, sizeof(text), "%06o", sum);
	memcpy(&t->b[148], text, 7);
}

static struct block block(const char *name, char type, const char *size)
{
	struct block t = { { 0 } };

	put(&t, 0, name);
	put(&t, 100, "0000755");
	put(&t, 124, size);
	t.b[156] = (uint8_t)type;
	memcpy(&t.b[257], "ustar\00000", 8);
	seal(&t);
	return t;
}

static enum tar_result parse(const struct block *t, struct tar_header *h)
{
	const char *why;

	return tar_parse((struct bytes){ t->b, TAR_BLOCK }, h, &why);
}

static void members(void **state)
{
	struct block t = block("./usr/bin/x", '0', "00000001750");
	struct tar_header h;

	(void)state;
	assert_int_equal(parse(&t, &h), TAR_MEMBER);
	assert_int_equal(h.kind, TAR_FILE);
	assert_int_equal(h.size, 1000);
	assert_int_equal(h.mode, 0755);
	assert_string_equal(h.name, "./usr/bin/x");
	put(&t, 345, "prefix/dir");
	seal(&t);
	assert_int_equal(parse(&t, &h), TAR_MEMBER);
	assert_string_equal(h.name, "prefix/dir/./usr/bin/x");
	t = block("x", '1', "00000001750");
	put(&t, 157, "./y");
	seal(&t);
	assert_int_equal(parse(&t, &h), TAR_MEMBER);
	assert_int_equal(h.kind, TAR_HARD_LINK);
	assert_int_equal(h.size, 0); /* nothing is behind a link */
	assert_string_equal(h.link, "./y");
	t = block("././@LongLink", 'L', "00000000200");
	assert_int_equal(parse(&t, &h), TAR_MEMBER);
	assert_int_equal(h.kind, TAR_LONG_NAME);
	t = block("d", '5', "00000000000");
	assert_int_equal(parse(&t, &h), TAR_MEMBER);
	assert_int_equal(h.kind, TAR_OTHER);
}

static void full_fields_have_no_nul(void **state)
{
	struct block t = block("", '0', "00000000001");
	struct tar_header h;

	(void)state;
	memset(t.b, 'n', 100);
	memset(&t.b[345], 'p', 155);
	memset(&t.b[157], 'l', 100);
	seal(&t);
	assert_int_equal(parse(&t, &h), TAR_MEMBER);
	assert_int_equal(strlen(h.name), 256);
	assert_int_equal(strlen(h.link), 100);
}

static void large_sizes(void **state)
{
	struct block t = block("x", '0', "77777777777");
	struct tar_header h;

	(void)state;
	assert_int_equal(parse(&t, &h), TAR_MEMBER);
	assert_int_equal(h.size, 077777777777ull);
	memset(&t.b[124], 0, 12); /* GNU's binary form */
	t.b[124] = 0x80;
	t.b[131] = 1;
	seal(&t);
	assert_int_equal(parse(&t, &h), TAR_MEMBER);
	assert_int_equal(h.size, 1ull << 32);
	t.b[125] = 1; /* more than 63 bits */
	seal(&t);
	assert_int_equal(parse(&t, &h), TAR_BAD);
	t.b[124] = 0xff; /* negative */
	seal(&t);
	assert_int_equal(parse(&t, &h), TAR_BAD);
}

static void what_is_refused(void **state)
{
	struct block t = block("x", '0', "00000000001"), zero = { { 0 } };
	struct tar_header h = { .size = 7 };
	const char *why = NULL;

	(void)state;
	assert_int_equal(parse(&zero, &h), TAR_END);
	for (size_t i = 0; i < TAR_BLOCK; i++) { /* any changed byte but those that its own sum does not see */
		struct block torn = t;

		torn.b[i] ^= 0x40;
		if (i < 148 || i >= 156)
			assert_int_equal(parse(&torn, &h), TAR_BAD);
	}
	assert_int_equal(h.size, 7); /* untouched */
	assert_int_equal(tar_parse((struct bytes){ t.b, TAR_BLOCK - 1 }, &h, &why), TAR_BAD);
	t = block("x", 'x', "00000000001");
	assert_int_equal(tar_parse((struct bytes){ t.b, TAR_BLOCK }, &h, &why), TAR_BAD);
	assert_non_null(strstr(why, "pax"));
	t = block("x", '0', "0000000001x");
	assert_int_equal(parse(&t, &h), TAR_BAD);
	t = block("x", '0', "0001 000001");
	assert_int_equal(parse(&t, &h), TAR_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members),
		cmocka_unit_test(full_fields_have_no_nul),
		cmocka_unit_test(large_sizes),
		cmocka_unit_test(what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
