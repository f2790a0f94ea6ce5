// SPDX-License-Identifier: Apache-2.0
/* What is different between two policies. */
#include "policy/document.h"
#include "policy/merge.h"

struct compare {
	policy_difference_fn each;
	void *user;
};

/* Texts of one side that the other has not; views of the documents. */
struct texts {
	const char **p;
	size_t n;
};

static void texts_free(struct texts *t)
{
	free(t->p);
}
#define cleanup_texts_ cleanup_(texts_free)

static int compare_texts(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Those of a (strings) that are not in b, each once, ascending. 0 or -ENOMEM. */
static int only_in(const json_t *a, const json_t *b, struct texts *out)
{
	cleanup_json_ json_t *seen = json_object();
	const json_t *v;
	size_t i;

	out->p = calloc(json_array_size(a) + 1, sizeof(*out->p));
	if (!seen || !out->p)
		return -ENOMEM;
	json_array_foreach(b, i, v)
		if (json_is_string(v) && json_object_set(seen, json_string_value(v), json_true()) < 0)
			return -ENOMEM;
	json_array_foreach(a, i, v) {
		if (!json_is_string(v) || json_object_get(seen, json_string_value(v)))
			continue;
		out->p[out->n++] = json_string_value(v);
		if (json_object_set(seen, json_string_value(v), json_true()) < 0)
			return -ENOMEM;
	}
	qsort(out->p, out->n, sizeof(*out->p), compare_texts);
	return 0;
}

static int compare_arrays(const struct compare *c, const char *member, const char *name, const json_t *old, const json_t *new)
{
	cleanup_texts_ struct texts added = { NULL, 0 }, removed = { NULL, 0 };
	struct policy_difference d = { .member = member, .name = name, .kind = DIFFERENCE_CHANGED };
	int r;

	if (json_equal(old, new))
		return 0;
	r = only_in(new, old, &added);
	if (r == 0)
		r = only_in(old, new, &removed);
	if (r < 0)
		return r;
	if (!old)
		d.kind = DIFFERENCE_ADDED;
	else if (!new)
		d.kind = DIFFERENCE_REMOVED;
	else if (!added.n && !removed.n)
		return 0; /* another order, or something twice */
	d.added = added.p;
	d.n_added = added.n;
	d.removed = removed.p;
	d.n_removed = removed.n;
	return c->each(c->user, &d);
}

static char *value_text(const json_t *v)
{
	return v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

static int compare_values(const struct compare *c, const char *member, const json_t *old, const json_t *new)
{
	cleanup_free_ char *before = value_text(old), *after = value_text(new);
	const char *const removed[] = { before }, *const added[] = { after };
	struct policy_difference d = { .member = member, .name = "", .removed = removed, .n_removed = before != NULL,
				       .added = added, .n_added = after != NULL };

	if ((old && !before) || (new && !after))
		return -ENOMEM;
	if (before && after && strcmp(before, after) == 0)
		return 0;
	d.kind = !old ? DIFFERENCE_ADDED : !new ? DIFFERENCE_REMOVED : DIFFERENCE_CHANGED;
	return c->each(c->user, &d);
}

/* The names of both objects, ascending. */
static int all_names(const json_t *old, const json_t *new, struct texts *out)
{
	const json_t *const both[] = { old, new };
	const char *name;
	json_t *v;

	out->p = calloc(json_object_size(old) + json_object_size(new) + 1, sizeof(*out->p));
	if (!out->p)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		json_object_foreach((json_t *)(uintptr_t)both[i], name, v)
			if (i == 0 || !json_object_get(old, name))
				out->p[out->n++] = name;
	qsort(out->p, out->n, sizeof(*out->p), compare_texts);
	return 0;
}

static int compare_objects(const struct compare *c, const char *member, const json_t *old, const json_t *new, unsigned int depth);

static int compare_inner(const struct compare *c, const char *member, const char *name, const json_t *old, const json_t *new,
			 unsigned int depth)
{
	const json_t *any = old ? old : new;
	cleanup_free_ char *place = NULL;

	if (json_is_array(any) && depth > 0 && (!old || !new || json_is_array(new)) && strcmp(member, "ima") != 0)
		return compare_arrays(c, member, name, old, new);
	if (asprintf(&place, "%s%s%s", member, *member ? "." : "", name) < 0) {
		place = NULL;
		return -ENOMEM;
	}
	if (json_is_object(any) && (!old || !new || json_is_object(new)))
		return compare_objects(c, place, old, new, depth + 1);
	if (json_is_array(any) && (!old || !new || json_is_array(new)))
		return compare_arrays(c, place, "", old, new);
	return compare_values(c, place, old, new);
}

static int compare_objects(const struct compare *c, const char *member, const json_t *old, const json_t *new, unsigned int depth)
{
	cleanup_texts_ struct texts names = { NULL, 0 };
	int r = all_names(old, new, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = compare_inner(c, member, names.p[i], json_object_get(old, names.p[i]), json_object_get(new, names.p[i]), depth);
	return r;
}

/* A member that is missing and one that has its default say the same. */
static int fill(json_t *root)
{
	cleanup_json_ json_t *ours = json_pack("{s:s,s:[],s:{}}", "violations", "warn", "deny", "boot-pcrs");

	cleanup_json_ json_t *ima = json_pack("{s:[],s:s,s:n}", "ignored_keyrings", "log_hash_alg", "sha1", "dm_policy");

	if (!ours || !ima || json_object_update_missing(root, ours) < 0 || document_fill(root) < 0)
		return -ENOMEM;
	return json_object_update_missing(json_object_get(root, "ima"), ima) < 0 ? -ENOMEM : 0;
}

int policy_diff(struct bytes old, struct bytes new, struct policy_report *report, policy_difference_fn each, void *user)
{
	cleanup_json_ json_t *a = NULL, *b = NULL;
	struct compare c = { each, user };
	int r = document_load(&a, NULL, old, report);

	if (r != 0)
		return r;
	r = document_load(&b, NULL, new, report);
	if (r != 0)
		return r > 0 ? 2 : r;
	r = fill(a);
	if (r == 0)
		r = fill(b);
	return r == 0 ? compare_objects(&c, "", a, b, 0) : r;
}
