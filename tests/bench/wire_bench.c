// SPDX-License-Identifier: Apache-2.0
/* Bytes on the wire: entries of 12,000 files of this machine, with their real digests and paths, as IMA would measure them, in no
 * order; as the binary and the ASCII list have them, as blocks, with and without a reference set, and as zstd would send
 * them with the policy as its dictionary (docs/adr/0013). Every block is unpacked again and compared. */
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <unistd.h>
#include <zstd.h>

#include "base/text.h"
#include "ima/list.h"
#include "lib/bench.h"
#include "lib/bench_files.h"
#include "verifier/reference_set.h"
#include "wire/block.h"
#include "wire/msg.h"

#define ENTRIES 12000u
#define POLICY_FILES 100000u
#define PCR 10u
#define LEVEL 6 /* as the collector compresses */
#define DICTIONARY_LEVEL 3
#define DICTIONARY_WINDOW 24

static const uint32_t batches[] = { 10, 128 };

struct subject {
	size_t n;
	size_t taken[3];      /* of each sort of file, below */
	struct writer data;   /* template data, one behind the other */
	size_t at[ENTRIES + 1]; /* where each begins */
	struct policy *policy;
	struct reference_set *set;
	struct writer dictionary; /* the policy as digests and paths, in order */
};

/* ---- files ---- */

/* Those that are run: programs, libraries and modules; then what interpreters read; then any. 0 to 2. */
static int sort_of(const FTSENT *f)
{
	static const char *const scripts[] = { ".py", ".pl", ".pm", ".sh", ".js", ".rb", ".el" };
	const char *dot = strrchr(f->fts_name, '.');

	if (f->fts_statp->st_mode & 0111 || strstr(f->fts_name, ".so") || strstr(f->fts_name, ".ko"))
		return 0;
	for (size_t i = 0; dot && i < ARRAY_SIZE(scripts); i++)
		if (strcmp(dot, scripts[i]) == 0)
			return 1;
	return 2;
}

struct found {
	char **paths;
	size_t n;
};

