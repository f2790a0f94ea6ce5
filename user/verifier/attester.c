// SPDX-License-Identifier: Apache-2.0
#include "verifier/attester.h"

struct boot *boot_new(uint64_t number, enum hash_alg bank, enum replay_form form)
{
	struct boot *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->proven_values = WRITER(4 + (LIMIT_PCR + 1) * HASH_MAX_SIZE);
	b->number = number;
	b->bank = bank;
	b->form = form;
	return b;
}

void boot_free(struct boot **b)
{
	struct boot *old = TAKE_PTR(*b);

	if (!old)
		return;
	replay_clear(&old->replay);
	writer_free(&old->proven_values);
	free(old);
}

void session_free(struct session **s)
{
	struct session *old = TAKE_PTR(*s);

	if (!old)
		return;
	ak_clear(&old->ak);
	free(old->boot_pcrs);
	explicit_bzero(old->nonce, sizeof(old->nonce));
	free(old);
}

void attester_free(struct attester **a)
{
	struct attester *old = TAKE_PTR(*a);

	if (!old)
		return;
	session_free(&old->session);
	session_free(&old->pending);
	boot_free(&old->boot);
	boot_free(&old->claimed);
	free(old);
}

struct boot *attester_boot(const struct attester *a)
{
	if (a->session)
		return a->session->boot;
	return a->boot ? a->boot : a->claimed;
}
