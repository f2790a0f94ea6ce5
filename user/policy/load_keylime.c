// SPDX-License-Identifier: Apache-2.0
/* Keylime runtime policy, version 1 (keylime docs "Runtime policies"; keylime/ima/types.py), with two members of our own:
 * "deny" and "violations". docs/policy.md has the format. */
#include "base/hash.h"
#include "base/text.h"
#include "policy/load.h"

#define BAD_POLICY 1

/* ---- values ---- */

static struct table_digest *scratch_slot(struct loader *l, size_t i)
{
	if (i >= l->scratch_cap) {
		size_t cap = l->scratch_cap ? l->scratch_cap * 2 : 16;
		struct table_digest *grown = reallocarray(l->scratch, cap, sizeof(*grown));

		if (!grown) {
			l->failure = -ENOMEM;
			return NULL;
		}
		l->scratch = grown;
		l->scratch_cap = cap;
	}
	return &l->scratch[i];
}

static bool read_digest(struct loader *l, const json_t *v, struct table_digest *out)
{
	struct bytes text;

	if (!json_is_string(v)) {
		load_wrong_type(l, v, "a hexadecimal digest");
		return false;
	}
	text = json_text(v);
	out->alg = text.n % 2 ? FILE_ALG_NONE : file_alg_infer(text.n / 2, l->preferred);
	if (out->alg == FILE_ALG_NONE) {
		load_say(l, true, "%zu digits: no hash algorithm has digests of that length", text.n);
		return false;
	}
	out->size = (uint8_t)(text.n / 2);
	if (hex_decode(text, out->value, out->size) < 0) {
		load_say_about(l, true, "not hexadecimal:", text);
		return false;
	}
	return true;
}

/* Strings of digests into the scratch; how many. */
static size_t read_digests(struct loader *l, const json_t *array)
{
	size_t n = 0;

	if (!json_is_array(array)) {
		load_wrong_type(l, array, "an array of hexadecimal digests");
		return 0;
	}
	for (size_t i = 0; i < json_array_size(array) && !l->failure; i++) {
		struct table_digest *slot = scratch_slot(l, n);
		size_t before = load_enter_index(l, i);

		if (slot && read_digest(l, json_array_get(array, i), slot))
			n++;
		load_leave(l, before);
	}
	return n;
}

static void add(struct loader *l, enum table_section section, struct bytes key, size_t n, size_t *unique)
{
	int r = table_add(&l->table, section, key, l->scratch, n, unique);

	if (r == -EMSGSIZE)
		load_say(l, true, "the policy needs more than %u bytes of memory", LIMIT_POLICY_RECORDS);
	else if (r < 0)
		l->failure = r;
}

/* An object: name -> array of digests. */
static void load_map(struct loader *l, json_t *map, enum table_section section)
{
	const char *name;
	json_t *value;

	if (!json_is_object(map)) {
		load_wrong_type(l, map, "an object");
		return;
	}
	json_object_foreach(map, name, value) {
		size_t before = load_enter(l, name), unique = 0;
		size_t n = read_digests(l, value);

		if (!l->failure)
			add(l, section, text_bytes(name), n, &unique);
		if (section == TABLE_FILES) {
			l->policy->paths++;
			l->policy->digests += unique;
			l->policy->boot_aggregate |= strcmp(name, "boot_aggregate") == 0;
		}
		load_leave(l, before);
		if (l->failure || l->table.records.bad)
			return;
	}
}

static void load_digests(struct loader *l, json_t *v)
{
	load_map(l, v, TABLE_FILES);
}

static void load_keyrings(struct loader *l, json_t *v)
{
	load_map(l, v, TABLE_KEYRINGS);
}

static void load_buffers(struct loader *l, json_t *v)
{
	load_map(l, v, TABLE_BUFFERS);
}

static void load_deny(struct loader *l, json_t *v)
{
	size_t n = read_digests(l, v);

	for (size_t i = 0; i < n && !l->failure; i++)
		add(l, TABLE_DENY, (struct bytes){ l->scratch[i].value, l->scratch[i].size }, 0, NULL);
	l->policy->denied = n;
}

