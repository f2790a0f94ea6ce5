/* SPDX-License-Identifier: Apache-2.0 */
/* Which fields a template has. Private to user/ima.
 * Source: security/integrity/ima/ima_template.c, builtin_templates[] and supported_fields[]. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"

enum ima_field {
	IMA_FIELD_UNKNOWN,
	IMA_FIELD_D,
	IMA_FIELD_N,
	IMA_FIELD_D_NG,
	IMA_FIELD_D_NGV2,
	IMA_FIELD_N_NG,
	IMA_FIELD_SIG,
	IMA_FIELD_BUF,
	IMA_FIELD_D_MODSIG,
	IMA_FIELD_MODSIG,
	IMA_FIELD_EVMSIG,
	IMA_FIELD_XATTR_NAMES,
	IMA_FIELD_XATTR_LENGTHS,
	IMA_FIELD_XATTR_VALUES,
	IMA_FIELD_UID,
	IMA_FIELD_GID,
	IMA_FIELD_MODE,
};

struct ima_template {
	size_t n;   /* fields; 0 when the name tells nothing about them */
	bool known; /* every field is known */
	enum ima_field field[LIMIT_TEMPLATE_FIELDS];
};

/* The template of this name, or of this format string ("d-ng|n-ng|buf"). Never NULL: a built-in one, or *scratch filled. */
const struct ima_template *ima_template_find(struct bytes name, struct ima_template *scratch);

/* Name of the i-th built-in template; false past the last. */
bool ima_template_builtin_name(size_t i, struct bytes *name);

bool ima_template_is_builtin(struct bytes name);

/* True for the template "ima", whose list form and hash differ from all others. */
bool ima_template_is_legacy(struct bytes name);

/* Size in bytes of a digest by its kernel name (crypto/hash_info.c), 0 when the name is not known. */
size_t ima_alg_size(struct bytes alg);

/* True for text with one NUL, at its end. */
bool ima_is_c_string(struct bytes b);

/* The two fields of "ima" data: digest, and name with its NUL. false: not of that form. */
must_use_ bool ima_legacy_parts(struct bytes data, struct bytes *digest, struct bytes *name);
