/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier must not forget, behind a table of operations, so that another backend can stand in. All writes
 * happen between begin and commit; a reply leaves only after the commit that holds what it acknowledges. Views in rows
 * that a callback gets live until it returns. One thread owns a store.
 * Every operation: 0 or a negative errno (-ENOSPC, -EIO, -EBADMSG for a row that does not decode, ...). Callbacks
 * return 0 to go on; anything else ends the walk and is returned. Times are CLOCK_REALTIME in microseconds. */
#pragma once

#include "verifier/attester.h"

#define STORE_SCHEMA 3u

/* What a checked endorsement certificate says; text, cut to fit. */
struct cert_row {
	struct bytes manufacturer, model, version, serial, issuer;
	uint64_t not_after_s;
};

struct attester_row {
	uint8_t id[WIRE_DIGEST_SIZE], ak_name[34];
	struct bytes ak_public, ek_public; /* only add_attester() writes these */
	const char *how;		   /* enrol_how_name(); as above, and each_attester() does not give it */
	struct cert_row cert;		   /* as above */
	uint32_t status;		   /* enum enrol_status; as `changed_real` written by add_attester(), set_enrolment() */
	uint64_t changed_real;
	struct bytes label, kernel;
	uint64_t enrolled_real, deadline_real, last_quote_real;
	uint64_t quotes, heartbeat_quotes, bytes_in, bytes_out, boots, list_length;
	uint64_t boot, claimed; /* numbers, 0: none */
	uint32_t state, state_reason;
	bool stale;
	bool label_given; /* by the operator, not by the host */
	struct bytes judged; /* rejudge_basis(), empty: not known */
};

struct enrolment_row {
	uint8_t id[WIRE_DIGEST_SIZE], ak_name[34];
	struct bytes label, how;
	uint32_t status;
	uint64_t enrolled_real, changed_real;
	bool has_ek;
	struct cert_row cert;
};

/* One decision about an enrolment: never changed, and kept when the attester is forgotten. */
struct enrol_log_row {
	uint64_t seq; /* add_enrol_log() gives it */
	uint64_t time_real;
	uint8_t attester[WIRE_DIGEST_SIZE];
	struct bytes label, action, who, why;
};

struct boot_row {
	uint64_t number;
	uint32_t reset_count, restart_count, bank, form, first_fail, first_warning, uncovered;
	uint64_t clock_ms, next, proven, fails, warnings, unproven_findings, reasons[2];
	bool confirmed, matched;
	struct bytes base;	     /* replay_save() at `proven` */
	struct bytes proven_pcr10;
	struct bytes boot_aggregate; /* algorithm, then the digest; empty: none */
	uint32_t flags;		     /* enum boot_flag */
	struct bytes boot_values;    /* as in struct boot */
	struct bytes learned;	     /* learned_save() */
};

struct block_row {
	uint64_t start; /* first entry that was new */
	uint64_t first; /* first entry of the block */
	uint32_t count;
	struct bytes block;
};

struct quote_row {
	uint64_t proven, seq, surely, clock_ms, received_real;
	struct bytes attest, signature, session, nonce, previous, commitments; /* commitments: one behind the other */
	uint32_t position, pcr_mask, bank;
	struct bytes boot_pcrs;
};

/* A quote that proved what the one before it had proven: only time has passed. Such rows are most of what a fleet at rest
 * writes, so they go one behind the other, wherever the rows of their attester are; settled later, if at all (renewals.c). */
struct renewal_row {
	uint64_t seq; /* ours, ascending */
	uint8_t attester[WIRE_DIGEST_SIZE];
	uint64_t enrolled_real; /* of the attester: it is still the same one */
	uint64_t deadline_real, quotes, heartbeat_quotes, bytes_in, bytes_out; /* the attester's, with this quote */
	uint64_t boot;
	struct quote_row quote; /* pcr_mask, bank and boot_pcrs are not stored: they are those of the quote in its place */
};

