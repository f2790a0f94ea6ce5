// SPDX-License-Identifier: Apache-2.0
/* Going through the values of a policy. */
#include "policy/load.h"

bool load_is(struct loader *l, enum jp_type type, const char *wanted)
{
	if (l->json.type != type && !l->failure)
		load_wrong_type(l, wanted);
	return l->json.type == type;
}

struct load_walk load_walk(struct loader *l)
{
	return (struct load_walk){ .inside = l->json.depth, .before = l->depth };
}

bool load_ended(struct loader *l)
{
	if (l->json.type == JP_BAD && !l->failure)
		l->failure = jp_failure(&l->json) < 0 ? jp_failure(&l->json) : -EIO;
	return false;
}

bool load_next(struct loader *l, struct load_walk *w)
{
	enum jp_type type;

	load_leave(l, w->before);
	if (l->failure || l->table.records.bad || !jp_close(&l->json, w->inside))
		return load_ended(l);
	type = jp_next(&l->json);
	if (type == JP_OBJECT_END || type == JP_ARRAY_END || type == JP_BAD)
		return load_ended(l);
	if (type != JP_NAME) {
		(void)load_enter_index(l, w->index++);
		return true;
	}
	(void)load_enter_raw(l, l->json.raw);
	w->name = jp_text(&l->json);
	if (l->json.escaped) { /* the value may need jp's own memory */
		writer_reset(&l->name);
		write_bytes(&l->name, w->name.p, w->name.n);
		w->name = writer_view(&l->name);
		if (writer_status(&l->name) < 0)
			l->failure = writer_status(&l->name);
	}
	return jp_next(&l->json) != JP_BAD && !l->failure ? true : load_ended(l);
}

size_t load_count(struct loader *l)
{
	struct jp_mark here = jp_mark(&l->json);
	size_t n = 0;

	for (;;) {
		enum jp_type type = jp_next(&l->json);

		if (type == JP_NAME)
			type = jp_next(&l->json);
		if (type == JP_OBJECT_END || type == JP_ARRAY_END || type == JP_BAD || !jp_skip(&l->json))
			break;
		n++;
	}
	jp_rewind(&l->json, &here);
	return n;
}

bool load_find(struct loader *l, const struct jp_mark *object, const char *name)
{
	jp_rewind(&l->json, object);
	while (jp_next(&l->json) == JP_NAME) {
		bool found = jp_text_is(&l->json, name);

		if (jp_next(&l->json) == JP_BAD)
			break;
		if (found)
			return true;
		if (!jp_skip(&l->json))
			break;
	}
	return load_ended(l);
}
