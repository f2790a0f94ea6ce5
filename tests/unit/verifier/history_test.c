// SPDX-License-Identifier: Apache-2.0
/* Generations of policies in the store: what is new, what overlaps, what can be rolled back to, what a restart finds. */
#include <stdio.h>

#include "base/text.h"
#include "lib/test.h"
#include "policy/compiled_form.h"
#include "verifier/history.h"

#define SECOND 1000000ull

static struct store *store;
static struct instant now;
static struct writer why, notes, told;
static struct policy_opener opener;
static char path[256];

static int begin(void **state unused_)
{
	const char *reason;
	const char *dir = getenv("TMPDIR");

	now = (struct instant){ .mono = 1000 * SECOND, .real = 1700000000 * SECOND };
	why = WRITER(65536);
	notes = WRITER(65536);
	told = WRITER(65536);
	opener = (struct policy_opener){ .now_s = now.real / SECOND, .why = &why, .notes = &notes };
	snprintf(path, sizeof(path), "%s/imastream-history-%d.json", dir ? dir : "/tmp", (int)getpid());
	return store_sqlite_open(&store, ":memory:", &reason);
}

static int end(void **state unused_)
{
	store_close(&store);
	writer_free(&why);
	writer_free(&notes);
	writer_free(&told);
	unlink(path);
	return 0;
}

/* The n-th policy, as the file has it. */
static void put(unsigned int n)
{
	char json[128];

	snprintf(json, sizeof(json), "{\"digests\":{\"/bin/%u\":[]}}", n);
	assert_int_equal(write_file_atomic(path, (struct bytes){ (const uint8_t *)json, strlen(json) }, 0600), 0);
}

static struct policies from_file(void)
{
	struct named_policy opened = { 0 };
	struct policies set = { 0 };

	assert_int_equal(policy_file_open(&opener, path, &opened), 0);
	assert_int_equal(policies_add(&set, "default", &opened.policy), 0);
	set.list[0].source = opened.source;
	return set;
}

static struct history_how how(uint64_t overlap, uint64_t keep)
{
	return (struct history_how){ .reason = "file", .who = "", .overlap_us = overlap, .keep = keep, .told = &told };
}

/* The file as it is now in place of *set. */
static void adopt(struct policies *set, uint64_t overlap, uint64_t keep)
{
	struct policies next = from_file();
	struct history_how h = how(overlap, keep);

	assert_int_equal(history_adopt(store, set->n ? set : NULL, &next, &opener, &h, &now), 0);
	policies_clear(set);
	*set = next;
}

struct count {
	uint64_t rows, kept, newest, until_of_first, until_of_second;
};

static int count_row(void *user, const struct policy_row *row)
{
	struct count *c = user;

	if (c->rows == 0) {
		c->newest = row->generation;
		c->until_of_first = row->until_real;
	}
	if (c->rows == 1)
		c->until_of_second = row->until_real;
	c->rows++;
	c->kept += row->kept;
	return 0;
}

static struct count rows(void)
{
	struct count c = { 0 };

	assert_int_equal(store->ops->each_policy(store, "default", count_row, &c), 0);
	return c;
}

static void each_other_policy_is_a_generation(void **state unused_)
{
	struct policies set = { 0 };

	put(1);
	adopt(&set, 0, 5);
	assert_int_equal(set.list[0].generation, 1);
	assert_null(set.list[0].before);
	adopt(&set, 60 * SECOND, 5); /* the same once more */
	assert_int_equal(set.list[0].generation, 1);
	assert_null(set.list[0].before);
	put(2);
	adopt(&set, 60 * SECOND, 5);
	assert_int_equal(set.list[0].generation, 2);
	assert_non_null(set.list[0].before);
	assert_int_equal(set.list[0].before_until_mono, now.mono + 60 * SECOND);
	assert_int_equal(rows().until_of_second, now.real + 60 * SECOND);
	adopt(&set, 0, 5); /* reading it again does not end the overlap */
	assert_non_null(set.list[0].before);
	put(3);
	adopt(&set, 0, 5);
	assert_int_equal(set.list[0].generation, 3);
	assert_null(set.list[0].before);
	assert_int_equal(rows().rows, 3);
	assert_int_equal(rows().until_of_second, now.real);
	policies_clear(&set);
}

