// SPDX-License-Identifier: Apache-2.0
/* Binary measurement lists: whole and in pieces give the same entries; an entry whose digest fits is written back byte by
 * byte as it was read. */
#include "ima/list.h"
#include "ima/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct ima_entry *e, size_t column, struct bytes original)
{
	cleanup_writer_ struct writer w = WRITER(4u << 20);
	enum hash_alg a = HASH_SHA1;

	while (hash_size(a) != column)
		a++;
	if (e->digest.n != column)
		abort();
	if (!ima_digest_matches(e))
		return;
	ima_list_write_entry(&w, e, a);
	if (writer_status(&w) < 0 || w.n != original.n || !bytes_equal(w.p, original.p, w.n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_ima_list_ struct ima_list *whole = NULL, *pieces = NULL;
	struct reader r = reader_over(data, size), original = r;
	struct ima_replay replay;
	struct ima_fields fields;
	struct ima_entry e;
	uint64_t before = 0;

	if (ima_list_new(&whole, IMA_LIST_BINARY, 0) < 0 || ima_list_new(&pieces, IMA_LIST_BINARY, 0) < 0)
		return 0;
	ima_replay_init(&replay);
	if (ima_list_lend(whole, (struct bytes){ data, size }) < 0)
		abort();
	while (ima_list_next(whole, &e) == IMA_LIST_ENTRY) {
		struct bytes b = read_bytes(&original, (size_t)(ima_list_offset(whole) - before));

		before = ima_list_offset(whole);
		ima_replay_entry(&replay, &e, 1u << HASH_SHA256);
		(void)!ima_fields_parse(&e, &fields);
		check_round_trip(&e, ima_list_digest_size(whole), b);
	}
	for (;;) {
		struct bytes b = read_bytes(&r, MIN((size_t)29, reader_left(&r)));

		if (b.n == 0)
			ima_list_finish(pieces);
		else if (ima_list_feed(pieces, b.p, b.n) < 0)
			abort();
		while (ima_list_next(pieces, &e) == IMA_LIST_ENTRY)
			;
		if (b.n == 0)
			break;
	}
	/* in pieces the column may have been settled on fewer entries: only then may the two differ */
	if (ima_list_digest_size(whole) == ima_list_digest_size(pieces) && ima_list_count(whole) != ima_list_count(pieces))
		abort();
	return 0;
}
