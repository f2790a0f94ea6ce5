// SPDX-License-Identifier: Apache-2.0
#include "verifier/challenge.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/hash.h"
#include "imastream/wire.h"

#define DOMAIN "imastream credential v1"
#define STAMP_DOMAIN "imastream credential slot v1"

static void write_field(struct writer *w, const void *p, size_t n)
{
	write_u32be(w, (uint32_t)n);
	write_bytes(w, p, n);
}

static int mac(const struct challenger *c, const struct writer *text, uint8_t *out, size_t size)
{
	uint8_t whole[32];
	unsigned int n = 0;

	if (writer_status(text) < 0)
		return writer_status(text);
	if (!HMAC(EVP_sha256(), c->key, sizeof(c->key), text->p, text->n, whole, &n) || n != sizeof(whole))
		return -ENOMEM;
	bytes_copy(out, whole, size);
	OPENSSL_cleanse(whole, sizeof(whole));
	return 0;
}

/* HMAC-SHA-256 (RFC 2104), cut, over fields with their lengths: no two subjects give the same text. A secret may not be
 * longer than the hash of the endorsement key's name, so 8 bytes of stamp leave 24 for the MAC. */
static int secret_of(const struct challenger *c, const struct challenge_subject *s, uint64_t slot,
		     uint8_t out[CHALLENGE_SECRET])
{
	cleanup_writer_ struct writer stamp = WRITER(256), text = WRITER(LIMIT_PUBLIC + 256);
	int r;

	write_field(&stamp, STAMP_DOMAIN, sizeof(STAMP_DOMAIN) - 1);
	write_u64be(&stamp, slot);
	write_field(&text, DOMAIN, sizeof(DOMAIN) - 1);
	write_field(&text, s->id, WIRE_DIGEST_SIZE);
	write_field(&text, s->ak_name, 34);
	write_field(&text, s->ek_public.p, s->ek_public.n);
	write_u64be(&text, slot);
	r = mac(c, &stamp, out, CHALLENGE_STAMP);
	return r < 0 ? r : mac(c, &text, out + CHALLENGE_STAMP, CHALLENGE_SECRET - CHALLENGE_STAMP);
}

int challenge_make(const struct challenger *c, const struct challenge_subject *s, uint64_t now_mono,
		   struct credential *out, const char **why)
{
	uint8_t secret[CHALLENGE_SECRET];
	int r = secret_of(c, s, now_mono / CHALLENGE_SLOT_US, secret);

	if (r == 0)
		r = credential_make(s->ek_public, (struct bytes){ s->ak_name, 34 },
				    (struct bytes){ secret, sizeof(secret) }, out, why);
	OPENSSL_cleanse(secret, sizeof(secret));
	return r;
}

int challenge_check(const struct challenger *c, const struct challenge_subject *s, struct bytes secret,
		    uint64_t now_mono)
{
	uint64_t slot = now_mono / CHALLENGE_SLOT_US;
	bool ours = false, good = false;

	for (uint64_t back = 0; back <= 1 && back <= slot; back++) {
		uint8_t wanted[CHALLENGE_SECRET];
		int r = secret_of(c, s, slot - back, wanted);

		if (r < 0)
			return r;
		ours |= secret.n >= CHALLENGE_STAMP && CRYPTO_memcmp(wanted, secret.p, CHALLENGE_STAMP) == 0;
		good |= secret.n == sizeof(wanted) && CRYPTO_memcmp(wanted, secret.p, sizeof(wanted)) == 0;
		OPENSSL_cleanse(wanted, sizeof(wanted));
	}
	if (good)
		return CHALLENGE_GOOD;
	return ours ? CHALLENGE_WRONG : CHALLENGE_LATE;
}