static void compile(unsigned int n, struct writer *out)
{
	struct policy_report report = { .errors = 0 };
	char json[128];

	snprintf(json, sizeof(json), "{\"digests\":{\"/bin/%u\":[]}}", n);
	assert_int_equal(policy_compile(out, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report), 0);
	policy_report_clear(&report);
}

/* A compiled file names the policy that it was made of, and is believed in that: another one under the same id must not slip
 * in without a generation. */
static void a_compiled_policy_under_a_false_id(void **state unused_)
{
	cleanup_writer_ struct writer honest = WRITER(1u << 20), forged = WRITER(1u << 20);
	struct policies set = { 0 };

	compile(1, &honest);
	compile(2, &forged);
	bytes_copy(forged.p + COMPILED_SEAL_AT + COMPILED_HASH, honest.p + COMPILED_SEAL_AT + COMPILED_HASH, COMPILED_HASH);
	compiled_seal(writer_view(&forged), forged.p + COMPILED_SEAL_AT);
	assert_int_equal(write_file_atomic(path, writer_view(&honest), 0600), 0);
	adopt(&set, 0, 5);
	adopt(&set, 0, 5);
	assert_int_equal(set.list[0].generation, 1);
	assert_int_equal(write_file_atomic(path, writer_view(&forged), 0600), 0);
	adopt(&set, 0, 5);
	assert_int_equal(set.list[0].generation, 2);
	policies_clear(&set);
	assert_int_equal(write_file_atomic(path, writer_view(&honest), 0600), 0);
	adopt(&set, 0, 5); /* after a restart */
	assert_int_equal(set.list[0].generation, 3);
	policies_clear(&set);
}

static void an_overlap_survives_a_restart(void **state unused_)
{
	struct policies set = { 0 };

	put(1);
	adopt(&set, 0, 5);
	put(2);
	adopt(&set, 60 * SECOND, 5);
	policies_clear(&set);
	now.real += 20 * SECOND;
	now.mono = 7 * SECOND; /* another boot of the verifier's machine */
	adopt(&set, 5 * SECOND, 5);
	assert_int_equal(set.list[0].generation, 2);
	assert_non_null(set.list[0].before);
	assert_int_equal(set.list[0].before_until_mono, now.mono + 40 * SECOND);
	assert_true(policies_next_end(&set) == now.mono + 40 * SECOND);
	assert_false(policies_expire(&set, now.mono + 40 * SECOND - 1));
	assert_true(policies_expire(&set, now.mono + 40 * SECOND));
	policies_clear(&set);
	now.real += 40 * SECOND;
	adopt(&set, 5 * SECOND, 5);
	assert_null(set.list[0].before);
	policies_clear(&set);
	/* the file changed while nobody looked */
	put(3);
	adopt(&set, 5 * SECOND, 5);
	assert_int_equal(set.list[0].generation, 3);
	assert_non_null(set.list[0].before);
	policies_clear(&set);
}

