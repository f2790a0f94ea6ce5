// SPDX-License-Identifier: Apache-2.0
/* The verifier's work on measurement lists, one thread: parse, template hash, extend, look-up in a policy that knows every
 * file; from the binary list and from wire blocks; against the bare hash-and-extend loop over the same bytes with OpenSSL's
 * low-level calls. All are run in turn, round by round; the best round of each counts, by the processor time of the thread. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdio.h>
#include <time.h>

#include "ima/list.h"
#include "ima/replay.h"
#include "lib/bench.h"
#include "lib/bench_files.h"
#include "policy/compiled.h"
#include "verifier/judge.h"
#include "verifier/reference_set.h"
#include "wire/batch.h"

#define FROM_WIRE 1.25		/* gates: at least 80 % of the baseline's rate, */
#define FROM_LIST (1 / 0.7)	/* and 70 % */
#define BLOCK_ENTRIES 1024u /* when much is to be sent: the default of --batch-entries */
#define SIGNATURE 265u		/* security.ima with RSA-2048: struct signature_v2_hdr and the signature */
#define PCR 10u

struct kind {
	const char *name, *template;
	bool sig_field;
	size_t signature;
	uint32_t entries, files; /* entries of the list; of the policy */
	unsigned int rounds;
};

static const struct kind kinds[] = {
	{ "ima-ng-100k", "ima-ng", false, 0, 100000, 100000, 15 },
	{ "ima-sig-100k", "ima-sig", true, 0, 100000, 100000, 15 },
	{ "ima-sig-signed-100k", "ima-sig", true, SIGNATURE, 100000, 100000, 15 },
	{ "ima-ng-1m", "ima-ng", false, 0, 1000000, 100000, 5 },
	{ "ima-sig-1m", "ima-sig", true, 0, 1000000, 100000, 5 },
	{ "ima-sig-signed-1m", "ima-sig", true, SIGNATURE, 1000000, 100000, 5 },
	{ "ima-ng-1m-of-1m", "ima-ng", false, 0, 1000000, 1000000, 5 },
};

struct subject {
	const struct kind *kind;
	struct writer data;	/* template data of all entries, one behind the other */
	uint32_t *size;		/* of each */
	struct writer list;	/* binary, with a digest column of SHA-256, as from a file of that bank */
	struct writer plain;	/* wire blocks, each behind its length: entries as they are, */
	struct writer numbered; /* and as numbers of the reference set */
	struct policy *policy;
	struct reference_set *set;
	uint8_t value[SHA256_DIGEST_LENGTH]; /* PCR 10 at the end, as the baseline has it */
};

/* ---- what is measured; each must end at the baseline's value, with nothing found ---- */

static void end_at(const struct subject *s, const uint8_t *value, const char *what)
{
	bench_need(bytes_equal(value, s->value, sizeof(s->value)), what);
}

static void baseline(struct subject *s)
{
	struct reader r = reader_of(writer_view(&s->data));
	uint8_t pcr[SHA256_DIGEST_LENGTH] = { 0 }, digest[SHA256_DIGEST_LENGTH];

	for (uint32_t i = 0; i < s->kind->entries; i++) {
		struct bytes data = read_bytes(&r, s->size[i]);
		SHA256_CTX ctx;

		SHA256_Init(&ctx);
		SHA256_Update(&ctx, data.p, data.n);
		SHA256_Final(digest, &ctx);
		SHA256_Init(&ctx);
		SHA256_Update(&ctx, pcr, sizeof(pcr));
		SHA256_Update(&ctx, digest, sizeof(digest));
		SHA256_Final(pcr, &ctx);
	}
	bytes_copy(s->value, pcr, sizeof(pcr));
}

/* The same by user/base/hash_many.c, in portions as replay gives them. */
static void two_at_once(struct subject *s)
{
	struct reader r = reader_of(writer_view(&s->data));
	uint8_t pcr[SHA256_DIGEST_LENGTH] = { 0 }, digests[IMA_BATCH][SHA256_DIGEST_LENGTH];
	struct hash_step steps[IMA_BATCH];

	for (uint32_t i = 0; i < s->kind->entries;) {
		size_t n = 0;

		for (; n < IMA_BATCH && i < s->kind->entries; n++, i++)
			steps[n] = (struct hash_step){ read_bytes(&r, s->size[i]), digests[n], pcr, pcr };
		hash_steps(HASH_SHA256, steps, n);
	}
	end_at(s, pcr, "hash_many");
}

