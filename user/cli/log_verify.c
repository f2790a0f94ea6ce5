// SPDX-License-Identifier: Apache-2.0
#include "cli/log_verify.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "policy/sigcache.h"

#define ALL_BANKS ((1u << HASH_COUNT) - 1)
#define SIGNATURES_REMEMBERED 65536u

void log_report_clear(struct log_report *r)
{
	free(r->findings);
	writer_free(&r->blob);
	*r = (struct log_report){ 0 };
}

struct bytes log_report_text(const struct log_report *r, struct log_text t)
{
	struct reader all = reader_of(writer_view(&r->blob));

	(void)read_bytes(&all, t.at);
	return read_bytes(&all, t.n);
}

const char *log_verdict_name(enum log_verdict v)
{
	static const char *const names[] = { "trusted", "warning", "untrusted", "unproven" };

	return names[v];
}

static struct log_text keep(struct log_report *r, struct bytes b)
{
	struct log_text t = { r->blob.n, b.n };

	write_bytes(&r->blob, b.p, b.n);
	return t;
}

struct log_finding *log_add_finding(struct log_report *r, enum reason reason, uint64_t entry)
{
	const struct reason_info *info = reason_info(reason);
	struct log_finding *f;

	if (r->n_findings == r->cap_findings) {
		size_t cap = r->cap_findings ? 2 * r->cap_findings : 64;

		f = reallocarray(r->findings, cap, sizeof(*f));
		if (!f) {
			r->blob.bad = -ENOMEM;
			return NULL;
		}
		r->findings = f;
		r->cap_findings = cap;
	}
	f = &r->findings[r->n_findings++];
	*f = (struct log_finding){ .entry = entry, .reason = reason, .severity = info ? info->severity : SEVERITY_FAIL };
	return f;
}

void log_finding_text(struct log_report *r, struct log_finding *f, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!f)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->text = keep(r, (struct bytes){ (const uint8_t *)text, strlen(text) });
}

static void count_template(struct log_report *r, struct bytes name)
{
	for (size_t i = 0; i < r->n_templates; i++) {
		struct log_template *t = &r->templates[i];

		if (strlen(t->name) == name.n && bytes_equal(t->name, name.p, name.n)) {
			t->entries++;
			return;
		}
	}
	if (r->n_templates == LIMIT_TEMPLATES || name.n > LIMIT_TEMPLATE_NAME) {
		r->other_templates++;
		return;
	}
	bytes_copy(r->templates[r->n_templates].name, name.p, name.n);
	r->templates[r->n_templates++].entries = 1;
}

/* "sha256:HEX" */
static struct log_text keep_digest(struct log_report *r, const struct ima_fields *f)
{
	size_t before = r->blob.n;

	write_bytes(&r->blob, f->alg.p, f->alg.n);
	write_u8(&r->blob, ':');
	write_hex(&r->blob, f->digest.p, f->digest.n);
	return (struct log_text){ before, r->blob.n - before };
}

static struct log_finding *add_entry_finding(struct log_report *r, const struct ima_entry *e, const struct ima_fields *fields,
					     const struct finding *judged)
{
	struct log_finding *f = log_add_finding(r, judged->reason, judged->index + 1);

	if (!f)
		return NULL;
	f->severity = judged->severity;
	f->pcr = e->pcr;
	f->template = keep(r, e->name);
	f->has_path = fields->path.p != NULL;
	f->path = keep(r, fields->path);
	f->has_digest = fields->digest.n > 0;
	if (f->has_digest)
		f->digest = keep_digest(r, fields);
	return f;
}

/* The operator's own rule for violations goes before the policy's. */
static size_t judge(const struct log_inputs *in, const struct appraisal *a, const struct ima_entry *e,
		    const struct ima_fields *fields, uint64_t index, struct finding out[4])
{
	enum reason reason = in->violations == VIOLATION_FAIL ? REASON_VIOLATION_REFUSED : REASON_VIOLATION;

	if (!e->violation || !in->violations_given)
		return appraise_entry(a, e, fields, index, out);
	if (in->violations == VIOLATION_IGNORE)
		return 0;
	out[0] = (struct finding){ .index = index, .reason = reason, .severity = reason_info(reason)->severity };
	return 1;
}

/* The fields, or (true) those that the data shows by its form where the template's name, which is not hashed and may have
 * been changed, hides them. What is malformed is left to appraise_entry() to say. */
static bool read_fields(const struct ima_entry *e, struct ima_fields *fields)
{
	if (!ima_fields_parse(e, fields) || e->violation)
		return false;
	if (fields->known && fields->digest.n && fields->path.p)
		return ima_fields_contradict(e, fields, fields);
	return ima_fields_guess(e, fields);
}

