// SPDX-License-Identifier: Apache-2.0
/* Tables of the SQLite store. Rows of `boots` are small and rewritten with each batch; blocks and quotes are the
 * evidence as received, enough to check everything again offline. A fresh database goes through the same steps as an old
 * one: schema 1, then each migration. A released step is never changed; ADD COLUMN needs a DEFAULT. */
#include "verifier/store_sqlite.h"

static const char *const schema_1[] = {
	"CREATE TABLE attesters ("
	" id BLOB NOT NULL PRIMARY KEY, ak_name BLOB NOT NULL UNIQUE, ak_public BLOB NOT NULL, ek_public BLOB NOT NULL,"
	" how TEXT NOT NULL, label BLOB NOT NULL, kernel BLOB NOT NULL, enrolled INTEGER NOT NULL,"
	" deadline INTEGER NOT NULL, last_quote INTEGER NOT NULL, quotes INTEGER NOT NULL,"
	" heartbeat_quotes INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,"
	" boots INTEGER NOT NULL, list_length INTEGER NOT NULL, boot INTEGER NOT NULL, claimed INTEGER NOT NULL,"
	" state INTEGER NOT NULL, state_reason INTEGER NOT NULL, stale INTEGER NOT NULL) STRICT, WITHOUT ROWID",
	"CREATE TABLE boots ("
	" attester BLOB NOT NULL, boot INTEGER NOT NULL, reset_count INTEGER NOT NULL, restart_count INTEGER NOT NULL,"
	" bank INTEGER NOT NULL, form INTEGER NOT NULL, first_fail INTEGER NOT NULL, first_warning INTEGER NOT NULL,"
	" uncovered INTEGER NOT NULL, clock INTEGER NOT NULL, next INTEGER NOT NULL, proven INTEGER NOT NULL,"
	" fails INTEGER NOT NULL, warnings INTEGER NOT NULL, unproven INTEGER NOT NULL, reasons_low INTEGER NOT NULL,"
	" reasons_high INTEGER NOT NULL, confirmed INTEGER NOT NULL, matched INTEGER NOT NULL, base BLOB NOT NULL, "
	"proven_pcr10 BLOB NOT NULL,"
	" boot_aggregate BLOB NOT NULL, PRIMARY KEY (attester, boot)) STRICT, WITHOUT ROWID",
	"CREATE TABLE blocks ("
	" attester BLOB NOT NULL, boot INTEGER NOT NULL, start INTEGER NOT NULL, first INTEGER NOT NULL,"
	" count INTEGER NOT NULL, block BLOB NOT NULL) STRICT",
	"CREATE UNIQUE INDEX blocks_by_start ON blocks (attester, boot, start)",
	"CREATE TABLE quotes ("
	" attester BLOB NOT NULL, boot INTEGER NOT NULL, proven INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" surely INTEGER NOT NULL, clock INTEGER NOT NULL, received INTEGER NOT NULL, attest BLOB NOT NULL,"
	" signature BLOB NOT NULL, session BLOB NOT NULL, nonce BLOB NOT NULL, previous BLOB NOT NULL,"
	" commitments BLOB NOT NULL, position INTEGER NOT NULL, pcr_mask INTEGER NOT NULL, bank INTEGER NOT NULL,"
	" boot_pcrs BLOB NOT NULL, PRIMARY KEY (attester, boot, proven)) STRICT, WITHOUT ROWID",
	"CREATE TABLE findings ("
	" attester BLOB NOT NULL, boot INTEGER NOT NULL, idx INTEGER NOT NULL, reason INTEGER NOT NULL,"
	" severity INTEGER NOT NULL, pcr INTEGER NOT NULL, template BLOB NOT NULL, path BLOB NOT NULL,"
	" digest_alg BLOB NOT NULL, digest BLOB NOT NULL, has_context INTEGER NOT NULL, pid INTEGER NOT NULL,"
	" uid INTEGER NOT NULL, cgroup INTEGER NOT NULL, mntns INTEGER NOT NULL, comm BLOB NOT NULL,"
	" found INTEGER NOT NULL, measured INTEGER NOT NULL, proven INTEGER NOT NULL, event INTEGER NOT NULL,"
	" PRIMARY KEY (attester, boot, idx, reason)) STRICT, WITHOUT ROWID",
	"CREATE INDEX findings_unproven ON findings (attester, boot, idx) WHERE proven = 0",
	"CREATE TABLE events ("
	" seq INTEGER PRIMARY KEY, measured INTEGER NOT NULL, about INTEGER NOT NULL, published INTEGER,"
	" body TEXT NOT NULL) STRICT",
	"CREATE INDEX events_unpublished ON events (seq) WHERE published IS NULL",
	NULL,
};

