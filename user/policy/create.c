// SPDX-License-Identifier: Apache-2.0
#include "policy/create.h"

#include "base/hash.h"
#include "base/text.h"
#include "policy/algo.h"
#include "policy/document.h"
#include "policy/exclude.h"
#include "policy/inspect.h"
#include "policy/keyring_private.h"

struct baseline {
	json_t *root;
	struct exclude_set *excludes; /* the rules added: compiles each, so that a bad one is refused at once */
	struct policy *base;	      /* for its rules; NULL: made from nothing */
	struct baseline_counts counts;
	uint64_t in_base;
	bool based;
};

void baseline_free(struct baseline **b)
{
	if (!*b)
		return;
	json_decref((*b)->root);
	exclude_set_free(&(*b)->excludes);
	policy_unref(&(*b)->base);
	free(*b);
	*b = NULL;
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
	r = document_fill(b->root);
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

int baseline_start_from(struct baseline *b, struct bytes json, struct policy_report *report)
{
	cleanup_policy_ struct policy *checked = NULL;
	cleanup_json_ json_t *root = NULL;
	int64_t total;
	int r = document_load(&root, &checked, json, report);

	if (r != 0)
		return r;
	r = document_fill(root);
	if (r < 0)
		return r;
	total = document_sort(root);
	if (total < 0)
		return (int)total;
	b->in_base = (uint64_t)total;
	b->based = true;
	policy_unref(&b->base);
	b->base = TAKE_PTR(checked);
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

static int add_named(struct baseline *b, const char *map, struct bytes path, uint8_t alg, struct bytes digest)
{
	cleanup_free_ char *name = NULL;
	int r;

	/* It would be read back as another algorithm's, and never match. */
	if (alg == FILE_ALG_NONE || file_alg_infer(digest.n, FILE_ALG_NONE) != alg) {
		b->counts.unsayable++;
		return 0;
	}
	r = sayable(path, &name);
	if (r > 0) {
		b->counts.unsayable++;
		return 0;
	}
	return r < 0 ? r : add_digest(b, map, name, digest);
}

int baseline_entry(struct baseline *b, const struct ima_entry *e)
{
	struct ima_fields f;

	b->counts.entries++;
	if (e->violation) {
		b->counts.violations++;
		return 0;
	}
	if (!ima_fields_parse(e, &f) || !f.known || !f.path.n || !f.digest.n) {
		b->counts.not_understood++;
		return 0;
	}
	return add_named(b, !f.buf.p ? "digests" : keyring_is_key(f.buf) ? "keyrings" : "ima-buf", f.path, file_alg_from_name(f.alg),
			 f.digest);
}

int baseline_file(struct baseline *b, struct bytes path, uint8_t alg, struct bytes digest)
{
	b->counts.files++;
	return add_named(b, "digests", path, alg, digest);
}

bool baseline_excludes(const struct baseline *b, struct bytes path)
{
	size_t rule;

	return exclude_matches(b->excludes, path) || (b->base && policy_excluded_by(b->base, path, &rule));
}

int baseline_write(struct baseline *b, struct writer *w)
{
	int64_t total = document_sort(b->root);

	if (total < 0)
		return (int)total;
	b->counts.digests = (uint64_t)total;
	b->counts.added = (uint64_t)total - b->in_base;
	return document_write(b->root, w);
}
