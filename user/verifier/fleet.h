/* SPDX-License-Identifier: Apache-2.0 */
/* All attesters in memory, in step with the store: what a batch touches is written back at its end, or, when the batch
 * fails, forgotten and read again. One thread owns a fleet. */
#pragma once

#include "verifier/deadline.h"
#include "verifier/idmap.h"
#include "verifier/store.h"
#include "wire/block.h"

struct fleet {
	struct store *store; /* borrowed */
	struct idmap by_id, by_ak, by_session;
	struct deadlines deadlines;
	struct attester *touched;
	size_t sessions;
	struct wire_unpack *unpack;
};

must_use_ int fleet_init(struct fleet *f, struct store *store, uint64_t seed);
void fleet_clear(struct fleet *f);
/* Reads every attester. */
must_use_ int fleet_load(struct fleet *f, const struct instant *now);
/* *out: the attester with this id, read from the store when it is not in memory; NULL: there is none. */
must_use_ int fleet_find(struct fleet *f, const uint8_t *id, const struct instant *now, struct attester **out);
/* Adds a new one, in memory and in the store (inside a transaction). Takes *a. */
must_use_ int fleet_enrol(struct fleet *f, struct attester **a, struct bytes ak_public, struct bytes ek_public,
			  const char *how);
/* What a session id stands for. */
enum session_kind { SESSION_NONE, SESSION_CURRENT, SESSION_PENDING, SESSION_REPLACED };
enum session_kind fleet_by_session(const struct fleet *f, const uint8_t *id, struct attester **out);
/* Opens (takes *s) as the pending one, in place of an older pending one. */
must_use_ int fleet_open_session(struct fleet *f, struct attester *a, struct session **s);
/* The pending session takes over; the one before must have been closed. */
void fleet_promote_session(struct fleet *f, struct attester *a);
/* replaced: the old id is remembered, to say so. */
void fleet_close_session(struct fleet *f, struct attester *a, bool replaced);
void fleet_close_pending(struct fleet *f, struct attester *a);
/* Fills b->replay from the store when it is not in memory. -EBADMSG: what is stored does not add up. */
must_use_ int fleet_load_boot(struct fleet *f, struct attester *a, struct boot *b);
/* Must precede every change. */
void fleet_touch(struct fleet *f, struct attester *a);
/* Writes what was touched (inside the transaction); fleet_settle() after the commit. */
must_use_ int fleet_save(struct fleet *f);
void fleet_settle(struct fleet *f);
/* After a rollback: reads again what was touched. Its sessions are gone; held requests were taken out before. */
void fleet_revert(struct fleet *f, const struct instant *now);
