// SPDX-License-Identifier: Apache-2.0
/* Reference sets and the blocks that use one. The first byte says what the rest is: a set as a verifier sends it (0), a block as
 * it comes from a collector (1), the plain bytes of one (2). What is read with the set can be packed again without it, and with
 * it, and gives the same entries; without the set the block is refused. */
#include <stdio.h>

#include "base/hash.h"
#include "imastream/wire.h"
#include "wire/block.h"

#define RECORDS 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct file {
	uint8_t tag[WIRE_TAG_SIZE], digest[32];
	char path[32];
} files[RECORDS];
static struct writer set_bytes = WRITER(LIMIT_REFERENCE);
static struct wire_reference sender;
static struct wire_known receiver;
static struct wire_pack *pack;
static struct wire_unpack *unpack, *other;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int by_tag(const void *a, const void *b)
{
	return bytes_compare(((const struct file *)a)->tag, ((const struct file *)b)->tag, WIRE_TAG_SIZE);
}

static bool record(const void *user unused_, uint32_t i, struct wire_record *out)
{
	check(i < RECORDS);
	*out = (struct wire_record){ .alg = 2, .digest = { files[i].digest, 32 },
				     .path = { (const uint8_t *)files[i].path, strlen(files[i].path) } };
	return true;
}

/* Files whose digest is the hash of their path: the same set each time. */
static void make_set(void)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct wire_record r;

	for (uint32_t i = 0; i < RECORDS; i++) {
		snprintf(files[i].path, sizeof(files[i].path), "/usr/lib/unit-%u/%u", i / 9, i);
		hash_one(HASH_SHA256, (const uint8_t *)files[i].path, strlen(files[i].path), files[i].digest);
		check(record(NULL, i, &r));
		wire_record_tag(&r, files[i].tag);
	}
	qsort(files, RECORDS, sizeof(*files), by_tag);
	wire_reference_head(&set_bytes, RECORDS);
	for (uint32_t i = 0; i < RECORDS; i++)
		write_bytes(&set_bytes, files[i].tag, WIRE_TAG_SIZE);
	check(writer_status(&set_bytes) == 0);
	hash_one(HASH_SHA256, set_bytes.p, set_bytes.n, digest);
	check(wire_reference_open(writer_view(&set_bytes), digest, &sender) == WIRE_REFERENCE_OK);
	receiver = (struct wire_known){ .number = sender.number, .records = RECORDS, .record = record };
}

static void as_set(struct bytes set)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct wire_reference opened = { 0 };
	struct wire_record r;
	uint32_t at = UINT32_MAX;

	hash_one(HASH_SHA256, set.p, set.n, digest);
	if (wire_reference_open(set, digest, &opened) != WIRE_REFERENCE_OK) {
		check(opened.tags == NULL && opened.records == 0);
		return;
	}
	check(opened.records > 0 && opened.records <= LIMIT_REFERENCE_RECORDS && opened.number == wire_reference_number(digest));
	check(set.n == WIRE_REFERENCE_MAGIC_SIZE + 4 + (size_t)opened.records * WIRE_TAG_SIZE);
	for (uint32_t i = 0; i < RECORDS; i++) {
		check(record(NULL, i, &r));
		if (wire_reference_find(&opened, &r, &at))
			check(at < opened.records && bytes_equal(opened.tags + (size_t)at * WIRE_TAG_SIZE, files[i].tag, WIRE_TAG_SIZE));
	}
	digest[0] ^= 1;
	check(wire_reference_open(set, digest, &opened) == WIRE_REFERENCE_DIGEST);
}

/* The entries of `unpack` once more, through a packer with or without the set. */
static void again(struct bytes block, const struct wire_reference *set)
{
	struct ima_entry a, b;
	struct wire_context ca, cb;
	struct bytes packed;
	int r;

	check(wire_unpack_begin_known(unpack, block, &receiver, 1) == WIRE_BLOCK_OK);
	wire_pack_begin_known(pack, set);
	while (wire_unpack_next(unpack, &a, &ca) == WIRE_BLOCK_OK) {
		r = wire_pack_add(pack, &a, &ca);
		if (r == -EMSGSIZE)
			return; /* entries that came raw can have more forms than a block has shapes */
		check(r == 0);
	}
	check(wire_pack_finish(pack, &packed) == 0);
	check(wire_unpack_begin_known(unpack, block, &receiver, 1) == WIRE_BLOCK_OK);
	check(wire_unpack_begin_known(other, packed, &receiver, 1) == WIRE_BLOCK_OK);
	check(wire_unpack_count(other) == wire_unpack_count(unpack) && (set || !wire_unpack_set(other)));
	for (uint32_t n = wire_unpack_count(unpack); n > 0; n--) {
		check(wire_unpack_next(unpack, &a, &ca) == WIRE_BLOCK_OK && wire_unpack_next(other, &b, &cb) == WIRE_BLOCK_OK);
		check(a.pcr == b.pcr && a.violation == b.violation && a.name.n == b.name.n && a.data.n == b.data.n);
		check(bytes_equal(a.name.p, b.name.p, a.name.n) && bytes_equal(a.data.p, b.data.p, a.data.n));
		check(ca.present == cb.present && strcmp(ca.comm, cb.comm) == 0);
	}
}

static void from_peer(struct bytes block)
{
	struct ima_entry e;
	int r = wire_unpack_begin_known(unpack, block, &receiver, 1);

	check(r >= 0);
	if (r != WIRE_BLOCK_OK) {
		check(wire_unpack_next(unpack, &e, NULL) == WIRE_BLOCK_END);
		return;
	}
	again(block, NULL);
	again(block, &sender);
	check(wire_unpack_begin_known(unpack, block, &receiver, 1) == WIRE_BLOCK_OK);
	r = wire_unpack_begin(other, block);
	check(r == (wire_unpack_set(unpack) ? WIRE_BLOCK_REFERENCE : WIRE_BLOCK_OK));
}

/* A block of format 4 around these bytes. */
static void framed(struct bytes plain)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_BLOCK_PACKED);

	write_u8(&w, WIRE_BLOCK_FORMAT_KNOWN);
	write_varint(&w, sender.number);
	write_u8(&w, WIRE_BLOCK_HOW_PLAIN);
	write_bytes(&w, plain.p, plain.n);
	if (writer_status(&w) == 0)
		from_peer(writer_view(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);

	if (!pack) {
		make_set();
		check(wire_pack_new(&pack, 1) == 0 && wire_unpack_new(&unpack) == 0 && wire_unpack_new(&other) == 0);
	}
	switch (read_u8(&r) % 3) {
	case 0:
		as_set(read_rest(&r));
		break;
	case 1:
		from_peer(read_rest(&r));
		break;
	default:
		framed(read_rest(&r));
	}
	return 0;
}
