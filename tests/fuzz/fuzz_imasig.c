// SPDX-License-Identifier: Apache-2.0
/* Byte 0 even: a key file, and an appended signature. Odd: a security.ima value (bit 1: the entry has an fs-verity digest; bits 2-4 its hash). */
#include "policy/keyring_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Public keys of tests/vectors/keylime-ima/keys. */
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
			  "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1cD7bW5tX5qIVgWskS5t\n"
			  "zY+XpqWzcW6HFq5npj8dHFIWsAJJCUdoSU631hkyY8HP/RfXDPq/J4IeKvx35EVX\n"
			  "j49t1Z1FTJBgUlEbkKvqm0rY6jo7PnJ6BsDRrauXtiEXVKNXcWXDk8ES+9v9Cz26\n"
			  "BJYAr+5Xgm2aEyAbj8GhicxUZfsjDm8eJ7ZnQKuhF7jejG5dYAYxnBVu99bQJHI5\n"
			  "Fsu3dAjGbys9v7ToNbonS+1bJXdHyEE0swhxBOPvvV6vx5CzRNw1Sou3rT19T4j8\n"
			  "wpsFOyYXVcbbRVBAmBE2Qy2UHvojFqaJN/A9lztllyER1S5heGG6CxK3GoR6pkOX\n"
			  "AQIDAQAB\n"
			  "-----END PUBLIC KEY-----\n"
			  "-----BEGIN PUBLIC KEY-----\n"
			  "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEnNH3Y/xOTwRRd8D6hpodRLnVx71qDTLv\n"
			  "JHouno7nU7JSzcXWN1PxK+HQEh1V7sMdwBER4KFKE635JTv6C+BRBg==\n"
			  "-----END PUBLIC KEY-----\n";
static const char *const algs[] = { "sha256", "sha1", "sha512", "sha384", "md5", "sm3", "sha224", "foo" };
/* /usr/bin/dd of signatures.ascii: the corpus has its good signature */
static const uint8_t digest[64] = {
	0xd3, 0x3d, 0x5d, 0x13, 0x79, 0x22, 0x92, 0xe2, 0x02, 0xdb, 0xf6, 0x9a, 0x6f, 0x1b, 0x07, 0xbc,
	0x8a, 0x02, 0xf0, 0x14, 0x24, 0xdb, 0x84, 0x89, 0xba, 0x7b, 0xb7, 0xd4, 0x3c, 0x02, 0x90, 0xef,
};
static const size_t sizes[] = { 32, 20, 64, 48, 16, 32, 28, 32 };

static void key_file(struct bytes file)
{
	cleanup_keyring_ struct keyring *k = NULL;
	const char *why = NULL;
	int r;

	(void)keyring_is_key(file);
	if (keyring_new(&k) < 0)
		return;
	r = keyring_add(k, file, &why);
	if (r > 0 && !why)
		abort();
	if (r == 0 && keyring_count(k) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct keyring *ring;
	struct reader r = reader_over(data, size);
	uint8_t mode = read_u8(&r);
	const char *why = NULL, *alg = algs[mode >> 2 & 7];
	struct bytes rest = read_rest(&r);

	if (!ring && (keyring_new(&ring) < 0 || keyring_add(ring, (struct bytes){ (const uint8_t *)pem, sizeof(pem) - 1 }, &why) != 0))
		abort();
	if (!(mode & 1)) {
		key_file(rest);
		/* nobody ever signed this digest so */
		if (modsig_verify(ring, NULL, rest, (struct bytes){ (const uint8_t *)"sha256", 6 }, (struct bytes){ digest, 32 }) == IMASIG_OK)
			abort();
	} else {
		enum imasig_outcome outcome = imasig_verify(ring, rest, (struct bytes){ (const uint8_t *)alg, strlen(alg) },
							    (struct bytes){ digest, sizes[mode >> 2 & 7] }, mode & 2);

		if (outcome == IMASIG_OK && mode >> 2 & 7) /* only the SHA-256 digest was ever signed */
			abort();
	}
	return 0;
}
