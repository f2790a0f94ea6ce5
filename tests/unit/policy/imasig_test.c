// SPDX-License-Identifier: Apache-2.0
#include "policy_helper.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "base/hash.h"
#include "policy/keyring.h"

/* ---- recorded signatures ---- */

struct line {
	char key[64], hash[16], digest[129], sig[1200];
};

static size_t read_lines(struct line *lines, size_t max)
{
	cleanup_writer_ struct writer file = WRITER(0);
	size_t n = 0;
	int used;

	load_file("imasig/signatures.txt", &file);
	for (const char *at = writer_cstr(&file); *at && n < max; at += used, n++)
		assert_int_equal(sscanf(at, "%63s %15s %128s %1199s\n%n", lines[n].key, lines[n].hash, lines[n].digest, lines[n].sig, &used), 4);
	return n;
}

static struct bytes unhex(const char *hex, uint8_t *out)
{
	struct bytes text = { (const uint8_t *)hex, strlen(hex) };

	assert_int_equal(hex_decode(text, out, text.n / 2), 0);
	return (struct bytes){ out, text.n / 2 };
}

static struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

/* Each signature of evmctl verifies with its key, and with no other one. */
static void evmctl_signatures(void **state)
{
	static struct line lines[16];
	size_t n = read_lines(lines, 16);
	uint8_t sig[600], digest[64];
	char name[128];

	(void)state;
	assert_int_equal(n, 8);
	for (size_t k = 0; k < n; k++) {
		cleanup_keyring_ struct keyring *ring = NULL;

		assert_int_equal(keyring_new(&ring), 0);
		(void)snprintf(name, sizeof(name), "imasig/%.63s", lines[k].key);
		add_key_file(ring, name);
		assert_int_equal(keyring_count(ring), 1);
		for (size_t i = 0; i < n; i++) {
			struct bytes s = unhex(lines[i].sig, sig), d = unhex(lines[i].digest, digest);
			enum imasig_outcome outcome = imasig_verify(ring, s, text(lines[i].hash), d, false);

			if (outcome != (i == k ? IMASIG_OK : IMASIG_KEY_UNKNOWN))
				print_message("%s with %s: %d\n", lines[i].key, lines[k].key, (int)outcome);
			assert_int_equal(outcome, i == k ? IMASIG_OK : IMASIG_KEY_UNKNOWN);
			if (i != k)
				continue;
			digest[3] ^= 4;
			assert_int_equal(imasig_verify(ring, s, text(lines[i].hash), d, false), IMASIG_INVALID);
			digest[3] ^= 4;
			sig[s.n - 1] ^= 1; /* the last byte of the number s, or of the RSA block */
			assert_int_equal(imasig_verify(ring, s, text(lines[i].hash), d, false), IMASIG_INVALID);
		}
	}
}

/* ---- made here ---- */

static EVP_PKEY *ec_key, *rsa_key;
static struct keyring *both;

static void add_public(struct keyring *ring, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	const char *why = NULL;

	assert_true(n > 0);
	assert_int_equal(keyring_add(ring, (struct bytes){ der, (size_t)n }, &why), 0);
	OPENSSL_free(der);
}

static uint32_t key_id(EVP_PKEY *key)
{
	uint8_t sha1[SHA_DIGEST_LENGTH];
	unsigned char *raw = NULL;
	int n = i2d_PublicKey(key, &raw); /* PKCS#1 for RSA, the point for EC */

	assert_true(n > 0);
	SHA1(raw, (size_t)n, sha1);
	OPENSSL_free(raw);
	return (uint32_t)sha1[16] << 24 | (uint32_t)sha1[17] << 16 | (uint32_t)sha1[18] << 8 | sha1[19];
}

/* A whole security.ima value over `message` (already a hash of md). */
static void make_sig(struct writer *w, EVP_PKEY *key, uint8_t type, uint8_t version, uint8_t alg, const EVP_MD *md,
		     const uint8_t *message)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t value[512];
	size_t n = sizeof(value);

	*w = WRITER(4096);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, md), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, value, &n, message, (size_t)EVP_MD_get_size(md)), 1);
	EVP_PKEY_CTX_free(ctx);
	write_u8(w, type);
	write_u8(w, version);
	write_u8(w, alg);
	write_u32be(w, key_id(key));
	write_u16be(w, (uint16_t)n);
	write_bytes(w, value, n);
}

