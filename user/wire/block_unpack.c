// SPDX-License-Identifier: Apache-2.0
/* A block to entries: docs/WIRE.md, "Blocks". wire_unpack_begin() takes all entries of the block apart, so that a block gives
 * all of them or none; wire_unpack_next() puts one together after the other. */
#include <zstd.h>

#include "wire/block.h"
#include "wire/block_form.h"
#include "wire/dictionary.h"

/* RFC 8878 section 3.1.1: magic number, frame header descriptor, window descriptor. */
#define ZSTD_FRAME_MAGIC 0xfd2fb528u
#define ZSTD_SINGLE_SEGMENT 0x20u
#define ZSTD_DICTIONARY_ID 0x03u

#define ASKED_AHEAD 16u /* numbers: some waits for memory at once, and none that is forgotten again */
#define EMPTY_FIELD 4u /* its length word */

struct shape {
	uint8_t flags, rest, alg;
	uint8_t pcr;
	struct bytes name;
	uint8_t start[4 + FORM_HEAD_MAX]; /* of the data: u32 length of the digest field, and what stands before the digest in it */
	size_t start_n, digest_n;
};

/* One entry, still apart. */
struct piece {
	const struct shape *shape;
	const uint8_t *digest;
	struct bytes tail, raw; /* of the path, behind what it shares with the one before */
	uint32_t shared, data_n;
	bool kept; /* the next structured one shares of its path */
};

/* Where in the columns we are. */
struct cursor {
	struct reader runs, numbers, digests, paths, raw;
	struct reader presence, age, pid, uid, cgroup, mntns, comm;
	uint32_t run_left; /* entries of the shape under way */
	const struct shape *shape;
	struct piece *before; /* the structured entry before; NULL: none yet */
	size_t path_n;	      /* of it */
	uint32_t presence_left;
	bool present;
	struct wire_context context;
};

struct wire_unpack {
	ZSTD_DCtx *zstd;
	ZSTD_DDict *dictionary;
	struct writer plain;
	const struct wire_known *set; /* of the block, NULL: none */
	struct wire_known chosen;
	struct shape shapes[LIMIT_BLOCK_SHAPES];
	size_t n_shapes;
	uint32_t count;
	bool has_contexts;
	struct cursor at;
	struct piece *piece; /* of each entry */
	size_t piece_cap;
	uint32_t done;	     /* entries that were put together */
	uint8_t *path;	     /* room for the longest one; holds the newest that is kept */
	size_t path_cap;
	uint8_t *entry;	     /* room for the largest one's data */
	size_t entry_cap;
};

int wire_unpack_new(struct wire_unpack **out)
{
	cleanup_(wire_unpack_free) struct wire_unpack *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->plain.max = LIMIT_BLOCK_PLAIN;
	u->zstd = ZSTD_createDCtx();
	u->dictionary = ZSTD_createDDict(wire_dictionary, sizeof(wire_dictionary));
	if (!u->zstd || !u->dictionary)
		return -ENOMEM;
	*out = TAKE_PTR(u);
	return 0;
}

void wire_unpack_free(struct wire_unpack **unpack)
{
	struct wire_unpack *u = *unpack;

	if (!u)
		return;
	*unpack = NULL;
	ZSTD_freeDCtx(u->zstd);
	ZSTD_freeDDict(u->dictionary);
	writer_free(&u->plain);
	free(u->piece);
	free(u->entry);
	free(u->path);
	free(u);
}

uint32_t wire_unpack_count(const struct wire_unpack *u)
{
	return u->count;
}

/* The frame's declared window is refused past the limit, though decoding into one buffer would not need it. So is one that names a
 * dictionary: which one there is, the format says. */