static const char *const schema_2[] = {
	/* enrolment: enum enrol_status, when it changed, what the endorsement certificate says (not_after: seconds) */
	"ALTER TABLE attesters ADD COLUMN status INTEGER NOT NULL DEFAULT 1",
	"ALTER TABLE attesters ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE attesters ADD COLUMN ek_manufacturer TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE attesters ADD COLUMN ek_model TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE attesters ADD COLUMN ek_version TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE attesters ADD COLUMN ek_serial TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE attesters ADD COLUMN ek_issuer TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE attesters ADD COLUMN ek_not_after INTEGER NOT NULL DEFAULT 0",
	"UPDATE attesters SET changed = enrolled",
	/* boots: enum boot_flag, proven values of boot PCRs, keys learned from the list */
	"ALTER TABLE boots ADD COLUMN flags INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE boots ADD COLUMN boot_values BLOB NOT NULL DEFAULT x''",
	"ALTER TABLE boots ADD COLUMN learned BLOB NOT NULL DEFAULT x''",
	"CREATE TABLE enrolments ("
	" seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, attester BLOB NOT NULL, label BLOB NOT NULL,"
	" action TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL) STRICT",
	/* policies: did the operator give the label, by what were the stored entries judged */
	"ALTER TABLE attesters ADD COLUMN label_given INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE attesters ADD COLUMN judged BLOB NOT NULL DEFAULT x''",
	"CREATE TABLE policies ("
	" name TEXT NOT NULL, generation INTEGER NOT NULL, id TEXT NOT NULL, file TEXT NOT NULL, held TEXT NOT NULL,"
	" signer TEXT NOT NULL, signature BLOB NOT NULL, loaded INTEGER NOT NULL, reason TEXT NOT NULL,"
	" who TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (name, generation)) STRICT, WITHOUT ROWID",
	"CREATE TABLE policy_files ("
	" file TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT",
	"CREATE UNIQUE INDEX policy_files_by_part ON policy_files (file, part)",
	NULL,
};

static const char *const schema_3[] = {
	/* quotes that prove nothing new, in the order in which they came (renewals.c); `number` is the quote's own */
	"CREATE TABLE renewals ("
	" seq INTEGER PRIMARY KEY, attester BLOB NOT NULL, enrolled INTEGER NOT NULL, deadline INTEGER NOT NULL,"
	" quotes INTEGER NOT NULL, heartbeat_quotes INTEGER NOT NULL, bytes_in INTEGER NOT NULL,"
	" bytes_out INTEGER NOT NULL, boot INTEGER NOT NULL, proven INTEGER NOT NULL, number INTEGER NOT NULL,"
	" surely INTEGER NOT NULL, clock INTEGER NOT NULL, received INTEGER NOT NULL, attest BLOB NOT NULL,"
	" signature BLOB NOT NULL, session BLOB NOT NULL, nonce BLOB NOT NULL, previous BLOB NOT NULL,"
	" commitments BLOB NOT NULL, position INTEGER NOT NULL) STRICT",
	NULL,
};

/* [n]: from schema n to n + 1; 0 is an empty file. */
const char *const *const store_sqlite_migrations[STORE_SCHEMA] = { schema_1, schema_2, schema_3 };

