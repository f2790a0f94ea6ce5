// SPDX-License-Identifier: Apache-2.0
/* Large policies: loading from JSON and from the compiled file, looking up, memory; at 10k, 100k and 1M digests. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/text.h"
#include "lib/bench.h"
#include "lib/bench_files.h"
#include "policy/compiled.h"
#include "policy/model.h"
#include "verifier/policy_file.h"

struct size {
	const char *name;
	uint32_t digests;
	unsigned int rounds;
	double json_gate, compiled_gate, lookup_gate; /* ms, ms, ns */
};

static const struct size sizes[] = {
	{ "10k", 10000, 20, 0, 0, 0 },
	{ "100k", 100000, 8, 0, 0, 0 },
	{ "1m", 1000000, 3, 2000, 50, 2000 },
};

/* ---- what is measured ---- */

struct subject {
	const struct size *size;
	struct writer json;
	char path[64]; /* of the compiled file */
	struct policy *policy;
};

static void load_json(void *user)
{
	struct policy_report report = { .errors = 0 };
	struct subject *s = user;
	struct policy *p = NULL;

	bench_need(policy_load_json(&p, writer_view(&s->json), &report) == 0, "loading JSON");
	policy_report_clear(&report);
	policy_unref(&p);
}

static void load_jansson(void *user)
{
	struct subject *s = user;
	json_t *tree = json_loadb((const char *)s->json.p, s->json.n, JSON_REJECT_DUPLICATES, NULL);

	bench_need(tree != NULL, "jansson");
	json_decref(tree);
}

static void load_compiled(void *user)
{
	struct policy_report report = { .errors = 0 };
	struct subject *s = user;
	struct policy *p = NULL;

	bench_need(policy_load_file(&p, s->path, &report) == 0, "loading the compiled file");
	policy_report_clear(&report);
	policy_unref(&p);
}

/* All that the verifier does between the name of a file and a policy that can be put in force. */
static void open_compiled(void *user)
{
	cleanup_writer_ struct writer why = WRITER(65536), notes = WRITER(65536);
	struct policy_opener opener = { .now_s = 1, .why = &why, .notes = &notes };
	struct named_policy opened = { 0 };
	struct subject *s = user;

	bench_need(policy_file_open(&opener, s->path, &opened) == 0, "opening the compiled file");
	policy_unref(&opened.policy);
	policy_source_free(&opened.source);
}

static void read_compiled(void *user)
{
	static uint8_t chunk[1u << 20];
	struct subject *s = user;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	bench_need(fd >= 0, "open");
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		;
	bench_need(n == 0, "read");
	close(fd);
}

#define LOOKUPS 200000u

static void look_up(void *user)
{
	struct subject *s = user;

	for (uint32_t n = 0; n < LOOKUPS; n++) {
		uint32_t i = bench_mix(n + 77) % s->size->digests;
		uint8_t digest[32];
		char path[256];
		struct bytes key = { (const uint8_t *)path, bench_path(i, path, sizeof(path)) };

		bench_digest(i, digest);
		if (table_find(&s->policy->table, TABLE_FILES, key, FILE_ALG_SHA256, (struct bytes){ digest, 32 }) != TABLE_MATCH)
			bench_need(false, "looking up");
	}
}

/* The same without the look-up: what making the question costs. */
static void make_questions(void *user)
{
	struct subject *s = user;
	volatile uint8_t sink = 0;

	for (uint32_t n = 0; n < LOOKUPS; n++) {
		uint32_t i = bench_mix(n + 77) % s->size->digests;
		uint8_t digest[32];
		char path[256];

		sink ^= (uint8_t)bench_path(i, path, sizeof(path));
		bench_digest(i, digest);
		sink ^= digest[31];
	}
	(void)sink;
}

/* ---- results ---- */

static void report(const char *what, const struct size *size, double value, const char *unit, double gate, const char *baseline,
		   double base)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s-%s", what, size->name);
	bench_result_print(&(struct bench_result){ name, value, unit, gate, baseline, base > 0 ? value / base : 0 });
}

