// SPDX-License-Identifier: Apache-2.0
/* Signed policies: some 270 made by tests/lib/signed_cases.py (every rule has its broken case), and two that the public
 * Sigstore instances have signed (tests/vectors/sigstore). */
#include "policy_helper.h"

#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "policy/signed.h"

static char folder[] = "/tmp/imastream-signed-XXXXXX";
static json_t *cases;

static int make_cases(void **state)
{
	cleanup_free_ char *command = NULL, *path = NULL;

	(void)state;
	if (!mkdtemp(folder) || asprintf(&command, "/usr/bin/python3 %s/lib/signed_cases.py %s", TESTS_DIR, folder) < 0 ||
	    asprintf(&path, "%s/cases.json", folder) < 0)
		return -1;
	if (system(command) != 0) {
		print_message("signed_cases.py failed: tools/setup --need test installs python3-cryptography\n");
		return -1;
	}
	cases = json_load_file(path, 0, NULL);
	return cases ? 0 : -1;
}

static int drop_cases(void **state)
{
	cleanup_free_ char *command = NULL;

	(void)state;
	json_decref(cases);
	return asprintf(&command, "rm -r %s", folder) < 0 || system(command) != 0;
}

/* A file that the maker wrote; NULL gives no bytes. */
static void load_made(const json_t *name, struct writer *w)
{
	cleanup_free_ char *path = NULL;

	*w = WRITER(8u << 20);
	if (json_is_null(name))
		return;
	assert_true(asprintf(&path, "%s/%s", folder, json_string_value(name)) > 0);
	assert_int_equal(read_file(path, w), 0);
}

static struct policy_trust *case_trust(const json_t *c)
{
	struct policy_trust *t = NULL;
	const json_t *item;
	const char *why;
	size_t i;

	assert_int_equal(policy_trust_new(&t), 0);
	policy_trust_set_threshold(t, (unsigned int)json_integer_value(json_object_get(c, "threshold")));
	json_array_foreach(json_object_get(c, "keys"), i, item) {
		cleanup_writer_ struct writer pem = WRITER(0);

		load_made(item, &pem);
		assert_int_equal(policy_trust_add_key(t, writer_view(&pem), &why), 0);
	}
	json_array_foreach(json_object_get(c, "roots"), i, item) {
		cleanup_writer_ struct writer root = WRITER(0), said = WRITER(1024);

		load_made(item, &root);
		assert_int_equal(policy_trust_add_root(t, writer_view(&root), &said), 0);
	}
	json_array_foreach(json_object_get(c, "identities"), i, item)
		assert_int_equal(policy_trust_add_identity(t, json_string_value(json_array_get(item, 0)),
							   json_string_value(json_array_get(item, 1)), &why), 0);
	return t;
}

static bool same_text(const json_t *who, const char *name, const char *seen)
{
	const json_t *v = json_object_get(who, name);

	return !v || strcmp(json_string_value(v), seen) == 0;
}

static bool same_number(const json_t *who, const char *name, uint64_t seen)
{
	const json_t *v = json_object_get(who, name);

	return !v || (uint64_t)json_integer_value(v) == seen;
}

static bool right(const json_t *c)
{
	cleanup_writer_ struct writer file, detached, wanted, storage = WRITER(LIMIT_POLICY_FILE), why = WRITER(4096);
	cleanup_policy_trust_ struct policy_trust *t = case_trust(c);
	const json_t *who = json_object_get(c, "who");
	struct policy_signer signer = { .signatures = 77 };
	struct bytes policy = { NULL, 99 };
	int r;

	load_made(json_object_get(c, "file"), &file);
	load_made(json_object_get(c, "detached"), &detached);
	load_made(json_object_get(c, "policy"), &wanted);
	r = policy_open_signed(t, writer_view(&file), writer_view(&detached),
			       (uint64_t)json_integer_value(json_object_get(c, "now")), &storage, &policy, &signer, &why);
	if (r < 0 || strcmp(policy_signed_name((enum policy_signed)r), json_string_value(json_object_get(c, "expect"))) != 0) {
		print_message("%s: %s, wanted %s (%s)\n", json_string_value(json_object_get(c, "name")),
			      policy_signed_name((enum policy_signed)r), json_string_value(json_object_get(c, "expect")),
			      why.n ? writer_cstr(&why) : "");
		return false;
	}
	if (r > 0) /* said why, gave nothing */
		return why.n > 0 && policy.n == 99 && !policy.p && signer.signatures == 77;
	return policy.n == wanted.n && bytes_equal(policy.p, wanted.p, policy.n) &&
	       same_text(who, "form", policy_signed_form_name(signer.form)) && same_text(who, "identity", signer.identity) &&
	       same_text(who, "issuer", signer.issuer) && same_number(who, "signatures", signer.signatures) &&
	       same_number(who, "signed_at", signer.signed_at_s) && same_number(who, "log_index", signer.log_index);
}

