/* SPDX-License-Identifier: Apache-2.0 */
/* Inside user/tpm only: the key derivation functions of a TPM. Source: TPM 2.0 Library part 1, 11.4.10 (rev. 1.59); they are
 * the ones of SP 800-108 (counter mode, HMAC) and SP 800-56A (concatenation). */
#pragma once

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/hash.h"

/* NULL never: hash_alg has four values. */
const EVP_MD *kdf_md(enum hash_alg a);
/* HMAC over two runs of bytes, hash_size() bytes. 0 or -ENOMEM. */
must_use_ int kdf_hmac(enum hash_alg a, struct bytes key, struct bytes first, struct bytes second, uint8_t *out);
/* KDFa and KDFe; n: 1 to hash_size() bytes, one round, which is all that credentials need. The label goes in with its NUL.
 * 0; -EINVAL for an n that is out of range; -ENOMEM. */
must_use_ int kdf_a(enum hash_alg a, struct bytes key, const char *label, struct bytes u, struct bytes v, uint8_t *out,
		    size_t n);
must_use_ int kdf_e(enum hash_alg a, struct bytes z, const char *label, struct bytes u, struct bytes v, uint8_t *out, size_t n);
