// SPDX-License-Identifier: Apache-2.0
#include "verifier/replay.h"

#include "ima/replay.h"

#define TEN 10u
#define WINDOW_FIRST_CAPACITY 16u

/* --- PCR values ---- */

static void values_clear(struct pcr_values *v)
{
	free(v->others);
	*v = (struct pcr_values){ 0 };
}

static int values_copy(struct pcr_values *dst, const struct pcr_values *src)
{
	if (src->others && !dst->others) {
		dst->others = calloc(LIMIT_PCR + 1, sizeof(*dst->others));
		if (!dst->others)
			return -ENOMEM;
	}
	bytes_copy(dst->ten, src->ten, sizeof(dst->ten));
	if (src->others)
		bytes_copy(dst->others, src->others, (LIMIT_PCR + 1) * sizeof(*dst->others));
	return 0;
}

/* Room for the value of a PCR; NULL when there is no memory. */
static uint8_t *values_at(struct pcr_values *v, unsigned int pcr)
{
	if (pcr == TEN)
		return v->ten;
	if (!v->others)
		v->others = calloc(LIMIT_PCR + 1, sizeof(*v->others));
	return v->others ? v->others[pcr] : NULL;
}

static const uint8_t *values_get(const struct pcr_values *v, unsigned int pcr)
{
	static const uint8_t zeros[HASH_MAX_SIZE];

	return pcr == TEN ? v->ten : v->others ? v->others[pcr] : zeros;
}

/* --- steps ---- */

struct step {
	uint8_t *pcr, *digest, *value;
};

static size_t step_size(const struct replay *r)
{
	return 1 + 2 * hash_size(r->bank);
}

static inline struct step step_from(uint8_t *p, size_t size)
{
	return (struct step){ p, p + 1, p + 1 + size };
}

static struct step step_at(const struct replay *r, const struct replay_track *t, uint64_t index)
{
	return step_from(t->steps + (t->head + (size_t)(index - r->first)) * step_size(r), hash_size(r->bank));
}

static size_t window_count(const struct replay *r)
{
	return (size_t)(r->next - r->first);
}

/* Room for n more steps behind the last. */
static int track_reserve(const struct replay *r, struct replay_track *t, size_t n)
{
	size_t count = window_count(r), size = step_size(r), wanted;
	uint8_t *larger;

	if (t->head + count + n <= t->capacity)
		return 0;
	if (t->head > count / 2 && t->head > 0) { /* more room in front than used: move down */
		memmove(t->steps, t->steps + t->head * size, count * size);
		t->head = 0;
	}
	wanted = t->capacity ? t->capacity : WINDOW_FIRST_CAPACITY;
	while (wanted < t->head + count + n)
		wanted *= 2;
	if (wanted == t->capacity)
		return 0;
	larger = realloc(t->steps, wanted * size);
	if (!larger)
		return -ENOMEM;
	t->steps = larger;
	t->capacity = wanted;
	return 0;
}

static void track_free(struct replay_track **t)
{
	struct replay_track *old = TAKE_PTR(*t);

	if (!old)
		return;
	values_clear(&old->base);
	values_clear(&old->running);
	free(old->steps);
	free(old);
}

int replay_init(struct replay *r, enum hash_alg bank, enum replay_form form, uint64_t at)
{
	*r = (struct replay){ .bank = bank, .form = bank == HASH_SHA1 ? REPLAY_NATIVE : form, .first = at, .next = at };
	for (int i = 0; i < 2; i++) {
		if (r->form == (i ? REPLAY_NATIVE : REPLAY_PADDED))
			continue;
		r->track[i] = calloc(1, sizeof(*r->track[i]));
		if (!r->track[i]) {
			replay_clear(r);
			return -ENOMEM;
		}
	}
	return 0;
}

void replay_clear(struct replay *r)
{
	track_free(&r->track[0]);
	track_free(&r->track[1]);
}

static const struct replay_track *holding_track(const struct replay *r)
{
	return r->track[r->form == REPLAY_PADDED];
}

