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

void policy_image_clear(struct policy_image *image)
{
	free(image->p);
	*image = (struct policy_image){ .p = NULL };
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
	free(last->boot_pcrs);
	policy_image_clear(&last->image);
	free(last);
}

void policy_set_id(struct policy *p, const uint8_t digest[32])
{
	static const char start[] = "sha256:", digits[] = "0123456789abcdef";
	size_t n = sizeof(start) - 1;

	bytes_copy(p->id, start, n);
	for (size_t i = 0; i < 32; i++) {
		p->id[n++] = digits[digest[i] >> 4];
		p->id[n++] = digits[digest[i] & 15];
	}
	p->id[n] = 0;
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

int policy_add_boot_pcr(struct policy *p, enum hash_alg bank, unsigned int pcr, struct bytes value)
{
	struct boot_pcr_value *grown;

	if (policy_boot_pcr_known(p, bank, pcr, value.p))
		return 0;
	if (p->n_boot_pcrs == LIMIT_BOOT_PCR_VALUES)
		return -EMSGSIZE;
	grown = reallocarray(p->boot_pcrs, p->n_boot_pcrs + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->boot_pcrs = grown;
	grown += p->n_boot_pcrs++;
	*grown = (struct boot_pcr_value){ .bank = (uint8_t)bank, .pcr = (uint8_t)pcr };
	bytes_copy(grown->value, value.p, hash_size(bank));
	return 0;
}

uint32_t policy_boot_pcrs(const struct policy *p, enum hash_alg bank)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < p->n_boot_pcrs; i++)
		if (bank == HASH_COUNT || p->boot_pcrs[i].bank == bank)
			mask |= 1u << p->boot_pcrs[i].pcr;
	return mask;
}

bool policy_boot_pcr_known(const struct policy *p, enum hash_alg bank, unsigned int pcr, const uint8_t *value)
{
	for (size_t i = 0; i < p->n_boot_pcrs; i++) {
		const struct boot_pcr_value *v = &p->boot_pcrs[i];

		if (v->bank == bank && v->pcr == pcr && bytes_equal(v->value, value, hash_size(bank)))
			return true;
	}
	return false;
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

void policy_report_line(struct policy_report *report, bool error, const struct writer *line)
{
	struct writer *text = &report->text;

	if (!text->max)
		text->max = LIMIT_POLICY_REPORT;
	if (error)
		report->errors++;
	else
		report->notes++;
	if (!line->bad && !text->bad && line->n <= text->max - text->n)
		write_bytes(text, line->p, line->n);
}

void policy_report_clear(struct policy_report *r)
{
	writer_free(&r->text);
	r->text.bad = 0;
	r->errors = r->notes = 0;
}
