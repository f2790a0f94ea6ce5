// SPDX-License-Identifier: Apache-2.0
/* The bytes of large policies get into the store beside the other work, whole or not at all, and can be rolled back to. */
#include <openssl/ec.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "lib/test.h"
#include "policy/compiled.h"
#include "policy/sign.h"
#include "verifier/policy_keep.h"

#define DIGESTS 60000u /* some three parts */

static struct store *store;
static struct loop *loop;
static struct policy_keep *keep;
static struct policies set;
static struct writer why, notes;
static struct policy_opener opener;
static char path[256];

static int begin(void **state unused_)
{
	const char *reason, *dir = getenv("TMPDIR");
	int r = store_sqlite_open(&store, ":memory:", &reason);

	why = WRITER(65536);
	notes = WRITER(65536);
	opener = (struct policy_opener){ .known = &set, .now_s = 1700000000, .why = &why, .notes = &notes };
	snprintf(path, sizeof(path), "%s/imastream-keep-%d.imap", dir ? dir : "/tmp", (int)getpid());
	if (r == 0)
		r = loop_new(&loop);
	return r == 0 ? policy_keep_new(&keep, loop, store, 5) : r;
}

static int end(void **state unused_)
{
	policy_keep_free(&keep);
	policies_clear(&set);
	loop_free(&loop);
	store_close(&store);
	writer_free(&why);
	writer_free(&notes);
	unlink(path);
	return 0;
}

static void put_json(const char *start, uint32_t seed, uint32_t digests, bool compiled)
{
	cleanup_writer_ struct writer json = WRITER(64u << 20), file = WRITER(64u << 20);
	struct policy_report report = { .errors = 0 };
	uint64_t x = seed;

	write_fmt(&json, "%s", start);
	for (uint32_t i = 0; i < digests; i++) {
		write_fmt(&json, "%s\"/bin/%u\":[\"", i ? "," : "", i);
		for (unsigned int w = 0; w < 4; w++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			write_fmt(&json, "%016llx", (unsigned long long)(x ^ x >> 29));
		}
		write_fmt(&json, "\"]");
	}
	write_fmt(&json, "}}");
	assert_int_equal(writer_status(&json), 0);
	if (compiled)
		assert_int_equal(policy_compile(&file, writer_view(&json), &report), 0);
	policy_report_clear(&report);
	assert_int_equal(write_file_atomic(path, writer_view(compiled ? &file : &json), 0600), 0);
}

static void put(uint32_t seed, bool compiled)
{
	put_json("{\"digests\":{", seed, DIGESTS, compiled);
}

/* As a reload does it, or (restarted) a start. */
static void adopt(bool restarted, uint64_t overlap)
{
	struct history_how how = { .reason = "file", .who = "", .keep = 5, .overlap_us = overlap };
	struct instant now = { .mono = 1000, .real = 1700000000000000u };
	struct named_policy opened = { 0 };
	struct policies next = { 0 };

	if (restarted)
		policies_clear(&set);
	assert_int_equal(policy_file_open(&opener, path, &opened), 0);
	assert_int_equal(policies_add(&next, "default", &opened.policy), 0);
	next.list[0].source = opened.source;
	assert_int_equal(history_adopt(store, set.n ? &set : NULL, &next, &opener, &how, &now), 0);
	policies_clear(&set);
	set = next;
}

static void run(void)
{
	uint64_t until = clock_mono_us() + 60u * 1000000u;

	while (policy_keep_left(keep) && clock_mono_us() < until)
		assert_int_equal(loop_once(loop, 100), 0);
	assert_int_equal(policy_keep_left(keep), 0);
}

static int count_row(void *user, const struct policy_row *row)
{
	*(uint64_t *)user += row->kept;
	return 0;
}

static uint64_t kept(void)
{
	uint64_t n = 0;

	assert_int_equal(store->ops->each_policy(store, "default", count_row, &n), 0);
	return n;
}

static void assert_rolls_back(uint64_t generation, const char *id, const char *file)
{
	struct history_kept k = HISTORY_KEPT;
	struct named_policy opened = { 0 };
	const char *text;

	assert_int_equal(history_find(store, "default", generation, &k, &text), 0);
	assert_int_equal(policy_kept_open(&opener, "x", writer_view(&k.packed), (struct bytes){ 0 }, &opened), 0);
	assert_string_equal(policy_id(opened.policy), id);
	assert_string_equal(opened.source->file_id, file);
	policy_unref(&opened.policy);
	policy_source_free(&opened.source);
	history_kept_clear(&k);
}

static void large_ones_come_later(bool compiled)
{
	char id[LIMIT_LABEL + 1], file[LIMIT_KEY_NAME];
	struct history_kept k = HISTORY_KEPT;
	const char *text = "";

	put(1, compiled);
	adopt(false, 0);
	assert_true(set.list[0].source->keep);
	assert_int_equal(kept(), 0);
	assert_int_equal(history_find(store, "default", 1, &k, &text), 1);
	assert_non_null(strstr(text, "not yet"));
	snprintf(id, sizeof(id), "%s", policy_id(set.list[0].policy));
	snprintf(file, sizeof(file), "%s", set.list[0].source->file_id);
	assert_int_equal(policy_keep_add(keep, &set), 0);
	assert_false(set.list[0].source->keep);
	assert_int_equal(policy_keep_left(keep), 1);
	put(2, compiled); /* before the first one is stored */
	adopt(false, 0);
	assert_int_equal(policy_keep_add(keep, &set), 0);
	run();
	assert_int_equal(kept(), 2);
	assert_rolls_back(1, id, file);
	assert_rolls_back(2, policy_id(set.list[0].policy), set.list[0].source->file_id);
	adopt(true, 0); /* the store has it */
	assert_false(set.list[0].source->keep);
	put(3, compiled);
	adopt(true, 1000000); /* changed while nobody looked */
	assert_non_null(set.list[0].before);
	history_kept_clear(&k);
}

