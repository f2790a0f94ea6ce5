// SPDX-License-Identifier: Apache-2.0
/* The bytes of one ring record. What is accepted must be consistent and lie inside the input. */
#include "collector/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static bool inside(struct bytes view, const uint8_t *data, size_t size)
{
	return view.n == 0 || (view.p >= data && view.p + view.n <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ring_record r;

	if (ring_record_decode(data, size, &r) < 0)
		return 0;
	must(r.type == EVENT_ENTRY || r.type == EVENT_BARE || r.type == EVENT_WAKE);
	must(inside(r.entry.name, data, size) && inside(r.entry.data, data, size));
	must(r.entry.name.n <= EVENT_NAME_MAX && r.entry.data.n <= EVENT_DATA_MAX);
	must(r.context.comm[EVENT_COMM_LEN - 1] == '\0');
	must((r.type == EVENT_BARE) == (r.drop != EVENT_DROP_NONE));
	must(r.type != EVENT_ENTRY || r.entry.data.n == r.data_len);
	return 0;
}
