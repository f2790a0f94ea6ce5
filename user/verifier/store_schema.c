// SPDX-License-Identifier: Apache-2.0
/* Tables of the SQLite store. Rows of `boots` are small and rewritten with each batch; blocks and quotes are the
 * evidence as received, enough to check everything again offline. */
#include "verifier/store_sqlite.h"

const char store_sqlite_schema[] =
	"CREATE TABLE attesters ("
	" id BLOB NOT NULL PRIMARY KEY, ak_name BLOB NOT NULL UNIQUE, ak_public BLOB NOT NULL, ek_public BLOB NOT NULL,"
	" how TEXT NOT NULL, label BLOB NOT NULL, kernel BLOB NOT NULL, enrolled INTEGER NOT NULL,"
	" deadline INTEGER NOT NULL, last_quote INTEGER NOT NULL, quotes INTEGER NOT NULL,"
	" heartbeat_quotes INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,"
	" boots INTEGER NOT NULL, list_length INTEGER NOT NULL, boot INTEGER NOT NULL, claimed INTEGER NOT NULL,"
	" state INTEGER NOT NULL, state_reason INTEGER NOT NULL, stale INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE boots ("
	" attester BLOB NOT NULL, boot INTEGER NOT NULL, reset_count INTEGER NOT NULL, restart_count INTEGER NOT NULL,"
	" bank INTEGER NOT NULL, form INTEGER NOT NULL, first_fail INTEGER NOT NULL, first_warning INTEGER NOT NULL,"
	" uncovered INTEGER NOT NULL, clock INTEGER NOT NULL, next INTEGER NOT NULL, proven INTEGER NOT NULL,"
	" fails INTEGER NOT NULL, warnings INTEGER NOT NULL, unproven INTEGER NOT NULL, reasons_low INTEGER NOT NULL,"
	" reasons_high INTEGER NOT NULL, confirmed INTEGER NOT NULL, matched INTEGER NOT NULL, base BLOB NOT NULL, "
	"proven_pcr10 BLOB NOT NULL,"
	" boot_aggregate BLOB NOT NULL, PRIMARY KEY (attester, boot)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE blocks ("
	" attester BLOB NOT NULL, boot INTEGER NOT NULL, start INTEGER NOT NULL, first INTEGER NOT NULL,"
	" count INTEGER NOT NULL, block BLOB NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX blocks_by_start ON blocks (attester, boot, start);"
	"CREATE TABLE quotes ("
	" attester BLOB NOT NULL, boot INTEGER NOT NULL, proven INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" surely INTEGER NOT NULL, clock INTEGER NOT NULL, received INTEGER NOT NULL, attest BLOB NOT NULL,"
	" signature BLOB NOT NULL, session BLOB NOT NULL, nonce BLOB NOT NULL, previous BLOB NOT NULL,"
	" commitments BLOB NOT NULL, position INTEGER NOT NULL, pcr_mask INTEGER NOT NULL, bank INTEGER NOT NULL,"
	" boot_pcrs BLOB NOT NULL, PRIMARY KEY (attester, boot, proven)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE findings ("
	" attester BLOB NOT NULL, boot INTEGER NOT NULL, idx INTEGER NOT NULL, reason INTEGER NOT NULL,"
	" severity INTEGER NOT NULL, pcr INTEGER NOT NULL, template BLOB NOT NULL, path BLOB NOT NULL,"
	" digest_alg BLOB NOT NULL, digest BLOB NOT NULL, has_context INTEGER NOT NULL, pid INTEGER NOT NULL,"
	" uid INTEGER NOT NULL, cgroup INTEGER NOT NULL, mntns INTEGER NOT NULL, comm BLOB NOT NULL,"
	" found INTEGER NOT NULL, measured INTEGER NOT NULL, proven INTEGER NOT NULL, event INTEGER NOT NULL,"
	" PRIMARY KEY (attester, boot, idx, reason)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX findings_unproven ON findings (attester, boot, idx) WHERE proven = 0;"
	"CREATE TABLE events ("
	" seq INTEGER PRIMARY KEY, measured INTEGER NOT NULL, about INTEGER NOT NULL, published INTEGER,"
	" body TEXT NOT NULL) STRICT;"
	"CREATE INDEX events_unpublished ON events (seq) WHERE published IS NULL;"
	"PRAGMA user_version = 1;";

#define ATTESTER_COLUMNS                                                                                               \
	"id, ak_name, label, kernel, enrolled, deadline, last_quote, quotes, heartbeat_quotes, bytes_in, bytes_out, "  \
	"boots, "                                                                                                      \
	"list_length, boot, claimed, state, state_reason, stale"
#define FINDING_COLUMNS                                                                                                \
	"f.attester, f.boot, f.idx, f.reason, f.severity, f.pcr, f.template, f.path, f.digest_alg, f.digest, "         \
	"f.has_context, "                                                                                              \
	"f.pid, f.uid, f.cgroup, f.mntns, f.comm, f.found, f.measured, f.proven, f.event"