static bool head_fits(struct bytes frame)
{
	struct reader r = reader_of(frame);
	uint32_t magic = read_u32le(&r);
	uint8_t descriptor = read_u8(&r), window;
	uint64_t base;

	if (!reader_ok(&r) || magic != ZSTD_FRAME_MAGIC || descriptor & ZSTD_DICTIONARY_ID)
		return false;
	if (descriptor & ZSTD_SINGLE_SEGMENT)
		return true; /* the window is the content */
	window = read_u8(&r);
	base = UINT64_C(1) << (10 + (window >> 3));
	return reader_ok(&r) && base + base / 8 * (window & 7) <= UINT64_C(1) << LIMIT_ZSTD_WINDOW_LOG;
}

/* dictionary: NULL for a frame without one. */
static int decompress(struct wire_unpack *u, const ZSTD_DDict *dictionary, struct bytes frame)
{
	unsigned long long size = ZSTD_getFrameContentSize(frame.p, frame.n);
	uint8_t *to;

	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size == 0)
		return WIRE_BLOCK_MALFORMED;
	if (size > LIMIT_BLOCK_PLAIN)
		return WIRE_BLOCK_TOO_LARGE;
	if (!head_fits(frame) || ZSTD_findFrameCompressedSize(frame.p, frame.n) != frame.n)
		return WIRE_BLOCK_MALFORMED;
	writer_reset(&u->plain);
	to = write_space(&u->plain, (size_t)size);
	if (!to)
		return writer_status(&u->plain);
	/* Writes no more than `size` bytes, whatever the frame holds. */
	if (ZSTD_decompress_usingDDict(u->zstd, to, (size_t)size, frame.p, frame.n, dictionary) != size)
		return WIRE_BLOCK_MALFORMED;
	return WIRE_BLOCK_OK;
}

static void put_u32le(uint8_t *at, size_t v)
{
	uint32_t word = htole32((uint32_t)v);

	memcpy(at, &word, sizeof(word));
}

static bool read_shape(struct reader *r, bool with_set, struct shape *s)
{
	uint8_t prefix, alg, head[FORM_HEAD_MAX];
	size_t head_n;

	*s = (struct shape){ .flags = read_u8(r), .pcr = read_u8(r) };
	s->name = read_bytes(r, read_varint(r));
	if (!reader_ok(r) || s->flags & ~SHAPE_FLAGS || s->pcr > LIMIT_PCR || s->name.n > LIMIT_TEMPLATE_NAME)
		return false;
	if (s->flags & SHAPE_KNOWN && !with_set)
		return false;
	if (!(s->flags & SHAPE_STRUCTURED))
		return !(s->flags & (SHAPE_PATH_NUL | SHAPE_KNOWN));
	prefix = read_u8(r);
	alg = s->alg = read_u8(r);
	s->rest = read_u8(r);
	if (!reader_ok(r) || (s->rest > FORM_REST_EMPTY_MAX && s->rest != FORM_REST_RAW) ||
	    !form_head(prefix, alg, head, &head_n, &s->digest_n))
		return false;
	put_u32le(s->start, head_n + s->digest_n);
	bytes_copy(s->start + 4, head, head_n);
	s->start_n = 4 + head_n;
	return true;
}

static struct reader column(struct reader *r, uint64_t n)
{
	if (n > reader_left(r))
		r->bad = true;
	return reader_of(read_bytes(r, (size_t)n));
}

/* The runs: their bytes as a column, and how many bytes of numbers and digests they need. */
static bool read_runs(struct wire_unpack *u, struct reader *r, struct cursor *at, size_t *numbers, size_t *digests)
{
	struct reader start = *r;
	uint32_t covered = 0;

	*numbers = *digests = 0;
	while (covered < u->count) {
		uint8_t shape = read_u8(r);
		uint64_t n = read_varint(r);

		if (!reader_ok(r) || shape >= u->n_shapes || n == 0 || n > u->count - covered)
			return false;
		covered += (uint32_t)n;
		if (u->shapes[shape].flags & SHAPE_KNOWN)
			*numbers += (size_t)n * wire_reference_width(u->set->records);
		else if (u->shapes[shape].flags & SHAPE_STRUCTURED)
			*digests += (size_t)n * u->shapes[shape].digest_n;
	}
	at->runs = column(&start, reader_left(&start) - reader_left(r));
	return true;
}

