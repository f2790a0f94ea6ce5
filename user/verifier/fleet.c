// SPDX-License-Identifier: Apache-2.0
#include "verifier/fleet.h"

#include "imastream/limits.h"

int fleet_init(struct fleet *f, struct store *store, uint64_t seed)
{
	*f = (struct fleet){ .store = store };
	idmap_init(&f->by_id, WIRE_DIGEST_SIZE, seed);
	idmap_init(&f->by_ak, 34, seed ^ 0x9e3779b97f4a7c15ull);
	idmap_init(&f->by_session, WIRE_SESSION_SIZE, seed + 1);
	return wire_unpack_new(&f->unpack);
}

void fleet_clear(struct fleet *f)
{
	size_t at = 0;
	struct attester *a;

	while ((a = idmap_next(&f->by_id, &at)))
		attester_free(&a);
	idmap_clear(&f->by_id);
	idmap_clear(&f->by_ak);
	idmap_clear(&f->by_session);
	deadlines_clear(&f->deadlines);
	wire_unpack_free(&f->unpack);
}

/* The AK's name starts with its hash algorithm, always the same: the map mixes the first 8 bytes, 6 of them vary. */
static int fleet_insert(struct fleet *f, struct attester *a)
{
	int r = deadlines_reserve(&f->deadlines, f->by_id.count + 1);

	if (r == 0)
		r = idmap_put(&f->by_id, a->id, a);
	if (r < 0)
		return r;
	r = idmap_put(&f->by_ak, a->ak_name, a);
	if (r < 0)
		idmap_del(&f->by_id, a->id, a);
	return r;
}

static void fleet_remove(struct fleet *f, struct attester *a)
{
	fleet_close_session(f, a, false);
	fleet_close_pending(f, a);
	if (a->has_old)
		idmap_del(&f->by_session, a->old_session, a);
	deadlines_set(&f->deadlines, a, 0);
	idmap_del(&f->by_id, a->id, a);
	idmap_del(&f->by_ak, a->ak_name, a);
}

/* --- rows to memory ---- */

static int boot_from_row(void *user, const struct boot_row *row)
{
	struct boot **out = user, *b;
	struct bytes aggregate = row->boot_aggregate;

	if (row->bank >= HASH_COUNT || row->form > REPLAY_PADDED || row->proven_pcr10.n > HASH_MAX_SIZE ||
	    aggregate.n > 1 + HASH_MAX_SIZE || (aggregate.n && aggregate.p[0] >= HASH_COUNT))
		return -EBADMSG;
	b = boot_new(row->number, (enum hash_alg)row->bank, (enum replay_form)row->form);
	if (!b)
		return -ENOMEM;
	b->reset_count = row->reset_count;
	b->restart_count = row->restart_count;
	b->clock_ms = row->clock_ms;
	b->confirmed = row->confirmed;
	b->matched = row->matched;
	b->next = row->next;
	b->proven = row->proven;
	b->fails = row->fails;
	b->warnings = row->warnings;
	b->unproven_findings = row->unproven_findings;
	b->first_fail = (enum reason)row->first_fail;
	b->first_warning = (enum reason)row->first_warning;
	b->reasons[0] = row->reasons[0];
	b->reasons[1] = row->reasons[1];
	b->uncovered = row->uncovered;
	bytes_copy(b->proven_pcr10, row->proven_pcr10.p, row->proven_pcr10.n);
	if (aggregate.n) {
		struct reader r = reader_of(aggregate);

		b->boot_aggregate.alg = (enum hash_alg)read_u8(&r);
		b->boot_aggregate.size = (uint8_t)(aggregate.n - 1);
		read_copy(&r, b->boot_aggregate.value, b->boot_aggregate.size);
	}
	boot_free(out);
	*out = b;
	return 0;
}

static void attester_cleanup(struct attester **a)
{
	attester_free(a);
}

struct loading {
	struct fleet *fleet;
	const struct instant *now;
};

static void copy_text(char *dst, size_t size, struct bytes text)
{
	size_t n = MIN(text.n, size - 1);

	bytes_copy(dst, text.p, n);
	dst[n] = 0;
}

/* What is left of the time to a stored deadline, on the clock that does not jump. */
static uint64_t mono_of(uint64_t real, const struct instant *now)
{
	return real > now->real ? now->mono + (real - now->real) : now->mono;
}

