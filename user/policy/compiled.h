/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled form of a policy: the table as it is used, behind a header, and the rest as JSON. docs/policy.md,
 * "Compiled policies", has the format; docs/adr/0010 why it is so. */
#pragma once

#include "policy/policy.h"

/* The file of a compiled policy in memory that is nobody else's: whoever changes or cuts the file changes nothing here. */
struct policy_image {
	void *p; /* alloc_huge() */
	size_t n;
	uint8_t seal[32]; /* over these bytes, as they are */
};
void policy_image_clear(struct policy_image *image);

/* True when the file says that it is one. */
bool policy_is_compiled(struct bytes file);
/* Reads and hashes a file that says it is a compiled policy. *out (zeros before) is the caller's to clear. 0; 1: it is
 * something else, or no regular file; negative errno: -EMSGSIZE, -ENOMEM, what open() and read() say. */
must_use_ int policy_image_read(const char *path, struct policy_image *out);
/* The seal of bytes that came from elsewhere. */
void policy_image_seal(struct policy_image *image);
/* A policy of it, which takes *image when 0. Like policy_load(). */
must_use_ int policy_load_image(struct policy **out, struct policy_image *image, struct policy_report *report);
/* The file that a compiled policy came from, as long as the policy is there; { NULL, 0 }: it came from JSON. */
struct bytes policy_file_bytes(const struct policy *p);
/* Its seal, which says all of it: "seal:" and 64 digits. size: at least LIMIT_KEY_NAME. */
void policy_seal_name(const struct policy *p, char *out, size_t size);
/* From JSON to the bytes of the file, the same for the same JSON. 0, negative errno (-EMSGSIZE: more than
 * LIMIT_POLICY_TEXT beside the digests), 1: the policy is bad, see the report. */
must_use_ int policy_compile(struct writer *w, struct bytes json, struct policy_report *report);
