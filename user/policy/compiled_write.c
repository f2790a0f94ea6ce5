// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/json_pull.h"
#include "base/text.h"
#include "policy/compiled_form.h"

#define SEEDS 64u

/* The seed follows from the source, so that the same policy gives the same bytes. Whoever chooses paths of a policy cannot
 * know it before all of the policy is there; whoever reads the file can, and gains `probes` slots (docs/adr/0010). */
static int index_table(struct bytes records, size_t count, const uint8_t source[COMPILED_HASH], struct table *out)
{
	int r = -EAGAIN;

	for (uint32_t i = 0; i < SEEDS && r == -EAGAIN; i++) {
		uint8_t digest[HASH_MAX_SIZE], number = (uint8_t)i;
		struct hash h;

		hash_begin(&h, HASH_SHA256);
		hash_add_field(&h, "imastream compiled policy, seed", 31);
		hash_add_field(&h, source, COMPILED_HASH);
		hash_add_field(&h, &number, 1);
		hash_end(&h, digest);
		r = table_index(records, count, digest, out);
	}
	return r;
}

/* What stands in the text instead of a member that the table has. */
static const char *stand_in(struct jp *name)
{
	static const struct {
		const char *name, *instead;
	} members[] = {
		{ "digests", "{}" }, { "keyrings", "{}" }, { "ima-buf", "{}" }, { "deny", "[]" },
		{ "meta", NULL }, { "release", NULL }, { "ima", NULL }, { "excludes", NULL }, { "verification-keys", NULL },
		{ "violations", NULL }, { "boot-pcrs", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (jp_text_is(name, members[i].name))
			return members[i].instead;
	return "null"; /* nothing that we know: noted at load by its name */
}

/* The policy's JSON, which is good, without what is in the table. */
static int write_text(struct writer *w, struct bytes json)
{
	cleanup_jp_ struct jp j;
	bool first = true;

	jp_begin(&j, json, LIMIT_POLICY_DEPTH, 0);
	(void)jp_next(&j);
	write_u8(w, '{');
	while (jp_next(&j) == JP_NAME) {
		const char *instead = stand_in(&j);
		size_t start;

		if (!first)
			write_u8(w, ',');
		first = false;
		write_bytes(w, j.raw.p, j.raw.n);
		write_u8(w, ':');
		start = j.text.pos;
		(void)jp_next(&j);
		(void)jp_skip(&j);
		if (instead) {
			write_bytes(w, instead, strlen(instead));
		} else {
			struct reader r = reader_of(json);

			(void)read_bytes(&r, start);
			write_bytes(w, read_bytes(&r, j.text.pos - start).p, j.text.pos - start);
		}
	}
	write_u8(w, '}');
	return j.type == JP_BAD ? (jp_failure(&j) < 0 ? jp_failure(&j) : -EIO) : writer_status(w);
}

static void write_header(struct writer *w, const struct compiled_header *h)
{
	size_t before = w->n;

	write_bytes(w, COMPILED_MAGIC, COMPILED_MAGIC_SIZE);
	write_u32le(w, COMPILED_VERSION);
	write_u32le(w, COMPILED_HEADER);
	write_u64le(w, h->file);
	write_bytes(w, h->seal, sizeof(h->seal));
	write_bytes(w, h->source, sizeof(h->source));
	write_bytes(w, h->seed, sizeof(h->seed));
	write_u64le(w, h->slots);
	write_u64le(w, h->records);
	write_u64le(w, h->text);
	write_u64le(w, h->paths);
	write_u64le(w, h->digests);
	write_u64le(w, h->denied);
	write_u32le(w, h->probes);
	write_u32le(w, h->flags);
	while (!w->bad && w->n < before + COMPILED_HEADER)
		write_u8(w, 0);
}

static int write_file(struct writer *w, const struct policy *p, const struct table *t, struct bytes json)
{
	cleanup_writer_ struct writer text = WRITER(LIMIT_POLICY_TEXT);
	struct compiled_header h = { .slots = t->n_slots, .records = t->n_records, .paths = p->paths, .digests = p->digests,
				     .denied = p->denied, .probes = t->probes,
				     .flags = p->boot_aggregate ? COMPILED_BOOT_AGGREGATE : 0 };
	struct reader id = reader_over(p->id, strlen(p->id));
	int r = write_text(&text, json);

	if (r < 0)
		return r;
	(void)read_bytes(&id, strlen("sha256:"));
	if (hex_decode(read_rest(&id), h.source, sizeof(h.source)) < 0)
		return -EIO; /* not reached: it is a digest */
	bytes_copy(h.seed, t->seed, sizeof(h.seed));
	h.text = text.n;
	h.file = COMPILED_HEADER + 8 * h.slots + h.records + h.text;
	write_header(w, &h);
	write_bytes(w, t->slots, 8 * t->n_slots);
	write_bytes(w, t->records, t->n_records);
	write_bytes(w, text.p, text.n);
	if (writer_status(w) < 0)
		return writer_status(w);
	compiled_seal(writer_view(w), h.seal);
	bytes_copy(w->p + COMPILED_SEAL_AT, h.seal, sizeof(h.seal));
	return 0;
}

/* Keys of the table: slots that are taken, which the same index needs again. */
static size_t keys(const struct table *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_slots; i++)
		n += t->slots[i] != 0;
	return n;
}

int policy_compile(struct writer *w, struct bytes json, struct policy_report *report)
{
	cleanup_policy_ struct policy *p = NULL;
	uint8_t source[HASH_MAX_SIZE];
	struct table t = { .n_slots = 0 };
	int r = policy_load_json(&p, json, report);

	if (r != 0)
		return r;
	hash_one(HASH_SHA256, json.p, json.n, source);
	r = index_table((struct bytes){ p->table.records, p->table.n_records }, keys(&p->table), source, &t);
	if (r < 0)
		return r;
	r = write_file(w, p, &t, json);
	free((void *)t.slots);
	return r;
}
