// SPDX-License-Identifier: Apache-2.0
/* Entries to a block: docs/WIRE.md, "Blocks". Digests look random, paths are text: each kind stands in its own column
 * and ends its own zstd block, so that each has its own entropy tables (docs/adr/0007-entry-blocks.md has figures). */
#include <assert.h>
#include <zstd.h>

#include "wire/block.h"
#include "wire/block_form.h"
#include "wire/dictionary.h"

/* Plain bytes that fit into LIMIT_BLOCK_PACKED even if nothing of them compresses, and zstd is made to end a block four
 * times. One entry of LIMIT_ENTRY_DATA fits, with its name, its context and the header. */
#define PLAIN_MAX (LIMIT_ENTRY_DATA + (32u << 10))
#define OUTER_MAX 16u
static_assert(ZSTD_COMPRESSBOUND(PLAIN_MAX) + OUTER_MAX <= LIMIT_BLOCK_PACKED, "an incompressible block must fit");
static_assert(LIMIT_BLOCK_PACKED + (64u << 10) <= LIMIT_MESSAGE, "a block and the other members of a message must fit");
static_assert(PLAIN_MAX <= LIMIT_BLOCK_PLAIN, "what is packed must be taken by the unpacker");
/* More than the header around the columns can take, and more than one context can. */
#define HEADER_MAX 64u
#define CONTEXT_MAX 96u
#define VARINT_MAX 10u
/* What a block adds to the data of its entries: shapes, runs and lengths, contexts. */
#define AROUND_MAX (LIMIT_BLOCK_SHAPES * (LIMIT_TEMPLATE_NAME + 8u) + LIMIT_BLOCK_ENTRIES * (3u + 5u + CONTEXT_MAX))
static_assert(LIMIT_BLOCK_KNOWN + AROUND_MAX <= PLAIN_MAX, "a block with a set must fit one without");

enum column {
	COLUMN_RUNS,
	COLUMN_SHAPES,
	COLUMN_NUMBERS, /* of records in the reference set */
	COLUMN_DIGESTS,
	COLUMN_PATHS,
	COLUMN_RAW,
	COLUMN_PRESENCE, /* of contexts */
	COLUMN_AGE,
	COLUMN_PID,
	COLUMN_UID,
	COLUMN_CGROUP,
	COLUMN_MNTNS,
	COLUMN_COMM,
	COLUMN_COUNT,
};

struct wire_pack {
	ZSTD_CCtx *zstd;
	const struct wire_reference *set; /* NULL: none */
	uint32_t count, known;
	size_t data_size; /* template data of all entries, as the unpacker will put it together */
	struct writer columns[COLUMN_COUNT];
	struct writer plain, packed, path; /* path: of the structured entry before */

	struct {
		size_t at, n; /* its bytes in COLUMN_SHAPES */
	} shapes[LIMIT_BLOCK_SHAPES];
	unsigned int n_shapes;
	unsigned int run_shape;
	uint32_t run;
	bool presence; /* of the context run under way */
	uint32_t presence_run;
	bool any_context;
	bool finished;
	struct wire_context last;
};

int wire_pack_new(struct wire_pack **out, int zstd_level)
{
	cleanup_(wire_pack_free) struct wire_pack *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->zstd = ZSTD_createCCtx();
	if (!p->zstd)
		return -ENOMEM;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, zstd_level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_dictIDFlag, 0))) /* the block's format names it */
		return -EINVAL;
	if (ZSTD_isError(ZSTD_CCtx_loadDictionary(p->zstd, wire_dictionary, sizeof(wire_dictionary))))
		return -ENOMEM;
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		p->columns[i].max = PLAIN_MAX;
	p->plain.max = PLAIN_MAX;
	p->path.max = LIMIT_ENTRY_DATA;
	p->packed.max = LIMIT_BLOCK_PACKED;
	wire_pack_begin(p);
	*out = TAKE_PTR(p);
	return 0;
}