/* A column of `n` varints or NUL-terminated texts, cut off by walking it. */
static bool cut_varints(struct reader *r, uint32_t n, struct reader *out)
{
	struct reader start = *r;

	for (uint32_t i = 0; i < n && reader_ok(r); i++)
		read_varint(r);
	*out = column(&start, reader_left(&start) - reader_left(r));
	return reader_ok(r);
}

static bool cut_comms(struct reader *r, uint32_t n, struct reader *out)
{
	struct reader start = *r;

	for (uint32_t i = 0; i < n && reader_ok(r); i++)
		if (read_until(r, 0).n >= sizeof(((struct wire_context *)0)->comm))
			return false;
	*out = column(&start, reader_left(&start) - reader_left(r));
	return reader_ok(r);
}

/* Run lengths, absent and present in turn, from absent; then the columns of what is present. */
static bool read_contexts(struct wire_unpack *u, struct reader *r, struct cursor *at)
{
	struct reader start = *r;
	uint32_t covered = 0, n_present = 0;

	for (bool present = false, first = true; covered < u->count; present = !present, first = false) {
		uint64_t n = read_varint(r);

		if (!reader_ok(r) || (n == 0 && !first) || n > u->count - covered)
			return false;
		covered += (uint32_t)n;
		n_present += present ? (uint32_t)n : 0;
	}
	at->presence = column(&start, reader_left(&start) - reader_left(r));
	return n_present > 0 && cut_varints(r, n_present, &at->age) && cut_varints(r, n_present, &at->pid) &&
	       cut_varints(r, n_present, &at->uid) && cut_varints(r, n_present, &at->cgroup) &&
	       cut_varints(r, n_present, &at->mntns) && cut_comms(r, n_present, &at->comm);
}

static uint32_t read_number(struct reader *r, const struct wire_known *set)
{
	uint32_t number = 0;

	for (size_t i = wire_reference_width(set->records); i > 0; i--)
		number = number << 8 | read_u8(r);
	return number;
}

/* The record of the next number that comes, if any does: records lie anywhere in memory. */
static void ask_ahead(struct reader *ahead, const struct wire_known *set)
{
	uint32_t number;

	if (!set || !set->ask || !reader_left(ahead))
		return;
	number = read_number(ahead, set);
	if (reader_ok(ahead) && number < set->records)
		set->ask(set->user, number);
}

/* Digest and path from the reference set. */
static bool known_piece(struct cursor *at, const struct wire_unpack *u, struct piece *p)
{
	struct wire_record record;
	uint32_t number = read_number(&at->numbers, u->set);

	if (!reader_ok(&at->numbers) || number >= u->set->records || !u->set->record(u->set->user, number, &record) ||
	    record.alg != p->shape->alg || record.digest.n != p->shape->digest_n)
		return false;
	p->digest = record.digest.p;
	p->tail = record.path;
	return true;
}

/* From their columns. */
static bool new_piece(struct cursor *at, struct piece *p)
{
	p->digest = read_bytes(&at->digests, p->shape->digest_n).p;
	p->shared = read_u8(&at->paths);
	p->tail = read_until(&at->paths, 0);
	if (!reader_ok(&at->digests) || !reader_ok(&at->paths) || p->shared > at->path_n)
		return false;
	if (p->shared)
		at->before->kept = true;
	return true;
}

