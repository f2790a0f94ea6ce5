// SPDX-License-Identifier: Apache-2.0
/* Template fields by meaning, and what each template extends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "ima/entry.h"
#include "ima/replay.h"
#include "imastream/limits.h"

#define D32 "0123456789abcdef0123456789abcdef"

static struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static void put(struct writer *w, const char *p, size_t n)
{
	write_u32le(w, (uint32_t)n);
	write_bytes(w, p, n);
}
#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

static bool parse(const char *name, struct writer *w, bool violation, struct ima_fields *f)
{
	struct ima_entry e = { .pcr = 10, .name = text(name), .data = writer_view(w), .violation = violation };

	return ima_fields_parse(&e, f);
}

static void assert_bytes(struct bytes b, const char *want)
{
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
}

static void test_ima_ng(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct ima_fields f;

	(void)state;
	PUT(&w, "sha256:\0" D32);
	PUT(&w, "/usr/bin/x\0");
	assert_true(parse("ima-ng", &w, false, &f));
	assert_true(f.known);
	assert_bytes(f.alg, "sha256");
	assert_bytes(f.digest, D32);
	assert_bytes(f.path, "/usr/bin/x");
	assert_int_equal(f.kind, IMA_DIGEST_FILE);
	assert_null(f.sig.p);
	/* one field too few, one too many, bytes behind the last */
	assert_false(parse("ima-sig", &w, false, &f));
	assert_bytes(f.path, "/usr/bin/x");
	assert_false(f.known);
	PUT(&w, "x");
	assert_false(parse("ima-ng", &w, false, &f));
	assert_true(parse("ima-sig", &w, false, &f));
	assert_bytes(f.sig, "x");
	w.n--;
	assert_false(parse("ima-sig", &w, false, &f));
}

static void test_verity_and_custom(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct ima_fields f;

	(void)state;
	PUT(&w, "verity:sha256:\0" D32);
	PUT(&w, "/v\0");
	assert_true(parse("ima-ngv2", &w, false, &f));
	assert_int_equal(f.kind, IMA_DIGEST_VERITY);
	assert_bytes(f.alg, "sha256");
	assert_true(parse("d-ngv2|n-ng", &w, false, &f));
	assert_true(f.known);
	/* the same data under another name has another form */
	assert_false(parse("ima-ng", &w, false, &f));
	assert_false(parse("n-ng|d-ngv2", &w, false, &f));
	/* a field that we do not know is read over */
	assert_true(parse("d-ngv2|future", &w, false, &f));
	assert_false(f.known);
	assert_bytes(f.digest, D32);
	assert_null(f.path.p);
	assert_false(parse("d-ngv2|n-ng|future", &w, false, &f));
}

/* The name column is not hashed: under whatever name, the data tells what it is. */
static void test_guess(void **state)
{
	static const char *const names[] = { "made-up", "sig|buf", "d-modsig|n-ng", "future|n-ng", "ima" };
	cleanup_writer_ struct writer w = WRITER(4096);
	struct ima_entry e = { .pcr = 10 };
	struct ima_fields f;

	(void)state;
	PUT(&w, "sha256:\0" D32);
	PUT(&w, "/usr/bin/x\0");
	e.data = writer_view(&w);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		e.name = text(names[i]);
		assert_true(ima_fields_guess(&e, &f));
		assert_true(f.known);
		assert_bytes(f.digest, D32);
		assert_bytes(f.path, "/usr/bin/x");
	}
	PUT(&w, "signature");
	e.data = writer_view(&w);
	assert_true(ima_fields_guess(&e, &f));
	assert_bytes(f.sig, "signature");
	w.p[4] = 0;
	assert_false(ima_fields_guess(&e, &f));
}

static void test_digest_forms(void **state)
{
	static const struct {
		const char *p;
		size_t n;
		bool good, good_violation;
	} cases[] = {
#define C(literal, good, violation) { literal, sizeof(literal) - 1, good, violation }
		C("sha256:\0" D32, true, true),
		C("sha256:\0" D32 "4", false, true),
		C("sha256:\0" "01234567890123456789", false, true), /* kernels before 5.19 write 20 zeros */
		C("sha256:\0", false, true),
		C("sha256:", false, false),
		C("sha256" D32, false, false),
		C(":\0" D32, false, false),
		C("", false, false),
		C("sha 256:\0" D32, false, false),
		C("ima:sha256:\0" D32, false, false),
		C("future512:\0" D32 D32, true, true),
		C("future520:\0" D32 D32 "5", false, false),
#undef C
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_writer_ struct writer w = WRITER(4096);
		struct ima_fields f;

		put(&w, cases[i].p, cases[i].n);
		PUT(&w, "/x\0");
		if (parse("ima-ng", &w, false, &f) != cases[i].good || parse("ima-ng", &w, true, &f) != cases[i].good_violation)
			fail_msg("case %zu", i);
	}
}

