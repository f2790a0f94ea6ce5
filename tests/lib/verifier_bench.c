// SPDX-License-Identifier: Apache-2.0
#include "lib/verifier_bench.h"

#include <stdio.h>

#define LIST_MAX 20000u

const struct rules bench_rules = { .appraisal = { .violations = VIOLATION_WARN }, .trust_on_first_use = true,
				   .heartbeat_us = 60 * BENCH_SECOND, .deadline_us = 121 * BENCH_SECOND };

/* --- a store that fails when told to ---- */

static struct bench *current; /* one bench at a time: the wrapper has no room for a pointer */

static int faulty_begin(struct store *s unused_)
{
	return current->fail_begin ? -current->fail_begin : current->store->ops->begin(current->store);
}

static int faulty_commit(struct store *s unused_)
{
	return current->fail_commit ? -current->fail_commit : current->store->ops->commit(current->store);
}

static void faulty_rollback(struct store *s unused_)
{
	current->store->ops->rollback(current->store);
}

static int faulty_set_boot(struct store *s unused_, const uint8_t *attester, const struct boot_row *row)
{
	return current->fail_write ? -current->fail_write
				   : current->store->ops->set_boot(current->store, attester, row);
}

/* The other operations take the store that they are given: hand them the real one. */
#define PASS(name, parameters, arguments)                                   \
	static int faulty_##name parameters                                 \
	{                                                                   \
		return current->store->ops->name arguments;                 \
	}
PASS(savepoint, (struct store *s unused_), (current->store))
PASS(release, (struct store *s unused_), (current->store))
PASS(rollback_to, (struct store *s unused_), (current->store))
PASS(add_attester, (struct store *s unused_, const struct attester_row *r), (current->store, r))
PASS(set_attester, (struct store *s unused_, const struct attester_row *r), (current->store, r))
PASS(each_attester, (struct store * s unused_, const uint8_t *i, store_attester_fn f, void *u),
     (current->store, i, f, u))
PASS(set_enrolment,
     (struct store * s unused_, const uint8_t *i, uint32_t t, uint64_t r, const char *h, const struct cert_row *c),
     (current->store, i, t, r, h, c))
PASS(each_enrolment, (struct store * s unused_, store_enrolment_fn f, void *u), (current->store, f, u))
PASS(drop_attester, (struct store * s unused_, const uint8_t *i), (current->store, i))
PASS(add_enrol_log, (struct store * s unused_, const struct enrol_log_row *r), (current->store, r))
PASS(each_enrol_log, (struct store * s unused_, const uint8_t *i, size_t l, store_enrol_log_fn f, void *u),
     (current->store, i, l, f, u))
PASS(each_boot, (struct store * s unused_, const uint8_t *a, uint64_t n, store_boot_fn f, void *u),
     (current->store, a, n, f, u))
PASS(drop_boot, (struct store *s unused_, const uint8_t *a, uint64_t n), (current->store, a, n))
PASS(add_block, (struct store * s unused_, const uint8_t *a, uint64_t b, const struct block_row *r),
     (current->store, a, b, r))
PASS(each_block, (struct store *s unused_, const uint8_t *a, uint64_t b, uint64_t i, store_block_fn f, void *u),
     (current->store, a, b, i, f, u))
PASS(set_quote, (struct store * s unused_, const uint8_t *a, uint64_t b, const struct quote_row *r),
     (current->store, a, b, r))
PASS(add_renewal, (struct store * s unused_, const struct renewal_row *r), (current->store, r))
PASS(each_renewal, (struct store * s unused_, uint64_t i, uint64_t j, store_renewal_fn f, void *u),
     (current->store, i, j, f, u))
PASS(settle_renewal, (struct store * s unused_, uint64_t q), (current->store, q))
PASS(drop_renewals, (struct store * s unused_, uint64_t q), (current->store, q))
PASS(add_finding, (struct store *s unused_, const struct finding_row *r, bool *fresh), (current->store, r, fresh))
PASS(prove_findings,
     (struct store * s unused_, const uint8_t *a, uint64_t b, uint64_t i, uint64_t n, size_t l, store_finding_fn f,
      void *u),
     (current->store, a, b, i, n, l, f, u))
