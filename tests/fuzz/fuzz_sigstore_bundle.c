// SPDX-License-Identifier: Apache-2.0
/* Byte 0: 0 a bundle beside the file that the real one is about; 1 the body of a log entry; 2 a certificate. The later
 * two are called behind the signatures that guard them, which no fuzzer can make. */
#include <openssl/ec.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "policy/sigstore_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct writer file, root_json;

/* The real root, its identity, and the file that was signed. */
static struct policy_trust *trust(void)
{
	cleanup_writer_ struct writer why = WRITER(4096);
	struct policy_trust *t = NULL;
	const char *text;

	file = WRITER(4096);
	root_json = WRITER(LIMIT_TRUSTED_ROOT);
	if (read_file(TESTS_DIR "/vectors/sigstore/staging.txt", &file) < 0 ||
	    read_file(TESTS_DIR "/vectors/sigstore/staging-root.json", &root_json) < 0 || policy_trust_new(&t) < 0 ||
	    policy_trust_add_root(t, writer_view(&root_json), &why) != 0 ||
	    policy_trust_add_identity(t, "william@yossarian.net", "https://github.com/login/oauth", &text) != 0)
		abort();
	return t;
}

static void whole(const struct policy_trust *t, struct bytes bundle)
{
	cleanup_writer_ struct writer storage = WRITER(1u << 20), why = WRITER(4096);
	struct policy_signer who = { .signatures = 0 };
	struct bytes policy = { NULL, 0 };
	int r = policy_open_signed(t, writer_view(&file), bundle, 1800000000, &storage, &policy, &who, &why);

	if (r > 0 && (why.n == 0 || policy.p))
		abort();
	/* whatever is vouched for was signed by the real signer at the real time */
	if (r == 0 && (policy.p != file.p || strcmp(who.identity, "william@yossarian.net") != 0 || who.signed_at_s != 1712085549))
		abort();
}

static void body(struct opening *o, struct bytes text)
{
	static const char kinds[2][16] = { "hashedrekord", "dsse" };
	static EVP_PKEY *key;

	if (!key)
		key = EVP_EC_gen("P-256");
	for (int i = 0; i < 2; i++) {
		cleanup_bundle_ struct bundle b = { .dsse = i == 1 };
		struct log_entry e = {
			.kind = { (const uint8_t *)kinds[i], strlen(kinds[i]) },
			.version = { (const uint8_t *)"0.0.1", 5 },
			.body = { .p = (uint8_t *)text.p, .n = text.n },
		};
		uint8_t sig = 0;

		b.envelope.sig[0] = (struct bytes){ &sig, 1 };
		b.envelope.n = 1;
		if (log_body_check(o, &e, &b, key, writer_view(&file)) == 0)
			abort(); /* nobody has logged a signature of a zero byte by a key of this moment */
	}
}

static void certificate(struct opening *o, struct bytes der)
{
	X509 *leaf = certificate_from_der(der);

	if (!leaf)
		return;
	if (sct_check(o, leaf, o->trust->root->cas[0].chain[0]) < 0 || identity_check(o, leaf) < 0 ||
	    certificate_check(o, leaf, 1712085549) < 0)
		o->now_s = 0;
	X509_free(leaf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy_trust *t;
	cleanup_writer_ struct writer why = WRITER(8192);
	struct reader r = reader_over(data, size);
	uint8_t mode = read_u8(&r) % 3;
	struct opening o = { .why = &why };

	if (!t)
		t = trust();
	o.trust = t;
	if (mode == 0)
		whole(t, read_rest(&r));
	else if (mode == 1)
		body(&o, read_rest(&r));
	else
		certificate(&o, read_rest(&r));
	return 0;
}
