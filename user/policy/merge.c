// SPDX-License-Identifier: Apache-2.0
#include "policy/merge.h"

#include "base/text.h"
#include "policy/algo.h"
#include "policy/document.h"

struct merge {
	json_t *root;	/* NULL before the first policy */
	bool prefer_first;
	bool says_violations; /* one of them has the member */
	struct merge_counts counts;
};

/* One step of merging; the place in the document, for what is said. */
struct step {
	struct merge *m;
	struct writer *why;
	const char *member, *inner; /* "ima", "log_hash_alg"; inner may be NULL */
};

int merge_new(struct merge **out, bool prefer_first)
{
	struct merge *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->prefer_first = prefer_first;
	*out = m;
	return 0;
}

void merge_free(struct merge **m)
{
	if (!*m)
		return;
	json_decref((*m)->root);
	free(*m);
	*m = NULL;
}

const struct merge_counts *merge_counts(const struct merge *m)
{
	return &m->counts;
}

/* Digests of these sizes mean the same whatever of them log_hash_alg names. */
static bool usual_hash(const json_t *name)
{
	uint8_t alg = file_alg_from_name((struct bytes){ (const uint8_t *)json_string_value(name), json_string_length(name) });

	return alg != FILE_ALG_NONE && file_alg_infer(file_alg_size(alg), FILE_ALG_NONE) == alg;
}

/* Says nothing by itself: the other one's value can be taken. */
static bool is_nothing(const json_t *v)
{
	return json_is_null(v) || (json_is_string(v) && !json_string_length(v));
}

static void write_json_short(struct writer *w, const json_t *v)
{
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

	if (text)
		write_quoted(w, (struct bytes){ (const uint8_t *)text, strlen(text) }, 60);
	free(text);
}

static int contradiction(const struct step *s, const json_t *a, const json_t *b)
{
	s->m->counts.contradictions++;
	write_fmt(s->why, "%s%s%s: ", s->member, s->inner ? "." : "", s->inner ? s->inner : "");
	write_json_short(s->why, a);
	write_fmt(s->why, " and ");
	write_json_short(s->why, b);
	write_u8(s->why, '\n');
	return 0;
}

/* Appends what is not there yet; the texts of both are compared. */
static int unite_arrays(json_t *into, const json_t *from)
{
	cleanup_json_ json_t *seen = json_object();
	size_t i;
	json_t *v;

	if (!seen)
		return -ENOMEM;
	json_array_foreach(into, i, v)
		if (json_is_string(v) && json_object_set(seen, json_string_value(v), json_true()) < 0)
			return -ENOMEM;
	json_array_foreach(from, i, v)
		if (!(json_is_string(v) && json_object_get(seen, json_string_value(v))) && json_array_append(into, v) < 0)
			return -ENOMEM;
	return 0;
}

static int unite(const struct step *s, json_t *into, const char *name, json_t *theirs)
{
	json_t *ours = json_object_get(into, name), *v;
	const char *inner;
	int r = 0;

	if (!ours || (is_nothing(ours) && !is_nothing(theirs)))
		return json_object_set(into, name, theirs) < 0 ? -ENOMEM : 0;
	if (json_equal(ours, theirs) || is_nothing(theirs))
		return 0;
	if (json_is_array(ours) && json_is_array(theirs))
		return unite_arrays(ours, theirs);
	if (json_is_object(ours) && json_is_object(theirs)) {
		json_object_foreach(theirs, inner, v) {
			struct step deeper = *s;

			if (!deeper.inner)
				deeper.inner = inner;
			if (r == 0)
				r = unite(&deeper, ours, inner, v);
		}
		return r;
	}
	if (strcmp(s->member, "ima") == 0 && strcmp(name, "log_hash_alg") == 0 && usual_hash(ours) && usual_hash(theirs))
		return 0;
	return s->m->prefer_first ? 0 : contradiction(s, ours, theirs);
}

static int take(struct merge *m, json_t *root, struct writer *why)
{
	const char *member;
	json_t *v;
	int r = 0;

	json_object_foreach(root, member, v) {
		struct step s = { .m = m, .why = why, .member = member };

		if (r == 0 && strcmp(member, "meta") != 0 && strcmp(member, "release") != 0)
			r = unite(&s, m->root, member, v);
	}
	return r;
}

int merge_add(struct merge *m, struct bytes json, struct policy_report *report, struct writer *why)
{
	cleanup_json_ json_t *root = NULL, *warn = json_pack("{s:s}", "violations", "warn");
	int r = document_load(&root, NULL, json, report);

	if (r != 0)
		return r;
	m->says_violations |= json_object_get(root, "violations") != NULL;
	if (!warn || json_object_update_missing(root, warn) < 0)
		return -ENOMEM;
	if (m->root)
		r = take(m, root, why);
	else
		m->root = TAKE_PTR(root);
	m->counts.policies++;
	return r;
}

int merge_write(struct merge *m, struct writer *w)
{
	int64_t total;
	int r = document_fill(m->root);

	if (r < 0)
		return r;
	if (!m->says_violations)
		(void)json_object_del(m->root, "violations"); /* Keylime does not know it: only where it is meant */
	total = document_sort(m->root);
	if (total < 0)
		return (int)total;
	m->counts.digests = (uint64_t)total;
	return document_write(m->root, w);
}
