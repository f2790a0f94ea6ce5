// SPDX-License-Identifier: Apache-2.0
/* ASCII measurement lists: whole and in pieces give the same entries; what was rebuilt survives the binary form. */
#include "ima/list.h"
#include "imastream/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_binary_form(const struct ima_entry *e)
{
	cleanup_writer_ struct writer w = WRITER(4u << 20);
	cleanup_ima_list_ struct ima_list *l = NULL;
	struct ima_entry again;

	if (!ima_digest_matches(e) || e->violation)
		return;
	for (size_t i = 0; i < e->name.n; i++)
		if (e->name.p[i] <= ' ' || e->name.p[i] > '~')
			return; /* refused in binary form */
	ima_list_write_entry(&w, e, HASH_SHA256);
	if (writer_status(&w) < 0)
		return; /* "ima" with data that its binary form has no place for */
	if (ima_list_new(&l, IMA_LIST_BINARY, 32) < 0 || ima_list_lend(l, writer_view(&w)) < 0)
		return;
	if (ima_list_next(l, &again) != IMA_LIST_ENTRY || again.pcr != e->pcr || again.data.n != e->data.n ||
	    !bytes_equal(again.data.p, e->data.p, e->data.n) || !ima_digest_matches(&again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_ima_list_ struct ima_list *whole = NULL, *pieces = NULL;
	struct reader r = reader_over(data, size);
	struct ima_fields fields;
	struct ima_entry e;

	if (ima_list_new(&whole, IMA_LIST_ASCII, 0) < 0 || ima_list_new(&pieces, IMA_LIST_ASCII, 0) < 0)
		return 0;
	if (ima_list_lend(whole, (struct bytes){ data, size }) < 0)
		abort();
	while (ima_list_next(whole, &e) == IMA_LIST_ENTRY) {
		if (e.data.n > LIMIT_ENTRY_DATA)
			abort();
		(void)!ima_fields_parse(&e, &fields);
		check_binary_form(&e);
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
	if (ima_list_count(whole) != ima_list_count(pieces) || ima_list_offset(whole) != ima_list_offset(pieces))
		abort();
	return 0;
}
