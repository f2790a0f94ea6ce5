// SPDX-License-Identifier: Apache-2.0
#include "yardstick.h"

#include <stdio.h>
#include <time.h>

#define EVERY_US 50000u
#define CHECKS 3u /* a quarter of a millisecond of 50 */

static void must(bool ok)
{
	if (ok)
		return;
	fprintf(stderr, "loadgen: the yardstick failed\n");
	exit(1);
}

static uint64_t thread_ns(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void yardstick_init(struct yardstick *y, struct fake_tpm *tpm)
{
	uint8_t nonce[32] = { 0 }, digest[HASH_MAX_SIZE];
	struct made_attest attest = fake_tpm_attest(tpm, 0x7ffu, (struct bytes){ nonce, sizeof(nonce) }, digest);

	*y = (struct yardstick){ .message = WRITER(LIMIT_ATTEST), .signature = WRITER(LIMIT_SIGNATURE) };
	fake_tpm_sign(tpm, NULL, &attest, &y->message, &y->signature);
	must(ak_from_public(writer_view(&tpm->ak_public), &y->ak) == QUOTE_OK);
	ak_shrink(&y->ak);
}

void yardstick_clear(struct yardstick *y)
{
	ak_clear(&y->ak);
	writer_free(&y->message);
	writer_free(&y->signature);
}

void yardstick_use(struct yardstick *y, uint64_t now_us)
{
	uint64_t from;

	if (now_us < y->next_us)
		return;
	y->next_us = now_us + EVERY_US;
	from = thread_ns();
	for (unsigned int i = 0; i < CHECKS; i++)
		must(quote_check_signature(writer_view(&y->message), writer_view(&y->signature), &y->ak) == QUOTE_OK);
	y->cpu_ns += thread_ns() - from;
	y->checks += CHECKS;
}
