/* SPDX-License-Identifier: Apache-2.0 */
/* Makes what signed.h checks: DSSE envelopes and Cosign blob signatures with an ECDSA key. */
#pragma once

#include <openssl/evp.h>

#include "base/hash.h"
#include "imastream/limits.h"

struct policy_signing_key {
	EVP_PKEY *key;
	enum hash_alg hash; /* the curve's: SHA-256, SHA-384, SHA-512; the caller may set HASH_SHA256, all that Keylime checks */
	char name[LIMIT_KEY_NAME]; /* "sha256:<hex>", as struct policy_signer has it */
};
void policy_signing_key_clear(struct policy_signing_key *k);
#define cleanup_policy_signing_key_ cleanup_(policy_signing_key_clear)

enum policy_key_outcome {
	POLICY_KEY_OK = 0,
	POLICY_KEY_BAD,	      /* not PEM of an ECDSA private key on P-256, P-384 or P-521 */
	POLICY_KEY_ENCRYPTED, /* a passphrase is needed, or this one is wrong */
};
/* PEM, PKCS#8 or the traditional form, encrypted or not. passphrase: NULL when there is none. out is cleared by the
 * caller with policy_signing_key_clear(); untouched on failure. 0, enum policy_key_outcome with *why, or -ENOMEM. */
must_use_ int policy_signing_key_read(struct policy_signing_key *out, struct bytes pem, const char *passphrase, const char **why);
/* PEM of the public key. 0 or -ENOMEM. */
must_use_ int policy_signing_key_public(const struct policy_signing_key *k, struct writer *out);

/* Base64 of a DER signature over the file and a line feed, as `cosign sign-blob --key` makes. */
must_use_ int policy_sign_blob(const struct policy_signing_key *k, struct bytes file, struct writer *out);
/* A DSSE envelope around the policy, of Keylime's payload type and with Keylime's key id. */
must_use_ int policy_sign_envelope(const struct policy_signing_key *k, struct bytes policy, struct writer *out);
/* An envelope with one more signature. 0, negative errno, positive 1: not an envelope around a policy, or signed by this
 * key already; `why` says which. */
must_use_ int policy_sign_again(const struct policy_signing_key *k, struct bytes envelope, struct writer *out, struct writer *why);
