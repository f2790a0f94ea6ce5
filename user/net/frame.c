// SPDX-License-Identifier: Apache-2.0
#include "net/frame.h"

#include "imastream/limits.h"

#define IPC_MESSAGE 1u
#define BODY_MAX (LIMIT_MESSAGE + LIMIT_SP_HOPS * SP_ID_SIZE)

void sp_decoder_init(struct sp_decoder *d, enum sp_protocol peer, bool ipc)
{
	*d = (struct sp_decoder){ .peer = peer, .ipc = ipc, .body = WRITER(BODY_MAX) };
}

void sp_decoder_free(struct sp_decoder *d)
{
	writer_free(&d->body);
}

/* Fills d->head up to n bytes; true when it is full. */
static bool collect(struct sp_decoder *d, struct reader *in, size_t n)
{
	size_t some = MIN(n - d->n_head, reader_left(in));

	read_copy(in, d->head + d->n_head, some);
	d->n_head += (uint8_t)some;
	return d->n_head == n;
}

static int bad(struct sp_decoder *d)
{
	d->bad = true;
	writer_free(&d->body);
	return SP_BAD;
}

static bool good_hello(const struct sp_decoder *d)
{
	static const uint8_t start[4] = { 0, 'S', 'P', 0 };
	struct reader r = reader_over(d->head, SP_HELLO_SIZE);
	struct bytes magic = read_bytes(&r, sizeof(start));
	unsigned int protocol = read_u16be(&r), reserved = read_u16be(&r);

	return bytes_equal(magic.p, start, sizeof(start)) && protocol == d->peer && reserved == 0 && reader_done(&r);
}

/* The size is judged here, before anything is kept for it. */
static bool good_head(struct sp_decoder *d)
{
	struct reader r = reader_over(d->head, d->n_head);
	unsigned int type = d->ipc ? read_u8(&r) : IPC_MESSAGE;
	uint64_t size = read_u64be(&r);
	bool fits = d->peer == SP_PUB ? size <= LIMIT_MESSAGE : size >= SP_ID_SIZE && size <= BODY_MAX; /* events have no return address */

	if (!reader_done(&r) || type != IPC_MESSAGE || !fits)
		return false;
	d->left = (uint32_t)size;
	return true;
}

int sp_decode(struct sp_decoder *d, struct reader *in)
{
	struct bytes some;

	if (d->bad)
		return SP_BAD;
	if (!d->greeted) {
		if (!collect(d, in, SP_HELLO_SIZE))
			return SP_MORE;
		if (!good_hello(d))
			return bad(d);
		d->greeted = true;
		d->n_head = 0;
	}
	if (!d->in_body) {
		if (!collect(d, in, d->ipc ? SP_HEAD_SIZE : SP_HEAD_SIZE - 1))
			return SP_MORE;
		if (!good_head(d))
			return bad(d);
		d->in_body = true;
		d->n_head = 0;
	}
	some = read_bytes(in, MIN((size_t)d->left, reader_left(in)));
	if (some.n)
		write_bytes(&d->body, some.p, some.n);
	if (writer_status(&d->body) < 0)
		return writer_status(&d->body);
	d->left -= (uint32_t)some.n;
	if (d->left > 0)
		return SP_MORE;
	d->in_body = false;
	return SP_MESSAGE;
}

struct writer sp_take(struct sp_decoder *d)
{
	return writer_take(&d->body);
}

bool sp_partial(const struct sp_decoder *d)
{
	return !d->greeted || d->in_body || d->n_head > 0;
}

size_t sp_return_address(struct bytes body)
{
	struct reader r = reader_of(body);

	for (unsigned int hop = 0; hop < LIMIT_SP_HOPS; hop++) {
		uint32_t id = read_u32be(&r);

		if (!reader_ok(&r))
			return 0;
		if (id & SP_ID_LAST)
			return r.pos;
	}
	return 0;
}

void sp_hello(uint8_t out[SP_HELLO_SIZE], enum sp_protocol own)
{
	const uint8_t hello[SP_HELLO_SIZE] = { 0, 'S', 'P', 0, 0, (uint8_t)own, 0, 0 };

	bytes_copy(out, hello, sizeof(hello));
}

void sp_encode(struct writer *w, bool ipc, struct bytes return_address, struct bytes payload)
{
	if (ipc)
		write_u8(w, IPC_MESSAGE);
	write_u64be(w, (uint64_t)return_address.n + payload.n);
	write_bytes(w, return_address.p, return_address.n);
	write_bytes(w, payload.p, payload.n);
}