/* The next entry, apart. The caller knows that one is left. */
static int next_piece(struct cursor *at, const struct wire_unpack *u, struct piece *p)
{
	const struct shape *s;
	size_t n = 0;

	if (at->run_left == 0) {
		at->shape = &u->shapes[read_u8(&at->runs)];
		at->run_left = (uint32_t)read_varint(&at->runs);
	}
	at->run_left--;
	s = at->shape;
	*p = (struct piece){ .shape = s };
	if (s->flags & SHAPE_STRUCTURED) {
		if (!(s->flags & SHAPE_KNOWN ? known_piece(at, u, p) : new_piece(at, p)))
			return WIRE_BLOCK_MALFORMED;
		at->before = p;
		at->path_n = p->shared + p->tail.n;
		n = s->start_n + s->digest_n + 4 + at->path_n + !!(s->flags & SHAPE_PATH_NUL);
		if (s->rest != FORM_REST_RAW)
			n += s->rest * EMPTY_FIELD;
	}
	if (!(s->flags & SHAPE_STRUCTURED) || s->rest == FORM_REST_RAW) {
		uint64_t raw_n = read_varint(&at->raw);

		if (raw_n > reader_left(&at->raw))
			return WIRE_BLOCK_MALFORMED;
		p->raw = read_bytes(&at->raw, (size_t)raw_n);
		n += p->raw.n;
	}
	if (!reader_ok(&at->raw))
		return WIRE_BLOCK_MALFORMED;
	p->data_n = (uint32_t)n;
	return n > LIMIT_ENTRY_DATA ? WIRE_BLOCK_TOO_LARGE : WIRE_BLOCK_OK;
}

/* Room for n bytes at *p, which may move. 0 or -ENOMEM. */
static int make_room(void *p, size_t *cap, size_t n)
{
	void **at = p, *larger;

	if (n <= *cap)
		return 0;
	larger = realloc(*at, n);
	if (!larger)
		return -ENOMEM;
	*at = larger;
	*cap = n;
	return 0;
}

/* Takes all entries apart: everything is in bounds, all columns end with the last entry. */
static int walk(struct wire_unpack *u, struct cursor at)
{
	struct reader ahead = at.numbers;
	size_t total = 0, path_n = 0, data_n = 0, most = u->set && u->count > 1 ? LIMIT_BLOCK_KNOWN : LIMIT_BLOCK_PLAIN;

	if (make_room(&u->piece, &u->piece_cap, u->count * sizeof(*u->piece)) < 0)
		return -ENOMEM;
	for (unsigned int i = 0; i < ASKED_AHEAD; i++)
		ask_ahead(&ahead, u->set);
	for (uint32_t i = 0; i < u->count; i++) {
		struct piece *p = &u->piece[i];
		int r = next_piece(&at, u, p);

		if (r != WIRE_BLOCK_OK)
			return r;
		total += p->data_n;
		if (total > most)
			return WIRE_BLOCK_TOO_LARGE;
		if (p->shape->flags & SHAPE_KNOWN) { /* their bytes lie anywhere in the policy */
			ask_ahead(&ahead, u->set);
			memory_ask((struct bytes){ p->digest, p->shape->digest_n });
			memory_ask(p->tail);
		}
		path_n = MAX(path_n, at.path_n);
		data_n = MAX(data_n, (size_t)p->data_n);
	}
	if (!reader_done(&at.numbers) || !reader_done(&at.digests) || !reader_done(&at.paths) || !reader_done(&at.raw))
		return WIRE_BLOCK_MALFORMED;
	if (make_room(&u->path, &u->path_cap, path_n) < 0)
		return -ENOMEM;
	return make_room(&u->entry, &u->entry_cap, data_n);
}

