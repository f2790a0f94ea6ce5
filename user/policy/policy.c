// SPDX-License-Identifier: Apache-2.0
#include "policy/model.h"

int policy_new(struct policy **out)
{
	cleanup_policy_ struct policy *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	atomic_init(&p->references, 1);
	p->violations = VIOLATION_WARN;
	r = exclude_set_new(&p->excludes);
	if (r < 0)
		return r;
	*out = TAKE_PTR(p);
	return 0;
}

struct policy *policy_ref(struct policy *p)
{
	atomic_fetch_add_explicit(&p->references, 1, memory_order_relaxed);
	return p;
}

void policy_unref(struct policy **p)
{
	struct policy *last = *p;

	*p = NULL;
	if (!last || atomic_fetch_sub_explicit(&last->references, 1, memory_order_acq_rel) != 1)
		return;
	table_clear(&last->table);
	exclude_set_free(&last->excludes);
	keyring_free(&last->keys);
	free(last);
}

const char *policy_id(const struct policy *p)
{
	return p->id;
}

size_t policy_digest_count(const struct policy *p)
{
	return p->digests;
}

size_t policy_path_count(const struct policy *p)
{
	return p->paths;
}

size_t policy_exclude_count(const struct policy *p)
{
	return exclude_count(p->excludes);
}

size_t policy_deny_count(const struct policy *p)
{
	return p->denied;
}

bool policy_has_boot_aggregate(const struct policy *p)
{
	return p->boot_aggregate;
}

enum violation_rule policy_violation_rule(const struct policy *p)
{
	return p->violations;
}

const char *violation_rule_name(enum violation_rule rule)
{
	static const char *const names[] = { [VIOLATION_IGNORE] = "ignore", [VIOLATION_WARN] = "warn", [VIOLATION_FAIL] = "fail" };

	return (size_t)rule < ARRAY_SIZE(names) ? names[rule] : "unknown";
}

bool violation_rule_from_name(const char *name, enum violation_rule *out)
{
	for (int i = VIOLATION_IGNORE; i <= VIOLATION_FAIL; i++) {
		if (strcmp(name, violation_rule_name((enum violation_rule)i)) == 0) {
			*out = (enum violation_rule)i;
			return true;
		}
	}
	return false;
}

const struct keyring *policy_keyring(const struct policy *p)
{
	return p->keys;
}

void policy_report_clear(struct policy_report *r)
{
	writer_free(&r->text);
	r->text.bad = 0;
	r->errors = r->notes = 0;
}