static void load_excludes(struct loader *l, json_t *v)
{
	if (!json_is_array(v)) {
		load_wrong_type(l, v, "an array of regular expressions");
		return;
	}
	if (json_array_size(v) > LIMIT_POLICY_EXCLUDES) {
		load_say(l, true, "%zu rules, more than %u", json_array_size(v), LIMIT_POLICY_EXCLUDES);
		return;
	}
	for (size_t i = 0; i < json_array_size(v) && !l->failure; i++) {
		cleanup_writer_ struct writer why = WRITER(1024);
		const json_t *rule = json_array_get(v, i);
		size_t before = load_enter_index(l, i);
		int r;

		if (!json_is_string(rule)) {
			load_wrong_type(l, rule, "a regular expression");
		} else {
			r = exclude_add(l->policy->excludes, json_text(rule), &why);
			if (r < 0) {
				l->failure = r;
			} else if (r > 0) {
				write_fmt(&why, " in");
				load_say_about(l, true, writer_cstr(&why), json_text(rule));
			} else if (exclude_last_covers_all(l->policy->excludes)) {
				load_say_about(l, false, "this rule covers every path:", json_text(rule));
			}
		}
		load_leave(l, before);
	}
}

static void load_violations(struct loader *l, json_t *v)
{
	if (!json_is_string(v) || !violation_rule_from_name(json_string_value(v), &l->policy->violations))
		load_say(l, true, "expected \"ignore\", \"warn\" or \"fail\"");
}

static void load_ignored_keyrings(struct loader *l, json_t *v)
{
	if (!json_is_array(v)) {
		load_wrong_type(l, v, "an array of keyring names");
		return;
	}
	for (size_t i = 0; i < json_array_size(v) && !l->failure; i++) {
		const json_t *name = json_array_get(v, i);
		size_t before = load_enter_index(l, i);

		if (!json_is_string(name))
			load_wrong_type(l, name, "a keyring name");
		else if (strcmp(json_string_value(name), "*") == 0)
			l->policy->ignore_all_keyrings = true;
		else
			add(l, TABLE_IGNORED_KEYRINGS, json_text(name), 0, NULL);
		load_leave(l, before);
	}
}

/* Needed before the digests: says which algorithm those of its length have. */
static void load_log_hash_alg(struct loader *l, json_t *v)
{
	if (!json_is_string(v)) {
		load_wrong_type(l, v, "the name of a hash algorithm");
		return;
	}
	l->preferred = file_alg_from_name(json_text(v));
	if (l->preferred == FILE_ALG_NONE)
		load_say_about(l, true, "no hash algorithm of that name:", json_text(v));
}

static void load_ima(struct loader *l, json_t *ima)
{
	static const struct {
		const char *name;
		const char *missing;
		void (*load)(struct loader *l, json_t *v);
	} members[] = {
		{ "log_hash_alg", "missing, taken as \"sha1\"", load_log_hash_alg },
		{ "ignored_keyrings", "missing, taken as []", load_ignored_keyrings },
	};
	const char *name;
	json_t *v;

	if (!json_is_object(ima)) {
		load_wrong_type(l, ima, "an object");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		size_t before = load_enter(l, members[i].name);

		v = json_object_get(ima, members[i].name);
		if (v)
			members[i].load(l, v);
		else
			load_say(l, false, "%s", members[i].missing);
		load_leave(l, before);
	}
	json_object_foreach(ima, name, v) {
		size_t before = load_enter(l, name);

		if (strcmp(name, "dm_policy") == 0) {
			if (!json_is_null(v))
				load_say(l, false, "device mapper policies are not judged: ignored");
		} else if (strcmp(name, "log_hash_alg") != 0 && strcmp(name, "ignored_keyrings") != 0) {
			load_say(l, false, "not a member that imastream knows: ignored");
		}
		load_leave(l, before);
	}
}

static void load_meta(struct loader *l, json_t *meta)
{
	json_t *version;
	size_t before;

	if (!json_is_object(meta)) {
		load_wrong_type(l, meta, "an object");
		return;
	}
	version = json_object_get(meta, "version");
	before = load_enter(l, "version");
	if (!version)
		load_say(l, false, "missing, taken as 1");
	else if (!json_is_integer(version))
		load_wrong_type(l, version, "an integer");
	else if (json_integer_value(version) != 1)
		load_say(l, true, "version %lld, only 1 is known", (long long)json_integer_value(version));
	load_leave(l, before);
}

static void load_release(struct loader *l, json_t *v)
{
	if (!json_is_integer(v))
		load_wrong_type(l, v, "an integer");
}

/* ---- the whole ---- */

