// SPDX-License-Identifier: Apache-2.0
/* Keys learned from a list: only what the policy allows for .ima, bounded, and back from their bytes. */
#include "policy_helper.h"

#include <stdio.h>

#include "lib/imasig_make.h"
#include "lib/tpm_make.h"
#include "policy/learned.h"

static EVP_PKEY *key, *other;
static struct writer der, data;
static char policy_text[1024], hex[65];

static int make(void **state unused_)
{
	key = make_key(MADE_P256);
	other = make_key(MADE_P384);
	der = WRITER(4096);
	data = WRITER(1u << 16);
	make_key_der(&der, key);
	make_hex_digest(writer_view(&der), hex);
	snprintf(policy_text, sizeof(policy_text), "{\"keyrings\":{\".ima\":[\"%s\"]}}", hex);
	return 0;
}

static int drop(void **state unused_)
{
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	writer_free(&der);
	writer_free(&data);
	return 0;
}

static bool wants(const char *policy, const char *template, const char *keyring, struct bytes content, struct bytes buf, bool violation)
{
	cleanup_policy_ struct policy *p = policy_of(policy);
	struct ima_entry e = { .pcr = 10, .name = { (const uint8_t *)template, strlen(template) }, .violation = violation };
	struct ima_fields f;

	writer_reset(&data);
	make_ima_data(&data, content, keyring, buf);
	e.data = writer_view(&data);
	assert_true(ima_fields_parse(&e, &f));
	return learned_wants(p, &e, &f);
}

static void only_what_the_policy_allows(void **state unused_)
{
	struct bytes k = writer_view(&der), junk = { (const uint8_t *)"junk", 4 };
	char text[1024], junk_hex[65];

	assert_true(wants(policy_text, "ima-buf", ".ima", k, k, false));
	assert_false(wants("{}", "ima-buf", ".ima", k, k, false)); /* not in keyrings */
	assert_false(wants(policy_text, "ima-buf", ".evm", k, k, false));
	snprintf(text, sizeof(text), "{\"keyrings\":{\".evm\":[\"%s\"]}}", hex);
	assert_false(wants(text, "ima-buf", ".ima", k, k, false)); /* allowed elsewhere */
	snprintf(text, sizeof(text), "{\"ima-buf\":{\".ima\":[\"%s\"]}}", hex);
	assert_false(wants(text, "ima-buf", ".ima", k, k, false));
	snprintf(text, sizeof(text), "{\"keyrings\":{\".ima\":[\"%s\"]},\"deny\":[\"%s\"]}", hex, hex);
	assert_false(wants(text, "ima-buf", ".ima", k, k, false)); /* denied */
	snprintf(text, sizeof(text), "{\"ima\":{\"ignored_keyrings\":[\"*\"]}}");
	assert_false(wants(text, "ima-buf", ".ima", k, k, false)); /* ignored is not allowed */
	assert_false(wants(policy_text, "ima-buf", ".ima", k, k, true)); /* a violation */
	assert_false(wants(policy_text, "ima-buf", ".ima", k, junk, false)); /* the digest of other bytes */
	assert_false(wants(policy_text, "ima-sig", ".ima", k, k, false)); /* a file of that name, signed with "k" */
	assert_false(wants(policy_text, "ima-buf", "ima", k, k, false));
	make_hex_digest(junk, junk_hex);
	snprintf(text, sizeof(text), "{\"keyrings\":{\".ima\":[\"%s\"]}}", junk_hex);
	assert_false(wants(text, "ima-buf", ".ima", junk, junk, false)); /* allowed, and no key */
	assert_false(learned_wants(NULL, &(struct ima_entry){ .pcr = 10 }, &(struct ima_fields){ .known = true }));
}

static void key_fields(EVP_PKEY *k, struct writer *w, struct ima_fields *f)
{
	struct ima_entry e = { .pcr = 10, .name = BYTES("ima-buf") };
	cleanup_writer_ struct writer d = WRITER(4096);

	*w = WRITER(1u << 16);
	make_key_der(&d, k);
	make_ima_data(w, writer_view(&d), ".ima", writer_view(&d));
	e.data = writer_view(w);
	assert_true(ima_fields_parse(&e, f));
}

