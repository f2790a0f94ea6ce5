// SPDX-License-Identifier: Apache-2.0
#include "policy/create.h"

#include <ctype.h>
#include <jansson.h>

#include "base/hash.h"
#include "base/text.h"
#include "policy/algo.h"
#include "policy/exclude.h"
#include "policy/keyring_private.h"

static const char *const maps[] = { "digests", "keyrings", "ima-buf" };

struct baseline {
	json_t *root;
	struct exclude_set *excludes; /* compiles each rule, so that a bad one is refused at once */
	struct baseline_counts counts;
	uint64_t in_base;
	bool based;
};

static void json_free(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}
#define cleanup_json_ cleanup_(json_free)

void baseline_free(struct baseline **b)
{
	if (!*b)
		return;
	json_decref((*b)->root);
	exclude_set_free(&(*b)->excludes);
	free(*b);
	*b = NULL;
}

/* The members that Keylime asks for, where they are missing. */
static int fill_defaults(json_t *root)
{
	json_t *defaults = json_pack("{s:{s:i,s:i},s:i,s:{},s:[],s:{},s:{s:[],s:s,s:n},s:{},s:s}", "meta", "version", 1,
				     "generator", 0, "release", 0, "digests", "excludes", "keyrings", "ima",
				     "ignored_keyrings", "log_hash_alg", "sha1", "dm_policy", "ima-buf",
				     "verification-keys", "");
	int r = defaults ? json_object_update_missing(root, defaults) : -1;

	json_decref(defaults);
	return r < 0 ? -ENOMEM : 0;
}

int baseline_new(struct baseline **out)
{
	cleanup_baseline_ struct baseline *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->root = json_object();
	if (!b->root)
		return -ENOMEM;
	r = fill_defaults(b->root);
	if (r == 0)
		r = exclude_set_new(&b->excludes);
	if (r < 0)
		return r;
	*out = TAKE_PTR(b);
	return 0;
}

const struct baseline_counts *baseline_counts(const struct baseline *b)
{
	return &b->counts;
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
			json_free(&sorted);
	}
	if (!texts)
		json_free(&sorted);
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

/* Sorts every array of digests; how many digests there are, or -ENOMEM. */
static int64_t sort_digests(json_t *root)
{
	int64_t total = 0;

	for (size_t m = 0; m < ARRAY_SIZE(maps); m++) {
		json_t *map = json_object_get(root, maps[m]), *array;
		const char *name;
		void *next;

		json_object_foreach_safe(map, next, name, array) {
			json_t *sorted = sorted_array(array);

			if (!sorted)
				return -ENOMEM;
			total += (int64_t)json_array_size(sorted);
			if (json_object_set_new(map, name, sorted) < 0)
				return -ENOMEM;
		}
	}
	return total;
}

int baseline_start_from(struct baseline *b, struct bytes json, struct policy_report *report)
{
	cleanup_policy_ struct policy *checked = NULL;
	cleanup_json_ json_t *root = NULL;
	int64_t total;
	int r;

	r = policy_load_json(&checked, json, report);
	if (r != 0)
		return r;
	root = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return -ENOMEM; /* it was read a moment ago */
	r = fill_defaults(root);
	for (size_t m = 0; m < ARRAY_SIZE(maps) && r == 0; m++) {
		const char *name;
		json_t *array;

		json_object_foreach(json_object_get(root, maps[m]), name, array)
			if (r == 0)
				r = lower_case(array);
	}
	if (r < 0)
		return r;
	total = sort_digests(root);
	if (total < 0)
		return (int)total;
	b->in_base = (uint64_t)total;
	b->based = true;
	json_decref(b->root);
	b->root = TAKE_PTR(root);
	return 0;
}

int baseline_exclude(struct baseline *b, struct bytes pattern, struct writer *why)
{
	json_t *list = json_object_get(b->root, "excludes"), *rule;
	size_t i;
	int r;

	json_array_foreach(list, i, rule)
		if (json_string_length(rule) == pattern.n && bytes_equal(json_string_value(rule), pattern.p, pattern.n))
			return 0;
	if (json_array_size(list) >= LIMIT_POLICY_EXCLUDES) {
		write_fmt(why, "more than %u rules", LIMIT_POLICY_EXCLUDES);
		return 1;
	}
	r = exclude_add(b->excludes, pattern, why);
	if (r != 0)
		return r;
	rule = json_stringn((const char *)pattern.p, pattern.n);
	return rule && json_array_append_new(list, rule) == 0 ? 0 : -ENOMEM;
}

int baseline_log_hash_alg(struct baseline *b, enum hash_alg alg)
{
	if (b->based)
		return 0;
	return json_object_set_new(json_object_get(b->root, "ima"), "log_hash_alg", json_string(hash_name(alg))) < 0 ? -ENOMEM : 0;
}

/* Without a NUL inside, valid UTF-8: what a JSON member's name can carry. 0, 1: it cannot, or -ENOMEM. */
static int sayable(struct bytes name, char **out)
{
	json_t *probe;
	char *text;

	if (memchr(name.p, 0, name.n))
		return 1;
	probe = json_stringn((const char *)name.p, name.n);
	if (!probe)
		return 1;
	text = strdup(json_string_value(probe));
	json_decref(probe);
	if (!text)
		return -ENOMEM;
	*out = text;
	return 0;
}

static int add_digest(struct baseline *b, const char *map_name, const char *name, struct bytes digest)
{
	json_t *map = json_object_get(b->root, map_name), *array = json_object_get(map, name);
	cleanup_writer_ struct writer hex = WRITER(2 * FILE_ALG_MAX_SIZE);
	const char *text;

	if (!array) {
		array = json_array();
		if (!array || json_object_set_new(map, name, array) < 0)
			return -ENOMEM;
	}
	write_hex(&hex, digest.p, digest.n);
	text = writer_cstr(&hex);
	return text && json_array_append_new(array, json_string(text)) == 0 ? 0 : -ENOMEM;
}

int baseline_entry(struct baseline *b, const struct ima_entry *e)
{
	cleanup_free_ char *name = NULL;
	struct ima_fields f;
	uint8_t alg;
	int r;

	b->counts.entries++;
	if (e->violation) {
		b->counts.violations++;
		return 0;
	}
	if (!ima_fields_parse(e, &f) || !f.known || !f.path.n || !f.digest.n) {
		b->counts.not_understood++;
		return 0;
	}
	alg = file_alg_from_name(f.alg);
	/* It would be read back as another algorithm's, and never match. */
	if (alg == FILE_ALG_NONE || file_alg_infer(f.digest.n, FILE_ALG_NONE) != alg) {
		b->counts.unsayable++;
		return 0;
	}
	r = sayable(f.path, &name);
	if (r > 0) {
		b->counts.unsayable++;
		return 0;
	}
	if (r < 0)
		return r;
	return add_digest(b, !f.buf.p ? maps[0] : keyring_is_key(f.buf) ? maps[1] : maps[2], name, f.digest);
}

static int to_writer(const char *text, size_t n, void *user)
{
	struct writer *w = user;

	write_bytes(w, text, n);
	return w->bad ? -1 : 0;
}

int baseline_write(struct baseline *b, struct writer *w)
{
	int64_t total = sort_digests(b->root);

	if (total < 0)
		return (int)total;
	b->counts.digests = (uint64_t)total;
	b->counts.added = (uint64_t)total - b->in_base;
	if (json_dump_callback(b->root, to_writer, w, JSON_INDENT(1) | JSON_SORT_KEYS) < 0 && !w->bad)
		return -ENOMEM;
	write_u8(w, '\n');
	return writer_status(w);
}
