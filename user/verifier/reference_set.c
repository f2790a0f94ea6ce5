// SPDX-License-Identifier: Apache-2.0
#include "verifier/reference_set.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "base/huge.h"
#include "policy/inspect.h"

/* A file of the policy; the views are the policy's. */
struct file {
	const uint8_t *digest, *path;
	uint32_t path_n;
	uint8_t alg, digest_n;
};

struct reference_set {
	atomic_uint references;
	struct policy *policy; /* owned reference */
	struct file *files;    /* by number of the record */
	uint32_t n;
	struct writer bytes;
	uint8_t digest[WIRE_DIGEST_SIZE];
};

struct tagged {
	uint8_t tag[WIRE_TAG_SIZE];
	struct file file;
};

struct gathered {
	const struct policy *policy;
	struct tagged *list;
	size_t n, room;
};

static int gather(void *user, const struct policy_item *item)
{
	struct gathered *g = user;
	uint8_t alg = item->section == POLICY_DIGESTS ? wire_digest_number(item->alg, item->digest.n) : 0;
	struct wire_record record = { .alg = alg, .digest = item->digest, .path = item->name };
	struct tagged *at = &g->list[g->n];

	/* a path with a NUL is in no list, and one as long as an entry in no block */
	if (!alg || item->name.n > LIMIT_BLOCK_KNOWN / 2 || (item->name.n && memchr(item->name.p, 0, item->name.n)) ||
	    g->n == g->room || !policy_lists(g->policy, item->name, item->alg, item->digest))
		return 0;
	wire_record_tag(&record, at->tag);
	at->file = (struct file){ .digest = item->digest.p, .digest_n = (uint8_t)item->digest.n, .path = item->name.p,
				  .path_n = (uint32_t)item->name.n, .alg = alg };
	g->n++;
	return 0;
}

static int by_tag(const void *a, const void *b)
{
	return bytes_compare(((const struct tagged *)a)->tag, ((const struct tagged *)b)->tag, WIRE_TAG_SIZE);
}

/* Two files with one tag have not been seen by anybody; only the first of them would be one. */
static void drop_doubles(struct gathered *g)
{
	size_t left = 0;

	for (size_t i = 0; i < g->n; i++)
		if (left == 0 || by_tag(&g->list[left - 1], &g->list[i]) != 0)
			g->list[left++] = g->list[i];
	g->n = left;
}

static int fill(struct reference_set *s, const struct gathered *g)
{
	s->n = (uint32_t)g->n;
	s->files = alloc_huge(g->n * sizeof(*s->files));
	if (!s->files)
		return -ENOMEM;
	s->bytes = WRITER(WIRE_REFERENCE_HEAD_SIZE + g->n * WIRE_TAG_SIZE);
	if (write_space(&s->bytes, s->bytes.max)) /* all the room at once, and no more */
		writer_reset(&s->bytes);
	wire_reference_head(&s->bytes, s->n);
	for (size_t i = 0; i < g->n; i++) {
		write_bytes(&s->bytes, g->list[i].tag, WIRE_TAG_SIZE);
		s->files[i] = g->list[i].file;
	}
	if (writer_status(&s->bytes) < 0)
		return writer_status(&s->bytes);
	hash_one(HASH_SHA256, s->bytes.p, s->bytes.n, s->digest);
	return 0;
}

int reference_set_new(struct reference_set **out, struct policy *policy)
{
	cleanup_reference_set_ struct reference_set *s = calloc(1, sizeof(*s));
	struct gathered g = { .policy = policy, .room = MIN(policy_digest_count(policy), (size_t)LIMIT_REFERENCE_RECORDS) };
	int r;

	if (!s)
		return -ENOMEM;
	atomic_init(&s->references, 1);
	s->policy = policy_ref(policy);
	g.list = calloc(g.room ? g.room : 1, sizeof(*g.list));
	r = g.list ? policy_each(policy, gather, &g) : -ENOMEM;
	if (r == 0 && g.n == 0)
		r = 1;
	if (r == 0) {
		qsort(g.list, g.n, sizeof(*g.list), by_tag);
		drop_doubles(&g);
		r = fill(s, &g);
	}
	free(g.list);
	if (r == 0)
		*out = TAKE_PTR(s);
	return r;
}

struct reference_set *reference_set_ref(struct reference_set *s)
{
	atomic_fetch_add(&s->references, 1);
	return s;
}

void reference_set_unref(struct reference_set **set)
{
	struct reference_set *s = TAKE_PTR(*set);

	if (!s || atomic_fetch_sub(&s->references, 1) != 1)
		return;
	policy_unref(&s->policy);
	writer_free(&s->bytes);
	free(s->files);
	free(s);
}

struct bytes reference_set_bytes(const struct reference_set *s)
{
	return writer_view(&s->bytes);
}

const uint8_t *reference_set_digest(const struct reference_set *s)
{
	return s->digest;
}

const char *reference_set_policy(const struct reference_set *s)
{
	return policy_id(s->policy);
}

bool reference_set_is_of(const struct reference_set *s, const struct policy *policy)
{
	return s->policy == policy;
}

static bool record_of(const void *user, uint32_t i, struct wire_record *out)
{
	const struct reference_set *s = user;
	const struct file *f;

	if (i >= s->n)
		return false;
	f = &s->files[i];
	*out = (struct wire_record){ .alg = f->alg, .digest = { f->digest, f->digest_n }, .path = { f->path, f->path_n } };
	return true;
}

static void ask_of(const void *user, uint32_t i)
{
	const struct reference_set *s = user;

	if (i < s->n)
		memory_ask((struct bytes){ (const uint8_t *)&s->files[i], sizeof(s->files[i]) });
}

struct wire_known reference_set_known(const struct reference_set *s)
{
	return (struct wire_known){ .number = wire_reference_number(s->digest), .records = s->n, .record = record_of, .ask = ask_of,
				    .user = s };
}