static int read_header(struct wire_unpack *u, struct cursor *at)
{
	struct reader r = reader_of(writer_view(&u->plain));
	uint64_t count = read_varint(&r), n_shapes = read_varint(&r), paths, raw;
	size_t numbers, digests;

	if (!reader_ok(&r) || count == 0 || n_shapes == 0)
		return WIRE_BLOCK_MALFORMED;
	if (count > LIMIT_BLOCK_ENTRIES || n_shapes > LIMIT_BLOCK_SHAPES)
		return WIRE_BLOCK_TOO_LARGE;
	u->count = (uint32_t)count;
	u->n_shapes = (size_t)n_shapes;
	for (size_t i = 0; i < u->n_shapes; i++)
		if (!read_shape(&r, u->set != NULL, &u->shapes[i]))
			return WIRE_BLOCK_MALFORMED;
	if (!read_runs(u, &r, at, &numbers, &digests))
		return WIRE_BLOCK_MALFORMED;
	paths = read_varint(&r);
	raw = read_varint(&r);
	at->numbers = column(&r, numbers);
	at->digests = column(&r, digests);
	at->paths = column(&r, paths);
	at->raw = column(&r, raw);
	if (!reader_ok(&r))
		return WIRE_BLOCK_MALFORMED;
	u->has_contexts = reader_left(&r) > 0;
	if (u->has_contexts && (!read_contexts(u, &r, at) || !reader_done(&r)))
		return WIRE_BLOCK_MALFORMED;
	return WIRE_BLOCK_OK;
}

int wire_unpack_begin(struct wire_unpack *u, struct bytes block)
{
	return wire_unpack_begin_known(u, block, NULL, 0);
}

const struct wire_known *wire_unpack_set(const struct wire_unpack *u)
{
	return u->set;
}

/* Formats 1 and 3: a frame. */
static int unpack_frame(struct wire_unpack *u, const ZSTD_DDict *dictionary, struct reader *r, uint64_t reference)
{
	return reference == 0 ? decompress(u, dictionary, read_rest(r)) : WIRE_BLOCK_UNSUPPORTED;
}

/* Formats 2 and 4: the reference set, and the content with or without a frame. */
static int unpack_known(struct wire_unpack *u, const ZSTD_DDict *dictionary, struct reader *r, uint64_t reference,
			const struct wire_known *sets, size_t n)
{
	uint8_t how = read_u8(r);
	struct bytes rest = read_rest(r);

	if (!reader_ok(r) || reference == 0 || how > WIRE_BLOCK_HOW_ZSTD)
		return WIRE_BLOCK_MALFORMED;
	for (size_t i = 0; i < n && !u->set; i++) {
		if (sets[i].number != reference)
			continue;
		u->chosen = sets[i];
		u->set = &u->chosen;
	}
	if (!u->set)
		return WIRE_BLOCK_REFERENCE;
	if (how == WIRE_BLOCK_HOW_ZSTD)
		return decompress(u, dictionary, rest);
	writer_reset(&u->plain);
	write_bytes(&u->plain, rest.p, rest.n);
	return writer_status(&u->plain);
}

int wire_unpack_begin_known(struct wire_unpack *u, struct bytes block, const struct wire_known *sets, size_t n_sets)
{
	struct reader r = reader_of(block);
	uint8_t format = read_u8(&r);
	uint64_t reference = read_varint(&r);
	bool known = format == WIRE_BLOCK_FORMAT_KNOWN || format == WIRE_BLOCK_FORMAT_BARE_KNOWN;
	const ZSTD_DDict *dictionary = format == WIRE_BLOCK_FORMAT || format == WIRE_BLOCK_FORMAT_KNOWN ? u->dictionary : NULL;
	struct cursor at = { 0 };
	int o;

	u->count = u->done = 0;
	u->at = at;
	u->set = NULL;
	if (block.n > LIMIT_BLOCK_PACKED)
		return WIRE_BLOCK_TOO_LARGE;
	if (!reader_ok(&r))
		return WIRE_BLOCK_MALFORMED;
	if (format < WIRE_BLOCK_FORMAT_BARE || format > WIRE_BLOCK_FORMAT_KNOWN)
		return WIRE_BLOCK_UNSUPPORTED;
	if (known)
		o = unpack_known(u, dictionary, &r, reference, sets, n_sets);
	else
		o = unpack_frame(u, dictionary, &r, reference);
	if (o == WIRE_BLOCK_OK)
		o = read_header(u, &at);
	if (o == WIRE_BLOCK_OK)
		o = walk(u, at);
	if (o != WIRE_BLOCK_OK) {
		u->count = 0;
		return o;
	}
	u->at = at;
	return WIRE_BLOCK_OK;
}