static int make_keys(void **state)
{
	(void)state;
	ec_key = EVP_EC_gen("P-256");
	rsa_key = EVP_RSA_gen(2048);
	if (!ec_key || !rsa_key || keyring_new(&both) < 0)
		return -1;
	add_public(both, ec_key);
	add_public(both, rsa_key);
	return 0;
}

static int drop_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(ec_key);
	EVP_PKEY_free(rsa_key);
	keyring_free(&both);
	return 0;
}

static const uint8_t file_digest[32] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
#define FILE_DIGEST ((struct bytes){ file_digest, 32 })

static enum imasig_outcome check(const struct writer *sig, bool verity)
{
	return imasig_verify(both, writer_view(sig), text("sha256"), FILE_DIGEST, verity);
}

static void file_id(uint8_t type, uint8_t alg, uint8_t out[32])
{
	uint8_t id[34] = { type, alg };

	memcpy(id + 2, file_digest, 32);
	SHA256(id, sizeof(id), out);
}

static void version_2_is_for_files(void **state)
{
	EVP_PKEY *const keys[] = { ec_key, rsa_key };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		cleanup_writer_ struct writer sig = WRITER(0);

		make_sig(&sig, keys[i], 3, 2, 4, EVP_sha256(), file_digest);
		assert_int_equal(check(&sig, false), IMASIG_OK);
		assert_int_equal(check(&sig, true), IMASIG_INVALID);
	}
}

static void version_3_signs_the_file_id(void **state)
{
	EVP_PKEY *const keys[] = { ec_key, rsa_key };
	uint8_t id[32];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		cleanup_writer_ struct writer verity = WRITER(0), file = WRITER(0), swapped = WRITER(0), plain = WRITER(0);

		file_id(6, 4, id);
		make_sig(&verity, keys[i], 6, 3, 4, EVP_sha256(), id);
		assert_int_equal(check(&verity, true), IMASIG_OK);
		assert_int_equal(check(&verity, false), IMASIG_INVALID);
		verity.p[0] = 3; /* the type is under the signature */
		assert_int_equal(check(&verity, false), IMASIG_INVALID);
		file_id(3, 4, id);
		make_sig(&file, keys[i], 3, 3, 4, EVP_sha256(), id);
		assert_int_equal(check(&file, false), IMASIG_OK);
		assert_int_equal(check(&file, true), IMASIG_INVALID);
		make_sig(&swapped, keys[i], 6, 3, 4, EVP_sha256(), id);
		assert_int_equal(check(&swapped, true), IMASIG_INVALID);
		/* the digest itself, as in version 2, is not what version 3 signs */
		make_sig(&plain, keys[i], 6, 3, 4, EVP_sha256(), file_digest);
		assert_int_equal(check(&plain, true), IMASIG_INVALID);
	}
}

static void hash_must_agree_with_the_entry(void **state)
{
	cleanup_writer_ struct writer sig = WRITER(0);
	uint8_t wide[64] = { 0 };

	(void)state;
	make_sig(&sig, ec_key, 3, 2, 4, EVP_sha256(), file_digest);
	assert_int_equal(imasig_verify(both, writer_view(&sig), text("sha512"), (struct bytes){ wide, 64 }, false), IMASIG_INVALID);
	assert_int_equal(imasig_verify(both, writer_view(&sig), text("sm3"), FILE_DIGEST, false), IMASIG_INVALID);
	assert_int_equal(imasig_verify(both, writer_view(&sig), text("sha256"), (struct bytes){ file_digest, 31 }, false), IMASIG_INVALID);
	assert_int_equal(imasig_verify(both, writer_view(&sig), text("sha256"), (struct bytes){ NULL, 0 }, false), IMASIG_INVALID);
	assert_int_equal(imasig_verify(both, writer_view(&sig), text(""), FILE_DIGEST, false), IMASIG_INVALID);
	sig.p[2] = 17; /* sm3 in the header as well: the DigestInfo, or the hash, is another one; EC signs bare digests */
	assert_int_equal(imasig_verify(both, writer_view(&sig), text("sha256"), FILE_DIGEST, false), IMASIG_INVALID);
	writer_free(&sig);
	make_sig(&sig, rsa_key, 3, 2, 4, EVP_sha256(), file_digest);
	sig.p[2] = 17;
	assert_int_equal(imasig_verify(both, writer_view(&sig), text("sm3"), FILE_DIGEST, false), IMASIG_INVALID);
}

