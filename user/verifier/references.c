// SPDX-License-Identifier: Apache-2.0
#include "verifier/references.h"

#define SHARE_WINDOW_US 600000000u
#define SHARE_SETS 3u /* in a window: fetched, lost, fetched again, and another one after a change of the policy */
#define SECOND_US 1000000u

static void clear_named(struct named_sets *n)
{
	for (size_t i = 0; i < REFERENCES_HELD; i++)
		reference_set_unref(&n->sets[i]);
}

void references_clear(struct references *r)
{
	for (size_t i = 0; i < r->n; i++)
		clear_named(&r->list[i]);
	free(r->list);
	*r = (struct references){ 0 };
}

static struct named_sets *find(const struct references *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->list[i].name, name) == 0)
			return &r->list[i];
	return NULL;
}

static struct named_sets *add(struct references *r, const char *name)
{
	struct named_sets *larger = realloc(r->list, (r->n + 1) * sizeof(*larger));

	if (!larger)
		return NULL;
	r->list = larger;
	r->list[r->n] = (struct named_sets){ 0 };
	bytes_copy(r->list[r->n].name, name, strnlen(name, LIMIT_POLICY_NAME));
	return &r->list[r->n++];
}

static bool same_set(const struct reference_set *a, const uint8_t *digest)
{
	return a && bytes_equal(reference_set_digest(a), digest, WIRE_DIGEST_SIZE);
}

int references_put(struct references *r, const char *name, const char *policy, struct reference_set **set)
{
	struct named_sets *n = find(r, name);
	size_t at = 0;

	if (!n)
		n = add(r, name);
	if (!n)
		return -ENOMEM;
	*n->policy = 0;
	bytes_copy(n->policy, policy, strnlen(policy, sizeof(n->policy) - 1) + 1);
	if (!*set)
		return 0;
	while (at < REFERENCES_HELD - 1 && !same_set(n->sets[at], reference_set_digest(*set)))
		at++;
	reference_set_unref(&n->sets[at]);
	for (; at > 0; at--)
		n->sets[at] = n->sets[at - 1];
	n->sets[0] = TAKE_PTR(*set);
	return 0;
}

void references_keep(struct references *r, const struct policies *policies)
{
	size_t left = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (policies_find(policies, r->list[i].name))
			r->list[left++] = r->list[i];
		else
			clear_named(&r->list[i]);
	}
	r->n = left;
}

const struct named_policy *references_missing(const struct references *r, const struct policies *policies)
{
	for (size_t i = 0; i < policies->n; i++) {
		const struct named_sets *n = find(r, policies->list[i].name);

		if (policies->list[i].policy && (!n || strcmp(n->policy, policy_id(policies->list[i].policy)) != 0))
			return &policies->list[i];
	}
	return NULL;
}

struct reference_set *references_newest(const struct references *r, const char *name)
{
	const struct named_sets *n = find(r, name);

	return n ? n->sets[0] : NULL;
}

struct reference_set *references_find(const struct references *r, const char *name, const uint8_t digest[WIRE_DIGEST_SIZE])
{
	const struct named_sets *n = find(r, name);

	for (size_t i = 0; n && i < REFERENCES_HELD; i++)
		if (same_set(n->sets[i], digest))
			return n->sets[i];
	return NULL;
}

size_t references_known(const struct references *r, const char *name, struct wire_known out[REFERENCES_HELD])
{
	const struct named_sets *n = find(r, name);
	size_t count = 0;

	for (size_t i = 0; n && i < REFERENCES_HELD; i++)
		if (n->sets[i])
			out[count++] = reference_set_known(n->sets[i]);
	return count;
}

bool references_give(struct references *r, struct reference_share *share, size_t n, size_t set_size, uint64_t now_mono)
{
	if (!share->since_mono || now_mono - share->since_mono >= SHARE_WINDOW_US)
		*share = (struct reference_share){ .since_mono = now_mono };
	if (!r->given_mono || now_mono - r->given_mono >= SECOND_US) {
		r->given = 0;
		r->given_mono = now_mono;
	}
	if (share->bytes + n > (uint64_t)SHARE_SETS * set_size || r->given + n > LIMIT_REFERENCE_PER_S)
		return false;
	share->bytes += n;
	r->given += n;
	return true;
}
