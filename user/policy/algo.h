/* SPDX-License-Identifier: Apache-2.0 */
/* File hash algorithms as the kernel numbers and spells them. Pure.
 * Numbers: include/uapi/linux/hash_info.h. Names and sizes: crypto/hash_info.c. */
#pragma once

#include "base/buf.h"

enum file_alg {
	FILE_ALG_MD4 = 0,
	FILE_ALG_MD5 = 1,
	FILE_ALG_SHA1 = 2,
	FILE_ALG_RMD160 = 3,
	FILE_ALG_SHA256 = 4,
	FILE_ALG_SHA384 = 5,
	FILE_ALG_SHA512 = 6,
	FILE_ALG_SHA224 = 7,
	FILE_ALG_SM3 = 17,
	FILE_ALG_SHA3_256 = 20,
	FILE_ALG_SHA3_384 = 21,
	FILE_ALG_SHA3_512 = 22,
	FILE_ALG_COUNT = 23,
	FILE_ALG_NONE = 255,
};
#define FILE_ALG_MAX_SIZE 64u

/* The number of a label such as "sha256" ("rmd160", "sm3", "sha3-256" ...); FILE_ALG_NONE for one the kernel has not. */
uint8_t file_alg_from_name(struct bytes name);
/* The kernel's name; NULL for a number that does not exist. */
const char *file_alg_name(uint8_t alg);
/* Digest bytes; 0 for a number that does not exist. */
size_t file_alg_size(uint8_t alg);
/* Digests in a Keylime policy carry no algorithm: the one of that size which files are hashed with, `preferred` (the
 * policy's ima.log_hash_alg) first. FILE_ALG_NONE when no algorithm has digests of n bytes. */
uint8_t file_alg_infer(size_t n, uint8_t preferred);
/* Collisions can be made: MD4, MD5, SHA-1. */
bool file_alg_weak(uint8_t alg);
