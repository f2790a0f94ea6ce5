// SPDX-License-Identifier: Apache-2.0
/* What `imastream log verify` says, for machines and for people. */
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/log_verify.h"

#define SHOWN_FINDINGS 20u
#define SHOWN_PATH 160u

/* A template's name as a JSON key: printable ASCII, for the list decoders accept nothing else. */
static const char *json_key(const char *name, char buf[2 * LIMIT_TEMPLATE_NAME + 1])
{
	size_t n = 0;

	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			buf[n++] = '\\';
		buf[n++] = *name;
	}
	buf[n] = 0;
	return buf;
}

static void json_target(struct json *j, const char *key, const struct log_target_result *t)
{
	if (!t->given) {
		jw_null(j, key);
		return;
	}
	jw_object(j, key);
	jw_bool(j, "matched", t->matched);
	jw_string(j, "bank", hash_name(t->bank));
	if (t->matched)
		jw_u64(j, "at_entry", t->at_entry);
	else
		jw_null(j, "at_entry");
	jw_object_end(j);
}

static void json_finding(struct json *j, const struct log_report *r, const struct log_finding *f)
{
	const struct reason_info *info = reason_info(f->reason);

	jw_object(j, NULL);
	if (f->entry)
		jw_u64(j, "entry", f->entry);
	else
		jw_null(j, "entry");
	jw_string(j, "reason", reason_name(f->reason));
	jw_string(j, "severity", severity_name(f->severity));
	if (f->has_path)
		jw_bytes(j, "path", log_report_text(r, f->path));
	else
		jw_null(j, "path");
	if (f->template.n || f->reason == REASON_PCR_UNCOVERED)
		jw_u64(j, "pcr", f->pcr);
	else
		jw_null(j, "pcr");
	if (f->template.n)
		jw_bytes(j, "template", log_report_text(r, f->template));
	else
		jw_null(j, "template");
	if (f->has_digest)
		jw_bytes(j, "digest", log_report_text(r, f->digest));
	else
		jw_null(j, "digest");
	jw_bool(j, "proven", f->proven);
	if (f->text.n)
		jw_bytes(j, "text", log_report_text(r, f->text));
	else
		jw_string(j, "text", info ? info->text : NULL);
	jw_object_end(j);
}

static const char *form_name(enum ima_list_format f)
{
	return f == IMA_LIST_ASCII ? "ascii" : f == IMA_LIST_BINARY ? "binary" : NULL;
}

/* By the digest column's size; NULL when there was no entry to tell. */
static const char *column_name(size_t size)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		if (hash_size(a) == size)
			return hash_name(a);
	return NULL;
}

void log_print_json(struct writer *w, const struct log_report *r)
{
	char key[2 * LIMIT_TEMPLATE_NAME + 1];
	struct json j;

	jw_begin(&j, w, true);
	jw_object(&j, NULL);
	jw_string(&j, "form", form_name(r->list.format));
	jw_string(&j, "template_digest", column_name(r->list.digest_size));
	jw_u64(&j, "entries", r->list.entries);
	jw_u64(&j, "violations", r->replay.violations);
	jw_object(&j, "templates");
	for (size_t i = 0; i < r->n_templates; i++)
		jw_u64(&j, json_key(r->templates[i].name, key), r->templates[i].entries);
	jw_object_end(&j);
	if (r->other_templates)
		jw_u64(&j, "other_templates", r->other_templates);
	jw_object(&j, "pcrs");
	for (unsigned int pcr = 0; pcr <= LIMIT_PCR; pcr++) {
		if (!(r->replay.used & 1u << pcr))
			continue;
		snprintf(key, sizeof(key), "%u", pcr);
		jw_object(&j, key);
		for (enum hash_alg a = 0; a < HASH_COUNT; a++)
			jw_hex(&j, hash_name(a), r->replay.pcr[pcr][a], hash_size(a));
		jw_object_end(&j);
	}
	jw_object_end(&j);
	json_target(&j, "quote", &r->quote);
	json_target(&j, "expected", &r->expected);
	jw_u64(&j, "learned_keys", r->learned_keys);
	jw_u64(&j, "signatures_remembered", r->signatures_remembered);
	jw_u64(&j, "unproven_entries", r->unproven);
	jw_string(&j, "verdict", log_verdict_name(r->verdict));
	jw_array(&j, "findings");
	for (size_t i = 0; i < r->n_findings; i++)
		json_finding(&j, r, &r->findings[i]);
	jw_array_end(&j);
	jw_object_end(&j);
	write_u8(w, '\n');
}

