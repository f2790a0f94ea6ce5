// SPDX-License-Identifier: Apache-2.0
/* The member "verification-keys" of a policy. */
#include "base/base64.h"
#include "policy/keyring_private.h"
#include "policy/load.h"

static void add_key(struct loader *l, struct bytes key, const uint32_t *id)
{
	const char *why = NULL;
	int r;

	if (!l->policy->keys) {
		r = keyring_new(&l->policy->keys);
		if (r < 0) {
			l->failure = r;
			return;
		}
	}
	r = keyring_add_as(l->policy->keys, key, id, &why);
	if (r < 0)
		l->failure = r;
	else if (r > 0)
		load_say(l, true, "%s", why);
}

/* The key id at hand. True when there is a number. */
static bool key_id(struct loader *l, const struct jp *ids, uint32_t *number)
{
	if (ids->type == JP_INTEGER && ids->integer > 0 && ids->integer <= UINT32_MAX) {
		*number = (uint32_t)ids->integer;
		return true;
	}
	if (ids->type != JP_NULL)
		load_say(l, true, "its key id is not a 32-bit number");
	return false;
}

/* Goes into the member's array: its first element is next. False when it is there and no array. */
static bool into_array(struct jp *j, struct bytes list, const char *name, bool *found)
{
	jp_begin(j, list, LIMIT_POLICY_DEPTH, 0);
	*found = false;
	(void)jp_next(j);
	while (!*found && jp_next(j) == JP_NAME) {
		*found = jp_text_is(j, name);
		if (jp_next(j) == JP_BAD || (!*found && !jp_skip(j)))
			break;
	}
	return !*found || j->type == JP_ARRAY;
}

/* {"pubkeys": [base64 of DER, ...], "keyids": [number, ...]}, read once and found good. */
static void load_key_list(struct loader *l, struct bytes list)
{
	cleanup_writer_ struct writer der = WRITER(LIMIT_PEM);
	cleanup_jp_ struct jp keys = { .depth = 0 }, ids = { .depth = 0 };
	bool has_keys, has_ids, more_ids;

	if (!into_array(&keys, list, "pubkeys", &has_keys) || !has_keys) {
		load_say(l, true, "the text inside has no array \"pubkeys\"");
		return;
	}
	if (!into_array(&ids, list, "keyids", &has_ids)) {
		load_say(l, true, "\"keyids\" in the text inside is not an array");
		return;
	}
	more_ids = has_ids;
	for (size_t i = 0; jp_next(&keys) != JP_ARRAY_END && keys.type != JP_BAD && !l->failure; i++) {
		size_t outer = load_enter(l, "pubkeys");
		uint32_t number = 0;
		bool has_id = false;
		int r = -EINVAL;

		(void)load_enter_index(l, i);
		more_ids = more_ids && jp_next(&ids) != JP_ARRAY_END && ids.type != JP_BAD;
		if (more_ids)
			has_id = key_id(l, &ids, &number);
		if (more_ids)
			(void)jp_skip(&ids);
		writer_reset(&der);
		if (keys.type == JP_STRING)
			r = base64_decode_to(&der, jp_text(&keys), BASE64_STANDARD);
		if (r == -ENOMEM)
			l->failure = r;
		else if (r < 0 || !der.n)
			load_say(l, true, "not base64");
		else
			add_key(l, writer_view(&der), has_id ? &number : NULL);
		(void)jp_skip(&keys);
		load_leave(l, outer);
	}
	if (!l->failure)
		l->failure = keys.type == JP_BAD ? jp_failure(&keys) : jp_failure(&ids);
}

/* The kind of a whole document, with a string's content in w; JP_BAD when it is not one. */
static enum jp_type whole(struct loader *l, struct bytes text, unsigned int flags, struct writer *w)
{
	cleanup_jp_ struct jp j;
	enum jp_type type;

	jp_begin(&j, text, LIMIT_POLICY_DEPTH, flags);
	type = jp_next(&j);
	if (type == JP_STRING && w)
		jp_unescape(j.raw, w);
	if (w && writer_status(w) < 0)
		l->failure = writer_status(w);
	if (type == JP_BAD || !jp_skip(&j) || jp_next(&j) != JP_END)
		type = JP_BAD;
	if (jp_failure(&j) < 0)
		l->failure = jp_failure(&j);
	return type;
}

/* Keylime keeps a JSON text in the string, at times encoded twice; PEM is taken too. */
void load_keys(struct loader *l)
{
	cleanup_writer_ struct writer twice = WRITER(JP_TEXT_MAX);
	struct bytes text;
	enum jp_type type;

	if (!load_is(l, JP_STRING, "a string"))
		return;
	text = jp_text(&l->json);
	if (text.n == 0)
		return;
	if (text.p[0] != '{' && text.p[0] != '"') {
		add_key(l, text, NULL);
		return;
	}
	type = whole(l, text, JP_UNIQUE | JP_ANY, &twice);
	if (type == JP_STRING && !l->failure) {
		text = writer_view(&twice);
		type = whole(l, text, JP_UNIQUE, NULL);
	}
	if (l->failure)
		return;
	if (type == JP_OBJECT)
		load_key_list(l, text);
	else
		load_say(l, true, "the text inside is neither a JSON object nor PEM");
}
