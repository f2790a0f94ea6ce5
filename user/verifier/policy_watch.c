// SPDX-License-Identifier: Apache-2.0
#include "verifier/policy_watch.h"

#include <stdio.h>
#include <sys/inotify.h>

#include "base/clock.h"
#include "verifier/policies.h"

#define QUIET_US 300000u    /* after the last change: a file and its signature come one after the other */
#define PATIENCE_US 3000000u /* after the first one: a folder that is never quiet */
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)
#define FOLDERS (OPTION_LIST_MAX + 2)

struct policy_watch {
	int fd;
	struct loop *loop;
	struct loop_timer *timer;
	loop_fn changed;
	void *user;
	uint64_t first_us;
	struct {
		int id;
		char *name; /* beginning of the names that count; NULL: all */
	} watched[FOLDERS];
	size_t n;
};

/* What tools write beside a file before they rename it, and what editors leave, says nothing. A volume that is swapped as a
 * whole is a link named ..data. */
static bool counts(const struct policy_watch *w, int id, const char *name)
{
	size_t n = strlen(name);

	if (strcmp(name, "..data") == 0)
		return true;
	if (n == 0 || name[0] == '.' || name[n - 1] == '~')
		return false;
	for (size_t i = 0; i < w->n; i++)
		if (w->watched[i].id == id &&
		    (!w->watched[i].name || strncmp(name, w->watched[i].name, strlen(w->watched[i].name)) == 0))
			return true;
	return false;
}

static int on_events(void *user, uint32_t events unused_)
{
	struct policy_watch *w = user;
	uint8_t buf[16384];
	uint64_t now = clock_mono_us();
	bool any = false;
	ssize_t n;

	while ((n = read(w->fd, buf, sizeof(buf))) > 0) {
		struct reader r = reader_over(buf, (size_t)n);

		while (reader_left(&r) > 0) {
			struct inotify_event e;
			struct bytes name;

			read_copy(&r, &e, sizeof(e));
			name = read_bytes(&r, e.len); /* padded with zeros */
			if (!reader_ok(&r))
				break;
			any = any || e.mask & (IN_Q_OVERFLOW | IN_IGNORED) ||
			      (name.n && counts(w, e.wd, (const char *)name.p));
		}
	}
	if (!any)
		return 0;
	if (!w->first_us)
		w->first_us = now;
	loop_timer_at(w->timer, MIN(now + QUIET_US, w->first_us + PATIENCE_US));
	return 0;
}

static int on_quiet(void *user, uint32_t events)
{
	struct policy_watch *w = user;

	w->first_us = 0;
	return w->changed(w->user, events);
}

/* The folder of a file, with its name; or a folder. */
static int add(struct policy_watch *w, const char *path, bool folder, struct writer *why)
{
	const char *slash = folder ? NULL : strrchr(path, '/');
	cleanup_free_ char *where = folder ? strdup(path) : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	char *name = folder ? NULL : strdup(slash ? slash + 1 : path);
	int id;

	if (!where || (!folder && !name) || w->n == ARRAY_SIZE(w->watched)) {
		free(name);
		return -ENOMEM;
	}
	id = inotify_add_watch(w->fd, *where ? where : "/", EVENTS | IN_ONLYDIR);
	if (id < 0) {
		if (why)
			write_fmt(why, "changes in %s are not seen (%s): send SIGHUP\n", where, strerror(errno));
		free(name);
		return 0;
	}
	w->watched[w->n].id = id;
	w->watched[w->n++].name = name;
	return 0;
}

/* FILE, or NAME=FILE. */
static const char *path_of(const char *item)
{
	const char *equals = strchr(item, '=');

	return equals && policy_name_ok((struct bytes){ (const uint8_t *)item, (size_t)(equals - item) }) ? equals + 1
													 : item;
}

int policy_watch_new(struct policy_watch **out, const struct verifier_options *o, struct loop *loop, loop_fn changed,
		     void *user, struct writer *why)
{
	struct policy_watch *w = calloc(1, sizeof(*w));
	int r = 0;

	if (!w)
		return -ENOMEM;
	w->loop = loop;
	w->changed = changed;
	w->user = user;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		r = -errno;
	for (size_t i = 0; r == 0 && i < o->policy.n; i++)
		r = add(w, path_of(o->policy.items[i]), false, why);
	if (r == 0 && o->policies)
		r = add(w, o->policies, true, why);
	if (r == 0 && o->groups)
		r = add(w, o->groups, false, why);
	if (r == 0)
		r = loop_add_timer(loop, &w->timer, on_quiet, w);
	if (r == 0)
		r = loop_add_fd(loop, w->fd, 0, on_events, w);
	if (r < 0) {
		policy_watch_free(&w);
		return r;
	}
	*out = w;
	return 0;
}

void policy_watch_free(struct policy_watch **w)
{
	struct policy_watch *old = TAKE_PTR(*w);

	if (!old)
		return;
	if (old->fd >= 0) {
		(void)loop_del_fd(old->loop, old->fd);
		close(old->fd);
	}
	for (size_t i = 0; i < old->n; i++)
		free(old->watched[i].name);
	free(old);
}