static void test_names(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct ima_fields f;

	(void)state;
	PUT(&w, "/x");
	assert_false(parse("n-ng", &w, false, &f));
	writer_reset(&w);
	PUT(&w, "/x\0y\0");
	assert_false(parse("n-ng", &w, false, &f));
	writer_reset(&w);
	PUT(&w, "");
	assert_false(parse("n-ng", &w, false, &f));
	writer_reset(&w);
	PUT(&w, "\0");
	assert_true(parse("n-ng", &w, false, &f));
	assert_int_equal(f.path.n, 0);
}

static void test_evm_sig(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct ima_fields f;

	(void)state;
	PUT(&w, "sha256:\0" D32);
	PUT(&w, "/e\0");
	PUT(&w, "EVM");
	PUT(&w, "security.ima\0");
	PUT(&w, "\3\0\0\0");
	PUT(&w, "abc");
	PUT(&w, "\1\0\0\0");
	PUT(&w, "\2\0\0\0");
	PUT(&w, "\xed\x81");
	assert_true(parse("evm-sig", &w, false, &f));
	assert_bytes(f.evmsig, "EVM");
	assert_bytes(f.xattr_names, "security.ima");
	assert_int_equal(f.xattr_lengths.n, 4);
	assert_bytes(f.xattr_values, "abc");
	assert_int_equal(f.uid.n, 4);
	assert_int_equal(f.gid.p[0], 2);
	assert_int_equal(f.mode.n, 2);
	/* an integer of another size */
	w.n -= 6;
	PUT(&w, "\xed\x81\0\0");
	assert_false(parse("evm-sig", &w, false, &f));
}

static void test_field_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096), name = WRITER(4096);
	struct ima_fields f;

	(void)state;
	for (unsigned int i = 0; i < LIMIT_TEMPLATE_FIELDS; i++) {
		PUT(&w, "b");
		write_fmt(&name, "%sbuf", i ? "|" : "");
	}
	assert_true(parse(writer_cstr(&name), &w, false, &f));
	assert_true(f.known);
	assert_true(parse("unheard-of", &w, false, &f));
	assert_false(f.known);
	PUT(&w, "b");
	write_fmt(&name, "|buf");
	assert_false(parse(writer_cstr(&name), &w, false, &f));
	assert_false(parse("unheard-of", &w, false, &f));
}

static void test_lengths_do_not_add_up(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	struct ima_fields f;

	(void)state;
	write_u32le(&w, 0xffffffff);
	PUT(&w, "x");
	assert_false(parse("ima-ng", &w, false, &f));
	assert_false(parse("unheard-of", &w, false, &f));
	assert_false(parse("buf", &w, false, &f));
}

/* The hash of "ima" covers neither length and pads the name to 256 bytes. */
static void test_legacy_digest(void **state)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	uint8_t block[20 + 256] = "aaaaaaaaaaaaaaaaaaaa/usr/bin/x", got[HASH_MAX_SIZE], want[HASH_MAX_SIZE];
	struct ima_entry e = { .pcr = 10, .name = text("ima") };

	(void)state;
	PUT(&w, "aaaaaaaaaaaaaaaaaaaa");
	PUT(&w, "/usr/bin/x\0");
	e.data = writer_view(&w);
	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		ima_template_digest(&e, a, got);
		hash_one(a, block, sizeof(block), want);
		assert_memory_equal(got, want, hash_size(a));
	}
	/* not of that form: hashed as it is */
	PUT(&w, "");
	e.data = writer_view(&w);
	ima_template_digest(&e, HASH_SHA256, got);
	hash_one(HASH_SHA256, w.p, w.n, want);
	assert_memory_equal(got, want, 32);
}

