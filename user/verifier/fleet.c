// SPDX-License-Identifier: Apache-2.0
#include "verifier/fleet.h"

#include "wire/batch.h"

#include "imastream/limits.h"

int fleet_init(struct fleet *f, struct store *store, uint64_t seed)
{
	*f = (struct fleet){ .store = store };
	idmap_init(&f->by_id, WIRE_DIGEST_SIZE, seed);
	idmap_init(&f->by_key, WIRE_DIGEST_SIZE, seed ^ 0x9e3779b97f4a7c15ull);
	idmap_init(&f->by_session, WIRE_SESSION_SIZE, seed + 1);
	f->batch = malloc(sizeof(*f->batch));
	return f->batch ? wire_unpack_new(&f->unpack) : -ENOMEM;
}

void fleet_clear(struct fleet *f)
{
	size_t at = 0;
	struct attester *a;

	while ((a = idmap_next(&f->by_id, &at)))
		attester_free(&a);
	idmap_clear(&f->by_id);
	idmap_clear(&f->by_key);
	idmap_clear(&f->by_session);
	deadlines_clear(&f->deadlines);
	wire_unpack_free(&f->unpack);
	free(TAKE_PTR(f->batch));
}

static void remove_keys(struct fleet *f, struct attester *a)
{
	idmap_del(&f->by_key, a->ak_key, a);
	if (a->has_ek)
		idmap_del(&f->by_key, a->ek_key, a);
}

static int insert_keys(struct fleet *f, struct attester *a)
{
	int r = idmap_put(&f->by_key, a->ak_key, a);

	if (r == 0 && a->has_ek)
		r = idmap_put(&f->by_key, a->ek_key, a);
	if (r < 0)
		remove_keys(f, a);
	return r;
}

static bool take_keys(struct attester *a, struct bytes ak_public, struct bytes ek_public)
{
	a->has_ek = ek_public.n > 0;
	return tpm_public_numbers(ak_public, a->ak_key) == QUOTE_OK &&
	       (!a->has_ek || tpm_public_numbers(ek_public, a->ek_key) == QUOTE_OK);
}

struct attester *fleet_by_key(const struct fleet *f, struct bytes tpmt_public)
{
	uint8_t key[WIRE_DIGEST_SIZE];

	if (tpmt_public.n == 0 || tpm_public_numbers(tpmt_public, key) != QUOTE_OK)
		return NULL;
	return idmap_get(&f->by_key, key);
}

static int fleet_insert(struct fleet *f, struct attester *a)
{
	int r = deadlines_reserve(&f->deadlines, f->by_id.count + 1);

	if (r == 0)
		r = idmap_put(&f->by_id, a->id, a);
	if (r < 0)
		return r;
	r = insert_keys(f, a);
	if (r < 0)
		idmap_del(&f->by_id, a->id, a);
	return r;
}

static void fleet_remove(struct fleet *f, struct attester *a)
{
	fleet_close_session(f, a, false);
	while (a->n_pending)
		fleet_close_pending(f, a->pending[0]);
	if (a->has_old)
		idmap_del(&f->by_session, a->old_session, a);
	deadlines_set(&f->deadlines, a, 0);
	idmap_del(&f->by_id, a->id, a);
	remove_keys(f, a);
}

/* --- rows to memory ---- */

static void boot_cleanup(struct boot **b)
{
	boot_free(b);
}

/* Columns of variable size. 0, -ENOMEM, -EBADMSG. */
static int take_blobs(struct boot *b, const struct boot_row *row)
{
	struct bytes aggregate = row->boot_aggregate;
	int r = 0;

	bytes_copy(b->proven_pcr10, row->proven_pcr10.p, row->proven_pcr10.n);
	if (aggregate.n) {
		struct reader in = reader_of(aggregate);

		b->boot_aggregate.alg = (enum hash_alg)read_u8(&in);
		b->boot_aggregate.size = (uint8_t)(aggregate.n - 1);
		read_copy(&in, b->boot_aggregate.value, b->boot_aggregate.size);
	}
	write_bytes(&b->boot_values, row->boot_values.p, row->boot_values.n);
	if (writer_status(&b->boot_values) < 0)
		return writer_status(&b->boot_values) == -ENOMEM ? -ENOMEM : -EBADMSG;
	if (row->learned.n) {
		r = learned_new(&b->learned);
		if (r == 0)
			r = learned_load(b->learned, row->learned);
	}
	return r;
}