/* n <= IMA_BATCH. Each value follows from the newest one of its PCR: that of an earlier step, or the running one. */
static int track_extend(const struct replay *r, struct replay_track *t, const struct ima_entry *e, size_t n, bool padded)
{
	const uint8_t *newest[LIMIT_PCR + 1] = { NULL };
	const enum ima_bank_rule rule = padded ? IMA_BANK_PADDED : IMA_BANK_OWN;
	const size_t size = hash_size(r->bank);
	struct hash_step steps[IMA_BATCH];
	uint8_t *at;

	if (track_reserve(r, t, n) < 0)
		return -ENOMEM;
	at = step_at(r, t, r->next).pcr;
	for (size_t i = 0; i < n; i++, at += 1 + 2 * size) {
		struct step s = step_from(at, size);
		unsigned int pcr = e[i].pcr;

		if (!newest[pcr]) {
			newest[pcr] = values_at(&t->running, pcr);
			if (!newest[pcr] || !values_at(&t->base, pcr))
				return -ENOMEM;
		}
		*s.pcr = (uint8_t)pcr;
		ima_bank_step(&e[i], r->bank, rule, s.digest, &steps[i]);
		steps[i].before = newest[pcr];
		steps[i].after = s.value;
		newest[pcr] = s.value;
	}
	hash_steps(r->bank, steps, n);
	for (unsigned int pcr = 0; pcr <= LIMIT_PCR; pcr++)
		if (newest[pcr])
			bytes_copy(values_at(&t->running, pcr), newest[pcr], hash_size(r->bank));
	return 0;
}

static int extend_batch(struct replay *r, const struct ima_entry *e, size_t n)
{
	uint32_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (e[i].pcr > LIMIT_PCR)
			return -EINVAL;
		used |= 1u << e[i].pcr;
	}
	if (window_count(r) + n > LIMIT_UNPROVEN_WINDOW) {
		replay_forget(r, r->next + n - LIMIT_UNPROVEN_WINDOW);
		r->lost = r->first;
	}
	for (int i = 0; i < 2; i++) {
		int ret = r->track[i] ? track_extend(r, r->track[i], e, n, i == 1) : 0;

		if (ret < 0)
			return ret;
	}
	r->used |= used;
	r->next += n;
	return 0;
}

int replay_entries(struct replay *r, const struct ima_entry *e, size_t n)
{
	int ret = 0;

	for (size_t at = 0; ret == 0 && at < n; at += IMA_BATCH)
		ret = extend_batch(r, e + at, MIN(n - at, (size_t)IMA_BATCH));
	return ret;
}

struct replay_mark replay_mark(const struct replay *r)
{
	return (struct replay_mark){ .next = r->next, .used = r->used };
}

void replay_restore(struct replay *r, struct replay_mark m)
{
	for (int i = 0; i < 2; i++) {
		struct replay_track *t = r->track[i];

		if (!t)
			continue;
		/* the value before an entry is its PCR's newest one in front of it: undo from the end */
		if (values_copy(&t->running, &t->base) < 0)
			continue; /* cannot be: base has room for whatever running has */
		for (uint64_t j = r->first; j < m.next; j++) {
			struct step s = step_at(r, t, j);

			bytes_copy(values_at(&t->running, *s.pcr), s.value, hash_size(r->bank));
		}
	}
	r->next = m.next;
	r->used = m.used;
}

void replay_forget(struct replay *r, uint64_t index)
{
	if (index > r->next)
		index = r->next;
	if (index <= r->first)
		return;
	for (int i = 0; i < 2; i++) {
		struct replay_track *t = r->track[i];

		if (!t)
			continue;
		/* behind all steps the values are the running ones, for which base has room */
		for (uint64_t j = index == r->next ? index : r->first; j < index; j++) {
			struct step s = step_at(r, t, j);

			bytes_copy(values_at(&t->base, *s.pcr), s.value, hash_size(r->bank));
		}
		if (index == r->next && values_copy(&t->base, &t->running) < 0)
			continue; /* cannot be */
		t->head += (size_t)(index - r->first);
		if (index == r->next) { /* most hosts are at rest most of the time */
			free(TAKE_PTR(t->steps));
			t->capacity = 0;
		}
		if (index == r->next)
			t->head = 0;
	}
	r->first = index;
}