static void bytes_are_kept_for_the_newest(void **state unused_)
{
	struct history_kept kept = HISTORY_KEPT;
	struct policies set = { 0 };
	const char *text = "";

	for (unsigned int i = 1; i <= 6; i++) {
		put(i);
		adopt(&set, 0, 3);
	}
	assert_int_equal(rows().rows, 6);
	assert_int_equal(rows().kept, 3);
	assert_int_equal(history_find(store, "default", 0, &kept, &text), 0);
	assert_int_equal(kept.generation, 5);
	history_kept_clear(&kept);
	kept = HISTORY_KEPT;
	assert_int_equal(history_find(store, "default", 4, &kept, &text), 0);
	assert_int_equal(history_find(store, "default", 3, &kept, &text), 1);
	assert_non_null(strstr(text, "not kept"));
	assert_int_equal(history_find(store, "default", 7, &kept, &text), 1);
	assert_non_null(strstr(text, "no such generation"));
	assert_int_equal(history_find(store, "other", 0, &kept, &text), 1);
	assert_non_null(strstr(text, "of that name"));
	history_kept_clear(&kept);
	policies_clear(&set);
}

static void history_is_bounded(void **state unused_)
{
	struct policies set = { 0 };

	for (unsigned int i = 1; i <= LIMIT_POLICY_HISTORY; i++) {
		put(i);
		adopt(&set, 0, 2);
	}
	assert_int_equal(rows().rows, LIMIT_POLICY_HISTORY);
	put(0);
	adopt(&set, 0, 2);
	assert_int_equal(rows().rows, LIMIT_POLICY_HISTORY);
	assert_int_equal(rows().newest, LIMIT_POLICY_HISTORY + 1);
	policies_clear(&set);
}

static void roll_back(struct policies *set, uint64_t generation, uint64_t overlap)
{
	struct history_kept kept = HISTORY_KEPT;
	struct named_policy opened = { 0 };
	struct history_how h = how(overlap, 5);
	const char *text = "";

	h.reason = "rollback";
	assert_int_equal(history_find(store, "default", generation, &kept, &text), 0);
	assert_int_equal(policy_kept_open(&opener, "kept", writer_view(&kept.packed), writer_view(&kept.detached), &opened),
			 0);
	assert_int_equal(history_roll_back(store, &set->list[0], &opened, &h, &now), 0);
	assert_null(opened.policy);
	history_kept_clear(&kept);
}

static void a_roll_back_holds_until_the_file_changes(void **state unused_)
{
	struct policies set = { 0 };
	char first[LIMIT_LABEL + 1];

	put(1);
	adopt(&set, 0, 5);
	snprintf(first, sizeof(first), "%s", policy_id(set.list[0].policy));
	put(2);
	adopt(&set, 0, 5);
	roll_back(&set, 0, 0);
	assert_int_equal(set.list[0].generation, 3);
	assert_string_equal(policy_id(set.list[0].policy), first);
	assert_null(set.list[0].before);
	adopt(&set, 60 * SECOND, 5); /* the file still holds the second one */
	assert_int_equal(set.list[0].generation, 3);
	assert_string_equal(policy_id(set.list[0].policy), first);
	policies_clear(&set);
	adopt(&set, 60 * SECOND, 5); /* and at start */
	assert_int_equal(set.list[0].generation, 3);
	assert_string_equal(policy_id(set.list[0].policy), first);
	adopt(&set, 60 * SECOND, 5);
	assert_int_equal(set.list[0].generation, 3);
	roll_back(&set, 2, 30 * SECOND); /* forward again, this time with an overlap */
	assert_int_equal(set.list[0].generation, 4);
	assert_non_null(set.list[0].before);
	put(3);
	adopt(&set, 0, 5);
	assert_int_equal(set.list[0].generation, 5);
	assert_string_equal(set.list[0].held, "");
	put(2); /* what was rolled back once is not refused for ever */
	adopt(&set, 0, 5);
	assert_int_equal(set.list[0].generation, 6);
	policies_clear(&set);
}