static int boot_from_row(void *user, const struct boot_row *row)
{
	cleanup_(boot_cleanup) struct boot *b = NULL;
	struct bytes aggregate = row->boot_aggregate;
	struct boot **out = user;
	int r;

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
	b->flags = row->flags;
	r = take_blobs(b, row);
	if (r < 0)
		return r;
	boot_free(out);
	*out = TAKE_PTR(b);
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

/* What is left of the time to a stored deadline, on the clock that does not jump. The wall clock may have been set back since
 * it was stored: silence does not become longer by that than the rules allow. */
static uint64_t mono_of(const struct fleet *f, uint64_t real, const struct instant *now)
{
	uint64_t left = real > now->real ? real - now->real : 0;

	return now->mono + MIN(left, f->deadline_us);
}

/* A deadline that is stored. */
static void set_deadline_mono(struct fleet *f, struct attester *a, uint64_t mono)
{
	a->deadline_mono = a->settled_mono = mono;
	if (!a->stale && mono && a->status == ENROL_ENROLLED)
		deadlines_set(&f->deadlines, a, mono);
}

void fleet_set_deadline(struct fleet *f, struct attester *a, uint64_t deadline_real, const struct instant *now)
{
	a->deadline_real = deadline_real;
	set_deadline_mono(f, a, deadline_real ? mono_of(f, deadline_real, now) : 0);
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
	if (row->status > ENROL_REVOKED || !take_keys(a, row->ak_public, row->ek_public))
		return -EBADMSG;
	a->status = (enum enrol_status)row->status;
	a->changed_real = row->changed_real;
	a->enrolled_real = row->enrolled_real;
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
	a->label_given = row->label_given;
	if (row->judged.n == sizeof(a->judged))
		bytes_copy(a->judged, row->judged.p, sizeof(a->judged));
	if (row->boot)
		r = l->fleet->store->ops->each_boot(l->fleet->store, a->id, row->boot, boot_from_row, &a->boot);
	if (r == 0 && row->claimed)
		r = l->fleet->store->ops->each_boot(l->fleet->store, a->id, row->claimed, boot_from_row, &a->claimed);
	if (r == 0)
		r = fleet_insert(l->fleet, a);
	if (r < 0)
		return r;
	fleet_set_deadline(l->fleet, a, row->deadline_real, l->now);
	a = NULL;
	return 0;
}

int fleet_load(struct fleet *f, const struct instant *now)
{
	struct loading l = { .fleet = f, .now = now };

	int r = f->store->ops->each_attester(f->store, NULL, attester_from_row, &l);

	return r < 0 ? r : renewals_load(f, now);
}

/* One that is not in memory: its row and its renewal (0: whichever counts; with_renewal false: it has none that does). When one of
 * them cannot be read it stays out: half of what is stored would be worse than nothing. */
static int load_one(struct fleet *f, const uint8_t *id, bool with_renewal, uint64_t renewal, const struct instant *now)
{
	struct loading l = { .fleet = f, .now = now };
	int r = f->store->ops->each_attester(f->store, id, attester_from_row, &l);
	struct attester *a = idmap_get(&f->by_id, id);

	if (r == 0 && a && with_renewal)
		r = renewals_load_one(f, id, renewal, now);
	if (r < 0 && a)
		fleet_forget(f, &a);
	return r;
}

int fleet_find(struct fleet *f, const uint8_t *id, const struct instant *now, struct attester **out)
{
	/* a failed batch may have left it out */
	int r = idmap_get(&f->by_id, id) ? 0 : load_one(f, id, true, 0, now);

	*out = r < 0 ? NULL : idmap_get(&f->by_id, id);
	return r;
}

/* --- changes ---- */

int fleet_enrol(struct fleet *f, struct attester **a, const struct enrol_record *record)
{
	struct attester_row row = fleet_row(*a);
	int r;

	if (!take_keys(*a, record->ak_public, record->ek_public))
		return -EINVAL;
	row.ak_public = record->ak_public;
	row.ek_public = record->ek_public;
	row.how = record->how;
	row.cert = record->cert;
	r = f->store->ops->add_attester(f->store, &row);
	if (r == 0)
		r = fleet_insert(f, *a);
	if (r < 0)
		return r;
	fleet_touch(f, TAKE_PTR(*a));
	return 0;
}

void fleet_forget(struct fleet *f, struct attester **a)
{
	fleet_remove(f, *a);
	attester_free(a);
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
	for (struct attester *a = f->touched; a; a = a->touched_next) {
		int r = fleet_save_one(f, a);

		if (r < 0)
			return r;
	}
	return renewals_fold(f);
}

void fleet_settle(struct fleet *f)
{
	f->renewals_committed = f->renewals;
	while (f->touched) {
		struct attester *a = f->touched;

		f->touched = TAKE_PTR(a->touched_next);
		a->touched = false;
		a->settled_mono = a->deadline_mono;
		a->renewal_committed = a->renewal;
	}
}

void fleet_revert(struct fleet *f, const struct instant *now)
{
	f->renewals = f->renewals_committed;
	while (f->touched) {
		struct attester *a = f->touched;
		uint64_t renewal = a->renewal_committed, deadline_mono = a->settled_mono;
		uint8_t id[WIRE_DIGEST_SIZE];

		f->touched = TAKE_PTR(a->touched_next);
		bytes_copy(id, a->id, sizeof(id));
		fleet_remove(f, a);
		attester_free(&a);
		/* when the store does not even read, the attester's next HELLO tries again */
		if (load_one(f, id, renewal != 0, renewal, now) < 0)
			continue;
		a = idmap_get(&f->by_id, id);
		if (a && deadline_mono)
			set_deadline_mono(f, a, deadline_mono); /* whatever the wall clock says by now */
	}
}

/* --- sessions ---- */

static struct session *session_with(const struct attester *a, const uint8_t *id)
{
	if (a->session && bytes_equal(a->session->id, id, WIRE_SESSION_SIZE))
		return a->session;
	for (size_t i = 0; i < a->n_pending; i++)
		if (bytes_equal(a->pending[i]->id, id, WIRE_SESSION_SIZE))
			return a->pending[i];
	return NULL;
}

enum session_kind fleet_by_session(const struct fleet *f, const uint8_t *id, struct session **out)
{
	const struct attester *a = idmap_get(&f->by_session, id);
	struct session *s = a ? session_with(a, id) : NULL;

	if (!s)
		return a ? SESSION_REPLACED : SESSION_NONE;
	*out = s;
	return s->pending ? SESSION_PENDING : SESSION_CURRENT;
}

int fleet_open_session(struct fleet *f, struct attester *a, struct session **s, size_t at)
{
	int r;

	if (a->n_pending >= LIMIT_PENDING_SESSIONS || at > a->n_pending)
		return -ENOSPC;
	r = idmap_put(&f->by_session, (*s)->id, a);
	if (r < 0)
		return r;
	f->spare += a->n_pending > 0;
	f->sessions++;
	(*s)->pending = true;
	for (size_t i = a->n_pending++; i > at; i--)
		a->pending[i] = a->pending[i - 1];
	a->pending[at] = TAKE_PTR(*s);
	return 0;
}

/* Out of the list, not out of the map. */
static void remove_pending(struct fleet *f, struct session *s)
{
	struct attester *a = s->attester;
	size_t i = 0;

	while (i < a->n_pending && a->pending[i] != s)
		i++;
	if (i == a->n_pending)
		return;
	for (a->n_pending--; i < a->n_pending; i++)
		a->pending[i] = a->pending[i + 1];
	f->spare -= a->n_pending > 0;
	s->pending = false;
}

void fleet_promote_session(struct fleet *f, struct session *s)
{
	remove_pending(f, s);
	s->attester->session = s;
}

void fleet_close_pending(struct fleet *f, struct session *s)
{
	remove_pending(f, s);
	idmap_del(&f->by_session, s->id, s->attester);
	session_free(&s);
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
	for (size_t i = 0; i < SESSION_NONCES; i++)
		bytes_copy(a->old_nonce[i], s->nonce[i].value, WIRE_NONCE_SIZE);
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

/* How many of the n entries from index on are before `bound`. */
static size_t part_below(uint64_t bound, uint64_t index, size_t n)
{
	return bound <= index ? 0 : (size_t)MIN(bound - index, (uint64_t)n);
}

static int rebuild_block(void *user, const struct block_row *row)
{
	struct rebuild *b = user;
	struct wire_batch *batch = b->fleet->batch;
	int r = wire_unpack_begin(b->fleet->unpack, row->block);

	if (r != WIRE_BLOCK_OK)
		return r < 0 ? r : -EBADMSG;
	b->bytes += row->block.n;
	for (uint64_t index = row->first;; index += batch->n) {
		size_t from, to;

		r = wire_batch_next(batch, b->fleet->unpack);
		if (r == WIRE_BLOCK_END)
			return 0;
		if (r != WIRE_BLOCK_OK)
			return r < 0 ? r : -EBADMSG;
		from = part_below(b->replay->next, index, batch->n);
		to = part_below(b->next, index, batch->n);
		if (from >= to)
			continue;
		if (index > b->replay->next)
			return -EBADMSG;
		r = replay_entries(b->replay, batch->entry + from, to - from);
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
