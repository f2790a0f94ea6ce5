/* SPDX-License-Identifier: Apache-2.0 */
/* One verifier, or a fail-over group of which one is used: what was said, what is owed, when to come back. A state
 * machine without sockets, clock or TPM: the pipeline sends what it asks for and hands in what came. One thread.
 *
 *             retry time            WELCOME                        ACK, RESUME
 *   WAITING ------------> GREETING ---------> STREAMING --------------------------.
 *      ^                    |                  |   ^______________________________|
 *      '---- failure -------'--- REJECT, silence, goodbye (session-unknown: GREETING at once)
 *
 * In GREETING, HELLO may be answered with CHALLENGE: the TPM's work, then ACTIVATE, then as after HELLO.
 * In STREAMING, the first evidence is a QUOTE; only then there are ENTRIES.
 *
 * Three slots: evidence (HELLO, ACTIVATE, ENTRIES, QUOTE: one at a time), WAIT (the verifier's long poll), and FETCH, which never
 * holds up the others. */
#pragma once

#include "tpm/device.h"
#include "wire/msg.h"
#include "wire/reference.h"

#define PEER_NAME_MAX 256u
#define PEER_RETRY_FIRST_US 250000u
#define PEER_RETRY_MAX_US 30000000u
#define PEER_HELLO_TIMEOUT_MS 60000u	  /* while nobody is there it waits in the socket, which dials by itself */
#define PEER_FIRST_TIMEOUT_MS 5000u	  /* the first HELLO; all, when another could stand in */
#define PEER_SHORT_TURNS 8u /* without anybody there, in a group; then turns become longer */
#define PEER_EVIDENCE_TIMEOUT_MS 15000u
#define PEER_LOST_US 3000000u /* a connection that went and is not back by then: tell people, or try the next one */
#define PEER_WAIT_GRACE_MS 10000u /* over two heartbeats */

enum peer_state { PEER_WAITING, PEER_GREETING, PEER_STREAMING };
enum peer_request { PEER_NOTHING, PEER_HELLO, PEER_ACTIVATE, PEER_ENTRIES, PEER_QUOTE, PEER_WAIT, PEER_FETCH };

enum peer_activation_stage {
	PEER_ACTIVATION_NONE,
	PEER_ACTIVATION_WANTED,	 /* a CHALLENGE waits for the TPM */
	PEER_ACTIVATION_WORKING, /* the TPM works */
	PEER_ACTIVATION_READY,	 /* the secret is to be sent */
};

struct peer_activation {
	enum peer_activation_stage stage;
	uint32_t serial; /* of the CHALLENGE: a result for an older one is dropped */
	uint8_t blob[LIMIT_CREDENTIAL], encrypted[LIMIT_CREDENTIAL];
	size_t blob_n, encrypted_n;
	uint8_t secret[LIMIT_CREDENTIAL_SECRET];
	size_t secret_n;
	/* A verifier must not keep the TPM busy: these outlive sessions and answers. */
	unsigned int recent; /* activations without a long pause between */
	uint64_t last_us, not_before_us;
};

enum peer_quote_stage {
	PEER_QUOTE_NONE,
	PEER_QUOTE_TAKING, /* the TPM works */
	PEER_QUOTE_READY,  /* to be sent, or to be sent again */
	PEER_QUOTE_SENT,
};

struct peer_quote {
	enum peer_quote_stage stage;
	bool first_time; /* not sent before */
	uint64_t seq, surely;
	uint64_t covered; /* entries that were known when TPM2_Quote started */
	uint64_t measured; /* entries that the kernel counted then */
	uint64_t end;	  /* every entry that it can cover lies below */
	uint8_t nonce[WIRE_NONCE_SIZE];
	uint8_t commitment[WIRE_DIGEST_SIZE];
	uint8_t commitments[LIMIT_COMMITMENTS][WIRE_DIGEST_SIZE];
	size_t n_commitments;
	uint32_t position;
	struct tpm_quote quote;
	uint64_t quote_us, returned_us;
};

enum peer_set_stage {
	PEER_SET_NONE,
	PEER_SET_NAMED,	   /* is it here already? */
	PEER_SET_FETCHING,
	PEER_SET_COMPLETE, /* all bytes came: are they the set? */
	PEER_SET_READY,
	PEER_SET_REFUSED,
};

/* The reference set that the verifier named last. */
struct peer_set {
	enum peer_set_stage stage;
	uint8_t digest[WIRE_DIGEST_SIZE];
	uint32_t size;
	struct writer got; /* so far */
	uint64_t not_before_us;
	unsigned int failures;
};

struct peer_counters {
	uint64_t hellos, activations, batches, quotes, resumes, reconnects, rejects, directives;
};

struct peer {
	char name[PEER_NAME_MAX]; /* the URL in use, for messages */
	bool poll_mode;
	bool group; /* others can stand in: come back to the next one */
	enum peer_state state;
	uint64_t retry_us;
	unsigned int failures; /* in a row, until an ACK */
	unsigned int resets;   /* connections lost under a request, in a row */
	bool next_url;	       /* take the next one of the group before the next HELLO; of one: another socket */
	bool drop_evidence, drop_wait, drop_fetch; /* what is pending there is void: cancel it */
	bool redial;
	uint64_t random; /* state of the jitter's generator */

	enum peer_request evidence; /* pending in the evidence slot */
	uint64_t evidence_sent_us;
	uint64_t evidence_next; /* index behind the entries of the pending message */
	uint32_t evidence_set;	/* number of the reference set that its block may need; 0: none */
	bool waiting;		/* WAIT is pending */
	uint64_t lost_us;	/* the connection went then and is not back; 0: it is, or that was told */
	bool lost_told;
	uint64_t wait_not_before_us;

