// SPDX-License-Identifier: Apache-2.0
#include "base/json_names.h"

#include <sys/random.h>

#include "base/json_pull.h"

/* A slot: the upper 34 bits of the hash, and the offset of the name in the text + 1; 0 is free. */
#define OFFSET_BITS 30
#define OFFSET_MASK ((UINT64_C(1) << OFFSET_BITS) - 1)
#define FIRST_LOG 4u

struct level {
	uint64_t *slots;
	size_t room;	   /* slots of memory */
	unsigned int log;  /* 2^log slots are in use */
	size_t count;
};

struct jp_names {
	uint8_t seed[SIPHASH_KEY_SIZE];
	struct writer here, there; /* unescaped names */
	unsigned int n_levels;
	struct level levels[];
};

int jp_names_new(struct jp_names **out, unsigned int max_depth)
{
	struct jp_names *n = calloc(1, sizeof(*n) + max_depth * sizeof(n->levels[0]));

	if (!n)
		return -ENOMEM;
	if (getrandom(n->seed, sizeof(n->seed), 0) != (ssize_t)sizeof(n->seed)) {
		free(n);
		return -EIO;
	}
	n->n_levels = max_depth;
	n->here = WRITER(JP_TEXT_MAX);
	n->there = WRITER(JP_TEXT_MAX);
	*out = n;
	return 0;
}

void jp_names_free(struct jp_names **n)
{
	if (!*n)
		return;
	for (unsigned int i = 0; i < (*n)->n_levels; i++)
		free((*n)->levels[i].slots);
	writer_free(&(*n)->here);
	writer_free(&(*n)->there);
	free(*n);
	*n = NULL;
}

void jp_names_open(struct jp_names *n, unsigned int depth)
{
	n->levels[depth].count = 0;
	n->levels[depth].log = 0; /* the memory stays; the first name clears what it needs */
}

/* The text of a name without quotes and escapes; in *w when it has some. */
static struct bytes plain(struct bytes raw, bool escaped, struct writer *w)
{
	struct reader r = reader_of(raw);

	if (!escaped) {
		(void)read_u8(&r);
		return read_bytes(&r, raw.n - 2);
	}
	writer_reset(w);
	jp_unescape(raw, w);
	return writer_view(w);
}

static size_t place(uint64_t h, unsigned int log)
{
	return (size_t)(h >> (64 - log));
}

static void put(struct level *l, uint64_t slot)
{
	size_t mask = ((size_t)1 << l->log) - 1, i = place(slot, l->log);

	while (l->slots[i])
		i = (i + 1) & mask;
	l->slots[i] = slot;
}

/* Room for one more, at most half full. */
static int make_room(struct level *l)
{
	struct level grown = { .log = l->log ? l->log + 2 : FIRST_LOG };
	size_t n = (size_t)1 << grown.log;

	if (l->log && (l->count + 1) * 2 <= (size_t)1 << l->log)
		return 0;
	if (!l->log && l->room >= n) {
		memset(l->slots, 0, n * sizeof(*l->slots));
		l->log = grown.log;
		return 0;
	}
	grown.slots = calloc(n, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	grown.room = n;
	grown.count = l->count;
	for (size_t i = 0; l->log && i < (size_t)1 << l->log; i++)
		if (l->slots[i])
			put(&grown, l->slots[i]);
	free(l->slots);
	*l = grown;
	return 0;
}

/* The name that starts at this offset: it was read once, so it ends. */
static struct bytes name_at(struct reader text, size_t offset, bool *escaped)
{
	struct reader r = text;
	size_t n = 1;

	*escaped = false;
	(void)read_bytes(&r, offset);
	text = r;
	(void)read_u8(&r);
	for (uint8_t c; (c = read_u8(&r)) != '"' && reader_ok(&r); n++) {
		if (c == '\\') {
			*escaped = true;
			(void)read_u8(&r);
			n++;
		}
	}
	return read_bytes(&text, n + 1);
}

int jp_names_add(struct jp_names *n, unsigned int depth, struct reader text, struct bytes raw, size_t offset, bool escaped)
{
	struct level *l = &n->levels[depth];
	struct bytes name = plain(raw, escaped, &n->here);
	struct siphash s;
	uint64_t h;
	size_t mask;
	int r = make_room(l);

	if (r < 0)
		return r;
	if (writer_status(&n->here) < 0)
		return writer_status(&n->here);
	siphash_begin(&s, n->seed);
	siphash_add(&s, name.p, name.n);
	h = siphash_end(&s);
	mask = ((size_t)1 << l->log) - 1;
	for (size_t i = place(h, l->log); l->slots[i]; i = (i + 1) & mask) {
		bool other_escaped;
		struct bytes other;

		if ((l->slots[i] ^ h) & ~OFFSET_MASK)
			continue;
		other = name_at(text, (l->slots[i] & OFFSET_MASK) - 1, &other_escaped);
		other = plain(other, other_escaped, &n->there);
		if (writer_status(&n->there) < 0)
			return writer_status(&n->there);
		if (other.n == name.n && bytes_equal(other.p, name.p, name.n))
			return 1;
	}
	put(l, (h & ~OFFSET_MASK) | (offset + 1));
	l->count++;
	return 0;
}