PASS(each_finding, (struct store *s unused_, const uint8_t *a, store_finding_fn f, void *u), (current->store, a, f, u))
PASS(drop_finding, (struct store * s unused_, const uint8_t *a, uint64_t b, uint64_t i, uint32_t r),
     (current->store, a, b, i, r))
PASS(undo, (struct store *s unused_, const uint8_t *a, uint64_t b, uint64_t q), (current->store, a, b, q))
PASS(last_event, (struct store *s unused_, uint64_t *q), (current->store, q))
PASS(add_event, (struct store *s unused_, const struct event_row *r), (current->store, r))
PASS(each_event, (struct store *s unused_, uint64_t q, bool un, size_t l, store_event_fn f, void *u),
     (current->store, q, un, l, f, u))
PASS(mark_published, (struct store *s unused_, uint64_t q, uint64_t t), (current->store, q, t))
PASS(add_policy, (struct store *s unused_, const struct policy_row *r), (current->store, r))
PASS(set_policy_until, (struct store *s unused_, const char *n, uint64_t g, uint64_t u), (current->store, n, g, u))
PASS(each_policy, (struct store *s unused_, const char *n, store_policy_fn f, void *u), (current->store, n, f, u))
PASS(drop_policies, (struct store *s unused_, const char *n, uint64_t t), (current->store, n, t))
PASS(add_policy_part, (struct store *s unused_, const char *f, uint64_t p, struct bytes b), (current->store, f, p, b))
PASS(drop_policy_file, (struct store *s unused_, const char *f), (current->store, f))
PASS(get_policy_file, (struct store *s unused_, const char *f, struct writer *o, bool *x), (current->store, f, o, x))
PASS(prune_policy_files, (struct store *s unused_, uint64_t k), (current->store, k))

static const struct store_ops faulty_ops = {
	.begin = faulty_begin,
	.commit = faulty_commit,
	.rollback = faulty_rollback,
	.savepoint = faulty_savepoint,
	.release = faulty_release,
	.rollback_to = faulty_rollback_to,
	.add_attester = faulty_add_attester,
	.set_attester = faulty_set_attester,
	.each_attester = faulty_each_attester,
	.set_enrolment = faulty_set_enrolment,
	.each_enrolment = faulty_each_enrolment,
	.drop_attester = faulty_drop_attester,
	.add_enrol_log = faulty_add_enrol_log,
	.each_enrol_log = faulty_each_enrol_log,
	.set_boot = faulty_set_boot,
	.each_boot = faulty_each_boot,
	.drop_boot = faulty_drop_boot,
	.add_block = faulty_add_block,
	.each_block = faulty_each_block,
	.set_quote = faulty_set_quote,
	.add_renewal = faulty_add_renewal,
	.each_renewal = faulty_each_renewal,
	.settle_renewal = faulty_settle_renewal,
	.drop_renewals = faulty_drop_renewals,
	.add_finding = faulty_add_finding,
	.prove_findings = faulty_prove_findings,
	.each_finding = faulty_each_finding,
	.drop_finding = faulty_drop_finding,
	.undo = faulty_undo,
	.last_event = faulty_last_event,
	.add_event = faulty_add_event,
	.each_event = faulty_each_event,
	.mark_published = faulty_mark_published,
	.add_policy = faulty_add_policy,
	.set_policy_until = faulty_set_policy_until,
	.each_policy = faulty_each_policy,
	.drop_policies = faulty_drop_policies,
	.add_policy_part = faulty_add_policy_part,
	.get_policy_file = faulty_get_policy_file,
	.drop_policy_file = faulty_drop_policy_file,
	.prune_policy_files = faulty_prune_policy_files,
};

/* --- what leaves the verifier ---- */

