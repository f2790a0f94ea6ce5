/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier must not forget, behind a table of operations, so that another backend can stand in. All writes
 * happen between begin and commit; a reply leaves only after the commit that holds what it acknowledges. Views in rows
 * that a callback gets live until it returns. One thread owns a store.
 * Every operation: 0 or a negative errno (-ENOSPC, -EIO, -EBADMSG for a row that does not decode, ...). Callbacks
 * return 0 to go on; anything else ends the walk and is returned. Times are CLOCK_REALTIME in microseconds. */
#pragma once

#include "verifier/attester.h"

#define STORE_SCHEMA 1u

struct attester_row {
	uint8_t id[WIRE_DIGEST_SIZE], ak_name[34];
	struct bytes ak_public, ek_public; /* only add_attester() writes these, each_attester() does not give them */
	const char *how;		   /* "ak-list", "first-use"; as above */
	struct bytes label, kernel;
	uint64_t enrolled_real, deadline_real, last_quote_real;
	uint64_t quotes, heartbeat_quotes, bytes_in, bytes_out, boots, list_length;
	uint64_t boot, claimed; /* numbers, 0: none */
	uint32_t state, state_reason;
	bool stale;
};

struct boot_row {
	uint64_t number;
	uint32_t reset_count, restart_count, bank, form, first_fail, first_warning, uncovered;
	uint64_t clock_ms, next, proven, fails, warnings, unproven_findings, reasons[2];
	bool confirmed, matched;
	struct bytes base;	     /* replay_save() at `proven` */
	struct bytes proven_pcr10;
	struct bytes boot_aggregate; /* algorithm, then the digest; empty: none */
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

struct store;
typedef int (*store_attester_fn)(void *user, const struct attester_row *row);
typedef int (*store_boot_fn)(void *user, const struct boot_row *row);
typedef int (*store_block_fn)(void *user, const struct block_row *row);
typedef int (*store_finding_fn)(void *user, const struct finding_row *row);
typedef int (*store_event_fn)(void *user, const struct event_row *row);

struct store_ops {
	int (*begin)(struct store *s);
	int (*commit)(struct store *s);
	void (*rollback)(struct store *s);
	void (*close)(struct store *s);

	int (*add_attester)(struct store *s, const struct attester_row *row);
	int (*set_attester)(struct store *s, const struct attester_row *row);
	int (*each_attester)(struct store *s, const uint8_t *id, store_attester_fn fn, void *user); /* id NULL: all */

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

/* SQLite: a file, created with mode 0600, or ":memory:". *why gets static text or SQLite's own, good until the next
 * call. -EPROTO: the file's schema is newer than this program. */
must_use_ int store_sqlite_open(struct store **out, const char *path, const char **why);
