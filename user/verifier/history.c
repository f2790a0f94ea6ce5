// SPDX-License-Identifier: Apache-2.0
#include "verifier/history.h"

#include <stdio.h>

#include "policy/compiled.h"

#define AT_ONCE POLICY_PART /* bytes of a file that are stored with the generation: more would keep the loop */

struct adopting {
	struct store *store;
	const struct policies *in_force;
	const struct policy_opener *opener;
	const struct history_how *how;
	const struct instant *now;
};

/* The two newest generations of a name, as the store has them. */
struct newest {
	bool any, has_before;
	uint64_t generation, before_generation, before_until_real;
	char id[LIMIT_LABEL + 1], file[LIMIT_KEY_NAME], held[LIMIT_KEY_NAME], before_file[LIMIT_KEY_NAME];
	struct writer detached, before_detached;
};
#define NEWEST ((struct newest){ .detached = WRITER(LIMIT_BUNDLE), .before_detached = WRITER(LIMIT_BUNDLE) })

static void newest_clear(struct newest *n)
{
	writer_free(&n->detached);
	writer_free(&n->before_detached);
}

static int look_at_newest(void *user, const struct policy_row *row)
{
	struct newest *n = user;

	if (!n->any) {
		n->any = true;
		n->generation = row->generation;
		snprintf(n->id, sizeof(n->id), "%s", row->id);
		snprintf(n->file, sizeof(n->file), "%s", row->file);
		snprintf(n->held, sizeof(n->held), "%s", row->held);
		write_bytes(&n->detached, row->detached.p, row->detached.n);
		return writer_status(&n->detached);
	}
	n->has_before = true;
	n->before_generation = row->generation;
	n->before_until_real = row->until_real;
	snprintf(n->before_file, sizeof(n->before_file), "%s", row->file);
	write_bytes(&n->before_detached, row->detached.p, row->detached.n);
	return writer_status(&n->before_detached) < 0 ? writer_status(&n->before_detached) : 1;
}

static int find_newest(struct store *s, const char *name, struct newest *out)
{
	int r = s->ops->each_policy(s, name, look_at_newest, out);

	return r < 0 ? r : 0;
}

/* --- writing ---- */

/* What is large is left to policy_keep.c; a small compiled policy is packed here. */
static int keep_bytes(struct store *s, const struct named_policy *n, uint64_t keep)
{
	struct policy_source *source = n->source;
	struct bytes file = source->packed.n ? writer_view(&source->packed) : policy_file_bytes(n->policy);
	struct reader r;
	bool found;
	int ret = s->ops->get_policy_file(s, source->file_id, NULL, &found);

	if (ret < 0 || found || !keep || !source->path)
		return ret;
	if (file.n > AT_ONCE) {
		source->keep = true;
		return 0;
	}
	if (!source->packed.n)
		ret = policy_file_pack(file, &source->packed);
	r = reader_of(writer_view(&source->packed));
	for (uint64_t part = 0; ret == 0 && reader_left(&r) > 0; part++)
		ret = s->ops->add_policy_part(s, source->file_id, part, read_bytes(&r, MIN(reader_left(&r), (size_t)POLICY_PART)));
	return ret;
}

static int add_generation(struct store *s, const struct named_policy *n, const char *held, const struct history_how *how,
			  const struct instant *now)
{
	struct policy_source *source = n->source;
	const char *signer = writer_cstr(&source->signer);
	struct policy_row row = {
		.name = n->name, .generation = n->generation, .id = policy_id(n->policy), .file = source->file_id,
		.held = held, .signer = signer ? signer : "", .detached = writer_view(&source->detached),
		.loaded_real = now->real, .reason = how->reason, .who = how->who,
	};
	int r = s->ops->add_policy(s, &row);

	if (r == 0 && n->before_generation)
		r = s->ops->set_policy_until(s, n->name, n->before_generation,
					     n->before ? n->before_until_real : now->real);
	if (r == 0)
		r = keep_bytes(s, n, how->keep);
	if (r == 0 && n->generation > LIMIT_POLICY_HISTORY)
		r = s->ops->drop_policies(s, n->name, n->generation - LIMIT_POLICY_HISTORY);
	if (r == 0)
		r = s->ops->prune_policy_files(s, how->keep);
	return r;
}

static void tell(const struct history_how *how, const struct named_policy *n)
{
	if (!how->told)
		return;
	write_fmt(how->told, "policy %s is generation %llu now: %s", n->name, (unsigned long long)n->generation,
		  policy_id(n->policy));
	if (n->before)
		write_fmt(how->told, "; generation %llu is accepted for another %llu s",
			  (unsigned long long)n->before_generation, (unsigned long long)(how->overlap_us / 1000000u));
	write_u8(how->told, '\n');
}

/* Another policy: the next generation; the one before stays accepted while they overlap. */
static int begin_generation(const struct adopting *a, struct named_policy *n, uint64_t last, struct policy *before)
{
	n->generation = last + 1;
	n->before_generation = last;
	if (before && a->how->overlap_us) {
		n->before = policy_ref(before);
		n->before_until_real = a->now->real + a->how->overlap_us;
		n->before_until_mono = a->now->mono + a->how->overlap_us;
	}
	tell(a->how, n);
	return add_generation(a->store, n, "", a->how, a->now);
}

