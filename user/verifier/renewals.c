// SPDX-License-Identifier: Apache-2.0
/* Renewals: quotes that prove what the one before them had proven, from a fleet at rest nearly all. In their places, the rows
 * of attester, boot and quote would each be another page of the database: what a quote costs would grow with the fleet. So
 * they are stored in the order in which they come, as rows of one table, each with all that it changes. The oldest are folded as
 * new ones come: dropped when a newer one of their attester is stored, and that is usual, for as many are kept as the fleet
 * sends in two rounds; else brought into the rows (store.h, settle_renewal()). At start they are read behind the rows.
 *
 * A renewal counts when it counts more quotes than the row of its attester: a row that was written later has what it says. Behind
 * a renewal there is always a quote in its place, of the same session: what a session says once (its PCRs) is only there. */
#include "verifier/fleet.h"

#define KEPT_LEAST 4096u
#define KEPT_OF_EACH 2u
#define FOLD_MOST 512u /* in a transaction; twice what a batch of requests adds */

int fleet_keep_quote(struct fleet *f, struct session *s, const struct quote_row *row)
{
	struct attester *a = s->attester;
	struct renewal_row renewal = { .seq = f->renewals.next, .enrolled_real = a->enrolled_real,
				       .deadline_real = a->deadline_real, .quotes = a->quotes,
				       .heartbeat_quotes = a->heartbeat_quotes, .bytes_in = a->bytes_in,
				       .bytes_out = a->bytes_out, .boot = s->boot->number, .quote = *row };
	int r;

	if (s->boot != a->boot || s->kept_boot != s->boot->number || s->kept_proven != row->proven) {
		r = f->store->ops->set_quote(f->store, a->id, s->boot->number, row);
		s->kept_boot = s->boot->number;
		s->kept_proven = row->proven;
		return r;
	}
	bytes_copy(renewal.attester, a->id, sizeof(renewal.attester));
	r = f->store->ops->add_renewal(f->store, &renewal);
	if (r < 0)
		return r;
	f->renewals.next++;
	a->renewal = renewal.seq;
	a->saved_quotes = a->quotes;
	a->saved_deadline = a->deadline_real;
	return 0;
}

/* --- at the old end ---- */

struct fold {
	const struct fleet *fleet;
	uint64_t newest[FOLD_MOST]; /* to be settled */
	size_t n;
};

static int look_at(void *user, const struct renewal_row *row)
{
	struct fold *g = user;
	const struct attester *a = idmap_get(&g->fleet->by_id, row->attester);

	/* one that is not in memory was forgotten or could not be read: the store knows */
	if ((!a || a->renewal == row->seq) && g->n < FOLD_MOST)
		g->newest[g->n++] = row->seq;
	return 0;
}

int renewals_fold(struct fleet *f)
{
	const struct store_ops *ops = f->store->ops;
	struct fold g = { .fleet = f };
	uint64_t stored = f->renewals.next - f->renewals.first;
	uint64_t kept = MAX((uint64_t)KEPT_LEAST, (uint64_t)KEPT_OF_EACH * f->by_id.count), last;
	int r;

	if (stored <= kept)
		return 0;
	last = f->renewals.first + MIN(stored - kept, (uint64_t)FOLD_MOST) - 1;
	r = ops->each_renewal(f->store, f->renewals.first, last, look_at, &g);
	for (size_t i = 0; r == 0 && i < g.n; i++)
		r = ops->settle_renewal(f->store, g.newest[i]);
	if (r == 0)
		r = ops->drop_renewals(f->store, last);
	if (r == 0)
		f->renewals.first = last + 1;
	return r;
}

/* --- to memory ---- */

struct loading_renewals {
	struct fleet *fleet;
	const struct instant *now;
	const uint8_t *only; /* NULL: all */
};

static int load_row(void *user, const struct renewal_row *row)
{
	const struct loading_renewals *l = user;
	struct fleet *f = l->fleet;
	struct attester *a = idmap_get(&f->by_id, row->attester);

	if (!l->only) {
		if (!f->renewals.first)
			f->renewals.first = row->seq;
		f->renewals.next = row->seq + 1;
	}
	if (!a || (l->only && !bytes_equal(l->only, row->attester, sizeof(row->attester))))
		return 0;
	if (a->enrolled_real != row->enrolled_real || row->quotes < a->quotes)
		return 0;
	a->renewal = row->seq;
	if (a->boot && a->boot->number == row->boot)
		a->boot->clock_ms = MAX(a->boot->clock_ms, row->quote.clock_ms);
	if (row->quotes == a->quotes) /* the row was written with it, or later */
		return 0;
	a->quotes = row->quotes;
	a->heartbeat_quotes = row->heartbeat_quotes;
	a->bytes_in = row->bytes_in;
	a->bytes_out = row->bytes_out;
	a->last_quote_real = row->quote.received_real;
	fleet_set_deadline(f, a, row->deadline_real, l->now);
	return 0;
}

int renewals_load(struct fleet *f, const struct instant *now)
{
	struct loading_renewals l = { .fleet = f, .now = now };
	int r;

	f->renewals = (struct renewals){ 0 };
	r = f->store->ops->each_renewal(f->store, 1, UINT64_MAX, load_row, &l);
	if (!f->renewals.first)
		f->renewals = (struct renewals){ .first = 1, .next = 1 };
	f->renewals_committed = f->renewals;
	return r;
}

int renewals_load_one(struct fleet *f, const uint8_t *id, uint64_t seq, const struct instant *now)
{
	struct loading_renewals l = { .fleet = f, .now = now, .only = id };

	return f->store->ops->each_renewal(f->store, seq, seq, load_row, &l);
}
