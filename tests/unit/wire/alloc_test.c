// SPDX-License-Identifier: Apache-2.0
/* Every allocation of the codec fails once: no crash, no leak (ASan), nothing half done, -ENOMEM. zstd's own are in a shared
 * library and not seen. */
#include "samples.h"

#include "block_helper.h"
#include "lib/alloc_fail.h"

static int encode(void *user)
{
	const struct wire_message *m = user;
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);
	struct wire_message back;
	const char *where;

	wire_encode(&w, m);
	if (writer_status(&w) == 0) /* decoding allocates nothing */
		assert_int_equal(wire_decode(writer_view(&w), &back, &where), WIRE_DECODE_OK);
	return writer_status(&w);
}

static void messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		struct wire_message m = sample(golden[i].type);

		assert_true(alloc_fail_each(encode, &m, 0) >= 1);
	}
}

/* Three templates, with data large enough that buffers grow. */
struct entries {
	struct writer data[3];
	struct ima_entry entry[3];
};

static void make_entries(struct entries *e)
{
	static const char *const names[] = { "ima-ng", "ima-sig", "odd" };
	uint64_t seed = 7;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		e->data[i] = WRITER(1u << 20);
		put_ima_ng(&e->data[i], &seed, "sha256", 32, i ? "/usr/bin/x" : "/a");
		for (size_t n = 0; i && n < 20000 * i; n++)
			write_u8(&e->data[i], (uint8_t)rnd(&seed));
		e->entry[i] = (struct ima_entry){ .pcr = 10, .name = str(names[i]), .data = writer_view(&e->data[i]) };
	}
}

static int pack(void *user)
{
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	struct wire_context context = { .present = true, .pid = 3, .comm = "x" };
	struct bytes block = { NULL, 77 };
	struct entries *e = user;
	int r = wire_pack_new(&p, 3);

	if (r < 0) {
		assert_null(p);
		return r;
	}
	for (int again = 0; again < 2; again++) { /* an object that failed once is still of use */
		int now = 0;

		wire_pack_begin(p);
		for (size_t i = 0; now == 0 && i < ARRAY_SIZE(e->entry); i++)
			now = wire_pack_add(p, &e->entry[i], i ? &context : NULL);
		if (now == 0)
			now = wire_pack_finish(p, &block);
		r = r ? r : now;
	}
	return r;
}

static int unpack(void *user)
{
	cleanup_wire_unpack_ struct wire_unpack *u = NULL;
	struct bytes *block = user;
	struct ima_entry e;
	int r = wire_unpack_new(&u);

	if (r < 0) {
		assert_null(u);
		return r;
	}
	r = wire_unpack_begin(u, *block);
	if (r != WIRE_BLOCK_OK) {
		assert_int_equal(wire_unpack_next(u, &e, NULL), WIRE_BLOCK_END);
		return r;
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(wire_unpack_next(u, &e, NULL), WIRE_BLOCK_OK);
	return 0;
}

static void blocks(void **state)
{
	cleanup_wire_pack_ struct wire_pack *p = NULL;
	struct entries e;
	struct bytes block;

	(void)state;
	make_entries(&e);
	assert_true(alloc_fail_each(pack, &e, 0) >= 3);
	assert_int_equal(wire_pack_new(&p, 3), 0);
	for (size_t i = 0; i < ARRAY_SIZE(e.entry); i++)
		assert_int_equal(wire_pack_add(p, &e.entry[i], NULL), 0);
	assert_int_equal(wire_pack_finish(p, &block), 0);
	assert_true(alloc_fail_each(unpack, &block, WIRE_BLOCK_OK) >= 2);
	for (size_t i = 0; i < ARRAY_SIZE(e.data); i++)
		writer_free(&e.data[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
