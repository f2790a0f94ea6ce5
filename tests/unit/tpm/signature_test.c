// SPDX-License-Identifier: Apache-2.0
#include <openssl/err.h>

#include "lib/test.h"

#include "lib/tpm_make.h"

static const uint8_t text[] = "what was signed";
static const struct bytes msg = { text, sizeof(text) };

struct keys {
	struct ak rsa, rsa3072, other_rsa, p256, p384, other_p256;
};
static struct keys keys;

/* quote_check_signature(); a key that has shrunk must say the same, whatever the case. */
static int check(struct bytes message, struct bytes signature, const struct ak *ak)
{
	int r = quote_check_signature(message, signature, ak);
	struct ak small = { .key = ak->key };

	assert_int_equal(EVP_PKEY_up_ref(ak->key), 1);
	ak_shrink(&small);
	assert_true(!small.key == (ak != &keys.p384));
	assert_int_equal(quote_check_signature(message, signature, &small), r);
	ak_clear(&small);
	return r;
}

static int make_keys(void **state)
{
	(void)state;
	keys.rsa.key = make_key(MADE_RSA_2048);
	keys.rsa3072.key = make_key(MADE_RSA_3072);
	keys.other_rsa.key = make_key(MADE_RSA_2048);
	keys.p256.key = make_key(MADE_P256);
	keys.p384.key = make_key(MADE_P384);
	keys.other_p256.key = make_key(MADE_P256);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	ak_clear(&keys.rsa);
	ak_clear(&keys.rsa3072);
	ak_clear(&keys.other_rsa);
	ak_clear(&keys.p256);
	ak_clear(&keys.p384);
	ak_clear(&keys.other_p256);
	ak_clear(&keys.other_p256); /* idempotent */
	return 0;
}

static const struct {
	struct ak *ak, *other;
	enum sig_scheme scheme;
} kinds[] = {
	{ &keys.rsa, &keys.other_rsa, SIG_RSASSA },   { &keys.rsa, &keys.other_rsa, SIG_RSAPSS },
	{ &keys.rsa3072, &keys.rsa, SIG_RSASSA },     { &keys.p256, &keys.other_p256, SIG_ECDSA },
	{ &keys.p384, &keys.p256, SIG_ECDSA },
};

static void all_schemes_and_hashes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (int h = HASH_SHA256; h < HASH_COUNT; h++) {
			cleanup_writer_ struct writer w = WRITER(2048);
			struct tpm_signature sig;
			enum hash_alg named;
			uint8_t changed[sizeof(text)];

			make_signature(&w, kinds[i].ak->key, kinds[i].scheme, (enum hash_alg)h, msg);
			assert_int_equal(check(msg, writer_view(&w), kinds[i].ak), QUOTE_OK);
			assert_int_equal(check(msg, writer_view(&w), kinds[i].other), QUOTE_BAD_SIGNATURE);
			assert_int_equal(signature_hash(writer_view(&w), &named), QUOTE_OK);
			assert_int_equal(named, h);
			assert_int_equal(tpm_signature_parse(writer_view(&w), &sig), QUOTE_OK);
			assert_int_equal(sig.scheme, kinds[i].scheme);

			bytes_copy(changed, text, sizeof(text));
			changed[0] ^= 1;
			assert_int_equal(check((struct bytes){ changed, sizeof(changed) }, writer_view(&w),
							       kinds[i].ak),
					 QUOTE_BAD_SIGNATURE);
			w.p[w.n - 1] ^= 1;
			assert_int_equal(check(msg, writer_view(&w), kinds[i].ak), QUOTE_BAD_SIGNATURE);
		}
	}
}

/* the hash that the structure names is the one that counts */
static void relabelled(void **state)
{
	cleanup_writer_ struct writer w = WRITER(2048);

	(void)state;
	make_signature(&w, keys.rsa.key, SIG_RSASSA, HASH_SHA256, msg);
	w.p[3] = 0x0c; /* hash: sha384 */
	assert_int_equal(check(msg, writer_view(&w), &keys.rsa), QUOTE_BAD_SIGNATURE);
	w.p[3] = 0x0b;
	w.p[1] = 0x16; /* scheme: rsapss */
	assert_int_equal(check(msg, writer_view(&w), &keys.rsa), QUOTE_BAD_SIGNATURE);
	w.p[1] = 0x14;
	assert_int_equal(check(msg, writer_view(&w), &keys.rsa), QUOTE_OK);
}

