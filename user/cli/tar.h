/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of a tar archive as `dpkg-deb --fsys-tarfile` gives them: ustar and GNU, as dpkg itself reads them. Pure.
 * Source: POSIX.1-1988 (ustar), GNU tar manual "Basic Tar Format". */
#pragma once

#include "base/buf.h"

#define TAR_BLOCK 512u
#define TAR_NAME_SIZE 257u /* prefix, "/", name, NUL */

enum tar_result {
	TAR_MEMBER,
	TAR_END, /* a block of zeros */
	TAR_BAD, /* not a header, or a form that is not taken */
};

enum tar_kind { TAR_FILE, TAR_HARD_LINK, TAR_LONG_NAME, TAR_LONG_LINK, TAR_OTHER };

struct tar_header {
	enum tar_kind kind;
	uint32_t mode;
	uint64_t size; /* bytes of content behind the header, filled up to whole blocks */
	char name[TAR_NAME_SIZE], link[101];
};

/* One block. *why is static text when TAR_BAD. */
must_use_ enum tar_result tar_parse(struct bytes block, struct tar_header *out, const char **why);