const uint8_t *replay_value(const struct replay *r, unsigned int pcr)
{
	return values_get(&holding_track(r)->running, pcr);
}

void replay_save(const struct replay *r, struct writer *w)
{
	write_u32be(w, r->used);
	for (unsigned int pcr = 0; pcr <= LIMIT_PCR; pcr++)
		if (r->used & (1u << pcr))
			write_bytes(w, values_get(&holding_track(r)->base, pcr), hash_size(r->bank));
}

int replay_load(struct replay *r, struct bytes saved)
{
	struct reader in = reader_of(saved);
	uint32_t used = read_u32be(&in);

	for (unsigned int pcr = 0; pcr <= LIMIT_PCR; pcr++) {
		struct bytes value;

		if (!(used & (1u << pcr)))
			continue;
		value = read_bytes(&in, hash_size(r->bank));
		if (!reader_ok(&in))
			return -EBADMSG;
		for (int i = 0; i < 2; i++) {
			struct replay_track *t = r->track[i];
			uint8_t *base, *running;

			if (!t)
				continue;
			base = values_at(&t->base, pcr);
			running = values_at(&t->running, pcr);
			if (!base || !running)
				return -ENOMEM;
			bytes_copy(base, value.p, value.n);
			bytes_copy(running, value.p, value.n);
		}
	}
	if (!reader_done(&in) || used >> (LIMIT_PCR + 1))
		return -EBADMSG;
	r->used = used;
	return 0;
}

/* --- search ---- */

const uint8_t *replay_view_value(const struct replay_view *v, unsigned int pcr)
{
	return pcr <= LIMIT_PCR && (pcr == TEN || (v->replay->used & (1u << pcr))) ? values_get(v->values, pcr) : NULL;
}

struct search {
	const struct replay *r;
	const struct replay_track *t;
	struct pcr_values values;
	replay_test_fn test;
	void *user;
};

static bool search_test(struct search *s)
{
	struct replay_view v = { .replay = s->r, .values = &s->values };

	return s->test(s->user, &v);
}

static void search_close(struct search *s)
{
	values_clear(&s->values);
}

/* Sets the search's values to those after `index` entries. */
static int search_seek(struct search *s, uint64_t index)
{
	int ret = values_copy(&s->values, &s->t->base);

	for (uint64_t j = s->r->first; ret == 0 && j < index; j++) {
		struct step st = step_at(s->r, s->t, j);

		bytes_copy(values_at(&s->values, *st.pcr), st.value, hash_size(s->r->bank));
	}
	return ret;
}

/* The plain search: from `from` entries to `to`, one test each. 1 found, 0 not, -ENOMEM. */
static int search_range(struct search *s, uint64_t from, uint64_t to, uint64_t *found)
{
	int ret = search_seek(s, from);

	if (ret < 0)
		return ret;
	for (uint64_t i = from;; i++) {
		struct step st;

		if (search_test(s)) {
			*found = i;
			return 1;
		}
		if (i >= to)
			return 0;
		st = step_at(s->r, s->t, i);
		bytes_copy(values_at(&s->values, *st.pcr), st.value, hash_size(s->r->bank));
	}
}

static void search_extend(struct search *s, uint64_t index)
{
	struct step st = step_at(s->r, s->t, index);

	hash_extend(s->r->bank, values_at(&s->values, *st.pcr), st.digest);
}

/* Leaves entry `at` out, or exchanges it with the next, and replays on from `before` it: 1 found, 0 not, -ENOMEM. */
static int search_changed(struct search *s, const struct pcr_values *before, uint64_t at, bool exchange, uint64_t lower,
			  uint64_t *found)
{
	uint64_t i = at + (exchange ? 2 : 1);
	int ret = values_copy(&s->values, before);

	if (ret < 0)
		return ret;
	if (exchange) {
		search_extend(s, at + 1);
		search_extend(s, at);
	}
	for (;; i++) {
		if (i >= lower && search_test(s)) {
			*found = i;
			return 1;
		}
		if (i >= s->r->next)
			return 0;
		search_extend(s, i);
	}
}