static void label(struct writer *w, const char *text)
{
	write_fmt(w, "  %s%-11s%s", style_on(STYLE_HEAD), text, style_off());
}

static const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void text_counts(struct writer *w, const struct log_report *r)
{
	label(w, "entries");
	write_fmt(w, "%llu, %llu %s", (unsigned long long)r->list.entries, (unsigned long long)r->replay.violations,
		  plural(r->replay.violations, "violation", "violations"));
	if (r->list.entries)
		write_fmt(w, "; %s list, %s template digests", form_name(r->list.format), column_name(r->list.digest_size));
	write_u8(w, '\n');
	if (!r->n_templates)
		return;
	label(w, "templates");
	for (size_t i = 0; i < r->n_templates; i++)
		write_fmt(w, "%s%s %llu", i ? ", " : "", r->templates[i].name, (unsigned long long)r->templates[i].entries);
	if (r->other_templates)
		write_fmt(w, ", others %llu", (unsigned long long)r->other_templates);
	write_u8(w, '\n');
}

static void text_pcrs(struct writer *w, const struct log_report *r)
{
	enum hash_alg bank = r->quote.given ? r->quote.bank : r->expected.given ? r->expected.bank : HASH_SHA256;

	for (unsigned int pcr = 0; pcr <= LIMIT_PCR; pcr++) {
		char name[16];

		if (!(r->replay.used & 1u << pcr))
			continue;
		snprintf(name, sizeof(name), "PCR %u", pcr);
		label(w, name);
		write_fmt(w, "%s:", hash_name(bank));
		write_hex(w, r->replay.pcr[pcr][bank], hash_size(bank));
		write_u8(w, '\n');
	}
}

static void text_target(struct writer *w, const char *name, const struct log_target_result *t, const struct log_report *r)
{
	if (!t->given)
		return;
	label(w, name);
	if (t->matched) {
		write_fmt(w, "%sreached%s after entry %llu of %llu, %s bank", style_on(STYLE_GOOD), style_off(),
			  (unsigned long long)t->at_entry, (unsigned long long)r->list.entries, hash_name(t->bank));
		if (t->at_entry < r->list.entries)
			write_fmt(w, "; %llu behind it not proven", (unsigned long long)(r->list.entries - t->at_entry));
	} else {
		write_fmt(w, "%s%s%s", style_on(STYLE_BAD), t->tried ? "not reached" : "not valid", style_off());
	}
	write_u8(w, '\n');
}

static const char *severity_word(enum severity s)
{
	return s == SEVERITY_FAIL ? "FAIL" : s == SEVERITY_WARNING ? "warn" : "info";
}

static void text_finding(struct writer *w, const struct log_report *r, const struct log_finding *f)
{
	char entry[24] = "list";

	if (strncmp(reason_name(f->reason), "quote-", 6) == 0)
		snprintf(entry, sizeof(entry), "quote");
	if (f->entry)
		snprintf(entry, sizeof(entry), "#%llu", (unsigned long long)f->entry);
	write_fmt(w, "  %s%s%s  %-7s %-21s", style_on(style_of_severity(f->severity)), severity_word(f->severity), style_off(),
		  entry, reason_name(f->reason));
	if (f->template.n)
		write_fmt(w, " pcr%u %-8s", f->pcr, f->proven ? "proven" : "unproven");
	if (f->has_path) {
		write_u8(w, ' ');
		write_quoted(w, log_report_text(r, f->path), SHOWN_PATH);
	}
	if (f->text.n) {
		struct bytes text = log_report_text(r, f->text);

		write_u8(w, ' ');
		write_bytes(w, text.p, text.n);
	}
	write_u8(w, '\n');
}

