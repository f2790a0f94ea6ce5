// SPDX-License-Identifier: Apache-2.0
/* Credentials, undone with the private key as part 1 of the TPM library says, with OpenSSL's own key derivations. */
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "lib/test.h"

#include "lib/tpm_make.h"
#include "tpm/credential.h"
#include "tpm/kdf.h"

static EVP_PKEY *rsa, *rsa3072, *p256, *p384, *p521;

static int make_keys(void **state)
{
	(void)state;
	rsa = make_key(MADE_RSA_2048);
	rsa3072 = make_key(MADE_RSA_3072);
	p256 = make_key(MADE_P256);
	p384 = make_key(MADE_P384);
	p521 = make_key(MADE_P521);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(rsa3072);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(p521);
	return 0;
}

static const uint8_t name[34] = { 0x00, 0x0b, 1, 2, 3 };
static const struct bytes ak_name = { name, sizeof(name) };

/* --- key derivation, against OpenSSL's ------------------------------------------------------------------------------ */

static void openssl_kdf(const char *which, OSSL_PARAM *params, uint8_t *out, size_t n)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, which, NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

	assert_non_null(ctx);
	assert_int_equal(EVP_KDF_derive(ctx, out, n, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void openssl_kdf_a(enum hash_alg h, struct bytes key, struct bytes label, struct bytes context, uint8_t *out, size_t n)
{
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_utf8_string("mode", (char *)"COUNTER", 0),
		OSSL_PARAM_construct_utf8_string("mac", (char *)"HMAC", 0),
		OSSL_PARAM_construct_utf8_string("digest", (char *)hash_name(h), 0),
		OSSL_PARAM_construct_octet_string("key", (void *)key.p, key.n),
		OSSL_PARAM_construct_octet_string("salt", (void *)label.p, label.n), /* without NUL: it separates by zero */
		OSSL_PARAM_construct_octet_string("info", (void *)context.p, context.n),
		OSSL_PARAM_construct_end(),
	};

	openssl_kdf("KBKDF", p, out, n);
}

static void openssl_kdf_e(enum hash_alg h, struct bytes z, struct bytes info, uint8_t *out, size_t n)
{
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_utf8_string("digest", (char *)hash_name(h), 0),
		OSSL_PARAM_construct_octet_string("key", (void *)z.p, z.n),
		OSSL_PARAM_construct_octet_string("info", (void *)info.p, info.n),
		OSSL_PARAM_construct_end(),
	};

	openssl_kdf("SSKDF", p, out, n);
}

static void key_derivation(void **state)
{
	uint8_t key[64], ours[64], theirs[64];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7);
	for (int h = HASH_SHA1; h < HASH_COUNT; h++) {
		size_t size = hash_size((enum hash_alg)h);

		for (size_t n = 1; n <= size; n++) {
			assert_int_equal(kdf_a((enum hash_alg)h, (struct bytes){ key, 32 }, "STORAGE", BYTES("one"), BYTES("two"),
					       ours, n), 0);
			openssl_kdf_a((enum hash_alg)h, (struct bytes){ key, 32 }, BYTES("STORAGE"), BYTES("onetwo"), theirs, n);
			assert_memory_equal(ours, theirs, n);
			assert_int_equal(kdf_e((enum hash_alg)h, (struct bytes){ key, 48 }, "IDENTITY", BYTES("one"), BYTES("two"),
					       ours, n), 0);
			openssl_kdf_e((enum hash_alg)h, (struct bytes){ key, 48 }, BYTES("IDENTITY\0onetwo"), theirs, n);
			assert_memory_equal(ours, theirs, n);
		}
		assert_int_equal(kdf_a((enum hash_alg)h, ak_name, "X", ak_name, ak_name, ours, size + 1), -EINVAL);
		assert_int_equal(kdf_e((enum hash_alg)h, ak_name, "X", ak_name, ak_name, ours, size + 1), -EINVAL);
		assert_int_equal(kdf_a((enum hash_alg)h, ak_name, "X", ak_name, ak_name, ours, 0), -EINVAL);
	}
}

/* --- a TPM's side --------------------------------------------------------------------------------------------------- */

static struct bytes tpm2b(struct reader *r)
{
	size_t n = read_u16be(r);

	return read_bytes(r, n);
}

