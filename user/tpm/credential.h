/* SPDX-License-Identifier: Apache-2.0 */
/* TPM2_MakeCredential without a TPM: a secret that only the TPM with this endorsement key gives back, and only while it
 * holds the key with this Name. Pure but for random numbers.
 * Source: TPM 2.0 Library part 1, 24 "Credential Protection", annexes B.10 (RSA) and C.6 (ECC). */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"

struct credential {
	uint8_t blob[LIMIT_CREDENTIAL];	  /* TPM2B_ID_OBJECT, with its size */
	size_t blob_n;
	uint8_t secret[LIMIT_CREDENTIAL]; /* TPM2B_ENCRYPTED_SECRET, with its size */
	size_t secret_n;
};

/* Is this the TPMT_PUBLIC of an endorsement key that a credential can be made for? Restricted decryption key that never
 * leaves its TPM and was made in it (fixedTPM, fixedParent, sensitiveDataOrigin), not for signing; name hash SHA-256, -384
 * or -512; AES-CFB of 128 or 256 bits; no scheme; RSA 2048 to 4096 with exponent 65537, or ECC P-256 or P-384. 0; positive
 * 1: no, *why static text; -ENOMEM. */
must_use_ int credential_check_ek(struct bytes ek_public, const char **why);

/* ek_public: as above. ak_name: TPM Name, 34 bytes. secret: 1 byte up to the size of the EK's name hash. 0; -EINVAL for a
 * name or secret of another size; -ENOMEM; positive 1: not an endorsement key that can be used, *why static text. *out
 * untouched unless 0. */
must_use_ int credential_make(struct bytes ek_public, struct bytes ak_name, struct bytes secret, struct credential *out,
			      const char **why);