	struct peer_set set;
	bool fetching; /* FETCH is pending */
	uint64_t fetch_due_us; /* of another set, at an even pace */
	bool drop_set; /* the verifier does not have the set that is in use */

	struct peer_activation activation;
	unsigned int same_rejects; /* REJECTs for the same reason in a row: told ever more rarely */
	uint32_t last_reject;

	uint8_t session[WIRE_SESSION_SIZE];
	bool authenticated; /* the verifier has taken a QUOTE of this session: it takes ENTRIES now */
	uint8_t nonce[WIRE_NONCE_SIZE];
	bool nonce_fresh;
	uint64_t cursor; /* the verifier has the entries below */
	uint64_t proven;
	uint64_t covered; /* entries that were known when the newest quote started */
	uint64_t demand_us; /* a quote is asked for since, or from, then; 0: not */
	unsigned int unproven_rounds; /* quotes in a row that did not prove what they should */
	unsigned int resumes_in_a_row;
	struct peer_quote quote;
	uint64_t quote_seq;
	uint8_t previous[WIRE_DIGEST_SIZE]; /* commitment that was sent last in this session */
	uint32_t heartbeat_ms, max_message, max_block_entries;
	uint64_t last_batch_us;
	uint32_t rtt_us;
	uint8_t verdict; /* enum wire_state, as the verifier said last */
	bool verdict_known;
	struct peer_counters counters;
};

void peer_init(struct peer *p, const char *name, bool poll_mode, bool group, uint64_t seed);
void peer_clear(struct peer *p);

/* The next URL of the group: what the verifier before this one had and said is not known of this one. */
void peer_moved(struct peer *p, const char *name);

/* What the evidence slot should carry now; PEER_ENTRIES means that it is free for a batch, if one is due. While the session
 * is not authenticated there is only PEER_QUOTE, with entries only if they reach `surely`. */
enum peer_request peer_wants(const struct peer *p, uint64_t now);
bool peer_wants_wait(const struct peer *p, uint64_t now);
/* Next time to ask again although nothing happened; 0: none. */
uint64_t peer_wake_at(const struct peer *p);
/* Milliseconds to give a request. */
uint32_t peer_timeout_ms(const struct peer *p, enum peer_request request);

/* The message went into its slot. `next`: index behind its entries. */
void peer_sent(struct peer *p, enum peer_request request, uint64_t next, uint64_t now);
/* An answer to the pending message of the slot (evidence, or WAIT). */
void peer_answer(struct peer *p, bool wait_slot, struct bytes message, uint64_t now);
/* No answer: a negative errno of the transport. */
void peer_failed(struct peer *p, bool wait_slot, int status, bool connected, uint64_t now);

/* Whether a CHALLENGE waits for the TPM. peer_activate_begin() when it starts to work on p->activation; the result comes with
 * the serial of that moment: 0 and the secret, positive when the TPM refuses the credential, or a negative errno; `what` is
 * the TPM's text. */
bool peer_wants_activation(const struct peer *p);
void peer_activate_begin(struct peer *p);
void peer_activated(struct peer *p, uint32_t serial, int status, struct bytes secret, const char *what, uint64_t took_us,
		    uint64_t now);

/* What becomes of a set that is PEER_SET_NAMED or PEER_SET_COMPLETE: it is here; it must be fetched; it cannot be used. */
void peer_set_ready(struct peer *p);
void peer_set_fetch(struct peer *p, uint64_t now);
void peer_set_refuse(struct peer *p, uint64_t now);
/* Its slot is free for a FETCH, which is this one. peer_sent(), then one of the next two. */
bool peer_wants_fetch(const struct peer *p, uint64_t now);
void peer_fetch_message(const struct peer *p, struct wire_message *m);
void peer_fetch_answer(struct peer *p, struct bytes message, uint64_t now);
void peer_fetch_failed(struct peer *p, uint64_t now);

/* Whether there is a connection, whenever that may have changed. */
void peer_connection(struct peer *p, bool connected, uint64_t now);
/* The time that peer_wake_at() named has come, or any other. */
void peer_tick(struct peer *p, uint64_t now);

/* We cannot give what it asks for: leave the session and come back much later. */
void peer_give_up(struct peer *p, uint64_t now);

/* Since when a quote for this peer is wanted that could start now; 0: none, or it cannot take one now (no session, one
 * is on its way, no fresh nonce). `end`: entries known; `arrived_us`: arrival of the entry with index p->covered. */
uint64_t peer_quote_wanted(const struct peer *p, uint64_t end, uint64_t arrived_us);
/* True: asked for by the verifier, the session's start or a timer, rather than by an entry. */
bool peer_quote_demanded(const struct peer *p);
bool peer_can_quote(const struct peer *p);
/* Asks for a quote from `at` on (heartbeat, poll timer). */
void peer_demand(struct peer *p, uint64_t at);
/* A quote starts for this peer, whose commitment goes to *out, at `position` among those of all peers. `known`: entries
 * known now; `surely`: entries surely extended; `measured`: what the kernel counts. */
void peer_quote_begin(struct peer *p, const uint8_t attester[WIRE_DIGEST_SIZE], uint64_t surely, uint64_t known,
		      uint64_t measured, uint32_t position, uint8_t out[WIRE_DIGEST_SIZE]);
/* It is there: commitments, quote and times are copied from `taken`; `end` as in struct peer_quote. */
void peer_quote_taken(struct peer *p, const struct peer_quote *taken, uint64_t end);
void peer_quote_failed(struct peer *p, uint64_t now);
