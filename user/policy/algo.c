// SPDX-License-Identifier: Apache-2.0
#include "policy/algo.h"

/* Index: enum hash_algo of include/uapi/linux/hash_info.h; the last three since Linux 6.7. */
static const struct {
	const char *name;
	uint8_t size;
} algs[FILE_ALG_COUNT] = {
	{ "md4", 16 },	       { "md5", 16 },	      { "sha1", 20 },	{ "rmd160", 20 },   { "sha256", 32 },
	{ "sha384", 48 },      { "sha512", 64 },      { "sha224", 28 }, { "rmd128", 16 },   { "rmd256", 32 },
	{ "rmd320", 40 },      { "wp256", 32 },	      { "wp384", 48 },	{ "wp512", 64 },    { "tgr128", 16 },
	{ "tgr160", 20 },      { "tgr192", 24 },      { "sm3", 32 },	{ "streebog256", 32 }, { "streebog512", 64 },
	{ "sha3-256", 32 },    { "sha3-384", 48 },    { "sha3-512", 64 },
};

uint8_t file_alg_from_name(struct bytes name)
{
	if (name.n == 6 && bytes_equal("sha256", name.p, 6)) /* nearly always */
		return FILE_ALG_SHA256;
	for (uint8_t i = 0; i < FILE_ALG_COUNT; i++)
		if (strlen(algs[i].name) == name.n && bytes_equal(algs[i].name, name.p, name.n))
			return i;
	/* hash_algo_name[] said "sm3-256" before Linux 5.17. */
	return name.n == 7 && bytes_equal("sm3-256", name.p, name.n) ? FILE_ALG_SM3 : FILE_ALG_NONE;
}

const char *file_alg_name(uint8_t alg)
{
	return alg < FILE_ALG_COUNT ? algs[alg].name : NULL;
}

size_t file_alg_size(uint8_t alg)
{
	return alg < FILE_ALG_COUNT ? algs[alg].size : 0;
}

uint8_t file_alg_infer(size_t n, uint8_t preferred)
{
	/* What ima_hash= is set to in practice, one for each size. */
	static const uint8_t usual[] = { FILE_ALG_SHA256, FILE_ALG_SHA1,   FILE_ALG_SHA512,
					 FILE_ALG_SHA384, FILE_ALG_SHA224, FILE_ALG_MD5 };

	if (n == 0)
		return FILE_ALG_NONE;
	if (file_alg_size(preferred) == n)
		return preferred;
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (algs[usual[i]].size == n)
			return usual[i];
	return FILE_ALG_NONE;
}

bool file_alg_weak(uint8_t alg)
{
	return alg == FILE_ALG_MD4 || alg == FILE_ALG_MD5 || alg == FILE_ALG_SHA1;
}
