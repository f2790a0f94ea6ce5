/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that vouch for TPM keys: of the endorsement key (TCG EK Credential Profile for TPM Family 2.0), and of the
 * attestation key (TCG TPM 2.0 Keys for Device Identity and Attestation). A struct tpm_cas is immutable once filled and may be
 * read by any number of threads. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"
#include "imastream/reason.h"

struct tpm_cas;
must_use_ int tpm_cas_new(struct tpm_cas **out);
void tpm_cas_free(struct tpm_cas **c);
#define cleanup_tpm_cas_ cleanup_(tpm_cas_free)
/* Adds certificates that are trusted: a file (PEM, one or several; or DER), or a folder of *.pem *.crt *.cer *.der, not its own
 * folders. A self-signed one is a root; another one is trusted as it is (partial chain). 0; negative errno; positive 1: not
 * certificates, *why says what and where. */
must_use_ int tpm_cas_load(struct tpm_cas *c, const char *path, struct writer *why);
size_t tpm_cas_count(const struct tpm_cas *c);

struct tpm_cert_facts { /* for people: printable ASCII, cut to fit; "" when absent */
	char manufacturer[64], model[64], version[64]; /* of the subjectAltName, TPM only */
	char serial[64];   /* of the certificate, hex */
	char issuer[256];
	uint64_t not_after_s; /* CLOCK_REALTIME, seconds */
};

/* Does cert (DER) vouch for this endorsement key (TPMT_PUBLIC), through `chain` (DER certificates one behind the other, not
 * trusted themselves) up to one of the CAs, at now_s? 0: yes; negative errno: ours; positive enum reason: ek-cert-missing
 * (empty cert), -untrusted, -expired, -mismatch, -invalid; *detail static text. *facts (may be NULL) is filled as far as the
 * certificate can be read, whatever the result. */
must_use_ int tpm_ek_cert_check(const struct tpm_cas *c, struct bytes ek_public, struct bytes cert, struct bytes chain,
				uint64_t now_s, struct tpm_cert_facts *facts, const char **detail);
/* The same for an attestation key (TPMT_PUBLIC): extended key usage tcg-kp-AIKCertificate. Reasons: iak-cert-invalid with
 * a detail for all of them. */
must_use_ int tpm_ak_cert_check(const struct tpm_cas *c, struct bytes ak_public, struct bytes cert, struct bytes chain,
				uint64_t now_s, struct tpm_cert_facts *facts, const char **detail);

/* Does a certificate (DER) hold this key (TPMT_PUBLIC)? Nothing else is looked at. */
bool tpm_cert_is_for(struct bytes cert, struct bytes tpmt_public);
/* A file with a certificate, and perhaps those above it: one DER, or PEM of which the first is the leaf. Appends DER to cert
 * (give it LIMIT_CERT) and the others, one behind the other, to chain (LIMIT_EK_CHAIN). 0; negative errno, the writers' too;
 * positive 1: not certificates. */
must_use_ int tpm_cert_from_file(struct bytes file, struct writer *cert, struct writer *chain);
