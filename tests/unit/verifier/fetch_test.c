// SPDX-License-Identifier: Apache-2.0
/* Reference sets: who is told of which, who gets which bytes and how many, blocks that need one, and that what is stored does not. */
#include <stdio.h>

#include "base/text.h"
#include "lib/verifier_bench.h"

#define FILES 300u

static struct bench b;
static struct policy *policies[3];
static struct reference_set *sets[3];
static struct wire_reference senders[3];

/* The policy that knows the bench's files "/usr/bin/tool-FROM..." */
static struct policy *policy_of(unsigned int from, unsigned int n)
{
	struct policy_report report = { .errors = 0 };
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct policy *p = NULL;

	write_fmt(&w, "{\"digests\":{");
	for (unsigned int i = from; i < from + n; i++) {
		uint8_t digest[32];
		char path[48];

		hash_one(HASH_SHA256, path, (size_t)snprintf(path, sizeof(path), "/usr/bin/tool-%u", i), digest);
		write_fmt(&w, "%s\"%s\":[\"", i == from ? "" : ",", path);
		write_hex(&w, digest, sizeof(digest));
		write_fmt(&w, "\"]");
	}
	write_fmt(&w, "}}");
	assert_int_equal(policy_load_json(&p, writer_view(&w), &report), 0);
	policy_report_clear(&report);
	return p;
}

static int make_sets(void **state unused_)
{
	for (unsigned int i = 0; i < 3; i++) {
		policies[i] = policy_of(i * 10, FILES);
		assert_int_equal(reference_set_new(&sets[i], policies[i]), 0);
		assert_int_equal(wire_reference_open(reference_set_bytes(sets[i]), reference_set_digest(sets[i]),
						     &senders[i]), WIRE_REFERENCE_OK);
		assert_int_equal(senders[i].records, FILES);
	}
	return 0;
}

static int drop_sets(void **state unused_)
{
	for (unsigned int i = 0; i < 3; i++) {
		reference_set_unref(&sets[i]);
		policy_unref(&policies[i]);
	}
	return 0;
}

static struct rules rules_with(unsigned int i)
{
	struct policy *policy = policy_ref(policies[i]);
	struct rules r = bench_rules;

	assert_int_equal(policies_add(&r.policies, POLICY_DEFAULT_NAME, &policy), 0);
	return r;
}

static void put_in_force(unsigned int i)
{
	struct reference_set *set = reference_set_ref(sets[i]);

	assert_int_equal(pipeline_set_reference(b.pipeline, POLICY_DEFAULT_NAME, policy_id(policies[i]), &set, &b.now), 0);
	assert_null(set);
}

