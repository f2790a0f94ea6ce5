/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier's pipeline without sockets, and a small honest collector in front of it whose messages a test may
 * change. Every helper asserts what an honest exchange gives; a test that wants otherwise uses bench_send(). */
#pragma once

#include "lib/fake_quote.h"
#include "lib/test.h"
#include "verifier/pipeline.h"

#define BENCH_MASK 0x7ffu /* PCR 0 to 10 */
#define BENCH_SECOND 1000000ull

struct bench_entry {
	uint32_t pcr;
	char name[32];
	struct writer data;
	bool violation;
};

struct bench {
	struct store *store;	 /* the real one */
	struct store faulty;	 /* in front of it: fails on demand */
	struct store_ops faulty_ops;
	int fail_begin, fail_commit, fail_write; /* errno to fail with, 0: do not */
	char path[256];		 /* of the database, "" in memory */
	struct pipeline *pipeline;
	struct instant now;
	/* what left the verifier */
	struct writer answer;
	struct wire_message reply; /* of the last bench_send(): views into answer */
	bool answered, dropped;
	unsigned int replies, drops, randoms;
	bool hung_up;		   /* the connection of the held WAIT is closed */
	bool held, directed;	   /* a WAIT that was taken; it was answered */
	struct wire_message directive; /* how it was answered: views into directive_bytes */
	struct writer directive_bytes;
	/* the collector */
	struct fake_tpm tpm;
	struct bytes ek_public, ek_cert, ek_chain, iak_cert; /* for HELLO; borrowed */
	uint64_t peer;		   /* number of its connection */
	uint32_t mask;
	const char *label;
	uint32_t flags;
	struct bench_entry *list;
	size_t n;
	size_t next;		   /* sent and acknowledged */
	struct wire_hello hello;
	struct wire_quote quote;
	struct made_attest attest;
	struct writer attest_bytes, signature, block, message;
	uint8_t session[WIRE_SESSION_SIZE], nonce[WIRE_NONCE_SIZE], previous[WIRE_DIGEST_SIZE];
	uint8_t qualifying[WIRE_DIGEST_SIZE], pcr_digest[HASH_MAX_SIZE];
	uint64_t seq;
	struct wire_pack *pack;
	const struct wire_reference *reference; /* that blocks may use; borrowed */
};

extern const struct rules bench_rules; /* trust on first use, 60 s, 121 s, no policy */

void bench_open(struct bench *b, enum hash_alg bank, const char *database, const struct rules *rules);
void bench_close(struct bench *b);
/* The verifier ends without a word and starts again over the same database (or over *database). */
void bench_restart(struct bench *b, const struct rules *rules);

/* Other rules, and all slices of judging again. */
void bench_set_rules(struct bench *b, struct rules *rules);

/* IMA measures a file: list and PCR. */
void bench_measure(struct bench *b, const char *path);
void bench_measure_as(struct bench *b, uint32_t pcr, const char *path, bool violation, bool extend, bool padded_sha1);
void bench_entry_of(const struct bench *b, size_t i, struct ima_entry *out);

/* Sends bytes; b->reply is the answer. Negative: what pipeline_batch() said. */
int bench_send_bytes(struct bench *b, struct bytes message);
int bench_send(struct bench *b, const struct wire_message *m);
/* HELLO as it would be now, in b->hello; sent by bench_greet(). */
void bench_hello(struct bench *b);
/* HELLO and its WELCOME: a session that has not shown its key. */
void bench_knock(struct bench *b);
/* The answer is a WELCOME: its session is the one from now on. */
void bench_welcomed(struct bench *b);
/* The first QUOTE; the answer is in b->reply. */
void bench_show_key(struct bench *b);
/* Both: a session in use. */
void bench_greet(struct bench *b);
/* ENTRIES [first, first + count); the answer is in b->reply. */
void bench_entries(struct bench *b, size_t first, size_t count, uint64_t floor);
/* Sends all that is not acknowledged. */
void bench_report(struct bench *b);
/* A quote over everything, in b->quote and b->attest, not signed yet. */
void bench_quote(struct bench *b, uint64_t surely);
/* Commitment, qualifying data, signature over what b->quote and b->attest say now. key NULL: the right one. */
void bench_sign(struct bench *b, EVP_PKEY *key);
/* Sends b->quote; after an ACK the chain of commitments moves on. */
void bench_send_quote(struct bench *b);
/* All three, expecting that everything is proven. */
void bench_prove(struct bench *b);
/* WAIT: expects that it is held. */
void bench_wait(struct bench *b);
void bench_pass(struct bench *b, uint64_t us);

struct attester *bench_attester(struct bench *b);
enum wire_state bench_state(struct bench *b);
/* Findings stored with this reason. */
unsigned int bench_findings(struct bench *b, enum reason reason);
/* Events in the outbox of this kind, and with this reason (REASON_NONE: any). */
unsigned int bench_events(struct bench *b, const char *kind, enum reason reason);
void bench_expect_reject(struct bench *b, enum reason reason);
void bench_expect_ack(struct bench *b, uint64_t next, uint64_t proven);
