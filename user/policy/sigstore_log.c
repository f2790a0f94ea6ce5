// SPDX-License-Identifier: Apache-2.0
/* What a transparency log says of its entry: the promise (signed entry timestamp), the inclusion proof, the checkpoint. */
#include <inttypes.h>

#include "base/base64.h"
#include "base/text.h"
#include "policy/sigstore_private.h"

/* ---- Merkle tree, RFC 6962 section 2.1 and RFC 9162 section 2.1.3.2 ---- */

static void leaf_hash(struct bytes body, uint8_t out[32])
{
	static const uint8_t prefix = 0;
	struct hash h;

	hash_begin(&h, HASH_SHA256);
	hash_add(&h, &prefix, 1);
	hash_add(&h, body.p, body.n);
	hash_end(&h, out);
}

static void node_hash(const uint8_t left[32], const uint8_t right[32], uint8_t out[32])
{
	static const uint8_t prefix = 1;
	struct hash h;

	hash_begin(&h, HASH_SHA256);
	hash_add(&h, &prefix, 1);
	hash_add(&h, left, 32);
	hash_add(&h, right, 32);
	hash_end(&h, out);
}

/* Root of a tree from a leaf's hash and its path: RFC 9162 section 2.1.3.2. False: the path does not fit the sizes. */
static bool merkle_root(const uint8_t leaf[32], uint64_t index, uint64_t size, struct bytes path, uint8_t out[32])
{
	uint64_t fn = index, sn = size - 1;
	struct reader r = reader_of(path);
	uint8_t root[32];

	if (index >= size || path.n % 32)
		return false;
	bytes_copy(root, leaf, 32);
	while (reader_left(&r)) {
		struct bytes p = read_bytes(&r, 32);

		if (sn == 0)
			return false;
		if (fn & 1 || fn == sn) {
			node_hash(p.p, root, root);
			while (!(fn & 1) && fn) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			node_hash(root, p.p, root);
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn != 0)
		return false;
	bytes_copy(out, root, 32);
	return true;
}

static int check_proof(struct opening *o, const struct log_entry *e)
{
	uint8_t leaf[32], root[32];

	leaf_hash(writer_view(&e->body), leaf);
	if (!merkle_root(leaf, e->proof_index, e->tree_size, writer_view(&e->path), root))
		return refuse(o, SIGNED_LOG_PROOF, "the inclusion proof does not fit entry %" PRIu64 " of a tree of %" PRIu64,
			      e->proof_index, e->tree_size);
	if (!bytes_equal(root, e->root, 32))
		return refuse(o, SIGNED_LOG_PROOF, "the inclusion proof leads to another root than the bundle says");
	return 0;
}

/* ---- the promise: over canonical JSON (RFC 8785) of body, integratedTime, logID, logIndex ---- */

static int check_promise(struct opening *o, const struct log_entry *e, const struct trust_log *log)
{
	cleanup_writer_ struct writer message = WRITER(LIMIT_LOG_BODY / 3 * 4 + 512);

	write_fmt(&message, "{\"body\":\"");
	write_base64(&message, writer_view(&e->body));
	write_fmt(&message, "\",\"integratedTime\":%" PRIu64 ",\"logID\":\"", e->time_s);
	write_hex(&message, e->log_id, sizeof(e->log_id));
	write_fmt(&message, "\",\"logIndex\":%" PRIu64 "}", e->log_index);
	if (writer_status(&message) < 0)
		return writer_status(&message);
	if (!log_key_verifies(log->key, writer_view(&message), writer_view(&e->set)))
		return refuse(o, SIGNED_LOG_PROOF, "the log's signed entry timestamp is not over this entry and time");
	return 0;
}

/* ---- the checkpoint: a signed note (github.com/transparency-dev/formats, log/README.md) ----
 * origin, size, root in base64, possibly more lines; an empty line; signature lines: dash, name, base64 of 4 bytes of
 * key hint (for Rekor the start of the log id) and the signature over all up to the empty line. */

static const uint8_t dash[] = { 0xe2, 0x80, 0x94, ' ' };

/* The text that is signed, with its last line feed; the signature lines stay in *r. */
static bool note_text(struct bytes note, struct bytes *text, struct reader *r)
{
	struct reader lines = reader_of(note);
	size_t n = 0;

	while (reader_left(&lines)) {
		struct bytes line = read_until(&lines, '\n');

		if (!reader_ok(&lines))
			return false;
		if (line.n == 0) {
			*text = (struct bytes){ note.p, n };
			*r = lines;
			return n > 0;
		}
		n += line.n + 1;
	}
	return false;
}

/* Size and root of the text must be those of the proof. */
static bool note_matches(struct bytes text, const struct log_entry *e)
{
	cleanup_writer_ struct writer size = WRITER(32), root = WRITER(64);
	struct reader r = reader_of(text);
	struct bytes origin = read_until(&r, '\n'), number = read_until(&r, '\n'), hash = read_until(&r, '\n');
	uint64_t n;

	write_bytes(&size, number.p, number.n);
	if (!reader_ok(&r) || origin.n == 0 || !writer_cstr(&size) || parse_u64((const char *)size.p, 0, INT64_MAX, &n) < 0)
		return false;
	return n == e->tree_size && base64_decode_to(&root, hash, BASE64_STANDARD) == 0 && root.n == 32 &&
	       bytes_equal(root.p, e->root, 32);
}

/* One signature line: 1 by this log and right, 0 by someone else, -1 malformed or wrong. */
static int note_signature(struct bytes line, struct bytes text, const struct trust_log *log)
{
	cleanup_writer_ struct writer value = WRITER(LIMIT_BLOB_SIGNATURE);
	struct reader r = reader_of(line), v;
	struct bytes lead = read_bytes(&r, sizeof(dash)), name = read_until(&r, ' '), hint, sig;

	if (!reader_ok(&r) || !bytes_equal(lead.p, dash, sizeof(dash)) || name.n == 0 ||
	    base64_decode_to(&value, read_rest(&r), BASE64_STANDARD) < 0)
		return -1;
	v = reader_of(writer_view(&value));
	hint = read_bytes(&v, 4);
	sig = read_rest(&v);
	if (!reader_ok(&v) || sig.n == 0)
		return -1;
	if (!bytes_equal(hint.p, log->id, 4))
		return 0;
	return log_key_verifies(log->key, text, sig) ? 1 : -1;
}

static int check_checkpoint(struct opening *o, const struct log_entry *e, const struct trust_log *log)
{
	struct bytes text;
	struct reader r;
	bool found = false;

	if (!note_text(e->checkpoint, &text, &r) || !note_matches(text, e))
		return refuse(o, SIGNED_LOG_PROOF, "the log's checkpoint is malformed, or about another tree than the inclusion proof");
	while (reader_left(&r)) {
		struct bytes line = read_until(&r, '\n');
		int s = reader_ok(&r) ? note_signature(line, text, log) : -1;

		if (s < 0)
			return refuse(o, SIGNED_LOG_PROOF, "a signature of the log's checkpoint is malformed or wrong");
		found |= s > 0;
	}
	if (!found)
		return refuse(o, SIGNED_LOG_PROOF, "the checkpoint is not signed by the log that the entry names");
	return 0;
}

/* ---- all of it ---- */

int log_entry_check(struct opening *o, const struct log_entry *e, unsigned int minor)
{
	const struct trust_root *root = o->trust->root;
	const struct trust_log *log;
	bool known;
	int r;

	if (!e->time_s || !e->set.n)
		return refuse(o, SIGNED_NOT_LOGGED, "the log entry has no integrated time with a signed entry timestamp: nothing proves "
						    "when it was signed");
	if (minor >= 2 && !(e->has_proof && e->has_checkpoint))
		return refuse(o, SIGNED_NOT_LOGGED, "the log entry has no inclusion proof with a checkpoint");
	log = trust_log_find(root->tlogs, root->n_tlogs, e->log_id, e->time_s, &known);
	if (!log)
		return refuse(o, SIGNED_LOG_UNKNOWN, known ? "the transparency log's key does not count for that time, or is of a kind "
							     "that is not checked" :
							     "the trusted root does not name this transparency log");
	r = check_promise(o, e, log);
	if (r == 0 && e->has_proof)
		r = check_proof(o, e);
	if (r == 0 && e->has_checkpoint)
		r = check_checkpoint(o, e, log);
	return r;
}
