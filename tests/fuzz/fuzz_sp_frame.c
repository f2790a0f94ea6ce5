// SPDX-License-Identifier: Apache-2.0
/* A stream from a peer. First byte: bit 0 IPC, bit 7 a peer that answers, the rest how the stream is cut into pieces.
 * Each stream is a publisher's, too.
 * However it is cut, the same messages come out; what is held is never much more than what came. */
#include "imastream/limits.h"
#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* All that comes out, one behind the other, and the last word at the end. */
static void run(struct writer *out, enum sp_protocol peer, bool ipc, struct bytes stream, size_t piece)
{
	struct reader in = reader_of(stream);
	struct sp_decoder d;
	int r = SP_MORE;

	sp_decoder_init(&d, peer, ipc);
	while (r != SP_BAD && reader_left(&in) > 0) {
		struct reader part = reader_of(read_bytes(&in, MIN(piece, reader_left(&in))));

		do {
			r = sp_decode(&d, &part);
			check(r >= 0);
			check(d.body.cap <= 2 * in.pos + 256);
			if (r == SP_MESSAGE) {
				cleanup_writer_ struct writer body = sp_take(&d);
				size_t n = sp_return_address(writer_view(&body));

				check((body.n >= 4 || peer == SP_PUB) && n <= body.n && n <= 4 * LIMIT_SP_HOPS && n % 4 == 0);
				write_u64be(out, body.n);
				write_bytes(out, body.p, body.n);
			}
		} while (r == SP_MESSAGE && reader_left(&part) > 0);
		check(r == SP_BAD || reader_done(&part));
	}
	write_u8(out, (uint8_t)r);
	write_u8(out, sp_partial(&d));
	sp_decoder_free(&d);
}

/* However it is cut, the same comes out. */
static void compare(enum sp_protocol peer, unsigned int how, struct bytes stream)
{
	cleanup_writer_ struct writer whole = WRITER(16u << 20), cut = WRITER(16u << 20);

	run(&whole, peer, how & 1, stream, stream.n + 1);
	run(&cut, peer, how & 1, stream, 1 + how % 0x80 / 2);
	check(writer_status(&whole) == 0 && writer_status(&cut) == 0);
	/* SP_MORE or SP_MESSAGE at the end depends on nothing but the stream, and so does all else. */
	check(whole.n == cut.n && bytes_equal(whole.p, cut.p, whole.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);
	unsigned int how = read_u8(&r);
	struct bytes stream = read_rest(&r);

	if (!reader_ok(&r) || size > (1u << 20))
		return 0;
	compare(how & 0x80 ? SP_REP : SP_REQ, how, stream);
	compare(SP_PUB, how, stream);
	return 0;
}
