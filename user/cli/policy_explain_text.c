// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_explain.h"
#include "policy/inspect.h"

#define SHOWN_NAME 500u
#define SHOWN_DIGESTS 20u
#define INDENT 7

/* Numbers: docs/policy.md, "Order of judgement". */
static const struct {
	const char *name;
	const char *question;
} steps[APPRAISAL_STEPS] = {
	[APPRAISAL_TEMPLATE_HASH] = { "template-hash", "hash of the entry" },
	[APPRAISAL_VIOLATION] = { "violation", "violation" },
	[APPRAISAL_FORM] = { "form", "template's form" },
	[APPRAISAL_DENY] = { "deny", "deny list" },
	[APPRAISAL_TEMPLATE] = { "template", "template's fields" },
	[APPRAISAL_BUFFER] = { "buffer", "measured buffer" },
	[APPRAISAL_NO_REFERENCE] = { "no-reference", "reference values" },
	[APPRAISAL_BOOT_AGGREGATE] = { "boot-aggregate", "boot_aggregate" },
	[APPRAISAL_EXCLUDES] = { "excludes", "exclude rules" },
	[APPRAISAL_DIGEST] = { "digest", "digests of the path" },
	[APPRAISAL_SIGNATURE] = { "signature", "signature" },
	[APPRAISAL_NOTHING_VOUCHED] = { "nothing-vouched", "result" },
};

static void write_digest(struct writer *w, const char *alg, struct bytes digest)
{
	write_fmt(w, "%s:", alg ? alg : "?");
	write_hex(w, digest.p, digest.n);
}

/* ---- what the policy knows ---- */

struct known {
	struct writer *w; /* text, or NULL */
	struct json *j;	  /* JSON, or NULL */
	size_t n;
};

static int one_known(void *user, const struct policy_item *item)
{
	struct known *k = user;
	cleanup_writer_ struct writer text = WRITER(512);
	const char *s;

	if (!item->alg)
		return 0;
	k->n++;
	if (!k->j && k->n > SHOWN_DIGESTS)
		return 0;
	write_digest(&text, item->alg, item->digest);
	s = writer_cstr(&text);
	if (k->j)
		jw_string(k->j, NULL, s);
	else if (k->w)
		write_fmt(k->w, "      %s\n", s ? s : "");
	return 0;
}

/* How many digests a name has; they are written where there is room for them. */
static size_t known_digests(const struct explain *x, enum policy_section section, struct bytes name, struct writer *w, struct json *j)
{
	struct known k = { w, j, 0 };

	(void)!policy_each_of(x->policy, section, name, one_known, &k);
	if (w && k.n > SHOWN_DIGESTS)
		write_fmt(w, "      and %zu more\n", k.n - SHOWN_DIGESTS);
	return k.n;
}

static void write_rule(const struct explain *x, struct writer *w, size_t rule)
{
	write_fmt(w, "rule %zu of %zu, ", rule + 1, policy_exclude_count(x->policy));
	write_quoted(w, policy_exclude_rule(x->policy, rule), SHOWN_NAME);
}

static const enum policy_section named_sections[] = { POLICY_DIGESTS, POLICY_KEYRINGS, POLICY_BUFFERS };

static void name_json(struct explain *x, struct bytes name)
{
	size_t rule;

	jw_object(&x->json, "name");
	jw_bytes(&x->json, "name", name);
	for (size_t i = 0; i < ARRAY_SIZE(named_sections); i++) {
		jw_array(&x->json, policy_section_name(named_sections[i]));
		(void)known_digests(x, named_sections[i], name, NULL, &x->json);
		jw_array_end(&x->json);
	}
	if (policy_excluded_by(x->policy, name, &rule)) {
		jw_object(&x->json, "excluded_by");
		jw_u64(&x->json, "rule", rule + 1);
		jw_bytes(&x->json, "text", policy_exclude_rule(x->policy, rule));
		jw_object_end(&x->json);
	} else {
		jw_null(&x->json, "excluded_by");
	}
	jw_object_end(&x->json);
}

