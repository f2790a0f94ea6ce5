// SPDX-License-Identifier: Apache-2.0
/* Lists recorded on real kernels (tests/vectors/kernel): counts, PCR values, and both forms against each other. */
#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "ima/list.h"
#include "ima/replay.h"

#define KERNEL TESTS_DIR "/vectors/kernel"

static json_t *load_recording(const char *dir)
{
	cleanup_free_ char *path = NULL;
	json_error_t error;
	json_t *j;

	assert_true(asprintf(&path, KERNEL "/%s/recording.json", dir) > 0);
	j = json_load_file(path, 0, &error);
	if (!j)
		fail_msg("%s: %s", path, error.text);
	return j;
}

static void open_list(const char *dir, const char *file, struct writer *w, struct ima_list **l)
{
	cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, KERNEL "/%s/%s", dir, file) > 0);
	*w = WRITER(64u << 20);
	assert_int_equal(read_file(path, w), 0);
	assert_int_equal(ima_list_new(l, IMA_LIST_DETECT, 0), 0);
	assert_int_equal(ima_list_lend(*l, writer_view(w)), 0);
}

static void check_values(json_t *pcrs, const struct ima_replay *r)
{
	const char *index, *bank;
	json_t *banks, *value;
	uint32_t used = 0;

	json_object_foreach(pcrs, index, banks) {
		unsigned int pcr = (unsigned int)atoi(index);

		used |= 1u << pcr;
		json_object_foreach(banks, bank, value) {
			const char *hex = json_string_value(value);
			uint8_t want[HASH_MAX_SIZE];
			enum hash_alg a;

			assert_true(hash_from_name((struct bytes){ (const uint8_t *)bank, strlen(bank) }, &a));
			assert_int_equal(hex_decode((struct bytes){ (const uint8_t *)hex, strlen(hex) }, want, hash_size(a)), 0);
			assert_memory_equal(want, r->pcr[pcr][a], hash_size(a));
		}
	}
	assert_int_equal(used, r->used);
	assert_int_not_equal(used, 0);
}

/* The rule by which each bank of the TPM was extended, as the recording found it. */
static void set_rules(json_t *recording, struct ima_replay *r)
{
	const char *bank, *how;
	json_t *value;

	json_object_foreach(json_object_get(recording, "banks"), bank, value) {
		enum hash_alg a;

		how = json_string_value(value);
		assert_true(hash_from_name((struct bytes){ (const uint8_t *)bank, strlen(bank) }, &a));
		r->rule[a] = strcmp(how, "padded") == 0 ? IMA_BANK_PADDED : IMA_BANK_OWN;
	}
}

static void check_pair(const char *dir, json_t *recording, const char *binary, const char *ascii)
{
	cleanup_writer_ struct writer bytes = { 0 }, text = { 0 };
	cleanup_ima_list_ struct ima_list *b = NULL, *a = NULL;
	json_t *templates = json_object_get(recording, "templates");
	struct ima_replay own, tpm;
	struct ima_entry e, f;
	json_t *counted = json_object();

	open_list(dir, binary, &bytes, &b);
	open_list(dir, ascii, &text, &a);
	ima_replay_init(&own);
	ima_replay_init(&tpm);
	set_rules(recording, &tpm);
	while (ima_list_next(b, &e) == IMA_LIST_ENTRY) {
		char name[256];
		struct ima_fields fields;
		size_t n;

		if (ima_list_next(a, &f) != IMA_LIST_ENTRY)
			fail_msg("%s/%s: %s", dir, ascii, ima_list_error(a));
		assert_true(ima_digest_matches(&e));
		assert_true(ima_digest_matches(&f));
		assert_true(ima_fields_parse(&e, &fields));
		assert_true(fields.known);
		assert_int_equal(e.pcr, f.pcr);
		assert_int_equal(e.violation, f.violation);
		assert_int_equal(e.data.n, f.data.n);
		assert_memory_equal(e.data.p, f.data.p, e.data.n);
		ima_replay_entry(&own, &e, 15);
		ima_replay_entry(&tpm, &f, 15);
		snprintf(name, sizeof(name), "%.*s", (int)e.name.n, (const char *)e.name.p);
		n = (size_t)json_integer_value(json_object_get(counted, name)) + 1;
		json_object_set_new(counted, name, json_integer((json_int_t)n));
	}
	assert_string_equal(ima_list_error(b), "");
	assert_int_equal(ima_list_next(a, &f), IMA_LIST_MORE);
	assert_int_equal(ima_list_offset(a), text.n);
	assert_int_equal(own.entries, json_integer_value(json_object_get(recording, "entries")));
	assert_int_equal(own.violations, json_integer_value(json_object_get(recording, "violations")));
	assert_true(json_equal(counted, templates));
	json_decref(counted);
	check_values(json_object_get(recording, "pcrs_replayed"), &own);
	check_values(json_object_get(recording, "pcrs"), &tpm);
}

static void test_recordings(void **state)
{
	struct dirent **names = NULL;
	int n = scandir(KERNEL, &names, NULL, alphasort);
	unsigned int seen = 0;

	(void)state;
	assert_true(n > 2);
	for (int i = 0; i < n; i++) {
		json_t *recording, *list;
		size_t k;

		if (names[i]->d_type != DT_DIR || names[i]->d_name[0] == '.') {
			free(names[i]);
			continue;
		}
		recording = load_recording(names[i]->d_name);
		json_array_foreach(json_object_get(recording, "lists"), k, list) {
			check_pair(names[i]->d_name, recording, json_string_value(json_object_get(list, "binary")),
				   json_string_value(json_object_get(list, "ascii")));
			seen++;
		}
		json_decref(recording);
		free(names[i]);
	}
	free(names);
	assert_true(seen >= 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_recordings) };

	return cmocka_run_group_tests_name("ima lists of real kernels", tests, NULL, NULL);
}
