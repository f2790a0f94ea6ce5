// SPDX-License-Identifier: Apache-2.0
/* A runtime policy as JSON. A good one judges entries; what `policy create` writes from it is good too, has the same
 * digests, and is written the same once more. */
#include "base/text.h"
#include "policy/create.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct policy *p, const char *template, const char *path)
{
	cleanup_writer_ struct writer w = WRITER(1024);
	struct appraisal a = { .policy = p };
	struct finding out[4];
	struct ima_entry e = { .pcr = 10, .name = { (const uint8_t *)template, strlen(template) } };

	write_u32le(&w, 8 + 32);
	write_bytes(&w, "sha256:", 8);
	for (int i = 0; i < 32; i++)
		write_u8(&w, 0xaa);
	write_u32le(&w, (uint32_t)strlen(path) + 1);
	write_bytes(&w, path, strlen(path) + 1);
	if (strcmp(template, "ima-buf") == 0) {
		write_u32le(&w, 2);
		write_bytes(&w, "0\0", 2);
	}
	e.data = writer_view(&w);
	for (uint64_t i = 0; i < 2; i++)
		if (appraise_entry(&a, &e, NULL, i, out) > 4)
			abort();
}

/* NULL: no memory. */
static struct policy *rewrite(struct bytes json, struct writer *w)
{
	cleanup_baseline_ struct baseline *b = NULL;
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	if (baseline_new(&b) < 0)
		return NULL;
	if (baseline_start_from(b, json, &report) != 0 || baseline_write(b, w) < 0)
		abort();
	policy_report_clear(&report);
	if (policy_load_json(&p, writer_view(w), &report) != 0)
		abort();
	policy_report_clear(&report);
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_writer_ struct writer first = WRITER(64u << 20), second = WRITER(64u << 20);
	cleanup_policy_ struct policy *p = NULL, *q = NULL, *again = NULL;
	struct policy_report report = { .errors = 0 };
	int r = policy_load_json(&p, (struct bytes){ data, size }, &report);

	if ((r == 0) != (report.errors == 0) || (r == 0) != (p != NULL) || report.text.bad)
		abort();
	policy_report_clear(&report);
	if (!p)
		return 0;
	judge(p, "ima-ng", "/a");
	judge(p, "ima-ng", "boot_aggregate");
	judge(p, "ima-buf", ".ima");
	q = rewrite((struct bytes){ data, size }, &first);
	again = q ? rewrite(writer_view(&first), &second) : NULL;
	if (!again)
		return 0;
	if (policy_digest_count(q) != policy_digest_count(p) || policy_path_count(q) != policy_path_count(p) ||
	    policy_exclude_count(q) != policy_exclude_count(p) || first.n != second.n || !bytes_equal(first.p, second.p, first.n))
		abort();
	return 0;
}