/* --- from the store ---- */

static int open_kept(const struct adopting *a, const char *name, uint64_t generation, const char *file,
		     struct bytes detached, struct named_policy *out)
{
	cleanup_writer_ struct writer packed = WRITER(LIMIT_POLICY_KEPT);
	char what[LIMIT_POLICY_NAME + 64];
	bool found;
	int r = a->store->ops->get_policy_file(a->store, file, &packed, &found);

	snprintf(what, sizeof(what), "\"%s\", generation %llu of the store,", name, (unsigned long long)generation);
	if (r == 0 && !found)
		r = -ENOENT;
	if (r < 0) {
		write_fmt(a->opener->why, "cannot read the policy %s: %s\n", what, strerror(-r));
		return r;
	}
	return policy_kept_open(a->opener, what, writer_view(&packed), detached, out);
}

/* The overlap goes on where it was. One that cannot be read any more ends: the new policy alone is the stricter word. */
static void resume_overlap(const struct adopting *a, struct named_policy *n, const struct newest *stored)
{
	struct named_policy before = { 0 };

	n->before_generation = stored->before_generation;
	if (!stored->has_before || stored->before_until_real <= a->now->real)
		return;
	if (open_kept(a, n->name, stored->before_generation, stored->before_file, writer_view(&stored->before_detached),
		      &before) < 0)
		return;
	n->before = TAKE_PTR(before.policy);
	n->before_until_real = stored->before_until_real;
	n->before_until_mono = a->now->mono + (stored->before_until_real - a->now->real);
	policy_source_free(&before.source);
}

static bool is_compiled(const char *file_id)
{
	return strncmp(file_id, "seal:", 5) == 0;
}

/* The id of a compiled policy is what its file says it was made of, and cannot be checked: only the same file is the same policy. */
static bool same_policy(const char *id, const char *file_id, const struct named_policy *n)
{
	const char *own = n->source ? n->source->file_id : "";

	if (strcmp(id, policy_id(n->policy)) != 0)
		return false;
	return strcmp(file_id, own) == 0 || (!is_compiled(file_id) && !is_compiled(own));
}

static int adopt_stored(const struct adopting *a, struct named_policy *n)
{
	cleanup_(newest_clear) struct newest stored = NEWEST;
	struct named_policy opened = { 0 };
	int r = find_newest(a->store, n->name, &stored);

	if (r < 0)
		return r;
	if (!stored.any)
		return begin_generation(a, n, 0, NULL);
	if (*stored.held && strcmp(stored.held, n->source->file_id) == 0) { /* rolled back, and the file is as it was */
		r = open_kept(a, n->name, stored.generation, stored.file, writer_view(&stored.detached), &opened);
		if (r < 0)
			return r;
		policy_unref(&n->policy);
		policy_source_free(&n->source);
		n->policy = TAKE_PTR(opened.policy);
		n->source = TAKE_PTR(opened.source);
		snprintf(n->held, sizeof(n->held), "%s", stored.held);
	}
	if (same_policy(stored.id, stored.file, n)) {
		n->generation = stored.generation;
		resume_overlap(a, n, &stored);
		/* a verifier that ended too early has not stored all of it */
		r = strcmp(stored.file, n->source->file_id) == 0 ? keep_bytes(a->store, n, a->how->keep) : 0;
		/* its name may have been gone for a while */
		return r < 0 ? r : a->store->ops->set_policy_until(a->store, n->name, n->generation, 0);
	}
	/* it changed while nobody looked: what was in force overlaps from now on */
	if (a->how->overlap_us && open_kept(a, n->name, stored.generation, stored.file, writer_view(&stored.detached),
					    &opened) < 0)
		opened = (struct named_policy){ 0 };
	r = begin_generation(a, n, stored.generation, opened.policy);
	policy_unref(&opened.policy);
	policy_source_free(&opened.source);
	return r;
}

/* --- from memory ---- */

static void stay(struct named_policy *n, const struct named_policy *old)
{
	n->generation = old->generation;
	n->before_generation = old->before_generation;
	n->before_until_real = old->before_until_real;
	n->before_until_mono = old->before_until_mono;
	n->before = old->before ? policy_ref(old->before) : NULL;
	snprintf(n->held, sizeof(n->held), "%s", old->held);
}

static int adopt_one(const struct adopting *a, struct named_policy *n)
{
	const struct named_policy *old = a->in_force ? policies_find(a->in_force, n->name) : NULL;

	if (!old || !old->generation)
		return adopt_stored(a, n);
	if (*old->held && strcmp(old->held, n->source->file_id) == 0) {
		policy_unref(&n->policy);
		n->policy = policy_ref(old->policy);
		snprintf(n->source->file_id, sizeof(n->source->file_id), "%s", old->source->file_id);
		writer_reset(&n->source->packed);
		stay(n, old);
		return 0;
	}
	if (same_policy(policy_id(old->policy), old->source ? old->source->file_id : "", n)) {
		stay(n, old);
		*n->held = 0;
		return 0;
	}
	return begin_generation(a, n, old->generation, old->policy);
}

