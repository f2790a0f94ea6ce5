/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to and from bytes (deterministic CBOR, RFC 8949 section 4.2). Numbers: imastream/wire.h. Rules: docs/WIRE.md.
 * Decoded messages hold views into the message bytes. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"
#include "imastream/wire.h"

struct wire_pcr { uint8_t index; struct bytes value; };

struct wire_hello {
	uint32_t version;	     /* WIRE_VERSION */
	uint8_t attester[32];
	struct bytes ak_public, ek_public, ek_cert;
	struct bytes label, kernel;  /* host label and kernel release: only labels */
	uint16_t bank;		     /* TPM_ALG_ID of the quoted bank */
	uint32_t pcr_mask;	     /* PCRs in every quote of this session; contains PCR 10 */
	uint64_t list_length;	     /* entries since boot, now */
	uint32_t reset_count, restart_count; /* hints until the first quote proves them */
	uint32_t flags;		     /* WIRE_HELLO_* */
	uint8_t support;	     /* WIRE_SUPPORT_* */
	struct wire_pcr boot_pcrs[LIMIT_ATTEST_PCRS]; size_t n_boot_pcrs; /* values of the PCRs of pcr_mask other than 10,
								      * ascending by index */
	struct bytes ek_chain;	     /* DER certificates between ek_cert (or iak_cert) and its CA, one behind the other */
	struct bytes iak_cert;	     /* X.509 DER: vouches for ak_public */
	uint64_t list_first;	     /* index of the first entry that can still be sent: the list was trimmed before it */
};
struct wire_entries {
	uint8_t session[16];
	uint64_t first;		     /* index of the first entry of the block, from 0 */
	uint64_t floor;		     /* every QUOTE sent after this message covers at least this many entries */
	struct bytes block;
	uint64_t drops[WIRE_DROP_COUNT]; size_t n_drops; /* ring drop counters by enum event_drop, since start; 0 = all zero */
	uint64_t extend_failures;
	uint32_t rtt_us;	     /* smoothed round trip seen by the collector; 0 = not known yet */
	uint64_t measured;	     /* entries that the kernel counts since boot, now; 0 = not told */
};
struct wire_quote {
	uint8_t session[16];
	uint64_t seq;		     /* from 1 in a session, +1 for each quote */
	uint8_t nonce[32];	     /* the one used; the verifier knows which it gave */
	uint64_t surely;	     /* entries surely extended before TPM2_Quote was called */
	struct bytes attest, signature;
	uint8_t commitments[LIMIT_COMMITMENTS][32]; size_t n_commitments; uint32_t position; /* ours is [position] */
	uint64_t quote_us;	     /* time spent in TPM2_Quote */
	uint64_t age_us;	     /* from the return of TPM2_Quote to sending */
	uint64_t first; struct bytes block; /* entries not yet acknowledged; block.n == 0: none */
	uint32_t rtt_us;
	uint64_t measured;	     /* entries that the kernel counted before TPM2_Quote was called; 0 = not told */
};
struct wire_wait { uint8_t session[16]; };

struct wire_welcome {
	uint8_t session[16], nonce[32];
	uint64_t resume;	     /* send entries from this index */
	struct bytes policy;	     /* policy id */
	uint32_t heartbeat_ms;	     /* the verifier challenges at least this often */
	uint32_t max_message, max_block_entries;
	bool has_reference; uint8_t reference[32]; uint32_t reference_size; /* SHA-256 and bytes of the reference set */
};
struct wire_challenge { struct bytes credential_blob, secret; };
struct wire_activate { struct wire_hello hello; struct bytes secret; };
struct wire_reject { uint32_t reason; struct bytes detail; uint32_t retry_ms; /* 0: do not come back unless changed */ };
struct wire_ack {
	uint64_t next;		     /* entries stored: [0, next) */
	uint64_t proven;
	uint8_t state;		     /* WIRE_STATE_* */
	bool has_nonce; uint8_t nonce[32]; /* newest nonce */
	bool quote_wanted;	     /* the quote did not prove what it should; take another one with the new nonce */
	uint32_t reason;	     /* reason.h: why, 0 = nothing to say */
};
struct wire_resume { uint64_t from; uint32_t reason; };
struct wire_directive {
	uint32_t flags;		     /* WIRE_DIRECTIVE_QUOTE | _GOODBYE | _POLICY */
	bool has_nonce; uint8_t nonce[32];
	struct bytes policy;
	bool has_reference; uint8_t reference[32]; uint32_t reference_size;
};
struct wire_fetch { uint8_t session[16], reference[32]; uint64_t offset; };
struct wire_chunk { uint64_t offset; struct bytes data; };

struct wire_message {
	enum wire_type type;
	union {
		struct wire_hello hello;
		struct wire_activate activate;
		struct wire_entries entries;
		struct wire_quote quote;
		struct wire_wait wait;
		struct wire_welcome welcome;
		struct wire_challenge challenge;
		struct wire_reject reject;
		struct wire_ack ack;
		struct wire_resume resume;
		struct wire_directive directive;
		struct wire_fetch fetch;
		struct wire_chunk chunk;
	};
};

/* Encodes m; deterministic. Failures are the writer's (writer_status): -ENOMEM, -EMSGSIZE past its maximum (give it
 * LIMIT_MESSAGE), or -EINVAL for a message that wire_decode() would refuse, a mistake of the caller. Optional members
 * that have their default value (0, false, empty) are left out. */
void wire_encode(struct writer *w, const struct wire_message *m);

enum wire_decode_outcome {
	WIRE_DECODE_OK = 0,
	WIRE_DECODE_MALFORMED,	 /* not the CBOR we take: indefinite length, not shortest form, keys out of order, trailing bytes */
	WIRE_DECODE_UNKNOWN_TYPE,
	WIRE_DECODE_MISSING,	 /* a required member is absent */
	WIRE_DECODE_RANGE,	 /* a member has the wrong type, size or range */
	WIRE_DECODE_TOO_LARGE,
	WIRE_DECODE_VERSION,	 /* HELLO or ACTIVATE of another version: only out->type and version are filled, the rest is zero */
};
const char *wire_type_name(unsigned int type); /* "HELLO"; "?" for a number that does not exist */

/* Thread-safe, no allocation. Unknown members are skipped (newer peer). *where names the member at fault (static text,
 * "" when it is the message as a whole). *out is untouched unless WIRE_DECODE_OK or WIRE_DECODE_VERSION. */
must_use_ enum wire_decode_outcome wire_decode(struct bytes b, struct wire_message *out, const char **where);

/* The commitment of one verifier's stream position, and the qualifying data of a quote over all of them.
 * Inputs and order: docs/WIRE.md "Commitment". */
struct wire_commitment_inputs {
	uint8_t attester[32], session[16], nonce[32], previous[32];
	uint64_t seq, surely;
};
void wire_commitment(const struct wire_commitment_inputs *in, uint8_t out[32]);
void wire_qualifying(const uint8_t (*commitments)[32], size_t n, uint8_t out[32]);
