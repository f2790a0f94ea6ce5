/* SPDX-License-Identifier: Apache-2.0 */
/* What the policy tests share: files, lists, made entries. */
#pragma once

#include "lib/test.h"

#include "base/text.h"
#include "ima/list.h"
#include "policy/policy.h"

static inline unused_ void load_file(const char *name, struct writer *w)
{
	cleanup_free_ char *path = NULL;

	*w = WRITER(64u << 20);
	assert_true(asprintf(&path, "%s/vectors/%s", TESTS_DIR, name) > 0);
	assert_int_equal(read_file(path, w), 0);
}

static inline unused_ struct policy *load_policy(const char *name)
{
	cleanup_writer_ struct writer file = WRITER(0);
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	load_file(name, &file);
	assert_int_equal(policy_load_json(&p, writer_view(&file), &report), 0);
	policy_report_clear(&report);
	return p;
}

/* A good policy from a literal. */
static inline unused_ struct policy *policy_of(const char *json)
{
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;
	int r = policy_load_json(&p, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report);

	if (r != 0)
		print_message("%s\n", writer_cstr(&report.text));
	policy_report_clear(&report);
	assert_int_equal(r, 0);
	return p;
}

static inline unused_ void add_key_file(struct keyring *k, const char *name)
{
	cleanup_writer_ struct writer file = WRITER(0);
	const char *why = NULL;

	load_file(name, &file);
	assert_int_equal(keyring_add(k, writer_view(&file), &why), 0);
}

/* An entry made by hand; `data` owns the bytes. */
struct made {
	struct writer data;
	struct ima_entry entry;
};

static inline unused_ void made_free(struct made *m)
{
	writer_free(&m->data);
}
#define cleanup_made_ cleanup_(made_free)

static inline unused_ void made_field(struct made *m, const void *p, size_t n)
{
	write_u32le(&m->data, (uint32_t)n);
	write_bytes(&m->data, p, n);
	m->entry.data = writer_view(&m->data);
}

/* d-ng and n-ng of any template; further fields by made_field(). */
static inline unused_ struct made make_entry(const char *name, const char *alg, const char *hex, const char *path)
{
	struct made m = { .data = WRITER(1u << 20) };
	uint8_t d[2 * 64 + 32] = { 0 };
	size_t label = strlen(alg) + 2, n = strlen(hex) / 2;

	m.entry.pcr = 10;
	m.entry.name = (struct bytes){ (const uint8_t *)name, strlen(name) };
	memcpy(d, alg, strlen(alg));
	d[label - 2] = ':';
	assert_int_equal(hex_decode((struct bytes){ (const uint8_t *)hex, strlen(hex) }, d + label, n), 0);
	made_field(&m, d, label + n);
	made_field(&m, path, strlen(path) + 1);
	return m;
}

/* Reads a whole list of tests/vectors; calls back for each entry. */
static inline unused_ size_t each_entry(const char *name, void (*take)(void *user, const struct ima_entry *e, uint64_t index),
					void *user)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	cleanup_writer_ struct writer file = WRITER(0);
	struct ima_entry e;
	uint64_t index = 0;

	load_file(name, &file);
	assert_int_equal(ima_list_new(&list, IMA_LIST_DETECT, 0), 0);
	assert_int_equal(ima_list_feed(list, file.p, file.n), 0);
	ima_list_finish(list);
	for (;;) {
		enum ima_list_result r = ima_list_next(list, &e);

		if (r == IMA_LIST_MORE)
			return index;
		if (r == IMA_LIST_BAD)
			print_message("%s: %s\n", name, ima_list_error(list));
		assert_int_equal(r, IMA_LIST_ENTRY);
		take(user, &e, index++);
	}
}