/* As `imastream log verify` reads a list: every entry is decoded, its digest column compared, replayed, judged. */
static void from_list(struct subject *s)
{
	static struct ima_replay replay;
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct appraisal rules = { .policy = s->policy };
	struct policy_hint hints[IMA_BATCH];
	enum ima_list_result result = IMA_LIST_ENTRY;
	struct ima_entry e[IMA_BATCH];
	bool fits[IMA_BATCH];
	size_t found = 0;

	ima_replay_init(&replay);
	bench_need(ima_list_new(&list, IMA_LIST_DETECT, 0) == 0 && ima_list_lend(list, writer_view(&s->list)) == 0, "a list");
	while (result == IMA_LIST_ENTRY) {
		size_t n = ima_list_batch(list, e, IMA_BATCH, &result);

		policy_look_ahead(s->policy, e, n, NULL, hints);
		ima_replay_batch(&replay, e, n, 1u << HASH_SHA256, fits);
		policy_look_up_ahead(hints, n);
		for (size_t i = 0; i < n; i++) {
			struct ima_fields fields;
			struct finding judged[4];

			rules.hint = &hints[i];
			found += !fits[i] || (!appraise_is_usual(&rules, &e[i]) &&
					      (!ima_fields_parse(&e[i], &fields) ||
					       appraise_entry(&rules, &e[i], &fields, replay.entries - n + i, judged)));
		}
	}
	bench_need(result == IMA_LIST_MORE && found == 0, "judging a list");
	end_at(s, replay.pcr[PCR][HASH_SHA256], "the list's replay");
}

/* As the verifier takes blocks in (user/verifier/entries.c), but for the store; a quote behind each proves it. */
static void from_blocks(struct subject *s, const struct writer *blocks)
{
	static struct wire_batch batch;
	cleanup_wire_unpack_ struct wire_unpack *unpack = NULL;
	struct boot *boot = boot_new(1, HASH_SHA256, REPLAY_NATIVE);
	struct judgement rules = { .now = { .policy = s->policy } };
	struct policy_hint hints[WIRE_BATCH];
	const struct wire_known sets[] = { reference_set_known(s->set) };
	struct reader r = reader_of(writer_view(blocks));
	const struct wire_known *set;
	const bool *listed;
	size_t found = 0;

	bench_need(boot && wire_unpack_new(&unpack) == 0 && replay_init(&boot->replay, HASH_SHA256, REPLAY_NATIVE, 0) == 0, "a boot");
	while (reader_left(&r)) {
		struct bytes block = read_bytes(&r, read_u32le(&r));

		bench_need(wire_unpack_begin_known(unpack, block, sets, 1) == WIRE_BLOCK_OK, "a block");
		set = wire_unpack_set(unpack);
		listed = set && reference_set_is_of(set->user, s->policy) ? batch.known : NULL;
		while (wire_batch_next(&batch, unpack) == WIRE_BLOCK_OK) {
			policy_look_ahead(s->policy, batch.entry, batch.n, listed, hints);
			bench_need(replay_entries(&boot->replay, batch.entry, batch.n) == 0, "replay");
			policy_look_up_ahead(hints, batch.n);
			for (size_t i = 0; i < batch.n; i++) {
				struct entry_findings findings;

				rules.now.hint = &hints[i];
				bench_need(judge_entry(&rules, boot, 1u << PCR, &batch.entry[i], boot->next++, &findings) == 0,
					   "judging");
				found += findings.n;
			}
		}
		replay_forget(&boot->replay, boot->next);
	}
	bench_need(boot->next == s->kind->entries && found == 0, "judging blocks");
	end_at(s, replay_value(&boot->replay, PCR), "the blocks' replay");
	boot_free(&boot);
}

static void from_plain(struct subject *s)
{
	from_blocks(s, &s->plain);
}

static void from_numbered(struct subject *s)
{
	from_blocks(s, &s->numbered);
}

static const struct way {
	const char *name;
	void (*run)(struct subject *s);
	double gate; /* of the baseline's time; 0: none */
} ways[] = {
	{ "openssl", baseline, 0 }, /* first: the others end where it ends */
	{ "hash-many", two_at_once, 0 },
	{ "list", from_list, FROM_LIST },
	{ "wire", from_plain, FROM_WIRE },
	{ "wire-known", from_numbered, FROM_WIRE },
};

/* ---- making it ---- */

static void field(struct writer *w, const void *p, size_t n)
{
	write_u32le(w, (uint32_t)n);
	write_bytes(w, p, n);
}

/* All numbers below n, in an order that no prefetcher sees through. */
static uint32_t *shuffled(uint32_t n)
{
	uint32_t *order = calloc(n, sizeof(*order));

	bench_need(order != NULL, "memory");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = bench_mix(i + 1) % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	return order;
}

/* The template data of one file's entry. */
static void make_entry(struct writer *w, const struct kind *k, uint32_t file)
{
	uint8_t digest[8 + 32] = "sha256:", signature[SIGNATURE];
	char path[256];

	bench_digest(file, digest + 8);
	field(w, digest, sizeof(digest));
	field(w, path, bench_path(file, path, sizeof(path)) + 1);
	if (!k->sig_field)
		return;
	for (size_t b = 0; b < k->signature; b++)
		signature[b] = (uint8_t)bench_mix((uint32_t)(file * SIGNATURE + b));
	field(w, signature, k->signature);
}

