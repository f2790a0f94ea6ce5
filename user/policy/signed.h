/* SPDX-License-Identifier: Apache-2.0 */
/* Signed policies: who vouches for the bytes of a policy file. Forms: a DSSE envelope (the policy is inside), a Cosign
 * blob signature beside the file, a Sigstore bundle beside the file. All offline; docs/signed-policies.md has the rules. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"

/* ---- what is accepted ---- */

struct policy_trust; /* filled once, then read by any number of threads */
must_use_ int policy_trust_new(struct policy_trust **out);
void policy_trust_free(struct policy_trust **t);
#define cleanup_policy_trust_ cleanup_(policy_trust_free)

/* PEM: public keys or X.509 certificates, several blocks allowed; ECDSA on P-256, P-384 or P-521. Of a certificate only
 * the key counts: dates and issuer are not judged, the caller vouches for the file. A key given twice is one key.
 * 0, negative errno (ours), positive 1: not a key we can use, *why static text; nothing was added. */
must_use_ int policy_trust_add_key(struct policy_trust *t, struct bytes pem, const char **why);
/* A signer by certificate: subject alternative name (e-mail or URI) and OIDC issuer, both exact and not empty.
 * 0, -ENOMEM, positive 1 with *why. */
must_use_ int policy_trust_add_identity(struct policy_trust *t, const char *identity, const char *issuer, const char **why);
/* Sigstore's trusted_root.json (application/vnd.dev.sigstore.trustedroot+json;version=0.1 or v0.2): which authorities,
 * transparency logs and certificate logs count. Several add up. 0, negative errno, positive 1: `why` says what is wrong. */
must_use_ int policy_trust_add_root(struct policy_trust *t, struct bytes json, struct writer *why);
/* How many different keys must have signed (DSSE; other forms carry one signature). Default 1; 0 counts as 1. */
void policy_trust_set_threshold(struct policy_trust *t, unsigned int n);
/* Neither keys nor identities: nothing is required of a policy. NULL is empty. */
bool policy_trust_empty(const struct policy_trust *t);
/* What is missing for the rest to be of use (identities without a trusted root, a root without identities, a threshold
 * above the number of keys), as static text; NULL when nothing is. For the programs to say at start. */
const char *policy_trust_gap(const struct policy_trust *t);

/* ---- one file ---- */

/* Numbers are stable; names (policy_signed_name) too. */
enum policy_signed {
	SIGNED_OK = 0,
	SIGNED_UNSIGNED,	 /* no signature of any known form */
	SIGNED_NO_TRUST,	 /* signed, but no key and no identity is configured */
	SIGNED_MALFORMED,	 /* the envelope, signature or bundle is not of its form */
	SIGNED_TOO_LARGE,
	SIGNED_UNSUPPORTED,	 /* a known form that is not checked here (RFC 3161 time stamps, other log entry kinds, ...) */
	SIGNED_PAYLOAD_TYPE,	 /* a good envelope around something that is not a policy */
	SIGNED_KEY_UNKNOWN,	 /* none of its signatures is by a key in the trust */
	SIGNED_BAD_SIGNATURE,	 /* a certificate's or log entry's key does not verify it, or another file was signed */
	SIGNED_THRESHOLD,	 /* fewer different keys than required */
	SIGNED_CHAIN,		 /* certificate not issued by an authority of the trusted root, or not for code signing */
	SIGNED_CERT_TIME,	 /* certificate or authority not valid at the time of signing */
	SIGNED_IDENTITY,	 /* good, but by someone else */
	SIGNED_SCT,		 /* no certificate log of the trusted root vouches for the certificate */
	SIGNED_NOT_LOGGED,	 /* no transparency log entry, or one without proof or promise */
	SIGNED_LOG_UNKNOWN,	 /* a log that the trusted root does not name, or not for that time */
	SIGNED_LOG_BODY,	 /* the log's entry is about another signature, certificate or file */
	SIGNED_LOG_PROOF,	 /* inclusion proof, checkpoint or signed entry timestamp is wrong */
	SIGNED_FUTURE,		 /* signed later than now */
	SIGNED_COUNT_
};
/* "signature-key-unknown"-like name of ours, and a sentence for people: both static. */
const char *policy_signed_name(enum policy_signed outcome);
const char *policy_signed_text(enum policy_signed outcome);

enum policy_signed_form { SIGNED_FORM_NONE, SIGNED_FORM_DSSE, SIGNED_FORM_COSIGN, SIGNED_FORM_BUNDLE };
const char *policy_signed_form_name(enum policy_signed_form form); /* "none" "dsse" "cosign" "sigstore-bundle" */

/* Owns nothing. Foreign text in it (identity, issuer) has passed no filter: print it with write_quoted(). */
struct policy_signer {
	enum policy_signed_form form;
	char key[LIMIT_KEY_NAME];		 /* "sha256:<hex>" of the key's SubjectPublicKeyInfo; also of a certificate's key */
	char identity[LIMIT_SIGNER_IDENTITY + 1]; /* "" unless by certificate */
	char issuer[LIMIT_SIGNER_IDENTITY + 1];
	char payload_type[LIMIT_PAYLOAD_TYPE + 1]; /* "" unless DSSE */
	unsigned int signatures;		 /* by different trusted keys */
	uint64_t signed_at_s;			 /* integrated time by the log, Unix seconds; 0: not proven */
	uint64_t log_index;			 /* of the log's entry; meaningful when signed_at_s is not 0 */
};
/* One line for people, safe for a terminal: "key sha256:1f..e2 (dsse)", "'a@b.example' by 'https://...' at 2026-..". */
void policy_signer_describe(const struct policy_signer *s, struct writer *out);

/* Whether the file may be an envelope or bundle with a policy inside, by its names alone: false is certain (nothing that
 * policy_open_signed() would unwrap), true is not. */
bool policy_maybe_signed(struct bytes file);

/* Whether `t` vouches for `file`. `detached` is the signature or bundle beside it; { NULL, 0 } when there is none. A
 * bundle that holds the policy itself is given as `file`. With an empty trust a plain file is SIGNED_OK of form NONE, and
 * a signed one is SIGNED_NO_TRUST: its envelope must not be taken for a policy.
 * On SIGNED_OK *policy is a view of `file` or of `storage` (which the caller owns, WRITER(LIMIT_POLICY_FILE)), and *who
 * is filled; both are untouched otherwise. `why` (may be NULL) gets one sentence, safe for a terminal, when positive.
 * now_s: Unix seconds. 0, enum policy_signed, or negative errno (ours). Reads the trust only: thread-safe. */
must_use_ int policy_open_signed(const struct policy_trust *t, struct bytes file, struct bytes detached, uint64_t now_s,
				 struct writer *storage, struct bytes *policy, struct policy_signer *who, struct writer *why);