static void decode(struct writer *bytes, struct bytes message, struct wire_message *out)
{
	const char *where = "";

	writer_reset(bytes);
	write_bytes(bytes, message.p, message.n);
	assert_int_equal(wire_decode(writer_view(bytes), out, &where), WIRE_DECODE_OK);
}

static void io_reply(void *user, void *token, struct bytes message)
{
	struct bench *b = user;

	b->replies++;
	if (token == &b->held) {
		b->held = false;
		b->directed = true;
		decode(&b->directive_bytes, message, &b->directive);
		return;
	}
	b->answered = true;
	decode(&b->answer, message, &b->reply);
}

static void io_drop(void *user, void *token)
{
	struct bench *b = user;

	b->drops++;
	if (token == &b->held)
		b->held = false;
	else
		b->dropped = true;
}

static bool io_open(void *user, void *token unused_)
{
	const struct bench *b = user;

	return !b->hung_up;
}

/* Different each time, the same in each run. */
static int io_random(void *user, uint8_t *dst, size_t n)
{
	struct bench *b = user;
	uint8_t digest[32];

	b->randoms++;
	hash_one(HASH_SHA256, &b->randoms, sizeof(b->randoms), digest);
	bytes_copy(dst, digest, n);
	return 0;
}

static void start(struct bench *b, const struct rules *rules)
{
	struct pipeline_io io = { .user = b, .reply = io_reply, .drop = io_drop, .random = io_random,
				  .open = io_open };
	struct rules own = *rules;
	const char *why;

	if (!b->store)
		assert_int_equal(store_sqlite_open(&b->store, *b->path ? b->path : ":memory:", &why), 0);
	assert_int_equal(pipeline_new(&b->pipeline, &b->faulty, &own, &io, &b->now, 0x1234), 0);
}

void bench_open(struct bench *b, enum hash_alg bank, const char *database, const struct rules *rules)
{
	*b = (struct bench){ .mask = BENCH_MASK, .label = "host-1", .answer = WRITER(LIMIT_MESSAGE),
			     .directive_bytes = WRITER(LIMIT_MESSAGE), .attest_bytes = WRITER(LIMIT_ATTEST),
			     .signature = WRITER(LIMIT_SIGNATURE), .block = WRITER(LIMIT_BLOCK_PACKED),
			     .message = WRITER(LIMIT_MESSAGE) };
	b->now = (struct instant){ .mono = 1000 * BENCH_SECOND, .real = 1700000000 * BENCH_SECOND };
	b->list = calloc(LIST_MAX, sizeof(*b->list));
	assert_non_null(b->list);
	snprintf(b->path, sizeof(b->path), "%s", database);
	b->faulty.ops = &faulty_ops;
	current = b;
	fake_tpm_init(&b->tpm, bank);
	assert_int_equal(wire_pack_new(&b->pack, 1), 0);
	start(b, rules);
}

void bench_close(struct bench *b)
{
	pipeline_free(&b->pipeline);
	store_close(&b->store);
	wire_pack_free(&b->pack);
	fake_tpm_clear(&b->tpm);
	for (size_t i = 0; i < b->n; i++)
		writer_free(&b->list[i].data);
	free(b->list);
	writer_free(&b->answer);
	writer_free(&b->directive_bytes);
	writer_free(&b->attest_bytes);
	writer_free(&b->signature);
	writer_free(&b->block);
	writer_free(&b->message);
}

void bench_restart(struct bench *b, const struct rules *rules)
{
	pipeline_free(&b->pipeline);
	if (*b->path)
		store_close(&b->store);
	start(b, rules);
}

void bench_set_rules(struct bench *b, struct rules *rules)
{
	assert_int_equal(pipeline_set_rules(b->pipeline, rules, &b->now), 0);
	while (rejudge_pending(&b->pipeline->rejudge))
		assert_int_equal(pipeline_tick(b->pipeline, &b->now), 0);
}

/* --- the collector ---- */

