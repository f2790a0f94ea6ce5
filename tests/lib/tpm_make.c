// SPDX-License-Identifier: Apache-2.0
#include "lib/tpm_make.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static void must(bool ok)
{
	if (!ok)
		abort();
}

EVP_PKEY *make_key(enum made_key kind)
{
	EVP_PKEY *key = NULL;

	switch (kind) {
	case MADE_RSA_1024:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
		break;
	case MADE_RSA_2048:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
		break;
	case MADE_RSA_3072:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072);
		break;
	case MADE_P256:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
		break;
	case MADE_P384:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
		break;
	case MADE_P521:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
		break;
	case MADE_ED25519:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	}
	must(key);
	return key;
}

void make_pem(struct writer *w, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	must(bio && PEM_write_bio_PUBKEY(bio, key));
	n = BIO_get_mem_data(bio, &text);
	write_bytes(w, text, (size_t)n);
	BIO_free(bio);
}

static void tpm2b(struct writer *w, struct bytes b)
{
	write_u16be(w, (uint16_t)b.n);
	write_bytes(w, b.p, b.n);
}

void make_attest(struct writer *w, const struct made_attest *a)
{
	write_u32be(w, a->magic);
	write_u16be(w, a->type);
	tpm2b(w, a->signer);
	tpm2b(w, a->nonce);
	write_u64be(w, a->clock_ms);
	write_u32be(w, a->resets);
	write_u32be(w, a->restarts);
	write_u8(w, a->safe);
	write_u64be(w, a->firmware);
	write_u32be(w, a->count);
	for (size_t i = 0; i < a->n_selections; i++) {
		write_u16be(w, a->selection[i].alg);
		write_u8(w, a->selection[i].size);
		write_bytes(w, a->selection[i].select, a->selection[i].size);
	}
	tpm2b(w, a->digest);
	must(writer_status(w) == 0);
}

static const EVP_MD *md_of(enum hash_alg h)
{
	return EVP_get_digestbyname(hash_name(h));
}

static void write_number(struct writer *w, const BIGNUM *n)
{
	uint8_t b[66];
	int len = BN_bn2bin(n, b);

	must(len >= 0);
	tpm2b(w, (struct bytes){ b, (size_t)len });
}

void make_signature(struct writer *w, EVP_PKEY *key, enum sig_scheme scheme, enum hash_alg hash, struct bytes msg)
{
	static const uint16_t ids[] = { [SIG_RSASSA] = 0x0014, [SIG_RSAPSS] = 0x0016, [SIG_ECDSA] = 0x0018 };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t raw[1024];
	size_t n = sizeof(raw);

	must(ctx && EVP_DigestSignInit(ctx, &pctx, md_of(hash), NULL, key) == 1);
	if (scheme == SIG_RSAPSS)
		must(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1);
	must(EVP_DigestSign(ctx, raw, &n, msg.p, msg.n) == 1);
	EVP_MD_CTX_free(ctx);
	write_u16be(w, ids[scheme]);
	write_u16be(w, hash_tpm_alg(hash));
	if (scheme == SIG_ECDSA) {
		const unsigned char *at = raw;
		ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)n);

		must(sig);
		write_number(w, ECDSA_SIG_get0_r(sig));
		write_number(w, ECDSA_SIG_get0_s(sig));
		ECDSA_SIG_free(sig);
	} else {
		tpm2b(w, (struct bytes){ raw, n });
	}
	must(writer_status(w) == 0);
}

static void write_param(struct writer *w, EVP_PKEY *key, const char *name)
{
	BIGNUM *n = NULL;
	uint8_t b[512];
	int len;

	must(EVP_PKEY_get_bn_param(key, name, &n));
	len = BN_bn2bin(n, b);
	BN_free(n);
	tpm2b(w, (struct bytes){ b, (size_t)len });
}

void make_public(struct writer *w, EVP_PKEY *key, const struct made_public *p)
{
	bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	int bits = EVP_PKEY_get_bits(key);

	write_u16be(w, rsa ? 0x0001 : 0x0023);
	write_u16be(w, p->name_alg);
	write_u32be(w, p->attributes);
	tpm2b(w, p->policy);
	write_u16be(w, p->symmetric);
	if (p->symmetric != 0x0010) {
		write_u16be(w, p->symmetric_bits ? p->symmetric_bits : 128);
		write_u16be(w, 0x0043);
	}
	write_u16be(w, p->scheme);
	if (p->scheme != 0x0010)
		write_u16be(w, p->scheme_hash);
	if (rsa) {
		write_u16be(w, (uint16_t)bits);
		write_u32be(w, 0);
		write_param(w, key, OSSL_PKEY_PARAM_RSA_N);
	} else {
		write_u16be(w, bits == 256 ? 0x0003 : bits == 384 ? 0x0004 : 0x0005);
		write_u16be(w, 0x0010);
		write_param(w, key, OSSL_PKEY_PARAM_EC_PUB_X);
		write_param(w, key, OSSL_PKEY_PARAM_EC_PUB_Y);
	}
	must(writer_status(w) == 0);
}

static void u16le(struct writer *w, size_t v)
{
	write_u8(w, (uint8_t)v);
	write_u8(w, (uint8_t)(v >> 8));
}

static void digest_slot(struct writer *w, const uint8_t *p, size_t n)
{
	static const uint8_t zeros[64];

	u16le(w, n);
	write_bytes(w, p, n);
	write_bytes(w, zeros, 64 - n);
}

void make_pcr_file(struct writer *w, const struct pcr_selection *sel, size_t n,
		   const uint8_t *(*value)(uint16_t alg, unsigned int pcr))
{
	size_t values = 0, at = 0;

	write_u32le(w, (uint32_t)n);
	for (size_t i = 0; i < 16; i++) {
		u16le(w, i < n ? sel[i].alg : 0);
		write_u8(w, i < n ? 3 : 0);
		write_u32le(w, i < n ? sel[i].mask : 0);
		write_u8(w, 0);
		values += i < n ? (size_t)__builtin_popcount(sel[i].mask) : 0;
	}
	write_u32le(w, (uint32_t)((values + 7) / 8));
	for (size_t i = 0; i < n; i++) {
		for (unsigned int pcr = 0; pcr < 24; pcr++) {
			enum hash_alg h = HASH_SHA256;

			if (!(sel[i].mask & 1u << pcr))
				continue;
			if (at % 8 == 0)
				write_u32le(w, (uint32_t)(values - at < 8 ? values - at : 8));
			(void)!hash_from_tpm_alg(sel[i].alg, &h);
			digest_slot(w, value(sel[i].alg, pcr), hash_size(h));
			at++;
		}
	}
	for (; at % 8; at++)
		digest_slot(w, NULL, 0);
	must(writer_status(w) == 0);
}
