// SPDX-License-Identifier: Apache-2.0
#include "verifier/policies.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "base/text.h"

void policies_clear(struct policies *p)
{
	for (size_t i = 0; i < p->n; i++) {
		policy_unref(&p->list[i].policy);
		policy_unref(&p->list[i].before);
		policy_source_free(&p->list[i].source);
	}
	free(p->list);
	free(p->ids);
	free(p->globs);
	*p = (struct policies){ 0 };
}

void policy_source_free(struct policy_source **s)
{
	struct policy_source *old = TAKE_PTR(*s);

	if (!old)
		return;
	writer_free(&old->packed);
	writer_free(&old->detached);
	writer_free(&old->signer);
	free(old->path);
	free(old);
}

static struct policy_source *copy_source(const struct policy_source *s)
{
	struct policy_source *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	bytes_copy(copy->file_id, s->file_id, sizeof(copy->file_id));
	copy->path = s->path ? strdup(s->path) : NULL;
	copy->detached = WRITER(LIMIT_BUNDLE);
	copy->signer = WRITER(8192);
	write_bytes(&copy->detached, s->detached.p, s->detached.n);
	write_bytes(&copy->signer, s->signer.p, s->signer.n);
	if ((s->path && !copy->path) || writer_status(&copy->detached) < 0 || writer_status(&copy->signer) < 0)
		policy_source_free(&copy);
	return copy;
}

static void *copy_array(const void *p, size_t size)
{
	void *copy = alloc_bytes(size);

	if (copy)
		bytes_copy(copy, p, size);
	return copy;
}

int policies_copy(const struct policies *p, struct policies *out)
{
	struct policies copy = { .list = calloc(p->n ? p->n : 1, sizeof(*copy.list)),
				 .ids = copy_array(p->ids, p->n_ids * sizeof(*p->ids)),
				 .globs = copy_array(p->globs, p->n_globs * sizeof(*p->globs)),
				 .n_ids = p->n_ids, .n_globs = p->n_globs };
	bool whole = copy.list && copy.ids && copy.globs;

	for (size_t i = 0; whole && i < p->n; i++) {
		const struct named_policy *from = &p->list[i];
		struct named_policy *to = &copy.list[copy.n++];

		*to = *from;
		to->policy = from->policy ? policy_ref(from->policy) : NULL;
		to->before = from->before ? policy_ref(from->before) : NULL;
		to->source = from->source ? copy_source(from->source) : NULL;
		whole = !from->source || to->source;
	}
	if (!whole) {
		policies_clear(&copy);
		return -ENOMEM;
	}
	*out = copy;
	return 0;
}

bool policies_expire(struct policies *p, uint64_t now_mono)
{
	bool any = false;

	for (size_t i = 0; i < p->n; i++) {
		struct named_policy *n = &p->list[i];

		if (!n->before || n->before_until_mono > now_mono)
			continue;
		policy_unref(&n->before);
		any = true;
	}
	return any;
}

uint64_t policies_next_end(const struct policies *p)
{
	uint64_t next = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct named_policy *n = &p->list[i];

		if (n->before && (!next || n->before_until_mono < next))
			next = n->before_until_mono;
	}
	return next;
}

bool policy_name_ok(struct bytes name)
{
	struct reader r = reader_of(name);

	if (name.n == 0 || name.n > LIMIT_POLICY_NAME)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = read_u8(&r);
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';

		if (!letter && (i == 0 || (c != '.' && c != '-')))
			return false;
	}
	return true;
}

struct named_policy *policies_find(const struct policies *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->list[i].name, name) == 0)
			return &p->list[i];
	return NULL;
}

