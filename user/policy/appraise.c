// SPDX-License-Identifier: Apache-2.0
/* Judges one entry. The order of judgement is written down in docs/policy.md; keep the two together. */
#include "policy/imapolicy.h"
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

/* For the trace only: changes nothing. */
static void trace_step(const struct judgement *j, enum appraisal_step s, bool decided)
{
	struct appraisal_trace *t = j->a->trace;

	if (t->n == ARRAY_SIZE(t->steps))
		return;
	t->steps[t->n].step = s;
	t->steps[t->n++].answer = decided ? APPRAISAL_DECIDED : APPRAISAL_PASSED_ON;
	if (j->f)
		t->fields = *j->f;
}

static inline void step(const struct judgement *j, enum appraisal_step s, bool decided)
{
	if (j->a->trace)
		trace_step(j, s, decided);
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

/* Where nearly all templates have digest and path: the second with its NUL. */
static void likely_fields(struct bytes data, struct bytes *digest, struct bytes *path)
{
	struct reader r = reader_of(data);

	*digest = read_bytes(&r, read_u32le(&r));
	*path = read_bytes(&r, read_u32le(&r));
	path->n -= path->n ? 1 : 0;
}

static void ask_for_two(const struct policy *p, struct policy_hint *a, struct policy_hint *b)
{
	const struct bytes paths[2] = { a->path, b->path };
	uint64_t hash[2];

	table_hash_two(&p->table, TABLE_FILES, paths, hash);
	a->hash = hash[0];
	b->hash = hash[1];
	table_ask_slot(&p->table, hash[0]);
	table_ask_slot(&p->table, hash[1]);
}

void policy_look_ahead(const struct policy *p, const struct ima_entry *e, size_t n, const bool *listed, struct policy_hint *out)
{
	struct policy_hint *one = NULL;

	for (size_t i = 0; i < n; i++) {
		out[i].policy = p;
		out[i].hash = out[i].slot = 0;
		likely_fields(e[i].data, &out[i].digest, &out[i].path);
		if (listed && listed[i])
			continue;
		out[i].digest.n = 0;
		if (!p)
			continue;
		if (one)
			ask_for_two(p, one, &out[i]);
		one = one ? NULL : &out[i];
	}
	if (one)
		ask_for_two(p, one, one);
	for (size_t i = 0; p && i < n; i++)
		if (!out[i].digest.n)
			out[i].slot = table_ask_record(&p->table, out[i].hash);
}

void policy_look_up_ahead(const struct policy_hint *hints, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (hints[i].policy && hints[i].slot)
			memory_fetch(table_record_start(&hints[i].policy->table, hints[i].slot));
}

static bool hint_is_of(const struct judgement *j, enum table_section section)
{
	const struct policy_hint *hint = j->a->hint;

	return section == TABLE_FILES && hint && hint->policy == j->a->policy && hint->path.p == j->f->path.p &&
	       hint->path.n == j->f->path.n;
}

/* The hint is of this very digest, with its algorithm: in the first field, and all of it. */
static bool hint_says_listed(const struct policy_hint *hint, const struct ima_fields *f)
{
	return hint->digest.n && hint->digest.p == f->alg.p && hint->digest.n == f->alg.n + 2 + f->digest.n;
}

/* REASON_NONE when the policy knows the digest under this name. */
static enum reason look_up(const struct judgement *j, enum table_section section)
{
	const struct table *t = &j->a->policy->table;
	const struct policy_hint *hint = hint_is_of(j, section) ? j->a->hint : NULL;
	bool asked = hint && !hint->digest.n;
	uint64_t hash;

	if (hint && hint_says_listed(hint, j->f))
		return REASON_NONE;
	hash = asked ? hint->hash : table_hash(t, section, j->f->path);
	switch (table_find_asked(t, hash, asked ? hint->slot : 0, section, j->f->path, file_alg_from_name(j->f->alg), j->f->digest)) {
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

	step(j, p ? APPRAISAL_BUFFER : APPRAISAL_NO_REFERENCE, true);
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

/* The verifier's keys, the policy's, then those learned from the list. */
static enum imasig_outcome check_signature(const struct judgement *j)
{
	const struct keyring *rings[] = { j->a->keyring, j->a->policy ? j->a->policy->keys : NULL, j->a->learned };
	enum imasig_outcome worst = IMASIG_KEY_UNKNOWN;

	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		enum imasig_outcome outcome;

		if (!rings[i])
			continue;
		outcome = imasig_verify_cached(rings[i], j->a->signatures, j->f->sig, j->f->alg, j->f->digest,
					       j->f->kind == IMA_DIGEST_VERITY);
		if (outcome == IMASIG_OK)
			return IMASIG_OK;
		if (outcome != IMASIG_KEY_UNKNOWN)
			worst = outcome;
	}
	return worst;
}

/* An appended signature vouches as well. Only under the template's own name: a format string could point at fields whose
 * bytes the host chooses. */
static bool check_modsig(const struct judgement *j, const struct ima_entry *e)
{
	static const uint8_t name[] = "ima-modsig";
	const struct keyring *rings[] = { j->a->keyring, j->a->policy ? j->a->policy->keys : NULL, j->a->learned };

	if (!j->f->modsig.n || e->name.n != sizeof(name) - 1 || !bytes_equal(e->name.p, name, e->name.n))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(rings); i++)
		if (rings[i] && modsig_verify(rings[i], j->a->signatures, j->f->modsig, j->f->modsig_alg, j->f->modsig_digest) == IMASIG_OK)
			return true;
	return false;
}

static bool bytes_same(struct bytes a, struct bytes b)
{
	return a.n == b.n && bytes_equal(a.p, b.p, a.n);
}

bool appraise_is_boot_aggregate(const struct ima_fields *f)
{
	static const uint8_t name[] = "boot_aggregate";

	return bytes_same(f->path, (struct bytes){ name, sizeof(name) - 1 });
}

/* Its truth comes from the quoted boot PCRs. Only the first entry, and after a kexec a later one that says the same: others
 * of that name can be files (IMA falls back to a file's last name when its path is too long). */
static bool is_aggregate(const struct judgement *j)
{
	const struct appraisal *a = j->a;

	return appraise_is_boot_aggregate(j->f) &&
	       (j->index == 0 || (a->boot_aggregate.n && bytes_same(a->boot_aggregate_alg, j->f->alg) &&
				  bytes_same(a->boot_aggregate, j->f->digest)));
}

static void judge_file(struct judgement *j, const struct ima_entry *e)
{
	const struct policy *p = j->a->policy;
	bool signatures = j->a->keyring || j->a->learned || (p && p->keys);
	enum imasig_outcome signature = IMASIG_PORTABLE; /* as good as none */
	enum reason digest = REASON_NONE;

	step(j, APPRAISAL_NO_REFERENCE, !p && !signatures);
	if (!p && !signatures)
		return;
	if (!(p && p->boot_aggregate) && is_aggregate(j)) {
		step(j, APPRAISAL_BOOT_AGGREGATE, true);
		return;
	}
	step(j, APPRAISAL_BOOT_AGGREGATE, false);
	if (p && exclude_matches(p->excludes, j->f->path)) {
		step(j, APPRAISAL_EXCLUDES, true);
		found(j, REASON_EXCLUDED);
		return;
	}
	step(j, APPRAISAL_EXCLUDES, false);
	if (p) {
		digest = look_up(j, TABLE_FILES);
		step(j, APPRAISAL_DIGEST, digest == REASON_NONE);
		if (digest == REASON_NONE) {
			vouched(j);
			return;
		}
	}
	if (signatures && j->f->sig.n) {
		signature = check_signature(j);
		if (j->a->trace) {
			j->a->trace->signature_checked = true;
			j->a->trace->signature = signature;
		}
		if (signature == IMASIG_OK) {
			step(j, APPRAISAL_SIGNATURE, true);
			vouched(j);
			return;
		}
	}
	if (signatures && check_modsig(j, e)) {
		step(j, APPRAISAL_SIGNATURE, true);
		vouched(j);
		return;
	}
	if (signatures)
		step(j, APPRAISAL_SIGNATURE, false);
	step(j, APPRAISAL_NOTHING_VOUCHED, true);
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

/* Whether the rules by which this host measures are good enough stands beside what the entry itself is worth. */
static enum imapolicy_answer judge_ima_policy(struct judgement *j, const struct ima_entry *e)
{
	enum imapolicy_answer answer = j->a->ima_policies ? imapolicies_judge(j->a->ima_policies, e, j->f) : IMAPOLICY_NONE;

	if (answer == IMAPOLICY_WEAK)
		found(j, REASON_IMA_POLICY_WEAK);
	return answer;
}

static void judge_content(struct judgement *j, const struct ima_entry *e)
{
	const struct policy *p = j->a->policy;
	struct ima_fields guess;
	bool name_unknown = fields_without_name(j, e, &guess);
	bool judged = j->f->known && j->f->digest.n && j->f->path.p;
	bool denied = p && p->denied && j->f->digest.n && table_has(&p->table, TABLE_DENY, j->f->digest);

	step(j, APPRAISAL_DENY, denied);
	if (!denied)
		step(j, APPRAISAL_TEMPLATE, !judged);
	if (denied)
		found(j, REASON_DENIED);
	else if (judged && j->f->buf.p)
		judge_buffer(j);
	else if (judged)
		judge_file(j, e);
	if (name_unknown)
		found(j, REASON_TEMPLATE_UNKNOWN);
}

size_t appraise_entry(const struct appraisal *a, const struct ima_entry *e, const struct ima_fields *fields, uint64_t index,
		      struct finding out[4])
{
	struct judgement j = { .a = a, .f = fields, .index = index, .out = out };
	enum imapolicy_answer answer;
	struct ima_fields own;

	if (a->trace)
		*a->trace = (struct appraisal_trace){ .n = 0 };
	if (a->check_template_hash) {
		step(&j, APPRAISAL_TEMPLATE_HASH, false);
		if (!ima_digest_matches(e))
			found(&j, REASON_TEMPLATE_HASH);
	}
	step(&j, APPRAISAL_VIOLATION, e->violation);
	if (e->violation) {
		judge_violation(&j);
		return j.n;
	}
	/* The caller's fields do not say whether they are unknown or malformed. */
	if (!fields || !fields->known) {
		if (!ima_fields_parse(e, &own)) {
			step(&j, APPRAISAL_FORM, true);
			found(&j, REASON_TEMPLATE_MALFORMED);
			return j.n;
		}
		j.f = &own;
	}
	step(&j, APPRAISAL_FORM, false);
	answer = judge_ima_policy(&j, e);
	judge_content(&j, e);
	if (answer == IMAPOLICY_UNKNOWN)
		found(&j, REASON_IMA_POLICY_UNKNOWN);
	return j.n;
}
