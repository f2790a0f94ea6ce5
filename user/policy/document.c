// SPDX-License-Identifier: Apache-2.0
#include "policy/document.h"

#include <ctype.h>

static const char *const maps[] = { "digests", "keyrings", "ima-buf" };

int document_fill(json_t *root)
{
	json_t *defaults = json_pack("{s:{s:i,s:i},s:i,s:{},s:[],s:{},s:{s:[],s:s,s:n},s:{},s:s}", "meta", "version", 1,
				     "generator", 0, "release", 0, "digests", "excludes", "keyrings", "ima",
				     "ignored_keyrings", "log_hash_alg", "sha1", "dm_policy", "ima-buf",
				     "verification-keys", "");
	int r = defaults ? json_object_update_missing(root, defaults) : -1;

	json_decref(defaults);
	return r < 0 ? -ENOMEM : 0;
}

static int compare_texts(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* An array of hexadecimal strings in lower case, ascending, each once. NULL: no memory. */
static json_t *sorted_array(const json_t *array)
{
	size_t n = json_array_size(array);
	cleanup_free_ const char **texts = calloc(n + 1, sizeof(*texts));
	json_t *sorted = json_array();

	for (size_t i = 0; texts && i < n; i++)
		texts[i] = json_string_value(json_array_get(array, i));
	if (texts)
		qsort(texts, n, sizeof(*texts), compare_texts);
	for (size_t i = 0; texts && sorted && i < n; i++) {
		if (i && strcmp(texts[i - 1], texts[i]) == 0)
			continue;
		if (json_array_append_new(sorted, json_string(texts[i])) < 0)
			document_free(&sorted);
	}
	if (!texts)
		document_free(&sorted);
	return sorted;
}

/* Policies written by hand may have upper-case digits. */
static int lower_case(json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		cleanup_free_ char *text = strdup(json_string_value(json_array_get(array, i)));

		if (!text)
			return -ENOMEM;
		for (char *c = text; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		if (json_array_set_new(array, i, json_string(text)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Of each array in an object of arrays. */
static int lower_case_map(json_t *map)
{
	const char *name;
	json_t *array;
	int r = 0;

	json_object_foreach(map, name, array)
		if (r == 0)
			r = lower_case(array);
	return r;
}

/* The arrays of digests of a checked document. */
static int lower_case_digests(json_t *root)
{
	const char *bank;
	json_t *pcrs;
	int r = lower_case(json_object_get(root, "deny"));

	for (size_t m = 0; m < ARRAY_SIZE(maps) && r == 0; m++)
		r = lower_case_map(json_object_get(root, maps[m]));
	json_object_foreach(json_object_get(root, "boot-pcrs"), bank, pcrs)
		if (r == 0)
			r = lower_case_map(pcrs);
	return r;
}

static int64_t sort_map(json_t *map)
{
	int64_t total = 0;
	const char *name;
	json_t *array;
	void *next;

	json_object_foreach_safe(map, next, name, array) {
		json_t *sorted = sorted_array(array);

		if (!sorted)
			return -ENOMEM;
		total += (int64_t)json_array_size(sorted);
		if (json_object_set_new(map, name, sorted) < 0)
			return -ENOMEM;
	}
	return total;
}

int64_t document_sort(json_t *root)
{
	json_t *deny = json_object_get(root, "deny"), *pcrs;
	int64_t total = 0, n;
	const char *bank;

	for (size_t m = 0; m < ARRAY_SIZE(maps); m++) {
		n = sort_map(json_object_get(root, maps[m]));
		if (n < 0)
			return n;
		total += n;
	}
	json_object_foreach(json_object_get(root, "boot-pcrs"), bank, pcrs) {
		n = sort_map(pcrs);
		if (n < 0)
			return n;
	}
	if (deny) {
		json_t *sorted = sorted_array(deny);

		if (!sorted || json_object_set_new(root, "deny", sorted) < 0)
			return -ENOMEM;
	}
	return total;
}

int document_load(json_t **out, struct policy **checked, struct bytes json, struct policy_report *report)
{
	cleanup_policy_ struct policy *p = NULL;
	cleanup_json_ json_t *root = NULL;
	int r = policy_load_json(&p, json, report);

	if (r != 0)
		return r;
	root = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return -ENOMEM; /* it was read a moment ago */
	r = lower_case_digests(root);
	if (r < 0)
		return r;
	if (checked)
		*checked = TAKE_PTR(p);
	*out = TAKE_PTR(root);
	return 0;
}

static int to_writer(const char *text, size_t n, void *user)
{
	struct writer *w = user;

	write_bytes(w, text, n);
	return w->bad ? -1 : 0;
}

int document_write(const json_t *root, struct writer *w)
{
	if (json_dump_callback(root, to_writer, w, JSON_INDENT(1) | JSON_SORT_KEYS) < 0 && !w->bad)
		return -ENOMEM;
	write_u8(w, '\n');
	return writer_status(w);
}
