// SPDX-License-Identifier: Apache-2.0
#include "verifier/policy_keep.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "policy/compiled.h"

#define PAUSE_US 2000u /* between two parts: evidence goes first */

struct keep_job {
	struct keep_job *next;
	char file[LIMIT_KEY_NAME];
	struct policy *policy; /* owned reference: the bytes, until they are packed */
	struct writer packed;
	int packing;	   /* what the thread says */
	bool begun;	   /* what an earlier attempt left is gone */
	uint64_t left;	   /* parts that are not stored */
};

struct policy_keep {
	struct loop *loop;
	struct store *store;
	uint64_t keep;
	struct loop_timer *timer;
	int wake;
	struct keep_job *first; /* the one at work */
	pthread_t thread;
	bool running; /* the thread works on `first` */
};

static void job_free(struct keep_job **j)
{
	struct keep_job *old = TAKE_PTR(*j);

	if (!old)
		return;
	policy_unref(&old->policy);
	writer_free(&old->packed);
	free(old);
}

static void *pack(void *user)
{
	struct policy_keep *k = user;

	k->first->packing = policy_file_pack(policy_file_bytes(k->first->policy), &k->first->packed);
	wake_fd_kick(k->wake);
	return NULL;
}

static void again(struct policy_keep *k)
{
	loop_timer_at(k->timer, k->first ? clock_mono_us() + PAUSE_US : 0);
}

static void done(struct policy_keep *k, int error)
{
	struct keep_job *j = k->first;

	if (error < 0)
		log_errno(error, "cannot keep a policy for its history");
	k->first = j->next;
	job_free(&j);
	again(k);
}

/* --- the store ---- */

static struct bytes part_of(const struct keep_job *j, uint64_t part)
{
	struct reader r = reader_of(writer_view(&j->packed));

	(void)read_bytes(&r, part * POLICY_PART);
	return read_bytes(&r, MIN(reader_left(&r), (size_t)POLICY_PART));
}

/* The last part first: with part 0 the file is there, and may be dropped when nobody wants it any more. */
static int store_part(struct policy_keep *k, struct keep_job *j)
{
	const struct store_ops *ops = k->store->ops;
	int r = ops->begin(k->store);

	if (r == 0 && !j->begun)
		r = ops->drop_policy_file(k->store, j->file);
	if (r == 0)
		r = ops->add_policy_part(k->store, j->file, j->left - 1, part_of(j, j->left - 1));
	if (r == 0 && j->left == 1)
		r = ops->prune_policy_files(k->store, k->keep);
	if (r == 0)
		r = ops->commit(k->store);
	if (r < 0) {
		ops->rollback(k->store);
		return r;
	}
	j->begun = true;
	j->left--;
	return 0;
}

static int begin(struct policy_keep *k, struct keep_job *j)
{
	bool found = false;
	int r = k->store->ops->get_policy_file(k->store, j->file, NULL, &found);

	if (r < 0 || found) {
		done(k, r);
		return 0;
	}
	if (j->packed.n) {
		j->left = (j->packed.n + POLICY_PART - 1) / POLICY_PART;
		again(k);
		return 0;
	}
	r = -pthread_create(&k->thread, NULL, pack, k);
	k->running = r == 0;
	if (r < 0)
		done(k, r);
	return 0;
}

static int on_timer(void *user, uint32_t events unused_)
{
	struct policy_keep *k = user;
	struct keep_job *j = k->first;
	int r;

	if (!j || k->running)
		return 0;
	if (!j->left)
		return begin(k, j);
	r = store_part(k, j);
	if (r < 0 || !j->left)
		done(k, r);
	else
		again(k);
	return 0;
}

static int on_packed(void *user, uint32_t events unused_)
{
	struct policy_keep *k = user;
	struct keep_job *j = k->first;

	(void)wake_fd_clear(k->wake);
	if (!k->running)
		return 0;
	pthread_join(k->thread, NULL);
	k->running = false;
	policy_unref(&j->policy);
	if (j->packing < 0 || !j->packed.n) { /* failed, or too large to be kept */
		done(k, j->packing);
		return 0;
	}
	j->left = (j->packed.n + POLICY_PART - 1) / POLICY_PART;
	again(k);
	return 0;
}

/* --- what is to be done ---- */

static int add(struct policy_keep *k, struct policy *policy, struct policy_source *source)
{
	struct keep_job *j = calloc(1, sizeof(*j)), **end;

	if (!j)
		return -ENOMEM;
	snprintf(j->file, sizeof(j->file), "%s", source->file_id);
	j->packed = source->packed;
	j->packed.max = LIMIT_POLICY_KEPT;
	source->packed = WRITER(LIMIT_POLICY_KEPT);
	if (!j->packed.n)
		j->policy = policy_ref(policy);
	for (end = &k->first; *end; end = &(*end)->next)
		;
	*end = j;
	return 0;
}

int policy_keep_add(struct policy_keep *k, struct policies *set)
{
	bool idle = !k->first;
	int r = 0;

	for (size_t i = 0; r == 0 && i < set->n; i++) {
		struct policy_source *source = set->list[i].source;

		if (!source || !source->keep)
			continue;
		source->keep = false;
		r = add(k, set->list[i].policy, source);
	}
	if (idle)
		again(k);
	return r;
}

size_t policy_keep_left(const struct policy_keep *k)
{
	size_t n = 0;

	for (const struct keep_job *j = k->first; j; j = j->next)
		n++;
	return n;
}

int policy_keep_new(struct policy_keep **out, struct loop *loop, struct store *store, uint64_t keep)
{
	struct policy_keep *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->loop = loop;
	k->store = store;
	k->keep = keep;
	k->wake = wake_fd_new();
	r = k->wake < 0 ? k->wake : loop_add_timer(loop, &k->timer, on_timer, k);
	if (r == 0)
		r = loop_add_fd(loop, k->wake, 0, on_packed, k);
	if (r < 0) {
		policy_keep_free(&k);
		return r;
	}
	*out = k;
	return 0;
}

void policy_keep_free(struct policy_keep **k)
{
	struct policy_keep *old = TAKE_PTR(*k);

	if (!old)
		return;
	if (old->running)
		pthread_join(old->thread, NULL);
	if (old->timer)
		loop_timer_at(old->timer, 0);
	while (old->first) {
		struct keep_job *j = old->first;

		old->first = j->next;
		job_free(&j);
	}
	if (old->wake >= 0) {
		(void)loop_del_fd(old->loop, old->wake);
		close(old->wake);
	}
	free(old);
}