static void write_field(struct writer *w, const void *p, size_t n)
{
	write_u32le(w, (uint32_t)n);
	write_bytes(w, p, n);
}

void bench_entry_of(const struct bench *b, size_t i, struct ima_entry *out)
{
	const struct bench_entry *e = &b->list[i];

	*out = (struct ima_entry){ .pcr = e->pcr, .name = { (const uint8_t *)e->name, strlen(e->name) },
				   .data = writer_view(&e->data), .violation = e->violation };
}

void bench_measure_as(struct bench *b, uint32_t pcr, const char *path, bool violation, bool extend, bool padded_sha1)
{
	uint8_t digest[8 + 32] = "sha256:", extended[HASH_MAX_SIZE];
	struct bench_entry *e = &b->list[b->n];
	struct ima_entry entry;

	assert_true(b->n < LIST_MAX);
	*e = (struct bench_entry){ .pcr = pcr, .data = WRITER(LIMIT_ENTRY_DATA), .violation = violation };
	snprintf(e->name, sizeof(e->name), "ima-ng");
	hash_one(HASH_SHA256, path, strlen(path), digest + 8);
	write_field(&e->data, digest, sizeof(digest));
	write_field(&e->data, path, strlen(path) + 1);
	bench_entry_of(b, b->n++, &entry);
	if (padded_sha1)
		ima_template_digest_padded_sha1(&entry, b->tpm.bank, extended);
	else
		ima_template_digest(&entry, b->tpm.bank, extended);
	if (extend)
		fake_tpm_extend(&b->tpm, pcr, extended);
}

void bench_measure(struct bench *b, const char *path)
{
	bench_measure_as(b, 10, path, false, true, false);
}

static int send_as(struct bench *b, struct bytes message, void *token)
{
	struct exchange ex = { .token = token, .message = message, .peer = b->peer, .reply = WRITER(LIMIT_MESSAGE) };
	int r;

	b->answered = b->dropped = false;
	r = pipeline_batch(b->pipeline, &ex, 1, &b->now);
	assert_null(ex.token);
	b->held = b->held || (ex.held && r == 0);
	writer_free(&ex.reply);
	return r;
}

int bench_send_bytes(struct bench *b, struct bytes message)
{
	return send_as(b, message, &b->answer);
}

int bench_send(struct bench *b, const struct wire_message *m)
{
	writer_reset(&b->message);
	wire_encode(&b->message, m);
	assert_int_equal(writer_status(&b->message), 0);
	return send_as(b, writer_view(&b->message), m->type == WIRE_WAIT ? (void *)&b->held : (void *)&b->answer);
}

void bench_hello(struct bench *b)
{
	uint8_t name[34];
	struct wire_hello h = { .version = WIRE_VERSION, .ak_public = writer_view(&b->tpm.ak_public),
				.label = { (const uint8_t *)b->label, strlen(b->label) }, .kernel = BYTES("6.1.0-test"),
				.bank = hash_tpm_alg(b->tpm.bank), .pcr_mask = b->mask, .list_length = b->n,
				.reset_count = b->tpm.resets, .restart_count = b->tpm.restarts, .flags = b->flags,
				.support = WIRE_SUPPORT_ORDERED, .ek_public = b->ek_public, .ek_cert = b->ek_cert,
				.ek_chain = b->ek_chain, .iak_cert = b->iak_cert };

	assert_int_equal(tpm_public_name(h.ak_public, name), QUOTE_OK);
	tpm_attester_id(h.ek_public, name, h.attester);
	for (unsigned int i = 0; i < TPM_PCR_COUNT; i++) {
		if (i == 10 || !(b->mask & (1u << i)))
			continue;
		h.boot_pcrs[h.n_boot_pcrs].index = (uint8_t)i;
		h.boot_pcrs[h.n_boot_pcrs++].value = (struct bytes){ b->tpm.pcr[i], hash_size(b->tpm.bank) };
	}
	b->hello = h;
}