static void close_block(struct wire_pack *pack, struct writer *out)
{
	struct bytes block;

	bench_need(wire_pack_finish(pack, &block) == 0, "packing");
	write_u32le(out, (uint32_t)block.n);
	write_bytes(out, block.p, block.n);
}

static void pack_all(const struct subject *s, const struct wire_reference *reference, struct writer *out)
{
	cleanup_wire_pack_ struct wire_pack *pack = NULL;
	struct ima_entry e = { .pcr = PCR, .name = { (const uint8_t *)s->kind->template, strlen(s->kind->template) } };
	struct reader r = reader_of(writer_view(&s->data));

	bench_need(wire_pack_new(&pack, 3) == 0, "a packer");
	for (uint32_t i = 0; i < s->kind->entries; i++) {
		if (wire_pack_count(pack) == 0)
			wire_pack_begin_known(pack, reference);
		e.data = read_bytes(&r, s->size[i]);
		bench_need(wire_pack_add(pack, &e, NULL) == 0, "packing");
		if (wire_pack_count(pack) < BLOCK_ENTRIES && i + 1 < s->kind->entries)
			continue;
		bench_need(wire_pack_known(pack) == (reference ? wire_pack_count(pack) : 0), "known entries");
		close_block(pack, out);
		wire_pack_begin(pack);
	}
	bench_need(writer_status(out) == 0, "packing");
}

static void make_policy(struct subject *s)
{
	cleanup_writer_ struct writer json = WRITER(LIMIT_POLICY_FILE), compiled = WRITER(LIMIT_POLICY_COMPILED);
	struct policy_report report = { .errors = 0 };

	/* compiled, as verifiers have large ones */
	bench_policy(&json, s->kind->files);
	bench_need(policy_compile(&compiled, writer_view(&json), &report) == 0 &&
			   policy_load(&s->policy, writer_view(&compiled), &report) == 0 &&
			   reference_set_new(&s->set, s->policy) == 0,
		   "a policy");
	policy_report_clear(&report);
}

static void prepare(struct subject *s, const struct kind *k)
{
	struct ima_entry e = { .pcr = PCR, .name = { (const uint8_t *)k->template, strlen(k->template) } };
	uint32_t *order = shuffled(k->files);
	struct wire_reference reference;
	struct reader r;

	*s = (struct subject){ .kind = k, .data = WRITER(UINT32_MAX), .list = WRITER(UINT32_MAX), .plain = WRITER(UINT32_MAX),
			       .numbered = WRITER(UINT32_MAX), .size = calloc(k->entries, sizeof(*s->size)) };
	bench_need(s->size != NULL, "memory");
	for (uint32_t i = 0; i < k->entries; i++) {
		size_t before = s->data.n;

		make_entry(&s->data, k, order[i % k->files]);
		s->size[i] = (uint32_t)(s->data.n - before);
	}
	free(order);
	r = reader_of(writer_view(&s->data));
	for (uint32_t i = 0; i < k->entries; i++) {
		e.data = read_bytes(&r, s->size[i]);
		ima_list_write_entry(&s->list, &e, HASH_SHA256);
	}
	bench_need(writer_status(&s->list) == 0, "a list");
	make_policy(s);
	bench_need(wire_reference_open(reference_set_bytes(s->set), reference_set_digest(s->set), &reference) == WIRE_REFERENCE_OK,
		   "a reference set");
	pack_all(s, NULL, &s->plain);
	pack_all(s, &reference, &s->numbered);
}

static void clear(struct subject *s)
{
	writer_free(&s->data);
	writer_free(&s->list);
	writer_free(&s->plain);
	writer_free(&s->numbered);
	free(s->size);
	reference_set_unref(&s->set);
	policy_unref(&s->policy);
}

/* ---- results ---- */

static uint64_t thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void measure(struct subject *s)
{
	uint64_t best[ARRAY_SIZE(ways)];
	double base;

	memset(best, 0xff, sizeof(best));
	for (unsigned int round = 0; round < s->kind->rounds; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
			uint64_t start = thread_ns(), took;

			ways[i].run(s);
			took = thread_ns() - start;
			best[i] = MIN(best[i], took);
		}
	}
	base = (double)best[0] / s->kind->entries;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		double value = (double)best[i] / s->kind->entries;
		char name[64];

		(void)snprintf(name, sizeof(name), "verify-%s-%s", ways[i].name, s->kind->name);
		bench_result_print(&(struct bench_result){ name, value, "ns", base * ways[i].gate, i ? "openssl's loop" : NULL, value / base });
	}
}

/* verify_bench [NAME]: only lists whose name begins so. */
int main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct subject s;

		if (argc > 1 && strncmp(kinds[i].name, argv[1], strlen(argv[1])) != 0)
			continue;
		prepare(&s, &kinds[i]);
		measure(&s);
		clear(&s);
	}
	return bench_status();
}
