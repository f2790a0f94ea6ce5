// SPDX-License-Identifier: Apache-2.0
/* Connection to the TPM, quotes, PCRs, clock. Keys and certificates are in identity.c. */
#include "tpm/device.h"

#include <stdio.h>
#include <time.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "tpm/device_impl.h"

#define DEFAULT_TCTI "device:/dev/tpmrm0"
#define QUALIFYING_MAX 32u
#define RETRIES 20u
#define RETRY_MAX_MS 500u
#define PCR_READ_TRIES 16u

bool tpm_retry_later(TSS2_RC rc, unsigned int *attempt)
{
	TSS2_RC response = tpm_response(rc);
	unsigned int ms;
	struct timespec ts;

	if (response != TPM2_RC_RETRY && response != TPM2_RC_YIELDED && response != TPM2_RC_TESTING)
		return false;
	if (*attempt >= RETRIES)
		return false;
	ms = *attempt < 9 ? 1u << *attempt : RETRY_MAX_MS;
	ms = MIN(ms, RETRY_MAX_MS);
	ts = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	nanosleep(&ts, NULL);
	(*attempt)++;
	return true;
}

static int errno_of(TSS2_RC rc)
{
	TSS2_RC response = tpm_response(rc);

	if (rc == TSS2_RC_SUCCESS)
		return 0;
	if (response) {
		if (response & TPM2_RC_FMT1) {
			switch (response & 0xbfu) { /* without parameter, handle or session number */
			case TPM2_RC_AUTH_FAIL:
			case TPM2_RC_BAD_AUTH:
			case TPM2_RC_HIERARCHY:
				return -EACCES;
			default:
				return -EPROTO;
			}
		}
		switch (response) {
		case TPM2_RC_RETRY:
		case TPM2_RC_YIELDED:
		case TPM2_RC_TESTING:
		case TPM2_RC_NV_RATE:
			return -EBUSY;
		case TPM2_RC_LOCKOUT:
		case TPM2_RC_AUTH_MISSING:
		case TPM2_RC_AUTH_UNAVAILABLE:
			return -EACCES;
		default:
			return -EPROTO;
		}
	}
	return (rc & 0xffffu) == TSS2_BASE_RC_MEMORY ? -ENOMEM : -EIO;
}

int tpm_note(struct tpm *t, const char *command, TSS2_RC rc)
{
	t->last = rc;
	if (rc != TSS2_RC_SUCCESS)
		snprintf(t->error, sizeof(t->error), "%s: %s (0x%x)", command, Tss2_RC_Decode(rc), rc);
	return errno_of(rc);
}

int tpm_fail(struct tpm *t, int err, const char *text)
{
	snprintf(t->error, sizeof(t->error), "%s", text);
	return err;
}

void tpm_flush(struct tpm *t, ESYS_TR *handle)
{
	t->commands++;
	Esys_FlushContext(t->esys, *handle);
	*handle = ESYS_TR_NONE;
}

void tpm_release_ak(struct tpm *t)
{
	if (t->ak == ESYS_TR_NONE)
		return;
	if (t->ak_handle)
		Esys_TR_Close(t->esys, &t->ak);
	else
		tpm_flush(t, &t->ak);
	t->ak = ESYS_TR_NONE;
}

const char *tpm_error(const struct tpm *t)
{
	return t->error;
}

uint64_t tpm_commands(const struct tpm *t)
{
	return t->commands;
}

/* The TSS says only "IO failure" for a device file that cannot be opened; the kernel knows more. */
static int device_problem(const char *tcti)
{
	static const char prefix[] = "device:";
	const char *path = tcti + sizeof(prefix) - 1;

	if (strncmp(tcti, prefix, sizeof(prefix) - 1) != 0 || access(path, R_OK | W_OK) == 0)
		return 0;
	return -errno;
}

