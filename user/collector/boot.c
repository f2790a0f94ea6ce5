// SPDX-License-Identifier: Apache-2.0
#include "collector/boot.h"

#include <stdio.h>
#include <sys/utsname.h>

int boot_read(struct boot *b, const char *label)
{
	struct utsname u;

	if (uname(&u) < 0)
		return -errno;
	snprintf(b->kernel, sizeof(b->kernel), "%s", u.release);
	snprintf(b->label, sizeof(b->label), "%s", label && *label ? label : u.nodename);
	return 0;
}

static uint8_t wire_support(const struct source_status *status)
{
	if (status->test_source)
		return WIRE_SUPPORT_TEST;
	switch (status->support) {
	case EVENT_SUPPORT_ORDERED:
		return WIRE_SUPPORT_ORDERED;
	case EVENT_SUPPORT_SIGNAL:
		return WIRE_SUPPORT_SIGNAL;
	case EVENT_SUPPORT_POLL:
		break;
	}
	return WIRE_SUPPORT_POLL;
}

static struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

void boot_hello(struct wire_message *m, const struct boot *b, const struct quoter *q, uint32_t pcr_mask,
		uint64_t list_length, const struct source_status *status, bool poll_mode)
{
	const struct tpm_identity *id = quoter_identity(q);
	const struct quoter_survey *s = quoter_survey(q);
	struct wire_hello *h = &m->hello;

	*m = (struct wire_message){ .type = WIRE_HELLO };
	h->version = WIRE_VERSION;
	bytes_copy(h->attester, id->attester_id, sizeof(h->attester));
	h->ak_public = (struct bytes){ id->ak_public, id->ak_public_n };
	h->ek_public = (struct bytes){ id->ek_public, id->ek_public_n };
	h->ek_cert = (struct bytes){ id->ek_cert, id->ek_cert_n };
	h->ek_chain = (struct bytes){ id->ek_chain, id->ek_chain_n };
	h->iak_cert = (struct bytes){ id->iak_cert, id->iak_cert_n };
	h->label = text(b->label);
	h->kernel = text(b->kernel);
	h->bank = hash_tpm_alg(quoter_bank(q));
	h->pcr_mask = pcr_mask;
	h->list_length = list_length;
	h->list_first = status->first;
	h->reset_count = s->clock.reset_count;
	h->restart_count = s->clock.restart_count;
	h->flags = (status->test_source ? WIRE_HELLO_TEST_SOURCE : 0) | (poll_mode ? WIRE_HELLO_POLL_MODE : 0) |
		   (status->kexec ? WIRE_HELLO_KEXEC : 0);
	h->support = wire_support(status);
	for (unsigned int i = 0; i < TPM_PCR_COUNT; i++) {
		if (i == 10 || !(pcr_mask & 1u << i))
			continue;
		h->boot_pcrs[h->n_boot_pcrs++] = (struct wire_pcr){
			.index = (uint8_t)i,
			.value = { s->pcrs[i], hash_size(quoter_bank(q)) },
		};
	}
}

void boot_activate(struct wire_message *m, struct bytes secret)
{
	struct wire_hello hello = m->hello;

	*m = (struct wire_message){ .type = WIRE_ACTIVATE };
	m->activate.hello = hello;
	m->activate.secret = secret;
}
