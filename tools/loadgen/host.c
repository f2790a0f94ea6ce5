// SPDX-License-Identifier: Apache-2.0
#include "host.h"

#include <stdio.h>

#include "base/json.h"
#include "lib/imasig_make.h"
#include "lib/test.h"

#define MASK 0x7ffu /* PCR 0 to 10 */
#define BANK HASH_SHA256

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "loadgen: %s failed\n", what);
	exit(1);
}

void maker_init(struct maker *m)
{
	*m = (struct maker){ .attest = WRITER(LIMIT_ATTEST), .signature = WRITER(LIMIT_SIGNATURE),
			     .data = WRITER(LIMIT_ENTRY_DATA), .message = WRITER(LIMIT_MESSAGE) };
	fake_tpm_init(&m->tpm, BANK);
	must(wire_pack_new(&m->pack, 1) == 0, "memory");
}

void maker_clear(struct maker *m)
{
	fake_tpm_clear(&m->tpm);
	wire_pack_free(&m->pack);
	writer_free(&m->attest);
	writer_free(&m->signature);
	writer_free(&m->data);
	writer_free(&m->message);
}

void host_init(struct host *h, struct maker *m)
{
	struct made_public shape = MADE_AK(0x0018); /* TPM_ALG_ECDSA */
	uint8_t name[34];

	*h = (struct host){ .key = make_key(MADE_P256), .ak_public = WRITER(LIMIT_PUBLIC), .clock_ms = m->tpm.clock_ms };
	make_public(&h->ak_public, h->key, &shape);
	must(tpm_public_name(writer_view(&h->ak_public), name) == QUOTE_OK, "naming a key");
	tpm_attester_id((struct bytes){ 0 }, name, h->id);
}

void host_clear(struct host *h)
{
	EVP_PKEY_free(h->key);
	h->key = NULL;
	writer_free(&h->ak_public);
}

static struct bytes encoded(struct maker *m, const struct wire_message *message)
{
	writer_reset(&m->message);
	wire_encode(&m->message, message);
	must(writer_status(&m->message) == 0, "encoding");
	return writer_view(&m->message);
}

struct bytes host_hello(struct host *h, struct maker *m)
{
	struct wire_message message = { .type = WIRE_HELLO };
	struct wire_hello *hello = &message.hello;
	char label[32];

	snprintf(label, sizeof(label), "load-%02x%02x%02x%02x", h->id[0], h->id[1], h->id[2], h->id[3]);
	*hello = (struct wire_hello){ .version = WIRE_VERSION, .ak_public = writer_view(&h->ak_public),
				      .label = { (const uint8_t *)label, strlen(label) }, .kernel = BYTES("6.1.0-load"),
				      .bank = hash_tpm_alg(BANK), .pcr_mask = MASK, .list_length = h->n,
				      .reset_count = m->tpm.resets, .restart_count = m->tpm.restarts,
				      .support = WIRE_SUPPORT_ORDERED };
	bytes_copy(hello->attester, h->id, sizeof(hello->attester));
	for (unsigned int i = 0; i < WIRE_PCR; i++)
		hello->boot_pcrs[hello->n_boot_pcrs++] =
			(struct wire_pcr){ (uint8_t)i, { m->tpm.pcr[i], hash_size(BANK) } };
	return encoded(m, &message);
}

struct bytes host_wait(struct host *h, struct maker *m)
{
	struct wire_message message = { .type = WIRE_WAIT };

	bytes_copy(message.wait.session, h->session, sizeof(h->session));
	return encoded(m, &message);
}

/* Program `i` of HOST_FILES: its path, which is its content as well. */
static void name_file(uint64_t i, char *path, size_t size)
{
	snprintf(path, size, "/usr/lib/load/part-%u/program-%u", (unsigned int)(i % HOST_FILES / 64),
		 (unsigned int)(i % HOST_FILES));
}

/* Entry `index` of every host's list. */
static struct ima_entry entry(struct maker *m, uint64_t index)
{
	char path[64];

	name_file(index, path, sizeof(path));
	writer_reset(&m->data);
	make_ima_data(&m->data, (struct bytes){ (const uint8_t *)path, strlen(path) }, path, (struct bytes){ 0 });
	must(writer_status(&m->data) == 0, "memory");
	return (struct ima_entry){ .pcr = WIRE_PCR, .name = BYTES("ima-ng"), .data = writer_view(&m->data) };
}

void host_measure(struct host *h, struct maker *m, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct ima_entry e = entry(m, h->n++);
		uint8_t digest[HASH_MAX_SIZE];

		ima_template_digest(&e, BANK, digest);
		hash_extend(BANK, h->pcr10, digest);
	}
}

static struct bytes packed(struct host *h, struct maker *m)
{
	struct bytes block;

	wire_pack_begin(m->pack);
	for (uint64_t i = h->told; i < h->n; i++) {
		struct ima_entry e = entry(m, i);
		struct wire_context ctx = { .present = true, .age_us = 1500, .pid = 812, .uid = 1000, .comm = "load" };

		must(wire_pack_add(m->pack, &e, &ctx) == 0, "packing");
	}
	must(wire_pack_finish(m->pack, &block) == 0, "packing");
	return block;
}

