// SPDX-License-Identifier: Apache-2.0
#include "verifier/librarian.h"

#include <pthread.h>
#include <stdio.h>

#include "base/log.h"

/* What the thread works on: its own until it is joined. */
struct work {
	char name[LIMIT_POLICY_NAME + 1];
	struct policy *policy; /* owned reference */
	int wake;
	int result;
	struct reference_set *set;
};

struct librarian {
	struct loop *loop;
	struct pipeline *pipeline;
	void (*after)(void *user);
	void *user;
	int wake;
	bool busy;
	pthread_t thread;
	struct work work;
};

static void *work(void *user)
{
	struct work *w = user;

	w->result = reference_set_new(&w->set, w->policy);
	wake_fd_kick(w->wake);
	return NULL;
}

static void clear_work(struct work *w)
{
	policy_unref(&w->policy);
	reference_set_unref(&w->set);
}

void librarian_look(struct librarian *l)
{
	const struct named_policy *next = l->busy ? NULL : references_missing(&l->pipeline->references, &l->pipeline->rules.policies);
	int r;

	if (!next)
		return;
	l->work = (struct work){ .policy = policy_ref(next->policy), .wake = l->wake };
	snprintf(l->work.name, sizeof(l->work.name), "%s", next->name);
	r = -pthread_create(&l->thread, NULL, work, &l->work);
	l->busy = r == 0;
	if (r == 0)
		return;
	log_errno(r, "cannot make the reference set of the policy \"%s\": its entries come in full", next->name);
	clear_work(&l->work);
}

static int on_done(void *user, uint32_t events unused_)
{
	struct librarian *l = user;
	struct instant now = instant_now();
	int r;

	(void)wake_fd_clear(l->wake);
	if (!l->busy)
		return 0;
	pthread_join(l->thread, NULL);
	l->busy = false;
	if (l->work.result < 0)
		log_errno(l->work.result, "cannot make the reference set of the policy \"%s\": its entries come in full",
			  l->work.name);
	else if (l->work.set)
		log_info("policy \"%s\": reference set of %zu bytes", l->work.name, reference_set_bytes(l->work.set).n);
	/* without one it is not tried again before the policy changes */
	r = pipeline_set_reference(l->pipeline, l->work.name, policy_id(l->work.policy), &l->work.set, &now);
	if (r < 0)
		log_errno(r, "cannot keep a reference set");
	clear_work(&l->work);
	l->after(l->user);
	if (r == 0)
		librarian_look(l);
	return 0;
}

int librarian_new(struct librarian **out, struct loop *loop, struct pipeline *pipeline, void (*after)(void *user), void *user)
{
	struct librarian *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	*l = (struct librarian){ .loop = loop, .pipeline = pipeline, .after = after, .user = user };
	l->wake = wake_fd_new();
	r = l->wake < 0 ? l->wake : loop_add_fd(loop, l->wake, 0, on_done, l);
	if (r < 0) {
		librarian_free(&l);
		return r;
	}
	*out = l;
	librarian_look(l);
	return 0;
}

void librarian_free(struct librarian **l)
{
	struct librarian *old = TAKE_PTR(*l);

	if (!old)
		return;
	if (old->busy) {
		pthread_join(old->thread, NULL);
		clear_work(&old->work);
	}
	if (old->wake >= 0) {
		(void)loop_del_fd(old->loop, old->wake);
		close(old->wake);
	}
	free(old);
}
