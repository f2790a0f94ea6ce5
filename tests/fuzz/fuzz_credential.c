// SPDX-License-Identifier: Apache-2.0
/* The TPMT_PUBLIC of an endorsement key from outside. What passes the check gets a credential that has the form a TPM takes. */
#include "tpm/attest.h"
#include "tpm/credential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static struct bytes tpm2b(struct reader *r)
{
	size_t n = read_u16be(r);

	return read_bytes(r, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t name[34] = { 0x00, 0x0b, 1 }, secret[32] = { 2 };
	struct credential c = { .blob_n = 7, .secret_n = 7 };
	struct bytes in = { data, size }, object;
	const char *why = NULL, *again = NULL;
	int r = credential_make(in, (struct bytes){ name, sizeof(name) }, (struct bytes){ secret, sizeof(secret) }, &c, &why);
	struct reader blob, sealed, inner;

	must(r == 0 || r == 1 || r == -ENOMEM);
	must(credential_check_ek(in, &again) == r && (r == 1) == (why != NULL) && why == again);
	if (r != 0) {
		must(c.blob_n == 7 && c.secret_n == 7);
		return 0;
	}
	blob = reader_over(c.blob, c.blob_n);
	sealed = reader_over(c.secret, c.secret_n);
	object = tpm2b(&blob);
	must(reader_done(&blob));
	must(tpm2b(&sealed).n > 0 && reader_done(&sealed));
	inner = reader_of(object);
	must(tpm2b(&inner).n >= 32);
	must(reader_ok(&inner) && reader_left(&inner) == 2 + sizeof(secret));
	return 0;
}