static bool rsa_open(EVP_PKEY *ek, enum hash_alg h, struct bytes sealed, uint8_t *seed, size_t *n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek, NULL);
	bool ok;

	*n = 512;
	assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_get_digestbyname(hash_name(h))), 1);
	assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup("IDENTITY", 9), 9), 1);
	ok = EVP_PKEY_decrypt(ctx, seed, n, sealed.p, sealed.n) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static void ecc_open(EVP_PKEY *ek, enum hash_alg h, struct bytes sealed, uint8_t *seed, size_t *n)
{
	size_t size = EVP_PKEY_get_bits(ek) == 256 ? 32 : 48, z_n = 66;
	struct reader r = reader_of(sealed);
	struct bytes x = tpm2b(&r), y = tpm2b(&r);
	uint8_t point[97] = { 4 }, own[97], z[66], info[9 + 96];
	EVP_PKEY *peer = EVP_PKEY_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek, NULL);

	assert_true(reader_done(&r));
	assert_int_equal(x.n, size);
	assert_int_equal(y.n, size);
	memcpy(point + 1, x.p, size);
	memcpy(point + 1 + size, y.p, size);
	assert_int_equal(EVP_PKEY_copy_parameters(peer, ek), 1);
	assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, point, 1 + 2 * size), 1);
	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, z, &z_n), 1);
	assert_true(EVP_PKEY_get_octet_string_param(ek, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, own, sizeof(own), NULL));
	memcpy(info, "IDENTITY", 9);
	memcpy(info + 9, x.p, size);
	memcpy(info + 9 + size, own + 1, size);
	*n = hash_size(h);
	openssl_kdf_e(h, (struct bytes){ z, z_n }, (struct bytes){ info, 9 + 2 * size }, seed, *n);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
}

/* True and the secret, or false when it is not for this key and name. */
static bool activate(EVP_PKEY *ek, enum hash_alg h, unsigned int aes_bits, struct bytes for_name, const struct credential *c,
		     uint8_t out[64], size_t *out_n)
{
	struct reader r = reader_over(c->secret, c->secret_n), inner;
	struct bytes sealed = tpm2b(&r), object, mac, identity, secret;
	uint8_t seed[512], key[64], want[64], plain[66] = { 0 }, zeros[16] = { 0 }, both[256];
	size_t seed_n = 0, size = hash_size(h);
	EVP_CIPHER_CTX *ctx;
	int n = 0;

	assert_true(reader_done(&r));
	r = reader_over(c->blob, c->blob_n);
	object = tpm2b(&r);
	assert_true(reader_done(&r));
	inner = reader_of(object);
	mac = tpm2b(&inner);
	identity = read_rest(&inner);
	if (EVP_PKEY_get_base_id(ek) == EVP_PKEY_EC)
		ecc_open(ek, h, sealed, seed, &seed_n);
	else if (!rsa_open(ek, h, sealed, seed, &seed_n))
		return false;
	assert_int_equal(seed_n, size);
	openssl_kdf_a(h, (struct bytes){ seed, seed_n }, BYTES("INTEGRITY"), BYTES(""), key, size);
	memcpy(both, identity.p, identity.n);
	memcpy(both + identity.n, for_name.p, for_name.n);
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, hash_name(h), NULL, key, size, both, identity.n + for_name.n, want,
				  sizeof(want), NULL));
	if (mac.n != size || !bytes_equal(mac.p, want, size))
		return false;
	openssl_kdf_a(h, (struct bytes){ seed, seed_n }, BYTES("STORAGE"), for_name, key, aes_bits / 8);
	ctx = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_DecryptInit_ex(ctx, aes_bits == 256 ? EVP_aes_256_cfb() : EVP_aes_128_cfb(), NULL, key, zeros), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, plain, &n, identity.p, (int)identity.n), 1);
	EVP_CIPHER_CTX_free(ctx);
	r = reader_over(plain, (size_t)n);
	secret = tpm2b(&r);
	assert_true(reader_done(&r));
	memcpy(out, secret.p, secret.n);
	*out_n = secret.n;
	return true;
}

static int make(EVP_PKEY *ek, const struct made_public *shape, struct bytes for_name, struct bytes secret,
		struct credential *out)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	const char *why = NULL;
	int r;

	make_public(&w, ek, shape);
	r = credential_make(writer_view(&w), for_name, secret, out, &why);
	assert_int_equal(r > 0, why != NULL);
	assert_int_equal(credential_check_ek(writer_view(&w), &why) > 0, r > 0);
	return r;
}

struct kind {
	EVP_PKEY **ek;
	enum hash_alg hash;
	uint16_t bits;
};

