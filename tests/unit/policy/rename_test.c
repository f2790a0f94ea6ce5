// SPDX-License-Identifier: Apache-2.0
/* A template's name is not hashed, so the host chooses it: format strings that point where it suits. */
#include "policy_helper.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void assert_two(const struct appraisal *a, const struct ima_entry *e, enum reason first, enum reason second)
{
	struct finding out[4];

	assert_int_equal(appraise_entry(a, e, NULL, 7, out), 2);
	assert_int_equal(out[0].reason, first);
	assert_int_equal(out[1].reason, second);
}

/* A format as name can point at any field: at one whose bytes the host chooses (an extended attribute's value, security.ima),
 * as digest, path or buffer, while the real ones go as "sig", which takes anything. */
static void formats_cannot_point_at_other_fields(void **state unused_)
{
	static const struct {
		const char *name, *third;
		size_t n;
	} cases[] = {
		{ "sig|n-ng|d-ng", "sha256:\0" "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
		  "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa", 40 },
		{ "sig|n-ng|d", "\3aaaaaaaaaaaaaaaaaaa", 20 }, /* SHA-1, as the type of a signature starts */
		{ "d-ng|sig|n-ng", "/tmp/excluded", 14 },
		{ "d-ng|sig|n", "/tmp/excluded", 14 },
	};
	cleanup_policy_ struct policy *p =
		policy_of("{\"digests\":{\"/good\":[\"" A32 "\",\"0361616161616161616161616161616161616161\"]},"
			  "\"excludes\":[\"/tmp/\"]}");
	struct appraisal a = { .policy = p };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_made_ struct made m = make_entry(cases[i].name, "sha256", B32, "/good");

		made_field(&m, cases[i].third, cases[i].n);
		assert_two(&a, &m.entry, REASON_DIGEST_MISMATCH, REASON_TEMPLATE_UNKNOWN);
	}
}

/* ... nor call a part of a file's entry a buffer that the policy ignores. */
static void formats_cannot_make_a_file_a_buffer(void **state unused_)
{
	cleanup_policy_ struct policy *p = policy_of("{\"digests\":{\"/good\":[\"" A32 "\"]},"
						     "\"ima\":{\"ignored_keyrings\":[\"*\"]}}");
	cleanup_writer_ struct writer key = WRITER(0);
	cleanup_made_ struct made m = make_entry("d-ng|n-ng|sig|sig|sig|buf|iuid|igid|imode", "sha256", B32, "/good");
	struct appraisal a = { .policy = p };

	load_file("kernel/6.1-ima-sig/cert.der", &key);
	made_field(&m, "", 0);
	made_field(&m, "security.selinux", 17);
	made_field(&m, "\0\0\0\0", 4);
	made_field(&m, key.p, key.n);
	made_field(&m, "\0\0\0\0", 4);
	made_field(&m, "\0\0\0\0", 4);
	made_field(&m, "\0\0", 2);
	assert_two(&a, &m.entry, REASON_DIGEST_MISMATCH, REASON_TEMPLATE_UNKNOWN);
}

/* A format that says what the fields are stays as good as a built-in name. */
static void true_formats_are_fine(void **state unused_)
{
	static const char *const names[] = { "d-ng|n-ng", "d-ng|n-ng|sig", "d-ng|n-ng|xattrvalues" };
	cleanup_policy_ struct policy *p = policy_of("{\"digests\":{\"/good\":[\"" A32 "\"]}}");
	struct appraisal a = { .policy = p };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_made_ struct made m = make_entry(names[i], "sha256", A32, "/good");

		if (i > 0)
			made_field(&m, "\3\2", 2);
		assert_int_equal(appraise_entry(&a, &m.entry, NULL, 7, (struct finding[4]){ 0 }), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_cannot_point_at_other_fields),
		cmocka_unit_test(formats_cannot_make_a_file_a_buffer),
		cmocka_unit_test(true_formats_are_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
