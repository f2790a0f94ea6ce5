// SPDX-License-Identifier: Apache-2.0
/* Byte 0 even: a file that may be an envelope. Odd: a Cosign signature beside a file. The keys have signed one policy
 * only: nothing else may ever be vouched for. */
#include <openssl/ec.h>

#include "policy/sign.h"
#include "policy/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the corpus: P-256 and P-384, made for it; the private halves are gone. */
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
			  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEq2UZJQl8OqLCQ/DImlaiXnOJ9x/5\n"
			  "LWk80x7hjKGjenS0BFiIWq7tfd6Nf2kOvAbQ6jw9npMb9YQ88oazVVAr7Q==\n"
			  "-----END PUBLIC KEY-----\n"
			  "-----BEGIN PUBLIC KEY-----\n"
			  "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEQMu5NJdkmliMu8m1ZJKP+ZYeeM4Obwl6\n"
			  "WUBTLwZeX3fW7NM+mEHV+5l46bO5EwZ5gENuNpQokryGj+8xQxzA8Dv/cj/4Qmal\n"
			  "6HaR6yM0nSMaJ9tfiF73jDxB3xp8q48e\n"
			  "-----END PUBLIC KEY-----\n";
static const char signed_policy[] = "{\"digests\": {}}";

static struct policy_trust *trust(void)
{
	struct policy_trust *t = NULL;
	const char *why;

	if (policy_trust_new(&t) < 0 || policy_trust_add_key(t, (struct bytes){ (const uint8_t *)pem, sizeof(pem) - 1 }, &why) != 0)
		abort();
	return t;
}

/* One more signature by a key of ours leaves an envelope that still opens as before. */
static void sign_again(struct bytes envelope)
{
	cleanup_writer_ struct writer out = WRITER(1u << 20), why = WRITER(4096);
	struct policy_signing_key k = { .key = NULL, .hash = HASH_SHA256 };
	static EVP_PKEY *key;

	if (!key)
		key = EVP_EC_gen("P-256");
	k.key = key;
	if (policy_sign_again(&k, envelope, &out, &why) == 0 && !policy_maybe_signed(writer_view(&out)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy_trust *t;
	const struct bytes expected = { (const uint8_t *)signed_policy, sizeof(signed_policy) - 1 };
	cleanup_writer_ struct writer storage = WRITER(1u << 20), why = WRITER(4096);
	struct policy_signer who = { .signatures = 0 };
	struct bytes policy = { NULL, 0 }, rest;
	struct reader r = reader_over(data, size);
	bool beside = read_u8(&r) & 1;
	int outcome;

	if (!t)
		t = trust();
	rest = read_rest(&r);
	outcome = policy_open_signed(t, beside ? expected : rest, beside ? rest : (struct bytes){ NULL, 0 }, 0, &storage, &policy, &who, &why);
	if (outcome > 0 && (why.n == 0 || policy.p))
		abort();
	if (outcome == 0 && (policy.n != expected.n || !bytes_equal(policy.p, expected.p, expected.n) || !who.signatures))
		abort();
	if (!beside)
		sign_again(rest);
	return 0;
}