static void find(struct found found[3])
{
	char root[] = "/usr";
	char *const roots[] = { root, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	FTSENT *f;

	bench_need(fts != NULL, "fts");
	while ((f = fts_read(fts))) {
		struct found *to;

		if (f->fts_info != FTS_F || f->fts_statp->st_size == 0)
			continue;
		to = &found[sort_of(f)];
		to->paths = reallocarray(to->paths, to->n + 1, sizeof(*to->paths));
		bench_need(to->paths && (to->paths[to->n] = strdup(f->fts_path)), "memory");
		to->n++;
	}
	fts_close(fts);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void shuffle(char **paths, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = bench_mix((uint32_t)i) % i;
		char *one = paths[i - 1];

		paths[i - 1] = paths[j];
		paths[j] = one;
	}
}

static bool hash_file(const char *path, uint8_t out[32])
{
	static uint8_t chunk[1u << 17];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct hash h;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	hash_begin(&h, HASH_SHA256);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		hash_add(&h, chunk, (size_t)n);
	close(fd);
	hash_end(&h, out);
	return n == 0;
}

static void field(struct writer *w, const void *p, size_t n)
{
	write_u32le(w, (uint32_t)n);
	write_bytes(w, p, n);
}

/* Picks by chance from each sort, as many as are wanted, and measures them in no order. */
static void measure_files(struct subject *s, struct writer *json)
{
	struct found found[3] = { { NULL, 0 } };
	char **all = calloc(ENTRIES, sizeof(*all));
	size_t n = 0;

	find(found);
	for (size_t k = 0; k < 3; k++) {
		qsort(found[k].paths, found[k].n, sizeof(*found[k].paths), by_text);
		shuffle(found[k].paths, found[k].n);
		for (size_t i = 0; i < found[k].n && n < ENTRIES; i++, s->taken[k]++)
			all[n++] = found[k].paths[i];
	}
	shuffle(all, n);
	for (size_t i = 0; i < n; i++) {
		uint8_t digest[8 + 32] = "sha256:";

		if (!hash_file(all[i], digest + 8))
			continue;
		s->at[s->n++] = s->data.n;
		field(&s->data, digest, sizeof(digest));
		field(&s->data, all[i], strlen(all[i]) + 1);
		write_fmt(json, "%s\"", s->n > 1 ? ",\n" : "");
		for (const char *c = all[i]; *c; c++) /* as JSON */
			write_fmt(json, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
		write_fmt(json, "\":[\"");
		write_hex(json, digest + 8, 32);
		write_fmt(json, "\"]");
		write_bytes(&s->dictionary, digest + 8, 32);
		write_bytes(&s->dictionary, all[i], strlen(all[i]) + 1);
	}
	s->at[s->n] = s->data.n;
	for (size_t k = 0; k < 3; k++) {
		for (size_t i = 0; i < found[k].n; i++)
			free(found[k].paths[i]);
		free(found[k].paths);
	}
	free(all);
}

/* The policy knows them, and others up to POLICY_FILES. */
static void prepare(struct subject *s)
{
	cleanup_writer_ struct writer json = WRITER(LIMIT_POLICY_FILE);
	struct policy_report report = { .errors = 0 };
	char path[256];

	s->data = s->dictionary = WRITER(LIMIT_POLICY_FILE);
	write_fmt(&json, "{\"meta\":{\"version\":1},\"release\":0,\"excludes\":[],\"keyrings\":{},\"ima\":{\"ignored_keyrings\":[],"
			 "\"log_hash_alg\":\"sha256\",\"dm_policy\":null},\"ima-buf\":{},\"verification-keys\":\"\",\"digests\":{");
	for (uint32_t i = 0; i < POLICY_FILES - ENTRIES; i++) {
		uint8_t digest[32];
		size_t n = bench_path(i, path, sizeof(path));

		bench_digest(i, digest);
		write_fmt(&json, "\"%s\":[\"", path);
		write_hex(&json, digest, sizeof(digest));
		write_fmt(&json, "\"],\n");
		write_bytes(&s->dictionary, digest, sizeof(digest));
		write_bytes(&s->dictionary, path, n + 1);
	}
	measure_files(s, &json);
	write_fmt(&json, "}}");
	bench_need(writer_status(&json) == 0 && policy_load_json(&s->policy, writer_view(&json), &report) == 0 &&
			   reference_set_new(&s->set, s->policy) == 0,
		   "a policy");
	policy_report_clear(&report);
	printf("  %zu files of /usr: %zu programs, libraries and modules, %zu scripts, %zu others\n", s->n, s->taken[0], s->taken[1],
	       s->taken[2]);
}

static struct ima_entry entry(const struct subject *s, size_t i)
{
	static const uint8_t name[] = "ima-ng";

	return (struct ima_entry){ .pcr = PCR, .name = { name, sizeof(name) - 1 },
				   .data = { s->data.p + s->at[i], s->at[i + 1] - s->at[i] } };
}

/* ---- what travels ---- */

static void context_of(size_t i, struct wire_context *c)
{
	static const char *const comms[] = { "bash", "systemd", "(cron)", "apt-get", "runc:[2:INIT]", "sshd", "python3", "make" };

	*c = (struct wire_context){ .present = true, .age_us = 300 + bench_mix((uint32_t)i) % 900, .pid = 4000 + (uint32_t)i * 3,
				    .uid = i % 9 ? 0 : 1000, .cgroup = 5000 + bench_mix((uint32_t)i) % 20, .mntns = 4026531841u };
	(void)snprintf(c->comm, sizeof(c->comm), "%s", comms[bench_mix((uint32_t)i + 5) % ARRAY_SIZE(comms)]);
}

static void check_block(const struct subject *s, struct wire_unpack *u, struct bytes block, size_t from, size_t n)
{
	const struct wire_known sets[] = { reference_set_known(s->set) };
	struct ima_entry e;

	bench_need(wire_unpack_begin_known(u, block, sets, 1) == WIRE_BLOCK_OK && wire_unpack_count(u) == n, "unpacking");
	for (size_t i = from; i < from + n; i++) {
		struct ima_entry was = entry(s, i);

		bench_need(wire_unpack_next(u, &e, NULL) == WIRE_BLOCK_OK && e.data.n == was.data.n &&
				   bytes_equal(e.data.p, was.data.p, e.data.n),
			   "what was unpacked");
	}
}

/* A whole ENTRIES message around the block. */
static size_t message_size(struct writer *w, uint64_t first, struct bytes block)
{
	struct wire_message m = { .type = WIRE_ENTRIES,
				  .entries = { .first = first, .floor = first, .block = block, .rtt_us = 210, .measured = first + 10 } };

	memset(m.entries.session, 0xa5, sizeof(m.entries.session));
	writer_reset(w);
	wire_encode(w, &m);
	bench_need(writer_status(w) == 0, "a message");
	return w->n;
}

/* Bytes an entry of all blocks of so many entries; *messages: with ENTRIES around them. */
static double blocks(const struct subject *s, uint32_t batch, const struct wire_reference *set, bool context, double *messages)
{
	cleanup_wire_pack_ struct wire_pack *pack = NULL;
	cleanup_wire_unpack_ struct wire_unpack *unpack = NULL;
	cleanup_writer_ struct writer message = WRITER(LIMIT_MESSAGE);
	size_t total = 0, with = 0;

	bench_need(wire_pack_new(&pack, LEVEL) == 0 && wire_unpack_new(&unpack) == 0, "memory");
	for (size_t from = 0; from < s->n; from += batch) {
		size_t n = MIN(s->n - from, (size_t)batch);
		struct bytes block;

		wire_pack_begin_known(pack, set);
		for (size_t i = from; i < from + n; i++) {
			struct ima_entry e = entry(s, i);
			struct wire_context c;

			context_of(i, &c);
			bench_need(wire_pack_add(pack, &e, context ? &c : NULL) == 0, "packing");
		}
		bench_need(wire_pack_known(pack) == (set ? n : 0) && wire_pack_finish(pack, &block) == 0, "packing");
		total += block.n;
		with += message_size(&message, from, block);
		check_block(s, unpack, block, from, n);
	}
	*messages = (double)with / (double)s->n;
	return (double)total / (double)s->n;
}

/* zstd with the policy as a raw dictionary, over "digest, path" of each batch. */
struct dictionary_result {
	double bytes, us, mib; /* an entry; a block; dictionary and what zstd keeps about it */
};

static void dictionary(const struct subject *s, uint32_t batch, struct dictionary_result *out)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_DCtx *d = ZSTD_createDCtx();
	uint8_t *packed = malloc(1u << 20), *back = malloc(1u << 20);
	uint64_t spent = 0;
	size_t total = 0, n_blocks = 0;

	bench_need(c && d && packed && back, "memory");
	bench_need(!ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, DICTIONARY_LEVEL)) &&
			   !ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, DICTIONARY_WINDOW)) &&
			   !ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0)) &&
			   !ZSTD_isError(ZSTD_CCtx_loadDictionary(c, s->dictionary.p, s->dictionary.n)) &&
			   !ZSTD_isError(ZSTD_DCtx_loadDictionary(d, s->dictionary.p, s->dictionary.n)),
		   "a dictionary");
	for (size_t from = 0; from < s->n; from += batch) {
		cleanup_writer_ struct writer plain = WRITER(1u << 20);
		uint64_t start;
		size_t size;

		for (size_t i = from; i < MIN(from + batch, s->n); i++) {
			struct reader r = reader_of(entry(s, i).data);
			struct bytes digest = read_bytes(&r, read_u32le(&r)), path = read_bytes(&r, read_u32le(&r));

			write_bytes(&plain, digest.p + 8, digest.n - 8);
			write_bytes(&plain, path.p, path.n);
		}
		start = bench_now_ns();
		size = ZSTD_compress2(c, packed, 1u << 20, plain.p, plain.n);
		if (from) /* the first one indexes the dictionary */
			spent += bench_now_ns() - start;
		n_blocks += from != 0;
		bench_need(!ZSTD_isError(size) && ZSTD_decompressDCtx(d, back, 1u << 20, packed, size) == plain.n &&
				   bytes_equal(back, plain.p, plain.n),
			   "zstd with a dictionary");
		total += size;
	}
	*out = (struct dictionary_result){ .bytes = (double)total / (double)s->n, .us = (double)spent / 1e3 / (double)n_blocks,
					   .mib = (double)ZSTD_sizeof_CCtx(c) / (1u << 20) };
	ZSTD_freeCCtx(c);
	ZSTD_freeDCtx(d);
	free(packed);
	free(back);
}

