/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier knows of one attester: identity, boots, session. Data and ownership only; the stages work on it
 * (stages.h). One thread owns all of it. Times: `mono` CLOCK_BOOTTIME, which never goes back and counts what the verifier itself
 * slept through, `real` CLOCK_REALTIME, both microseconds. */
#pragma once

#include "imastream/reason.h"
#include "policy/learned.h"
#include "tpm/attest.h"
#include "verifier/references.h"
#include "verifier/replay.h"
#include "wire/msg.h"

struct instant {
	uint64_t mono, real;
};

struct instant instant_now(void);

/* What a boot's list showed; numbers are stored. */
enum boot_flag {
	BOOT_KEXEC_PREPARED = 1,  /* a kexec was measured before it happened: entries may be lost behind it */
	BOOT_IMA_POLICY_SEEN = 2, /* a measured IMA policy */
};
/* Stored: numbers stay. */
enum enrol_status { ENROL_PENDING = 0, ENROL_ENROLLED = 1, ENROL_REJECTED = 2, ENROL_REVOKED = 3 };

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
	uint64_t by_before;  /* entries that only the policy before accepts, as far as is known since start */
	uint32_t uncovered;  /* PCRs already reported as pcr-uncovered */
	struct {
		enum hash_alg alg;
		uint8_t size, value[HASH_MAX_SIZE];
	} boot_aggregate; /* size 0: not seen, or not judged */
	uint32_t flags;	  /* enum boot_flag */
	/* Values of PCRs that no entry names, proven by a quote: mask (32 bits, big-endian), then hash_size(bank) bytes each,
	 * ascending. Empty before the first proof. */
	struct writer boot_values;
	struct learned *learned; /* keys learned from its list; NULL: none */
};

#define OLD_NONCE_SIZE 8u /* of a nonce, what tells it apart: which of two reasons is told depends on it, nothing else */
/* An honest host may be in the middle of a quote over any nonce that was the newest since its last QUOTE came in: the answer
 * to that one, one that a heartbeat gave (rounds.c gives no second one before a QUOTE comes in), one that a newcomer's HELLO
 * brought about (takeover.c), and one from before that crossed the answer on its way. */
#define SESSION_NONCES 4u

struct nonce {
	uint8_t value[WIRE_NONCE_SIZE];
	uint64_t issued_mono, issued_real;
	bool given, used, challenge; /* challenge: given by a heartbeat */
};

struct session {
	uint8_t id[WIRE_SESSION_SIZE];
	struct attester *attester;
	uint8_t hello[WIRE_DIGEST_SIZE]; /* SHA-256 of the message that opened it */
	bool pending;		 /* has not shown its key yet */
	uint64_t peer;		 /* connection of the HELLO that opened it */
	struct boot *boot;	 /* borrowed: attester->boot or ->claimed; or ours, as long as the session is pending */
	bool owns_boot;
	char *kernel; /* as HELLO told; the attester's once the session has shown its key, then NULL */
	uint64_t list_length;
	struct ak ak;
	enum hash_alg bank;
	uint32_t pcr_mask;
	uint8_t *boot_pcrs;	 /* hash_size(bank) bytes for each PCR of the mask other than 10, ascending */
	struct nonce nonce[SESSION_NONCES]; /* newest first */
	uint64_t seq;		 /* of the newest quote taken in */
	uint8_t previous[WIRE_DIGEST_SIZE]; /* its commitment */
	struct wire_ack answer;	 /* its answer, for a resend */
	uint64_t challenged_mono; /* last DIRECTIVE with a challenge */
	uint64_t floor;
	bool list_short;	 /* HELLO told of fewer entries than were proven of this boot then */
	uint32_t restart_count;	 /* of its first accepted quote */
	bool quoted;		 /* there was one */
	uint32_t flags, support;
	uint64_t since_real;
	uint32_t reference_told; /* number of the reference set that it was told of last; 0: none */
	uint64_t *drops;	 /* WIRE_DROP_COUNT; NULL: nothing was ever dropped */
	size_t n_drops;		 /* as many were told */
	uint64_t extend_failures;
	uint64_t measured;	 /* entries that the kernel counted, as told last; 0: not told */
	uint64_t kept_boot, kept_proven; /* what the newest of its quotes that is stored in its place proved; 0: none is */
	uint64_t owed;		 /* as told by the newest accepted quote: they are here by the next one */
	void *wait;		 /* token of the held WAIT request, NULL: none */
	/* A newcomer with the same key came then, and this session was asked to prove itself (takeover.c); 0: none. */
	uint64_t contested_mono, defended_mono;
	uint64_t rival_mono, rival_last_mono; /* HELLO of the first newcomer that showed the key, and when the last one did */
};