/* L-1, L-2, H-1 to H-3 and a larger RSA key; every length of secret */
static void only_the_key_with_the_name_gets_it(void **state)
{
	const struct kind kinds[] = {
		{ &rsa, HASH_SHA256, 128 },  { &p256, HASH_SHA256, 128 },    { &p384, HASH_SHA384, 256 },
		{ &rsa, HASH_SHA384, 256 }, { &rsa3072, HASH_SHA384, 256 }, { &p256, HASH_SHA512, 128 },
	};
	uint8_t secret[64], got[64];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i + 1);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct made_public shape = MADE_EK;
		struct credential c, other;
		uint8_t wrong[34];
		size_t size = hash_size(kinds[k].hash);

		shape.name_alg = hash_tpm_alg(kinds[k].hash);
		shape.symmetric_bits = kinds[k].bits;
		for (size_t len = 1; len <= size; len++) {
			assert_int_equal(make(*kinds[k].ek, &shape, ak_name, (struct bytes){ secret, len }, &c), 0);
			assert_true(activate(*kinds[k].ek, kinds[k].hash, kinds[k].bits, ak_name, &c, got, &n));
			assert_int_equal(n, len);
			assert_memory_equal(got, secret, len);
		}
		assert_int_equal(make(*kinds[k].ek, &shape, ak_name, (struct bytes){ secret, size + 1 }, &other), -EINVAL);
		assert_int_equal(make(*kinds[k].ek, &shape, ak_name, (struct bytes){ secret, 0 }, &other), -EINVAL);
		assert_int_equal(make(*kinds[k].ek, &shape, (struct bytes){ name, 33 }, BYTES("x"), &other), -EINVAL);
		/* another name, and one bit of either half */
		memcpy(wrong, name, sizeof(wrong));
		wrong[33] ^= 1;
		assert_false(activate(*kinds[k].ek, kinds[k].hash, kinds[k].bits, (struct bytes){ wrong, 34 }, &c, got, &n));
		other = c;
		other.blob[other.blob_n - 1] ^= 1;
		assert_false(activate(*kinds[k].ek, kinds[k].hash, kinds[k].bits, ak_name, &other, got, &n));
		/* two credentials have nothing in common */
		assert_int_equal(make(*kinds[k].ek, &shape, ak_name, (struct bytes){ secret, size }, &other), 0);
		assert_int_equal(other.blob_n, c.blob_n);
		assert_memory_not_equal(other.blob, c.blob, c.blob_n);
		assert_memory_not_equal(other.secret, c.secret, c.secret_n);
	}
}

static void refuse(EVP_PKEY *key, const struct made_public *shape)
{
	struct credential c = { .blob_n = 77 };

	assert_int_equal(make(key, shape, ak_name, BYTES("secret"), &c), 1);
	assert_int_equal(c.blob_n, 77);
}

static void keys_that_are_no_endorsement_keys(void **state)
{
	static const uint32_t needed[] = { 1u << 1, 1u << 4, 1u << 5, 1u << 16, 1u << 17 };
	struct made_public shape;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		shape = MADE_EK;
		shape.attributes &= ~needed[i];
		refuse(p256, &shape);
	}
	shape = MADE_EK;
	shape.attributes |= 1u << 18; /* sign */
	refuse(rsa, &shape);
	shape = MADE_EK;
	shape.symmetric = 0x0010;
	refuse(rsa, &shape);
	shape = MADE_EK;
	shape.symmetric = 0x0026; /* Camellia */
	refuse(rsa, &shape);
	shape = MADE_EK;
	shape.symmetric_bits = 192;
	refuse(rsa, &shape);
	shape = MADE_EK;
	shape.name_alg = 0x0004;
	refuse(rsa, &shape);
	shape.name_alg = 0x0027; /* SHA3-256 */
	refuse(p256, &shape);
	shape = MADE_EK;
	shape.scheme = 0x0017; /* OAEP */
	shape.scheme_hash = 0x000b;
	refuse(rsa, &shape);
	shape = MADE_EK;
	refuse(p521, &shape);
	shape = MADE_AK(0x0018);
	refuse(p256, &shape);
}

static int make_from(struct bytes ek)
{
	struct credential c;
	const char *why = NULL;
	int r = credential_make(ek, ak_name, BYTES("secret"), &c, &why);

	assert_int_equal(r > 0, why != NULL);
	return r;
}

static void public_areas_that_are_broken(void **state)
{
	struct made_public shape = MADE_EK;
	cleanup_writer_ struct writer w = WRITER(4096), r = WRITER(4096);
	size_t exponent;

	(void)state;
	make_public(&w, p256, &shape);
	for (size_t n = 0; n < w.n; n++)
		assert_int_equal(make_from((struct bytes){ w.p, n }), 1);
	assert_int_equal(make_from(writer_view(&w)), 0);
	/* a point that is not on the curve: the attack that tells a private key bit by bit */
	w.p[w.n - 1] ^= 1;
	assert_int_equal(make_from(writer_view(&w)), 1);
	w.p[w.n - 1] ^= 1;
	write_u8(&w, 0);
	assert_int_equal(make_from(writer_view(&w)), 1);

	make_public(&r, rsa, &shape);
	assert_int_equal(make_from(writer_view(&r)), 0);
	exponent = r.n - 256 - 2 - 4;
	r.p[exponent + 3] = 3;
	assert_int_equal(make_from(writer_view(&r)), 1);
	r.p[exponent + 1] = 1; /* 65539 */
	assert_int_equal(make_from(writer_view(&r)), 1);
	r.p[exponent + 3] = 1; /* 65537, spelled out */
	assert_int_equal(make_from(writer_view(&r)), 0);
	r.p[r.n - 1] ^= 1; /* even */
	assert_int_equal(make_from(writer_view(&r)), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_derivation),
		cmocka_unit_test(only_the_key_with_the_name_gets_it),
		cmocka_unit_test(keys_that_are_no_endorsement_keys),
		cmocka_unit_test(public_areas_that_are_broken),
	};

	return cmocka_run_group_tests_name("tpm/credential", tests, make_keys, free_keys);
}
