// SPDX-License-Identifier: Apache-2.0
/* The text of an IMA policy: read, and compared with what is required, both ways, and with itself. */
#include "policy/imapolicy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct imapolicy *required;
	const char *builtin = imapolicy_builtin("tcb-exec"), *why = NULL;
	struct imapolicy *p = NULL;
	unsigned int line = 0;
	size_t missing;
	int r;

	if (!required && imapolicy_parse(&required, (struct bytes){ (const uint8_t *)builtin, strlen(builtin) }, &line, &why) != 0)
		abort();
	r = imapolicy_parse(&p, (struct bytes){ data, size }, &line, &why);
	if (r > 0 && !why)
		abort();
	if (r != 0)
		return 0;
	if (imapolicy_rules(p) > LIMIT_IMA_POLICY_RULES)
		abort();
	for (size_t i = 0; i < imapolicy_rules(p); i++)
		if (imapolicy_rule(p, i).n == 0)
			abort();
	if (imapolicy_rules(p) <= 64) { /* the comparison takes the product */
		if (!imapolicy_covers(p, required, &missing) && missing >= imapolicy_rules(required))
			abort();
		if (!imapolicy_covers(required, p, &missing) && missing >= imapolicy_rules(p))
			abort();
		if (!imapolicy_covers(p, p, &missing) && missing >= imapolicy_rules(p))
			abort();
	}
	imapolicy_free(&p);
	return 0;
}