#define EVENT_COLUMNS \
	"e.seq, e.measured, e.about, e.published, (SELECT a.published FROM events a WHERE a.seq = e.about), e.body"

const char *const store_sqlite_statements[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[ADD_ATTESTER] = "INSERT INTO attesters (" ATTESTER_COLUMNS ", ak_public, ek_public, how) "
			 "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[SET_ATTESTER] =
		"UPDATE attesters SET label=?3, kernel=?4, deadline=?6, last_quote=?7, quotes=?8, heartbeat_quotes=?9, "
		"bytes_in=?10, bytes_out=?11, boots=?12, list_length=?13, boot=?14, claimed=?15, state=?16, "
		"state_reason=?17, stale=?18 WHERE id=?1 AND ak_name=?2 AND enrolled=?5",
	[GET_ATTESTERS] = "SELECT " ATTESTER_COLUMNS " FROM attesters",
	[GET_ATTESTER] = "SELECT " ATTESTER_COLUMNS " FROM attesters WHERE id=?",
	[SET_BOOT] =
		"INSERT OR REPLACE INTO boots (attester, boot, reset_count, restart_count, bank, form, first_fail, "
		"first_warning, uncovered, clock, next, proven, fails, warnings, unproven, reasons_low, reasons_high, "
		"confirmed, matched, base, proven_pcr10, boot_aggregate) "
		"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[GET_BOOT] = "SELECT attester, boot, reset_count, restart_count, bank, form, first_fail, first_warning, "
		     "uncovered, clock, "
		     "next, proven, fails, warnings, unproven, reasons_low, reasons_high, confirmed, matched, base, "
		     "proven_pcr10, "
		     "boot_aggregate FROM boots WHERE attester=? AND boot=?",
	[DROP_BOOT] = "DELETE FROM boots WHERE attester=? AND boot=?",
	[DROP_BLOCKS] = "DELETE FROM blocks WHERE attester=? AND boot=?",
	[DROP_QUOTES] = "DELETE FROM quotes WHERE attester=? AND boot=?",
	[DROP_FINDINGS] = "DELETE FROM findings WHERE attester=? AND boot=?",
	[ADD_BLOCK] = "INSERT INTO blocks (attester, boot, start, first, count, block) VALUES (?,?,?,?,?,?)",
	/* blocks cover [start of this, start of the next) without a gap: begin with the one that holds entry ?3 */
	[GET_BLOCKS] = "SELECT start, first, count, block FROM blocks WHERE attester=?1 AND boot=?2 AND start >= "
		       "(SELECT COALESCE(MAX(start), 0) FROM blocks WHERE attester=?1 AND boot=?2 AND start <= ?3) "
		       "ORDER BY start",
	[SET_QUOTE] = "INSERT OR REPLACE INTO quotes (attester, boot, proven, seq, surely, clock, received, attest, "
		      "signature, "
		      "session, nonce, previous, commitments, position, pcr_mask, bank, boot_pcrs) "
		      "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[ADD_FINDING] = "INSERT OR IGNORE INTO findings (attester, boot, idx, reason, severity, pcr, template, path, "
			"digest_alg, "
			"digest, has_context, pid, uid, cgroup, mntns, comm, found, measured, proven, event) "
			"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[GET_UNPROVEN] =
		"SELECT " FINDING_COLUMNS " FROM findings f WHERE f.attester=? AND f.boot=? AND f.proven=0 AND f.idx<? "
		"ORDER BY f.idx LIMIT ?",
	[PROVE_FINDING] = "UPDATE findings SET proven=?5 WHERE attester=?1 AND boot=?2 AND idx=?3 AND reason=?4",
	[GET_FINDINGS] =
		"SELECT " FINDING_COLUMNS " FROM findings f JOIN attesters a ON a.id=f.attester AND "
		"(a.boot=f.boot OR a.claimed=f.boot) WHERE (?1 IS NULL OR f.attester=?1) ORDER BY f.found, f.idx",
	[DROP_FINDING] = "DELETE FROM findings WHERE attester=? AND boot=? AND idx=? AND reason=?",
	[UNDO_FINDINGS] = "DELETE FROM findings WHERE attester=? AND boot=? AND event>=?",
	[UNDO_EVENTS] = "DELETE FROM events WHERE seq>=?",
	[LAST_EVENT] = "SELECT COALESCE(MAX(seq), 0) FROM events",
	[ADD_EVENT] = "INSERT INTO events (seq, measured, about, body) VALUES (?,?,?,?)",
	[GET_EVENTS] = "SELECT " EVENT_COLUMNS " FROM events e WHERE e.seq>? ORDER BY e.seq LIMIT ?",
	[GET_UNPUBLISHED] =
		"SELECT " EVENT_COLUMNS " FROM events e WHERE e.seq>? AND e.published IS NULL ORDER BY e.seq LIMIT ?",
	[MARK_PUBLISHED] = "UPDATE events SET published=?2 WHERE seq=?1 AND published IS NULL",
};
