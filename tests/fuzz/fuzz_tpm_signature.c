// SPDX-License-Identifier: Apache-2.0
/* A signature from outside, as TPMT_SIGNATURE and as a plain one, against an RSA and an ECC key. No input may ever verify:
 * nobody has the private keys any more. What parses must be written again as the same bytes. */
#include "tpm/attest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rsa_pem[] = "-----BEGIN PUBLIC KEY-----\n"
			      "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAw7tqn/6aCdJNgJJUBrnF\n"
			      "VLgWuEupngdlvmJ8sh9TN3fq/vfUs7fQoQxRqJWWtYLuuRdXwU8DHwiybaP+B9YD\n"
			      "9nY2/SebkoBOgyPWYUpHzKDAkvbgK0cqZm7wVQAnEznn7RxSOLhLekTX2dONC4lX\n"
			      "Mtn9uNjtO5lr6MzkRNtGLAgtb1HtOm4Aw48/tXJ6bW4jihGf49Hp2y8mJaWgF2dq\n"
			      "knW7KxLq2MQWJp7sAaHi6hSeqHCpq9Cx1EYa0+u4FfLBE0JeKZn5+sNiMDx5vapb\n"
			      "/G8K0E/1mXRe+K7qOE3bUqQAgPjIzQ8y/yvU3+amyamFla2i8Rsk+pUH+fsG0dXN\n"
			      "bQIDAQAB\n"
			      "-----END PUBLIC KEY-----\n";
static const char ecc_pem[] = "-----BEGIN PUBLIC KEY-----\n"
			      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhiQ9+XFX2O4jS1yyBjdB9F59AX2l\n"
			      "/+YgzFRNUcAeVH9A8ge+ZHbzwvxxHSrorudFy9DRN4AXZ+JQSNT4OUo47w==\n"
			      "-----END PUBLIC KEY-----\n";

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void write_number(struct writer *w, struct bytes b)
{
	write_u16be(w, (uint16_t)b.n);
	write_bytes(w, b.p, b.n);
}

static void written_again(struct bytes in)
{
	static const uint16_t ids[] = { [SIG_RSASSA] = 0x0014, [SIG_RSAPSS] = 0x0016, [SIG_ECDSA] = 0x0018 };
	cleanup_writer_ struct writer w = WRITER(LIMIT_SIGNATURE);
	struct tpm_signature sig;

	if (tpm_signature_parse(in, &sig) != QUOTE_OK)
		return;
	must(sig.hash != HASH_SHA1);
	write_u16be(&w, ids[sig.scheme]);
	write_u16be(&w, hash_tpm_alg(sig.hash));
	if (sig.scheme == SIG_ECDSA) {
		write_number(&w, sig.r);
		write_number(&w, sig.s);
	} else {
		write_number(&w, sig.rsa);
	}
	must(w.n == in.n && bytes_equal(w.p, in.p, in.n));
}

static void against(const struct ak *ak, struct bytes in)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_SIGNATURE + 64);
	/* a well-formed quote of nothing: the digest's length makes quote_verify() try the plain forms */
	static const uint8_t message[73] = { 0xff, 'T', 'C', 'G', 0x80, 0x18, [40] = 32 };
	struct bytes msg = { message, sizeof(message) };
	struct quote_facts facts;

	must(quote_check_signature(msg, in, ak) != QUOTE_OK);
	must(quote_verify(msg, in, ak, NULL, &facts) != QUOTE_OK);
	if (tpm_signature_from_plain(in, ak, SIG_RSAPSS, HASH_SHA256, &w) == QUOTE_OK) {
		struct tpm_signature sig;

		must(tpm_signature_parse(writer_view(&w), &sig) == QUOTE_OK);
		must(quote_check_signature(msg, writer_view(&w), ak) != QUOTE_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ak rsa, ecc;
	struct bytes in = { data, size };

	if (!rsa.key) {
		must(ak_from_pem((struct bytes){ (const uint8_t *)rsa_pem, sizeof(rsa_pem) - 1 }, &rsa) == QUOTE_OK);
		must(ak_from_pem((struct bytes){ (const uint8_t *)ecc_pem, sizeof(ecc_pem) - 1 }, &ecc) == QUOTE_OK);
	}
	written_again(in);
	against(&rsa, in);
	against(&ecc, in);
	return 0;
}