int policies_add(struct policies *p, const char *name, struct policy **policy)
{
	struct named_policy *larger, *added;

	if (p->n >= LIMIT_POLICIES || policies_find(p, name))
		return 1;
	larger = realloc(p->list, (p->n + 1) * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	p->list = larger;
	added = &p->list[p->n++];
	*added = (struct named_policy){ .policy = TAKE_PTR(*policy) };
	bytes_copy(added->name, name, MIN(strlen(name), (size_t)LIMIT_POLICY_NAME));
	return 0;
}

/* --- groups ---- */

struct group_lines {
	const struct policies *of;
	struct policy_group *ids, *globs;
	size_t n_ids, n_globs;
	struct writer *why;
	unsigned int line;
};

static int wrong(const struct group_lines *g, const char *what, struct bytes word)
{
	write_fmt(g->why, "line %u: %s", g->line, what);
	if (word.n) {
		write_u8(g->why, ' ');
		write_quoted(g->why, word, LIMIT_LABEL);
	}
	return 1;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes next_word(struct reader *in)
{
	struct reader ahead;
	size_t n = 0;

	for (ahead = *in; reader_left(&ahead) > 0 && is_space(read_u8(&ahead));)
		*in = ahead;
	for (ahead = *in; reader_left(&ahead) > 0 && !is_space(read_u8(&ahead));)
		n++;
	return read_bytes(in, n);
}

static int add_line(struct policy_group **list, size_t *n, const struct policy_group *line)
{
	if ((*n & (*n - 1)) == 0) { /* room doubles at every power of two */
		struct policy_group *larger = realloc(*list, (*n ? *n * 2 : 1) * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		*list = larger;
	}
	(*list)[(*n)++] = *line;
	return 0;
}

static int parse_line(struct group_lines *g, struct bytes text)
{
	struct reader words = reader_of(text);
	struct bytes who = next_word(&words), name = next_word(&words);
	struct policy_group line = { .line = g->line };
	char wanted[LIMIT_POLICY_NAME + 1] = "";
	const struct named_policy *policy;

	if (who.n == 0 || who.p[0] == '#')
		return 0;
	if (name.n == 0)
		return wrong(g, "no policy behind", who);
	if (next_word(&words).n)
		return wrong(g, "text behind the policy", name);
	if (!policy_name_ok(name))
		return wrong(g, "not a policy name:", name);
	bytes_copy(wanted, name.p, name.n);
	policy = policies_find(g->of, wanted);
	if (!policy)
		return wrong(g, "there is no policy", name);
	for (line.policy = 0; &g->of->list[line.policy] != policy; line.policy++)
		;
	if (g->n_ids + g->n_globs >= LIMIT_GROUP_LINES)
		return wrong(g, "too many lines", (struct bytes){ 0 });
	line.by_id = hex_decode(who, line.id, sizeof(line.id)) == 0;
	if (line.by_id)
		return add_line(&g->ids, &g->n_ids, &line);
	if (who.n > LIMIT_LABEL)
		return wrong(g, "the pattern is too long:", who);
	bytes_copy(line.glob, who.p, who.n);
	return add_line(&g->globs, &g->n_globs, &line);
}

static int by_id(const void *a, const void *b)
{
	const struct policy_group *x = a, *y = b;

	return bytes_compare(x->id, y->id, sizeof(x->id));
}

static int sort_ids(struct group_lines *g)
{
	if (g->n_ids)
		qsort(g->ids, g->n_ids, sizeof(*g->ids), by_id);
	for (size_t i = 1; i < g->n_ids; i++) {
		if (by_id(&g->ids[i - 1], &g->ids[i]) == 0) {
			g->line = MAX(g->ids[i - 1].line, g->ids[i].line);
			return wrong(g, "this attester has a line already", (struct bytes){ 0 });
		}
	}
	return 0;
}

int policies_parse_groups(struct policies *p, struct bytes text, struct writer *why)
{
	struct group_lines g = { .of = p, .why = why };
	struct reader in = reader_of(text);
	int r = 0;

	while (r == 0 && reader_left(&in) > 0) {
		struct reader ahead = in;
		struct bytes line = read_until(&ahead, '\n');

		g.line++;
		if (reader_ok(&ahead))
			in = ahead;
		else
			line = read_rest(&in);
		r = parse_line(&g, line);
	}
	if (r == 0)
		r = sort_ids(&g);
	if (r == 0) {
		free(p->ids);
		free(p->globs);
		p->ids = TAKE_PTR(g.ids);
		p->globs = TAKE_PTR(g.globs);
		p->n_ids = g.n_ids;
		p->n_globs = g.n_globs;
	}
	free(g.ids);
	free(g.globs);
	return r;
}

const struct named_policy *policies_resolve(const struct policies *p, const uint8_t *id, const char *given_label)
{
	struct policy_group key = { 0 };
	const struct policy_group *line;

	bytes_copy(key.id, id, sizeof(key.id));
	line = p->n_ids ? bsearch(&key, p->ids, p->n_ids, sizeof(key), by_id) : NULL;
	for (size_t i = 0; !line && i < p->n_globs; i++) {
		const char *glob = p->globs[i].glob;

		if (strcmp(glob, "*") == 0 || (given_label && *given_label && fnmatch(glob, given_label, 0) == 0))
			line = &p->globs[i];
	}
	return line ? &p->list[line->policy] : policies_find(p, POLICY_DEFAULT_NAME);
}

static bool same_lines(const struct policies *p, const struct policy_group *a, const struct policies *q,
		       const struct policy_group *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!bytes_equal(a[i].id, b[i].id, sizeof(a[i].id)) || strcmp(a[i].glob, b[i].glob) != 0 ||
		    strcmp(p->list[a[i].policy].name, q->list[b[i].policy].name) != 0)
			return false;
	return true;
}

bool policies_same_groups(const struct policies *a, const struct policies *b)
{
	if (a->n != b->n || a->n_ids != b->n_ids || a->n_globs != b->n_globs)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!policies_find(b, a->list[i].name))
			return false;
	return same_lines(a, a->ids, b, b->ids, a->n_ids) && same_lines(a, a->globs, b, b->globs, a->n_globs);
}