static void kept_and_read_back(void **state unused_)
{
	cleanup_learned_ struct learned *l = NULL, *back = NULL;
	cleanup_writer_ struct writer a = WRITER(0), b = WRITER(0), saved = WRITER(1u << 16);
	cleanup_policy_ struct policy *p = policy_of(policy_text), *none = policy_of("{}");
	struct ima_fields f, g;

	key_fields(key, &a, &f);
	key_fields(other, &b, &g);
	assert_int_equal(learned_new(&l), 0);
	assert_int_equal(learned_add(l, &f), 1);
	assert_int_equal(learned_add(l, &f), 0);
	assert_int_equal(learned_add(l, &g), 1);
	assert_int_equal(keyring_count(learned_keyring(l)), 2);
	learned_save(l, &saved);
	assert_int_equal(learned_new(&back), 0);
	assert_int_equal(learned_load(back, writer_view(&saved)), 0);
	assert_int_equal(learned_count(back), 2);
	learned_keep_allowed(back, p, NULL);
	assert_int_equal(learned_count(back), 1); /* the other one is in no policy */
	assert_int_equal(keyring_count(learned_keyring(back)), 1);
	learned_keep_allowed(back, none, p); /* while a policy is rolled out, the one before counts */
	assert_int_equal(learned_count(back), 1);
	learned_keep_allowed(back, none, NULL);
	assert_int_equal(learned_count(back), 0);
	learned_truncate(l, 1);
	assert_int_equal(keyring_count(learned_keyring(l)), 1);
	learned_keep_allowed(l, NULL, NULL);
	assert_int_equal(learned_count(l), 0);
	/* cut anywhere it is refused */
	for (size_t n = 1; n < saved.n; n++) {
		cleanup_learned_ struct learned *cut = NULL;
		int r;

		assert_int_equal(learned_new(&cut), 0);
		r = learned_load(cut, (struct bytes){ saved.p, n });
		assert_true(r == -EBADMSG || learned_count(cut) == 1);
	}
}

static void no_more_than_the_limit(void **state unused_)
{
	cleanup_learned_ struct learned *l = NULL;

	assert_int_equal(learned_new(&l), 0);
	for (unsigned int i = 0; i <= LIMIT_LEARNED_KEYS; i++) {
		EVP_PKEY *k = make_key(MADE_P256);
		cleanup_writer_ struct writer w = WRITER(0);
		struct ima_fields f;

		key_fields(k, &w, &f);
		assert_int_equal(learned_add(l, &f), i < LIMIT_LEARNED_KEYS);
		EVP_PKEY_free(k);
	}
	assert_int_equal(learned_count(l), LIMIT_LEARNED_KEYS);
}

/* A file signed with a learned key is fine, with another it is not. */
static void learned_keys_vouch(void **state unused_)
{
	cleanup_learned_ struct learned *l = NULL;
	cleanup_writer_ struct writer w = WRITER(0), sig = WRITER(4096), d = WRITER(4096);
	cleanup_policy_ struct policy *p = policy_of(policy_text);
	struct ima_entry e = { .pcr = 10, .name = BYTES("ima-sig") };
	struct appraisal a = { .policy = p };
	struct finding out[4];
	struct ima_fields f;
	uint8_t digest[32];

	hash_one(HASH_SHA256, "x", 1, digest);
	make_ima_signature(&sig, key, digest);
	make_ima_data(&d, (struct bytes){ (const uint8_t *)"x", 1 }, "/usr/bin/x", writer_view(&sig));
	e.data = writer_view(&d);
	assert_int_equal(appraise_entry(&a, &e, NULL, 7, out), 1);
	assert_int_equal(out[0].reason, REASON_DIGEST_UNKNOWN);
	assert_int_equal(learned_new(&l), 0);
	key_fields(other, &w, &f);
	assert_int_equal(learned_add(l, &f), 1);
	a.learned = learned_keyring(l);
	assert_int_equal(appraise_entry(&a, &e, NULL, 7, out), 2);
	assert_int_equal(out[1].reason, REASON_SIGNATURE_KEY_UNKNOWN);
	writer_free(&w);
	key_fields(key, &w, &f);
	assert_int_equal(learned_add(l, &f), 1);
	a.learned = learned_keyring(l);
	assert_int_equal(appraise_entry(&a, &e, NULL, 7, out), 0);
}

/* The key of Keylime's own vectors. */
static void keylimes_vector(void *user, const struct ima_entry *e, uint64_t index unused_)
{
	struct learned *l = user;
	struct ima_fields f;
	char text[256], digest[65];
	struct policy *p;

	assert_true(ima_fields_parse(e, &f));
	make_hex_digest(f.buf, digest);
	snprintf(text, sizeof(text), "{\"keyrings\":{\".ima\":[\"%s\"]}}", digest);
	p = policy_of(text);
	assert_true(learned_wants(p, e, &f));
	assert_int_equal(learned_add(l, &f), 1);
	policy_unref(&p);
}

static void keylimes_vectors(void **state unused_)
{
	cleanup_learned_ struct learned *l = NULL;

	assert_int_equal(learned_new(&l), 0);
	assert_int_equal(each_entry("keylime-ima/keyrings.ascii", keylimes_vector, l), 1);
	assert_int_equal(learned_count(l), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_the_policy_allows),
		cmocka_unit_test(kept_and_read_back),
		cmocka_unit_test(no_more_than_the_limit),
		cmocka_unit_test(learned_keys_vouch),
		cmocka_unit_test(keylimes_vectors),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
