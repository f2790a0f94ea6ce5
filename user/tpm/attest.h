/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded parsing of TPM structures that come from outside, and the checks of a quote that need no TPM. Pure apart from
 * OpenSSL. Sources: TPM 2.0 Library part 2 (rev. 1.59): TPMS_ATTEST 10.12.12, TPMS_CLOCK_INFO 10.11.1, TPMS_QUOTE_INFO
 * 10.12.4, TPMT_SIGNATURE 11.3.4, TPMT_PUBLIC 12.2.4.
 *
 * Thread-safety: no state of its own; a struct ak may be used for checking by several threads at once, as long as none
 * of them clears it. OpenSSL's error queue is left as it was found. */
#pragma once

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/hash.h"
#include "imastream/limits.h"
#include "imastream/reason.h"

#define TPM_PCR_COUNT 24u /* PCRs of the PC Client Platform TPM Profile */

struct pcr_selection {
	uint16_t alg;	/* TPM_ALG_ID of the bank, may be one we do not know */
	uint32_t mask;	/* bit per PCR 0..23 */
};

/* A quote's content. The views point into the parsed message. */
struct attest {
	struct bytes qualified_signer;
	struct bytes extra_data; /* = qualifyingData of the quote */
	uint64_t clock_ms;
	uint32_t reset_count, restart_count;
	bool safe;
	uint64_t firmware;
	struct pcr_selection selection[LIMIT_PCR_SELECTIONS];
	size_t n_selections;
	struct bytes pcr_digest;
};

/* Named outcomes of judging evidence; 0 is success. */
enum quote_outcome {
	QUOTE_OK = 0,
	QUOTE_MALFORMED,	 /* lengths, trailing bytes, unknown structure */
	QUOTE_BAD_MAGIC,	 /* not TPM_GENERATED_VALUE 0xff544347 */
	QUOTE_BAD_TYPE,		 /* not TPM_ST_ATTEST_QUOTE 0x8018 */
	QUOTE_BAD_SIGNATURE,
	QUOTE_WRONG_KEY_TYPE,	 /* signature scheme and key differ */
	QUOTE_UNSUPPORTED,	 /* scheme, hash or key that we do not do */
	QUOTE_WRONG_NONCE,
	QUOTE_WRONG_SELECTION,	 /* other PCRs than expected, or no value known for one of them */
	QUOTE_WRONG_PCR_DIGEST,
};
/* The reason to report for an outcome; REASON_NONE for QUOTE_OK. */
enum reason quote_outcome_reason(enum quote_outcome o);

/* Parses a TPMS_ATTEST and requires that it is a quote. Magic and type are judged before all else, so that a message of
 * another kind says so. Nothing is believed about the content until quote_check_signature() said yes. */
must_use_ enum quote_outcome attest_parse(struct bytes msg, struct attest *out);
/* QUOTE_OK when extraData is exactly nonce (compared in constant time), else QUOTE_WRONG_NONCE. */
must_use_ enum quote_outcome attest_check_nonce(const struct attest *a, struct bytes nonce);
/* All PCRs that the quote covers in one bank, over all entries of its selection. */
uint32_t attest_selected(const struct attest *a, uint16_t alg);

/* A public key that signs quotes. The EVP_PKEY is made once and kept for every check. */
struct ak {
	EVP_PKEY *key; /* NULL after ak_shrink(): `rsa` or else `point` holds it */
	RSA *rsa;
	uint8_t point[65]; /* of a P-256 key: SEC 1 section 2.3.3, uncompressed */
	uint8_t name[34]; /* TPM Name: alg (2) + SHA-256; zeros when made from PEM */
	bool has_name;
};
void ak_clear(struct ak *ak); /* idempotent */
#define cleanup_ak_ cleanup_(ak_clear)
/* For who keeps many: a P-256 key shrinks from some 2.5 KiB of OpenSSL's to its point, an RSA key to its numbers; both also take
 * less to check with. Only quote_check_signature() takes a key that has shrunk. Other keys stay as they are. */
void ak_shrink(struct ak *ak);

/* The four that make or judge a key answer QUOTE_OK, QUOTE_MALFORMED or QUOTE_UNSUPPORTED, or a negative errno on our own
 * failure (-ENOMEM). *out must be empty (zeros, or cleared) and is untouched unless QUOTE_OK; then the caller owns it. */

/* From PEM text with one SubjectPublicKeyInfo ("PUBLIC KEY"). RSA 2048 to 4096 bits, ECC NIST P-256 or P-384. */
must_use_ int ak_from_pem(struct bytes pem, struct ak *out);
/* From a TPMT_PUBLIC. Also requires what an AK must be: restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin, not
 * decrypt, a signing scheme with a hash that we accept; RSA 2048 to 4096 or ECC NIST P-256/P-384; otherwise
 * QUOTE_UNSUPPORTED. */
