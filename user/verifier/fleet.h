/* SPDX-License-Identifier: Apache-2.0 */
/* All attesters in memory, in step with the store: what a batch touches is written back at its end, or, when the batch
 * fails, forgotten and read again. One thread owns a fleet. */
#pragma once

#include "verifier/deadline.h"
#include "verifier/idmap.h"
#include "verifier/store.h"
#include "wire/block.h"

/* Stored renewals: those with first <= seq < next. */
struct renewals {
	uint64_t first, next;
};

/* What rows do not say of an attester, or not by the clock that does not jump. */
struct attester_mark {
	uint64_t deadline_mono, renewal, findings_told[SEVERITY_FAIL + 1];
};

/* An attester that the open transaction changed. */
struct touched {
	struct attester *attester;
	struct attester_mark settled, written; /* as it is stored, without and with the open transaction */
	bool unsaved; /* changed since fleet_save_touched() */
};

struct fleet {
	struct store *store; /* borrowed */
	struct renewals renewals, renewals_committed; /* with and without the open transaction */
	struct idmap by_id, by_session;
	struct idmap by_key; /* both keys of each attester, by their numbers: any number of public areas can be written of one */
	struct deadlines deadlines;
	/* Room for all attesters, so that fleet_touch() cannot fail: resident only as far as one transaction ever touched them. */
	struct touched *touched;
	size_t n_touched, n_unsaved, touched_capacity;
	uint64_t deadline_us; /* of the rules: no deadline is further away than that */
	size_t sessions, spare; /* spare: of these, pending ones beyond the first of each attester */
	struct wire_unpack *unpack;
	struct wire_batch *batch;
};

must_use_ int fleet_init(struct fleet *f, struct store *store, uint64_t seed);
void fleet_clear(struct fleet *f);
/* Reads every attester. */
must_use_ int fleet_load(struct fleet *f, const struct instant *now);
/* Whose attestation or endorsement key this TPMT_PUBLIC is one of, whatever stands around the key in it; NULL: nobody's. */
struct attester *fleet_by_key(const struct fleet *f, struct bytes tpmt_public);
/* What only the store keeps of an attester. */
struct enrol_record {
	struct bytes ak_public, ek_public;
	const char *how;
	struct cert_row cert;
};
/* Adds a new one, in memory and in the store (inside a transaction). Takes *a. */
must_use_ int fleet_enrol(struct fleet *f, struct attester **a, const struct enrol_record *record);
/* Takes one out of memory and frees it; held requests were answered before. Not while a batch is open. */
void fleet_forget(struct fleet *f, struct attester **a);
/* What a session id stands for. */
enum session_kind { SESSION_NONE, SESSION_CURRENT, SESSION_PENDING, SESSION_REPLACED };
/* *out: the session, when it is there. */
enum session_kind fleet_by_session(const struct fleet *f, const uint8_t *id, struct session **out);
/* Opens (takes *s) as the pending one with this number (0: the oldest); there must be a place. */
must_use_ int fleet_open_session(struct fleet *f, struct attester *a, struct session **s, size_t at);
/* A pending session takes over; the one before must have been closed. */
void fleet_promote_session(struct fleet *f, struct session *s);
/* replaced: the old id is remembered, to say so. */
void fleet_close_session(struct fleet *f, struct attester *a, bool replaced);
void fleet_close_pending(struct fleet *f, struct session *s);
/* Fills b->replay from the store when it is not in memory. -EBADMSG: what is stored does not add up. */
must_use_ int fleet_load_boot(struct fleet *f, struct attester *a, struct boot *b);
/* Must precede every change. */
void fleet_touch(struct fleet *f, struct attester *a);
/* Stores a quote of this session, after all that it changes in attester and boot: in its place, or as a renewal when the one before
 * proved the same. */
must_use_ int fleet_keep_quote(struct fleet *f, struct session *s, const struct quote_row *row);
/* Writes what was touched since (inside the transaction). */
must_use_ int fleet_save_touched(struct fleet *f);
/* The same at the end of a transaction; fleet_settle() after the commit. */
must_use_ int fleet_save(struct fleet *f);
void fleet_settle(struct fleet *f);
/* After a rollback (to the savepoint, f->renewals are as they were then): reads again what was touched, or, the second, what
 * was touched since fleet_save_touched(). Its sessions are gone; held requests were taken out before. Negative errno: the store does
 * not read, and who could not be read is not in memory: this fleet must not go on. */
must_use_ int fleet_revert(struct fleet *f, const struct instant *now);
must_use_ int fleet_revert_unsaved(struct fleet *f, const struct instant *now);

/* ---- between fleet.c, fleet_save.c and renewals.c ---- */

/* Views into a. */
struct attester_row fleet_row(const struct attester *a);
/* Writes what is not stored yet: of a fleet at rest nothing, for its quotes are stored as renewals. Bytes alone are not worth the
 * pages of a transaction, they are written with what comes next. */
must_use_ int fleet_save_one(struct fleet *f, struct attester *a);

/* The deadline as stored, on the clock that does not jump, too. */
void fleet_set_deadline(struct fleet *f, struct attester *a, uint64_t deadline_real, const struct instant *now);

/* Some of the oldest renewals, when there are many: dropped, or settled where nothing newer of their attester is stored. */
must_use_ int renewals_fold(struct fleet *f);
/* Those of all attesters to memory, at start. */
must_use_ int renewals_load(struct fleet *f, const struct instant *now);
/* The one with this seq, which is that attester's (after it was read from its rows). */
must_use_ int renewals_load_one(struct fleet *f, const uint8_t *id, uint64_t seq, const struct instant *now);
