/* SPDX-License-Identifier: Apache-2.0 */
/* Inside user/tpm only: the outside of DER (X.690 section 8.1.3 and 10.1), before OpenSSL sees it. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"

/* Length of the SEQUENCE at the front of b with its header; 0 when there is none that fits. What stands behind it (an NV
 * index is often larger than its certificate) is not looked at. */
size_t der_length(struct bytes b);
/* True when b is exactly one SEQUENCE, all lengths in it are definite and in their shortest form, and every constructed
 * value is filled exactly by its parts. */
bool der_strict(struct bytes b);
/* Moves the whole certificates at the front of `pending` to out, which holds *n bytes and *certs certificates and takes no more than
 * LIMIT_EK_CHAIN and LIMIT_EK_CHAIN_CERTS; those beyond, and larger ones than LIMIT_CERT, are dropped. What is left in `pending` is
 * the beginning of one that goes on in the next NV index; padding is dropped. */
void der_take_certs(struct writer *pending, size_t *certs, uint8_t out[LIMIT_EK_CHAIN], size_t *n);