/* Lengths, types, versions and hashes that no signature has. */
static void malformed_is_named(void **state)
{
	static const struct {
		uint8_t type, version;
		bool malformed;
	} heads[] = {
		{ 3, 2, false }, { 3, 3, false }, { 6, 3, false }, { 3, 1, true }, { 3, 0, true }, { 3, 4, true },
		{ 6, 2, true },	 { 6, 4, true },  { 1, 2, true },  { 2, 2, true }, { 4, 2, true }, { 0, 2, true },
		{ 7, 3, true },	 { 0xff, 2, true },
	};
	cleanup_writer_ struct writer sig = WRITER(0);
	struct bytes whole;

	(void)state;
	make_sig(&sig, ec_key, 3, 2, 4, EVP_sha256(), file_digest);
	whole = writer_view(&sig);
	for (size_t n = 0; n < whole.n; n++)
		assert_int_equal(imasig_verify(both, (struct bytes){ whole.p, n }, text("sha256"), FILE_DIGEST, false), IMASIG_MALFORMED);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		enum imasig_outcome outcome;

		sig.p[0] = heads[i].type;
		sig.p[1] = heads[i].version;
		outcome = check(&sig, false);
		assert_int_equal(outcome == IMASIG_MALFORMED, heads[i].malformed);
	}
	sig.p[0] = 3;
	sig.p[1] = 2;
	for (unsigned int alg = 0; alg < 256; alg++) {
		bool taken = (alg >= 2 && alg <= 7) || alg == 17 || (alg >= 20 && alg <= 22);

		sig.p[2] = (uint8_t)alg;
		assert_int_equal(check(&sig, false) == IMASIG_MALFORMED, !taken); /* never MD4, MD5 */
	}
	sig.p[2] = 4;
	assert_int_equal(check(&sig, false), IMASIG_OK);
	write_u8(&sig, 0); /* trailing byte */
	assert_int_equal(check(&sig, false), IMASIG_MALFORMED);
	sig.n--;
	sig.p[8]++; /* length one too many */
	assert_int_equal(check(&sig, false), IMASIG_MALFORMED);
	assert_int_equal(imasig_verify(both, BYTES("\x03\x02\x04\0\0\0\0\0\0"), text("sha256"), FILE_DIGEST, false), IMASIG_MALFORMED);
}

static void portable_evm_signatures_do_not_vouch(void **state)
{
	cleanup_writer_ struct writer sig = WRITER(0);

	(void)state;
	make_sig(&sig, ec_key, 5, 2, 4, EVP_sha256(), file_digest);
	assert_int_equal(check(&sig, false), IMASIG_PORTABLE);
}

static void unknown_and_wrong_keys(void **state)
{
	cleanup_writer_ struct writer sig = WRITER(0);
	cleanup_keyring_ struct keyring *empty = NULL;
	uint32_t id = key_id(rsa_key);

	(void)state;
	assert_int_equal(keyring_new(&empty), 0);
	make_sig(&sig, ec_key, 3, 2, 4, EVP_sha256(), file_digest);
	assert_int_equal(imasig_verify(empty, writer_view(&sig), text("sha256"), FILE_DIGEST, false), IMASIG_KEY_UNKNOWN);
	sig.p[6] ^= 1;
	assert_int_equal(check(&sig, false), IMASIG_KEY_UNKNOWN);
	/* the id of the other key */
	for (int i = 0; i < 4; i++)
		sig.p[3 + i] = (uint8_t)(id >> (24 - 8 * i));
	assert_int_equal(check(&sig, false), IMASIG_INVALID);
}

