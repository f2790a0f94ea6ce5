/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that check Sigstore bundles share (sigstore_*.c only). */
#pragma once

#include "base/hash.h"
#include "policy/signed_private.h"

/* ---- trusted root ---- */

struct trust_span {
	uint64_t from_s, until_s; /* both count; UINT64_MAX: no end */
};
static inline bool span_has(const struct trust_span *s, uint64_t at_s)
{
	return at_s >= s->from_s && at_s <= s->until_s;
}

struct trust_log {
	uint8_t id[32];
	EVP_PKEY *key; /* NULL: of a kind that is not checked; the log vouches for nothing */
	struct trust_span span;
};

struct trust_ca {
	X509 *chain[LIMIT_TRUST_CHAIN]; /* issuer of leaves first, anchor last */
	size_t n;
	struct trust_span span;
};

struct trust_root {
	struct trust_ca *cas;
	size_t n_cas;
	struct trust_log *tlogs, *ctlogs;
	size_t n_tlogs, n_ctlogs;
};

/* The log of that id whose time span has at_s; NULL when there is none. *known: the id is there at all. */
const struct trust_log *trust_log_find(const struct trust_log *logs, size_t n, const uint8_t id[32], uint64_t at_s, bool *known);
/* ECDSA as ecdsa_verifies(), or Ed25519. */
must_use_ bool log_key_verifies(EVP_PKEY *key, struct bytes message, struct bytes sig);

/* ---- bundle ---- */

struct log_entry {
	uint8_t log_id[32];
	struct bytes kind, version;	/* borrowed from the JSON */
	uint64_t log_index, time_s;	/* time_s 0: none */
	struct writer body, set;	/* set empty: no promise */
	bool has_proof, has_checkpoint;
	uint64_t proof_index, tree_size;
	uint8_t root[32];
	struct writer path;		/* hashes, 32 bytes each */
	struct bytes checkpoint;	/* borrowed from the JSON */
};

struct bundle {
	unsigned int minor; /* of version 0.x */
	X509 *leaf;	    /* NULL: signed by a key, which the bundle does not carry */
	bool dsse;
	struct dsse envelope;
	struct writer signature; /* of a message signature */
	struct writer digest;	 /* messageDigest; empty: none */
	enum hash_alg digest_alg;
	struct log_entry entries[LIMIT_LOG_ENTRIES];
	size_t n_entries;
	bool rfc3161; /* carries time stamps that are not checked */
};

/* The signature of either content. */
static inline struct bytes bundle_signature(const struct bundle *b)
{
	return b->dsse ? b->envelope.sig[0] : writer_view(&b->signature);
}

/* Reads a bundle; the envelope's payload goes to o->storage. b needs bundle_free() whatever comes back. */
must_use_ int bundle_parse(struct opening *o, const json_t *json, struct bundle *b);
void bundle_free(struct bundle *b);
#define cleanup_bundle_ cleanup_(bundle_free)

/* ---- values of protobuf's JSON ---- */

/* A base64 member (bytes) into w. 0, SIGNED_MALFORMED / SIGNED_TOO_LARGE said, or negative. `what` names it. */
must_use_ int member_base64(struct opening *o, const json_t *object, const char *name, struct writer *w, const char *what);
/* A base64 member of exactly 32 bytes. */
must_use_ int member_hash(struct opening *o, const json_t *object, const char *name, uint8_t out[32], const char *what);
/* An int64: a text of digits or a number. False when it is neither, negative or absent. */
must_use_ bool member_u64(const json_t *object, const char *name, uint64_t *out);
/* DER of one certificate and nothing behind it; NULL otherwise. */
X509 *certificate_from_der(struct bytes der);

/* ---- checks, each 0, positive (said) or negative ---- */

/* The log's promise, inclusion proof and checkpoint; entry->time_s is proven when it is 0. */
must_use_ int log_entry_check(struct opening *o, const struct log_entry *e, unsigned int minor);
/* The entry's body says the same as the bundle. key: of the leaf, or the trusted one that signed. */
must_use_ int log_body_check(struct opening *o, const struct log_entry *e, const struct bundle *b, EVP_PKEY *key, struct bytes signed_bytes);
/* Chain, time, purpose, certificate log, identity, at the time of signing; fills o->who. */
must_use_ int certificate_check(struct opening *o, X509 *leaf, uint64_t at_s);
/* Subject and issuer that the leaf names, against the trust's identities; fills o->who. */
must_use_ int identity_check(struct opening *o, X509 *leaf);
/* Certificate time stamps inside the leaf (RFC 6962). */
must_use_ int sct_check(struct opening *o, X509 *leaf, X509 *issuer);