static void made(void **state)
{
	size_t i, wrong = 0;
	const json_t *c;

	(void)state;
	assert_true(json_array_size(cases) > 250);
	json_array_foreach(cases, i, c) {
		if (right(c))
			continue;
		print_message("wrong: %s\n", json_string_value(json_object_get(c, "name")));
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

/* Each outcome is the right one for some case, and has a name of its own. */
static void outcomes(void **state)
{
	(void)state;
	for (int o = 0; o < SIGNED_COUNT_; o++) {
		size_t i, n = 0;
		const json_t *c;

		json_array_foreach(cases, i, c)
			n += strcmp(json_string_value(json_object_get(c, "expect")), policy_signed_name((enum policy_signed)o)) == 0;
		if (n == 0)
			print_message("no case ends as %s\n", policy_signed_name((enum policy_signed)o));
		assert_true(n > 0);
		assert_true(strlen(policy_signed_text((enum policy_signed)o)) > 10);
	}
	assert_string_equal(policy_signed_name(SIGNED_COUNT_), "?");
}

/* ---- the public instances ---- */

static const struct {
	const char *name, *bundle, *root, *identity, *issuer;
	uint64_t signed_at;
} public[] = {
	{ "sigstore/staging.txt", "sigstore/staging.sigstore.json", "sigstore/staging-root.json", "william@yossarian.net",
	  "https://github.com/login/oauth", 1712085549 },
	{ "sigstore/public.txt", "sigstore/public-v01.sigstore.json", "sigstore/public-root.json",
	  "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/"
	  "extremely-dangerous-oidc-beacon.yml@refs/heads/main",
	  "https://token.actions.githubusercontent.com", 1686853273 },
};

static int open_public(size_t i, size_t root, const char *identity, const char *issuer, bool spoil, struct policy_signer *who)
{
	cleanup_writer_ struct writer file, bundle, json, storage = WRITER(4096), said = WRITER(4096);
	cleanup_policy_trust_ struct policy_trust *t = NULL;
	struct bytes policy;
	const char *why;
	int r;

	load_file(public[i].name, &file);
	load_file(public[i].bundle, &bundle);
	load_file(public[root].root, &json);
	file.p[0] ^= spoil;
	assert_int_equal(policy_trust_new(&t), 0);
	assert_int_equal(policy_trust_add_root(t, writer_view(&json), &said), 0);
	assert_int_equal(policy_trust_add_identity(t, identity, issuer, &why), 0);
	r = policy_open_signed(t, writer_view(&file), writer_view(&bundle), 1800000000, &storage, &policy, who, &said);
	if (r)
		print_message("%s\n", writer_cstr(&said));
	return r;
}

static void public_bundles(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(public); i++) {
		struct policy_signer who = { .signatures = 0 };

		assert_int_equal(open_public(i, i, public[i].identity, public[i].issuer, false, &who), SIGNED_OK);
		assert_string_equal(who.identity, public[i].identity);
		assert_string_equal(who.issuer, public[i].issuer);
		assert_int_equal(who.signed_at_s, public[i].signed_at);
		assert_int_equal(open_public(i, i, public[i].identity, public[i].issuer, true, &who), SIGNED_BAD_SIGNATURE);
		assert_int_equal(open_public(i, i, "eve@example.org", public[i].issuer, false, &who), SIGNED_IDENTITY);
		assert_int_equal(open_public(i, !i, public[i].identity, public[i].issuer, false, &who), SIGNED_LOG_UNKNOWN);
	}
}

/* ---- what is accepted ---- */

static int add_root(const char *json, struct writer *why)
{
	cleanup_policy_trust_ struct policy_trust *t = NULL;

	assert_int_equal(policy_trust_new(&t), 0);
	writer_reset(why);
	return policy_trust_add_root(t, (struct bytes){ (const uint8_t *)json, strlen(json) }, why);
}

/* The staging root with one text of it replaced. */
static int spoilt_root(const char *from, const char *to, struct writer *why)
{
	cleanup_writer_ struct writer file, out = WRITER(65536);
	const char *at, *text;

	load_file("sigstore/staging-root.json", &file);
	text = writer_cstr(&file);
	at = strstr(text, from);
	assert_non_null(at);
	write_fmt(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return add_root(writer_cstr(&out), why);
}

static void roots(void **state)
{
	static const struct {
		const char *from, *to;
		int outcome;
	} changes[] = {
		{ "rekor.sigstage.dev", "rekor.example.org", 0 }, /* the name of a log means nothing */
		{ "version=0.1", "version=0.9", 1 },
		{ "\"start\": \"2021-01-12T11:53:27.000Z\"", "\"begin\": 0", 1 },
		{ "2021-01-12T11:53:27.000Z", "2021-01-12T11:53:27Z", 0 },
		{ "2021-01-12T11:53:27.000Z", "2021-01-12T11:53:27.Z", 0 },
		{ "2021-01-12T11:53:27.000Z", "2021-01-12T11:53:27.000+00:00", 1 },
		{ "2021-01-12T11:53:27.000Z", "2021-13-12T11:53:27.000Z", 1 },
		{ "2021-01-12T11:53:27.000Z", "1969-01-12T11:53:27.000Z", 1 },
		{ "2021-01-12T11:53:27.000Z", "2021-01-12 11:53:27Z", 1 },
		{ "2022-07-31T00:00:00.000Z", "never", 1 },
		{ "MFkwEwYHKoZIzj0CAQYI", "MFkwEwYHKoZIzj0CAQYJ", 1 },
		{ "0y8wo8MtY5wrdiIFohx7sHeI5oKDpK5vQhGHI6G+pJY=", "0y8w", 1 },
		{ "MIICGTCCAaCg", "MIICGTCCAaCh", 1 },
		{ "\"certificates\": [", "\"none\": [", 1 },
		{ "\"certificateAuthorities\"", "\"authorities\"", 1 },
		{ "\"tlogs\": [", "\"tlogs\": 1, \"x\": [", 1 },
		{ "\"tlogs\": [", "\"tlogs\": [], \"tlogs\": [", 1 },
	};
	cleanup_writer_ struct writer why = WRITER(4096), large = WRITER(2u << 20);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		int r = spoilt_root(changes[i].from, changes[i].to, &why);

		if (r != changes[i].outcome)
			print_message("%s -> %s: %d %s\n", changes[i].from, changes[i].to, r, writer_cstr(&why));
		assert_int_equal(r, changes[i].outcome);
		assert_true(r == 0 || why.n > 0);
	}
	assert_int_equal(add_root("", &why), 1);
	assert_int_equal(add_root("[]", &why), 1);
	load_file("sigstore/staging-root.json", &large);
	while (large.n < LIMIT_TRUSTED_ROOT)
		write_u8(&large, ' ');
	assert_int_equal(add_root(writer_cstr(&large), &why), 0);
	write_u8(&large, ' ');
	assert_int_equal(add_root(writer_cstr(&large), &why), 1);
}

/* One certificate log too many, and one more authority than fits. */
static void root_limits(void **state)
{
	for (size_t n = LIMIT_TRUST_ITEMS; n <= LIMIT_TRUST_ITEMS + 1; n++) {
		cleanup_writer_ struct writer json = WRITER(LIMIT_TRUSTED_ROOT), why = WRITER(1024);

		write_fmt(&json, "{\"mediaType\":\"application/vnd.dev.sigstore.trustedroot.v0.2+json\",\"certificateAuthorities\":[],\"ctlogs\":[");
		for (size_t i = 0; i < n; i++)
			write_fmt(&json, "%s{\"logId\":{\"keyId\":\"3T0wasbHETJjGR4cmWc3AqJKXrjePK3/h4pygC8p7o4=\"},\"publicKey\":{\"rawBytes\":\"\","
				  "\"keyDetails\":\"PKCS1_RSA_PKCS1V5\",\"validFor\":{\"start\":\"2022-10-20T00:00:00Z\"}}}", i ? "," : "");
		write_fmt(&json, "]}");
		assert_int_equal(add_root(writer_cstr(&json), &why), n > LIMIT_TRUST_ITEMS);
	}
	(void)state;
}

static void keys(void **state)
{
	static const char *const bad[] = {
		"", "hello", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nMFkw", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
	};
	cleanup_policy_trust_ struct policy_trust *t = NULL, *other = NULL;
	static const char good_key[] = "-----BEGIN PUBLIC KEY-----\n"
				       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEq2UZJQl8OqLCQ/DImlaiXnOJ9x/5\n"
				       "LWk80x7hjKGjenS0BFiIWq7tfd6Nf2kOvAbQ6jw9npMb9YQ88oazVVAr7Q==\n"
				       "-----END PUBLIC KEY-----\n";
	cleanup_writer_ struct writer rsa, rsa2, koblitz, large = WRITER(LIMIT_PEM + 1), said = WRITER(1024), root;
	const char *why = NULL;

	(void)state;
	assert_int_equal(policy_trust_new(&t), 0);
	assert_int_equal(policy_trust_new(&other), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why = NULL;
		assert_int_equal(policy_trust_add_key(t, (struct bytes){ (const uint8_t *)bad[i], strlen(bad[i]) }, &why), 1);
		assert_non_null(why);
	}
	load_file("keylime-ima/keys/rsa2048pub.pem", &rsa);
	assert_int_equal(policy_trust_add_key(t, writer_view(&rsa), &why), 1);
	load_file("keylime-ima/keys/secp256k1pub.pem", &koblitz);
	assert_int_equal(policy_trust_add_key(t, writer_view(&koblitz), &why), 1);
	while (large.n <= LIMIT_PEM)
		write_u8(&large, '\n');
	assert_int_equal(policy_trust_add_key(t, writer_view(&large), &why), 1);
	assert_string_equal(why, "larger than a key file can be");
	writer_reset(&large); /* a good key, then one that is not: neither */
	load_file("keylime-ima/keys/rsa2048pub.pem", &rsa2);
	write_bytes(&large, good_key, sizeof(good_key) - 1);
	assert_int_equal(policy_trust_add_key(t, writer_view(&large), &why), 0);
	policy_trust_free(&t);
	assert_int_equal(policy_trust_new(&t), 0);
	write_bytes(&large, rsa2.p, rsa2.n);
	assert_int_equal(policy_trust_add_key(t, writer_view(&large), &why), 1);
	assert_true(policy_trust_empty(t));
	assert_true(policy_trust_empty(NULL));
	assert_null(policy_trust_gap(t));
	assert_null(policy_trust_gap(NULL));

	assert_int_equal(policy_trust_add_identity(t, "", "x", &why), 1);
	assert_int_equal(policy_trust_add_identity(t, "x", NULL, &why), 1);
	assert_int_equal(policy_trust_add_identity(other, "x", "y", &why), 0);
	assert_non_null(policy_trust_gap(other)); /* nothing to check its certificate against */
	load_file("sigstore/staging-root.json", &root);
	assert_int_equal(policy_trust_add_root(t, writer_view(&root), &said), 0);
	assert_non_null(policy_trust_gap(t)); /* a root and nobody who must have signed */
	assert_true(policy_trust_empty(t));
	assert_int_equal(policy_trust_add_identity(t, "x", "y", &why), 0);
	assert_null(policy_trust_gap(t));
	policy_trust_set_threshold(t, 2);
	assert_non_null(policy_trust_gap(t));
}

/* As many keys and identities as fit, and one more. */
static void trust_limits(void **state)
{
	cleanup_policy_trust_ struct policy_trust *t = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(policy_trust_new(&t), 0);
	for (unsigned int i = 0; i <= LIMIT_TRUST_ITEMS; i++) {
		EVP_PKEY *key = EVP_EC_gen("P-256");
		BIO *bio = BIO_new(BIO_s_mem());
		char *text;
		long n;

		assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
		n = BIO_get_mem_data(bio, &text);
		assert_int_equal(policy_trust_add_key(t, (struct bytes){ (uint8_t *)text, (size_t)n }, &why), i == LIMIT_TRUST_ITEMS);
		assert_int_equal(policy_trust_add_identity(t, "a", "b", &why), i == LIMIT_TRUST_ITEMS);
		BIO_free(bio);
		EVP_PKEY_free(key);
	}
}

static void identity_limits(void **state)
{
	char longest[LIMIT_SIGNER_IDENTITY + 2] = { 0 };
	cleanup_policy_trust_ struct policy_trust *t = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(policy_trust_new(&t), 0);
	memset(longest, 'a', LIMIT_SIGNER_IDENTITY);
	assert_int_equal(policy_trust_add_identity(t, longest, longest, &why), 0);
	longest[LIMIT_SIGNER_IDENTITY] = 'a';
	assert_int_equal(policy_trust_add_identity(t, longest, "b", &why), 1);
	assert_int_equal(policy_trust_add_identity(t, "a", longest, &why), 1);
}

/* An authority with one certificate more than a chain may have. */
static void chain_limit(void **state)
{
	cleanup_writer_ struct writer why = WRITER(4096), file;
	json_t *root, *chain;

	(void)state;
	load_file("sigstore/staging-root.json", &file);
	root = json_loadb((const char *)file.p, file.n, 0, NULL);
	chain = json_object_get(json_object_get(json_array_get(json_object_get(root, "certificateAuthorities"), 0), "certChain"), "certificates");
	for (unsigned int n = LIMIT_TRUST_CHAIN; n <= LIMIT_TRUST_CHAIN + 1; n++) {
		char *text;

		while (json_array_size(chain) < n)
			assert_int_equal(json_array_append(chain, json_array_get(chain, 1)), 0);
		text = json_dumps(root, 0);
		assert_int_equal(add_root(text, &why), n > LIMIT_TRUST_CHAIN);
		free(text);
	}
	json_decref(root);
}

static void described(void **state)
{
	struct policy_signer s = { .form = SIGNED_FORM_BUNDLE, .identity = "a\033[2J", .issuer = "https://b", .signed_at_s = 1700000000 };
	cleanup_writer_ struct writer w = WRITER(4096);

	(void)state;
	policy_signer_describe(&s, &w);
	assert_string_equal(writer_cstr(&w), "'a\\x1b[2J' by 'https://b' (sigstore-bundle) at 2023-11-14T22:13:20Z");
	writer_reset(&w);
	s = (struct policy_signer){ .form = SIGNED_FORM_DSSE, .key = "sha256:ab", .signatures = 3 };
	policy_signer_describe(&s, &w);
	assert_string_equal(writer_cstr(&w), "key sha256:ab and 2 more (dsse)");
	writer_reset(&w);
	s.form = SIGNED_FORM_NONE;
	policy_signer_describe(&s, &w);
	assert_string_equal(writer_cstr(&w), "not signed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made),  cmocka_unit_test(outcomes),    cmocka_unit_test(public_bundles),
		cmocka_unit_test(roots), cmocka_unit_test(root_limits), cmocka_unit_test(keys),
		cmocka_unit_test(described), cmocka_unit_test(trust_limits), cmocka_unit_test(identity_limits), cmocka_unit_test(chain_limit),
	};

	return cmocka_run_group_tests(tests, make_cases, drop_cases);
}
