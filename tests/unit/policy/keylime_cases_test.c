// SPDX-License-Identifier: Apache-2.0
/* The 19 cases of Keylime's own tests (tests/vectors/keylime-ima/cases.json): the same outcome in each. */
#include "policy_helper.h"

#include <jansson.h>
#include <stdio.h>

#define CASES 19

struct outcome {
	struct appraisal appraisal;
	size_t fails, others;
	bool template_hash;
};

static void judge(void *user, const struct ima_entry *e, uint64_t index)
{
	struct outcome *o = user;
	struct finding findings[4];
	size_t n = appraise_entry(&o->appraisal, e, NULL, index, findings);

	assert_true(n <= 4);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(findings[i].index, index);
		assert_true(i == 0 || findings[i - 1].severity >= findings[i].severity);
		if (findings[i].severity == SEVERITY_FAIL)
			o->fails++;
		else
			o->others++;
		o->template_hash |= findings[i].reason == REASON_TEMPLATE_HASH;
	}
}

static const char *first_event(const json_t *c)
{
	const char *event = json_string_value(json_array_get(json_object_get(c, "events"), 0));

	return event ? event : "";
}

static void run_case(void **state)
{
	size_t number = (size_t)(uintptr_t)*state;
	cleanup_writer_ struct writer cases = WRITER(0);
	cleanup_keyring_ struct keyring *keyring = NULL;
	cleanup_policy_ struct policy *policy = NULL;
	struct outcome o = { .appraisal = { .check_template_hash = true } };
	json_t *all, *c, *keys;
	char name[256];

	load_file("keylime-ima/cases.json", &cases);
	all = json_loadb((const char *)cases.p, cases.n, 0, NULL);
	assert_int_equal(json_array_size(all), CASES);
	c = json_array_get(all, number);
	if (json_is_string(json_object_get(c, "policy"))) {
		(void)snprintf(name, sizeof(name), "keylime-ima/%s", json_string_value(json_object_get(c, "policy")));
		policy = load_policy(name);
	}
	keys = json_object_get(c, "keyring");
	if (json_is_array(keys)) {
		assert_int_equal(keyring_new(&keyring), 0);
		for (size_t i = 0; i < json_array_size(keys); i++) {
			(void)snprintf(name, sizeof(name), "keylime-ima/keys/%s", json_string_value(json_array_get(keys, i)));
			add_key_file(keyring, name);
		}
	}
	o.appraisal.policy = policy;
	o.appraisal.keyring = keyring;
	(void)snprintf(name, sizeof(name), "keylime-ima/%s", json_string_value(json_object_get(c, "log")));
	assert_true(each_entry(name, judge, &o) > 0);
	if (strcmp(json_string_value(json_object_get(c, "outcome")), "pass") == 0)
		assert_int_equal(o.fails, 0);
	else
		assert_true(o.fails > 0);
	assert_int_equal(o.template_hash, strcmp(first_event(c), "ima.validation.ima_hash") == 0);
	json_decref(all);
}

int main(void)
{
	static char names[CASES][32];
	struct CMUnitTest tests[CASES];

	for (size_t i = 0; i < CASES; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "case_%zu_as_keylime", i + 1);
		tests[i] = (struct CMUnitTest){ names[i], run_case, NULL, NULL, (void *)(uintptr_t)i };
	}
	return _cmocka_run_group_tests("keylime_cases", tests, CASES, NULL, NULL);
}