/* The custom format that the list's kernel used (ima_template_fmt= is one for all), once it is asked for. */
struct custom_format {
	bool looked;
	char name[LIMIT_TEMPLATE_NAME];
	size_t n;
};

static int find_format(struct bytes bytes, struct custom_format *c)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct ima_fields fields;
	struct ima_entry e;
	int err = ima_list_new(&list, IMA_LIST_DETECT, 0);

	err = err < 0 ? err : ima_list_lend(list, bytes);
	if (err < 0)
		return err;
	c->looked = true;
	while (c->n == 0 && ima_list_next(list, &e) == IMA_LIST_ENTRY) {
		if (e.name.n > sizeof(c->name) || !memchr(e.name.p, '|', e.name.n) || !ima_fields_parse(&e, &fields) || !fields.known)
			continue;
		bytes_copy(c->name, e.name.p, e.name.n);
		c->n = e.name.n;
	}
	return 0;
}

static bool all_zero(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i])
			return false;
	return true;
}

/* No PCR depends on a template's name or on a violation's data: that they were changed shows in their form only. 0 or a
 * negative errno. */
static int judge_unhashed(const struct log_inputs *in, struct log_report *r, const struct ima_entry *e,
			  const struct ima_fields *fields, uint64_t index, struct custom_format *custom)
{
	const struct finding malformed = { .index = index,
					   .reason = REASON_TEMPLATE_MALFORMED,
					   .severity = reason_info(REASON_TEMPLATE_MALFORMED)->severity };
	struct bytes meant;
	struct ima_fields own;
	bool sound = ima_fields_parse(e, &own);
	int err = 0;

	if (e->violation) {
		if (!sound)
			log_finding_text(r, add_entry_finding(r, e, fields, &malformed),
					 "the violation's data, which is not hashed, does not have the template's form");
		else if (!all_zero(own.digest))
			log_finding_text(r, add_entry_finding(r, e, fields, &malformed),
					 "the violation has a digest where the kernel writes zeros: its data, which is not hashed, "
					 "was changed");
	}
	if (sound && own.known)
		return 0;
	if (!custom->looked)
		err = find_format(in->list, custom);
	if (err == 0 && ima_template_misnamed(e, (struct bytes){ (const uint8_t *)custom->name, custom->n }, &meant))
		log_finding_text(r, add_entry_finding(r, e, fields, &malformed),
				 "no template has this name, and the data has the form of %.*s: the name, which is not hashed, was "
				 "changed",
				 (int)meant.n, (const char *)meant.p);
	return err;
}

/* What a list tells of itself, and later entries are judged by. */
struct context {
	struct learned *learned;
	struct sigcache *signatures;
	bool ima_policy;
	struct custom_format custom;
	struct writer aggregate_alg, aggregate; /* of the first entry */
};

static void context_clear(struct context *c)
{
	learned_free(&c->learned);
	sigcache_free(&c->signatures);
	writer_free(&c->aggregate_alg);
	writer_free(&c->aggregate);
}

static int context_open(struct context *c)
{
	int r = learned_new(&c->learned);

	c->aggregate_alg = c->aggregate = WRITER(LIMIT_TEMPLATE_NAME);
	return r < 0 ? r : sigcache_new(&c->signatures, SIGNATURES_REMEMBERED);
}

static int learn(const struct log_inputs *in, struct context *c, struct appraisal *a, const struct ima_entry *e,
		 const struct ima_fields *fields, uint64_t index)
{
	int r = 0;

	if (index == 0 && !e->violation && appraise_is_boot_aggregate(fields)) {
		write_bytes(&c->aggregate_alg, fields->alg.p, fields->alg.n);
		write_bytes(&c->aggregate, fields->digest.p, fields->digest.n);
		a->boot_aggregate_alg = writer_view(&c->aggregate_alg);
		a->boot_aggregate = writer_view(&c->aggregate);
	}
	c->ima_policy |= in->ima_policies && imapolicies_judge(in->ima_policies, e, fields) != IMAPOLICY_NONE;
	if (learned_wants(in->policy, e, fields))
		r = learned_add(c->learned, fields);
	a->learned = learned_count(c->learned) ? learned_keyring(c->learned) : NULL;
	return r < 0 ? r : 0;
}

static int read_unusual(const struct log_inputs *in, struct log_report *r, struct context *context, struct appraisal *a,
			const struct ima_entry *e, uint64_t index)
{
	struct finding judged[5];
	struct ima_fields fields;
	bool by_form = read_fields(e, &fields);
	size_t n = judge(in, a, e, &fields, index, judged);
	int err;

	if (by_form)
		judged[n++] = (struct finding){ .index = index,
						.reason = REASON_TEMPLATE_UNKNOWN,
						.severity = reason_info(REASON_TEMPLATE_UNKNOWN)->severity };
	for (size_t i = 0; i < n; i++)
		(void)add_entry_finding(r, e, &fields, &judged[i]);
	err = judge_unhashed(in, r, e, &fields, index, &context->custom);
	return err == 0 ? learn(in, context, a, e, &fields, index) : err;
}