void wire_pack_free(struct wire_pack **pack)
{
	struct wire_pack *p = *pack;

	if (!p)
		return;
	*pack = NULL;
	ZSTD_freeCCtx(p->zstd);
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		writer_free(&p->columns[i]);
	writer_free(&p->plain);
	writer_free(&p->packed);
	writer_free(&p->path);
	free(p);
}

void wire_pack_begin(struct wire_pack *p)
{
	wire_pack_begin_known(p, NULL);
}

void wire_pack_begin_known(struct wire_pack *p, const struct wire_reference *set)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		writer_reset(&p->columns[i]);
	writer_reset(&p->path);
	p->set = set;
	p->count = 0;
	p->known = 0;
	p->data_size = 0;
	p->n_shapes = 0;
	p->run = 0;
	p->presence = false;
	p->presence_run = 0;
	p->any_context = false;
	p->finished = false;
	p->last = (struct wire_context){ 0 };
}

uint32_t wire_pack_count(const struct wire_pack *p)
{
	return p->count;
}

uint32_t wire_pack_known(const struct wire_pack *p)
{
	return p->known;
}

size_t wire_pack_size(const struct wire_pack *p)
{
	size_t n = HEADER_MAX;

	for (size_t i = 0; i < COLUMN_COUNT; i++)
		n += p->columns[i].n;
	return n;
}

/* The number of the shape, made if it is new; -EMSGSIZE when the table is full. */
static int shape_number(struct wire_pack *p, const struct ima_entry *e, const struct form *f)
{
	struct writer *w = &p->columns[COLUMN_SHAPES];
	size_t at = w->n, n;

	write_u8(w, f->flags);
	write_u8(w, (uint8_t)e->pcr);
	write_varint(w, e->name.n);
	write_bytes(w, e->name.p, e->name.n);
	if (f->flags & SHAPE_STRUCTURED) {
		write_u8(w, f->prefix);
		write_u8(w, f->alg);
		write_u8(w, f->rest);
	}
	if (writer_status(w) < 0)
		return writer_status(w);
	n = w->n - at;
	for (unsigned int i = 0; i < p->n_shapes; i++) {
		if (p->shapes[i].n == n && bytes_equal(w->p + p->shapes[i].at, w->p + at, n)) {
			w->n = at;
			return (int)i;
		}
	}
	if (p->n_shapes == LIMIT_BLOCK_SHAPES) {
		w->n = at;
		return -EMSGSIZE;
	}
	p->shapes[p->n_shapes].at = at;
	p->shapes[p->n_shapes].n = n;
	return (int)p->n_shapes++;
}

static void end_run(struct wire_pack *p)
{
	if (p->run > 0) {
		write_u8(&p->columns[COLUMN_RUNS], (uint8_t)p->run_shape);
		write_varint(&p->columns[COLUMN_RUNS], p->run);
	}
	p->run = 0;
}

static void remember_path(struct wire_pack *p, struct bytes path)
{
	writer_reset(&p->path);
	write_bytes(&p->path, path.p, path.n);
}

/* The path, as the number of bytes it shares with the one before (255 at most), and the rest with a NUL. */
static void add_path(struct wire_pack *p, struct bytes path)
{
	struct writer *w = &p->columns[COLUMN_PATHS];
	size_t most = MIN(path.n, p->path.n), shared = 0;

	most = MIN(most, (size_t)UINT8_MAX);
	while (shared < most && path.p[shared] == p->path.p[shared])
		shared++;
	write_u8(w, (uint8_t)shared);
	write_bytes(w, shared < path.n ? path.p + shared : NULL, path.n - shared);
	write_u8(w, 0);
	remember_path(p, path);
}

static bool find_record(const struct wire_pack *p, const struct form *f, const struct form_parts *parts, uint32_t *number)
{
	const struct wire_record record = { .alg = f->alg, .digest = parts->digest, .path = parts->path };

	return p->set && f->flags & SHAPE_STRUCTURED && wire_reference_find(p->set, &record, number);
}

