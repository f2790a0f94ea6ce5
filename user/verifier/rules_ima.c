// SPDX-License-Identifier: Apache-2.0
/* What is known and required of the hosts' own IMA policies. */
#include <stdio.h>

#include "base/text.h"
#include "verifier/options.h"
#include "verifier/rules.h"

static int take(struct rules *r, const char *option, const char *path, bool require, struct writer *why)
{
	cleanup_writer_ struct writer file = WRITER(LIMIT_IMA_POLICY + 1);
	const char *builtin = require ? imapolicy_builtin(path) : NULL, *what;
	struct bytes text = { (const uint8_t *)builtin, builtin ? strlen(builtin) : 0 };
	unsigned int line;
	struct hash h;
	int ret = builtin ? 0 : read_file(path, &file);

	if (ret < 0) {
		write_fmt(why, "cannot read the IMA policy %s: %s\n", path, strerror(-ret));
		return ret;
	}
	if (!builtin)
		text = writer_view(&file);
	ret = require ? imapolicies_require(r->ima_policies, text, &line, &what) :
			imapolicies_know(r->ima_policies, text, &line, &what);
	if (ret > 0) {
		write_fmt(why, "%s %s is not usable: line %u: %s\n", option, path, line, what);
		return -EINVAL;
	}
	hash_begin(&h, HASH_SHA256);
	hash_add_field(&h, r->basis, sizeof(r->basis));
	hash_add_field(&h, option, strlen(option));
	hash_add_field(&h, text.p, text.n);
	hash_end(&h, r->basis);
	return ret;
}

int rules_load_ima_policies(const struct verifier_options *o, struct rules *r, struct writer *why)
{
	int ret = 0;

	if (!o->require_ima_policy && !o->ima_policy.n)
		return 0;
	ret = imapolicies_new(&r->ima_policies);
	if (ret == 0 && o->require_ima_policy)
		ret = take(r, "--require-ima-policy", o->require_ima_policy, true, why);
	for (size_t i = 0; ret == 0 && i < o->ima_policy.n; i++)
		ret = take(r, "--ima-policy", o->ima_policy.items[i], false, why);
	return ret;
}
