// SPDX-License-Identifier: Apache-2.0
/* A compiled policy judges as its source does, and no byte of it can be changed, cut or added unseen. */
#include "policy_helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "policy/compiled_form.h"
#include "policy/inspect.h"

#define HEX32 "b8ae0b8dd04a5935cd8165aa2260cd11b658bd71629bdb52256a675a1f73907b"
#define HEX20 "233ad3a8e77c63a7d9a56063ec2cad1eafa58850"
#define SOURCE                                                                                                          \
	"{\"meta\":{\"version\":1},\"digests\":{\"/a\":[\"" HEX32 "\",\"" HEX20 "\"],\"boot_aggregate\":[\"" HEX20 "\"],\"/b\\u00e9\":[]},"  \
	"\"excludes\":[\"/tmp/\"],\"keyrings\":{\".ima\":[\"" HEX32 "\"]},\"ima-buf\":{\"x\":[\"" HEX32 "\"]},\"odd\":[1,2],"           \
	"\"ima\":{\"ignored_keyrings\":[\"*\",\"r\"],\"log_hash_alg\":\"sha256\",\"dm_policy\":null},\"deny\":[\"" HEX20 "\"],"           \
	"\"violations\":\"fail\",\"boot-pcrs\":{\"sha1\":{\"7\":[\"" HEX20 "\"]}},"                                                  \
	"\"verification-keys\":\"-----BEGIN PUBLIC KEY-----\\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEnNH3Y/xOTwRRd8D6hpodRLnVx71qDTLv\\n"    \
	"JHouno7nU7JSzcXWN1PxK+HQEh1V7sMdwBER4KFKE635JTv6C+BRBg==\\n-----END PUBLIC KEY-----\\n\"}"

static void compile(struct writer *w, const char *json)
{
	struct policy_report report = { .errors = 0 };

	*w = WRITER(64u << 20);
	assert_int_equal(policy_compile(w, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report), 0);
	policy_report_clear(&report);
}

static struct policy *load_good(const struct writer *w)
{
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	assert_int_equal(policy_load(&p, writer_view(w), &report), 0);
	assert_int_equal(report.errors, 0);
	policy_report_clear(&report);
	return p;
}

/* Refused, with one line that says so; nothing is touched. */
static void assert_refused(struct bytes file, const char *says)
{
	cleanup_free_ uint8_t *exact = alloc_bytes(file.n);
	struct policy_report report = { .errors = 0 };
	struct policy *untouched = (struct policy *)&report, *p = untouched;

	bytes_copy(exact, file.p, file.n);
	assert_int_equal(policy_load(&p, (struct bytes){ exact, file.n }, &report), 1);
	assert_ptr_equal(p, untouched);
	assert_int_equal(report.errors, 1);
	if (!strstr(writer_cstr(&report.text), says))
		print_message("says %s, wanted %s\n", writer_cstr(&report.text), says);
	assert_non_null(strstr(writer_cstr(&report.text), says));
	policy_report_clear(&report);
}

/* After a change that the seal would show. */
static void seal(struct writer *w)
{
	uint8_t made[COMPILED_HASH];

	compiled_seal(writer_view(w), made);
	memcpy(w->p + COMPILED_SEAL_AT, made, sizeof(made));
}

static int write_item(void *user, const struct policy_item *item)
{
	struct writer *w = user;

	write_fmt(w, "%d %zu %s ", (int)item->section, item->name.n, item->alg ? item->alg : "-");
	write_bytes(w, item->name.p, item->name.n);
	write_hex(w, item->digest.p, item->digest.n);
	write_u8(w, '\n');
	return 0;
}

