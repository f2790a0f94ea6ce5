// SPDX-License-Identifier: Apache-2.0
/* Entry blocks. The first byte says what the rest is: a block as it comes from a peer (0), the plain bytes of one, framed
 * here without a dictionary (1) or with it (3), or entries to pack (2). What is unpacked and packed again gives the same entries; so does what is packed. */
#include <zstd.h>

#include "imastream/wire.h"
#include "wire/block.h"
#include "wire/dictionary.h"

#define ENTRIES_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wire_pack *pack;
static ZSTD_CCtx *zstd;
static struct wire_unpack *unpack, *other;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void same_bytes(struct bytes a, struct bytes b)
{
	check(a.n == b.n && bytes_equal(a.p, b.p, a.n));
}

static void same_entry(const struct ima_entry *a, const struct ima_entry *b)
{
	check(a->pcr == b->pcr && a->violation == b->violation && a->digest.n == 0 && b->digest.n == 0);
	same_bytes(a->name, b->name);
	same_bytes(a->data, b->data);
}

static void same_context(const struct wire_context *a, const struct wire_context *b)
{
	check(a->present == b->present && a->age_us == b->age_us && a->pid == b->pid && a->uid == b->uid);
	check(a->cgroup == b->cgroup && a->mntns == b->mntns && strcmp(a->comm, b->comm) == 0);
}

/* Unpacks, packs each entry, unpacks that beside the first. */
static void from_peer(struct bytes block)
{
	struct ima_entry a, b;
	struct wire_context ca, cb;
	struct bytes packed;
	uint32_t n = 0;
	int r = wire_unpack_begin(unpack, block);

	check(r >= 0);
	if (r != WIRE_BLOCK_OK) {
		check(wire_unpack_next(unpack, &a, &ca) == WIRE_BLOCK_END);
		return;
	}
	wire_pack_begin(pack);
	while ((r = wire_unpack_next(unpack, &a, &ca)) == WIRE_BLOCK_OK) {
		r = wire_pack_add(pack, &a, &ca);
		check(r == 0 || r == -EMSGSIZE); /* the packer keeps below what the unpacker takes */
		if (r < 0)
			return;
		n++;
	}
	check(r == WIRE_BLOCK_END && n == wire_unpack_count(unpack));
	check(wire_pack_finish(pack, &packed) == 0);
	check(wire_unpack_begin(unpack, block) == WIRE_BLOCK_OK);
	check(wire_unpack_begin(other, packed) == WIRE_BLOCK_OK);
	check(wire_unpack_count(other) == n);
	while (n-- > 0) {
		check(wire_unpack_next(unpack, &a, &ca) == WIRE_BLOCK_OK);
		check(wire_unpack_next(other, &b, &cb) == WIRE_BLOCK_OK);
		same_entry(&a, &b);
		same_context(&ca, &cb);
	}
}

static void framed(struct bytes plain, bool dictionary)
{
	cleanup_writer_ struct writer w = WRITER(8u << 20);
	size_t room = ZSTD_compressBound(plain.n), n;
	uint8_t *to;

	write_u8(&w, dictionary ? WIRE_BLOCK_FORMAT : WIRE_BLOCK_FORMAT_BARE);
	write_varint(&w, 0);
	to = write_space(&w, room);
	check(to != NULL);
	check(!ZSTD_isError(ZSTD_CCtx_loadDictionary(zstd, wire_dictionary, dictionary ? sizeof(wire_dictionary) : 0)));
	n = ZSTD_compress2(zstd, to, room, plain.p, plain.n);
	check(!ZSTD_isError(n));
	w.n -= room - n;
	from_peer(writer_view(&w));
}

static void packed(struct reader r)
{
	static struct ima_entry entries[ENTRIES_MAX];
	struct bytes block;
	size_t n = 0;

	wire_pack_begin(pack);
	while (reader_left(&r) > 0 && n < ENTRIES_MAX) {
		struct ima_entry e = { .pcr = read_u8(&r) % 24 };

		e.violation = e.pcr & 1;
		e.name = read_bytes(&r, MIN((size_t)read_u8(&r), reader_left(&r)));
		e.data = read_bytes(&r, MIN((size_t)read_u8(&r) * 2, reader_left(&r)));
		if (wire_pack_add(pack, &e, NULL) != 0)
			break;
		entries[n++] = e;
	}
	if (n == 0)
		return;
	check(wire_pack_finish(pack, &block) == 0);
	check(wire_unpack_begin(unpack, block) == WIRE_BLOCK_OK);
	check(wire_unpack_count(unpack) == n);
	for (size_t i = 0; i < n; i++) {
		struct ima_entry e;

		check(wire_unpack_next(unpack, &e, NULL) == WIRE_BLOCK_OK);
		same_entry(&e, &entries[i]);
	}
	check(wire_unpack_next(unpack, &entries[0], NULL) == WIRE_BLOCK_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);

	if (!pack)
		check(wire_pack_new(&pack, 1) == 0 && wire_unpack_new(&unpack) == 0 && wire_unpack_new(&other) == 0 &&
		      (zstd = ZSTD_createCCtx()) && !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_dictIDFlag, 0)));
	switch (read_u8(&r) % 4) {
	case 0:
		from_peer(read_rest(&r));
		break;
	case 1:
		framed(read_rest(&r), false);
		break;
	case 3:
		framed(read_rest(&r), true);
		break;
	default:
		packed(r);
	}
	return 0;
}