void explain_name(struct explain *x, struct bytes name)
{
	bool any = false;
	size_t rule;

	if (x->as_json) {
		name_json(x, name);
		return;
	}
	write_fmt(&x->out, "%s", style_on(STYLE_BOLD));
	write_quoted(&x->out, name, SHOWN_NAME);
	write_fmt(&x->out, "%s\n", style_off());
	for (size_t i = 0; i < ARRAY_SIZE(named_sections); i++) {
		cleanup_writer_ struct writer list = WRITER(65536);
		size_t n = known_digests(x, named_sections[i], name, &list, NULL);
		const char *text = writer_cstr(&list);

		if (n)
			write_fmt(&x->out, "  known in %s, %zu %s:\n%s", policy_section_name(named_sections[i]), n,
				  n == 1 ? "digest" : "digests", text ? text : "");
		any |= n > 0;
	}
	if (policy_excluded_by(x->policy, name, &rule)) {
		write_fmt(&x->out, "  excluded by ");
		write_rule(x, &x->out, rule);
		write_fmt(&x->out, ": any content is taken, with a warning\n");
	} else if (!any) {
		write_fmt(&x->out, "  not known, and no exclude rule covers it: only a signature could vouch for it\n");
	}
}

/* ---- a digest ---- */

struct places {
	struct explain *x;
	const char *alg;
	struct bytes digest;
	size_t n;
};

static int one_place(void *user, const struct policy_item *item)
{
	struct places *p = user;
	struct writer *w = &p->x->out;
	bool denied = item->section == POLICY_DENY && item->name.n == p->digest.n &&
		      bytes_equal(item->name.p, p->digest.p, p->digest.n);

	if (!denied && !(item->alg && item->digest.n == p->digest.n && bytes_equal(item->digest.p, p->digest.p, p->digest.n)))
		return 0;
	p->n++;
	if (p->x->as_json) {
		jw_object(&p->x->json, NULL);
		jw_string(&p->x->json, "member", policy_section_name(item->section));
		if (denied)
			jw_null(&p->x->json, "name");
		else
			jw_bytes(&p->x->json, "name", item->name);
		jw_string(&p->x->json, "algorithm", denied ? NULL : item->alg);
		jw_object_end(&p->x->json);
	} else if (denied) {
		write_fmt(w, "  %son the deny list%s: refused whatever it is called\n", style_on(STYLE_BAD), style_off());
	} else if (p->n <= SHOWN_DIGESTS) {
		write_fmt(w, "  %s as %s: ", policy_section_name(item->section), item->alg);
		write_quoted(w, item->name, SHOWN_NAME);
		write_u8(w, '\n');
	}
	return 0;
}

int explain_digest(struct explain *x, const char *alg, struct bytes digest)
{
	struct places p = { x, alg, digest, 0 };
	int r;

	if (x->as_json) {
		jw_object(&x->json, "digest");
		jw_string(&x->json, "algorithm", alg);
		jw_hex(&x->json, "digest", digest.p, digest.n);
		jw_array(&x->json, "places");
	} else {
		write_fmt(&x->out, "%s", style_on(STYLE_BOLD));
		write_digest(&x->out, alg, digest);
		write_fmt(&x->out, "%s\n", style_off());
	}
	r = policy_each(x->policy, one_place, &p);
	if (x->as_json) {
		jw_array_end(&x->json);
		jw_object_end(&x->json);
	} else if (!p.n) {
		write_fmt(&x->out, "  not known under any name\n");
	} else if (p.n > SHOWN_DIGESTS) {
		write_fmt(&x->out, "  and %zu more\n", p.n - SHOWN_DIGESTS);
	}
	return r;
}

/* ---- an entry ---- */

struct told {
	struct explain *x;
	const struct ima_entry *e;
	const struct appraisal_trace *t;
	const struct finding *findings;
	size_t n_findings;
};

static bool found(const struct told *t, enum reason reason)
{
	for (size_t i = 0; i < t->n_findings; i++)
		if (t->findings[i].reason == reason)
			return true;
	return false;
}

static const char *signature_text(const struct appraisal_trace *t)
{
	if (!t->fields.sig.n)
		return "the entry has none";
	switch (t->signature) {
	case IMASIG_OK:
		return "verifies: vouched for";
	case IMASIG_MALFORMED:
		return "has no known form";
	case IMASIG_KEY_UNKNOWN:
		return "by a key that is not known";
	case IMASIG_INVALID:
		return "does not verify";
	case IMASIG_PORTABLE:
		return "EVM's portable form: as good as none";
	}
	return "not checked";
}