static const struct {
	const char *name;
	const char *missing; /* NULL: our own member, nothing to say when it is absent */
	void (*load)(struct loader *l, json_t *v);
} members[] = {
	{ "meta", "missing, taken as version 1", load_meta },
	{ "release", "missing, taken as 0", load_release },
	{ "ima", "missing, taken as log_hash_alg \"sha1\", no ignored keyrings", load_ima }, /* before any digest */
	{ "digests", "missing, taken as {}: no file is known", load_digests },
	{ "excludes", "missing, taken as []", load_excludes },
	{ "keyrings", "missing, taken as {}", load_keyrings },
	{ "ima-buf", "missing, taken as {}", load_buffers },
	{ "verification-keys", "missing, taken as \"\"", load_keys },
	{ "deny", NULL, load_deny },
	{ "violations", NULL, load_violations },
};

static void load_members(struct loader *l, json_t *root)
{
	const char *name;
	json_t *v;

	for (size_t i = 0; i < ARRAY_SIZE(members) && !l->failure; i++) {
		size_t before = load_enter(l, members[i].name);

		v = json_object_get(root, members[i].name);
		if (v)
			members[i].load(l, v);
		else if (members[i].missing)
			load_say(l, false, "%s", members[i].missing);
		load_leave(l, before);
	}
	json_object_foreach(root, name, v) {
		size_t before = load_enter(l, name);
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(members); i++)
			known |= strcmp(name, members[i].name) == 0;
		if (!known)
			load_say(l, false, "not a member that imastream knows: ignored");
		load_leave(l, before);
	}
}

/* False, and says where, when v is nested deeper than the limit. */
static bool depth_ok(struct loader *l, json_t *v, unsigned int depth)
{
	const char *name;
	json_t *child;
	bool ok = true;
	size_t i;

	if (!json_is_object(v) && !json_is_array(v))
		return true;
	if (depth == LIMIT_POLICY_DEPTH) {
		load_say(l, true, "nested deeper than %u", LIMIT_POLICY_DEPTH);
		return false;
	}
	json_object_foreach(v, name, child) {
		size_t before = load_enter(l, name);

		ok = depth_ok(l, child, depth + 1);
		load_leave(l, before);
		if (!ok)
			return false;
	}
	json_array_foreach(v, i, child) {
		size_t before = load_enter_index(l, i);

		ok = depth_ok(l, child, depth + 1);
		load_leave(l, before);
		if (!ok)
			return false;
	}
	return ok;
}

static void set_id(struct policy *p, struct bytes json)
{
	cleanup_writer_ struct writer hex = WRITER(sizeof(p->id));
	uint8_t digest[HASH_MAX_SIZE];
	const char *text;

	hash_one(HASH_SHA256, json.p, json.n, digest);
	write_fmt(&hex, "sha256:");
	write_hex(&hex, digest, hash_size(HASH_SHA256));
	text = writer_cstr(&hex);
	bytes_copy(p->id, text ? text : "", text ? hex.n + 1 : 1);
}

static int load(struct loader *l, struct bytes json)
{
	json_error_t e = { .line = 0 };
	json_t *root;

	if (json.n > LIMIT_POLICY_FILE) {
		load_say(l, true, "%zu bytes, more than %u", json.n, LIMIT_POLICY_FILE);
		return BAD_POLICY;
	}
	root = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &e);
	if (!root) {
		if (json_error_code(&e) == json_error_out_of_memory)
			return -ENOMEM;
		load_say_syntax(l, &e);
		return BAD_POLICY;
	}
	if (!json_is_object(root))
		load_wrong_type(l, root, "an object");
	else if (depth_ok(l, root, 0))
		load_members(l, root);
	json_decref(root);
	if (l->failure)
		return l->failure;
	if (l->report->errors != l->errors_before)
		return BAD_POLICY;
	set_id(l->policy, json);
	return table_finish(&l->table, &l->policy->table);
}

int policy_load_json(struct policy **out, struct bytes json, struct policy_report *report)
{
	cleanup_policy_ struct policy *p = NULL;
	struct loader l = {
		.report = report,
		.errors_before = report->errors,
		.preferred = FILE_ALG_SHA1,
	};
	int r;

	r = policy_new(&p);
	if (r < 0)
		return r;
	if (!report->text.max)
		report->text.max = LIMIT_POLICY_REPORT;
	l.policy = p;
	table_builder_init(&l.table);
	r = load(&l, json);
	table_builder_free(&l.table);
	free(l.scratch);
	if (r == 0)
		*out = TAKE_PTR(p);
	return r;
}
