/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of certificates only. */
#pragma once

#include <openssl/x509v3.h>

#include "tpm/certificate.h"
#include "tpm/tpm_bytes.h"

DEFINE_CLEANUP(X509, X509_free)

struct tpm_cas {
	X509_STORE *store;
};

/* For people, as far as it can be read. */
void certificate_facts(X509 *cert, struct tpm_cert_facts *out);
/* Whether the subjectAltName names a TPM's maker. */
bool certificate_names_tpm(X509 *cert);