struct bytes host_entries(struct host *h, struct maker *m, unsigned int count)
{
	struct wire_message message = { .type = WIRE_ENTRIES };

	host_measure(h, m, count);
	message.entries = (struct wire_entries){ .first = h->told, .floor = h->n, .block = packed(h, m), .rtt_us = 400 };
	bytes_copy(message.entries.session, h->session, sizeof(h->session));
	return encoded(m, &message);
}

struct bytes host_quote(struct host *h, struct maker *m)
{
	struct wire_message message = { .type = WIRE_QUOTE };
	struct wire_commitment_inputs in = { .seq = h->seq + 1, .surely = h->n };
	struct wire_quote *q = &message.quote;
	uint8_t qualifying[WIRE_DIGEST_SIZE], digest[HASH_MAX_SIZE];
	struct made_attest attest;

	bytes_copy(in.attester, h->id, sizeof(in.attester));
	bytes_copy(in.session, h->session, sizeof(in.session));
	bytes_copy(in.nonce, h->nonce, sizeof(in.nonce));
	bytes_copy(in.previous, h->previous, sizeof(in.previous));
	wire_commitment(&in, h->commitment);
	*q = (struct wire_quote){ .seq = in.seq, .surely = in.surely, .n_commitments = 1, .quote_us = 300, .first = h->told };
	bytes_copy(q->session, h->session, sizeof(q->session));
	bytes_copy(q->nonce, h->nonce, sizeof(q->nonce));
	bytes_copy(q->commitments[0], h->commitment, sizeof(h->commitment));
	wire_qualifying(q->commitments, 1, qualifying);
	bytes_copy(m->tpm.pcr[WIRE_PCR], h->pcr10, sizeof(h->pcr10));
	m->tpm.clock_ms = h->clock_ms;
	attest = fake_tpm_attest(&m->tpm, MASK, (struct bytes){ qualifying, sizeof(qualifying) }, digest);
	fake_tpm_sign(&m->tpm, h->key, &attest, &m->attest, &m->signature);
	h->clock_ms = m->tpm.clock_ms;
	q->attest = writer_view(&m->attest);
	q->signature = writer_view(&m->signature);
	if (h->told < h->n)
		q->block = packed(h, m);
	return encoded(m, &message);
}

static enum host_event on_ack(struct host *h, const struct wire_ack *ack)
{
	bool told = h->stage == HOST_READY && h->n > h->told; /* the answer to ENTRIES */

	h->told = ack->next;
	if (ack->has_nonce)
		bytes_copy(h->nonce, ack->nonce, sizeof(h->nonce));
	if (told) {
		h->stage = HOST_TOLD;
		return HOST_GO_ON;
	}
	h->seq++;
	bytes_copy(h->previous, h->commitment, sizeof(h->previous));
	h->proven = ack->proven;
	h->stage = HOST_READY;
	return h->proven == h->n ? HOST_PROVEN : HOST_REFUSED;
}

enum host_event host_answer(struct host *h, struct bytes bytes, const char **why)
{
	struct wire_message m;
	const char *where;

	*why = "an answer that cannot be read";
	if (wire_decode(bytes, &m, &where) != WIRE_DECODE_OK)
		return HOST_REFUSED;
	*why = wire_type_name(m.type);
	switch (m.type) {
	case WIRE_WELCOME:
		bytes_copy(h->session, m.welcome.session, sizeof(h->session));
		bytes_copy(h->nonce, m.welcome.nonce, sizeof(h->nonce));
		h->told = m.welcome.resume;
		h->stage = HOST_GREETED;
		return HOST_GO_ON;
	case WIRE_ACK:
		return on_ack(h, &m.ack);
	case WIRE_DIRECTIVE:
		if (m.directive.has_nonce)
			bytes_copy(h->nonce, m.directive.nonce, sizeof(h->nonce));
		return HOST_WOKEN;
	case WIRE_REJECT:
		*why = reason_name((enum reason)m.reject.reason);
		return m.reject.reason == REASON_BUSY ? HOST_BUSY : HOST_REFUSED;
	default:
		return HOST_REFUSED;
	}
}

void host_policy(struct writer *w)
{
	char path[64], digest[65];
	struct json j;

	jw_begin(&j, w, false);
	jw_object(&j, NULL);
	jw_object(&j, "meta");
	jw_u64(&j, "version", 1);
	jw_object_end(&j);
	jw_u64(&j, "release", 0);
	jw_object(&j, "digests");
	for (unsigned int i = 0; i < HOST_FILES; i++) {
		name_file(i, path, sizeof(path));
		make_hex_digest((struct bytes){ (const uint8_t *)path, strlen(path) }, digest);
		jw_array(&j, path);
		jw_string(&j, NULL, digest);
		jw_array_end(&j);
	}
	jw_object_end(&j);
	jw_object_end(&j);
	must(writer_status(w) == 0, "memory");
}