static int open_bench(void **state unused_)
{
	struct rules rules = rules_with(0);

	bench_open(&b, HASH_SHA256, "", &rules);
	return 0;
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static void measure(unsigned int from, unsigned int n)
{
	char path[48];

	for (unsigned int i = from; i < from + n; i++) {
		snprintf(path, sizeof(path), "/usr/bin/tool-%u", i);
		bench_measure(&b, path);
	}
}

static void fetch(const uint8_t *digest, uint64_t offset)
{
	struct wire_message m = { .type = WIRE_FETCH, .fetch = { .offset = offset } };

	bytes_copy(m.fetch.session, b.session, sizeof(b.session));
	bytes_copy(m.fetch.reference, digest, WIRE_DIGEST_SIZE);
	assert_int_equal(bench_send(&b, &m), 0);
	assert_true(b.answered);
}

static bool names(const struct wire_directive *d, unsigned int i)
{
	return d->flags & WIRE_DIRECTIVE_REFERENCE && d->has_reference &&
	       bytes_equal(d->reference, reference_set_digest(sets[i]), WIRE_DIGEST_SIZE) &&
	       d->reference_size == reference_set_bytes(sets[i]).n;
}

/* ---- naming ---- */

static void named_in_welcome_and_when_it_comes(void **state unused_)
{
	bench_knock(&b);
	assert_false(b.reply.welcome.has_reference); /* not made yet */
	bench_show_key(&b);
	bench_wait(&b);
	put_in_force(0);
	assert_true(b.directed);
	assert_true(names(&b.directive.directive, 0));
	bench_wait(&b); /* it was told: this one is held */
	assert_false(b.directed);
	put_in_force(0); /* the same again is no news */
	assert_false(b.directed);
	bench_knock(&b);
	assert_true(b.reply.welcome.has_reference);
	assert_memory_equal(b.reply.welcome.reference, reference_set_digest(sets[0]), WIRE_DIGEST_SIZE);
	assert_int_equal(b.reply.welcome.reference_size, reference_set_bytes(sets[0]).n);
}

/* The change came while no WAIT was held: the next one is answered at once. */
static void named_with_the_next_wait(void **state unused_)
{
	struct wire_message m = { .type = WIRE_WAIT };

	put_in_force(0);
	bench_greet(&b);
	put_in_force(1);
	bytes_copy(m.wait.session, b.session, sizeof(b.session));
	assert_int_equal(bench_send(&b, &m), 0);
	assert_true(b.directed);
	assert_true(names(&b.directive.directive, 1));
}

/* ---- fetching ---- */

static void fetched_chunk_by_chunk(void **state unused_)
{
	struct bytes set = reference_set_bytes(sets[0]);
	struct wire_reference got;

	put_in_force(0);
	bench_greet(&b);
	fetch(reference_set_digest(sets[0]), 0);
	assert_int_equal(b.reply.type, WIRE_CHUNK);
	assert_int_equal(b.reply.chunk.data.n, set.n);
	assert_int_equal(wire_reference_open(b.reply.chunk.data, reference_set_digest(sets[0]), &got), WIRE_REFERENCE_OK);
	fetch(reference_set_digest(sets[0]), set.n - 1);
	assert_int_equal(b.reply.type, WIRE_CHUNK);
	assert_int_equal(b.reply.chunk.offset, set.n - 1);
	assert_int_equal(b.reply.chunk.data.n, 1);
	fetch(reference_set_digest(sets[0]), set.n);
	bench_expect_reject(&b, REASON_PROTOCOL_ERROR);
	fetch(reference_set_digest(sets[0]), LIMIT_REFERENCE);
	bench_expect_reject(&b, REASON_PROTOCOL_ERROR);
	measure(0, 3); /* none of it ended the session */
	bench_prove(&b);
}

/* Who knows only public keys may open a session: it gets no byte. */
static void not_before_the_key_was_shown(void **state unused_)
{
	put_in_force(0);
	bench_knock(&b);
	fetch(reference_set_digest(sets[0]), 0);
	bench_expect_reject(&b, REASON_SESSION_UNPROVEN);
	bench_show_key(&b);
	fetch(reference_set_digest(sets[0]), 0);
	assert_int_equal(b.reply.type, WIRE_CHUNK);
	memset(b.session, 0, sizeof(b.session));
	fetch(reference_set_digest(sets[0]), 0);
	bench_expect_reject(&b, REASON_SESSION_UNKNOWN);
}

static void only_sets_of_its_policy(void **state unused_)
{
	struct reference_set *set = reference_set_ref(sets[2]);
	struct policy *other = policy_ref(policies[2]);
	struct rules rules = rules_with(0);

	assert_int_equal(policies_add(&rules.policies, "other", &other), 0);
	bench_set_rules(&b, &rules);
	put_in_force(0);
	assert_int_equal(pipeline_set_reference(b.pipeline, "other", policy_id(policies[2]), &set, &b.now), 0);
	bench_greet(&b);
	fetch(reference_set_digest(sets[2]), 0);
	bench_expect_reject(&b, REASON_REFERENCE_UNKNOWN);
	fetch(reference_set_digest(sets[1]), 0);
	bench_expect_reject(&b, REASON_REFERENCE_UNKNOWN);
	fetch(reference_set_digest(sets[0]), 0);
	assert_int_equal(b.reply.type, WIRE_CHUNK);
	/* nor are its blocks read with another policy's set */
	measure(20, 5);
	b.reference = &senders[2];
	bench_entries(&b, 0, 5, 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.reason, REASON_REFERENCE_UNKNOWN);
}

/* One attester, and all together. */
static void bounded(void **state unused_)
{
	unsigned int given = 0;

	put_in_force(0);
	bench_greet(&b);
	for (fetch(reference_set_digest(sets[0]), 0); b.reply.type == WIRE_CHUNK && given < 100; given++)
		fetch(reference_set_digest(sets[0]), 0);
	assert_int_equal(given, 3);
	bench_expect_reject(&b, REASON_BUSY);
	assert_true(b.reply.reject.retry_ms > 0);
	measure(0, 3);
	bench_prove(&b); /* its evidence is taken as ever */
	bench_greet(&b); /* another session changes nothing */
	fetch(reference_set_digest(sets[0]), 0);
	bench_expect_reject(&b, REASON_BUSY);
	bench_pass(&b, 601 * BENCH_SECOND);
	fetch(reference_set_digest(sets[0]), 0);
	assert_int_equal(b.reply.type, WIRE_CHUNK);
}

static void all_together_are_bounded(void **state unused_)
{
	struct references r = { 0 };
	size_t set = LIMIT_REFERENCE_PER_S, given = 0;

	for (unsigned int i = 0; i < 300; i++) {
		struct reference_share share = { 0 };

		given += references_give(&r, &share, LIMIT_CHUNK, set, 5) ? LIMIT_CHUNK : 0;
	}
	assert_int_equal(given, LIMIT_REFERENCE_PER_S);
	assert_true(references_give(&r, &(struct reference_share){ 0 }, LIMIT_CHUNK, set, 5 + BENCH_SECOND));
}

/* ---- blocks ---- */

static void known_entries_are_judged_and_proven(void **state unused_)
{
	put_in_force(0);
	b.reference = &senders[0];
	bench_greet(&b);
	measure(0, 10);
	bench_measure(&b, "/opt/unknown");
	measure(10, 10);
	bench_prove(&b);
	assert_true(b.block.n > 0 && b.block.p[0] == WIRE_BLOCK_FORMAT_KNOWN);
	assert_int_equal(bench_findings(&b, REASON_DIGEST_UNKNOWN), 1); /* the one that the policy does not know */
	assert_int_equal(bench_findings(&b, REASON_LIST_TAMPERED), 0);
}

/* What is stored is read by a verifier that has no set at all. */
static void stored_without_the_set(void **state unused_)
{
	struct rules rules = rules_with(2);
	char path[64];

	bench_close(&b);
	snprintf(path, sizeof(path), "%s/fetch-test-%d.db", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
	rules_clear(&rules);
	rules = rules_with(0);
	bench_open(&b, HASH_SHA256, path, &rules);
	put_in_force(0);
	b.reference = &senders[0];
	bench_greet(&b);
	measure(0, 40);
	bench_prove(&b);
	measure(40, 20);
	bench_report(&b); /* not proven: read again from the store when the session opens */
	rules = rules_with(2);
	bench_restart(&b, &rules);
	b.reference = NULL;
	b.seq = 0;
	memset(b.previous, 0, sizeof(b.previous));
	bench_knock(&b);
	assert_int_equal(b.reply.welcome.resume, 60);
	bench_quote(&b, 60);
	bench_sign(&b, NULL);
	bench_send_quote(&b);
	bench_expect_ack(&b, 60, 60);
	unlink(path);
}

/* A set that is not held is no fault: nothing is stored, and the same entries come in full. */
static void unknown_set(void **state unused_)
{
	put_in_force(0);
	bench_greet(&b);
	measure(0, 20);
	b.reference = &senders[1];
	bench_entries(&b, 0, 20, 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.from, 0);
	assert_int_equal(b.reply.resume.reason, REASON_REFERENCE_UNKNOWN);
	b.reference = NULL;
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

/* Beside a QUOTE: the same quote comes again with the entries in full. */
static void unknown_set_beside_a_quote(void **state unused_)
{
	struct wire_message m = { .type = WIRE_QUOTE };

	put_in_force(0);
	bench_greet(&b);
	measure(20, 20);
	b.reference = &senders[2];
	bench_entries(&b, 0, 20, 0); /* makes the block */
	bench_quote(&b, 20);
	b.quote.first = 0;
	b.quote.block = writer_view(&b.block);
	bench_sign(&b, NULL);
	m.quote = b.quote;
	assert_int_equal(bench_send(&b, &m), 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.reason, REASON_REFERENCE_UNKNOWN);
	b.reference = NULL;
	bench_report(&b);
	b.quote.block = (struct bytes){ 0 };
	bench_send_quote(&b);
	bench_expect_ack(&b, 20, 20);
}

/* The newest two are held: what was on its way when the policy changed is read, what is older comes again in full. */
static void newest_two(void **state unused_)
{
	struct rules rules = rules_with(1);

	put_in_force(0);
	bench_greet(&b);
	b.reference = &senders[0];
	bench_set_rules(&b, &rules);
	put_in_force(1);
	measure(10, 5);
	bench_entries(&b, 0, 5, 0);
	assert_int_equal(b.reply.type, WIRE_ACK);
	put_in_force(2);
	measure(15, 5);
	bench_entries(&b, 5, 5, 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.reason, REASON_REFERENCE_UNKNOWN);
	fetch(reference_set_digest(sets[0]), 0);
	bench_expect_reject(&b, REASON_REFERENCE_UNKNOWN);
	put_in_force(1); /* rolled back: it was there */
	b.reference = &senders[2];
	bench_entries(&b, 5, 5, 0);
	assert_int_equal(b.reply.type, WIRE_ACK);
	b.reference = NULL;
	bench_prove(&b);
}

/* A record that is not there, in a set that is: that is a broken collector. */
static void record_beyond_the_set(void **state unused_)
{
	struct wire_reference larger = senders[0];
	struct wire_message m = { .type = WIRE_ENTRIES };

	put_in_force(0);
	bench_greet(&b);
	measure(0, 2);
	b.reference = &larger;
	bench_entries(&b, 0, 1, 0);
	assert_int_equal(b.reply.type, WIRE_ACK);
	bytes_copy(m.entries.session, b.session, sizeof(b.session));
	assert_true(b.block.n > 4);
	m.entries.first = 1;
	m.entries.block = writer_view(&b.block);
	/* format, number, how, count, shapes, shape, run, sizes; then the record's number */
	for (size_t i = 0; i + 1 < b.block.n; i++) {
		const uint8_t sizes[] = { 0, 1, 0, 0 };

		if (i + 6 <= b.block.n && bytes_equal(b.block.p + i, sizes, sizeof(sizes)))
			memset(b.block.p + i + sizeof(sizes), 0xff, 2);
	}
	assert_int_equal(bench_send(&b, &m), 0);
	bench_expect_reject(&b, REASON_PROTOCOL_ERROR);
}

static void put_field(struct writer *w, const void *p, size_t n)
{
	write_u32le(w, (uint32_t)n);
	write_bytes(w, p, n);
}

/* Template data in every form that a block can take apart, sent raw: one shape here, hundreds when it is packed for the store. */
static uint32_t raw_forms(struct writer *raw)
{
	static const char *const heads[] = { "sha256:", "ima:sha256:", "verity:sha256:", "sha512:", "ima:sha512:", "verity:sha512:",
					     "sha384:", "ima:sha384:", "verity:sha384:", "sha1:", "ima:sha1:", "verity:sha1:" };
	static const uint8_t zeros[64];
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		size_t digest_n = strstr(heads[i], "512") ? 64 : strstr(heads[i], "384") ? 48 : strstr(heads[i], "256") ? 32 : 20;

		for (unsigned int rest = 0; rest < 14; rest++) {
			for (unsigned int nul = 0; nul < 2; nul++, n++) {
				cleanup_writer_ struct writer field = WRITER(128), data = WRITER(512);

				write_bytes(&field, heads[i], strlen(heads[i]) + 1);
				write_bytes(&field, zeros, digest_n);
				put_field(&data, field.p, field.n);
				put_field(&data, "/x", 2 + nul);
				for (unsigned int k = 0; k < rest; k++)
					write_u32le(&data, 0);
				write_varint(raw, data.n);
				write_bytes(raw, data.p, data.n);
			}
		}
	}
	return n;
}

/* A block that is good as it came, and has too many shapes when it is packed without the set: nobody else in the batch may pay
 * for it, and nothing of it stays. */
static void more_shapes_than_a_block_holds(void **state unused_)
{
	cleanup_writer_ struct writer raw = WRITER(1u << 19), block = WRITER(1u << 19);
	struct wire_message m = { .type = WIRE_ENTRIES };
	uint32_t n = raw_forms(&raw);

	assert_true(n > LIMIT_BLOCK_SHAPES && raw.n < LIMIT_BLOCK_KNOWN);
	put_in_force(0);
	bench_greet(&b);
	measure(0, 5);
	bench_prove(&b);
	write_u8(&block, WIRE_BLOCK_FORMAT_KNOWN);
	write_varint(&block, senders[0].number);
	write_u8(&block, WIRE_BLOCK_HOW_PLAIN);
	write_varint(&block, n);
	write_varint(&block, 1);
	write_bytes(&block, "\0\12\6ima-ng\0", 10); /* no flags, PCR 10; then the run of this shape */
	write_varint(&block, n);
	write_varint(&block, 0);
	write_varint(&block, raw.n);
	write_bytes(&block, raw.p, raw.n);
	bytes_copy(m.entries.session, b.session, sizeof(b.session));
	m.entries.first = 5;
	m.entries.block = writer_view(&block);
	assert_int_equal(bench_send(&b, &m), 0);
	assert_int_equal(b.reply.type, WIRE_RESUME);
	assert_int_equal(b.reply.resume.from, 5);
	assert_int_equal(b.reply.resume.reason, REASON_REFERENCE_UNKNOWN);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	measure(5, 5);
	bench_prove(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void what_is_missing(void **state unused_)
{
	struct rules rules = rules_with(1);
	struct reference_set *none = NULL;

	assert_non_null(references_missing(&b.pipeline->references, &b.pipeline->rules.policies));
	put_in_force(0);
	assert_null(references_missing(&b.pipeline->references, &b.pipeline->rules.policies));
	bench_set_rules(&b, &rules);
	assert_non_null(references_missing(&b.pipeline->references, &b.pipeline->rules.policies));
	/* a policy that gives no set is looked at once; the set of the one before stays named */
	assert_int_equal(pipeline_set_reference(b.pipeline, POLICY_DEFAULT_NAME, policy_id(policies[1]), &none, &b.now), 0);
	assert_null(references_missing(&b.pipeline->references, &b.pipeline->rules.policies));
	assert_ptr_equal(references_newest(&b.pipeline->references, POLICY_DEFAULT_NAME), sets[0]);
	rules = bench_rules;
	bench_set_rules(&b, &rules);
	assert_null(references_newest(&b.pipeline->references, POLICY_DEFAULT_NAME));
}

static void policy_without_files(void **state unused_)
{
	static const char json[] = "{\"digests\":{},\"keyrings\":{\".ima\":[\"" "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" "\"]}}";
	struct policy_report report = { .errors = 0 };
	struct reference_set *set = NULL;
	struct policy *p = NULL;

	assert_int_equal(policy_load_json(&p, (struct bytes){ (const uint8_t *)json, sizeof(json) - 1 }, &report), 0);
	assert_int_equal(reference_set_new(&set, p), 1);
	assert_null(set);
	policy_report_clear(&report);
	policy_unref(&p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(named_in_welcome_and_when_it_comes),
		TEST(named_with_the_next_wait),
		TEST(fetched_chunk_by_chunk),
		TEST(not_before_the_key_was_shown),
		TEST(only_sets_of_its_policy),
		TEST(bounded),
		TEST(all_together_are_bounded),
		TEST(known_entries_are_judged_and_proven),
		TEST(stored_without_the_set),
		TEST(unknown_set),
		TEST(unknown_set_beside_a_quote),
		TEST(newest_two),
		TEST(record_beyond_the_set),
		TEST(more_shapes_than_a_block_holds),
		TEST(what_is_missing),
		cmocka_unit_test(policy_without_files),
	};

	return cmocka_run_group_tests(tests, make_sets, drop_sets);
}