static void digest_text(const struct told *t, struct writer *w, bool decided)
{
	size_t n = known_digests(t->x, POLICY_DIGESTS, t->t->fields.path, NULL, NULL);

	if (decided)
		write_fmt(w, "one of %zu known: vouched for", n);
	else if (!n)
		write_fmt(w, "the policy does not know this path");
	else
		write_fmt(w, "%zu known, this is none of them", n);
}

static void step_text(const struct told *t, enum appraisal_step step, bool decided, struct writer *w)
{
	const struct policy *p = t->x->policy;
	size_t rule;

	switch (step) {
	case APPRAISAL_TEMPLATE_HASH:
		write_fmt(w, "%s", found(t, REASON_TEMPLATE_HASH) ? "is not what the list says" : "is what the list says");
		break;
	case APPRAISAL_VIOLATION:
		if (decided)
			write_fmt(w, "yes: violations are \"%s\"", violation_rule_name(policy_violation_rule(p)));
		else
			write_fmt(w, "no");
		break;
	case APPRAISAL_FORM:
		write_fmt(w, "%s", decided ? "not what the template's name says" : "sound");
		break;
	case APPRAISAL_DENY:
		write_fmt(w, "%s (%zu %s)", decided ? "the digest is on it" : "not on it", policy_deny_count(p),
			  policy_deny_count(p) == 1 ? "digest" : "digests");
		break;
	case APPRAISAL_TEMPLATE:
		write_fmt(w, "%s", decided ? "neither digest nor path" :
				   found(t, REASON_TEMPLATE_UNKNOWN) ? "by their form: the name does not tell" : "known");
		break;
	case APPRAISAL_BUFFER:
		write_fmt(w, "%s", found(t, REASON_BUFFER_UNKNOWN) ? "not known under this name" :
				   found(t, REASON_EXCLUDED) ? "its name is excluded" : "known, or a key of an ignored keyring");
		break;
	case APPRAISAL_NO_REFERENCE:
		write_fmt(w, "%s", decided ? "none: nothing more is judged" : t->x->keyring || t->x->learned || policy_keyring(p) ? "policy and keys" : "policy");
		break;
	case APPRAISAL_BOOT_AGGREGATE:
		write_fmt(w, "%s", decided ? "the first entry: the quoted boot PCRs prove it" : "no, or the policy has it");
		break;
	case APPRAISAL_EXCLUDES:
		if (decided && policy_excluded_by(p, t->t->fields.path, &rule))
			write_rule(t->x, w, rule);
		else
			write_fmt(w, "none of %zu covers the path", policy_exclude_count(p));
		break;
	case APPRAISAL_DIGEST:
		digest_text(t, w, decided);
		break;
	case APPRAISAL_SIGNATURE:
		write_fmt(w, "%s", signature_text(t->t));
		break;
	case APPRAISAL_NOTHING_VOUCHED:
		write_fmt(w, "nothing vouched for it");
		break;
	case APPRAISAL_STEPS:
		break;
	}
}

static void entry_json(const struct told *t, uint64_t number)
{
	struct json *j = &t->x->json;

	jw_object(j, NULL);
	if (number)
		jw_u64(j, "entry", number);
	else
		jw_null(j, "entry");
	jw_bytes(j, "template", t->e->name);
	jw_bytes(j, "path", t->t->fields.path);
	jw_bytes(j, "algorithm", t->t->fields.alg);
	jw_hex(j, "digest", t->t->fields.digest.p, t->t->fields.digest.n);
	jw_array(j, "steps");
	for (size_t i = 0; i < t->t->n; i++) {
		cleanup_writer_ struct writer text = WRITER(65536);
		bool decided = t->t->steps[i].answer == APPRAISAL_DECIDED;

		step_text(t, t->t->steps[i].step, decided, &text);
		jw_object(j, NULL);
		jw_u64(j, "step", t->t->steps[i].step);
		jw_string(j, "name", steps[t->t->steps[i].step].name);
		jw_bool(j, "decided", decided);
		jw_string(j, "text", writer_cstr(&text));
		jw_object_end(j);
	}
	jw_array_end(j);
	jw_array(j, "known");
	(void)known_digests(t->x, POLICY_DIGESTS, t->t->fields.path, NULL, j);
	jw_array_end(j);
	jw_array(j, "findings");
	for (size_t i = 0; i < t->n_findings; i++) {
		jw_object(j, NULL);
		jw_string(j, "reason", reason_name(t->findings[i].reason));
		jw_string(j, "severity", severity_name(t->findings[i].severity));
		jw_object_end(j);
	}
	jw_array_end(j);
	jw_object_end(j);
}

