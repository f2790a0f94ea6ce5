// SPDX-License-Identifier: Apache-2.0
/* Bytes of the scalability protocols on a stream: every cut, every limit at its maximum and one past it. */
#include "net/frame.h"

#include "imastream/limits.h"
#include "unit/net/net_helper.h"

static const uint8_t hello[SP_HELLO_SIZE] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };

/* hello, then one request: two hops and a payload */
static void stream_of(struct writer *w, bool ipc, const char *payload)
{
	write_bytes(w, hello, sizeof(hello));
	if (ipc)
		write_u8(w, 1);
	write_u64be(w, 8 + strlen(payload));
	write_u32be(w, 7);
	write_u32be(w, 0x80000009u);
	write_bytes(w, payload, strlen(payload));
}

static void assert_request(struct sp_decoder *d, const char *payload)
{
	cleanup_writer_ struct writer body = sp_take(d);

	assert_int_equal(sp_return_address(writer_view(&body)), 8);
	assert_int_equal(body.n, 8 + strlen(payload));
	assert_memory_equal(body.p + 8, payload, strlen(payload));
	assert_null(d->body.p);
}

static void every_cut(bool ipc)
{
	cleanup_writer_ struct writer w = WRITER(1000);

	stream_of(&w, ipc, "payload");
	for (size_t cut = 0; cut < w.n; cut++) {
		struct sp_decoder d;
		struct reader head = reader_over(w.p, cut), tail = reader_over(w.p + cut, w.n - cut);

		sp_decoder_init(&d, SP_REQ, ipc);
		assert_true(sp_partial(&d));
		assert_int_equal(sp_decode(&d, &head), SP_MORE);
		assert_true(reader_done(&head));
		assert_int_equal(d.greeted, cut >= SP_HELLO_SIZE);
		assert_int_equal(sp_partial(&d), cut != SP_HELLO_SIZE);
		assert_int_equal(sp_decode(&d, &tail), SP_MESSAGE);
		assert_true(reader_done(&tail));
		assert_false(sp_partial(&d));
		assert_request(&d, "payload");
		sp_decoder_free(&d);
	}
}

static void test_every_cut(void **state)
{
	(void)state;
	every_cut(false);
	every_cut(true);
}

static void test_messages_in_a_row(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1000);
	struct sp_decoder d;
	struct reader in;

	(void)state;
	stream_of(&w, false, "one");
	write_u64be(&w, 8);
	write_u32be(&w, 7);
	write_u32be(&w, 0x80000001u);
	write_u8(&w, 0);
	in = reader_of(writer_view(&w));
	sp_decoder_init(&d, SP_REQ, false);
	assert_int_equal(sp_decode(&d, &in), SP_MESSAGE);
	assert_request(&d, "one");
	assert_int_equal(sp_decode(&d, &in), SP_MESSAGE);
	assert_request(&d, "");
	assert_int_equal(sp_decode(&d, &in), SP_MORE); /* one byte of the next head */
	assert_true(sp_partial(&d));
	sp_decoder_free(&d);
	sp_decoder_free(&d);
}

static void test_hello(void **state)
{
	uint8_t ours[SP_HELLO_SIZE];

	(void)state;
	sp_hello(ours, SP_REP);
	assert_memory_equal(ours, "\0SP\0\0\x31\0\0", SP_HELLO_SIZE);
	sp_hello(ours, SP_REQ);
	assert_memory_equal(ours, hello, SP_HELLO_SIZE);
	/* any other bit anywhere: not a REQ peer */
	for (unsigned int bit = 0; bit < 8 * SP_HELLO_SIZE; bit++) {
		uint8_t other[SP_HELLO_SIZE];
		struct reader in = reader_over(other, sizeof(other)), more = reader_over(hello, sizeof(hello));
		struct sp_decoder d;

		bytes_copy(other, hello, sizeof(other));
		other[bit / 8] ^= (uint8_t)(1u << bit % 8);
		sp_decoder_init(&d, SP_REQ, false);
		assert_int_equal(sp_decode(&d, &in), SP_BAD);
		assert_false(d.greeted);
		assert_int_equal(sp_decode(&d, &more), SP_BAD); /* for ever */
		sp_decoder_free(&d);
	}
	/* who asks wants somebody who answers */
	for (unsigned int protocol = 0x2f; protocol <= 0x32; protocol++) {
		uint8_t other[SP_HELLO_SIZE];
		struct reader in = reader_over(other, sizeof(other));
		struct sp_decoder d;

		bytes_copy(other, hello, sizeof(other));
		other[5] = (uint8_t)protocol;
		sp_decoder_init(&d, SP_REP, false);
		assert_int_equal(sp_decode(&d, &in), protocol == SP_REP ? SP_MORE : SP_BAD);
		sp_decoder_free(&d);
	}
}

static int announce(bool ipc, uint8_t type, uint64_t size)
{
	cleanup_writer_ struct writer w = WRITER(100);
	struct sp_decoder d;
	struct reader in;
	int r;

	write_bytes(&w, hello, sizeof(hello));
	if (ipc)
		write_u8(&w, type);
	write_u64be(&w, size);
	in = reader_of(writer_view(&w));
	sp_decoder_init(&d, SP_REQ, ipc);
	r = sp_decode(&d, &in);
	assert_int_equal(d.body.cap, 0); /* nothing is set aside for what was only announced */
	sp_decoder_free(&d);
	return r;
}