/* What the reasons that stand without an own text mean, each once. */
static void text_meanings(struct writer *w, const struct log_report *r)
{
	const struct reason_info *info;

	for (unsigned int i = 0; (info = reason_at(i)); i++) {
		size_t n = 0;

		for (size_t k = 0; k < r->n_findings; k++)
			n += r->findings[k].reason == info->number && r->findings[k].text.n == 0;
		if (n)
			write_fmt(w, "  %s%zu x %s: %s%s\n", style_on(STYLE_DIM), n, info->name, info->text, style_off());
	}
}

/* How early a finding is told: failures before warnings, and among equals what concerns the quote or the whole list (its
 * text is made for the case) before single entries. */
#define RANKS 6u
static unsigned int rank(const struct log_finding *f)
{
	return 2 * (SEVERITY_FAIL - f->severity) + (f->text.n == 0 && f->entry != 0);
}

static void text_findings(struct writer *w, const struct log_report *r)
{
	size_t shown = 0;

	if (r->n_findings)
		write_u8(w, '\n');
	for (unsigned int now = 0; now < RANKS; now++) {
		for (size_t i = 0; i < r->n_findings && shown < SHOWN_FINDINGS; i++) {
			if (rank(&r->findings[i]) != now)
				continue;
			text_finding(w, r, &r->findings[i]);
			shown++;
		}
	}
	if (shown < r->n_findings)
		write_fmt(w, "  and %zu more: --json lists all\n", r->n_findings - shown);
	text_meanings(w, r);
}

static const struct log_finding *worst(const struct log_report *r)
{
	const struct log_finding *w = NULL;

	for (size_t i = 0; i < r->n_findings; i++)
		if (!w || rank(&r->findings[i]) < rank(w))
			w = &r->findings[i];
	return w;
}

static void text_verdict(struct writer *w, const struct log_inputs *in, const struct log_report *r)
{
	static const enum cli_style styles[] = { STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_WARN };
	static const char *const words[] = { "TRUSTED", "TRUSTED, with warnings", "UNTRUSTED", "UNPROVEN" };
	const struct log_finding *first = worst(r);

	write_fmt(w, "\n%s%s%s  %zu %s, %zu %s", style_on(styles[r->verdict]), words[r->verdict], style_off(), r->failures,
		  plural(r->failures, "failure", "failures"), r->warnings, plural(r->warnings, "warning", "warnings"));
	if (!in->policy && !in->keyring)
		write_fmt(w, "; what was measured was not judged: no --policy, no --keyring");
	if (r->quote.matched && !r->nonce_checked)
		write_fmt(w, "; when the quote was made is not known: no --nonce");
	write_fmt(w, "\n");
	if (r->verdict == LOG_UNPROVEN && !r->quote.given && !r->expected.given)
		write_fmt(w, "Next: compare it with the TPM: --quote MSG --signature SIG --ak PEM, or --pcr sha256:HEX.\n");
	else if (r->verdict == LOG_UNPROVEN)
		write_fmt(w, "Next: these are the values of a PCR that was never extended, so they prove no entry; look whether IMA "
			     "uses the TPM on that host.\n");
	else if (r->next || (first && reason_info(first->reason)))
		write_fmt(w, "Next: %s.\n", r->next ? r->next : reason_info(first->reason)->remedy);
	if (first)
		write_fmt(w, "      imastream explain %s\n", reason_name(first->reason));
}

void log_print_text(struct writer *w, const char *name, const struct log_inputs *in, const struct log_report *r)
{
	write_quoted(w, (struct bytes){ (const uint8_t *)name, strlen(name) }, SHOWN_PATH);
	write_u8(w, '\n');
	text_counts(w, r);
	text_pcrs(w, r);
	text_target(w, "quote", &r->quote, r);
	text_target(w, "expected", &r->expected, r);
	text_findings(w, r);
	text_verdict(w, in, r);
}
