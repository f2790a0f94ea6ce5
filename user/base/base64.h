/* SPDX-License-Identifier: Apache-2.0 */
/* Base64, RFC 4648 sections 4 and 5. Strict: padding is needed, white space, foreign characters and bits that no encoder
 * leaves behind (section 3.5) are refused, so that one run of bytes has one text in each alphabet. */
#pragma once

#include "base/buf.h"

enum base64_alphabet { BASE64_STANDARD, BASE64_EITHER }; /* EITHER: all of the text in one of the two alphabets */

/* Appends the decoded bytes to w. 0, -EINVAL (w as it was) or the writer's failure. The empty text is no bytes. */
must_use_ int base64_decode_to(struct writer *w, struct bytes text, enum base64_alphabet alphabet);
/* Appends the text of b in the standard alphabet, padded. Failures stay in w. */
void write_base64(struct writer *w, struct bytes b);
