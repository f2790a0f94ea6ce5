/* SPDX-License-Identifier: Apache-2.0 */
/* Entry blocks: entries without their template hash (it is the hash of the data), in a zstd frame. Pure.
 * Layout: docs/WIRE.md. Frames are independent. The `context` travels beside the entries, unattested. */
#pragma once

#include "ima/entry.h"
#include "wire/reference.h"

/* Threads: no globals; an object belongs to one thread at a time. */

/* What BPF saw of the process at measurement time. A hint for people; never evidence. */
struct wire_context {
	bool present;
	uint64_t age_us; /* from measurement to the sending of this block, attester's monotonic clock */
	uint32_t pid, uid;
	uint64_t cgroup, mntns;
	char comm[17];	 /* NUL-terminated; foreign bytes */
};

struct wire_pack; /* packer: holds the zstd context and buffers; reused from block to block */
must_use_ int wire_pack_new(struct wire_pack **out, int zstd_level);
void wire_pack_free(struct wire_pack **p);
#define cleanup_wire_pack_ cleanup_(wire_pack_free)
/* Starts an empty block; a view that finish gave ends here. */
void wire_pack_begin(struct wire_pack *p);
/* The same, for a receiver that holds this set (NULL: none): entries of it travel as numbers. It must stay until finish. */
void wire_pack_begin_known(struct wire_pack *p, const struct wire_reference *set);
/* Entries so far that travel as numbers. */
uint32_t wire_pack_known(const struct wire_pack *p);
/* Adds an entry (copied). 0; -EMSGSIZE when the block would pass LIMIT_BLOCK_*: finish this one first; a single entry
 * always fits an empty block (LIMIT_ENTRY_DATA). -EINVAL: past LIMIT_PCR, LIMIT_TEMPLATE_NAME or LIMIT_ENTRY_DATA. ctx may
 * be NULL. After -ENOMEM the block is lost: begin again. */
must_use_ int wire_pack_add(struct wire_pack *p, const struct ima_entry *e, const struct wire_context *ctx);
uint32_t wire_pack_count(const struct wire_pack *p);
/* Plain bytes so far. */
size_t wire_pack_size(const struct wire_pack *p);
/* Compresses; the view lives until the next begin or free. -EINVAL when the block is empty. After a failure begin
 * again. */
must_use_ int wire_pack_finish(struct wire_pack *p, struct bytes *out);

enum wire_block_outcome {
	WIRE_BLOCK_OK = 0,
	WIRE_BLOCK_MALFORMED,
	WIRE_BLOCK_TOO_LARGE, /* declared or actual size past the limits */
	WIRE_BLOCK_END,	      /* from wire_unpack_next: no entry left */
	WIRE_BLOCK_UNSUPPORTED, /* another block format */
	WIRE_BLOCK_REFERENCE, /* it needs a reference set that was not given */
};

struct wire_unpack; /* reused from block to block; bounded memory */
must_use_ int wire_unpack_new(struct wire_unpack **out);
void wire_unpack_free(struct wire_unpack **u);
#define cleanup_wire_unpack_ cleanup_(wire_unpack_free)
/* Decompresses (bounded before and while decoding) and checks the whole block: after WIRE_BLOCK_OK each of its entries
 * comes out, otherwise none does. `block` is not needed afterwards. Negative errno: our failure. */
must_use_ int wire_unpack_begin(struct wire_unpack *u, struct bytes block);
/* The same with the sets that we hold, which must stay as long as its entries are wanted. */
must_use_ int wire_unpack_begin_known(struct wire_unpack *u, struct bytes block, const struct wire_known *sets, size_t n_sets);
/* The reference set that the block is read with; NULL: it needs none. After WIRE_BLOCK_OK only. */
const struct wire_known *wire_unpack_set(const struct wire_unpack *u);
uint32_t wire_unpack_count(const struct wire_unpack *u);
/* The next entry: WIRE_BLOCK_OK or WIRE_BLOCK_END. Views live until the next call on u. e->digest is empty. ctx may be
 * NULL. */
must_use_ int wire_unpack_next(struct wire_unpack *u, struct ima_entry *e, struct wire_context *ctx);
/* The same in parts, for a caller who keeps the data himself: the bytes that the next entry's data need (0 when they lie in
 * the block, until the next begin), and the entry, its data put at `to`. */
bool wire_unpack_known(const struct wire_unpack *u); /* it has digest and path of a record of wire_unpack_set() */
size_t wire_unpack_room(const struct wire_unpack *u);
must_use_ int wire_unpack_put(struct wire_unpack *u, uint8_t *to, struct ima_entry *e, struct wire_context *ctx);