/* A name that is gone is in force no more. */
static int end_gone(const struct adopting *a, const struct policies *set)
{
	int r = 0;

	for (size_t i = 0; r == 0 && a->in_force && i < a->in_force->n; i++) {
		const struct named_policy *old = &a->in_force->list[i];

		if (old->generation && !policies_find(set, old->name))
			r = a->store->ops->set_policy_until(a->store, old->name, old->generation, a->now->real);
	}
	return r;
}

int history_adopt(struct store *s, const struct policies *in_force, struct policies *set, const struct policy_opener *opener,
		  const struct history_how *how, const struct instant *now)
{
	struct adopting a = { .store = s, .in_force = in_force, .opener = opener, .how = how, .now = now };
	int r = s->ops->begin(s);

	for (size_t i = 0; r == 0 && i < set->n; i++) {
		r = adopt_one(&a, &set->list[i]);
		if (r == 0 && set->list[i].source && !set->list[i].source->keep) /* it is in the store now, or was before */
			writer_free(&set->list[i].source->packed);
	}
	if (r == 0)
		r = end_gone(&a, set);
	if (r == 0)
		r = s->ops->commit(s);
	if (r < 0)
		s->ops->rollback(s);
	return r;
}

/* --- roll-back ---- */

void history_kept_clear(struct history_kept *k)
{
	writer_free(&k->packed);
	writer_free(&k->detached);
}

struct search {
	uint64_t wanted, found;
	char newest_id[LIMIT_LABEL + 1], file[LIMIT_KEY_NAME];
	bool any, kept;
	struct history_kept *out;
};

static int look_for(void *user, const struct policy_row *row)
{
	struct search *s = user;
	bool newest = !s->any;

	s->any = true;
	if (newest)
		snprintf(s->newest_id, sizeof(s->newest_id), "%s", row->id);
	if (s->wanted ? row->generation != s->wanted : strcmp(row->id, s->newest_id) == 0)
		return 0;
	s->found = row->generation;
	s->kept = row->kept;
	snprintf(s->file, sizeof(s->file), "%s", row->file);
	writer_reset(&s->out->detached);
	write_bytes(&s->out->detached, row->detached.p, row->detached.n);
	return writer_status(&s->out->detached) < 0 ? writer_status(&s->out->detached) : 1;
}

int history_find(struct store *s, const char *name, uint64_t generation, struct history_kept *out, const char **why)
{
	struct search search = { .wanted = generation, .out = out };
	bool found = false;
	int r = s->ops->each_policy(s, name, look_for, &search);

	if (r < 0)
		return r;
	*why = !search.any     ? "there is no policy of that name"
	       : !search.found ? generation ? "there is no such generation" : "there is no other policy to go back to"
			       : "the bytes of that generation are not kept any more (--policy-history), or not yet";
	if (!search.found || !search.kept)
		return 1;
	out->generation = search.found;
	r = s->ops->get_policy_file(s, search.file, &out->packed, &found);
	return r < 0 ? r : !found;
}

int history_roll_back(struct store *s, struct named_policy *entry, struct named_policy *opened,
		      const struct history_how *how, const struct instant *now)
{
	struct adopting a = { .store = s, .how = how, .now = now };
	struct named_policy next = { .policy = opened->policy, .source = opened->source,
				     .generation = entry->generation + 1, .before_generation = entry->generation };
	int r = s->ops->begin(s);

	snprintf(next.name, sizeof(next.name), "%s", entry->name);
	/* the file on disk holds what it held: it counts again when it holds something else */
	snprintf(next.held, sizeof(next.held), "%s", *entry->held ? entry->held : entry->source->file_id);
	if (how->overlap_us) {
		next.before = policy_ref(entry->policy);
		next.before_until_real = now->real + how->overlap_us;
		next.before_until_mono = now->mono + how->overlap_us;
	}
	if (r == 0)
		r = add_generation(s, &next, next.held, how, a.now);
	if (r == 0)
		r = s->ops->commit(s);
	if (r < 0) {
		s->ops->rollback(s);
		policy_unref(&next.before);
		return r;
	}
	*opened = (struct named_policy){ 0 };
	policy_unref(&entry->policy);
	policy_unref(&entry->before);
	policy_source_free(&entry->source);
	*entry = next;
	tell(how, entry);
	return 0;
}

int history_overlap(struct store *s, struct named_policy *entry, struct named_policy *opened,
		    const struct history_how *how, const struct instant *now)
{
	int r = s->ops->begin(s);

	if (r == 0)
		r = s->ops->set_policy_until(s, entry->name, entry->before_generation, now->real + how->overlap_us);
	if (r == 0)
		r = s->ops->commit(s);
	if (r < 0) {
		s->ops->rollback(s);
		return r;
	}
	policy_unref(&entry->before);
	if (how->overlap_us)
		entry->before = TAKE_PTR(opened->policy);
	entry->before_until_real = now->real + how->overlap_us;
	entry->before_until_mono = now->mono + how->overlap_us;
	tell(how, entry);
	return 0;
}
