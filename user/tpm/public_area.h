/* SPDX-License-Identifier: Apache-2.0 */
/* Inside user/tpm only: a TPMT_PUBLIC taken apart. Source: TPM 2.0 Library part 2, 12.2.4. */
#pragma once

#include "tpm/tpm_bytes.h"

/* The parts that matter here; views point into the structure. */
struct public_area {
	uint16_t type, name_alg;
	uint32_t attributes;
	bool has_symmetric;
	uint16_t symmetric, symmetric_bits, symmetric_mode;
	uint16_t scheme, scheme_hash;
	uint16_t rsa_bits;
	uint32_t rsa_exponent; /* 0 means 65537 */
	struct bytes modulus;
	uint16_t curve_id, kdf;
	struct bytes x, y;
};

/* The whole structure; trailing bytes are an error. QUOTE_OK, QUOTE_MALFORMED, or QUOTE_UNSUPPORTED: a type or scheme whose
 * form is not known. */
must_use_ enum quote_outcome tpm_public_parse(struct bytes b, struct public_area *out);
/* Its key. QUOTE_OK; QUOTE_MALFORMED also for a point that is not on its curve; QUOTE_UNSUPPORTED; -ENOMEM. The caller
 * owns *out. */
must_use_ int tpm_public_evp(const struct public_area *p, EVP_PKEY **out);
/* OpenSSL's name of a curve and the bytes of a coordinate; NULL for one that we do not do. */
const char *tpm_curve(uint16_t id, size_t *bytes);
