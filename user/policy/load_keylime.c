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

static bool read_digest(struct loader *l, struct table_digest *out)
{
	struct bytes text;

	if (!load_is(l, JP_STRING, "a hexadecimal digest"))
		return false;
	text = jp_text(&l->json);
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
static size_t read_digests(struct loader *l)
{
	struct load_walk array;
	size_t n = 0;

	if (!load_is(l, JP_ARRAY, "an array of hexadecimal digests"))
		return 0;
	array = load_walk(l);
	while (load_next(l, &array)) {
		struct table_digest *slot = scratch_slot(l, n);

		if (slot && read_digest(l, slot))
			n++;
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
static void load_map(struct loader *l, enum table_section section)
{
	struct load_walk map;

	if (!load_is(l, JP_OBJECT, "an object"))
		return;
	map = load_walk(l);
	while (load_next(l, &map)) {
		size_t unique = 0, n = read_digests(l);

		if (l->failure)
			return;
		add(l, section, map.name, n, &unique);
		if (section == TABLE_FILES) {
			l->policy->paths++;
			l->policy->digests += unique;
			l->policy->boot_aggregate |= text_is(map.name, "boot_aggregate");
		}
	}
}

static void load_digests(struct loader *l)
{
	load_map(l, TABLE_FILES);
}

static void load_keyrings(struct loader *l)
{
	load_map(l, TABLE_KEYRINGS);
}

static void load_buffers(struct loader *l)
{
	load_map(l, TABLE_BUFFERS);
}

static void load_deny(struct loader *l)
{
	size_t n = read_digests(l);

	for (size_t i = 0; i < n && !l->failure; i++)
		add(l, TABLE_DENY, (struct bytes){ l->scratch[i].value, l->scratch[i].size }, 0, NULL);
	l->policy->denied = n;
}

static void load_exclude(struct loader *l)
{
	cleanup_writer_ struct writer why = WRITER(1024);
	struct bytes rule;
	int r;

	if (!load_is(l, JP_STRING, "a regular expression"))
		return;
	rule = jp_text(&l->json);
	r = exclude_add(l->policy->excludes, rule, &why);
	if (r < 0) {
		l->failure = r;
	} else if (r > 0) {
		write_fmt(&why, " in");
		load_say_about(l, true, writer_cstr(&why), rule);
	} else if (exclude_last_covers_all(l->policy->excludes)) {
		load_say_about(l, false, "this rule covers every path:", rule);
	}
}

static void load_excludes(struct loader *l)
{
	struct load_walk rules;
	size_t n;

	if (!load_is(l, JP_ARRAY, "an array of regular expressions"))
		return;
	n = load_count(l);
	if (n > LIMIT_POLICY_EXCLUDES) {
		load_say(l, true, "%zu rules, more than %u", n, LIMIT_POLICY_EXCLUDES);
		return;
	}
	rules = load_walk(l);
	while (load_next(l, &rules))
		load_exclude(l);
}

static void load_violations(struct loader *l)
{
	if (l->json.type == JP_STRING)
		for (int rule = VIOLATION_IGNORE; rule <= VIOLATION_FAIL; rule++)
			if (jp_text_is(&l->json, violation_rule_name((enum violation_rule)rule))) {
				l->policy->violations = (enum violation_rule)rule;
				return;
			}
	load_say(l, true, "expected \"ignore\", \"warn\" or \"fail\"");
}

static void load_ignored_keyrings(struct loader *l)
{
	struct load_walk names;

	if (!load_is(l, JP_ARRAY, "an array of keyring names"))
		return;
	names = load_walk(l);
	while (load_next(l, &names)) {
		if (!load_is(l, JP_STRING, "a keyring name"))
			continue;
		if (jp_text_is(&l->json, "*"))
			l->policy->ignore_all_keyrings = true;
		else
			add(l, TABLE_IGNORED_KEYRINGS, jp_text(&l->json), 0, NULL);
	}
}

/* Needed before the digests: says which algorithm those of its length have. */
static void load_log_hash_alg(struct loader *l)
{
	if (!load_is(l, JP_STRING, "the name of a hash algorithm"))
		return;
	l->preferred = file_alg_from_name(jp_text(&l->json));
	if (l->preferred == FILE_ALG_NONE)
		load_say_about(l, true, "no hash algorithm of that name:", jp_text(&l->json));
}

static void load_ima(struct loader *l)
{
	static const struct {
		const char *name;
		const char *missing;
		void (*load)(struct loader *l);
	} members[] = {
		{ "log_hash_alg", "missing, taken as \"sha1\"", load_log_hash_alg },
		{ "ignored_keyrings", "missing, taken as []", load_ignored_keyrings },
	};
	struct jp_mark object = jp_mark(&l->json);
	struct load_walk all;

	if (!load_is(l, JP_OBJECT, "an object"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(members) && !l->failure; i++) {
		size_t before = load_enter(l, members[i].name);

		if (load_find(l, &object, members[i].name))
			members[i].load(l);
		else
			load_say(l, false, "%s", members[i].missing);
		load_leave(l, before);
	}
	jp_rewind(&l->json, &object);
	all = load_walk(l);
	while (load_next(l, &all)) {
		if (text_is(all.name, "dm_policy")) {
			if (l->json.type != JP_NULL)
				load_say(l, false, "device mapper policies are not judged: ignored");
		} else if (!text_is(all.name, "log_hash_alg") && !text_is(all.name, "ignored_keyrings")) {
			load_say(l, false, "not a member that imastream knows: ignored");
		}
	}
}

static void load_meta(struct loader *l)
{
	struct jp_mark object = jp_mark(&l->json);
	size_t before;

	if (!load_is(l, JP_OBJECT, "an object"))
		return;
	before = load_enter(l, "version");
	if (!load_find(l, &object, "version"))
		load_say(l, false, "missing, taken as 1");
	else if (load_is(l, JP_INTEGER, "an integer") && l->json.integer != 1)
		load_say(l, true, "version %lld, only 1 is known", (long long)l->json.integer);
	load_leave(l, before);
}

static void load_release(struct loader *l)
{
	(void)load_is(l, JP_INTEGER, "an integer");
}

/* Without this an envelope would load as a policy that knows nothing. */
static void load_signed(struct loader *l)
{
	load_say(l, true, "a signed policy, not a policy: \"imastream policy verify\" checks it and takes it out");
}

/* ---- the whole ---- */

static const struct {
	const char *name;
	const char *missing; /* NULL: our own member, nothing to say when it is absent */
	void (*load)(struct loader *l);
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
	{ "payloadType", NULL, load_signed }, /* of a DSSE envelope */
	{ "verificationMaterial", NULL, load_signed }, /* of a Sigstore bundle */
	{ "boot-pcrs", NULL, load_boot_pcrs },
};

/* Where the known members are. */
struct survey {
	bool object, strangers;
	bool has[ARRAY_SIZE(members)];
	struct jp_mark at[ARRAY_SIZE(members)];
};

static size_t member_index(struct bytes name)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(members) && !text_is(name, members[i].name))
		i++;
	return i;
}

/* The whole text, for its syntax, depth and names that repeat. False: l->json says why. */
static bool survey(struct loader *l, struct survey *s)
{
	struct jp *j = &l->json;

	s->object = jp_next(j) == JP_OBJECT;
	if (!s->object)
		return jp_skip(j) && jp_next(j) == JP_END;
	while (jp_next(j) == JP_NAME) {
		size_t i = member_index(jp_text(j));

		if (jp_next(j) == JP_BAD)
			return false;
		if (i < ARRAY_SIZE(members)) {
			s->has[i] = true;
			s->at[i] = jp_mark(j);
		} else {
			s->strangers = true;
		}
		if (!jp_skip(j))
			return false;
	}
	return j->type == JP_OBJECT_END && jp_next(j) == JP_END;
}

/* Goes once more to the value that is nested too deep, to say where it is. */
static void say_too_deep(struct loader *l, struct bytes json)
{
	cleanup_jp_ struct jp j;

	jp_begin(&j, json, LIMIT_POLICY_DEPTH, 0);
	for (;;) {
		enum jp_type type = jp_next(&j);
		bool opened = type == JP_OBJECT || type == JP_ARRAY;
		unsigned int in = j.depth - opened; /* containers around the value */

		if (type == JP_END)
			break; /* not reached: it was too deep a moment ago */
		if (type == JP_OBJECT_END || type == JP_ARRAY_END)
			continue;
		if (type == JP_NAME)
			l->place[in - 1] = (struct load_step){ .name = j.raw, .raw = true };
		else if (in && !l->place[in - 1].name.p)
			l->place[in - 1].index++;
		if (type == JP_BAD)
			break;
		if (opened)
			l->place[j.depth - 1] = (struct load_step){ .index = SIZE_MAX }; /* before the first */
	}
	l->depth = j.depth;
	load_say(l, true, "%s", j.error);
	l->depth = 0;
}

static int say_bad(struct loader *l, const struct survey *s, struct bytes json)
{
	if (jp_failure(&l->json) < 0)
		return jp_failure(&l->json);
	if (l->json.too_deep && s->object)
		say_too_deep(l, json);
	else
		load_say_syntax(l);
	return BAD_POLICY;
}

static void load_members(struct loader *l, const struct survey *s, struct bytes json)
{
	struct load_walk all;

	for (size_t i = 0; i < ARRAY_SIZE(members) && !l->failure; i++) {
		size_t before = load_enter(l, members[i].name);

		if (s->has[i]) {
			jp_rewind(&l->json, &s->at[i]);
			members[i].load(l);
			(void)load_ended(l);
		} else if (members[i].missing) {
			load_say(l, false, "%s", members[i].missing);
		}
		load_leave(l, before);
	}
	if (!s->strangers || l->failure)
		return;
	jp_end(&l->json);
	jp_begin(&l->json, json, LIMIT_POLICY_DEPTH, 0);
	(void)jp_next(&l->json);
	all = load_walk(l);
	while (load_next(l, &all))
		if (member_index(all.name) == ARRAY_SIZE(members))
			load_say(l, false, "not a member that imastream knows: ignored");
}

static int load(struct loader *l, struct bytes json)
{
	uint8_t digest[HASH_MAX_SIZE];
	struct survey s = { .object = false };

	if (json.n > LIMIT_POLICY_FILE) {
		load_say(l, true, "%zu bytes, more than %u", json.n, LIMIT_POLICY_FILE);
		return BAD_POLICY;
	}
	jp_begin(&l->json, json, LIMIT_POLICY_DEPTH, JP_UNIQUE);
	if (!survey(l, &s))
		return say_bad(l, &s, json);
	jp_end(&l->json);
	jp_begin(&l->json, json, LIMIT_POLICY_DEPTH, 0);
	(void)jp_next(&l->json);
	if (s.object)
		load_members(l, &s, json);
	else
		load_wrong_type(l, "an object");
	if (l->failure)
		return l->failure;
	if (l->report->errors != l->errors_before)
		return BAD_POLICY;
	hash_one(HASH_SHA256, json.p, json.n, digest);
	policy_set_id(l->policy, digest);
	return table_finish(&l->table, &l->policy->table);
}

int policy_load_json(struct policy **out, struct bytes json, struct policy_report *report)
{
	cleanup_policy_ struct policy *p = NULL;
	struct loader l = {
		.report = report,
		.errors_before = report->errors,
		.preferred = FILE_ALG_SHA1,
		.name = WRITER(JP_TEXT_MAX),
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
	jp_end(&l.json);
	writer_free(&l.name);
	free(l.scratch);
	if (r == 0)
		*out = TAKE_PTR(p);
	return r;
}
