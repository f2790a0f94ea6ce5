/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of IMA's measurement list, whatever it was read from (binary list, ASCII list, ring record, wire block). */
#pragma once

#include "base/buf.h"
#include "base/hash_many.h"

struct ima_entry {
	uint32_t pcr;
	struct bytes name;   /* template name, or the format string of a custom template; not NUL-terminated */
	struct bytes data;   /* the fields, each u32 little-endian length + bytes, in template order; also for "ima", whose
			      * list form differs (ima_fs.c, ima_measurements_show) */
	struct bytes digest; /* the template digest as the list gives it; empty when the source carries none */
	bool violation;	     /* the list's digest is all zeros; all ones were extended (ima_template_lib.c, ima_queue.c) */
};

enum ima_digest_kind { IMA_DIGEST_FILE, IMA_DIGEST_VERITY };

/* The fields by meaning, views into entry.data. What a template does not carry is empty (p == NULL, n == 0). */
struct ima_fields {
	bool known;		     /* every field of the template was recognised and well-formed */
	struct bytes alg;	     /* "sha256"; for the fields d: "sha1" (or "md5") */
	struct bytes digest;
	enum ima_digest_kind kind;   /* d-ngv2 with "verity:" */
	struct bytes path;	     /* n, n-ng without the NUL: a hint, attacker-controlled bytes */
	struct bytes sig;	     /* security.ima: header + signature */
	struct bytes buf;
	struct bytes modsig_alg, modsig_digest, modsig;
	struct bytes evmsig;
	struct bytes xattr_names, xattr_lengths, xattr_values;
	struct bytes uid, gid, mode; /* native integers, 4, 4 and 2 bytes */
};

/* Takes the template data apart by the template's name or format string. false: lengths do not add up, too many
 * fields, or a field's inner form is wrong (out->known false, what was read so far is kept). An unknown template with
 * sound lengths gives true with known == false. Source: Documentation/security/IMA-templates.rst, ima_template_lib.c. */
must_use_ bool ima_fields_parse(const struct ima_entry *e, struct ima_fields *out);

/* The template's name is not part of what is hashed: whoever holds the list can change it unseen. This reads the data
 * without believing the name: the first built-in template (Documentation/security/IMA-templates.rst) other than "ima" whose
 * form the data has, and with a digest and a path in it; else the first labelled digest and the first text among the fields. For entries whose own name gives no digest or no path; false when
 * no template fits. ("ima" is hashed in its own way, so that name cannot be taken or given unseen.) */
must_use_ bool ima_fields_guess(const struct ima_entry *e, struct ima_fields *out);

/* True when the entry's name is no template's, but is so but for one byte, and the data has that template's form: the name was
 * changed after the kernel wrote it (or torn in transport), unseen by any hash. What is compared with: the built-in
 * templates, and `format`, a custom format that this list has elsewhere (or empty). *meant is a view of a constant or of format. */
must_use_ bool ima_template_misnamed(const struct ima_entry *e, struct bytes format, struct bytes *meant);

/* A format string as name ("d-ng|n-ng|sig") can point at any field: also at one whose bytes the host chooses, an extended
 * attribute's value, say, while fields that take anything stand where the digest is. True when such a name gives another
 * digest or path, or a buffer in another place, than the data's form: then *by_form is what the form says. False for
 * built-in names, and when the form says nothing. named: what ima_fields_parse() gave. */
must_use_ bool ima_fields_contradict(const struct ima_entry *e, const struct ima_fields *named, struct ima_fields *by_form);

/* The digest that the kernel extended for this entry into a bank of algorithm a: H(data) for most templates, H(digest ||
 * name padded to 256) for "ima", all 0xff for a violation. Writes hash_size(a) bytes. Malformed "ima" data hashes as it is. */
void ima_template_digest(const struct ima_entry *e, enum hash_alg a, uint8_t *out);

/* What the kernel extends into a bank. Beside the bank's own hash of the data: SHA-1, zero-padded to the bank's size. */
enum ima_bank_rule {
	IMA_BANK_OWN,
	/* From 5.8 on, in a bank whose hash the kernel had no driver for when IMA started (Debian's 6.1 with sha384 and
	 * sha512 banks: ima_crypto.c, ima_calc_field_array_hash()); a violation is all 0xff (ima_queue.c, ima_init_digests()). */
	IMA_BANK_PADDED,
	/* Before 5.8, every bank but sha1; a violation is 20 bytes of 0xff, then zeros (one digest of TPM_DIGEST_SIZE was
	 * copied into all banks). */
	IMA_BANK_PADDED_OLD,
	IMA_BANK_RULES,
};
void ima_bank_digest(const struct ima_entry *e, enum hash_alg a, enum ima_bank_rule rule, uint8_t *out);
/* The same as a step without an extend: its data where their plain hash is what the kernel extends, else *out is filled now.
 * What the step gives goes to *out as well. */
void ima_bank_step(const struct ima_entry *e, enum hash_alg a, enum ima_bank_rule rule, uint8_t *out, struct hash_step *s);
/* The same as IMA_BANK_PADDED. */
void ima_template_digest_padded_sha1(const struct ima_entry *e, enum hash_alg a, uint8_t *out);
/* True when the list's digest column (20, 32, 48 or 64 bytes by its length) is the hash of the data, or the entry is a violation. */
must_use_ bool ima_digest_matches(const struct ima_entry *e);
