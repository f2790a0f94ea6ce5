/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that check signed policies share (signed*.c, dsse.c, sigstore_*.c only). */
#pragma once

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/hash.h"
#include "policy/signed.h"

struct trust_key {
	EVP_PKEY *key;
	char name[LIMIT_KEY_NAME];
};

struct trust_identity {
	char identity[LIMIT_SIGNER_IDENTITY + 1];
	char issuer[LIMIT_SIGNER_IDENTITY + 1];
};

struct policy_trust {
	struct trust_key *keys;
	size_t n_keys;
	struct trust_identity *identities;
	size_t n_identities;
	struct trust_root *root; /* NULL: none was given */
	unsigned int threshold;
};

/* One check under way: what a failing step says. */
struct opening {
	const struct policy_trust *trust;
	struct bytes file;
	uint64_t now_s;
	struct writer *storage;
	struct bytes *policy;
	struct policy_signer who; /* handed out at the end */
	struct writer *why;
};

/* Writes the reason, returns it: return refuse(o, SIGNED_CHAIN, "..."). */
must_use_ int refuse(struct opening *o, enum policy_signed outcome, const char *fmt, ...) printf_(3, 4);
/* The same with foreign bytes in quotes behind the text. */
must_use_ int refuse_about(struct opening *o, enum policy_signed outcome, const char *text, struct bytes what);

/* ---- keys ---- */

must_use_ int key_name(EVP_PKEY *key, char out[LIMIT_KEY_NAME]);
/* NULL when it can sign policies (ECDSA on P-256, P-384, P-521), else why not. */
const char *signing_key_unusable(EVP_PKEY *key);
/* What was signed: two parts, one behind the other (the second may be empty). Each hash of it is taken once, however many
 * keys and signatures are tried: a policy can be large. Start from MESSAGE(bytes). */
struct message {
	struct bytes part[2];
	bool hashed[HASH_COUNT];
	uint8_t digest[HASH_COUNT][HASH_MAX_SIZE];
};
#define MESSAGE(bytes) ((struct message){ .part = { (bytes) } })
/* Whether sig is the key's signature over the message. ECDSA: DER, with the curve's hash (SHA-256, SHA-384,
 * SHA-512), or with SHA-256 on any curve, as Keylime and Cosign sign. */
must_use_ bool ecdsa_verifies(EVP_PKEY *key, struct message *m, struct bytes sig);

/* ---- JSON ---- */

static inline struct bytes string_bytes(const json_t *v)
{
	return (struct bytes){ (const uint8_t *)json_string_value(v), json_string_length(v) };
}
/* A member that is a string; NULL (an absent view) otherwise. */
static inline struct bytes member_string(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return json_is_string(v) ? string_bytes(v) : (struct bytes){ NULL, 0 };
}
static inline bool bytes_are(struct bytes b, const char *s)
{
	return b.p && b.n == strlen(s) && bytes_equal(b.p, s, b.n);
}
/* Parses a whole text, members given twice refused. 0 and *out (to be dropped with json_decref), -ENOMEM, or
 * SIGNED_MALFORMED / SIGNED_TOO_LARGE said. `what` names the text. */
must_use_ int parse_json(struct opening *o, struct bytes text, size_t max, const char *what, json_t **out);
static inline void json_cleanup(json_t **v)
{
	json_decref(*v);
	*v = NULL;
}
#define cleanup_json_ cleanup_(json_cleanup)

/* ---- DSSE ---- */


struct dsse {
	struct bytes payload_type; /* borrowed from the JSON */
	struct bytes payload;	   /* in the writer that dsse_parse() got */
	struct writer sigs;	   /* all signatures, one behind the other */
	struct bytes sig[LIMIT_DSSE_SIGNATURES];
	size_t n;
};
void dsse_free(struct dsse *d);
#define cleanup_dsse_ cleanup_(dsse_free)

/* Whether the object has the members of an envelope. */
bool dsse_is_envelope(const json_t *object);
/* Reads an envelope; the payload goes to `payload`. d needs dsse_free() whatever comes back. 0, positive, negative. */
must_use_ int dsse_parse(struct opening *o, const json_t *envelope, struct writer *payload, struct dsse *d);
/* The payload type must be that of a policy. */
must_use_ int dsse_check_type(struct opening *o, const struct dsse *d);
/* "DSSEv1 <n> <type> <n> " in front of the payload; the message points into pae and the payload. */
must_use_ int dsse_pae(const struct dsse *d, struct writer *pae, struct message *m);
/* A file that is an envelope, by the trust's keys. */
must_use_ int dsse_open(struct opening *o, const json_t *envelope);

/* ---- Sigstore ---- */

void trust_root_free(struct trust_root **root);
bool bundle_is(const json_t *object);
/* A bundle beside the file (`is_file` false), or the file itself with the policy in its envelope. */
must_use_ int bundle_open(struct opening *o, const json_t *bundle, bool is_file);
