// SPDX-License-Identifier: Apache-2.0
/* Attesters and boots as rows of the store, written when they say something new. */
#include "imastream/limits.h"
#include "verifier/fleet.h"

#define LEARNED_MAX (LIMIT_LEARNED_BYTES + LIMIT_LEARNED_KEYS * (6 + HASH_MAX_SIZE)) /* learned_save() */

struct attester_row fleet_row(const struct attester *a)
{
	struct attester_row row = {
		.label = { (const uint8_t *)a->label, strlen(a->label) },
		.kernel = { (const uint8_t *)a->kernel, strlen(a->kernel) },
		.status = a->status,
		.changed_real = a->changed_real,
		.enrolled_real = a->enrolled_real,
		.deadline_real = a->deadline_real,
		.last_quote_real = a->last_quote_real,
		.quotes = a->quotes,
		.heartbeat_quotes = a->heartbeat_quotes,
		.bytes_in = a->bytes_in,
		.bytes_out = a->bytes_out,
		.boots = a->boots,
		.list_length = a->list_length,
		.boot = a->boot ? a->boot->number : 0,
		.claimed = a->claimed ? a->claimed->number : 0,
		.state = a->state,
		.state_reason = a->state_reason,
		.stale = a->stale,
		.label_given = a->label_given,
		.judged = { a->judged, sizeof(a->judged) },
	};

	bytes_copy(row.id, a->id, sizeof(row.id));
	bytes_copy(row.ak_name, a->ak_name, sizeof(row.ak_name));
	return row;
}

static int save_boot(struct fleet *f, const struct attester *a, const struct boot *b)
{
	uint8_t aggregate[1 + HASH_MAX_SIZE] = { (uint8_t)b->boot_aggregate.alg };
	cleanup_writer_ struct writer learned = WRITER(LEARNED_MAX);
	struct boot_row row = {
		.number = b->number,
		.reset_count = b->reset_count,
		.restart_count = b->restart_count,
		.bank = b->bank,
		.form = b->form,
		.first_fail = b->first_fail,
		.first_warning = b->first_warning,
		.uncovered = b->uncovered,
		.clock_ms = b->clock_ms,
		.next = b->next,
		.proven = b->proven,
		.fails = b->fails,
		.warnings = b->warnings,
		.unproven_findings = b->unproven_findings,
		.reasons = { b->reasons[0], b->reasons[1] },
		.confirmed = b->confirmed,
		.matched = b->matched,
		.base = writer_view(&b->proven_values),
		.proven_pcr10 = { b->proven_pcr10, hash_size(b->bank) },
		.flags = b->flags,
		.boot_values = writer_view(&b->boot_values),
	};

	if (b->learned)
		learned_save(b->learned, &learned);
	if (writer_status(&learned) < 0)
		return writer_status(&learned);
	row.learned = writer_view(&learned);
	bytes_copy(aggregate + 1, b->boot_aggregate.value, b->boot_aggregate.size);
	if (b->boot_aggregate.size)
		row.boot_aggregate = (struct bytes){ aggregate, 1u + b->boot_aggregate.size };
	return f->store->ops->set_boot(f->store, a->id, &row);
}

/* What save_boot() writes, but for the clock of the boot in use: each quote moves it. */
static int add_boot(struct hash *h, const struct boot *b, bool in_use)
{
	cleanup_writer_ struct writer learned = WRITER(LEARNED_MAX);
	const uint64_t numbers[] = { b->number, b->reset_count, b->restart_count, b->bank, b->form, b->first_fail, b->first_warning,
				     b->uncovered, in_use ? 0 : b->clock_ms, b->next, b->proven, b->fails, b->warnings,
				     b->unproven_findings, b->reasons[0], b->reasons[1], b->confirmed, b->matched, b->flags,
				     b->boot_aggregate.alg };

	if (b->learned)
		learned_save(b->learned, &learned);
	hash_add_field(h, numbers, sizeof(numbers));
	hash_add_field(h, b->proven_values.p, b->proven_values.n);
	hash_add_field(h, b->proven_pcr10, hash_size(b->bank));
	hash_add_field(h, b->boot_aggregate.value, b->boot_aggregate.size);
	hash_add_field(h, b->boot_values.p, b->boot_values.n);
	hash_add_field(h, learned.p, learned.n);
	return writer_status(&learned);
}

/* Hash over all that fleet_save_one() would write, but for what each quote changes, and for bytes. */
static int hash_of(const struct attester *a, uint8_t out[WIRE_DIGEST_SIZE])
{
	const bool boot = a->boot && a->boot->loaded, claimed = a->claimed && a->claimed->loaded;
	const uint64_t numbers[] = { a->status, a->changed_real, a->enrolled_real, a->boots, a->list_length, a->state,
				     a->state_reason, a->stale, a->label_given, a->boot ? a->boot->number : 0,
				     a->claimed ? a->claimed->number : 0, boot, claimed };
	struct hash h;
	int r = 0;

	hash_begin(&h, HASH_SHA256);
	hash_add_field(&h, numbers, sizeof(numbers));
	hash_add_field(&h, a->label, strlen(a->label));
	hash_add_field(&h, a->kernel, strlen(a->kernel));
	hash_add_field(&h, a->judged, sizeof(a->judged));
	if (boot)
		r = add_boot(&h, a->boot, true);
	if (r == 0 && claimed)
		r = add_boot(&h, a->claimed, false);
	hash_end(&h, out);
	return r;
}

int fleet_save_one(struct fleet *f, struct attester *a)
{
	struct attester_row row = fleet_row(a);
	uint8_t hash[WIRE_DIGEST_SIZE];
	int r = hash_of(a, hash);

	if (r == 0 && a->saved_quotes == a->quotes && a->saved_deadline == a->deadline_real &&
	    bytes_equal(a->saved, hash, sizeof(hash)))
		return 0;
	/* a boot that is not loaded has not changed but for its counters: the base stays what is stored */
	if (r == 0 && a->boot && a->boot->loaded)
		r = save_boot(f, a, a->boot);
	if (r == 0 && a->claimed && a->claimed->loaded)
		r = save_boot(f, a, a->claimed);
	if (r == 0)
		r = f->store->ops->set_attester(f->store, &row);
	if (r < 0)
		return r;
	bytes_copy(a->saved, hash, sizeof(hash));
	a->saved_quotes = a->quotes;
	a->saved_deadline = a->deadline_real;
	return 0;
}