static void compiled_policies(void **state unused_)
{
	large_ones_come_later(true);
}

static void json_policies(void **state unused_)
{
	large_ones_come_later(false);
}

/* Cut after each part: nothing is kept, and the next start begins again. */
static void an_end_in_between(void **state unused_)
{
	put(1, true);
	adopt(false, 0);
	assert_int_equal(policy_keep_add(keep, &set), 0);
	for (unsigned int rounds = 0; rounds < 4; rounds++) { /* packed, one part, two parts */
		for (unsigned int i = 0; i <= rounds; i++)
			assert_int_equal(loop_once(loop, 10000), 0);
		assert_int_equal(policy_keep_left(keep), 1);
		assert_int_equal(kept(), 0);
		policy_keep_free(&keep);
		assert_int_equal(policy_keep_new(&keep, loop, store, 5), 0);
		adopt(true, 0);
		assert_int_equal(set.list[0].generation, 1);
		assert_true(set.list[0].source->keep);
		assert_int_equal(policy_keep_add(keep, &set), 0);
	}
	run();
	assert_int_equal(kept(), 1);
	assert_rolls_back(1, policy_id(set.list[0].policy), set.list[0].source->file_id);
}

static int no_part(struct store *s unused_, const char *file unused_, uint64_t part unused_, struct bytes bytes unused_)
{
	return -ENOSPC;
}

static void a_full_disk(void **state unused_)
{
	const struct store_ops *good = store->ops;
	struct store_ops bad = *good;

	put(1, true);
	adopt(false, 0);
	assert_int_equal(policy_keep_add(keep, &set), 0);
	bad.add_policy_part = no_part;
	store->ops = &bad;
	run();
	store->ops = good;
	assert_int_equal(kept(), 0);
	adopt(true, 0);
	assert_int_equal(policy_keep_add(keep, &set), 0);
	run();
	assert_int_equal(kept(), 1);
}

/* Small ones are there with their generation; the same bytes share one policy; what a path says is no envelope. */
static void small_compiled_policies(void **state unused_)
{
	struct named_policy opened = { 0 };

	put_json("{\"excludes\":[\"/\\\"payloadType\\\"\"],\"digests\":{", 1, 10, true);
	adopt(false, 0);
	assert_false(set.list[0].source->keep);
	assert_int_equal(kept(), 1);
	assert_memory_equal(set.list[0].source->file_id, "seal:", 5);
	assert_int_equal(strlen(set.list[0].source->file_id), 5 + 64);
	assert_rolls_back(1, policy_id(set.list[0].policy), set.list[0].source->file_id);
	assert_int_equal(policy_file_open(&opener, path, &opened), 0);
	assert_ptr_equal(opened.policy, set.list[0].policy);
	policy_unref(&opened.policy);
	policy_source_free(&opened.source);
}

/* What was verified is what is used: one byte further, or with the signature of another file, nobody vouches for it. */
static void signed_compiled_policies(void **state unused_)
{
	struct policy_signing_key key = { .key = EVP_EC_gen("P-256"), .hash = HASH_SHA256 };
	cleanup_writer_ struct writer file = WRITER(1u << 20), pem = WRITER(8192), signature = WRITER(8192);
	cleanup_policy_trust_ struct policy_trust *trust = NULL;
	struct named_policy opened = { 0 };
	char beside[300];
	const char *text;

	snprintf(beside, sizeof(beside), "%s.sig", path);
	put_json("{\"digests\":{", 1, 10, true);
	assert_int_equal(read_file(path, &file), 0);
	assert_int_equal(policy_signing_key_public(&key, &pem), 0);
	assert_int_equal(policy_trust_new(&trust), 0);
	assert_int_equal(policy_trust_add_key(trust, writer_view(&pem), &text), 0);
	assert_int_equal(policy_sign_blob(&key, writer_view(&file), &signature), 0);
	opener.trust = trust;
	assert_int_equal(policy_file_open(&opener, path, &opened), -EACCES);
	assert_int_equal(write_file_atomic(beside, writer_view(&signature), 0600), 0);
	assert_int_equal(policy_file_open(&opener, path, &opened), 0);
	assert_int_equal(policy_file_bytes(opened.policy).n, file.n);
	assert_memory_equal(policy_file_bytes(opened.policy).p, file.p, file.n);
	assert_true(opened.source->signer.n > 0);
	policy_unref(&opened.policy);
	policy_source_free(&opened.source);
	file.p[file.n - 1] ^= 1;
	assert_int_equal(write_file_atomic(path, writer_view(&file), 0600), 0);
	assert_int_equal(policy_file_open(&opener, path, &opened), -EACCES);
	put_json("{\"digests\":{", 2, 10, true); /* a good one, by nobody */
	assert_int_equal(policy_file_open(&opener, path, &opened), -EACCES);
	assert_null(opened.policy);
	unlink(beside);
	policy_signing_key_clear(&key);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(compiled_policies), TEST(json_policies), TEST(an_end_in_between),
		TEST(a_full_disk),	 TEST(small_compiled_policies), TEST(signed_compiled_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
