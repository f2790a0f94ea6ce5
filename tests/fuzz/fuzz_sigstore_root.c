// SPDX-License-Identifier: Apache-2.0
/* A trusted root: taken, or refused with a reason; and a second time, beside itself. */
#include "policy/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_policy_trust_ struct policy_trust *t = NULL;
	cleanup_writer_ struct writer why = WRITER(4096);
	int r;

	if (policy_trust_new(&t) < 0)
		return 0;
	r = policy_trust_add_root(t, (struct bytes){ data, size }, &why);
	if (r > 0 && why.n == 0)
		abort();
	if (r == 0 && policy_trust_add_root(t, (struct bytes){ data, size }, &why) < 0)
		abort();
	if (!policy_trust_empty(t))
		abort(); /* a root alone asks for nothing */
	return 0;
}
