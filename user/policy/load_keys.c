// SPDX-License-Identifier: Apache-2.0
/* The member "verification-keys" of a policy. */
#include <openssl/evp.h>

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

/* Base64 without white space. Bytes written, or -1. */
static ssize_t base64_decode(struct bytes text, uint8_t *out)
{
	size_t padding = 0;
	int n;

	if (text.n == 0 || text.n % 4 || text.n > LIMIT_PEM)
		return -1;
	while (padding < 2 && text.p[text.n - 1 - padding] == '=')
		padding++;
	n = EVP_DecodeBlock(out, text.p, (int)text.n);
	return n < 0 || (size_t)n != text.n / 4 * 3 ? -1 : (ssize_t)((size_t)n - padding);
}

/* {"pubkeys": [base64 of DER, ...], "keyids": [number, ...]} */
static void load_key_list(struct loader *l, json_t *list)
{
	json_t *keys = json_object_get(list, "pubkeys"), *ids = json_object_get(list, "keyids");
	cleanup_free_ uint8_t *der = alloc_bytes(LIMIT_PEM);

	if (!der) {
		l->failure = -ENOMEM;
		return;
	}
	if (!json_is_array(keys)) {
		load_say(l, true, "the text inside has no array \"pubkeys\"");
		return;
	}
	if (ids && !json_is_array(ids)) {
		load_say(l, true, "\"keyids\" in the text inside is not an array");
		return;
	}
	for (size_t i = 0; i < json_array_size(keys) && !l->failure; i++) {
		const json_t *key = json_array_get(keys, i), *id = json_array_get(ids, i);
		size_t outer = load_enter(l, "pubkeys"), n_id = 0;
		uint32_t number = 0;
		ssize_t n = -1;

		(void)load_enter_index(l, i);
		if (json_is_integer(id) && json_integer_value(id) > 0 && json_integer_value(id) <= UINT32_MAX) {
			number = (uint32_t)json_integer_value(id);
			n_id = 1;
		} else if (id && !json_is_null(id)) {
			load_say(l, true, "its key id is not a 32-bit number");
		}
		if (json_is_string(key))
			n = base64_decode(json_text(key), der);
		if (n < 0)
			load_say(l, true, "not base64");
		else
			add_key(l, (struct bytes){ der, (size_t)n }, n_id ? &number : NULL);
		load_leave(l, outer);
	}
}

/* Keylime keeps a JSON text in the string, at times encoded twice; PEM is taken too. */
void load_keys(struct loader *l, json_t *v)
{
	struct bytes text = json_text(v);
	json_t *inner = NULL;

	if (!json_is_string(v)) {
		load_wrong_type(l, v, "a string");
		return;
	}
	if (text.n == 0)
		return;
	if (text.p[0] != '{' && text.p[0] != '"') {
		add_key(l, text, NULL);
		return;
	}
	inner = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	if (json_is_string(inner)) {
		json_t *twice = json_loadb(json_string_value(inner), json_string_length(inner), JSON_REJECT_DUPLICATES, NULL);

		json_decref(inner);
		inner = twice;
	}
	if (json_is_object(inner))
		load_key_list(l, inner);
	else
		load_say(l, true, "the text inside is neither a JSON object nor PEM");
	json_decref(inner);
}
