/* SPDX-License-Identifier: Apache-2.0 */
/* One attester that is played: its key, its list, its session. Messages out, answers in; no sockets and no clock. */
#pragma once

#include "lib/fake_quote.h"
#include "wire/block.h"
#include "wire/msg.h"

#define HOST_FILES 4096u /* different programs that all hosts together run */

enum host_stage {
	HOST_NEW,     /* HELLO is next, or its answer is awaited */
	HOST_GREETED, /* the first QUOTE is next, or its answer is awaited */
	HOST_READY,   /* proven up to its last entry */
	HOST_TOLD,    /* entries are reported, not proven yet */
	HOST_LOST,    /* refused: it is out of the game */
};

struct host {
	EVP_PKEY *key;
	struct writer ak_public; /* TPMT_PUBLIC */
	uint8_t id[WIRE_DIGEST_SIZE], pcr10[WIRE_DIGEST_SIZE];
	uint8_t session[WIRE_SESSION_SIZE], nonce[WIRE_NONCE_SIZE];
	uint8_t previous[WIRE_DIGEST_SIZE], commitment[WIRE_DIGEST_SIZE];
	uint64_t seq, clock_ms;
	uint64_t n, told, proven; /* entries: measured, acknowledged as stored, acknowledged as proven */
	uint64_t sent_us;	  /* when the request was sent that has no answer yet */
	enum host_stage stage;
};

/* What all hosts share: firmware, memory for messages. */
struct maker {
	struct fake_tpm tpm;
	struct wire_pack *pack;
	struct writer attest, signature, data, message;
};

void maker_init(struct maker *m);
void maker_clear(struct maker *m);

/* A key of its own, an empty list. */
void host_init(struct host *h, struct maker *m);
void host_clear(struct host *h);
/* Each of these gives a message that lives until the next one is made. */
struct bytes host_hello(struct host *h, struct maker *m);
struct bytes host_wait(struct host *h, struct maker *m);
/* Runs `count` programs and reports them. */
struct bytes host_entries(struct host *h, struct maker *m, unsigned int count);
/* A quote over everything; with the entries that are not acknowledged. */
struct bytes host_quote(struct host *h, struct maker *m);
/* Runs `count` programs without reporting them. */
void host_measure(struct host *h, struct maker *m, unsigned int count);

enum host_event {
	HOST_GO_ON,  /* the stage says what is next */
	HOST_PROVEN, /* a quote was acknowledged, and everything is proven */
	HOST_WOKEN,  /* DIRECTIVE: the WAIT is answered */
	HOST_BUSY,   /* come again later */
	HOST_REFUSED,
};
/* The answer to its request. *why: static text, for HOST_REFUSED. */
enum host_event host_answer(struct host *h, struct bytes message, const char **why);

/* The policy that accepts all of HOST_FILES. */
void host_policy(struct writer *w);