static void test_sizes(void **state)
{
	const uint64_t max = LIMIT_MESSAGE + 4 * LIMIT_SP_HOPS;

	(void)state;
	assert_int_equal(announce(false, 0, max), SP_MORE);
	assert_int_equal(announce(false, 0, max + 1), SP_BAD);
	assert_int_equal(announce(false, 0, UINT64_C(1) << 32 | 100), SP_BAD); /* not cut to 32 bits */
	assert_int_equal(announce(false, 0, UINT64_MAX), SP_BAD);
	assert_int_equal(announce(false, 0, 4), SP_MORE);
	assert_int_equal(announce(false, 0, 3), SP_BAD); /* no room for a return address */
	assert_int_equal(announce(false, 0, 0), SP_BAD);
	assert_int_equal(announce(true, 1, max), SP_MORE);
	assert_int_equal(announce(true, 1, max + 1), SP_BAD);
	assert_int_equal(announce(true, 0, 100), SP_BAD);
	assert_int_equal(announce(true, 2, 100), SP_BAD);
}

/* A publisher's: none is too small, and the largest has no room for a return address. */
static void test_event_sizes(void **state)
{
	static const struct { uint64_t size; int expected; } cases[] = {
		{ 0, SP_MESSAGE }, { 1, SP_MORE }, { LIMIT_MESSAGE, SP_MORE }, { LIMIT_MESSAGE + 1ull, SP_BAD }, { UINT64_MAX, SP_BAD },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t pub[SP_HELLO_SIZE];
		cleanup_writer_ struct writer w = WRITER(100);
		struct sp_decoder d;
		struct reader in;

		sp_hello(pub, SP_PUB);
		write_bytes(&w, pub, sizeof(pub));
		write_u64be(&w, cases[i].size);
		in = reader_of(writer_view(&w));
		sp_decoder_init(&d, SP_PUB, false);
		assert_int_equal(sp_decode(&d, &in), cases[i].expected);
		sp_decoder_free(&d);
	}
}

static void test_largest(void **state)
{
	cleanup_free_ uint8_t *zeros = calloc(1, LIMIT_MESSAGE + 4 * LIMIT_SP_HOPS);
	cleanup_writer_ struct writer w = WRITER(100);
	struct reader in, rest = reader_over(zeros, LIMIT_MESSAGE + 4 * LIMIT_SP_HOPS);
	struct sp_decoder d;

	(void)state;
	assert_non_null(zeros);
	write_bytes(&w, hello, sizeof(hello));
	write_u64be(&w, rest.size);
	in = reader_of(writer_view(&w));
	sp_decoder_init(&d, SP_REQ, false);
	assert_int_equal(sp_decode(&d, &in), SP_MORE);
	for (size_t at = 0; at + 1000 < rest.size; at += 1000) {
		struct reader piece = reader_of(read_bytes(&rest, 1000));

		assert_int_equal(sp_decode(&d, &piece), SP_MORE);
		assert_true(d.body.cap <= 2 * (at + 1000) + 256); /* memory follows what came */
	}
	assert_int_equal(sp_decode(&d, &rest), SP_MESSAGE);
	assert_int_equal(d.body.n, rest.size);
	sp_decoder_free(&d);
}

static void test_return_address(void **state)
{
	(void)state;
	for (unsigned int hops = 1; hops <= LIMIT_SP_HOPS + 1; hops++) {
		cleanup_writer_ struct writer w = WRITER(100);

		for (unsigned int i = 1; i < hops; i++)
			write_u32be(&w, 0x7fffffffu);
		assert_int_equal(sp_return_address(writer_view(&w)), 0); /* no last one */
		write_u32be(&w, 0x80000000u);
		write_u32be(&w, 0x80000000u); /* payload */
		assert_int_equal(sp_return_address(writer_view(&w)), hops <= LIMIT_SP_HOPS ? 4 * hops : 0);
	}
	assert_int_equal(sp_return_address((struct bytes){ (const uint8_t *)"\x80\0\0", 3 }), 0);
	assert_int_equal(sp_return_address((struct bytes){ NULL, 0 }), 0);
}

static void test_reply(void **state)
{
	cleanup_writer_ struct writer tcp = WRITER(100), ipc = WRITER(100), small = WRITER(15);
	struct bytes address = { (const uint8_t *)"\0\0\0\7\x80\0\0\1", 8 };

	(void)state;
	sp_encode(&tcp, false, address, text("yes"));
	assert_int_equal(tcp.n, 19);
	assert_memory_equal(tcp.p, "\0\0\0\0\0\0\0\x0b\0\0\0\7\x80\0\0\1yes", 19);
	sp_encode(&ipc, true, address, text("yes"));
	assert_int_equal(ipc.n, 20);
	assert_memory_equal(ipc.p, "\1\0\0\0\0\0\0\0\x0b\0\0\0\7\x80\0\0\1yes", 20);
	sp_encode(&small, false, address, text("yes"));
	assert_int_equal(writer_status(&small), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut), cmocka_unit_test(test_messages_in_a_row), cmocka_unit_test(test_hello),
		cmocka_unit_test(test_sizes),	  cmocka_unit_test(test_largest), cmocka_unit_test(test_event_sizes),
		cmocka_unit_test(test_return_address), cmocka_unit_test(test_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