/* ECDSA in a non-canonical DER form is another byte string for the same numbers: refused. */
static void ecdsa_must_be_der(void **state)
{
	cleanup_writer_ struct writer sig = WRITER(0), padded = WRITER(4096);
	struct reader r;
	struct bytes head, value;

	(void)state;
	make_sig(&sig, ec_key, 3, 2, 4, EVP_sha256(), file_digest);
	r = reader_of(writer_view(&sig));
	head = read_bytes(&r, 7);
	(void)read_u16be(&r);
	value = read_rest(&r);
	write_bytes(&padded, head.p, head.n);
	write_u16be(&padded, (uint16_t)(value.n + 1));
	write_u8(&padded, value.p[0]);
	write_u8(&padded, 0x81); /* long form of a short length */
	write_bytes(&padded, value.p + 1, value.n - 1);
	assert_int_equal(check(&sig, false), IMASIG_OK);
	assert_int_equal(check(&padded, false), IMASIG_INVALID);
}

/* ---- recorded on real kernels ---- */

struct signed_entries {
	const struct keyring *ring;
	unsigned int outcome[8]; /* by enum imasig_outcome */
	bool expect_rsa, expect_ec;
};

static void count_signed(void *user, const struct ima_entry *e, uint64_t index)
{
	struct signed_entries *s = user;
	enum imasig_outcome outcome, want = IMASIG_OK;
	struct ima_fields f;
	bool rsa;

	(void)index;
	if (e->violation || !ima_fields_parse(e, &f) || !f.sig.n)
		return;
	outcome = imasig_verify(s->ring, f.sig, f.alg, f.digest, f.kind == IMA_DIGEST_VERITY);
	s->outcome[outcome]++;
	rsa = f.sig.n > 200;
	if (memmem(f.path.p, f.path.n, "/wrong", 6))
		want = IMASIG_INVALID;
	if (rsa ? !s->expect_rsa : !s->expect_ec)
		want = IMASIG_KEY_UNKNOWN;
	assert_int_equal(outcome, want);
}

/* RSA and ECDSA over SHA-256 and SHA-512, signed by evmctl, measured by 6.1, 6.12 and 7.2. */
static void kernel_recordings(void **state)
{
	static const char *const names[] = { "6.1-ima-sig", "6.12-ima-sig-pcrs", "6.12-ima-sigv2", "7.2-ima-sig-sha512" };
	static const char *const files[][2] = { { "sign-rsa.pem", "sign-ec.pem" }, { "cert-rsa.der", "cert.der" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char list[128], key[128];

		(void)snprintf(list, sizeof(list), "kernel/%s/binary_runtime_measurements", names[i]);
		for (unsigned int with = 0; with < 8; with++) {
			cleanup_keyring_ struct keyring *ring = NULL;
			struct signed_entries s = { .expect_rsa = with & 1, .expect_ec = with & 2 };

			assert_int_equal(keyring_new(&ring), 0);
			for (unsigned int k = 0; k < 2; k++) {
				(void)snprintf(key, sizeof(key), "kernel/%s/%s", names[i], files[with >> 2][k]);
				if (with & 1u << k)
					add_key_file(ring, key);
			}
			s.ring = ring;
			(void)each_entry(list, count_signed, &s);
			/* ec-sha256, ec-sha512, evm-ec, and the same of RSA; wrong is EC */
			assert_int_equal(s.outcome[IMASIG_OK], (s.expect_rsa ? 3 : 0) + (s.expect_ec ? 3 : 0));
			assert_int_equal(s.outcome[IMASIG_INVALID], s.expect_ec ? 1 : 0);
			assert_int_equal(s.outcome[IMASIG_KEY_UNKNOWN], (s.expect_rsa ? 0 : 3) + (s.expect_ec ? 0 : 4));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evmctl_signatures),
		cmocka_unit_test(version_2_is_for_files),
		cmocka_unit_test(version_3_signs_the_file_id),
		cmocka_unit_test(hash_must_agree_with_the_entry),
		cmocka_unit_test(malformed_is_named),
		cmocka_unit_test(portable_evm_signatures_do_not_vouch),
		cmocka_unit_test(unknown_and_wrong_keys),
		cmocka_unit_test(ecdsa_must_be_der),
		cmocka_unit_test(kernel_recordings),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
