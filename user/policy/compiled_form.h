/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a compiled policy; for compiled_read.c and compiled_write.c only. */
#pragma once

#include "policy/compiled.h"
#include "policy/model.h"

#define COMPILED_MAGIC "imastream policy" /* 16 bytes, without a NUL */
#define COMPILED_MAGIC_SIZE 16u
#define COMPILED_VERSION 1u
#define COMPILED_HEADER 256u
#define COMPILED_SEAL_AT 32u
#define COMPILED_CHUNK (1u << 20)
#define COMPILED_HASH 32u

enum compiled_flag { COMPILED_BOOT_AGGREGATE = 1 };

struct compiled_header {
	uint64_t file; /* bytes of everything */
	uint8_t seal[COMPILED_HASH], source[COMPILED_HASH];
	uint8_t seed[SIPHASH_KEY_SIZE];
	uint64_t slots;	  /* behind the header, 8 bytes each */
	uint64_t records; /* bytes, behind the slots */
	uint64_t text;	  /* bytes, behind the records */
	uint64_t paths, digests, denied;
	uint32_t probes, flags;
};

/* SHA-256 over a domain, the header with zeros in place of the seal, and the SHA-256 of each 1 MiB of the rest: made by
 * several threads where there are processors for it. */
void compiled_seal(struct bytes file, uint8_t seal[COMPILED_HASH]);
/* The same while image->p is filled from a regular file with image->n bytes: each part is hashed while it is in the cache.
 * Where the file is shorter now, zeros are. 0; what pread() says. */
must_use_ int compiled_fill(int fd, struct policy_image *image);