static void add_number(struct wire_pack *p, uint32_t number)
{
	for (size_t i = wire_reference_width(p->set->records); i > 0; i--)
		write_u8(&p->columns[COLUMN_NUMBERS], (uint8_t)(number >> 8 * (i - 1)));
}

static void add_counted(struct writer *w, struct bytes b)
{
	write_varint(w, b.n);
	write_bytes(w, b.p, b.n);
}

/* The difference to the value before, small numbers of either sign first; wraps around. */
static void add_delta(struct writer *w, uint64_t before, uint64_t now)
{
	uint64_t d = now - before;

	write_varint(w, d >> 63 ? ~(d << 1) : d << 1);
}

static void end_presence(struct wire_pack *p)
{
	write_varint(&p->columns[COLUMN_PRESENCE], p->presence_run);
	p->presence_run = 0;
}

static void add_context(struct wire_pack *p, const struct wire_context *ctx)
{
	bool present = ctx && ctx->present;

	if (present != p->presence) {
		end_presence(p);
		p->presence = present;
	}
	p->presence_run++;
	if (!present)
		return;
	p->any_context = true;
	add_delta(&p->columns[COLUMN_AGE], p->last.age_us, ctx->age_us);
	add_delta(&p->columns[COLUMN_PID], p->last.pid, ctx->pid);
	add_delta(&p->columns[COLUMN_UID], p->last.uid, ctx->uid);
	add_delta(&p->columns[COLUMN_CGROUP], p->last.cgroup, ctx->cgroup);
	add_delta(&p->columns[COLUMN_MNTNS], p->last.mntns, ctx->mntns);
	write_bytes(&p->columns[COLUMN_COMM], ctx->comm, strnlen(ctx->comm, sizeof(ctx->comm) - 1));
	write_u8(&p->columns[COLUMN_COMM], 0);
	p->last = *ctx;
}

static int columns_status(const struct wire_pack *p)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		if (writer_status(&p->columns[i]) < 0)
			return writer_status(&p->columns[i]);
	return writer_status(&p->path);
}

int wire_pack_add(struct wire_pack *p, const struct ima_entry *e, const struct wire_context *ctx)
{
	struct form f = { 0 };
	struct form_parts parts = { 0 };
	uint32_t number = 0;
	int shape;

	if (p->finished || e->pcr > LIMIT_PCR || e->name.n > LIMIT_TEMPLATE_NAME || e->data.n > LIMIT_ENTRY_DATA)
		return -EINVAL;
	if (columns_status(p) < 0)
		return columns_status(p);
	/* What the entry adds is at most its data and name, and some bytes for lengths, run, shape and context. */
	if (p->count == LIMIT_BLOCK_ENTRIES || e->data.n > LIMIT_BLOCK_PLAIN - p->data_size ||
	    wire_pack_size(p) + e->data.n + e->name.n + 4 * VARINT_MAX + CONTEXT_MAX > PLAIN_MAX)
		return -EMSGSIZE;
	if (p->set && p->count > 0 && p->data_size + e->data.n > LIMIT_BLOCK_KNOWN)
		return -EMSGSIZE;
	if (!form_take_apart(e->data, &f, &parts))
		parts.rest = e->data;
	if (find_record(p, &f, &parts, &number))
		f.flags |= SHAPE_KNOWN;
	if (e->violation)
		f.flags |= SHAPE_VIOLATION;
	shape = shape_number(p, e, &f);
	if (shape < 0)
		return shape;
	if (p->run > 0 && p->run_shape != (unsigned int)shape)
		end_run(p);
	p->run_shape = (unsigned int)shape;
	p->run++;
	if (f.flags & SHAPE_KNOWN) {
		add_number(p, number);
		remember_path(p, parts.path);
		p->known++;
	} else if (f.flags & SHAPE_STRUCTURED) {
		write_bytes(&p->columns[COLUMN_DIGESTS], parts.digest.p, parts.digest.n);
		add_path(p, parts.path);
	}
	if (!(f.flags & SHAPE_STRUCTURED) || f.rest == FORM_REST_RAW)
		add_counted(&p->columns[COLUMN_RAW], parts.rest);
	add_context(p, ctx);
	p->data_size += e->data.n;
	p->count++;
	return columns_status(p);
}

