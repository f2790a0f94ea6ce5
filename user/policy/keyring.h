/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys that may vouch for files, found by IMA key id, and the check of security.ima signatures. */
#pragma once

#include <openssl/evp.h>

#include "base/buf.h"
#include "imastream/limits.h"

struct keyring;
must_use_ int keyring_new(struct keyring **out);
void keyring_free(struct keyring **k);
#define cleanup_keyring_ cleanup_(keyring_free)
/* PEM (one or several blocks) or DER: public key or X.509 certificate; RSA from 2048 bits, EC on P-256, P-384, P-521 or
 * secp256k1. Key id: last 4 bytes of SHA-1 of the subjectPublicKey bit string; a certificate's key answers to the end of
 * its subjectKeyIdentifier too. A key that is there already is not added again. Dates and issuers are not judged: the
 * caller vouches for the file. 0, negative errno (ours), positive 1: not a key we can use; *why static text; keys of
 * earlier blocks of the file stay. */
must_use_ int keyring_add(struct keyring *k, struct bytes file, const char **why);
size_t keyring_count(const struct keyring *k);

enum imasig_outcome {
	IMASIG_OK = 0,
	IMASIG_MALFORMED,   /* no known form, or a hash that is not accepted (MD4, MD5) */
	IMASIG_KEY_UNKNOWN,
	IMASIG_INVALID,
	IMASIG_PORTABLE,    /* type 5, EVM's: over the file's metadata, which the list does not carry. As good as none */
};
/* sig: the whole security.ima value: type 3 (EVM_IMA_XATTR_DIGSIG) version 2, or version 3 since Linux 7.2; type 6
 * (IMA_VERITY_DIGSIG) version 3. alg/digest: the file digest of the entry; verity: it is an fs-verity digest, which only
 * a type 6 signature can vouch for. Thread-safe. Source: security/integrity/integrity.h, struct signature_v2_hdr. */
must_use_ enum imasig_outcome imasig_verify(const struct keyring *k, struct bytes sig, struct bytes alg, struct bytes digest, bool verity);
/* The same, with results remembered; cache NULL: none. Thread-safe as far as the cache is: one thread owns it. */
struct sigcache;
must_use_ enum imasig_outcome imasig_verify_cached(const struct keyring *k, struct sigcache *cache, struct bytes sig,
						   struct bytes alg, struct bytes digest, bool verity);
/* A signature appended to a file (template ima-modsig): a PKCS#7 with one signer and without signed attributes, as the kernel's
 * sign-file makes it, over the digest d-modsig. Its signer is named by issuer and serial number, which a keyring does not
 * have: every key is tried. IMASIG_KEY_UNKNOWN: none of them made it. As imasig_verify_cached() otherwise. */
must_use_ enum imasig_outcome modsig_verify(const struct keyring *k, struct sigcache *cache, struct bytes pkcs7, struct bytes alg,
					    struct bytes digest);