static void sha1_is_refused(void **state)
{
	cleanup_writer_ struct writer rsa = WRITER(2048), ecc = WRITER(2048);
	enum hash_alg h = HASH_SHA512;

	(void)state;
	make_signature(&rsa, keys.rsa.key, SIG_RSASSA, HASH_SHA1, msg);
	assert_int_equal(check(msg, writer_view(&rsa), &keys.rsa), QUOTE_UNSUPPORTED);
	make_signature(&ecc, keys.p256.key, SIG_ECDSA, HASH_SHA1, msg);
	assert_int_equal(check(msg, writer_view(&ecc), &keys.p256), QUOTE_UNSUPPORTED);
	assert_int_equal(signature_hash(writer_view(&ecc), &h), QUOTE_UNSUPPORTED);
	assert_int_equal(h, HASH_SHA512); /* untouched */
	ecc.p[3] = 0x12; /* SM3 */
	assert_int_equal(check(msg, writer_view(&ecc), &keys.p256), QUOTE_UNSUPPORTED);
}

static void other_schemes_are_refused(void **state)
{
	static const uint8_t ids[] = { 0x05 /* HMAC */, 0x10 /* NULL */, 0x1a /* ECDAA */, 0x1b /* SM2 */, 0x1c /* ECSCHNORR */ };
	cleanup_writer_ struct writer w = WRITER(2048);

	(void)state;
	make_signature(&w, keys.p256.key, SIG_ECDSA, HASH_SHA256, msg);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		w.p[1] = ids[i];
		assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_UNSUPPORTED);
	}
}

static void key_of_another_type(void **state)
{
	cleanup_writer_ struct writer rsa = WRITER(2048), ecc = WRITER(2048);

	(void)state;
	make_signature(&rsa, keys.rsa.key, SIG_RSASSA, HASH_SHA256, msg);
	make_signature(&ecc, keys.p256.key, SIG_ECDSA, HASH_SHA256, msg);
	assert_int_equal(check(msg, writer_view(&rsa), &keys.p256), QUOTE_WRONG_KEY_TYPE);
	assert_int_equal(check(msg, writer_view(&ecc), &keys.rsa), QUOTE_WRONG_KEY_TYPE);
}

static void truncated_and_trailing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		cleanup_writer_ struct writer w = WRITER(2048);

		make_signature(&w, kinds[i].ak->key, kinds[i].scheme, HASH_SHA256, msg);
		for (size_t n = 0; n < w.n; n++) {
			cleanup_free_ uint8_t *exact = alloc_bytes(n);

			assert_non_null(exact);
			bytes_copy(exact, w.p, n);
			assert_int_equal(check(msg, (struct bytes){ exact, n }, kinds[i].ak), QUOTE_MALFORMED);
		}
		write_u8(&w, 0);
		assert_int_equal(check(msg, writer_view(&w), kinds[i].ak), QUOTE_MALFORMED);
	}
}

static void ecdsa_of(struct writer *w, const void *r, size_t r_n, const void *s, size_t s_n)
{
	writer_reset(w);
	write_u16be(w, 0x0018);
	write_u16be(w, 0x000b);
	write_u16be(w, (uint16_t)r_n);
	write_bytes(w, r, r_n);
	write_u16be(w, (uint16_t)s_n);
	write_bytes(w, s, s_n);
}

static void ecdsa_numbers(void **state)
{
	/* the order of P-256, FIPS 186-4 D.1.2.3 */
	static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					   0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
					   0x25, 0x51 };
	static const uint8_t zeros[80], one[1] = { 1 };
	cleanup_writer_ struct writer good = WRITER(2048), w = WRITER(2048);
	struct tpm_signature sig;
	uint8_t padded[34] = { 0 };

	(void)state;
	make_signature(&good, keys.p256.key, SIG_ECDSA, HASH_SHA256, msg);
	assert_int_equal(tpm_signature_parse(writer_view(&good), &sig), QUOTE_OK);

	ecdsa_of(&w, zeros, 32, sig.s.p, sig.s.n);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_BAD_SIGNATURE);
	ecdsa_of(&w, sig.r.p, sig.r.n, zeros, 32);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_BAD_SIGNATURE);
	ecdsa_of(&w, zeros, 32, zeros, 32);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_BAD_SIGNATURE);
	ecdsa_of(&w, order, 32, order, 32);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_BAD_SIGNATURE);
	ecdsa_of(&w, sig.s.p, sig.s.n, sig.r.p, sig.r.n); /* exchanged */
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_BAD_SIGNATURE);
	ecdsa_of(&w, one, 1, one, 1);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_BAD_SIGNATURE);

	/* no bytes at all */
	ecdsa_of(&w, NULL, 0, sig.s.p, sig.s.n);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_MALFORMED);
	ecdsa_of(&w, sig.r.p, sig.r.n, NULL, 0);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_MALFORMED);

	/* longer than the curve: the largest that the structure allows, one past it, and a leading zero too many */
	bytes_copy(padded + 33 - sig.r.n, sig.r.p, sig.r.n);
	ecdsa_of(&w, padded, 33, sig.s.p, sig.s.n);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_BAD_SIGNATURE);
	ecdsa_of(&w, padded + 1, 32, sig.s.p, sig.s.n);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_OK);
	ecdsa_of(&w, zeros, 66, sig.s.p, sig.s.n);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_BAD_SIGNATURE);
	ecdsa_of(&w, zeros, 67, sig.s.p, sig.s.n);
	assert_int_equal(check(msg, writer_view(&w), &keys.p256), QUOTE_MALFORMED);
}

