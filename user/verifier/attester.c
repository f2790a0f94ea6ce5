// SPDX-License-Identifier: Apache-2.0
#include "verifier/attester.h"

struct boot *boot_new(uint64_t number, enum hash_alg bank, enum replay_form form)
{
	struct boot *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->proven_values = WRITER(4 + (LIMIT_PCR + 1) * HASH_MAX_SIZE);
	b->boot_values = WRITER(4 + TPM_PCR_COUNT * HASH_MAX_SIZE);
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
	writer_free(&old->boot_values);
	learned_free(&old->learned);
	free(old);
}

static void fit(struct writer *w)
{
	uint8_t *p = w->n ? realloc(w->p, w->n + 1) : NULL; /* as buf.c leaves one byte free */

	if (!p)
		return;
	w->p = p;
	w->cap = w->n + 1;
}

void boot_fit(struct boot *b)
{
	fit(&b->proven_values);
	fit(&b->boot_values);
}

struct bytes boot_value(const struct boot *b, unsigned int pcr)
{
	struct reader r = reader_of(writer_view(&b->boot_values));
	uint32_t mask = read_u32be(&r);

	(void)read_bytes(&r, (size_t)__builtin_popcount(mask & ((1u << pcr) - 1)) * hash_size(b->bank));
	return mask & (1u << pcr) ? read_bytes(&r, hash_size(b->bank)) : (struct bytes){ NULL, 0 };
}

void session_free(struct session **s)
{
	struct session *old = TAKE_PTR(*s);

	if (!old)
		return;
	ak_clear(&old->ak);
	free(old->boot_pcrs);
	free(old->kernel);
	free(old->drops);
	if (old->owns_boot)
		boot_free(&old->boot);
	explicit_bzero(old->nonce, sizeof(old->nonce));
	free(old);
}

static char *text_of(struct bytes b)
{
	return b.n ? strndup((const char *)b.p, MIN(b.n, (size_t)LIMIT_LABEL)) : strdup("");
}

struct attester *attester_new(struct bytes label, struct bytes kernel)
{
	struct attester *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->label = text_of(label);
	a->kernel = text_of(kernel);
	if (!a->label || !a->kernel)
		attester_free(&a);
	return a;
}

void attester_free(struct attester **a)
{
	struct attester *old = TAKE_PTR(*a);

	if (!old)
		return;
	session_free(&old->session);
	for (size_t i = 0; i < old->n_pending; i++)
		session_free(&old->pending[i]);
	free(old->pending);
	free(old->label);
	free(old->kernel);
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