must_use_ int ak_from_public(struct bytes tpmt_public, struct ak *out);
/* Any RSA or NIST ECC TPMT_PUBLIC (EK: also P-521): key without the AK rules, name filled. */
must_use_ int tpm_public_key(struct bytes tpmt_public, struct ak *out);
/* Name = nameAlg || H(TPMT_PUBLIC), part 1 section 16. SHA-256 name algorithm only, else QUOTE_UNSUPPORTED. The whole
 * structure is checked first. */
must_use_ enum quote_outcome tpm_public_name(struct bytes tpmt_public, uint8_t out[34]);

/* Who an attester is: SHA-256 of the EK's TPMT_PUBLIC, or, without an EK, of the AK's (the digest in its name). Never
 * self-chosen. The one place of this rule (docs/WIRE.md, HELLO), for both sides. */
void tpm_attester_id(struct bytes ek_public, const uint8_t ak_name[34], uint8_t out[32]);

/* What is the same for every TPMT_PUBLIC of one key pair: SHA-256 over its numbers alone, in one way to write them. A certificate and a
 * credential vouch for the numbers; attributes, policy and leading zeros around them are whatever their sender likes. */
must_use_ enum quote_outcome tpm_public_numbers(struct bytes tpmt_public, uint8_t out[32]);

/* "ecc-p256", "rsa-2048" */
const char *ak_describe(const struct ak *ak, char *buf, size_t n);
/* SHA-256 over the DER SubjectPublicKeyInfo. 0 or -ENOMEM. */
must_use_ int ak_fingerprint(const struct ak *ak, uint8_t out[32]);

enum sig_scheme { SIG_RSASSA, SIG_RSAPSS, SIG_ECDSA };
const char *sig_scheme_name(enum sig_scheme s); /* "rsassa" "rsapss" "ecdsa" */

/* A TPMT_SIGNATURE, taken apart; the views point into it. */
struct tpm_signature {
	enum sig_scheme scheme;
	enum hash_alg hash; /* never HASH_SHA1 */
	struct bytes rsa;   /* RSASSA, RSAPSS */
	struct bytes r, s;  /* ECDSA, big-endian */
};
/* QUOTE_OK, QUOTE_MALFORMED, or QUOTE_UNSUPPORTED (another scheme, SHA-1). */
must_use_ enum quote_outcome tpm_signature_parse(struct bytes tpmt_signature, struct tpm_signature *out);

/* Signature over msg: RSASSA, RSAPSS, ECDSA with SHA-256 / 384 / 512 (SHA-1 is refused as unsupported), the hash that
 * TPMT_SIGNATURE names. A quote outcome, or -ENOMEM. */
must_use_ int quote_check_signature(struct bytes msg, struct bytes tpmt_signature, const struct ak *ak);

/* tpm2_quote -f plain: the bare RSA block or a DER Ecdsa-Sig-Value, without scheme and hash. Appends the TPMT_SIGNATURE
 * that it stands for. The scheme of an RSA signature and the hash cannot be told from it: the caller says which.
 * QUOTE_OK, QUOTE_MALFORMED (it is not clearly a plain signature of this key), or a negative errno. */
must_use_ int tpm_signature_from_plain(struct bytes plain, const struct ak *ak, enum sig_scheme rsa_scheme,
				       enum hash_alg hash, struct writer *out);

/* A quote from files: what was found, as far as it could be read. Views point into the message. */
struct quote_facts {
	bool parsed; /* attest is filled; believe it only when quote_verify() said QUOTE_OK */
	struct attest attest;
	bool has_signature; /* scheme and hash are filled */
	enum sig_scheme scheme;
	enum hash_alg hash;
};
/* Message, signature and (unless nonce is NULL) nonce in one go, for quotes that come as files. The signature may be a
 * TPMT_SIGNATURE or plain; a plain one is taken as made with the hash that the quoted digest's length tells, because the
 * TPM uses the scheme's hash for both. A quote outcome, or -ENOMEM; *out is filled whatever the answer. */
must_use_ int quote_verify(struct bytes msg, struct bytes signature, const struct ak *ak, const struct bytes *nonce,
			   struct quote_facts *out);

/* The hash of the signing scheme. */
must_use_ enum quote_outcome signature_hash(struct bytes tpmt_signature, enum hash_alg *out);

/* PCR composite digest: H over the selected values, in order of the selection list and of ascending index
 * (part 1, "Selecting Multiple PCR"; part 3, TPM2_Quote). pcr_value(user, alg, index) returns hash_size bytes or NULL.
 * h is the hash of the signing scheme (signature_hash()).
 * QUOTE_OK; QUOTE_WRONG_SELECTION when a value is not known; QUOTE_UNSUPPORTED for a bank that we do not know. */
must_use_ enum quote_outcome quote_composite(const struct attest *a, enum hash_alg h,
					     const uint8_t *(*pcr_value)(void *user, uint16_t alg, unsigned int index),
					     void *user, uint8_t out[HASH_MAX_SIZE]);
/* The same, compared with the quoted digest: also QUOTE_WRONG_PCR_DIGEST. */
must_use_ enum quote_outcome quote_check_composite(const struct attest *a, enum hash_alg h,
						   const uint8_t *(*pcr_value)(void *user, uint16_t alg,
									       unsigned int index),
						   void *user);