#define ATTESTER_COLUMNS                                                                                               \
	"id, ak_name, label, kernel, enrolled, deadline, last_quote, quotes, heartbeat_quotes, bytes_in, bytes_out, "  \
	"boots, "                                                                                                      \
	"list_length, boot, claimed, state, state_reason, stale, label_given, status, changed, judged"
#define RENEWAL_COLUMNS                                                                                                  \
	"seq, attester, enrolled, deadline, quotes, heartbeat_quotes, bytes_in, bytes_out, boot, proven, number, surely, " \
	"clock, received, attest, signature, session, nonce, previous, commitments, position"
#define CERT_COLUMNS "ek_manufacturer, ek_model, ek_version, ek_serial, ek_issuer, ek_not_after"
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
	[SAVEPOINT] = "SAVEPOINT message",
	[RELEASE] = "RELEASE message",
	[ROLLBACK_TO] = "ROLLBACK TO message",
	[ADD_ATTESTER] = "INSERT INTO attesters (" ATTESTER_COLUMNS ", ak_public, ek_public, how, " CERT_COLUMNS ") "
			 "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[SET_ATTESTER] =
		"UPDATE attesters SET label=?3, kernel=?4, deadline=?6, last_quote=?7, quotes=?8, heartbeat_quotes=?9, "
		"bytes_in=?10, bytes_out=?11, boots=?12, list_length=?13, boot=?14, claimed=?15, state=?16, "
		"state_reason=?17, stale=?18, label_given=?19, status=?20, changed=?21, judged=?22 "
		"WHERE id=?1 AND ak_name=?2 AND enrolled=?5",
	[GET_ATTESTERS] = "SELECT " ATTESTER_COLUMNS ", ak_public, ek_public FROM attesters",
	[GET_ATTESTER] = "SELECT " ATTESTER_COLUMNS ", ak_public, ek_public FROM attesters WHERE id=?",
	[SET_ENROLMENT] = "UPDATE attesters SET status=?2, changed=?3, how=COALESCE(?4, how) WHERE id=?1",
	[SET_CERT] = "UPDATE attesters SET ek_manufacturer=?2, ek_model=?3, ek_version=?4, ek_serial=?5, ek_issuer=?6, "
		     "ek_not_after=?7 WHERE id=?1",
	[GET_ENROLMENTS] = "SELECT id, ak_name, label, how, status, enrolled, changed, length(ek_public), " CERT_COLUMNS
			   " FROM attesters ORDER BY changed, id",
	[DROP_ATTESTER] = "DELETE FROM attesters WHERE id=?",
	[DROP_ALL_BOOTS] = "DELETE FROM boots WHERE attester=?",
	[DROP_ALL_BLOCKS] = "DELETE FROM blocks WHERE attester=?",
	[DROP_ALL_QUOTES] = "DELETE FROM quotes WHERE attester=?",
	[DROP_ALL_FINDINGS] = "DELETE FROM findings WHERE attester=?",
	[ADD_ENROL_LOG] = "INSERT INTO enrolments (time, attester, label, action, who, why) VALUES (?,?,?,?,?,?)",
	[GET_ENROL_LOG] = "SELECT * FROM (SELECT seq, time, attester, label, action, who, why FROM enrolments "
			  "WHERE ?1 IS NULL OR attester=?1 ORDER BY seq DESC LIMIT ?2) ORDER BY seq",
	[SET_BOOT] =
		"INSERT OR REPLACE INTO boots (attester, boot, reset_count, restart_count, bank, form, first_fail, "
		"first_warning, uncovered, clock, next, proven, fails, warnings, unproven, reasons_low, reasons_high, "
		"confirmed, matched, base, proven_pcr10, boot_aggregate, flags, boot_values, learned) "
		"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[GET_BOOT] = "SELECT attester, boot, reset_count, restart_count, bank, form, first_fail, first_warning, "
		     "uncovered, clock, "
		     "next, proven, fails, warnings, unproven, reasons_low, reasons_high, confirmed, matched, base, "
		     "proven_pcr10, "
		     "boot_aggregate, flags, boot_values, learned FROM boots WHERE attester=? AND boot=?",
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
	[ADD_RENEWAL] = "INSERT INTO renewals (" RENEWAL_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[GET_RENEWALS] = "SELECT " RENEWAL_COLUMNS " FROM renewals WHERE seq BETWEEN ? AND ? ORDER BY seq",
	/* a row that a later transaction wrote counts more quotes, shows a later clock, or is of another session */
	[SETTLE_QUOTE] =
		"UPDATE quotes SET seq=r.number, surely=r.surely, clock=r.clock, received=r.received, attest=r.attest, "
		"signature=r.signature, nonce=r.nonce, previous=r.previous, commitments=r.commitments, position=r.position "
		"FROM renewals r WHERE r.seq=? AND quotes.attester=r.attester AND quotes.boot=r.boot AND quotes.proven=r.proven "
		"AND quotes.session=r.session AND quotes.seq<r.number",
	[SETTLE_BOOT] = "UPDATE boots SET clock=r.clock FROM renewals r, attesters a WHERE r.seq=? AND a.id=r.attester "
			"AND a.enrolled=r.enrolled AND boots.attester=r.attester AND boots.boot=r.boot AND boots.clock<r.clock",
	[SETTLE_ATTESTER] =
		"UPDATE attesters SET deadline=r.deadline, last_quote=r.received, quotes=r.quotes, "
		"heartbeat_quotes=r.heartbeat_quotes, bytes_in=r.bytes_in, bytes_out=r.bytes_out FROM renewals r "
		"WHERE r.seq=? AND attesters.id=r.attester AND attesters.enrolled=r.enrolled AND attesters.quotes<r.quotes",
	[DROP_RENEWALS] = "DELETE FROM renewals WHERE seq<=?",
	[DROP_ALL_RENEWALS] = "DELETE FROM renewals WHERE attester=?",
	[HAS_QUOTES] = "SELECT 1 FROM quotes WHERE attester=? LIMIT 1",
	[ADD_FINDING] = "INSERT OR IGNORE INTO findings (attester, boot, idx, reason, severity, pcr, template, path, "
			"digest_alg, "
			"digest, has_context, pid, uid, cgroup, mntns, comm, found, measured, proven, event) "
			"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[GET_UNPROVEN] =
		/* 4294967295, FINDING_NO_ENTRY: about a quote that was refused; nothing proves that */
		"SELECT " FINDING_COLUMNS " FROM findings f WHERE f.attester=? AND f.boot=? AND f.proven=0 AND f.idx<? "
		"AND f.pcr<>4294967295 "
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
	[ADD_POLICY] = "INSERT INTO policies (name, generation, id, file, held, signer, signature, loaded, reason, who, "
		       "until) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
	[SET_POLICY_UNTIL] = "UPDATE policies SET until=?3 WHERE name=?1 AND generation=?2",
	[GET_POLICIES] = "SELECT name, generation, id, file, held, signer, signature, loaded, reason, who, until, "
			 "EXISTS (SELECT 1 FROM policy_files f WHERE f.file=p.file AND f.part=0) FROM policies p "
			 "WHERE (?1 IS NULL OR name=?1) ORDER BY name, generation DESC",
	[DROP_POLICIES] = "DELETE FROM policies WHERE name=?1 AND generation<=?2",
	[ADD_POLICY_PART] = "INSERT INTO policy_files (file, part, bytes) VALUES (?,?,?)",
	[GET_POLICY_FILE] = "SELECT bytes, part FROM policy_files WHERE file=? ORDER BY part",
	[DROP_POLICY_FILE] = "DELETE FROM policy_files WHERE file=?",
	[PRUNE_POLICY_FILES] = "DELETE FROM policy_files WHERE file NOT IN (SELECT p.file FROM policies p WHERE "
			       "p.generation > (SELECT MAX(q.generation) FROM policies q WHERE q.name=p.name) - ?1)",
	[MARK_PUBLISHED] = "UPDATE events SET published=?2 WHERE seq=?1 AND published IS NULL",
};