static void test_violation_and_padding(void **state)
{
	struct ima_entry e = { .pcr = 10, .name = text("ima-ng"), .data = text("data"), .violation = true };
	uint8_t got[HASH_MAX_SIZE], ones[HASH_MAX_SIZE], zeros[HASH_MAX_SIZE] = { 0 }, sha1[20];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	ima_template_digest(&e, HASH_SHA384, got);
	assert_memory_equal(got, ones, 48);
	ima_template_digest_padded_sha1(&e, HASH_SHA256, got);
	assert_memory_equal(got, ones, 32);
	/* before 5.8 twenty bytes of ones went into every bank */
	ima_bank_digest(&e, HASH_SHA256, IMA_BANK_PADDED_OLD, got);
	assert_memory_equal(got, ones, 20);
	assert_memory_equal(got + 20, zeros, 12);
	e.violation = false;
	hash_one(HASH_SHA1, "data", 4, sha1);
	for (enum ima_bank_rule rule = IMA_BANK_PADDED; rule <= IMA_BANK_PADDED_OLD; rule++) {
		ima_bank_digest(&e, HASH_SHA512, rule, got);
		assert_memory_equal(got, sha1, 20);
		assert_memory_equal(got + 20, zeros, 44);
	}
}

static void test_digest_matches(void **state)
{
	struct ima_entry e = { .pcr = 10, .name = text("ima-ng"), .data = text("data") };
	uint8_t digest[HASH_MAX_SIZE];

	(void)state;
	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		hash_one(a, "data", 4, digest);
		e.digest = (struct bytes){ digest, hash_size(a) };
		assert_true(ima_digest_matches(&e));
		digest[hash_size(a) - 1] ^= 1;
		assert_false(ima_digest_matches(&e));
	}
	e.digest.n = 19;
	assert_false(ima_digest_matches(&e));
	e.digest.n = 0;
	assert_false(ima_digest_matches(&e));
}

static void test_replay(void **state)
{
	struct ima_entry e = { .pcr = 10, .name = text("ima-ng"), .data = text("data") };
	uint8_t block[64] = { 0 }, want[32], ones[64];
	struct ima_replay r;

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	ima_replay_init(&r);
	assert_memory_equal(r.pcr[17][HASH_SHA512], ones, 64);
	assert_memory_equal(r.pcr[22][HASH_SHA1], ones, 20);
	assert_memory_equal(r.pcr[16][HASH_SHA1], block, 20);
	assert_memory_equal(r.pcr[23][HASH_SHA1], block, 20);
	ima_replay_entry(&r, &e, 1u << HASH_SHA256);
	hash_one(HASH_SHA256, "data", 4, block + 32);
	hash_one(HASH_SHA256, block, 64, want);
	assert_memory_equal(r.pcr[10][HASH_SHA256], want, 32);
	/* only the bank that was asked for, only the PCR of the entry */
	memset(block, 0, sizeof(block));
	assert_memory_equal(r.pcr[10][HASH_SHA1], block, 20);
	assert_memory_equal(r.pcr[11][HASH_SHA256], block, 32);
	e.violation = true;
	e.pcr = LIMIT_PCR;
	ima_replay_entry(&r, &e, 15);
	memset(block + 32, 0xff, 32);
	hash_one(HASH_SHA256, block, 64, want);
	assert_memory_equal(r.pcr[LIMIT_PCR][HASH_SHA256], want, 32);
	assert_int_equal(r.entries, 2);
	assert_int_equal(r.violations, 1);
	assert_int_equal(r.used, 1u << 10 | 1u << LIMIT_PCR);
	/* a padded bank holds the SHA-1 digest and zeros */
	ima_replay_init(&r);
	r.padded_sha1 = true;
	e.violation = false;
	e.pcr = 10;
	ima_replay_entry(&r, &e, 15);
	memset(block, 0, sizeof(block));
	hash_one(HASH_SHA1, "data", 4, block + 32);
	hash_one(HASH_SHA256, block, 64, want);
	assert_memory_equal(r.pcr[10][HASH_SHA256], want, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ima_ng),		 cmocka_unit_test(test_verity_and_custom),
		cmocka_unit_test(test_guess),		 cmocka_unit_test(test_digest_forms),	 cmocka_unit_test(test_names),
		cmocka_unit_test(test_evm_sig),		 cmocka_unit_test(test_field_limit),
		cmocka_unit_test(test_lengths_do_not_add_up), cmocka_unit_test(test_legacy_digest),
		cmocka_unit_test(test_violation_and_padding), cmocka_unit_test(test_digest_matches),
		cmocka_unit_test(test_replay),
	};

	return cmocka_run_group_tests_name("ima entries", tests, NULL, NULL);
}