static void assert_same(const struct policy *p, const struct policy *q)
{
	cleanup_writer_ struct writer a = WRITER(1u << 24), b = WRITER(1u << 24);

	assert_string_equal(policy_id(p), policy_id(q));
	assert_int_equal(policy_path_count(p), policy_path_count(q));
	assert_int_equal(policy_digest_count(p), policy_digest_count(q));
	assert_int_equal(policy_exclude_count(p), policy_exclude_count(q));
	assert_int_equal(policy_deny_count(p), policy_deny_count(q));
	assert_int_equal(policy_has_boot_aggregate(p), policy_has_boot_aggregate(q));
	assert_int_equal(policy_violation_rule(p), policy_violation_rule(q));
	assert_int_equal(p->ignore_all_keyrings, q->ignore_all_keyrings);
	assert_int_equal(p->n_boot_pcrs, q->n_boot_pcrs);
	assert_memory_equal(p->boot_pcrs ? (void *)p->boot_pcrs : "", q->boot_pcrs ? (void *)q->boot_pcrs : "",
			    p->n_boot_pcrs * sizeof(*p->boot_pcrs));
	assert_int_equal(p->keys ? keyring_count(p->keys) : 0, q->keys ? keyring_count(q->keys) : 0);
	assert_int_equal(policy_each(p, write_item, &a), 0);
	assert_int_equal(policy_each(q, write_item, &b), 0);
	assert_int_equal(a.n, b.n);
	assert_true(bytes_equal(a.p, b.p, a.n));
}

static void same_as_its_source(void **state)
{
	static const char *const files[] = { "policy-empty.json", "policy-test-excludes.json", "policy-verification-keys.json" };
	cleanup_policy_ struct policy *p = policy_of(SOURCE), *q = NULL;
	cleanup_writer_ struct writer w = WRITER(0);
	struct appraisal a = { .policy = NULL };

	(void)state;
	compile(&w, SOURCE);
	q = load_good(&w);
	assert_same(p, q);
	for (size_t i = 0; i < 5; i++) {
		static const char *const paths[] = { "/a", "/b\xc3\xa9", "/tmp/x", "/none", "boot_aggregate" };
		cleanup_made_ struct made m = make_entry("ima-ng", "sha256", HEX32, paths[i]);
		struct finding one[4], two[4];
		size_t n;

		a.policy = p;
		n = appraise_entry(&a, &m.entry, NULL, 1, one);
		a.policy = q;
		assert_int_equal(appraise_entry(&a, &m.entry, NULL, 1, two), n);
		for (size_t f = 0; f < n; f++)
			assert_int_equal(one[f].reason, two[f].reason);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_writer_ struct writer json = WRITER(0), compiled = WRITER(0);
		cleanup_policy_ struct policy *from_json = NULL, *from_compiled = NULL;
		cleanup_free_ char *name = NULL;

		assert_true(asprintf(&name, "keylime-ima/%s", files[i]) > 0);
		from_json = load_policy(name);
		load_file(name, &json);
		compile(&compiled, writer_cstr(&json));
		from_compiled = load_good(&compiled);
		assert_same(from_json, from_compiled);
	}
}

/* What is noted about a policy is noted about its compiled form too. */
static void notes_stay(void **state)
{
	struct policy_report one = { .errors = 0 }, two = { .errors = 0 };
	cleanup_policy_ struct policy *p = NULL, *q = NULL;
	cleanup_writer_ struct writer w = WRITER(0);

	(void)state;
	compile(&w, SOURCE);
	assert_int_equal(policy_load_json(&p, BYTES(SOURCE), &one), 0);
	assert_int_equal(policy_load(&q, writer_view(&w), &two), 0);
	assert_true(one.notes > 0);
	assert_string_equal(writer_cstr(&one.text), writer_cstr(&two.text));
	policy_report_clear(&one);
	policy_report_clear(&two);
}

static void same_source_same_bytes(void **state)
{
	cleanup_writer_ struct writer a = WRITER(0), b = WRITER(0);

	(void)state;
	compile(&a, SOURCE);
	compile(&b, SOURCE);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
}

static void a_bad_policy_is_not_compiled(void **state)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	struct policy_report report = { .errors = 0 };

	(void)state;
	assert_int_equal(policy_compile(&w, BYTES("{\"digests\":[]}"), &report), 1);
	assert_int_equal(report.errors, 1);
	assert_int_equal(w.n, 0);
	policy_report_clear(&report);
}

