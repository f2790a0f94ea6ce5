// SPDX-License-Identifier: Apache-2.0
/* IMA's own policy: reading it, what measures less than what is required, and policies in a measurement list. */
#include "policy_helper.h"

#include <stdio.h>

#include "policy/imapolicy.h"

#define FOUR                                                                                                              \
	"measure func=BPRM_CHECK mask=MAY_EXEC pcr=10\nmeasure func=MMAP_CHECK mask=MAY_EXEC\nmeasure func=MODULE_CHECK\n" \
	"measure func=FIRMWARE_CHECK\n"

static struct bytes text_of(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static struct imapolicy *parsed(const char *text)
{
	struct imapolicy *p = NULL;
	const char *why = NULL;
	unsigned int line;
	int r = imapolicy_parse(&p, text_of(text), &line, &why);

	if (r != 0)
		print_message("%s: line %u: %s\n", text, line, why);
	assert_int_equal(r, 0);
	return p;
}

static bool covers(const char *policy, const char *required)
{
	cleanup_imapolicy_ struct imapolicy *p = parsed(policy), *q = parsed(required);
	size_t missing = SIZE_MAX;
	bool yes = imapolicy_covers(p, q, &missing);

	assert_true(yes == (missing == SIZE_MAX));
	return yes;
}

static void refused(const char *text, unsigned int at, const char *what)
{
	struct imapolicy *p = NULL;
	const char *why = NULL;
	unsigned int line = 0;

	assert_int_equal(imapolicy_parse(&p, text_of(text), &line, &why), 1);
	assert_null(p);
	assert_int_equal(line, at);
	assert_non_null(strstr(why, what));
}

static void comments_and_other_actions_are_read(void **state unused_)
{
	cleanup_imapolicy_ struct imapolicy *p =
		parsed("# a comment\n\n  measure func=BPRM_CHECK\nappraise fowner=0 appraise_type=imasig\naudit func=BPRM_CHECK\n"
		       "hash func=FILE_CHECK\ndont_appraise fsmagic=0x1\n\tdont_measure fsmagic=0x9fa0 \nmeasure func=KEY_CHECK keyrings=.ima");

	assert_int_equal(imapolicy_rules(p), 3);
	assert_true(imapolicy_rule(p, 1).n > 0);
}

static void wrong_texts(void **state unused_)
{
	refused("measur func=BPRM_CHECK", 1, "no action");
	refused("measure func=BPRM_CHECK\nmeasure nonsense", 2, "neither");
	refused("measure func=", 1, "neither");
	refused("measure =x", 1, "neither");
	refused("measure func=A func=B", 1, "twice");
	refused("\x7f""ELF", 1, "no action");
	refused("/etc/ima/policy", 1, "no action");
}

static void limits(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct imapolicy *p = NULL;
	unsigned int line;
	const char *why;

	for (unsigned int i = 0; i < LIMIT_IMA_POLICY_RULES; i++)
		write_fmt(&w, "measure uid=%u\n", i);
	assert_int_equal(imapolicy_parse(&p, writer_view(&w), &line, &why), 0);
	imapolicy_free(&p);
	write_fmt(&w, "measure uid=1\n");
	assert_int_equal(imapolicy_parse(&p, writer_view(&w), &line, &why), 1);
	assert_int_equal(line, LIMIT_IMA_POLICY_RULES + 1);
	writer_reset(&w);
	write_fmt(&w, "measure");
	for (unsigned int i = 0; i < LIMIT_IMA_RULE_CONDITIONS; i++)
		write_fmt(&w, " k%u=1", i);
	assert_int_equal(imapolicy_parse(&p, writer_view(&w), &line, &why), 0);
	imapolicy_free(&p);
	write_fmt(&w, " more=1");
	assert_int_equal(imapolicy_parse(&p, writer_view(&w), &line, &why), 1);
	writer_reset(&w);
	while (w.n < LIMIT_IMA_POLICY)
		write_u8(&w, '\n');
	assert_int_equal(imapolicy_parse(&p, writer_view(&w), &line, &why), 0);
	imapolicy_free(&p);
	write_u8(&w, '\n');
	assert_int_equal(imapolicy_parse(&p, writer_view(&w), &line, &why), 1);
}

static void the_same_or_more_is_enough(void **state unused_)
{
	assert_true(covers(FOUR, FOUR));
	assert_true(covers("measure func=KEXEC_KERNEL_CHECK\n" FOUR, FOUR));
	assert_true(covers("measure\n", FOUR)); /* without any condition: everything */
	assert_true(covers("measure func=BPRM_CHECK\n", "measure func=BPRM_CHECK mask=MAY_EXEC\n"));
	assert_true(covers("measure func=BPRM_CHECK mask=MAY_EXEC\n", "measure func=BPRM_CHECK\n")); /* it is never another */
	assert_true(covers("measure func=FILE_MMAP mask=MAY_EXEC\n", "measure func=MMAP_CHECK mask=MAY_EXEC\n"));
	assert_true(covers("measure func=FILE_CHECK mask=^MAY_READ uid=0\n", "measure func=PATH_CHECK mask=MAY_READ uid=0\n"));
	assert_true(covers("measure func=MODULE_CHECK template=ima-modsig appraise_type=imasig|modsig\n", "measure func=MODULE_CHECK\n"));
	assert_true(covers("measure func=KEY_CHECK keyrings=.ima|.evm\n", "measure func=KEY_CHECK keyrings=.evm\n"));
	assert_true(covers("measure func=CRITICAL_DATA\n", "measure func=CRITICAL_DATA label=selinux\n"));
}

static void narrower_rules_are_weaker(void **state unused_)
{
	static const char *const narrower[] = {
		"measure func=BPRM_CHECK uid=0\n",	   "measure func=BPRM_CHECK fsname=ext4\n",
		"measure func=BPRM_CHECK fsmagic=0xef53\n", "measure func=BPRM_CHECK fsuuid=aa\n",
		"measure func=BPRM_CHECK fowner=0\n",	   "measure func=BPRM_CHECK obj_type=bin_t\n",
		"measure func=BPRM_CHECK pcr=11\n",	   "measure func=BPRM_CHECK a_new_one=1\n",
		"measure func=MMAP_CHECK mask=MAY_EXEC\n", "appraise func=BPRM_CHECK\n",
		"# measure func=BPRM_CHECK\n",		   "measure func=BPRM_CHECK uid=0\nmeasure func=BPRM_CHECK uid>0\n",
		"",
	};

	for (size_t i = 0; i < ARRAY_SIZE(narrower); i++)
		assert_false(covers(narrower[i], "measure func=BPRM_CHECK\n"));
	assert_false(covers("measure func=MMAP_CHECK mask=MAY_WRITE\n", "measure func=MMAP_CHECK mask=MAY_EXEC\n"));
	assert_false(covers("measure func=MMAP_CHECK mask=MAY_EXEC\n", "measure func=MMAP_CHECK\n"));
	assert_false(covers("measure func=FILE_CHECK mask=MAY_READ\n", "measure func=FILE_CHECK mask=^MAY_READ\n"));
	assert_false(covers("measure func=KEY_CHECK keyrings=.evm\n", "measure func=KEY_CHECK keyrings=.evm|.ima\n"));
	assert_false(covers("measure func=KEY_CHECK keyrings=.evm\n", "measure func=KEY_CHECK\n"));
	assert_false(covers("measure func=BPRM_CHECK\n", FOUR));
	/* what is required of one uid only needs a rule for that uid, not for another */
	assert_true(covers("measure func=FILE_CHECK uid=0\n", "measure func=FILE_CHECK uid=0\n"));
	assert_false(covers("measure func=FILE_CHECK uid=0\n", "measure func=FILE_CHECK uid=1\n"));
}

static void exclusions_before_the_rule_are_weaker(void **state unused_)
{
	const char *tmpfs = "dont_measure fsmagic=0x01021994\n";
	char text[4096];

	snprintf(text, sizeof(text), "%s%s", tmpfs, FOUR);
	assert_false(covers(text, FOUR));
	snprintf(text, sizeof(text), "%s%s", FOUR, tmpfs); /* behind: the first rule that fits counts */
	assert_true(covers(text, FOUR));
	assert_false(covers("dont_measure\nmeasure func=BPRM_CHECK\n", "measure func=BPRM_CHECK\n"));
	assert_false(covers("dont_measure uid=1000\nmeasure func=BPRM_CHECK\n", "measure func=BPRM_CHECK\n"));
	assert_false(covers("dont_measure new_condition=1\nmeasure func=BPRM_CHECK\n", "measure func=BPRM_CHECK\n"));
	/* about other events */
	assert_true(covers("dont_measure func=FILE_CHECK\nmeasure func=BPRM_CHECK\n", "measure func=BPRM_CHECK\n"));
	assert_true(covers("dont_measure mask=MAY_APPEND\nmeasure func=BPRM_CHECK\n", "measure func=BPRM_CHECK\n"));
	assert_true(covers("dont_measure func=KEY_CHECK keyrings=.evm\nmeasure func=KEY_CHECK\n", "measure func=KEY_CHECK keyrings=.ima\n"));
	assert_true(covers("dont_measure fsmagic=0x1\nmeasure func=BPRM_CHECK\n", "measure func=BPRM_CHECK fsmagic=0x2\n"));
	/* what the requirement leaves out as well, before its rule */
	assert_true(covers("dont_measure fsmagic=0x9fa0\nmeasure func=BPRM_CHECK\n",
			   "dont_measure fsmagic=0x9fa0\nmeasure func=BPRM_CHECK\n"));
	assert_true(covers("dont_measure fsmagic=0x9fa0 uid=5\nmeasure func=BPRM_CHECK\n",
			   "dont_measure fsmagic=0x9fa0\nmeasure func=BPRM_CHECK\n"));
	assert_false(covers("dont_measure fsmagic=0x9fa0\nmeasure func=BPRM_CHECK\n",
			    "dont_measure fsmagic=0x9fa0 uid=5\nmeasure func=BPRM_CHECK\n"));
	assert_false(covers("dont_measure fsmagic=0x9fa0\nmeasure func=BPRM_CHECK\n",
			    "measure func=BPRM_CHECK\ndont_measure fsmagic=0x9fa0\n"));
	/* a rule that takes a part to another PCR */
	assert_false(covers("measure func=BPRM_CHECK uid=0 pcr=11\nmeasure func=BPRM_CHECK\n", "measure func=BPRM_CHECK\n"));
}

static void tcb_exec(void **state unused_)
{
	const char *wanted = imapolicy_builtin("tcb-exec");
	char text[8192];

	assert_non_null(wanted);
	assert_null(imapolicy_builtin("tcb"));
	assert_true(covers(wanted, wanted));
	assert_true(covers(FOUR "measure func=POLICY_CHECK\n", wanted));
	assert_false(covers(FOUR, wanted)); /* another policy could be loaded unseen */
	snprintf(text, sizeof(text), "dont_measure fsmagic=0x01021994\n%s", wanted); /* the kernel's ima_policy=tcb does this */
	assert_false(covers(text, wanted));
}

/* --- in a list ---- */

static struct imapolicies *with(const char *required, const char *known)
{
	struct imapolicies *p = NULL;
	unsigned int line;
	const char *why;

	assert_int_equal(imapolicies_new(&p), 0);
	if (known)
		assert_int_equal(imapolicies_know(p, text_of(known), &line, &why), 0);
	if (required)
		assert_int_equal(imapolicies_require(p, text_of(required), &line, &why), 0);
	assert_true(imapolicies_required(p) == (required != NULL));
	return p;
}

static void digest_hex(const char *text, char hex[65])
{
	uint8_t d[32];

	hash_one(HASH_SHA256, text, strlen(text), d);
	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", d[i]);
}

static struct made entry_of(const char *name, const char *path, const char *text, const char *buf)
{
	char hex[65];
	struct made m;

	digest_hex(text, hex);
	m = make_entry(name, "sha256", hex, path);
	if (buf)
		made_field(&m, buf, strlen(buf));
	return m;
}

static void expect(const struct imapolicies *p, const struct made *m, bool violation, enum reason reason)
{
	struct appraisal a = { .ima_policies = p };
	struct ima_entry e = m->entry;
	struct finding out[4];
	size_t n, hits = 0;

	e.violation = violation;
	n = appraise_entry(&a, &e, NULL, 5, out);
	for (size_t i = 0; i < n; i++)
		if (out[i].reason == REASON_IMA_POLICY_WEAK || out[i].reason == REASON_IMA_POLICY_UNKNOWN) {
			assert_int_equal(out[i].reason, reason);
			hits++;
		}
	assert_int_equal(hits, reason != REASON_NONE);
}

#define WEAK "measure func=BPRM_CHECK uid=0\n"

static void policy_files_are_known_by_digest(void **state unused_)
{
	struct imapolicies *p = with(FOUR, WEAK);
	cleanup_made_ struct made weak = entry_of("ima-ng", "/root/p", WEAK, NULL), other = entry_of("ima-ng", "/bin/x", FOUR, NULL);
	cleanup_made_ struct made unknown = entry_of("ima-ng", "/etc/ima/ima-policy", FOUR, NULL);

	expect(p, &weak, false, REASON_IMA_POLICY_WEAK);
	expect(p, &other, false, REASON_NONE);
	expect(p, &unknown, false, REASON_IMA_POLICY_UNKNOWN);
	expect(p, &unknown, true, REASON_NONE); /* a violation is judged as one; it is no policy that vouches */
	imapolicies_free(&p);
	p = with(FOUR, FOUR);
	expect(p, &unknown, false, REASON_NONE);
	imapolicies_free(&p);
	p = with(NULL, WEAK); /* nothing required: nothing is weak */
	expect(p, &weak, false, REASON_NONE);
	expect(p, &unknown, false, REASON_IMA_POLICY_UNKNOWN);
	imapolicies_free(&p);
}

static void measured_texts_are_read(void **state unused_)
{
	struct imapolicies *p = with(FOUR, NULL);
	cleanup_made_ struct made good = entry_of("ima-buf", "ima_policy_loaded", FOUR, FOUR);
	cleanup_made_ struct made weak = entry_of("ima-buf", "ima_policy_loaded", WEAK, WEAK);
	cleanup_made_ struct made renamed = entry_of("ima-sig", "ima_policy_loaded", WEAK, WEAK);
	cleanup_made_ struct made bad = entry_of("ima-buf", "ima_policy_loaded", "x", "x");
	cleanup_made_ struct made other_bytes = entry_of("ima-buf", "ima_policy_loaded", WEAK, FOUR);
	cleanup_made_ struct made written = entry_of("ima-buf", "ima_policy_written", FOUR, FOUR);
	cleanup_made_ struct made selinux = entry_of("ima-buf", "selinux-state", FOUR, FOUR);

	expect(p, &good, false, REASON_NONE);
	expect(p, &weak, false, REASON_IMA_POLICY_WEAK);
	expect(p, &renamed, false, REASON_IMA_POLICY_WEAK); /* the template's name is not hashed */
	expect(p, &bad, false, REASON_IMA_POLICY_UNKNOWN);
	expect(p, &other_bytes, false, REASON_IMA_POLICY_UNKNOWN);
	expect(p, &written, false, REASON_IMA_POLICY_UNKNOWN);
	expect(p, &selinux, false, REASON_NONE);
	imapolicies_free(&p);
	expect(NULL, &weak, false, REASON_NONE);
}

static void as_many_texts_as_the_limit(void **state unused_)
{
	struct imapolicies *p = NULL;
	unsigned int line;
	const char *why;

	assert_int_equal(imapolicies_new(&p), 0);
	for (unsigned int i = 0; i < LIMIT_IMA_POLICIES; i++)
		assert_int_equal(imapolicies_know(p, text_of(FOUR), &line, &why), 0);
	assert_int_equal(imapolicies_know(p, text_of(FOUR), &line, &why), 1);
	imapolicies_free(&p);
}

/* The policies that were loaded when the recordings were made. */
static void recorded_policies(void **state unused_)
{
	static const char *const names[] = { "kernel/6.1-ima-sig/policy", "kernel/6.1-ima-buf/policy",
					     "kernel/7.2-ima-sig-sha512/policy" }; /* the last one takes a part to other PCRs */

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_writer_ struct writer file = WRITER(0);
		cleanup_imapolicy_ struct imapolicy *p = NULL, *q = parsed("measure func=BPRM_CHECK mask=MAY_EXEC\n");
		unsigned int line;
		const char *why;
		size_t missing;

		load_file(names[i], &file);
		assert_int_equal(imapolicy_parse(&p, writer_view(&file), &line, &why), 0);
		assert_true(imapolicy_covers(p, q, &missing) == (i < 2));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comments_and_other_actions_are_read),
		cmocka_unit_test(wrong_texts),
		cmocka_unit_test(limits),
		cmocka_unit_test(the_same_or_more_is_enough),
		cmocka_unit_test(narrower_rules_are_weaker),
		cmocka_unit_test(exclusions_before_the_rule_are_weaker),
		cmocka_unit_test(tcb_exec),
		cmocka_unit_test(policy_files_are_known_by_digest),
		cmocka_unit_test(measured_texts_are_read),
		cmocka_unit_test(as_many_texts_as_the_limit),
		cmocka_unit_test(recorded_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