/* Refusals are told again after a while, each kind for itself: what anybody can bring about must not silence what a key has shown. */
enum refused { REFUSED_HELLO, REFUSED_TRIMMED, REFUSED_DUPLICATE, REFUSALS };

struct attester {
	uint8_t id[WIRE_DIGEST_SIZE];
	uint8_t ak_name[34];
	uint8_t ak_key[WIRE_DIGEST_SIZE], ek_key[WIRE_DIGEST_SIZE]; /* tpm_public_numbers() */
	bool has_ek;
	char *label, *kernel;	 /* foreign bytes, at most LIMIT_LABEL; never NULL */
	bool label_given;	 /* by the operator when it was enrolled: only then the label may choose its policy */
	uint64_t policy_of;	 /* pipeline_policy(): for which set of rules `policy` was looked up, 0: none */
	size_t policy;		 /* place of its policy + 1; 0: none */
	uint8_t judged[WIRE_DIGEST_SIZE]; /* rejudge_basis() of what judged its stored entries, all of them */
	enum enrol_status status;
	uint64_t enrolled_real, changed_real;
	uint64_t refused_mono[REFUSALS]; /* when such a one was told last; 0: never */
	uint64_t list_length;	 /* as claimed by the newest HELLO or implied by entries */
	struct boot *boot;	 /* the newest confirmed one, or the first ever */
	struct boot *claimed;	 /* announced, not proven; NULL: none */
	uint64_t boots;		 /* number of the newest */
	struct session *session; /* in use: it has shown its key */
	/* Opened by HELLO, take over with their first good QUOTE: until then anybody who knows the public key could have sent
	 * it, and they change nothing. One for each connection, so that nobody can take away another one's; oldest first. */
	struct session **pending;
	size_t n_pending;	 /* at most LIMIT_PENDING_SESSIONS */
	uint8_t old_session[WIRE_SESSION_SIZE]; /* replaced last */
	uint8_t old_nonce[SESSION_NONCES][OLD_NONCE_SIZE];
	bool has_old, has_old_nonces; /* the id is still in the map; the nonces are filled */
	enum wire_state state;	 /* as last told */
	enum reason state_reason;
	bool stale;
	uint64_t findings_told[SEVERITY_FAIL + 1]; /* since start, or since a boot was confirmed; by severity */
	uint64_t deadline_real, deadline_mono;
	uint64_t fresh_mono;	 /* when the nonce of the newest proof was given; 0: none since start */
	uint64_t last_quote_real, quotes, heartbeat_quotes;
	uint64_t bytes_in, bytes_out;
	struct reference_share share;
	/* fleet.c, renewals.c: what the store has of it */
	uint8_t saved[WIRE_DIGEST_SIZE]; /* hash over what its rows say, but what each quote changes; zeros: not known */
	uint64_t saved_quotes, saved_deadline; /* of that, what is stored, in its rows or in a renewal */
	uint64_t renewal; /* its newest; 0: none since start */
	uint64_t due_mono;	 /* deadline.c: next time to look at it */
	size_t due_slot;	 /* deadline.c: place in the heap + 1; 0: not in it */
	size_t touched_slot;	 /* fleet.c: place among what the open transaction changed + 1; 0: not in it */
};

/* NULL: no memory. */
struct boot *boot_new(uint64_t number, enum hash_alg bank, enum replay_form form);
void boot_free(struct boot **b);
/* Gives back what its values do not need: they are kept for long, and rarely become longer. */
void boot_fit(struct boot *b);
/* The proven value of a boot PCR; empty when there is none. */
struct bytes boot_value(const struct boot *b, unsigned int pcr);
/* Wipes; the held WAIT must have been answered or dropped. */
void session_free(struct session **s);
/* Both texts are cut at LIMIT_LABEL and at a NUL. NULL: no memory. */
struct attester *attester_new(struct bytes label, struct bytes kernel);
void attester_free(struct attester **a);
/* The boot that the session is on, else the newest confirmed one; NULL before the first HELLO. */
struct boot *attester_boot(const struct attester *a);