static void an_overlap_by_hand(void **state unused_)
{
	struct history_how h = how(90 * SECOND, 5);
	struct named_policy opened = { 0 };
	struct policies set = { 0 };

	put(1);
	adopt(&set, 0, 5);
	assert_int_equal(policy_file_open(&opener, path, &opened), 0);
	put(2);
	adopt(&set, 0, 5);
	assert_int_equal(history_overlap(store, &set.list[0], &opened, &h, &now), 0);
	assert_non_null(set.list[0].before);
	assert_int_equal(rows().until_of_second, now.real + 90 * SECOND);
	h.overlap_us = 0;
	assert_int_equal(history_overlap(store, &set.list[0], &opened, &h, &now), 0);
	assert_null(set.list[0].before);
	assert_int_equal(rows().until_of_second, now.real);
	policy_unref(&opened.policy);
	policy_source_free(&opened.source);
	policies_clear(&set);
}

static void a_name_that_is_gone_and_back(void **state unused_)
{
	struct policies set = { 0 }, none = { 0 }, back;
	struct history_how h = how(0, 5);

	put(1);
	adopt(&set, 0, 5);
	assert_int_equal(rows().until_of_first, 0);
	assert_int_equal(history_adopt(store, &set, &none, &opener, &h, &now), 0);
	assert_int_equal(rows().until_of_first, now.real);
	back = from_file();
	assert_int_equal(history_adopt(store, &none, &back, &opener, &h, &now), 0);
	assert_int_equal(back.list[0].generation, 1);
	assert_int_equal(rows().until_of_first, 0);
	policies_clear(&back);
	policies_clear(&set);
}

static int no_commit(struct store *s unused_)
{
	return -ENOSPC;
}

static void a_failing_store_changes_nothing(void **state unused_)
{
	const struct store_ops *good = store->ops;
	struct store_ops bad = *good;
	struct history_how h = how(60 * SECOND, 5);
	struct policies set = { 0 }, next;

	put(1);
	adopt(&set, 0, 5);
	put(2);
	next = from_file();
	bad.commit = no_commit;
	store->ops = &bad;
	assert_int_equal(history_adopt(store, &set, &next, &opener, &h, &now), -ENOSPC);
	store->ops = good;
	policies_clear(&next);
	assert_int_equal(rows().rows, 1);
	adopt(&set, 0, 5);
	assert_int_equal(set.list[0].generation, 2);
	policies_clear(&set);
}

/* Bytes that are damaged in the store are never in force: an overlap ends, a roll-back is an error. */
static void damaged_bytes_are_not_used(void **state unused_)
{
	static const uint8_t garbage[] = "not a frame";
	struct history_how h = how(60 * SECOND, 5);
	struct policies set = { 0 }, next;
	char file[LIMIT_KEY_NAME];

	put(1);
	adopt(&set, 0, 5);
	bytes_copy(file, set.list[0].source->file_id, sizeof(file));
	put(2);
	adopt(&set, 60 * SECOND, 5);
	assert_int_equal(store->ops->add_policy_part(store, file, 1, (struct bytes){ garbage, sizeof(garbage) }), 0);
	policies_clear(&set);
	adopt(&set, 60 * SECOND, 5);
	assert_int_equal(set.list[0].generation, 2);
	assert_null(set.list[0].before);
	assert_true(why.n > 0);
	/* the newest generation is a roll-back to it */
	assert_int_equal(store->ops->add_policy(store, &(struct policy_row){
		.name = "default", .generation = 3, .id = "x", .file = file, .held = set.list[0].source->file_id,
		.signer = "", .reason = "rollback", .who = "" }), 0);
	policies_clear(&set);
	next = from_file();
	assert_int_equal(history_adopt(store, NULL, &next, &opener, &h, &now), -EBADMSG);
	policies_clear(&next);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(each_other_policy_is_a_generation), TEST(an_overlap_survives_a_restart), TEST(a_compiled_policy_under_a_false_id),
		TEST(bytes_are_kept_for_the_newest),	 TEST(history_is_bounded),
		TEST(a_roll_back_holds_until_the_file_changes), TEST(an_overlap_by_hand),
		TEST(a_name_that_is_gone_and_back),
		TEST(a_failing_store_changes_nothing),	 TEST(damaged_bytes_are_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