void bench_welcomed(struct bench *b)
{
	assert_true(b->answered);
	assert_int_equal(b->reply.type, WIRE_WELCOME);
	bytes_copy(b->session, b->reply.welcome.session, sizeof(b->session));
	bytes_copy(b->nonce, b->reply.welcome.nonce, sizeof(b->nonce));
	memset(b->previous, 0, sizeof(b->previous));
	b->seq = 0;
	b->next = b->reply.welcome.resume;
}

void bench_knock(struct bench *b)
{
	struct wire_message m = { .type = WIRE_HELLO };

	bench_hello(b);
	m.hello = b->hello;
	assert_int_equal(bench_send(b, &m), 0);
	bench_welcomed(b);
}

/* A QUOTE that covers more than was sent: it shows the key, its answer is RESUME, and nothing else comes of it. */
void bench_show_key(struct bench *b)
{
	uint64_t clock = b->tpm.clock_ms;

	bench_quote(b, b->next + 1);
	bench_sign(b, NULL);
	bench_send_quote(b);
	b->tpm.clock_ms = clock;
}

void bench_greet(struct bench *b)
{
	bench_knock(b);
	bench_show_key(b);
	assert_int_equal(b->reply.type, WIRE_RESUME);
	assert_int_equal(b->reply.resume.reason, REASON_LIST_UNREACHED);
}

static void pack(struct bench *b, size_t first, size_t count)
{
	struct bytes packed;

	wire_pack_begin_known(b->pack, b->reference);
	for (size_t i = first; i < first + count; i++) {
		struct wire_context ctx = {
			.present = true, .age_us = 1500, .pid = 812, .uid = 1000, .comm = "cu\x1brl"
		};
		struct ima_entry e;

		bench_entry_of(b, i, &e);
		assert_int_equal(wire_pack_add(b->pack, &e, &ctx), 0);
	}
	assert_int_equal(wire_pack_finish(b->pack, &packed), 0);
	writer_reset(&b->block);
	write_bytes(&b->block, packed.p, packed.n);
}

static void take_ack(struct bench *b)
{
	if (b->reply.type != WIRE_ACK)
		return;
	b->next = b->reply.ack.next;
	bytes_copy(b->nonce, b->reply.ack.nonce, sizeof(b->nonce));
}

void bench_entries(struct bench *b, size_t first, size_t count, uint64_t floor)
{
	struct wire_message m = { .type = WIRE_ENTRIES, .entries = { .first = first, .floor = floor, .rtt_us = 400 } };

	pack(b, first, count);
	bytes_copy(m.entries.session, b->session, sizeof(b->session));
	m.entries.block = writer_view(&b->block);
	assert_int_equal(bench_send(b, &m), 0);
	assert_true(b->answered);
	take_ack(b);
}

void bench_report(struct bench *b)
{
	while (b->next < b->n) {
		size_t before = b->next;

		bench_entries(b, b->next, MIN(b->n - b->next, (size_t)1000), 0);
		assert_int_equal(b->reply.type, WIRE_ACK);
		assert_true(b->next > before);
	}
}

void bench_quote(struct bench *b, uint64_t surely)
{
	struct bytes qualifying = { b->qualifying, sizeof(b->qualifying) };

	b->quote = (struct wire_quote){ .seq = b->seq + 1, .surely = surely, .n_commitments = 1, .quote_us = 300,
					.first = b->next };
	bytes_copy(b->quote.session, b->session, sizeof(b->session));
	bytes_copy(b->quote.nonce, b->nonce, sizeof(b->nonce));
	b->attest = fake_tpm_attest(&b->tpm, b->mask, qualifying, b->pcr_digest);
}