/* ---- results ---- */

static double binary;

static void report(const char *name, uint32_t batch, double value, const char *unit, double gate, double base)
{
	char full[64];

	(void)snprintf(full, sizeof(full), batch ? "wire-%s-by-%u" : "wire-%s", name, batch);
	bench_result_print(&(struct bench_result){ full, value, unit, gate, base > 0 ? "the binary list" : NULL, base > 0 ? value / base : 0 });
}

static void lists(const struct subject *s)
{
	cleanup_writer_ struct writer list = WRITER(LIMIT_POLICY_FILE), text = WRITER(LIMIT_POLICY_FILE);

	for (size_t i = 0; i < s->n; i++) {
		struct ima_entry e = entry(s, i);
		struct reader r = reader_of(e.data);
		struct bytes digest = read_bytes(&r, read_u32le(&r)), path = read_bytes(&r, read_u32le(&r));
		uint8_t column[20];

		ima_list_write_entry(&list, &e, HASH_SHA1);
		ima_template_digest(&e, HASH_SHA1, column);
		write_fmt(&text, "%2u ", PCR); /* ima_fs.c, ima_ascii_measurements_show() */
		write_hex(&text, column, sizeof(column));
		write_fmt(&text, " ima-ng sha256:");
		write_hex(&text, digest.p + 8, digest.n - 8);
		write_fmt(&text, " %s\n", (const char *)path.p);
	}
	bench_need(writer_status(&list) == 0 && writer_status(&text) == 0, "lists");
	binary = (double)list.n / (double)s->n;
	report("list-ascii", 0, (double)text.n / (double)s->n, "B", 0, binary);
	report("list-binary", 0, binary, "B", 0, 0);
}

