// SPDX-License-Identifier: Apache-2.0
/* Verified signatures remembered: same answers, less work, bounded. */
#include "policy_helper.h"

#include <stdio.h>
#include <time.h>

#include "policy/sigcache.h"

static void key_of(uint64_t n, uint8_t key[SIGCACHE_KEY_SIZE])
{
	hash_one(HASH_SHA256, &n, sizeof(n), key);
}

static void remembers_up_to_its_size(void **state unused_)
{
	cleanup_sigcache_ struct sigcache *c = NULL;
	uint8_t key[SIGCACHE_KEY_SIZE];
	size_t kept = 0;

	assert_int_equal(sigcache_new(&c, 0), -EINVAL);
	assert_int_equal(sigcache_new(&c, (size_t)LIMIT_SIGNATURE_CACHE + 1), -EINVAL);
	assert_null(c);
	assert_int_equal(sigcache_new(&c, LIMIT_SIGNATURE_CACHE), 0);
	sigcache_free(&c);
	assert_int_equal(sigcache_new(&c, 64), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		key_of(i, key);
		assert_false(sigcache_has(c, key));
		sigcache_add(c, key);
		assert_true(sigcache_has(c, key));
	}
	for (uint64_t i = 0; i < 1000; i++) {
		key_of(i, key);
		kept += sigcache_has(c, key);
	}
	assert_int_equal(kept, 64); /* full, and no more */
	key_of(999, key);
	assert_true(sigcache_has(c, key)); /* the newest is there */
	key[31] ^= 1;
	assert_false(sigcache_has(c, key));
}

/* --- answers ---- */

struct run {
	const struct keyring *ring;
	struct sigcache *cache;
	unsigned int signed_entries, ok;
};

static void same_answer(void *user, const struct ima_entry *e, uint64_t index unused_)
{
	struct run *r = user;
	enum imasig_outcome plain, cached;
	struct ima_fields f;
	uint8_t changed[64];

	if (e->violation || !ima_fields_parse(e, &f) || !f.sig.n)
		return;
	r->signed_entries++;
	plain = imasig_verify(r->ring, f.sig, f.alg, f.digest, f.kind == IMA_DIGEST_VERITY);
	cached = imasig_verify_cached(r->ring, r->cache, f.sig, f.alg, f.digest, f.kind == IMA_DIGEST_VERITY);
	assert_int_equal(cached, plain);
	r->ok += plain == IMASIG_OK;
	if (plain != IMASIG_OK)
		return;
	/* remembered: for this digest, this signature and this key only */
	bytes_copy(changed, f.digest.p, f.digest.n);
	changed[0] ^= 1;
	assert_int_equal(imasig_verify_cached(r->ring, r->cache, f.sig, f.alg, (struct bytes){ changed, f.digest.n },
					      f.kind == IMA_DIGEST_VERITY),
			 IMASIG_INVALID);
	assert_int_equal(imasig_verify_cached(r->ring, r->cache, f.sig, f.alg, f.digest, f.kind != IMA_DIGEST_VERITY),
			 IMASIG_INVALID);
}

#define LIST "kernel/6.12-ima-sig-pcrs/binary_runtime_measurements"

static void answers_are_the_same(void **state unused_)
{
	cleanup_sigcache_ struct sigcache *c = NULL;
	cleanup_keyring_ struct keyring *both = NULL, *rsa = NULL;
	struct run r = { .signed_entries = 0 };

	assert_int_equal(keyring_new(&both), 0);
	assert_int_equal(keyring_new(&rsa), 0);
	add_key_file(both, "kernel/6.12-ima-sig-pcrs/sign-rsa.pem");
	add_key_file(both, "kernel/6.12-ima-sig-pcrs/sign-ec.pem");
	add_key_file(rsa, "kernel/6.12-ima-sig-pcrs/sign-rsa.pem");
	assert_int_equal(sigcache_new(&c, 1024), 0);
	r = (struct run){ .ring = both, .cache = c };
	(void)each_entry(LIST, same_answer, &r);
	assert_int_equal(r.ok, 6);
	assert_int_equal(sigcache_hits(c), 0);
	(void)each_entry(LIST, same_answer, &r);
	assert_int_equal(sigcache_hits(c), 6);
	/* what one keyring's key verified says nothing to a keyring without that key */
	r = (struct run){ .ring = rsa, .cache = c };
	(void)each_entry(LIST, same_answer, &r);
	assert_int_equal(r.ok, 3);
}

static void check_all(void *user, const struct ima_entry *e, uint64_t index unused_)
{
	struct run *r = user;
	struct ima_fields f;

	if (e->violation || !ima_fields_parse(e, &f) || !f.sig.n || memmem(f.path.p, f.path.n, "/wrong", 6))
		return;
	for (int i = 0; i < 200; i++)
		r->ok += imasig_verify_cached(r->ring, r->cache, f.sig, f.alg, f.digest, f.kind == IMA_DIGEST_VERITY) == IMASIG_OK;
	r->signed_entries += 200;
}

static double seconds(struct run *r)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	(void)each_entry(LIST, check_all, r);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

/* A figure, not a condition: no test asserts on time. */
static void speed(void **state unused_)
{
	cleanup_sigcache_ struct sigcache *c = NULL;
	cleanup_keyring_ struct keyring *both = NULL;
	struct run plain, cached;
	double without, with;

	assert_int_equal(keyring_new(&both), 0);
	add_key_file(both, "kernel/6.12-ima-sig-pcrs/sign-rsa.pem");
	add_key_file(both, "kernel/6.12-ima-sig-pcrs/sign-ec.pem");
	assert_int_equal(sigcache_new(&c, 1024), 0);
	plain = (struct run){ .ring = both };
	cached = (struct run){ .ring = both, .cache = c };
	without = seconds(&plain);
	with = seconds(&cached);
	assert_int_equal(plain.ok, cached.ok);
	assert_int_equal(sigcache_hits(c), cached.ok - 6);
	print_message("# %u checks of RSA-2048 and P-256 signatures: %.0f/s without, %.0f/s with memory\n",
		      plain.signed_entries, plain.signed_entries / without, cached.signed_entries / with);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers_up_to_its_size),
		cmocka_unit_test(answers_are_the_same),
		cmocka_unit_test(speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
