/* SPDX-License-Identifier: Apache-2.0 */
/* Who may attest: a list of attestation keys on disk. A file is either PEM ("BEGIN PUBLIC KEY", one or more; the file's
 * name without extension is the label when it holds one key) or lines
 *
 *     ATTESTER-ID|-  AK-NAME|AK-PUBLIC  [LABEL]      hex; `#` starts a comment
 *
 * AK-NAME is the TPM Name (000b and a SHA-256, 68 digits), AK-PUBLIC a TPMT_PUBLIC. `-` for the id: any attester with
 * that key. A directory is read file by file (*.pem, *.ak), not into its own directories. */
#pragma once

#include "base/buf.h"
#include "imastream/limits.h"
#include "imastream/wire.h"
#include "tpm/attest.h"

struct ak_entry {
	bool has_id, has_name; /* no name: the fingerprint counts */
	uint8_t id[WIRE_DIGEST_SIZE], name[34], fingerprint[32];
	char label[LIMIT_LABEL + 1]; /* "": use the host's own */
};

struct ak_list {
	struct ak_entry *entries;
	size_t n, capacity;
};

void ak_list_clear(struct ak_list *l);
/* Adds what a file or directory holds. 0; positive 1: it is not such a list, *why says what is wrong (with the line);
 * or negative errno. */
must_use_ int ak_list_load(struct ak_list *l, const char *path, struct writer *why);
/* Same, from bytes: `label` for a PEM with one key. */
must_use_ int ak_list_parse(struct ak_list *l, struct bytes text, const char *label, struct writer *why);
/* A list of hosts that may enrol (--preauth FILE), as lines
 *
 *     EK-HASH|AK-NAME  [LABEL]      hex; `#` starts a comment
 *
 * EK-HASH is the SHA-256 of the endorsement key's TPMT_PUBLIC, which is the attester's id (64 digits); AK-NAME the TPM Name
 * of the attestation key (68 digits). Results as above. */
must_use_ int preauth_load(struct ak_list *l, const char *path, struct writer *why);
must_use_ int preauth_parse(struct ak_list *l, struct bytes text, struct writer *why);
/* The entry that names this id or this key, or NULL. */
const struct ak_entry *preauth_find(const struct ak_list *l, const uint8_t *id, const struct ak *ak);
/* The entry that vouches for this key under this id, or NULL. */
const struct ak_entry *ak_list_find(const struct ak_list *l, const uint8_t *id, const struct ak *ak);
