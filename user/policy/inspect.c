// SPDX-License-Identifier: Apache-2.0
#include "policy/inspect.h"

#include "policy/model.h"

static const struct {
	uint8_t section;
	const char *name;
} sections[] = {
	[POLICY_DIGESTS] = { TABLE_FILES, "digests" },
	[POLICY_KEYRINGS] = { TABLE_KEYRINGS, "keyrings" },
	[POLICY_BUFFERS] = { TABLE_BUFFERS, "ima-buf" },
	[POLICY_DENY] = { TABLE_DENY, "deny" },
	[POLICY_IGNORED_KEYRINGS] = { TABLE_IGNORED_KEYRINGS, "ignored_keyrings" },
};

struct walk {
	policy_item_fn each;
	void *user;
};

const char *policy_section_name(enum policy_section s)
{
	return (size_t)s < ARRAY_SIZE(sections) ? sections[s].name : "unknown";
}

static int each_group(void *user, uint8_t section, struct bytes key, uint8_t alg, struct bytes digests)
{
	const struct walk *w = user;
	struct policy_item item = { .name = key, .alg = file_alg_name(alg) };
	struct reader r = reader_of(digests);
	size_t s = 0;
	int result;

	while (s < ARRAY_SIZE(sections) && sections[s].section != section)
		s++;
	if (s == ARRAY_SIZE(sections))
		return 0; /* a section of another reader */
	item.section = (enum policy_section)s;
	if (!item.alg)
		return w->each(w->user, &item);
	while (reader_left(&r)) {
		item.digest = read_bytes(&r, file_alg_size(alg));
		if (!reader_ok(&r))
			return -EIO;
		result = w->each(w->user, &item);
		if (result != 0)
			return result;
	}
	return 0;
}

int policy_each(const struct policy *p, policy_item_fn each, void *user)
{
	struct walk w = { each, user };

	return table_each(&p->table, each_group, &w);
}

int policy_each_of(const struct policy *p, enum policy_section section, struct bytes name, policy_item_fn each, void *user)
{
	struct walk w = { each, user };

	return table_each_of(&p->table, (enum table_section)sections[section].section, name, each_group, &w);
}

bool policy_lists(const struct policy *p, struct bytes path, const char *alg, struct bytes digest)
{
	uint8_t number = file_alg_from_name((struct bytes){ (const uint8_t *)alg, strlen(alg) });

	return table_find(&p->table, TABLE_FILES, path, number, digest) == TABLE_MATCH;
}

bool policy_excluded_by(const struct policy *p, struct bytes path, size_t *rule)
{
	return exclude_which(p->excludes, path, rule);
}

struct bytes policy_exclude_rule(const struct policy *p, size_t i)
{
	return exclude_text(p->excludes, i);
}
