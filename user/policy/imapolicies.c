// SPDX-License-Identifier: Apache-2.0
/* Measured IMA policies in a list: which entries they are, and whether they measure enough. */
#include "policy/imapolicy.h"

struct known {
	struct imapolicy *policy;
	uint8_t digests[HASH_COUNT][HASH_MAX_SIZE]; /* of the text */
	bool weak;
};

struct imapolicies {
	struct imapolicy *required;
	struct known known[LIMIT_IMA_POLICIES];
	size_t n;
};

int imapolicies_new(struct imapolicies **out)
{
	struct imapolicies *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*out = p;
	return 0;
}

void imapolicies_free(struct imapolicies **p)
{
	struct imapolicies *old = TAKE_PTR(*p);

	if (!old)
		return;
	for (size_t i = 0; i < old->n; i++)
		imapolicy_free(&old->known[i].policy);
	imapolicy_free(&old->required);
	free(old);
}

static bool is_weak(const struct imapolicies *p, const struct imapolicy *policy)
{
	size_t missing;

	return p->required && !imapolicy_covers(policy, p->required, &missing);
}

int imapolicies_require(struct imapolicies *p, struct bytes text, unsigned int *line, const char **why)
{
	struct imapolicy *required = NULL;
	int r = imapolicy_parse(&required, text, line, why);

	if (r != 0)
		return r;
	imapolicy_free(&p->required);
	p->required = required;
	for (size_t i = 0; i < p->n; i++)
		p->known[i].weak = is_weak(p, p->known[i].policy);
	return 0;
}

int imapolicies_know(struct imapolicies *p, struct bytes text, unsigned int *line, const char **why)
{
	struct known *k = &p->known[p->n];
	int r;

	if (p->n == LIMIT_IMA_POLICIES) {
		*line = 0;
		*why = "more IMA policies than are taken";
		return 1;
	}
	r = imapolicy_parse(&k->policy, text, line, why);
	if (r != 0)
		return r;
	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		hash_one(a, text.p, text.n, k->digests[a]);
	k->weak = is_weak(p, k->policy);
	p->n++;
	return 0;
}

bool imapolicies_required(const struct imapolicies *p)
{
	return p->required != NULL;
}

static bool is(struct bytes b, const char *text)
{
	return b.n == strlen(text) && bytes_equal(b.p, text, b.n);
}

static const struct known *find(const struct imapolicies *p, const struct ima_fields *f)
{
	enum hash_alg a;

	if (f->kind != IMA_DIGEST_FILE || !hash_from_name(f->alg, &a) || f->digest.n != hash_size(a))
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		if (bytes_equal(p->known[i].digests[a], f->digest.p, f->digest.n))
			return &p->known[i];
	return NULL;
}

/* The paths from which init programs load a policy: systemd (ima-setup.c) and dracut's module "integrity". */
static bool is_policy_path(struct bytes path)
{
	return is(path, "/etc/ima/ima-policy") || is(path, "/etc/ima/ima_policy") || is(path, "/etc/sysconfig/ima-policy");
}

/* The text as the kernel keeps it: critical data "ima_policy_loaded". Its digest is that of the buffer, or the entry is not
 * what it says. */
static enum imapolicy_answer judge_text(const struct imapolicies *p, const struct ima_fields *f, struct bytes buffer)
{
	cleanup_imapolicy_ struct imapolicy *policy = NULL;
	uint8_t digest[HASH_MAX_SIZE];
	unsigned int line;
	const char *why;
	enum hash_alg a;

	if (!hash_from_name(f->alg, &a) || f->digest.n != hash_size(a))
		return IMAPOLICY_UNKNOWN;
	hash_one(a, buffer.p, buffer.n, digest);
	if (!bytes_equal(digest, f->digest.p, f->digest.n) || imapolicy_parse(&policy, buffer, &line, &why) != 0)
		return IMAPOLICY_UNKNOWN;
	return is_weak(p, policy) ? IMAPOLICY_WEAK : IMAPOLICY_FINE;
}

enum imapolicy_answer imapolicies_judge(const struct imapolicies *p, const struct ima_entry *e, const struct ima_fields *fields)
{
	const struct known *known;
	struct bytes buffer;

	if (e->violation)
		return !fields->buf.n && is_policy_path(fields->path) ? IMAPOLICY_UNKNOWN : IMAPOLICY_NONE;
	if (!fields->known || !fields->digest.n)
		return IMAPOLICY_NONE;
	known = find(p, fields);
	if (known)
		return known->weak ? IMAPOLICY_WEAK : IMAPOLICY_FINE;
	/* The template's name is not hashed: as ima-sig the buffer is called a signature. */
	buffer = fields->buf.n ? fields->buf : fields->sig;
	if (buffer.n && is(fields->path, "ima_policy_loaded"))
		return judge_text(p, fields, buffer);
	if (buffer.n && is(fields->path, "ima_policy_written"))
		return IMAPOLICY_UNKNOWN; /* a part of one, or one that the kernel refused */
	return !fields->buf.n && is_policy_path(fields->path) ? IMAPOLICY_UNKNOWN : IMAPOLICY_NONE;
}