static void no_byte_changes_unseen(void **state)
{
	cleanup_writer_ struct writer w = WRITER(0);

	(void)state;
	compile(&w, SOURCE);
	for (size_t i = COMPILED_MAGIC_SIZE; i < w.n; i++) {
		w.p[i] ^= 1;
		assert_refused(writer_view(&w), "error: compiled: the file is ");
		w.p[i] ^= 1;
	}
	for (size_t n = COMPILED_MAGIC_SIZE; n < w.n; n++)
		assert_refused((struct bytes){ w.p, n }, n < COMPILED_HEADER ? "shorter than a header" : "cut, or longer");
	write_u8(&w, 0);
	assert_refused(writer_view(&w), "cut, or longer");
}

static void put_u64(struct writer *w, size_t at, uint64_t v)
{
	cleanup_writer_ struct writer le = WRITER(8);

	write_u64le(&le, v);
	memcpy(w->p + at, le.p, 8);
}

/* Whoever crafts a file can seal it too: the numbers are looked at on their own. */
static void crafted_headers(void **state)
{
	static const struct {
		size_t at;
		uint64_t value;
		const char *says;
	} cases[] = {
		{ 16, 2, "of another version" },
		{ 16, (uint64_t)COMPILED_HEADER << 32 | 2, "of another version" },
		{ 24, 0, "cut, or longer" },
		{ 24, UINT64_MAX, "cut, or longer" },
		{ 112, 0, "parts that are not its whole" },
		{ 112, UINT64_MAX, "beyond the limits" },
		{ 112, LIMIT_POLICY_COMPILED / 8, "parts that are not its whole" },
		{ 112, LIMIT_POLICY_COMPILED / 8 + 1, "beyond the limits" },
		{ 112, UINT64_C(1) << 61, "beyond the limits" },
		{ 120, LIMIT_POLICY_RECORDS, "parts that are not its whole" },
		{ 120, LIMIT_POLICY_RECORDS + UINT64_C(1), "beyond the limits" },
		{ 128, LIMIT_POLICY_TEXT, "parts that are not its whole" },
		{ 128, LIMIT_POLICY_TEXT + UINT64_C(1), "beyond the limits" },
		{ 136, UINT64_MAX, "numbers that cannot be" },
		{ 144, UINT64_MAX, "numbers that cannot be" },
		{ 152, UINT64_MAX, "numbers that cannot be" },
		{ 160, LIMIT_POLICY_PROBES + 1, "beyond the limits" },
		{ 160, UINT64_C(2) << 32 | 1, "numbers that cannot be" },
		{ 168, 1, "of a later form" },
		{ 248, UINT64_C(1) << 56, "of a later form" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_writer_ struct writer w = WRITER(0);

		compile(&w, SOURCE);
		put_u64(&w, cases[i].at, cases[i].value);
		seal(&w);
		assert_refused(writer_view(&w), cases[i].says);
	}
}

/* Slots that point anywhere and never end, records that are no records: look-ups end and stay inside (ASan). */
static void crafted_tables(void **state)
{
	static const uint64_t fills[] = { UINT64_MAX, 1, UINT64_C(1) << 39, 2, 40 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fills) + 2; i++) {
		cleanup_writer_ struct writer w = WRITER(0);
		cleanup_policy_ struct policy *p = NULL;
		uint8_t d[32] = { 0 };
		uint64_t slots, records;
		struct reader r;

		compile(&w, SOURCE);
		r = reader_of(writer_view(&w));
		(void)read_bytes(&r, 112);
		slots = read_u64le(&r);
		records = read_u64le(&r);
		if (i < ARRAY_SIZE(fills))
			for (uint64_t s = 0; s < slots; s++)
				put_u64(&w, COMPILED_HEADER + 8 * s, fills[i]);
		else
			memset(w.p + COMPILED_HEADER + 8 * slots, i % 2 ? 0xff : 0x66, records);
		put_u64(&w, 160, LIMIT_POLICY_PROBES); /* probes, no flags */
		seal(&w);
		p = load_good(&w);
		for (unsigned int n = 0; n < 300; n++) {
			char key[16];

			(void)snprintf(key, sizeof(key), "/%u", n);
			(void)table_find(&p->table, TABLE_FILES,
					 (struct bytes){ (uint8_t *)key, strlen(key) }, FILE_ALG_SHA256,
					 (struct bytes){ d, sizeof(d) });
		}
		(void)table_has(&p->table, TABLE_FILES, BYTES("/a"));
		{
			cleanup_writer_ struct writer out = WRITER(1u << 20);
			int walked = policy_each(p, write_item, &out);

			assert_true(walked == 0 || walked == -EIO);
		}
	}
}

