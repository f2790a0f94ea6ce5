/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the scalability protocols on a stream, for REQ, REP, PUB and SUB: nng's mappings for TCP, TLS and IPC
 * (nng_tcp(7), nng_ipc(7); RFCs "sp-tcp-mapping-01", "sp-request-reply-01" of nanomsg). Pure: no I/O, no globals.
 *
 *   hello    0 'S' 'P' 0, protocol (16 bits, big-endian: enum sp_protocol), 0 0
 *   message  on IPC one byte 1, then on all the size (64 bits, big-endian), then that many bytes
 *   event    (PUB to SUB) the payload; nothing goes the other way
 *   request  return address: 32-bit ids, big-endian, the last one has the top bit set; then the payload
 *
 * An answer repeats the return address of its request. A REQ's own id is the last one, and the only one that it sends. */
#pragma once

#include "base/buf.h"

#define SP_HELLO_SIZE 8u
#define SP_HEAD_SIZE 9u /* IPC; one less elsewhere */
#define SP_ID_SIZE 4u
#define SP_ID_LAST 0x80000000u /* top bit of an id: no hop behind this one */

enum sp_protocol {
	SP_PUB = 0x20,
	SP_SUB = 0x21,
	SP_REQ = 0x30,
	SP_REP = 0x31,
};

enum sp_result {
	SP_MORE,    /* all bytes are taken, and more are needed */
	SP_MESSAGE, /* d->body holds a whole request, answer or event */
	SP_BAD,	    /* not what such a peer sends, or too large: there is nothing to expect from this stream any more */
};

/* One stream; no memory is held between messages. */
struct sp_decoder {
	enum sp_protocol peer;
	bool ipc;
	bool greeted; /* the peer's hello is complete */
	bool bad;
	bool in_body;
	uint8_t n_head;
	uint8_t head[SP_HEAD_SIZE];
	uint32_t left;	    /* bytes of the body that are missing */
	struct writer body; /* grows as bytes arrive, never ahead of them because a head says so */
};

void sp_decoder_init(struct sp_decoder *d, enum sp_protocol peer, bool ipc);
void sp_decoder_free(struct sp_decoder *d);
/* Reads up to the end of one message. An enum sp_result, or -ENOMEM. After SP_MESSAGE take the body before the next call. */
must_use_ int sp_decode(struct sp_decoder *d, struct reader *in);
/* The body, now the caller's. */
struct writer sp_take(struct sp_decoder *d);
/* In the middle of the hello or of a message. */
bool sp_partial(const struct sp_decoder *d);
/* Size of the return address at the start of a request or an answer (at most LIMIT_SP_HOPS ids); 0: there is none. */
must_use_ size_t sp_return_address(struct bytes body);

/* The hello of who speaks this protocol. */
void sp_hello(uint8_t out[SP_HELLO_SIZE], enum sp_protocol own);
/* A request or an answer as it goes over the stream, appended to w (see writer_status()). */
void sp_encode(struct writer *w, bool ipc, struct bytes return_address, struct bytes payload);