/* One entry, which is replayed already. */
static int read_entry(const struct log_inputs *in, struct log_report *r, struct context *context, struct appraisal *a,
		      const struct ima_entry *e, uint64_t index)
{
	int err = appraise_is_usual(a, e) ? 0 : read_unusual(in, r, context, a, e, index);

	if (err < 0)
		return err;
	count_template(r, e->name);
	if (r->per_pcr[e->pcr]++ == 0)
		r->first_of_pcr[e->pcr] = index + 1;
	return writer_status(&r->blob);
}

/* The first pass: every entry is counted, replayed and judged. */
static int read_entries(const struct log_inputs *in, struct log_report *r)
{
	cleanup_ima_list_ struct ima_list *list = NULL;
	struct appraisal a = { .policy = in->policy,
			       .keyring = in->keyring,
			       .violations = VIOLATION_WARN,
			       .ima_policies = in->ima_policies,
			       .check_template_hash = true };
	cleanup_(context_clear) struct context context = { .learned = NULL };
	struct policy_hint hints[IMA_BATCH];
	struct ima_entry e[IMA_BATCH];
	enum ima_list_result result;
	int err = ima_list_new(&list, IMA_LIST_DETECT, 0);

	err = err < 0 ? err : ima_list_lend(list, in->list);
	err = err < 0 ? err : context_open(&context);
	if (err < 0)
		return err;
	a.signatures = context.signatures;
	do {
		size_t n = ima_list_batch(list, e, IMA_BATCH, &result);
		uint64_t index = r->replay.entries;

		policy_look_ahead(in->policy, e, n, NULL, hints);
		ima_replay_batch(&r->replay, e, n, ALL_BANKS, NULL);
		policy_look_up_ahead(hints, n);
		for (size_t i = 0; i < n; i++) {
			a.hint = &hints[i];
			err = read_entry(in, r, &context, &a, &e[i], index + i);
			if (err < 0)
				return err;
		}
	} while (result == IMA_LIST_ENTRY);
	r->list = (struct ima_whole_list){ in->list, ima_list_format(list), ima_list_digest_size(list), ima_list_count(list) };
	r->learned_keys = learned_count(context.learned);
	r->signatures_remembered = sigcache_hits(context.signatures);
	if (in->ima_policies && imapolicies_required(in->ima_policies) && !context.ima_policy)
		log_finding_text(r, log_add_finding(r, REASON_IMA_POLICY_UNKNOWN, 0),
				 "rules are required, and no IMA policy is in the list");
	if (result == IMA_LIST_BAD) {
		struct log_finding *f = log_add_finding(r, REASON_LIST_MALFORMED, r->list.entries + 1);

		log_finding_text(r, f, "%s", ima_list_error(list));
		if (r->list.entries == 0)
			r->next = "give a measurement list: a copy of /sys/kernel/security/ima/binary_runtime_measurements, or of the "
				  "ASCII one";
	}
	return 0;
}

static bool is_proven(const struct log_finding *f, const struct log_target_result *t)
{
	return t->matched && f->entry && f->entry <= t->at_entry && t->pcrs & 1u << f->pcr;
}

static void conclude(struct log_report *r)
{
	uint64_t proven = 0;

	if (r->quote.matched)
		proven = r->quote.at_entry;
	if (r->expected.matched)
		proven = MAX(proven, r->expected.at_entry);
	r->unproven = r->list.entries - MIN(proven, r->list.entries);
	for (size_t i = 0; i < r->n_findings; i++) {
		struct log_finding *f = &r->findings[i];

		f->proven = f->reason != REASON_LIST_MALFORMED && f->reason != REASON_PCR_UNCOVERED &&
			    (is_proven(f, &r->quote) || is_proven(f, &r->expected));
		if (f->severity == SEVERITY_FAIL)
			r->failures++;
		else if (f->severity == SEVERITY_WARNING)
			r->warnings++;
	}
	if (r->failures)
		r->verdict = LOG_UNTRUSTED;
	else if (proven == 0)
		r->verdict = LOG_UNPROVEN;
	else
		r->verdict = r->warnings ? LOG_WARNING : LOG_TRUSTED;
}

int log_verify(const struct log_inputs *in, struct log_report *r)
{
	int err;

	r->blob = WRITER((size_t)LIMIT_LIST_FILE);
	ima_replay_init(&r->replay);
	err = read_entries(in, r);
	err = err < 0 ? err : log_compare(in, r);
	err = err < 0 ? err : writer_status(&r->blob);
	if (err < 0)
		return err;
	conclude(r);
	return 0;
}
