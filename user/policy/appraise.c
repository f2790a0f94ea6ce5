// SPDX-License-Identifier: Apache-2.0
/* Judges one entry. The order of judgement is written down in docs/policy.md; keep the two together. */
#include "policy/keyring_private.h"
#include "policy/model.h"

#define FINDINGS_MAX 4

struct judgement {
	const struct appraisal *a;
	const struct ima_fields *f;
	uint64_t index;
	struct finding *out;
	size_t n;
};

/* Called in this order only: what fails, then what is a warning. So the worst stands first. */
static void found(struct judgement *j, enum reason reason)
{
	const struct reason_info *info = reason_info((unsigned int)reason);

	if (j->n < FINDINGS_MAX)
		j->out[j->n++] = (struct finding){ j->index, reason, info ? info->severity : SEVERITY_FAIL };
}

static void judge_violation(struct judgement *j)
{
	switch (j->a->policy ? j->a->policy->violations : j->a->violations) {
	case VIOLATION_IGNORE:
		break;
	case VIOLATION_FAIL:
		found(j, REASON_VIOLATION_REFUSED);
		break;
	case VIOLATION_WARN:
	default:
		found(j, REASON_VIOLATION);
		break;
	}
}

/* REASON_NONE when the policy knows the digest under this name. */
static enum reason look_up(const struct judgement *j, enum table_section section)
{
	uint8_t alg = file_alg_from_name(j->f->alg);

	switch (table_find(&j->a->policy->table, section, j->f->path, alg, j->f->digest)) {
	case TABLE_MATCH:
		return REASON_NONE;
	case TABLE_ALGORITHM:
		return REASON_DIGEST_ALGORITHM;
	case TABLE_OTHER:
		return REASON_DIGEST_MISMATCH;
	case TABLE_NO_KEY:
	default:
		return REASON_DIGEST_UNKNOWN;
	}
}

/* Something vouches for the digest: what is that worth? */
static void vouched(struct judgement *j)
{
	if (file_alg_weak(file_alg_from_name(j->f->alg)))
		found(j, REASON_DIGEST_WEAK);
}

/* ima-buf: keys put on keyrings, and other measured buffers (critical data, kexec command lines). */
static void judge_buffer(struct judgement *j)
{
	const struct policy *p = j->a->policy;

	if (!p)
		return;
	if (look_up(j, TABLE_KEYRINGS) == REASON_NONE || look_up(j, TABLE_BUFFERS) == REASON_NONE) {
		vouched(j);
		return;
	}
	if ((p->ignore_all_keyrings || table_has(&p->table, TABLE_IGNORED_KEYRINGS, j->f->path)) && keyring_is_key(j->f->buf))
		return;
	found(j, exclude_matches(p->excludes, j->f->path) ? REASON_EXCLUDED : REASON_BUFFER_UNKNOWN);
}

/* The verifier's keys, then the policy's. */
static enum imasig_outcome check_signature(const struct judgement *j)
{
	const struct keyring *rings[] = { j->a->keyring, j->a->policy ? j->a->policy->keys : NULL };
	enum imasig_outcome worst = IMASIG_KEY_UNKNOWN;

	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		enum imasig_outcome outcome;

		if (!rings[i])
			continue;
		outcome = imasig_verify(rings[i], j->f->sig, j->f->alg, j->f->digest, j->f->kind == IMA_DIGEST_VERITY);
		if (outcome == IMASIG_OK)
			return IMASIG_OK;
		if (outcome != IMASIG_KEY_UNKNOWN)
			worst = outcome;
	}
	return worst;
}

static void judge_file(struct judgement *j)
{
	static const uint8_t boot_aggregate[] = "boot_aggregate";
	const struct policy *p = j->a->policy;
	bool signatures = j->a->keyring || (p && p->keys);
	enum imasig_outcome signature = IMASIG_PORTABLE; /* as good as none */
	enum reason digest = REASON_NONE;

	if (!p && !signatures)
		return;
	/* Its truth comes from the quoted boot PCRs. Only the first entry: later ones of that name can be files (IMA falls
	 * back to a file's last name when its path is too long). */
	if (j->index == 0 && !(p && p->boot_aggregate) && j->f->path.n == sizeof(boot_aggregate) - 1 &&
	    bytes_equal(j->f->path.p, boot_aggregate, j->f->path.n))
		return;
	if (p && exclude_matches(p->excludes, j->f->path)) {
		found(j, REASON_EXCLUDED);
		return;
	}
	if (p) {
		digest = look_up(j, TABLE_FILES);
		if (digest == REASON_NONE) {
			vouched(j);
			return;
		}
	}
	if (signatures && j->f->sig.n) {
		signature = check_signature(j);
		if (signature == IMASIG_OK) {
			vouched(j);
			return;
		}
	}
	if (p)
		found(j, digest);
	if (!signatures)
		return;
	switch (signature) {
	case IMASIG_KEY_UNKNOWN:
		found(j, REASON_SIGNATURE_KEY_UNKNOWN);
		break;
	case IMASIG_INVALID:
		found(j, REASON_SIGNATURE_INVALID);
		break;
	case IMASIG_MALFORMED:
		found(j, REASON_SIGNATURE_MALFORMED);
		break;
	case IMASIG_PORTABLE:
	case IMASIG_OK:
	default:
		if (!p)
			found(j, REASON_SIGNATURE_MISSING);
		break;
	}
}

/* The fields by their form when the template's name gives no digest or no path, or others than the form: the name is not
 * hashed, so whoever holds the list could rename a template to keep its entries from being judged. */
static bool fields_without_name(struct judgement *j, const struct ima_entry *e, struct ima_fields *guess)
{
	if (j->f->known && !j->a->policy && !j->a->keyring)
		return false;
	if (j->f->known && j->f->digest.n && j->f->path.p) {
		if (!ima_fields_contradict(e, j->f, guess))
			return false;
		j->f = guess;
	} else if (ima_fields_guess(e, guess)) {
		j->f = guess;
	}
	return true;
}

static void judge_content(struct judgement *j, const struct ima_entry *e)
{
	const struct policy *p = j->a->policy;
	struct ima_fields guess;
	bool name_unknown = fields_without_name(j, e, &guess);

	if (p && j->f->digest.n && table_has(&p->table, TABLE_DENY, j->f->digest))
		found(j, REASON_DENIED);
	else if (j->f->known && j->f->buf.p && j->f->digest.n && j->f->path.p)
		judge_buffer(j);
	else if (j->f->known && j->f->digest.n && j->f->path.p)
		judge_file(j);
	if (name_unknown)
		found(j, REASON_TEMPLATE_UNKNOWN);
}

size_t appraise_entry(const struct appraisal *a, const struct ima_entry *e, const struct ima_fields *fields, uint64_t index,
		      struct finding out[4])
{
	struct judgement j = { .a = a, .f = fields, .index = index, .out = out };
	struct ima_fields own;

	if (a->check_template_hash && !ima_digest_matches(e))
		found(&j, REASON_TEMPLATE_HASH);
	if (e->violation) {
		judge_violation(&j);
		return j.n;
	}
	/* The caller's fields do not say whether they are unknown or malformed. */
	if (!fields || !fields->known) {
		if (!ima_fields_parse(e, &own)) {
			found(&j, REASON_TEMPLATE_MALFORMED);
			return j.n;
		}
		j.f = &own;
	}
	judge_content(&j, e);
	return j.n;
}