/* In a process of its own, so that nothing of before counts: MiB that a loaded policy holds. */
static double memory_of(struct subject *s, bool compiled)
{
	double mib = 0;
	int fds[2];
	pid_t pid;

	bench_need(pipe(fds) == 0, "pipe");
	pid = fork();
	bench_need(pid >= 0, "fork");
	if (pid == 0) {
		struct policy_report report_ = { .errors = 0 };
		struct policy *p = NULL;
		double before;

		if (compiled)
			writer_free(&s->json);
		before = bench_own_mib() + bench_mapped_mib();
		bench_need((compiled ? policy_load_file(&p, s->path, &report_) :
				       policy_load_json(&p, writer_view(&s->json), &report_)) == 0, "loading");
		mib = bench_own_mib() + bench_mapped_mib() - before;
		_exit(write(fds[1], &mib, sizeof(mib)) == (ssize_t)sizeof(mib) ? 0 : 2);
	}
	close(fds[1]);
	bench_need(read(fds[0], &mib, sizeof(mib)) == (ssize_t)sizeof(mib), "the other process");
	close(fds[0]);
	bench_need(waitpid(pid, NULL, 0) == pid, "waitpid");
	return mib;
}

/* Nanoseconds of one look-up. */
static double measure(struct subject *s)
{
	const struct size *size = s->size;
	double jansson, ours, cpu, file, compiled, ask, find;
	struct policy_report report_ = { .errors = 0 };

	jansson = bench_best_ms(MIN(size->rounds, 3u), load_jansson, s);
	ours = bench_best_ms(size->rounds, load_json, s);
	cpu = bench_best_cpu_ms();
	report("policy-load-json", size, ours, "ms", size->json_gate, "jansson parsing it", jansson);
	report("policy-load-json-cpu", size, cpu, "ms", 0, NULL, 0);
	file = bench_best_ms(size->rounds + 7, read_compiled, s);
	compiled = bench_best_ms(size->rounds + 7, load_compiled, s);
	report("policy-load-compiled", size, compiled, "ms", size->compiled_gate, "reading the file", file);
	report("policy-load-compiled-cpu", size, bench_best_cpu_ms(), "ms", 0, NULL, 0);
	report("policy-open-verifier", size, bench_best_ms(size->rounds + 7, open_compiled, s), "ms", size->compiled_gate,
	       "policy-load-compiled", compiled);
	report("policy-open-verifier-cpu", size, bench_best_cpu_ms(), "ms", 0, NULL, 0);
	report("policy-memory-json", size, memory_of(s, false), "MiB", 0, "its JSON", (double)s->json.n / (1u << 20));
	report("policy-memory-compiled", size, memory_of(s, true), "MiB", 0, "its JSON", (double)s->json.n / (1u << 20));
	bench_need(policy_load_file(&s->policy, s->path, &report_) == 0, "loading");
	policy_report_clear(&report_);
	ask = bench_best_ms(5, make_questions, s);
	find = bench_best_ms(5, look_up, s);
	policy_unref(&s->policy);
	return MAX(find - ask, 0.0) * 1e6 / LOOKUPS;
}

static void prepare(struct subject *s, const struct size *size)
{
	cleanup_writer_ struct writer compiled = WRITER(LIMIT_POLICY_COMPILED);
	struct policy_report report_ = { .errors = 0 };
	const char *dir = getenv("TMPDIR");

	*s = (struct subject){ .size = size, .json = WRITER(LIMIT_POLICY_FILE) };
	(void)snprintf(s->path, sizeof(s->path), "%.40s/imastream-bench-%d", dir ? dir : "/tmp", (int)getpid());
	bench_policy(&s->json, size->digests);
	bench_need(policy_compile(&compiled, writer_view(&s->json), &report_) == 0, "compiling");
	policy_report_clear(&report_);
	bench_need(write_file_atomic(s->path, writer_view(&compiled), 0600) == 0, s->path);
}

int main(void)
{
	double smallest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct subject s;
		double ns;

		prepare(&s, &sizes[i]);
		ns = measure(&s);
		if (i == 0)
			smallest = ns;
		report("policy-lookup", &sizes[i], ns, "ns", sizes[i].lookup_gate, i ? "that at 10k" : NULL, i ? smallest : 0);
		unlink(s.path);
		writer_free(&s.json);
	}
	return bench_status();
}
