// SPDX-License-Identifier: Apache-2.0
/* Stage [7]: who is calling, and in which boot. */
#include "tpm/credential.h"
#include "verifier/stages.h"

#define PCR10 (1u << 10)

void hello_facts_clear(struct hello_facts *f)
{
	ak_clear(&f->ak);
}

static int refuse(enum reason reason, const char **detail, const char *text)
{
	*detail = text;
	return reason;
}

/* One value of the right size for each PCR of the mask but 10, ascending. */
static bool boot_pcrs_fit(const struct wire_hello *h, enum hash_alg bank)
{
	size_t at = 0;

	for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++) {
		if (!(h->pcr_mask & (1u << pcr)) || pcr == 10)
			continue;
		if (at >= h->n_boot_pcrs || h->boot_pcrs[at].index != pcr ||
		    h->boot_pcrs[at].value.n != hash_size(bank))
			return false;
		at++;
	}
	return at == h->n_boot_pcrs;
}

int session_check_hello(const struct wire_hello *h, bool allow_test_sources, struct hello_facts *out,
			const char **detail)
{
	cleanup_hello_facts_ struct hello_facts f = { 0 };
	uint8_t id[WIRE_DIGEST_SIZE];
	const char *why;
	int r;

	if (h->version != WIRE_VERSION)
		return refuse(REASON_VERSION_UNSUPPORTED, detail, "this verifier speaks version 1");
	if ((h->flags & WIRE_HELLO_TEST_SOURCE) && !allow_test_sources)
		return refuse(REASON_TEST_SOURCE, detail, "entries from a test source");
	r = ak_from_public(h->ak_public, &f.ak);
	if (r < 0)
		return r;
	if (r != QUOTE_OK || !f.ak.has_name)
		return refuse(r == QUOTE_UNSUPPORTED ? REASON_QUOTE_UNSUPPORTED : REASON_PROTOCOL_ERROR, detail,
			      "the attestation key is not one that may attest");
	r = h->ek_public.n ? credential_check_ek(h->ek_public, &why) : 0;
	if (r != 0)
		return r < 0 ? r : refuse(REASON_PROTOCOL_ERROR, detail, why);
	tpm_attester_id(h->ek_public, f.ak.name, id);
	if (!bytes_equal(id, h->attester, sizeof(id)))
		return refuse(REASON_PROTOCOL_ERROR, detail, "the attester id is not that of its key");
	if (!hash_from_tpm_alg(h->bank, &f.bank))
		return refuse(REASON_PROTOCOL_ERROR, detail, "unknown PCR bank");
	if (!(h->pcr_mask & PCR10) || h->pcr_mask >> TPM_PCR_COUNT)
		return refuse(REASON_PROTOCOL_ERROR, detail, "the PCR mask lacks PCR 10 or names PCRs above 23");
	if (!boot_pcrs_fit(h, f.bank))
		return refuse(REASON_PROTOCOL_ERROR, detail, "boot PCR values do not fit mask and bank");
	*out = f;
	f.ak = (struct ak){ 0 };
	return 0;
}

enum boot_choice session_choose_boot(const struct attester *a, const struct wire_hello *h, enum hash_alg bank)
{
	if (a->boot && a->boot->reset_count == h->reset_count)
		return a->boot->bank == bank ? BOOT_CURRENT : BOOT_OTHER_BANK;
	if (a->claimed && a->claimed->reset_count == h->reset_count && a->claimed->bank == bank)
		return BOOT_CLAIMED;
	return BOOT_NEW;
}

static void session_cleanup(struct session **s)
{
	session_free(s);
}

int session_new(struct session **out, struct attester *a, struct boot *boot, const struct wire_hello *h,
		struct hello_facts *facts, const uint8_t id[WIRE_SESSION_SIZE])
{
	cleanup_(session_cleanup) struct session *s = calloc(1, sizeof(*s));
	size_t size = hash_size(facts->bank);

	if (!s)
		return -ENOMEM;
	*s = (struct session){ .attester = a, .boot = boot, .bank = facts->bank, .pcr_mask = h->pcr_mask,
			       .flags = h->flags, .support = h->support, .list_length = h->list_length,
			       .list_short = h->list_length < boot->proven };
	bytes_copy(s->id, id, sizeof(s->id));
	s->boot_pcrs = alloc_bytes(h->n_boot_pcrs * size);
	s->kernel = h->kernel.n ? strndup((const char *)h->kernel.p, MIN(h->kernel.n, (size_t)LIMIT_LABEL)) : strdup("");
	if (!s->boot_pcrs || !s->kernel)
		return -ENOMEM;
	for (size_t i = 0; i < h->n_boot_pcrs; i++)
		bytes_copy(s->boot_pcrs + i * size, h->boot_pcrs[i].value.p, size);
	s->ak = facts->ak;
	facts->ak = (struct ak){ 0 };
	ak_shrink(&s->ak);
	*out = TAKE_PTR(s);
	return 0;
}

int session_keep_drops(struct session *s, const uint64_t *drops, size_t n)
{
	bool any = s->drops;

	n = MIN(n, (size_t)WIRE_DROP_COUNT);
	for (size_t i = 0; !any && i < n; i++)
		any = drops[i];
	if (any && !s->drops)
		s->drops = calloc(WIRE_DROP_COUNT, sizeof(*s->drops));
	if (any && !s->drops)
		return -ENOMEM;
	if (any)
		bytes_copy(s->drops, drops, n * sizeof(*drops));
	s->n_drops = n;
	return 0;
}

void session_give_nonce(struct session *s, const uint8_t value[WIRE_NONCE_SIZE], bool challenge,
			const struct instant *now)
{
	for (size_t i = SESSION_NONCES - 1; i > 0; i--)
		s->nonce[i] = s->nonce[i - 1];
	s->nonce[0] = (struct nonce){ .issued_mono = now->mono, .issued_real = now->real, .given = true,
				      .challenge = challenge };
	bytes_copy(s->nonce[0].value, value, WIRE_NONCE_SIZE);
}