static int attester_from_row(void *user, const struct attester_row *row)
{
	const struct loading *l = user;
	cleanup_(attester_cleanup) struct attester *a = calloc(1, sizeof(*a));
	int r = 0;

	if (!a)
		return -ENOMEM;
	bytes_copy(a->id, row->id, sizeof(a->id));
	bytes_copy(a->ak_name, row->ak_name, sizeof(a->ak_name));
	copy_text(a->label, sizeof(a->label), row->label);
	copy_text(a->kernel, sizeof(a->kernel), row->kernel);
	a->enrolled_real = row->enrolled_real;
	a->deadline_real = row->deadline_real;
	a->deadline_mono = row->deadline_real ? mono_of(row->deadline_real, l->now) : 0;
	a->last_quote_real = row->last_quote_real;
	a->quotes = row->quotes;
	a->heartbeat_quotes = row->heartbeat_quotes;
	a->bytes_in = row->bytes_in;
	a->bytes_out = row->bytes_out;
	a->boots = row->boots;
	a->list_length = row->list_length;
	a->state = (enum wire_state)row->state;
	a->state_reason = (enum reason)row->state_reason;
	a->stale = row->stale;
	if (row->boot)
		r = l->fleet->store->ops->each_boot(l->fleet->store, a->id, row->boot, boot_from_row, &a->boot);
	if (r == 0 && row->claimed)
		r = l->fleet->store->ops->each_boot(l->fleet->store, a->id, row->claimed, boot_from_row, &a->claimed);
	if (r == 0)
		r = fleet_insert(l->fleet, a);
	if (r < 0)
		return r;
	if (!a->stale && a->deadline_mono)
		deadlines_set(&l->fleet->deadlines, a, a->deadline_mono);
	a = NULL;
	return 0;
}

int fleet_load(struct fleet *f, const struct instant *now)
{
	struct loading l = { .fleet = f, .now = now };

	return f->store->ops->each_attester(f->store, NULL, attester_from_row, &l);
}

int fleet_find(struct fleet *f, const uint8_t *id, const struct instant *now, struct attester **out)
{
	struct loading l = { .fleet = f, .now = now };
	int r = 0;

	if (!idmap_get(&f->by_id, id)) /* a failed batch may have left it out */
		r = f->store->ops->each_attester(f->store, id, attester_from_row, &l);
	*out = r < 0 ? NULL : idmap_get(&f->by_id, id);
	return r;
}

/* --- memory to rows ---- */

static struct attester_row row_from(const struct attester *a)
{
	struct attester_row row = {
		.label = { (const uint8_t *)a->label, strlen(a->label) },
		.kernel = { (const uint8_t *)a->kernel, strlen(a->kernel) },
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
	};

	bytes_copy(row.id, a->id, sizeof(row.id));
	bytes_copy(row.ak_name, a->ak_name, sizeof(row.ak_name));
	return row;
}

static int save_boot(struct fleet *f, const struct attester *a, const struct boot *b)
{
	uint8_t aggregate[1 + HASH_MAX_SIZE] = { (uint8_t)b->boot_aggregate.alg };
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
	};

	bytes_copy(aggregate + 1, b->boot_aggregate.value, b->boot_aggregate.size);
	if (b->boot_aggregate.size)
		row.boot_aggregate = (struct bytes){ aggregate, 1u + b->boot_aggregate.size };
	return f->store->ops->set_boot(f->store, a->id, &row);
}

int fleet_enrol(struct fleet *f, struct attester **a, struct bytes ak_public, struct bytes ek_public, const char *how)
{
	struct attester_row row = row_from(*a);
	int r;

	row.ak_public = ak_public;
	row.ek_public = ek_public;
	row.how = how;
	r = f->store->ops->add_attester(f->store, &row);
	if (r == 0)
		r = fleet_insert(f, *a);
	if (r < 0)
		return r;
	fleet_touch(f, TAKE_PTR(*a));
	return 0;
}

void fleet_touch(struct fleet *f, struct attester *a)
{
	if (a->touched)
		return;
	a->touched = true;
	a->touched_next = f->touched;
	f->touched = a;
}

int fleet_save(struct fleet *f)
{
	for (const struct attester *a = f->touched; a; a = a->touched_next) {
		struct attester_row row = row_from(a);
		int r = 0;

		/* a boot that is not loaded has not changed but for its counters: the base stays what is stored */
		if (a->boot && a->boot->loaded)
			r = save_boot(f, a, a->boot);
		if (r == 0 && a->claimed && a->claimed->loaded)
			r = save_boot(f, a, a->claimed);
		if (r == 0)
			r = f->store->ops->set_attester(f->store, &row);
		if (r < 0)
			return r;
	}
	return 0;
}

void fleet_settle(struct fleet *f)
{
	while (f->touched) {
		struct attester *a = f->touched;

		f->touched = TAKE_PTR(a->touched_next);
		a->touched = false;
	}
}

