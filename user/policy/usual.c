// SPDX-License-Identifier: Apache-2.0
/* The short way for nearly all entries: a file with a SHA-256 digest that the policy lists. It says yes only where appraise_entry()
 * finds nothing; user/policy/appraise.c alone says what is wrong with an entry. */
#include "ima/template.h"
#include "policy/model.h"

struct usual {
	struct bytes first, path, digest; /* first: the whole first field */
};

/* "ima-ng" or "ima-sig" to the last byte. */
static bool take_apart(const struct ima_entry *e, struct usual *out)
{
	bool sig = e->name.n == 7 && bytes_equal(e->name.p, "ima-sig", 7);
	struct reader r = reader_of(e->data), digest;

	if (!sig && (e->name.n != 6 || !bytes_equal(e->name.p, "ima-ng", 6)))
		return false;
	out->first = read_bytes(&r, read_u32le(&r));
	out->path = read_bytes(&r, read_u32le(&r));
	if (sig)
		(void)read_bytes(&r, read_u32le(&r)); /* not looked at where the policy lists the digest */
	if (!reader_done(&r) || out->first.n != 8 + 32 || !bytes_equal(out->first.p, "sha256:", 8) || !ima_is_c_string(out->path))
		return false;
	out->path.n--;
	digest = reader_of(out->first);
	(void)read_bytes(&digest, 8);
	out->digest = read_bytes(&digest, 32);
	return true;
}

static bool is_boot_aggregate(struct bytes path)
{
	return path.n == 14 && bytes_equal(path.p, "boot_aggregate", 14);
}

bool appraise_is_usual(const struct appraisal *a, const struct ima_entry *e)
{
	const struct policy *p = a->policy;
	const struct policy_hint *hint = a->hint;
	struct usual u;

	if (!p || !hint || hint->policy != p || p->denied || e->violation || a->trace || a->ima_policies || !take_apart(e, &u) ||
	    u.path.p != hint->path.p || u.path.n != hint->path.n || is_boot_aggregate(u.path) ||
	    exclude_matches(p->excludes, u.path) || (a->check_template_hash && !ima_digest_matches(e)))
		return false;
	if (hint->digest.n)
		return u.first.p == hint->digest.p && u.first.n == hint->digest.n;
	return table_find_asked(&p->table, hint->hash, hint->slot, TABLE_FILES, u.path, FILE_ALG_SHA256, u.digest) == TABLE_MATCH;
}
