// SPDX-License-Identifier: Apache-2.0
#include "verifier/fleet.h"

#include "imastream/limits.h"
#include "wire/batch.h"

#define TOUCHED_FIRST_CAPACITY 64u

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
	free(TAKE_PTR(f->touched));
	f->n_touched = f->n_unsaved = f->touched_capacity = 0;
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

/* Room to touch n attesters, as many as there are: reading one again, which was touched, takes no more. Only what is in use is copied:
 * the rest takes no memory before it is used. */
static int reserve_touched(struct fleet *f, size_t n)
{
	size_t wanted = f->touched_capacity ? f->touched_capacity : TOUCHED_FIRST_CAPACITY;
	struct touched *larger;

	if (n <= f->touched_capacity)
		return 0;
	while (wanted < n)
		wanted *= 2;
	larger = malloc(wanted * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	bytes_copy(larger, f->touched, f->n_touched * sizeof(*larger));
	free(f->touched);
	f->touched = larger;
	f->touched_capacity = wanted;
	return 0;
}

static int fleet_insert(struct fleet *f, struct attester *a)
{
	int r = deadlines_reserve(&f->deadlines, f->by_id.count + 1);

	if (r == 0)
		r = reserve_touched(f, f->by_id.count + 1);
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
	a->deadline_mono = mono;
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
	cleanup_(attester_cleanup) struct attester *a = attester_new(row->label, row->kernel);
	int r = 0;

	if (!a)
		return -ENOMEM;
	bytes_copy(a->id, row->id, sizeof(a->id));
	bytes_copy(a->ak_name, row->ak_name, sizeof(a->ak_name));
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

/* One that is not in memory: its row and its renewal (0: it has none that counts). When one of them cannot be read it stays out: half
 * of what is stored would be worse than nothing. */
static int load_one(struct fleet *f, const uint8_t *id, uint64_t renewal, const struct instant *now)
{
	struct loading l = { .fleet = f, .now = now };
	int r = f->store->ops->each_attester(f->store, id, attester_from_row, &l);
	struct attester *a = idmap_get(&f->by_id, id);

	if (r == 0 && a && renewal)
		r = renewals_load_one(f, id, renewal, now);
	if (r < 0 && a)
		fleet_forget(f, &a);
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

static struct attester_mark mark_of(const struct attester *a)
{
	struct attester_mark m = { .deadline_mono = a->deadline_mono, .renewal = a->renewal };

	bytes_copy(m.findings_told, a->findings_told, sizeof(m.findings_told));
	return m;
}

void fleet_touch(struct fleet *f, struct attester *a)
{
	struct touched *t;

	if (!a->touched_slot) {
		a->touched_slot = ++f->n_touched;
		f->touched[a->touched_slot - 1] = (struct touched){ .attester = a, .settled = mark_of(a), .written = mark_of(a) };
	}
	t = &f->touched[a->touched_slot - 1];
	f->n_unsaved += !t->unsaved;
	t->unsaved = true;
}

/* The newest stand last: of those that were saved before, few are looked at. */
int fleet_save_touched(struct fleet *f)
{
	for (size_t i = f->n_touched; f->n_unsaved && i-- > 0;) {
		struct touched *t = &f->touched[i];
		int r;

		if (!t->unsaved)
			continue;
		r = fleet_save_one(f, t->attester);
		if (r < 0)
			return r;
		t->written = mark_of(t->attester);
		t->unsaved = false;
		f->n_unsaved--;
	}
	return 0;
}

int fleet_save(struct fleet *f)
{
	int r = fleet_save_touched(f);

	return r < 0 ? r : renewals_fold(f);
}

void fleet_settle(struct fleet *f)
{
	f->renewals_committed = f->renewals;
	while (f->n_touched)
		f->touched[--f->n_touched].attester->touched_slot = 0;
	f->n_unsaved = 0;
}

/* As the store has it, and what is marked; *out NULL: it does not have it. */
static int read_again(struct fleet *f, struct attester *a, struct attester_mark m, const struct instant *now, struct attester **out)
{
	uint64_t refused_mono[REFUSALS];
	uint8_t id[WIRE_DIGEST_SIZE];
	int r;

	bytes_copy(id, a->id, sizeof(id));
	bytes_copy(refused_mono, a->refused_mono, sizeof(refused_mono));
	fleet_remove(f, a);
	attester_free(&a);
	r = load_one(f, id, m.renewal, now);
	a = idmap_get(&f->by_id, id);
	if (a) {
		bytes_copy(a->refused_mono, refused_mono, sizeof(refused_mono));
		bytes_copy(a->findings_told, m.findings_told, sizeof(a->findings_told));
		if (m.deadline_mono)
			set_deadline_mono(f, a, m.deadline_mono); /* whatever the wall clock says by now */
	}
	*out = a;
	return r;
}

int fleet_revert(struct fleet *f, const struct instant *now)
{
	int ret = 0;

	f->renewals = f->renewals_committed;
	while (f->n_touched) {
		struct touched *t = &f->touched[--f->n_touched];
		struct attester *a;
		int r = read_again(f, t->attester, t->settled, now, &a);

		ret = ret < 0 ? ret : r;
	}
	f->n_unsaved = 0;
	return ret;
}

int fleet_revert_unsaved(struct fleet *f, const struct instant *now)
{
	int ret = 0;

	for (size_t i = f->n_touched; f->n_unsaved && i-- > 0;) {
		struct touched *t = &f->touched[i];
		struct attester *again;
		int r;

		if (!t->unsaved)
			continue;
		t->unsaved = false;
		f->n_unsaved--;
		r = read_again(f, t->attester, t->written, now, &again);
		t->attester = again;
		ret = ret < 0 ? ret : r;
		if (!again) /* the last one, which was looked at, takes its place */
			*t = f->touched[--f->n_touched];
		if (i < f->n_touched) /* touched by what was handled before, maybe: the transaction may still fail */
			t->attester->touched_slot = i + 1;
	}
	return ret;
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
	struct session **more;
	int r;

	if (a->n_pending >= LIMIT_PENDING_SESSIONS || at > a->n_pending)
		return -ENOSPC;
	more = realloc(a->pending, (a->n_pending + 1) * sizeof(*more)); /* most have one, until it has shown its key */
	if (!more)
		return -ENOMEM;
	a->pending = more;
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
	if (a->n_pending == 0)
		free(TAKE_PTR(a->pending));
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
		bytes_copy(a->old_nonce[i], s->nonce[i].value, OLD_NONCE_SIZE);
	a->has_old_nonces = true;
	a->has_old = replaced && idmap_put(&f->by_session, a->old_session, a) == 0;
	session_free(&a->session);
	f->sessions--;
}