static void rsa_lengths(void **state)
{
	static const uint8_t zeros[LIMIT_SIGNATURE + 1];
	static const size_t lengths[] = { 1, 255, 256, 257, 384, 512 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		cleanup_writer_ struct writer w = WRITER(2048);

		write_u16be(&w, 0x0014);
		write_u16be(&w, 0x000b);
		write_u16be(&w, (uint16_t)lengths[i]);
		write_bytes(&w, zeros, lengths[i]);
		assert_int_equal(check(msg, writer_view(&w), &keys.rsa), QUOTE_BAD_SIGNATURE);
	}
	for (size_t n = 512; n <= 513; n++) {
		cleanup_writer_ struct writer w = WRITER(2048);
		struct tpm_signature sig;

		write_u16be(&w, 0x0014);
		write_u16be(&w, 0x000b);
		write_u16be(&w, (uint16_t)n);
		write_bytes(&w, zeros, n);
		assert_int_equal(tpm_signature_parse(writer_view(&w), &sig), n == 512 ? QUOTE_OK : QUOTE_MALFORMED);
	}
	assert_int_equal(check(msg, (struct bytes){ zeros, LIMIT_SIGNATURE }, &keys.rsa), QUOTE_UNSUPPORTED);
	assert_int_equal(check(msg, (struct bytes){ zeros, LIMIT_SIGNATURE + 1 }, &keys.rsa), QUOTE_MALFORMED);
}

static void message_past_its_limit(void **state)
{
	static const uint8_t zeros[LIMIT_ATTEST + 1];

	(void)state;
	for (size_t n = LIMIT_ATTEST; n <= LIMIT_ATTEST + 1; n++) {
		cleanup_writer_ struct writer w = WRITER(2048);
		struct bytes large = { zeros, n };

		make_signature(&w, keys.p256.key, SIG_ECDSA, HASH_SHA256, large);
		assert_int_equal(check(large, writer_view(&w), &keys.p256),
				 n == LIMIT_ATTEST ? QUOTE_OK : QUOTE_MALFORMED);
	}
}

/* what OpenSSL complains about inside stays inside */
static void error_queue_is_left_alone(void **state)
{
	cleanup_writer_ struct writer w = WRITER(2048);

	(void)state;
	make_signature(&w, keys.rsa.key, SIG_RSASSA, HASH_SHA256, msg);
	ERR_clear_error();
	w.p[10] ^= 1;
	assert_int_equal(check(msg, writer_view(&w), &keys.rsa), QUOTE_BAD_SIGNATURE);
	assert_int_equal(ERR_peek_error(), 0);
	ERR_raise(ERR_LIB_USER, 1);
	assert_int_equal(check(msg, writer_view(&w), &keys.rsa), QUOTE_BAD_SIGNATURE);
	assert_int_equal(ERR_GET_LIB(ERR_get_error()), ERR_LIB_USER);
	assert_int_equal(ERR_get_error(), 0);
}

/* A whole quote with nonce, as files would hold it; `plain` strips the TPMT_SIGNATURE to what -f plain writes. */
static int verify_quote(struct ak *ak, enum sig_scheme scheme, enum hash_alg h, bool plain, uint8_t flip, struct quote_facts *facts)
{
	static uint8_t message[512];
	cleanup_writer_ struct writer m = WRITER(2048), sig = WRITER(2048), der = WRITER(2048);
	static const uint8_t digest[64] = { 5 }, nonce_bytes[4] = { 9, 9, 9, 9 };
	struct made_attest made = MADE_ATTEST;
	struct bytes nonce = { nonce_bytes, 4 }, view;
	struct tpm_signature parts;

	made.nonce = nonce;
	made.digest = (struct bytes){ digest, hash_size(h) };
	make_attest(&m, &made);
	assert_true(m.n <= sizeof(message));
	bytes_copy(message, m.p, m.n);
	make_signature(&sig, ak->key, scheme, h, writer_view(&m));
	view = writer_view(&sig);
	if (plain) {
		assert_int_equal(tpm_signature_parse(view, &parts), QUOTE_OK);
		view = parts.rsa;
	}
	if (plain && scheme == SIG_ECDSA) {
		/* DER by hand: both numbers get a leading zero when their top bit is set */
		size_t r = parts.r.n + (parts.r.p[0] >> 7), s = parts.s.n + (parts.s.p[0] >> 7);

		write_u8(&der, 0x30);
		write_u8(&der, (uint8_t)(4 + r + s));
		write_u8(&der, 2);
		write_u8(&der, (uint8_t)r);
		write_bytes(&der, "", r - parts.r.n);
		write_bytes(&der, parts.r.p, parts.r.n);
		write_u8(&der, 2);
		write_u8(&der, (uint8_t)s);
		write_bytes(&der, "", s - parts.s.n);
		write_bytes(&der, parts.s.p, parts.s.n);
		view = writer_view(&der);
	}
	message[m.n - 1] ^= flip;
	return quote_verify((struct bytes){ message, m.n }, view, ak, &nonce, facts);
}