struct finding_row {
	uint8_t attester[WIRE_DIGEST_SIZE];
	uint64_t boot, index;
	uint32_t reason, severity;
	uint32_t pcr; /* FINDING_NO_ENTRY: the finding is about a quote or a list, index says how far it was */
	struct bytes template_name, path, digest_alg, digest;
	bool has_context;
	uint32_t pid, uid;
	uint64_t cgroup, mntns;
	struct bytes comm;
	uint64_t found_real, measured_real, proven_real; /* 0: not known, not proven */
	uint64_t event;		/* sequence number of the event that reported it */
};
#define FINDING_NO_ENTRY UINT32_MAX

/* The outbox. An event is a row of the transaction that holds its cause; publishing marks it. */
struct event_row {
	uint64_t seq;	     /* from 1, without gaps */
	uint64_t measured_real; /* when the kernel measured what it is about; 0: not known */
	uint64_t about; /* sequence number of the event that reported the same finding before it was proven; 0: none */
	uint64_t published_real; /* 0: not yet. add_event() ignores it */
	uint64_t about_published_real; /* of `about`; add_event() ignores it */
	struct bytes body;   /* JSON object without its closing brace */
};

/* One generation of a named policy. */
struct policy_row {
	const char *name, *id; /* policy_id() */
	const char *file;      /* "sha256:<hex>" of the file as it was on disk; its bytes are kept under it */
	const char *held;      /* what the file on disk held when this one was rolled back to, "": it is no roll-back */
	const char *signer, *reason, *who;
	struct bytes detached; /* the signature beside the file */
	uint64_t generation, loaded_real;
	uint64_t until_real;   /* 0: in force; else when it stopped or stops being accepted */
	bool kept;	       /* the bytes of the file are here; add_policy() ignores it */
};

struct store;
typedef int (*store_policy_fn)(void *user, const struct policy_row *row);
typedef int (*store_attester_fn)(void *user, const struct attester_row *row);
typedef int (*store_enrolment_fn)(void *user, const struct enrolment_row *row);
typedef int (*store_enrol_log_fn)(void *user, const struct enrol_log_row *row);
typedef int (*store_boot_fn)(void *user, const struct boot_row *row);
typedef int (*store_block_fn)(void *user, const struct block_row *row);
typedef int (*store_renewal_fn)(void *user, const struct renewal_row *row);
typedef int (*store_finding_fn)(void *user, const struct finding_row *row);
typedef int (*store_event_fn)(void *user, const struct event_row *row);

struct store_ops {
	int (*begin)(struct store *s);
	int (*commit)(struct store *s);
	void (*rollback)(struct store *s);
	/* Inside a transaction, and one at a time: what is written behind a savepoint stays (release) or is taken back alone. When
	 * it cannot be, the transaction is to be rolled back. */
	int (*savepoint)(struct store *s);
	int (*release)(struct store *s);
	int (*rollback_to)(struct store *s);
	void (*close)(struct store *s);

	int (*add_attester)(struct store *s, const struct attester_row *row);
	int (*set_attester)(struct store *s, const struct attester_row *row);
	int (*each_attester)(struct store *s, const uint8_t *id, store_attester_fn fn, void *user); /* id NULL: all */

	/* how NULL and cert NULL: as they are. */
	int (*set_enrolment)(struct store *s, const uint8_t *id, uint32_t status, uint64_t changed_real, const char *how,
			     const struct cert_row *cert);
	/* By time of their last change, oldest first. */
	int (*each_enrolment)(struct store *s, store_enrolment_fn fn, void *user);
	/* With all boots; events and the log stay. */
	int (*drop_attester)(struct store *s, const uint8_t *id);
	int (*add_enrol_log)(struct store *s, const struct enrol_log_row *row);
	/* The newest `limit`, oldest first; attester NULL: all. */
	int (*each_enrol_log)(struct store *s, const uint8_t *attester, size_t limit, store_enrol_log_fn fn, void *user);

	int (*set_boot)(struct store *s, const uint8_t *attester, const struct boot_row *row); /* adds or replaces */
	int (*each_boot)(struct store *s, const uint8_t *attester, uint64_t number, store_boot_fn fn, void *user);
	/* with its blocks, quotes and findings */
	int (*drop_boot)(struct store *s, const uint8_t *attester, uint64_t number);

