/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier knows of one attester: identity, boots, session. Data and ownership only; the stages work on it
 * (stages.h). One thread owns all of it. Times: `mono` CLOCK_MONOTONIC, `real` CLOCK_REALTIME, both microseconds. */
#pragma once

#include "imastream/reason.h"
#include "tpm/attest.h"
#include "verifier/replay.h"
#include "wire/msg.h"

struct instant {
	uint64_t mono, real;
};

struct instant instant_now(void);

/* One boot of an attester: everything between two TPM resets. */
struct boot {
	uint64_t number; /* ours, from 1: reset counters may repeat after TPM2_Clear */
	uint32_t reset_count, restart_count;
	uint64_t clock_ms; /* TPM clock of the newest accepted quote */
	bool confirmed;	   /* a quote of this boot proved the reset count */
	bool matched;	   /* a quote was reached by the list at least once */
	enum hash_alg bank;
	enum replay_form form;
	uint64_t next, proven;
	uint64_t unproven_bytes; /* of blocks behind `proven`, once `loaded` */
	uint8_t proven_pcr10[HASH_MAX_SIZE];
	struct writer proven_values; /* replay_save() at `proven` */
	bool loaded;	   /* `replay` holds [proven, next); else it is built from the store when a session opens */
	struct replay replay;
	uint64_t fails, warnings, unproven_findings;
	enum reason first_fail, first_warning;
	uint64_t reasons[2]; /* bit per reason number, < 128 */
	uint32_t uncovered;  /* PCRs already reported as pcr-uncovered */
	struct {
		enum hash_alg alg;
		uint8_t size, value[HASH_MAX_SIZE];
	} boot_aggregate; /* size 0: not seen, or not judged */
};

struct nonce {
	uint8_t value[WIRE_NONCE_SIZE];
	uint64_t issued_mono, issued_real;
	bool given, used, challenge; /* challenge: given by a heartbeat */
};

struct session {
	uint8_t id[WIRE_SESSION_SIZE];
	struct attester *attester;
	uint8_t hello[WIRE_DIGEST_SIZE]; /* SHA-256 of the message that opened it */
	struct boot *boot;	 /* borrowed: attester->boot or ->claimed */
	struct ak ak;
	enum hash_alg bank;
	uint32_t pcr_mask;
	uint8_t *boot_pcrs;	 /* hash_size(bank) bytes for each PCR of the mask other than 10, ascending */
	struct nonce nonce[2];	 /* newest, and the one before */
	uint64_t seq;		 /* of the newest quote taken in */
	uint8_t previous[WIRE_DIGEST_SIZE]; /* its commitment */
	struct wire_ack answer;	 /* its answer, for a resend */
	uint64_t challenged_mono; /* last DIRECTIVE with a challenge */
	uint64_t floor;
	uint32_t flags, support;
	uint64_t since_real;
	uint64_t drops[WIRE_DROP_COUNT], extend_failures;
	size_t n_drops;
	void *wait;		 /* token of the held WAIT request, NULL: none */
};

struct attester {
	uint8_t id[WIRE_DIGEST_SIZE];
	uint8_t ak_name[34];
	char label[LIMIT_LABEL + 1], kernel[LIMIT_LABEL + 1]; /* foreign bytes, NUL-terminated */
	uint64_t enrolled_real;
	uint64_t list_length;	 /* as claimed by the newest HELLO or implied by entries */
	struct boot *boot;	 /* the newest confirmed one, or the first ever */
	struct boot *claimed;	 /* announced, not proven; NULL: none */
	uint64_t boots;		 /* number of the newest */
	struct session *session; /* in use */
	struct session *pending; /* opened by the newest HELLO, takes over with its first message: a HELLO that comes
				  * twice or late replaces nothing */
	uint8_t old_session[WIRE_SESSION_SIZE]; /* replaced last */
	uint8_t old_nonce[2][WIRE_NONCE_SIZE];
	bool has_old, has_old_nonces; /* the id is still in the map; the nonces are filled */
	enum wire_state state;	 /* as last told */
	enum reason state_reason;
	bool stale;
	uint64_t findings_told[SEVERITY_FAIL + 1]; /* since start, or since a boot was confirmed; by severity */
	uint64_t deadline_real, deadline_mono;
	uint64_t fresh_mono;	 /* when the nonce of the newest proof was given; 0: none since start */
	uint64_t last_quote_real, quotes, heartbeat_quotes;
	uint64_t bytes_in, bytes_out;
	uint64_t due_mono;	 /* deadline.c: next time to look at it */
	size_t due_slot;	 /* deadline.c: place in the heap + 1; 0: not in it */
	bool touched;		 /* pipeline.c: changed by the batch that is open */
	struct attester *touched_next;
};

/* NULL: no memory. */
struct boot *boot_new(uint64_t number, enum hash_alg bank, enum replay_form form);
void boot_free(struct boot **b);
/* Wipes; the held WAIT must have been answered or dropped. */
void session_free(struct session **s);
void attester_free(struct attester **a);
/* The boot that the session is on, else the newest confirmed one; NULL before the first HELLO. */
struct boot *attester_boot(const struct attester *a);
