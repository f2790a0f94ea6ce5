// SPDX-License-Identifier: Apache-2.0
/* A groups file: lines are taken as a whole or not at all, and whoever is named is judged by a policy that is there. */
#include "verifier/policies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct policy *any_policy(void)
{
	static const char json[] = "{\"digests\":{}}";
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;

	if (policy_load_json(&p, (struct bytes){ (const uint8_t *)json, strlen(json) }, &report) != 0)
		abort();
	policy_report_clear(&report);
	return p;
}

static void add(struct policies *set, const char *name)
{
	static struct policy *shared;
	struct policy *p;

	if (!shared)
		shared = any_policy();
	p = policy_ref(shared);
	if (policies_add(set, name, &p) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const labels[] = { NULL, "", "web-1", "*", "db" };
	cleanup_writer_ struct writer why = WRITER(65536);
	struct policies set = { 0 };
	int r;

	add(&set, "web");
	add(&set, "lab");
	r = policies_parse_groups(&set, (struct bytes){ data, size }, &why);
	if (r < 0 || (r > 0) != (why.n > 0) || (r > 0 && set.n_ids + set.n_globs > 0))
		abort();
	for (size_t i = 0; i < set.n_ids; i++)
		if (policies_resolve(&set, set.ids[i].id, "x") != &set.list[set.ids[i].policy])
			abort();
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		static const uint8_t nobody[WIRE_DIGEST_SIZE] = { 0xfe };
		const struct named_policy *n = policies_resolve(&set, nobody, labels[i]);
		bool everybody = false;

		for (size_t k = 0; k < set.n_globs; k++)
			everybody = everybody || strcmp(set.globs[k].glob, "*") == 0;
		if (n && (!labels[i] || !*labels[i]) && !everybody && !set.n_ids)
			abort(); /* no label, no pattern */
	}
	policies_clear(&set);
	return 0;
}