static void append(struct wire_pack *p, enum column c)
{
	write_bytes(&p->plain, p->columns[c].p, p->columns[c].n);
}

/* The plain block; ends[]: where a zstd block shall end. */
static int assemble(struct wire_pack *p, size_t ends[4])
{
	struct writer *w = &p->plain;

	end_run(p);
	end_presence(p);
	writer_reset(w);
	write_varint(w, p->count);
	write_varint(w, p->n_shapes);
	append(p, COLUMN_SHAPES);
	append(p, COLUMN_RUNS);
	write_varint(w, p->columns[COLUMN_PATHS].n);
	write_varint(w, p->columns[COLUMN_RAW].n);
	append(p, COLUMN_NUMBERS);
	append(p, COLUMN_DIGESTS);
	ends[0] = w->n;
	append(p, COLUMN_PATHS);
	ends[1] = w->n;
	append(p, COLUMN_RAW);
	ends[2] = w->n;
	for (enum column c = COLUMN_PRESENCE; p->any_context && c < COLUMN_COUNT; c++)
		append(p, c);
	ends[3] = w->n;
	return columns_status(p) < 0 ? columns_status(p) : writer_status(w);
}

static int compress(struct wire_pack *p, const size_t ends[4])
{
	size_t room = LIMIT_BLOCK_PACKED - OUTER_MAX;
	size_t bound = MIN(ZSTD_compressBound(p->plain.n) + OUTER_MAX, room);
	ZSTD_inBuffer in = { .src = p->plain.p };
	ZSTD_outBuffer out = { .size = bound };

	out.dst = write_space(&p->packed, bound);
	if (!out.dst)
		return writer_status(&p->packed);
	if (ZSTD_isError(ZSTD_CCtx_reset(p->zstd, ZSTD_reset_session_only)) ||
	    ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(p->zstd, p->plain.n)))
		return -ENOMEM;
	for (size_t i = 0; i < 4; i++) {
		/* a frame that is ended after a flush has an empty block behind it */
		ZSTD_EndDirective how = ends[i] == ends[3] ? ZSTD_e_end : ZSTD_e_flush;
		size_t left;

		if (ends[i] == in.size && how == ZSTD_e_flush)
			continue;
		in.size = ends[i];
		left = ZSTD_compressStream2(p->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return -ENOMEM;
		if (left > 0)
			return -EMSGSIZE;
		if (how == ZSTD_e_end)
			break;
	}
	p->packed.n -= bound - out.pos;
	return 0;
}

/* Without an entry of the set it is not named: the block is the same as without one. */
static void write_head(struct wire_pack *p, uint8_t how)
{
	writer_reset(&p->packed);
	write_u8(&p->packed, p->known ? WIRE_BLOCK_FORMAT_KNOWN : WIRE_BLOCK_FORMAT);
	write_varint(&p->packed, p->known ? p->set->number : 0);
	if (p->known)
		write_u8(&p->packed, how);
}

int wire_pack_finish(struct wire_pack *p, struct bytes *out)
{
	size_t ends[4], head;
	int r;

	if (p->count == 0)
		return -EINVAL;
	if (p->finished) {
		*out = writer_view(&p->packed);
		return 0;
	}
	r = assemble(p, ends);
	if (r < 0)
		return r;
	write_head(p, WIRE_BLOCK_HOW_ZSTD);
	head = p->packed.n;
	r = compress(p, ends);
	if (r < 0)
		return r;
	if (p->known && p->packed.n - head >= p->plain.n) {
		write_head(p, WIRE_BLOCK_HOW_PLAIN);
		write_bytes(&p->packed, p->plain.p, p->plain.n);
		if (writer_status(&p->packed) < 0)
			return writer_status(&p->packed);
	}
	p->finished = true;
	*out = writer_view(&p->packed);
	return 0;
}
