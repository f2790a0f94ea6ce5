// SPDX-License-Identifier: Apache-2.0
/* "boot-pcrs": values of boot PCRs that a policy knows. */
#include "policy_helper.h"

#include <stdio.h>

#include "policy/model.h"

#define A "0101010101010101010101010101010101010101010101010101010101010101"
#define B "0202020202020202020202020202020202020202020202020202020202020202"
#define SHORT "0303030303030303030303030303030303030303"

static const uint8_t ones[32] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

static void refused(const char *json, const char *line)
{
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	assert_int_equal(policy_load_json(&p, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report), 1);
	assert_null(p);
	if (!strstr(writer_cstr(&report.text), line))
		print_message("%s\n", writer_cstr(&report.text));
	assert_non_null(strstr(writer_cstr(&report.text), line));
	policy_report_clear(&report);
}

static void several_values_and_banks(void **state unused_)
{
	cleanup_policy_ struct policy *p =
		policy_of("{\"boot-pcrs\":{\"sha256\":{\"0\":[\"" A "\",\"" B "\"],\"7\":[\"" A "\"]},\"sha1\":{\"4\":[\"" SHORT "\"]}}}");
	uint8_t twos[32];

	memset(twos, 2, sizeof(twos));
	assert_int_equal(policy_boot_pcrs(p, HASH_SHA256), 0x81);
	assert_int_equal(policy_boot_pcrs(p, HASH_SHA1), 0x10);
	assert_int_equal(policy_boot_pcrs(p, HASH_SHA384), 0);
	assert_int_equal(policy_boot_pcrs(p, HASH_COUNT), 0x91);
	assert_true(policy_boot_pcr_known(p, HASH_SHA256, 0, ones));
	assert_true(policy_boot_pcr_known(p, HASH_SHA256, 0, twos));
	assert_true(policy_boot_pcr_known(p, HASH_SHA256, 7, ones));
	assert_false(policy_boot_pcr_known(p, HASH_SHA256, 7, twos));
	assert_false(policy_boot_pcr_known(p, HASH_SHA1, 0, ones));
	assert_false(policy_boot_pcr_known(p, HASH_SHA256, 4, ones));
}

static void without_it_nothing_is_pinned(void **state unused_)
{
	cleanup_policy_ struct policy *p = policy_of("{}"), *empty = policy_of("{\"boot-pcrs\":{\"sha256\":{}}}");

	assert_int_equal(policy_boot_pcrs(p, HASH_COUNT), 0);
	assert_int_equal(policy_boot_pcrs(empty, HASH_COUNT), 0);
}

static void wrong_forms_are_errors(void **state unused_)
{
	refused("{\"boot-pcrs\":[]}", "error: /boot-pcrs: ");
	refused("{\"boot-pcrs\":{\"sha257\":{}}}", "error: /boot-pcrs/sha257: not a PCR bank");
	refused("{\"boot-pcrs\":{\"sha256\":[]}}", "error: /boot-pcrs/sha256: ");
	refused("{\"boot-pcrs\":{\"sha256\":{\"10\":[\"" A "\"]}}}", "error: /boot-pcrs/sha256/10: not a boot PCR");
	refused("{\"boot-pcrs\":{\"sha256\":{\"24\":[\"" A "\"]}}}", "error: /boot-pcrs/sha256/24: not a boot PCR");
	refused("{\"boot-pcrs\":{\"sha256\":{\"-1\":[\"" A "\"]}}}", "error: /boot-pcrs/sha256/-1: not a boot PCR");
	refused("{\"boot-pcrs\":{\"sha256\":{\"0\":\"" A "\"}}}", "error: /boot-pcrs/sha256/0: ");
	refused("{\"boot-pcrs\":{\"sha256\":{\"0\":[]}}}", "error: /boot-pcrs/sha256/0: ");
	refused("{\"boot-pcrs\":{\"sha256\":{\"0\":[\"" A "\",5]}}}", "error: /boot-pcrs/sha256/0/1: expected a sha256 digest");
	refused("{\"boot-pcrs\":{\"sha256\":{\"0\":[\"" SHORT "\"]}}}", "error: /boot-pcrs/sha256/0/0: expected a sha256 digest");
	refused("{\"boot-pcrs\":{\"sha1\":{\"0\":[\"" A "\"]}}}", "error: /boot-pcrs/sha1/0/0: expected a sha1 digest");
	refused("{\"boot-pcrs\":{\"sha1\":{\"0\":[\"zz03030303030303030303030303030303030303\"]}}}", "expected a sha1 digest");
}

static void as_many_as_the_limit(void **state unused_)
{
	cleanup_policy_ struct policy *p = policy_of("{}");
	uint8_t value[32] = { 0 };

	for (uint32_t i = 0; i <= LIMIT_BOOT_PCR_VALUES; i++) {
		memcpy(value, &i, sizeof(i));
		assert_int_equal(policy_add_boot_pcr(p, HASH_SHA256, 0, (struct bytes){ value, 32 }),
				 i < LIMIT_BOOT_PCR_VALUES ? 0 : -EMSGSIZE);
	}
	value[0] = 5, value[1] = value[2] = 0;
	assert_int_equal(policy_add_boot_pcr(p, HASH_SHA256, 0, (struct bytes){ value, 32 }), 0); /* there already */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_values_and_banks),
		cmocka_unit_test(without_it_nothing_is_pinned),
		cmocka_unit_test(wrong_forms_are_errors),
		cmocka_unit_test(as_many_as_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