	int (*add_block)(struct store *s, const uint8_t *attester, uint64_t boot, const struct block_row *row);
	/* Blocks that hold entries from `from` on, ascending. */
	int (*each_block)(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t from, store_block_fn fn,
			  void *user);
	/* One for each proven index: the newest. */
	int (*set_quote)(struct store *s, const uint8_t *attester, uint64_t boot, const struct quote_row *row);

	/* Renewals: add with a seq above all others; those with `from` <= seq <= `through`, ascending. */
	int (*add_renewal)(struct store *s, const struct renewal_row *row);
	int (*each_renewal)(struct store *s, uint64_t from, uint64_t through, store_renewal_fn fn, void *user);
	/* Brings the rows of attester, boot and quote up to this renewal, where they are older. */
	int (*settle_renewal)(struct store *s, uint64_t seq);
	/* Drops those with seq <= `through`. */
	int (*drop_renewals)(struct store *s, uint64_t through);

	/* *fresh: false when (attester, boot, index, reason) was there already, then nothing is written. */
	int (*add_finding)(struct store *s, const struct finding_row *row, bool *fresh);
	/* Marks at most `limit` unproven findings about entries below `below` as proven, and gives each to fn. */
	int (*prove_findings)(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t below,
			      uint64_t now_real, size_t limit, store_finding_fn fn, void *user);
	/* Of the newest boots, oldest first. attester NULL: all. */
	int (*each_finding)(struct store *s, const uint8_t *attester, store_finding_fn fn, void *user);
	/* Takes one back: another policy judges otherwise. */
	int (*drop_finding)(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t index, uint32_t reason);
	/* Inside a transaction: takes back the events from `seq` on and this boot's findings that they reported. */
	int (*undo)(struct store *s, const uint8_t *attester, uint64_t boot, uint64_t seq);

	int (*last_event)(struct store *s, uint64_t *seq); /* 0: none */
	int (*add_event)(struct store *s, const struct event_row *row);
	/* Events behind `since`, ascending, at most `limit`. */
	int (*each_event)(struct store *s, uint64_t since, bool unpublished_only, size_t limit, store_event_fn fn,
			  void *user);
	int (*mark_published)(struct store *s, uint64_t seq, uint64_t real);

	int (*add_policy)(struct store *s, const struct policy_row *row);
	int (*set_policy_until)(struct store *s, const char *name, uint64_t generation, uint64_t until_real);
	/* By name, newest first. name NULL: all. */
	int (*each_policy)(struct store *s, const char *name, store_policy_fn fn, void *user);
	/* Forgets this name's generations up to `through`. */
	int (*drop_policies)(struct store *s, const char *name, uint64_t through);
	/* Bytes in parts from 0 without gaps. A file is there once its part 0 is, so whoever needs several transactions
	 * begins with the last. */
	int (*add_policy_part)(struct store *s, const char *file, uint64_t part, struct bytes bytes);
	/* Appends all parts (out NULL: only looks); *found: part 0 is there. */
	int (*get_policy_file)(struct store *s, const char *file, struct writer *out, bool *found);
	/* Drops this file, also when parts are missing. */
	int (*drop_policy_file)(struct store *s, const char *file);
	/* Drops files that no name has among its newest `keep` generations. */
	int (*prune_policy_files)(struct store *s, uint64_t keep);
};

struct store {
	const struct store_ops *ops;
};

static inline void store_close(struct store **s)
{
	struct store *old = TAKE_PTR(*s);

	if (old)
		old->ops->close(old);
}

/* SQLite: a file, created with mode 0600, or ":memory:". One of an older schema is brought to STORE_SCHEMA, as a whole or
 * not at all. *why gets static text or SQLite's own, good until the next call. -EPROTO: the file's schema is newer than
 * this program. */
must_use_ int store_sqlite_open(struct store **out, const char *path, const char **why);
