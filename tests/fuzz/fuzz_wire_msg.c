// SPDX-License-Identifier: Apache-2.0
/* Messages from a peer. What is taken must be encoded again to bytes that are taken and are the same; without unknown
 * members these are the bytes that came. */
#include "wire/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_writer_ struct writer first = WRITER(LIMIT_MESSAGE), second = WRITER(LIMIT_MESSAGE);
	struct wire_message m, again;
	const char *where = NULL;
	enum wire_decode_outcome o = wire_decode((struct bytes){ data, size }, &m, &where);

	check(where != NULL);
	if (o != WIRE_DECODE_OK)
		return 0;
	wire_encode(&first, &m);
	check(writer_status(&first) == 0);
	check(first.n <= size);
	check(first.n < size || bytes_equal(first.p, data, size));
	check(wire_decode(writer_view(&first), &again, &where) == WIRE_DECODE_OK);
	wire_encode(&second, &again);
	check(writer_status(&second) == 0);
	check(second.n == first.n && bytes_equal(second.p, first.p, first.n));
	return 0;
}
