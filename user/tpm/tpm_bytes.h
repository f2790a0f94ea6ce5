/* SPDX-License-Identifier: Apache-2.0 */
/* Inside user/tpm only: numbers of the TPM structures and the two shapes that occur everywhere in them. The verifier's
 * side spells these out instead of including tss2: it must not depend on a TPM stack.
 * Source: TCG Algorithm Registry rev. 1.32 table 3; TPM 2.0 Library part 2 tables 7 (generated), 19 (ST), 31 (attributes). */
#pragma once

#include "base/buf.h"
#include "tpm/attest.h"

#define ALG_RSA 0x0001u
#define ALG_AES 0x0006u
#define ALG_NULL 0x0010u
#define ALG_RSASSA 0x0014u
#define ALG_RSAES 0x0015u
#define ALG_RSAPSS 0x0016u
#define ALG_OAEP 0x0017u
#define ALG_ECDSA 0x0018u
#define ALG_ECDH 0x0019u
#define ALG_ECDAA 0x001au
#define ALG_SM2 0x001bu
#define ALG_ECSCHNORR 0x001cu
#define ALG_ECMQV 0x001du
#define ALG_ECC 0x0023u
#define ALG_CFB 0x0043u

#define CURVE_P256 0x0003u
#define CURVE_P384 0x0004u
#define CURVE_P521 0x0005u
#define ECC_MAX_BYTES 66u /* P-521 */

#define GENERATED_MAGIC 0xff544347u
#define ST_ATTEST_QUOTE 0x8018u

#define ATTR_FIXED_TPM (1u << 1)
#define ATTR_FIXED_PARENT (1u << 4)
#define ATTR_SENSITIVE_DATA_ORIGIN (1u << 5)
#define ATTR_RESTRICTED (1u << 16)
#define ATTR_DECRYPT (1u << 17)
#define ATTR_SIGN (1u << 18)

/* TPM2B_*: length and bytes, at most `max` of them. */
static inline struct bytes read_tpm2b(struct reader *r, size_t max)
{
	size_t n = read_u16be(r);

	if (n > max)
		r->bad = true;
	return read_bytes(r, r->bad ? 0 : n);
}

static inline void write_tpm2b(struct writer *w, struct bytes b)
{
	write_u16be(w, (uint16_t)b.n);
	write_bytes(w, b.p, b.n);
}

/* cleanup_(TYPE_freep) for an OpenSSL type */
#define DEFINE_CLEANUP(type, free_function)             \
	static inline void type##_freep(type **object)  \
	{                                               \
		free_function(*object);                 \
		*object = NULL;                         \
	}