int main(void)
{
	static struct subject s;
	struct wire_reference set;

	prepare(&s);
	bench_need(wire_reference_open(reference_set_bytes(s.set), reference_set_digest(s.set), &set) == WIRE_REFERENCE_OK,
		   "a reference set");
	lists(&s);
	for (size_t i = 0; i < ARRAY_SIZE(batches); i++) {
		uint32_t n = batches[i];
		struct dictionary_result d;
		double message;

		report("unknown", n, blocks(&s, n, NULL, false, &message), "B", n == 128 ? 48 : 0, binary);
		report("known", n, blocks(&s, n, &set, false, &message), "B", n == 10 ? 8 : 0, binary);
		report("known-context", n, blocks(&s, n, &set, true, &message), "B", 0, binary);
		report("known-message", n, message, "B", 0, binary);
		dictionary(&s, n, &d);
		report("dictionary", n, d.bytes, "B", 0, binary);
		report("dictionary-time", n, d.us, "us", 0, 0);
		if (i == 0)
			report("dictionary-memory", 0, d.mib, "MiB", 0, 0);
	}
	report("known-memory", 0, (double)reference_set_bytes(s.set).n / (1u << 20), "MiB", 0, 0);
	reference_set_unref(&s.set);
	policy_unref(&s.policy);
	writer_free(&s.data);
	writer_free(&s.dictionary);
	return bench_status();
}
