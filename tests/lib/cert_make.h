/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, good and bad ones. */
#pragma once

#include <openssl/x509.h>

#include "base/buf.h"

/* What is NULL or 0 is left out, but a subject and a key are needed. Extensions as in openssl.cnf; "@san" in `san` is a
 * directoryName that names a TPM. Times are seconds from MADE_NOW. */
struct made_cert {
	const char *subject; /* common name */
	EVP_PKEY *key;
	X509 *issuer;	  /* NULL: signs itself */
	EVP_PKEY *signer; /* NULL: its own key */
	int64_t not_before, not_after; /* both 0: a year around now */
	const char *basic, *usage, *extended, *san, *constraints;
	const char *extra_oid; /* an extension with an empty SEQUENCE as value */
	bool extra_critical;
	const EVP_MD *md; /* NULL: SHA-256 */
	bool version_1;
};
#define MADE_NOW 1800000000u /* 2027 */
#define MADE_CA(name_, key_) { .subject = (name_), .key = (key_), .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign" }
#define MADE_TPM_SAN "critical,dirName:tpm"

/* Aborts when OpenSSL cannot. The caller frees it. */
X509 *make_cert(const struct made_cert *c);
/* Appends DER; PEM. */
void make_cert_der(struct writer *w, X509 *cert);
void make_cert_pem(struct writer *w, X509 *cert);