static int open_failed(TSS2_RC rc, const char *tcti, char *why, size_t why_n)
{
	int device = device_problem(tcti);

	if (why && device)
		snprintf(why, why_n, "cannot open the TPM %s: %s", tcti, strerror(-device));
	else if (why)
		snprintf(why, why_n, "cannot open the TPM %s: %s", tcti, Tss2_RC_Decode(rc));
	return device ? device : errno_of(rc);
}

int tpm_open(struct tpm **out, const char *tcti, char *why, size_t why_n)
{
	cleanup_tpm_ struct tpm *t = calloc(1, sizeof(*t));
	TSS2_RC rc;

	if (!t) {
		if (why)
			snprintf(why, why_n, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (!tcti)
		tcti = DEFAULT_TCTI;
	setenv("TSS2_LOG", "all+NONE", 0);
	t->ak = ESYS_TR_NONE;
	t->simulator = strncmp(tcti, "swtpm", 5) == 0 || strncmp(tcti, "mssim", 5) == 0;
	rc = Tss2_TctiLdr_Initialize(tcti, &t->tcti);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Initialize(&t->esys, t->tcti, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return open_failed(rc, tcti, why, why_n);
	*out = TAKE_PTR(t);
	return 0;
}

void tpm_close(struct tpm **t)
{
	if (!*t)
		return;
	if ((*t)->esys) {
		tpm_release_ak(*t);
		Esys_Finalize(&(*t)->esys);
	}
	if ((*t)->tcti)
		Tss2_TctiLdr_Finalize(&(*t)->tcti);
	free(*t);
	*t = NULL;
}

static void selection_to_tss(const struct pcr_selection *sel, uint32_t mask, TPML_PCR_SELECTION *out)
{
	*out = (TPML_PCR_SELECTION){ .count = 1 };
	out->pcrSelections[0].hash = sel->alg;
	out->pcrSelections[0].sizeofSelect = TPM_PCR_COUNT / 8;
	for (unsigned int i = 0; i < TPM_PCR_COUNT / 8; i++)
		out->pcrSelections[0].pcrSelect[i] = (BYTE)(mask >> (8 * i));
}

int tpm_quote(struct tpm *t, const struct pcr_selection *sel, struct bytes qualifying, struct tpm_quote *out)
{
	cleanup_esys_ TPM2B_ATTEST *attest = NULL;
	cleanup_esys_ TPMT_SIGNATURE *signature = NULL;
	const TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_NULL }; /* the key's own */
	TPML_PCR_SELECTION selection;
	TPM2B_DATA data = { .size = (UINT16)qualifying.n };
	struct tpm_quote q = { 0 };
	int r;

	if (qualifying.n > QUALIFYING_MAX)
		return tpm_fail(t, -EINVAL, "qualifying data longer than 32 bytes");
	if (t->ak == ESYS_TR_NONE)
		return tpm_fail(t, -EINVAL, "no attestation key: tpm_identify() comes first");
	bytes_copy(data.buffer, qualifying.p, qualifying.n);
	selection_to_tss(sel, sel->mask, &selection);
	r = TPM_CALL(t, "TPM2_Quote",
		     Esys_Quote(t->esys, t->ak, EMPTY_PASSWORD, &data, &scheme, &selection, &attest, &signature));
	if (r < 0)
		return r;
	if (attest->size > sizeof(q.attest))
		return tpm_fail(t, -EMSGSIZE, "TPM2_Quote: answer larger than expected");
	q.attest_n = attest->size;
	bytes_copy(q.attest, attest->attestationData, q.attest_n);
	r = tpm_note(t, "marshalling the signature",
		     Tss2_MU_TPMT_SIGNATURE_Marshal(signature, q.signature, sizeof(q.signature), &q.signature_n));
	if (r < 0)
		return r;
	*out = q;
	return 0;
}

/* Files the digests of one TPM2_PCR_Read in order of index and clears what was read from *mask. */
static int take_values(struct tpm *t, const TPML_PCR_SELECTION *sel, const TPML_DIGEST *digests, size_t size, uint32_t *mask,
		       uint8_t values[TPM_PCR_COUNT][HASH_MAX_SIZE])
{
	uint32_t before = *mask;
	uint32_t next = 0;

	for (unsigned int pcr = 0; sel->count == 1 && pcr < TPM_PCR_COUNT; pcr++) {
		if (pcr / 8 >= sel->pcrSelections[0].sizeofSelect ||
		    !(sel->pcrSelections[0].pcrSelect[pcr / 8] & 1u << pcr % 8) || !(before & 1u << pcr))
			continue;
		if (next >= digests->count || digests->digests[next].size != size)
			return tpm_fail(t, -EPROTO, "TPM2_PCR_Read: not the values that were asked for");
		bytes_copy(values[pcr], digests->digests[next++].buffer, size);
		*mask &= ~(1u << pcr);
	}
	return *mask == before ? tpm_fail(t, -ENODATA, "TPM2_PCR_Read: the PCR bank is not allocated") : 0;
}

/* One pass over all chunks (the TPM gives at most eight values at once). *torn is set when a PCR was extended between. */
static int read_pass(struct tpm *t, const struct pcr_selection *sel, size_t size, bool *torn,
		     uint8_t values[TPM_PCR_COUNT][HASH_MAX_SIZE])
{
	uint32_t mask = sel->mask, first = 0;
	bool started = false;

	*torn = false;
	while (mask) {
		cleanup_esys_ TPML_PCR_SELECTION *got = NULL;
		cleanup_esys_ TPML_DIGEST *digests = NULL;
		TPML_PCR_SELECTION want;
		uint32_t counter = 0;
		int r;

		selection_to_tss(sel, mask, &want);
		r = TPM_CALL(t, "TPM2_PCR_Read", Esys_PCR_Read(t->esys, NO_SESSIONS, &want, &counter, &got, &digests));
		if (r < 0)
			return r;
		if (started && counter != first) {
			*torn = true;
			return 0;
		}
		first = counter;
		started = true;
		r = take_values(t, got, digests, size, &mask, values);
		if (r < 0)
			return r;
	}
	return 0;
}

int tpm_pcr_read(struct tpm *t, const struct pcr_selection *sel, uint8_t values[TPM_PCR_COUNT][HASH_MAX_SIZE])
{
	uint8_t fresh[TPM_PCR_COUNT][HASH_MAX_SIZE] = { { 0 } };
	enum hash_alg alg;
	bool torn = true;

	if (!hash_from_tpm_alg(sel->alg, &alg) || sel->mask >> TPM_PCR_COUNT)
		return tpm_fail(t, -EINVAL, "no such PCR bank or PCR");
	for (unsigned int i = 0; torn && i < PCR_READ_TRIES; i++) {
		int r = read_pass(t, sel, hash_size(alg), &torn, fresh);

		if (r < 0)
			return r;
	}
	if (torn)
		return tpm_fail(t, -EBUSY, "PCRs change faster than they can be read");
	for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++)
		if (sel->mask & 1u << pcr)
			bytes_copy(values[pcr], fresh[pcr], HASH_MAX_SIZE);
	return 0;
}

int tpm_pcr_extend(struct tpm *t, unsigned int pcr, unsigned int banks, const uint8_t digests[HASH_COUNT][HASH_MAX_SIZE])
{
	TPML_DIGEST_VALUES values = { 0 };

	if (pcr >= TPM_PCR_COUNT || banks >> HASH_COUNT || banks == 0)
		return tpm_fail(t, -EINVAL, "no such PCR or PCR bank");
	for (int a = 0; a < HASH_COUNT; a++) {
		TPMT_HA *v = &values.digests[values.count];

		if (!(banks & 1u << a))
			continue;
		v->hashAlg = hash_tpm_alg((enum hash_alg)a);
		bytes_copy(&v->digest, digests[a], hash_size((enum hash_alg)a));
		values.count++;
	}
	return TPM_CALL(t, "TPM2_PCR_Extend", Esys_PCR_Extend(t->esys, ESYS_TR_PCR0 + pcr, EMPTY_PASSWORD, &values));
}

static int capability(struct tpm *t, TPM2_CAP cap, uint32_t property, uint32_t count, TPMS_CAPABILITY_DATA **out)
{
	TPMI_YES_NO more;

	return TPM_CALL(t, "TPM2_GetCapability", Esys_GetCapability(t->esys, NO_SESSIONS, cap, property, count, &more, out));
}

int tpm_banks(struct tpm *t, unsigned int *out)
{
	cleanup_esys_ TPMS_CAPABILITY_DATA *data = NULL;
	const unsigned int ima_pcr = 10;
	unsigned int banks = 0;
	int r = capability(t, TPM2_CAP_PCRS, 0, 1, &data);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < data->data.assignedPCR.count; i++) {
		const TPMS_PCR_SELECTION *s = &data->data.assignedPCR.pcrSelections[i];
		enum hash_alg alg;

		if (s->sizeofSelect > ima_pcr / 8 && s->pcrSelect[ima_pcr / 8] & 1u << ima_pcr % 8 &&
		    hash_from_tpm_alg(s->hash, &alg))
			banks |= 1u << alg;
	}
	*out = banks;
	return 0;
}