/* Words in lines of 80 columns; the first line has `column` used up, the others start at INDENT. */
static void wrapped(struct writer *w, const char *text, size_t column)
{
	while (*text) {
		size_t n = strcspn(text, " ");

		if (column > INDENT && column + 1 + n > 79) {
			write_fmt(w, "\n%*s", INDENT, "");
			column = INDENT;
		} else if (column > INDENT) {
			write_u8(w, ' ');
			column++;
		}
		write_bytes(w, text, n);
		column += n;
		text += n + strspn(text + n, " ");
	}
}

static void findings_text(const struct told *t)
{
	struct writer *w = &t->x->out;

	for (size_t i = 0; i < t->n_findings; i++) {
		const struct reason_info *info = reason_info((unsigned int)t->findings[i].reason);

		write_fmt(w, "  %s%s%s %s\n", style_on(style_of_severity(t->findings[i].severity)),
			  t->findings[i].severity == SEVERITY_FAIL ? "FAIL" : "warn", style_off(), reason_name(t->findings[i].reason));
		if (!info)
			continue;
		write_fmt(w, "%*s", INDENT, "");
		wrapped(w, info->text, INDENT);
		write_fmt(w, ".\n%*s%sWhat to do:%s", INDENT, "", style_on(STYLE_DIM), style_off());
		wrapped(w, info->remedy, INDENT + 11);
		write_fmt(w, ".\n");
	}
	if (!t->n_findings)
		write_fmt(w, "  %sfine%s\n", style_on(STYLE_GOOD), style_off());
}

static void entry_text(const struct told *t, uint64_t number)
{
	struct writer *w = &t->x->out;

	if (number)
		write_fmt(w, "%sentry %llu%s  ", style_on(STYLE_HEAD), (unsigned long long)number, style_off());
	write_fmt(w, "%s", style_on(STYLE_BOLD));
	write_quoted(w, t->t->fields.path, SHOWN_NAME);
	write_fmt(w, "%s  ", style_off());
	write_quoted(w, t->e->name, 64);
	if (t->t->fields.digest.n) {
		write_fmt(w, "\n  ");
		write_safe(w, t->t->fields.alg);
		write_u8(w, ':');
		write_hex(w, t->t->fields.digest.p, t->t->fields.digest.n);
	}
	write_u8(w, '\n');
	for (size_t i = 0; i < t->t->n; i++) {
		bool decided = t->t->steps[i].answer == APPRAISAL_DECIDED;

		write_fmt(w, "  %s%2d  %-20s ", decided ? style_on(STYLE_BOLD) : "", (int)t->t->steps[i].step,
			  steps[t->t->steps[i].step].question);
		step_text(t, t->t->steps[i].step, decided, w);
		write_fmt(w, "%s\n", decided ? style_off() : "");
		if (t->t->steps[i].step == APPRAISAL_DIGEST && !decided)
			(void)known_digests(t->x, POLICY_DIGESTS, t->t->fields.path, w, NULL);
	}
	findings_text(t);
}

void explain_entry(struct explain *x, const struct ima_entry *e, uint64_t index, uint64_t number, bool with_hash)
{
	struct appraisal_trace trace = { .n = 0 };
	struct appraisal a = { .policy = x->policy, .keyring = x->keyring, .learned = x->learned,
			       .check_template_hash = with_hash, .trace = &trace };
	struct finding findings[4];
	struct told t = { x, e, &trace, findings, appraise_entry(&a, e, NULL, index, findings) };

	x->judged++;
	for (size_t i = 0; i < t.n_findings; i++) {
		if (findings[i].severity == SEVERITY_FAIL) {
			x->failed++;
			break;
		}
	}
	if (x->as_json)
		entry_json(&t, number);
	else
		entry_text(&t, number);
}