void fleet_revert(struct fleet *f, const struct instant *now)
{
	struct loading l = { .fleet = f, .now = now };

	while (f->touched) {
		struct attester *a = f->touched;
		uint8_t id[WIRE_DIGEST_SIZE];

		f->touched = TAKE_PTR(a->touched_next);
		bytes_copy(id, a->id, sizeof(id));
		fleet_remove(f, a);
		attester_free(&a);
		/* when the store does not even read, the attester's next HELLO tries again */
		if (f->store->ops->each_attester(f->store, id, attester_from_row, &l) < 0)
			continue;
	}
}

/* --- sessions ---- */

enum session_kind fleet_by_session(const struct fleet *f, const uint8_t *id, struct attester **out)
{
	struct attester *a = idmap_get(&f->by_session, id);

	if (!a)
		return SESSION_NONE;
	*out = a;
	if (a->session && bytes_equal(a->session->id, id, WIRE_SESSION_SIZE))
		return SESSION_CURRENT;
	return a->pending && bytes_equal(a->pending->id, id, WIRE_SESSION_SIZE) ? SESSION_PENDING : SESSION_REPLACED;
}

int fleet_open_session(struct fleet *f, struct attester *a, struct session **s)
{
	int r = idmap_put(&f->by_session, (*s)->id, a);

	if (r < 0)
		return r;
	fleet_close_pending(f, a);
	a->pending = TAKE_PTR(*s);
	f->sessions++;
	return 0;
}

void fleet_promote_session(struct fleet *f unused_, struct attester *a)
{
	a->session = TAKE_PTR(a->pending);
}

void fleet_close_pending(struct fleet *f, struct attester *a)
{
	if (!a->pending)
		return;
	idmap_del(&f->by_session, a->pending->id, a);
	session_free(&a->pending);
	f->sessions--;
}

void fleet_close_session(struct fleet *f, struct attester *a, bool replaced)
{
	struct session *s = a->session;

	if (!s)
		return;
	idmap_del(&f->by_session, s->id, a);
	if (a->has_old)
		idmap_del(&f->by_session, a->old_session, a);
	a->has_old = false;
	bytes_copy(a->old_session, s->id, sizeof(a->old_session));
	bytes_copy(a->old_nonce[0], s->nonce[0].value, WIRE_NONCE_SIZE);
	bytes_copy(a->old_nonce[1], s->nonce[1].value, WIRE_NONCE_SIZE);
	a->has_old_nonces = true;
	a->has_old = replaced && idmap_put(&f->by_session, a->old_session, a) == 0;
	session_free(&a->session);
	f->sessions--;
}

/* --- the replay of a boot, from the store ---- */

struct rebuild {
	struct fleet *fleet;
	struct replay *replay;
	uint64_t next, bytes;
};

static int rebuild_block(void *user, const struct block_row *row)
{
	struct rebuild *b = user;
	struct wire_context ctx;
	struct ima_entry e;
	int r = wire_unpack_begin(b->fleet->unpack, row->block);

	if (r != WIRE_BLOCK_OK)
		return r < 0 ? r : -EBADMSG;
	b->bytes += row->block.n;
	for (uint64_t index = row->first;; index++) {
		r = wire_unpack_next(b->fleet->unpack, &e, &ctx);
		if (r == WIRE_BLOCK_END)
			return 0;
		if (r != WIRE_BLOCK_OK)
			return r < 0 ? r : -EBADMSG;
		if (index < b->replay->next || index >= b->next)
			continue;
		if (index > b->replay->next)
			return -EBADMSG;
		r = replay_entry(b->replay, &e);
		if (r < 0)
			return r;
	}
}

static int load_base(void *user, const struct boot_row *row)
{
	struct replay *replay = user;

	return row->base.n ? replay_load(replay, row->base) : 0;
}

int fleet_load_boot(struct fleet *f, struct attester *a, struct boot *b)
{
	struct rebuild build = { .fleet = f, .replay = &b->replay, .next = b->next };
	int r;

	if (b->loaded)
		return 0;
	replay_clear(&b->replay);
	replay_init(&b->replay, b->bank, b->form, b->proven);
	r = f->store->ops->each_boot(f->store, a->id, b->number, load_base, &b->replay);
	if (r == 0) {
		writer_reset(&b->proven_values);
		replay_save(&b->replay, &b->proven_values);
		r = writer_status(&b->proven_values);
	}
	if (r == 0 && b->next > b->proven)
		r = f->store->ops->each_block(f->store, a->id, b->number, b->proven, rebuild_block, &build);
	if (r == 0 && b->replay.next != b->next)
		r = -EBADMSG;
	b->unproven_bytes = build.bytes;
	b->loaded = r == 0;
	return r;
}