/* The text inside is read as strictly as any policy. */
static void crafted_text(void **state)
{
	cleanup_writer_ struct writer w = WRITER(0);
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	(void)state;
	compile(&w, SOURCE);
	w.p[w.n - 1] = ']';
	seal(&w);
	assert_int_equal(policy_load(&p, writer_view(&w), &report), 1);
	assert_null(p);
	assert_non_null(strstr(writer_cstr(&report.text), "error: line 1 column"));
	policy_report_clear(&report);
}

/* From a file, which may then be cut and written over. */
static void from_a_file(void **state)
{
	cleanup_policy_ struct policy *source = policy_of(SOURCE);
	cleanup_writer_ struct writer w = WRITER(0);
	char path[] = "/tmp/imastream-compiled-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	compile(&w, SOURCE);
	assert_int_equal(write(fd, w.p, w.n), w.n);
	{
		struct policy_report report = { .errors = 0 };
		cleanup_policy_ struct policy *p = NULL;

		assert_int_equal(policy_load_file(&p, path, &report), 0);
		assert_int_equal(policy_file_bytes(p).n, w.n);
		assert_memory_equal(policy_file_bytes(p).p, w.p, w.n);
		assert_int_equal(ftruncate(fd, 300), 0);
		assert_same(source, p);
		policy_report_clear(&report);
	}
	for (off_t size = 300; size > 0; size -= 50) { /* also shorter than a header */
		struct policy_report report = { .errors = 0 };
		struct policy *p = NULL;

		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(policy_load_file(&p, path, &report), 1);
		policy_report_clear(&report);
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, SOURCE, strlen(SOURCE), 0), strlen(SOURCE));
	{
		struct policy_report report = { .errors = 0 };
		cleanup_policy_ struct policy *p = NULL;

		assert_int_equal(policy_load_file(&p, path, &report), 0);
		assert_same(source, p);
		policy_report_clear(&report);
	}
	close(fd);
	unlink(path);
	{
		struct policy_report report = { .errors = 0 };
		struct policy *p = NULL;

		assert_int_equal(policy_load_file(&p, path, &report), -ENOENT);
		assert_null(p);
	}
}

/* The same digest many times on the deny list: one slot, no long run. */
static void equal_keys_share_a_slot(void **state)
{
	cleanup_writer_ struct writer json = WRITER(1u << 24), w = WRITER(0);
	cleanup_policy_ struct policy *p = NULL, *q = NULL;

	(void)state;
	write_fmt(&json, "{\"deny\":[\"" HEX20 "\"");
	for (unsigned int i = 0; i < 20000; i++)
		write_fmt(&json, ",\"" HEX20 "\"");
	write_fmt(&json, "]}");
	p = policy_of(writer_cstr(&json));
	assert_int_equal(p->table.probes, 1);
	compile(&w, writer_cstr(&json));
	q = load_good(&w);
	assert_same(p, q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_its_source),	  cmocka_unit_test(notes_stay),
		cmocka_unit_test(same_source_same_bytes), cmocka_unit_test(a_bad_policy_is_not_compiled),
		cmocka_unit_test(no_byte_changes_unseen), cmocka_unit_test(crafted_headers),
		cmocka_unit_test(crafted_tables),	  cmocka_unit_test(crafted_text),
		cmocka_unit_test(from_a_file),		  cmocka_unit_test(equal_keys_share_a_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