static void whole_quotes_structured_and_plain(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (int h = HASH_SHA256; h < HASH_COUNT; h++) {
			for (int plain = 0; plain < 2; plain++) {
				struct quote_facts f;

				assert_int_equal(verify_quote(kinds[i].ak, kinds[i].scheme, (enum hash_alg)h, plain, 0, &f),
						 QUOTE_OK);
				assert_true(f.parsed);
				assert_true(f.has_signature);
				assert_int_equal(f.scheme, kinds[i].scheme);
				assert_int_equal(f.hash, h);
				assert_int_equal(verify_quote(kinds[i].ak, kinds[i].scheme, (enum hash_alg)h, plain, 1, &f),
						 QUOTE_BAD_SIGNATURE);
			}
		}
	}
}

static void plain_must_be_clearly_so(void **state)
{
	static const uint8_t zeros[257];
	static const uint8_t der_and_more[] = { 0x30, 6, 2, 1, 1, 2, 1, 1, 0 }, negative[] = { 0x30, 6, 2, 1, 0xff, 2, 1, 1 };
	uint8_t wide[2 + 2 + 34 + 3] = { 0x30, 39, 2, 34, 1 };
	cleanup_writer_ struct writer w = WRITER(2048);
	struct bytes b = { der_and_more, 8 };

	(void)state;
	assert_int_equal(tpm_signature_from_plain(b, &keys.p256, SIG_RSASSA, HASH_SHA256, &w), QUOTE_OK);
	writer_reset(&w);
	b.n = 9;
	assert_int_equal(tpm_signature_from_plain(b, &keys.p256, SIG_RSASSA, HASH_SHA256, &w), QUOTE_MALFORMED);
	b = (struct bytes){ negative, sizeof(negative) };
	assert_int_equal(tpm_signature_from_plain(b, &keys.p256, SIG_RSASSA, HASH_SHA256, &w), QUOTE_MALFORMED);
	wide[38] = 2; /* r has 34 bytes: more than the curve */
	wide[39] = 1;
	wide[40] = 1;
	b = (struct bytes){ wide, sizeof(wide) };
	assert_int_equal(tpm_signature_from_plain(b, &keys.p256, SIG_RSASSA, HASH_SHA256, &w), QUOTE_MALFORMED);
	for (size_t n = 255; n <= 257; n++) {
		b = (struct bytes){ zeros, n };
		assert_int_equal(tpm_signature_from_plain(b, &keys.rsa, SIG_RSASSA, HASH_SHA256, &w),
				 n == 256 ? QUOTE_OK : QUOTE_MALFORMED);
	}
	assert_int_equal(tpm_signature_from_plain((struct bytes){ NULL, 0 }, &keys.rsa, SIG_RSASSA, HASH_SHA256, &w),
			 QUOTE_MALFORMED);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(sig_scheme_name(SIG_RSASSA), "rsassa");
	assert_string_equal(sig_scheme_name(SIG_RSAPSS), "rsapss");
	assert_string_equal(sig_scheme_name(SIG_ECDSA), "ecdsa");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_schemes_and_hashes),
		cmocka_unit_test(relabelled),
		cmocka_unit_test(sha1_is_refused),
		cmocka_unit_test(other_schemes_are_refused),
		cmocka_unit_test(key_of_another_type),
		cmocka_unit_test(truncated_and_trailing),
		cmocka_unit_test(ecdsa_numbers),
		cmocka_unit_test(rsa_lengths),
		cmocka_unit_test(message_past_its_limit),
		cmocka_unit_test(error_queue_is_left_alone),
		cmocka_unit_test(whole_quotes_structured_and_plain),
		cmocka_unit_test(plain_must_be_clearly_so),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("tpm/signature", tests, make_keys, free_keys);
}
