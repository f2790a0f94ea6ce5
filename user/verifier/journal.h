/* SPDX-License-Identifier: Apache-2.0 */
/* Events and findings as rows of the open transaction. Sequence numbers have no gaps: what a rollback takes back is
 * given again. */
#pragma once

#include "verifier/stages.h"
#include "verifier/store.h"
#include "wire/block.h"

#define JOURNAL_PATH_MAX 4096u /* bytes of a path that findings and events keep */

struct journal {
	struct store *store; /* borrowed */
	uint64_t last, committed; /* event numbers */
	struct writer body;
};

must_use_ int journal_init(struct journal *j, struct store *store);
void journal_clear(struct journal *j);
static inline void journal_settle(struct journal *j)
{
	j->committed = j->last;
}
static inline void journal_revert(struct journal *j)
{
	j->last = j->committed;
}

/* What an event says beyond its kind; NULL and zero members are left out. */
struct event_facts {
	const struct attester *attester;
	enum reason reason;
	enum severity severity;
	const struct finding_row *finding;
	uint64_t about;
	const char *detail; /* replaces the reason's text */
	struct bytes id, label; /* instead of an attester */
};
must_use_ int journal_event(struct journal *j, const char *kind, const struct event_facts *f, uint64_t now_real);

/* Where a finding comes from. entry NULL: a quote or a list. */
struct finding_source {
	const struct ima_entry *entry;
	const struct ima_fields *fields;
	const struct wire_context *context;
	uint64_t measured_real; /* 0: not known */
	bool proven;
	/* Without an entry: a PCR and its value (its bank's name; both may be empty). */
	bool has_pcr;
	uint32_t pcr;
	struct bytes bank, value;
	const char *detail; /* instead of the reason's text; not stored */
};
/* Stores, counts and reports a finding, unless this boot has it already. Past LIMIT_FINDINGS it is counted only, when its
 * reason was reported already. *fresh may be NULL. */
must_use_ int journal_finding(struct journal *j, struct attester *a, struct boot *b, const struct finding *found,
			      const struct finding_source *source, uint64_t now_real, bool *fresh);
/* Marks findings about entries below b->proven, with an event each. */
must_use_ int journal_prove(struct journal *j, struct attester *a, struct boot *b, uint64_t now_real);
/* Writes one event as a JSON line without the new line, its times filled in; published 0: now. */
void journal_render(struct writer *w, const struct event_row *row, uint64_t published_real);
/* Members of a finding, inside an open JSON object. */
struct json;
void journal_write_finding(struct json *j, const struct finding_row *f);