/* The template data from its pieces; walk() has seen that all fits. */
static void put_together(struct wire_unpack *u, const struct piece *p, uint8_t *to)
{
	const struct shape *s = p->shape;
	size_t path_n = p->shared + p->tail.n, nul = s->flags & SHAPE_PATH_NUL ? 1 : 0;

	bytes_copy(to, s->start, s->start_n);
	to += s->start_n;
	bytes_copy(to, p->digest, s->digest_n);
	to += s->digest_n;
	put_u32le(to, path_n + nul);
	to += 4;
	bytes_copy(to, u->path, p->shared);
	bytes_copy(to + p->shared, p->tail.p, p->tail.n);
	if (p->kept)
		bytes_copy(u->path + p->shared, p->tail.p, p->tail.n);
	to += path_n;
	if (nul)
		*to++ = 0;
	if (s->rest == FORM_REST_RAW)
		bytes_copy(to, p->raw.p, p->raw.n);
	else
		memset(to, 0, s->rest * EMPTY_FIELD);
}

static uint64_t next_delta(struct reader *r, uint64_t before)
{
	uint64_t v = read_varint(r);

	return before + (v & 1 ? ~(v >> 1) : v >> 1);
}

static void next_context(struct wire_unpack *u, struct wire_context *out)
{
	struct cursor *at = &u->at;
	struct wire_context *c = &at->context;
	struct bytes comm;

	*out = (struct wire_context){ 0 };
	if (!u->has_contexts)
		return;
	if (at->presence_left == 0) {
		at->presence_left = (uint32_t)read_varint(&at->presence);
		if (at->presence_left == 0) { /* the first run, of absent ones, may be empty */
			at->presence_left = (uint32_t)read_varint(&at->presence);
			at->present = true;
		}
	}
	if (at->present) {
		c->present = true;
		c->age_us = next_delta(&at->age, c->age_us);
		c->pid = (uint32_t)next_delta(&at->pid, c->pid);
		c->uid = (uint32_t)next_delta(&at->uid, c->uid);
		c->cgroup = next_delta(&at->cgroup, c->cgroup);
		c->mntns = next_delta(&at->mntns, c->mntns);
		comm = read_until(&at->comm, 0);
		memset(c->comm, 0, sizeof(c->comm));
		bytes_copy(c->comm, comm.p, comm.n);
		*out = *c;
	}
	if (--at->presence_left == 0)
		at->present = !at->present;
}

bool wire_unpack_known(const struct wire_unpack *u)
{
	return u->done < u->count && u->piece[u->done].shape->flags & SHAPE_KNOWN;
}

size_t wire_unpack_room(const struct wire_unpack *u)
{
	const struct piece *p = &u->piece[u->done];

	return u->done < u->count && p->shape->flags & SHAPE_STRUCTURED ? p->data_n : 0;
}

int wire_unpack_put(struct wire_unpack *u, uint8_t *to, struct ima_entry *e, struct wire_context *ctx)
{
	const struct piece *p = &u->piece[u->done];
	struct wire_context unused;

	if (u->done == u->count)
		return WIRE_BLOCK_END;
	u->done++;
	*e = (struct ima_entry){ .pcr = p->shape->pcr,
				 .name = p->shape->name,
				 .violation = p->shape->flags & SHAPE_VIOLATION,
				 .data = p->raw };
	if (p->shape->flags & SHAPE_STRUCTURED) {
		put_together(u, p, to);
		e->data = (struct bytes){ to, p->data_n };
	}
	next_context(u, ctx ? ctx : &unused);
	return WIRE_BLOCK_OK;
}

int wire_unpack_next(struct wire_unpack *u, struct ima_entry *e, struct wire_context *ctx)
{
	return wire_unpack_put(u, u->entry, e, ctx);
}