static int search_deep(struct search *s, uint64_t lower, struct replay_match *out)
{
	const struct replay *r = s->r;
	uint64_t back = r->next - r->first > REPLAY_SEARCH_BACK ? r->next - REPLAY_SEARCH_BACK : r->first;
	cleanup_(values_clear) struct pcr_values before = { 0 };
	int ret = search_seek(s, back);

	if (ret == 0)
		ret = values_copy(&before, &s->values);
	if (ret < 0)
		return ret;
	for (uint64_t at = back; at < r->next; at++) {
		struct step st = step_at(r, s->t, at);

		ret = search_changed(s, &before, at, false, lower, &out->index);
		if (ret == 0 && at + 1 < r->next) {
			ret = search_changed(s, &before, at, true, lower, &out->index);
			if (ret > 0) {
				out->culprit = at;
				return REPLAY_EXCHANGED;
			}
		}
		if (ret < 0)
			return ret;
		if (ret > 0) {
			out->culprit = at;
			return REPLAY_SKIPPED;
		}
		bytes_copy(values_at(&before, *st.pcr), st.value, hash_size(r->bank));
	}
	return REPLAY_NO_MATCH;
}

int replay_find(const struct replay *r, uint64_t lower, bool deep, replay_test_fn test, void *user,
		struct replay_match *out)
{
	struct replay_match m = { 0 };
	int ret = REPLAY_NO_MATCH;
	uint64_t from = MAX(lower, r->first);

	for (int pass = 0; pass < 3 && ret == REPLAY_NO_MATCH; pass++) {
		for (int i = 0; i < 2 && ret == REPLAY_NO_MATCH; i++) {
			cleanup_(search_close) struct search s = {
				.r = r, .t = r->track[i], .test = test, .user = user
			};
			int found = 0;

			if (!s.t)
				continue;
			m.form = i ? REPLAY_PADDED : REPLAY_NATIVE;
			if (pass == 0 && from <= r->next) {
				found = search_range(&s, from, r->next, &m.index);
				ret = found > 0 ? REPLAY_MATCH : found < 0 ? found : ret;
			} else if (pass == 1 && from > r->first) {
				found = search_range(&s, r->first, MIN(from - 1, r->next), &m.index);
				ret = found > 0 ? REPLAY_BELOW : found < 0 ? found : ret;
			} else if (pass == 2 && deep && from <= r->next && lower >= r->lost) {
				ret = search_deep(&s, from, &m);
			}
		}
	}
	if (ret == REPLAY_NO_MATCH && lower < r->lost)
		ret = REPLAY_WINDOW;
	if (ret >= 0)
		*out = m;
	return ret;
}

/* --- proof ---- */

/* Writes steps and running values anew, with one entry left out or two exchanged. */
static int track_correct(struct replay *r, struct replay_track *t, enum replay_outcome how, uint64_t at)
{
	cleanup_(search_close) struct search s = { .r = r, .t = t };
	int ret = search_seek(&s, at);

	if (ret < 0)
		return ret;
	if (how == REPLAY_EXCHANGED) {
		uint8_t one[1 + 2 * HASH_MAX_SIZE];
		struct step a = step_at(r, t, at), b = step_at(r, t, at + 1);

		bytes_copy(one, a.pcr, step_size(r));
		bytes_copy(a.pcr, b.pcr, step_size(r));
		bytes_copy(b.pcr, one, step_size(r));
	}
	for (uint64_t i = at; i < r->next; i++) {
		struct step st = step_at(r, t, i);

		if (how == REPLAY_EXCHANGED || i != at)
			search_extend(&s, i);
		bytes_copy(st.value, values_at(&s.values, *st.pcr), hash_size(r->bank));
	}
	return values_copy(&t->running, &s.values);
}

int replay_prove(struct replay *r, enum replay_outcome how, const struct replay_match *m)
{
	struct replay_track *t = r->track[m->form == REPLAY_PADDED];

	if (how == REPLAY_SKIPPED || how == REPLAY_EXCHANGED) {
		int ret = track_correct(r, t, how, m->culprit);

		if (ret < 0)
			return ret;
	}
	if (r->form == REPLAY_UNDECIDED) {
		track_free(&r->track[m->form == REPLAY_PADDED ? 0 : 1]);
		r->form = m->form;
	}
	replay_forget(r, m->index);
	return 0;
}