void bench_sign(struct bench *b, EVP_PKEY *key)
{
	struct wire_commitment_inputs in = { .seq = b->quote.seq, .surely = b->quote.surely };

	bytes_copy(in.attester, b->hello.attester, sizeof(in.attester));
	bytes_copy(in.session, b->quote.session, sizeof(in.session));
	bytes_copy(in.nonce, b->quote.nonce, sizeof(in.nonce));
	bytes_copy(in.previous, b->previous, sizeof(in.previous));
	wire_commitment(&in, b->quote.commitments[b->quote.position]);
	wire_qualifying(b->quote.commitments, b->quote.n_commitments, b->qualifying);
	fake_tpm_sign(&b->tpm, key, &b->attest, &b->attest_bytes, &b->signature);
	b->quote.attest = writer_view(&b->attest_bytes);
	b->quote.signature = writer_view(&b->signature);
}

void bench_send_quote(struct bench *b)
{
	struct wire_message m = { .type = WIRE_QUOTE, .quote = b->quote };

	assert_int_equal(bench_send(b, &m), 0);
	assert_true(b->answered);
	if (b->reply.type == WIRE_ACK) {
		b->seq = b->quote.seq;
		bytes_copy(b->previous, b->quote.commitments[b->quote.position], sizeof(b->previous));
	}
	take_ack(b);
}

void bench_prove(struct bench *b)
{
	bench_report(b);
	bench_quote(b, b->n);
	bench_sign(b, NULL);
	bench_send_quote(b);
	bench_expect_ack(b, b->n, b->n);
}

void bench_wait(struct bench *b)
{
	struct wire_message m = { .type = WIRE_WAIT };

	bytes_copy(m.wait.session, b->session, sizeof(b->session));
	b->directed = false;
	assert_int_equal(bench_send(b, &m), 0);
	assert_false(b->answered);
	assert_true(b->held);
}

void bench_pass(struct bench *b, uint64_t us)
{
	b->now.mono += us;
	b->now.real += us;
	assert_int_equal(pipeline_tick(b->pipeline, &b->now), 0);
}

/* --- what the verifier thinks ---- */

struct attester *bench_attester(struct bench *b)
{
	size_t at = 0;
	struct attester *a = idmap_next(&b->pipeline->fleet.by_id, &at);

	assert_non_null(a);
	return a;
}

enum wire_state bench_state(struct bench *b)
{
	return bench_attester(b)->state;
}

struct counting {
	enum reason reason;
	const char *kind;
	unsigned int n;
};

static int count_finding(void *user, const struct finding_row *row)
{
	struct counting *c = user;

	c->n += row->reason == (uint32_t)c->reason;
	return 0;
}

unsigned int bench_findings(struct bench *b, enum reason reason)
{
	struct counting c = { .reason = reason };

	assert_int_equal(b->store->ops->each_finding(b->store, NULL, count_finding, &c), 0);
	return c.n;
}

static int count_event(void *user, const struct event_row *row)
{
	struct counting *c = user;
	cleanup_writer_ struct writer text = WRITER(4u << 20);
	char kind[80], reason[80];
	const char *s;

	write_bytes(&text, row->body.p, row->body.n);
	s = writer_cstr(&text);
	snprintf(kind, sizeof(kind), "\"event\":\"%s\"", c->kind);
	snprintf(reason, sizeof(reason), "\"reason\":\"%s\"", reason_name(c->reason));
	c->n += s && strstr(s, kind) && (c->reason == REASON_NONE || strstr(s, reason));
	return 0;
}

unsigned int bench_events(struct bench *b, const char *kind, enum reason reason)
{
	struct counting c = { .reason = reason, .kind = kind };

	assert_int_equal(b->store->ops->each_event(b->store, 0, false, 1000000, count_event, &c), 0);
	return c.n;
}

void bench_expect_reject(struct bench *b, enum reason reason)
{
	assert_true(b->answered);
	assert_int_equal(b->reply.type, WIRE_REJECT);
	assert_string_equal(reason_name(b->reply.reject.reason), reason_name(reason));
}

void bench_expect_ack(struct bench *b, uint64_t next, uint64_t proven)
{
	assert_true(b->answered);
	assert_int_equal(b->reply.type, WIRE_ACK);
	assert_int_equal(b->reply.ack.next, next);
	assert_int_equal(b->reply.ack.proven, proven);
}