int tpm_read_clock(struct tpm *t, struct tpm_clock *out)
{
	cleanup_esys_ TPMS_TIME_INFO *now = NULL;
	int r = TPM_CALL(t, "TPM2_ReadClock", Esys_ReadClock(t->esys, NO_SESSIONS, &now));

	if (r < 0)
		return r;
	*out = (struct tpm_clock){
		.clock_ms = now->clockInfo.clock,
		.reset_count = now->clockInfo.resetCount,
		.restart_count = now->clockInfo.restartCount,
		.safe = now->clockInfo.safe == TPM2_YES,
	};
	return 0;
}

/* Four characters of a property; what is not printable is left out, runs of spaces become one. */
static void append_chars(char *buf, size_t n, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		char c = (char)(value >> shift);
		size_t len = strlen(buf);

		if (c < ' ' || c > '~' || (c == ' ' && (len == 0 || buf[len - 1] == ' ')) || len + 1 >= n)
			continue;
		buf[len] = c;
		buf[len + 1] = 0;
	}
}

int tpm_describe(struct tpm *t, char *buf, size_t n)
{
	cleanup_esys_ TPMS_CAPABILITY_DATA *data = NULL;
	char maker[8] = "", model[24] = "", text[96];
	uint32_t firmware[2] = { 0 };
	int r = capability(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER, 7, &data);

	if (r < 0)
		return r;
	/* TPM2_PT_MANUFACTURER, _VENDOR_STRING_1.._4, _VENDOR_TPM_TYPE, _FIRMWARE_VERSION_1, then _2 */
	for (uint32_t i = 0; i < data->data.tpmProperties.count; i++) {
		const TPMS_TAGGED_PROPERTY *p = &data->data.tpmProperties.tpmProperty[i];

		if (p->property == TPM2_PT_MANUFACTURER)
			append_chars(maker, sizeof(maker), p->value);
		else if (p->property >= TPM2_PT_VENDOR_STRING_1 && p->property <= TPM2_PT_VENDOR_STRING_4)
			append_chars(model, sizeof(model), p->value);
		else if (p->property == TPM2_PT_FIRMWARE_VERSION_1)
			firmware[0] = p->value;
	}
	for (char *end = model + strlen(model); end > model && end[-1] == ' ';)
		*--end = 0;
	for (char *end = maker + strlen(maker); end > maker && end[-1] == ' ';)
		*--end = 0;
	/* the reference code numbers its firmware by date; chips by two 16-bit halves */
	if (firmware[0] >= 0x19900000)
		snprintf(text, sizeof(text), "%s %s %08x", maker, model, firmware[0]);
	else
		snprintf(text, sizeof(text), "%s %s %u.%u", maker, model, firmware[0] >> 16, firmware[0] & 0xffff);
	snprintf(buf, n, "%s", text);
	return 0;
}
